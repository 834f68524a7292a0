//! Other devices' changes arrive, meet local ones, and nothing is lost (DESIGN sections 5 and 8).

mod world;

use tidesync_engine::interface::{
    Call, Choice, Chosen, Input, RequestOutcome, RowUser, TransportFailure,
};
use tidesync_engine::{
    Config, Direction, Initial, RecordState, StaleFields, Strategy, TableConfig,
};
use world::World;
use world::disk::{Disk, Row};
use world::files::{configured, disagreeing, here, remote, resolving, there};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn another_devices_changes_arrive_as_soon_as_the_stream_tells() {
    let mut world = World::started(&["files"]);
    remote(&mut world, "sa", Some(r#"{"n":1}"#));
    world.run(500);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"n":1}"#));
    remote(&mut world, "sa", Some(r#"{"n":2}"#));
    world.run(500);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"n":2}"#));
    remote(&mut world, "sa", None);
    world.run(500);
    assert_eq!(here(&world, "sa"), None);
    // What was pulled is not captured, nor sent back.
    assert_eq!(world.disk.left(), (0, 0));
    world.run(200_000);
    assert_eq!(world.sent.len(), 0);
}

#[test]
fn without_a_stream_the_periodic_sync_brings_them() {
    let mut world = World::started(&["files"]);
    world.server.change("alice", "files", "sa", Some("1"));
    world.run(70_000);
    assert_eq!(here(&world, "sa").as_deref(), Some("1"));
}

#[test]
fn a_server_that_only_takes_pushes_is_enough_for_backup() {
    let mut world = World::new(&["files"]);
    world.server.push_only = true;
    world.start();
    world.put("files", "a", r#"{"n":1}"#);
    world.run(10_000);
    let call = world.force();
    world.run(10_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    world.assert_synced("alice");
}

#[test]
fn a_first_download_comes_in_pages_with_progress() {
    let mut world = World::new(&["files"]);
    for at in 0..2_500 {
        let rid = format!("sk{at}");
        world
            .server
            .change("alice", "files", &rid, Some(r#"{"n":1}"#));
    }
    world.start();
    world.run(2_100);
    let progress = world.status().progress.expect("progress");
    assert_eq!(progress.direction, Direction::Download);
    world.run(10_000);
    assert_eq!(world.disk.values("files").len(), 2_500);
    assert_eq!(world.server.pulls, 3);
    world.assert_synced("alice");
}

#[test]
fn changes_of_different_fields_both_survive() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":1,"y":2}"#));
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(20_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":2,"y":2}"#));
    world.assert_synced("alice");
}

#[test]
fn a_stale_object_does_not_revert_what_another_device_changed() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    remote(&mut world, "sa", Some(r#"{"x":1,"y":2,"z":1}"#));
    world.run(500);
    // The app saves what it had read before: only `x` was changed by it.
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(20_000);
    assert_eq!(
        there(&world, "sa").as_deref(),
        Some(r#"{"x":2,"y":2,"z":1}"#)
    );
    world.assert_synced("alice");
    // It knows now: setting the field back is a change.
    world.put("files", "a", r#"{"x":2,"y":2,"z":1}"#);
    world.run(20_000);
    world.put("files", "a", r#"{"x":2,"y":1,"z":1}"#);
    world.run(20_000);
    assert_eq!(
        there(&world, "sa").as_deref(),
        Some(r#"{"x":2,"y":1,"z":1}"#)
    );
    world.assert_synced("alice");
}

#[test]
fn a_stale_object_without_changes_of_its_own_is_repaired() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    remote(&mut world, "sa", Some(r#"{"x":1,"y":2}"#));
    world.run(500);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(20_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":1,"y":2}"#));
    world.assert_synced("alice");
}

#[test]
fn stale_fields_count_as_written_where_that_is_asked_for() {
    let mut world = configured(TableConfig {
        stale_fields: StaleFields::AsWritten,
        ..TableConfig::default()
    });
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    remote(&mut world, "sa", Some(r#"{"x":1,"y":2}"#));
    world.run(500);
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(20_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":2,"y":1}"#));
    world.assert_synced("alice");
}

#[test]
fn a_pull_never_hides_a_local_change() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world.go(false);
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(1_000);
    world.go(true);
    world.disk.told.clear();
    remote(&mut world, "sa", Some(r#"{"x":1,"y":2}"#));
    world.run(60_000);
    // Every value that the app ever saw has its own change.
    for (_, _, value) in &world.disk.told {
        assert!(
            value
                .as_deref()
                .is_some_and(|value| value.contains(r#""x":2"#)),
            "{value:?}"
        );
    }
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":2,"y":2}"#));
    world.assert_synced("alice");
}

#[test]
fn a_change_in_the_middle_of_a_pull_is_staged_first() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    remote(&mut world, "sa", Some(r#"{"x":1,"y":2}"#));
    // The answer is on its way; nothing tells the engine of this write before its transaction.
    world.run(49);
    let row = Row::default().put("a", r#"{"x":2,"y":1}"#);
    let user = RowUser::User("alice".to_owned());
    let at = world.now.wall_ms;
    world.disk.write("files", user, at, row);
    world.run(60_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":2,"y":2}"#));
    world.assert_synced("alice");
}

#[test]
fn rows_that_were_there_before_are_not_overwritten_by_the_first_pull() {
    let mut disk = Disk::new(&["files"]);
    disk.change("files", &Row::default().put("a", r#"{"x":2}"#));
    let config = Config {
        initial: Initial::Upload,
        ..Config::default()
    };
    let mut world = World::with(config, disk);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"y":2}"#));
    world.start();
    world.run(70_000);
    world.assert_synced("alice");
    assert!(here(&world, "sa").is_some_and(|value| value.contains(r#""x":2"#)));
}

#[test]
fn an_update_meets_a_delete_and_the_whole_record_is_sent() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world.server.change("alice", "files", "sa", None);
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(30_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":2,"y":1}"#));
    world.assert_synced("alice");
}

#[test]
fn the_clients_priority_sends_its_change_again() {
    let mut world = resolving(Strategy::ClientPriority);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":5,"y":2}"#));
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(60_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":2,"y":2}"#));
    assert_eq!(world.status().held, 0);
    assert!(
        world
            .disk
            .history
            .iter()
            .any(|entry| entry.contains("client-priority"))
    );
    world.assert_synced("alice");
}

#[test]
fn the_servers_priority_takes_its_record() {
    let mut world = resolving(Strategy::ServerPriority);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":5,"y":2}"#));
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(60_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":5,"y":2}"#));
    assert_eq!(world.status().held, 0);
    world.assert_synced("alice");
}

#[test]
fn the_apps_function_decides_or_the_conflict_stays() {
    let mut world = disagreeing(Strategy::Custom);
    world.run(20_000);
    let (task, conflict) = world.asked.pop().expect("a question");
    assert_eq!(conflict.local.as_deref(), Some(r#"{"x":2}"#));
    assert_eq!(conflict.remote.as_deref(), Some(r#"{"x":5}"#));
    let chosen = Chosen {
        value: Some(r#"{"x":7}"#.to_owned()),
    };
    world.input(Input::ResolverAnswered {
        task,
        outcome: Ok(chosen),
    });
    world.run(30_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":7}"#));
    world.assert_synced("alice");

    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":8}"#));
    world.put("files", "a", r#"{"x":9}"#);
    world.run(20_000);
    let (task, _) = world.asked.pop().expect("a question");
    world.input(Input::ResolverAnswered {
        task,
        outcome: Err("no".to_owned()),
    });
    world.run(20_000);
    assert_eq!(world.status().conflicts, 1);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":9}"#));
}

#[test]
fn the_apps_function_that_failed_is_asked_again_later_and_when_the_app_calls() {
    let mut world = disagreeing(Strategy::Custom);
    let mut asked = Vec::new();
    let fail = |world: &mut World| {
        for (task, _) in std::mem::take(&mut world.asked) {
            let outcome = Err("no".to_owned());
            world.input(Input::ResolverAnswered { task, outcome });
        }
    };
    for minute in 0..30 {
        for _ in 0..60 {
            world.run(1_000);
            asked.extend(world.asked.iter().map(|_| minute));
            fail(&mut world);
        }
    }
    // At once, then with the periodic syncs, and less and less often.
    assert!((6..=12).contains(&asked.len()), "{asked:?}");
    assert!(asked.iter().filter(|minute| **minute >= 20).count() <= 3);
    let call = world.force();
    world.run(100);
    let (task, _) = world.asked.pop().expect("a question");
    let value = Some(r#"{"x":7}"#.to_owned());
    let outcome = Ok(Chosen { value });
    world.input(Input::ResolverAnswered { task, outcome });
    world.run(30_000);
    assert!(world.resolved.contains_key(&call));
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":7}"#));
    world.assert_synced("alice");
}

/// A conflict that waits for a person: here 2, there 5.
fn manual() -> (World, String) {
    let mut world = disagreeing(Strategy::Manual);
    world.run(20_000);
    let status = world.status();
    assert_eq!((status.held, status.conflicts), (1, 1));
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":2}"#));
    let op = world
        .disk
        .held
        .keys()
        .next()
        .expect("a held operation")
        .clone();
    (world, op)
}

fn settle(world: &mut World, op: &str, choice: Choice) {
    let call = Call(900);
    world.input(Input::SettleHeld {
        call,
        op: op.to_owned(),
        choice,
    });
    world.run(30_000);
    assert_eq!(world.resolved.get(&900), Some(&true));
    assert_eq!(world.status().held, 0);
    world.assert_synced("alice");
}

#[test]
fn a_person_keeps_what_is_here() {
    let (mut world, op) = manual();
    settle(&mut world, &op, Choice::Local);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":2}"#));
}

#[test]
fn a_person_takes_what_the_server_has_also_after_a_reload() {
    let (mut world, op) = manual();
    world.start();
    world.run(10_000);
    settle(&mut world, &op, Choice::Remote);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":5}"#));
}

#[test]
fn a_person_writes_something_else() {
    let (mut world, op) = manual();
    let chosen = Chosen {
        value: Some(r#"{"x":3}"#.to_owned()),
    };
    settle(&mut world, &op, Choice::Value(chosen));
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":3}"#));
}

#[test]
fn a_person_decides_against_the_latest_that_the_server_has() {
    let (mut world, op) = manual();
    remote(&mut world, "sa", Some(r#"{"x":6}"#));
    world.run(500);
    settle(&mut world, &op, Choice::Remote);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":6}"#));
}

#[test]
fn what_was_refused_is_given_up_for_what_the_server_has() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.server.rejects.insert("sa".to_owned());
    world.put("files", "a", r#"{"x":2}"#);
    world.run(20_000);
    let op = world
        .disk
        .held
        .keys()
        .next()
        .expect("a held operation")
        .clone();
    world.server.rejects.clear();
    settle(&mut world, &op, Choice::Remote);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":1}"#));
}

#[test]
fn two_devices_with_generated_keys_do_not_collide() {
    let mut disk = Disk::new(&["files"]);
    disk.tables.get_mut("files").expect("a table").generated = true;
    let mut world = World::with(Config::default(), disk);
    world.start();
    world.run(70_000);
    world
        .disk
        .tables
        .get_mut("files")
        .expect("a table")
        .next_key = 3;
    world.put("files", "1", r#"{"n":"mine"}"#);
    world.put("files", "2", r#"{"n":"too"}"#);
    world.run(10_000);
    let rid = format!("r{}", "A".repeat(22));
    remote(&mut world, &rid, Some(r#"{"n":"theirs"}"#));
    world.run(500);
    let store = &world.disk.tables["files"];
    assert_eq!(store.records.len(), 3);
    world.assert_synced("alice");
    // The same record again, and then gone; and one of our own, changed elsewhere.
    remote(&mut world, &rid, Some(r#"{"n":"new"}"#));
    world.run(500);
    assert_eq!(world.disk.tables["files"].records.len(), 3);
    world.assert_synced("alice");
    let own = world
        .server
        .records
        .keys()
        .find(|(.., it)| *it != rid)
        .expect("ours")
        .2
        .clone();
    remote(&mut world, &own, Some(r#"{"n":"theirs, too"}"#));
    remote(&mut world, &rid, None);
    world.run(500);
    assert_eq!(world.disk.tables["files"].records.len(), 2);
    world.assert_synced("alice");
}

/// Workspaces and their files, all of generated keys.
fn related() -> World {
    let mut disk = Disk::new(&["files", "workspaces"]);
    for table in disk.tables.values_mut() {
        table.generated = true;
        table.next_key = 10;
    }
    let files = TableConfig {
        references: vec![("workspace".to_owned(), "workspaces".to_owned())],
        ..TableConfig::default()
    };
    let config = Config {
        tables: vec![("files".to_owned(), files)],
        ..Config::default()
    };
    let mut world = World::with(config, disk);
    world.start();
    world.run(70_000);
    world
}

#[test]
fn references_to_generated_keys_are_rewritten_both_ways() {
    let mut world = related();
    world.put("workspaces", "3", r#"{"name":"w"}"#);
    world.put("files", "7", r#"{"name":"f","workspace":3}"#);
    world.run(10_000);
    let record = |table: &str, world: &World| {
        let mut records = world.server.records.iter();
        let found = records.find(|((_, of, _), _)| of == table);
        found
            .map(|((.., rid), it)| (rid.clone(), it.value.clone()))
            .expect("a record")
    };
    let (workspace, _) = record("workspaces", &world);
    let (file, value) = record("files", &world);
    assert_eq!(value.expect("a value")["workspace"], workspace.as_str());
    // Another device's file, of a workspace that comes later: its key is known already.
    let other = format!("r{}", "B".repeat(21)) + "A";
    let child = format!("r{}", "C".repeat(21)) + "A";
    let value = format!(r#"{{"name":"g","workspace":"{other}"}}"#);
    world.server.change("alice", "files", &child, Some(&value));
    world.poke();
    world.run(500);
    world
        .server
        .change("alice", "workspaces", &other, Some(r#"{"name":"v"}"#));
    world.poke();
    world.run(500);
    let files = world.disk.values("files");
    let key = files
        .iter()
        .find(|(_, value)| value.contains(r#""g""#))
        .expect("the file");
    let key: serde_json::Value = serde_json::from_str(&key.1).expect("JSON");
    let key = format!("n{}", key["workspace"]);
    let workspaces = &world.disk.tables["workspaces"].records;
    let (_, value) = workspaces
        .values()
        .find(|(lid, _)| *lid == key)
        .expect("the workspace");
    assert_eq!(value.as_deref(), Some(r#"{"name":"v"}"#));
    // A move to it is one changed field, on the wire by its id.
    let moved = format!(r#"{{"name":"f","workspace":{}}}"#, &key[1..]);
    world.put("files", "7", &moved);
    world.run(10_000);
    let sent = world.sent.last().expect("a push");
    assert!(
        sent.body
            .contains(&format!(r#""set":{{"workspace":"{other}"}}"#)),
        "{}",
        sent.body
    );
    let stored = &world.server.records[&("alice".to_owned(), "files".to_owned(), file)];
    assert_eq!(
        stored.value.as_ref().expect("a value")["workspace"],
        other.as_str()
    );
    assert_eq!(world.disk.left(), (0, 0));
    // Nothing is sent again for the same.
    world.put("files", "7", &moved);
    world.run(10_000);
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn a_server_restored_from_an_older_copy_is_made_whole() {
    let mut world = World::started(&["files"]);
    for key in ["a", "b", "c"] {
        world.put("files", key, r#"{"n":1}"#);
    }
    world.run(10_000);
    let copy = world.server.records.clone();
    world.put("files", "a", r#"{"n":2}"#);
    world.put("files", "d", r#"{"n":1}"#);
    world.delete("files", "b");
    world.run(20_000);
    world.assert_synced("alice");
    world.server.records = copy;
    world.server.epoch = "restored".to_owned();
    world.run(70_000);
    let call = world.force();
    world.run(70_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"n":2}"#));
    assert_eq!(here(&world, "sd").as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(here(&world, "sb"), None);
    world.assert_synced("alice");
}

#[test]
fn a_removal_that_a_restored_server_has_lost_is_sent_again() {
    let mut world = World::started(&["files"]);
    for key in ["a", "b", "c"] {
        world.put("files", key, r#"{"n":1}"#);
    }
    world.run(10_000);
    let copy = world.server.records.clone();
    world.delete("files", "b");
    world.run(20_000);
    world.assert_synced("alice");
    world.server.records = copy;
    world.server.epoch = "restored".to_owned();
    world.poke();
    world.run(70_000);
    assert_eq!(here(&world, "sb"), None);
    world.assert_synced("alice");
}

#[test]
fn a_table_that_was_away_gets_what_others_have_written_meanwhile() {
    let mut world = World::started(&["files", "tags"]);
    world.put("tags", "t", r#"{"n":1}"#);
    world.run(70_000);
    let tags = world.disk.tables.remove("tags").expect("a table");
    world.start();
    for n in [2, 3] {
        let theirs = format!(r#"{{"n":{n}}}"#);
        world.server.change("alice", "tags", "st", Some(&theirs));
        world.run(70_000);
        world.start();
    }
    world.disk.tables.insert("tags".to_owned(), tags);
    world.start();
    world.run(70_000);
    let pulls = world.server.pulls;
    assert_eq!(
        world.disk.values("tags"),
        [("st".to_owned(), r#"{"n":3}"#.to_owned())]
    );
    world.assert_synced("alice");
    world.start();
    world.run(50_000);
    assert_eq!(world.server.pulls, pulls + 1, "all of it once");
}

#[test]
fn a_table_that_the_app_adds_later_gets_what_others_have_written_before() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"n":1}"#);
    world
        .server
        .change("alice", "tags", "st", Some(r#"{"n":1}"#));
    world.run(70_000);
    let upgraded = Disk::new(&["tags"]).tables.remove("tags");
    world
        .disk
        .tables
        .insert("tags".to_owned(), upgraded.expect("a table"));
    world.start();
    world.run(70_000);
    assert_eq!(
        world.disk.values("tags"),
        [("st".to_owned(), r#"{"n":1}"#.to_owned())]
    );
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"n":1}"#));
}

#[test]
fn a_device_that_was_away_for_too_long_removes_what_was_removed() {
    let mut world = World::started(&["files"]);
    for key in ["a", "b", "c"] {
        world.put("files", key, r#"{"n":1}"#);
    }
    world.run(10_000);
    world.go(false);
    world.put("files", "c", r#"{"n":2}"#);
    // The server has removed two of them and forgotten that it did.
    world.server.records.retain(|(.., rid), _| rid == "sa");
    world.server.oldest_cursor = u64::MAX;
    world.go(true);
    world.run(10_000);
    world.server.oldest_cursor = 0;
    world.run(100_000);
    assert_eq!(here(&world, "sb"), None);
    assert_eq!(here(&world, "sc").as_deref(), Some(r#"{"n":2}"#));
    world.assert_synced("alice");
}

#[test]
fn a_death_at_any_step_of_a_pull_loses_nothing() {
    let whole = pull_with_local_change(None);
    for at in 0..whole.effects {
        for after in [false, true] {
            let world = pull_with_local_change(Some((at, after)));
            assert_eq!(
                here(&world, "sa").as_deref(),
                Some(r#"{"x":2,"y":2}"#),
                "{at} {after}"
            );
            world.assert_synced("alice");
        }
    }
}

fn pull_with_local_change(dies_at: Option<(usize, bool)>) -> World {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world.effects = 0;
    world.dies_at = dies_at;
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    remote(&mut world, "sa", Some(r#"{"x":1,"y":2}"#));
    remote(&mut world, "sb", Some(r#"{"x":1}"#));
    world.run(100_000);
    world
}

#[test]
fn what_is_missing_here_is_put_back_when_the_app_asks_for_it() {
    let mut world = World::started(&["files"]);
    for key in ["a", "b"] {
        world.put("files", key, r#"{"n":1}"#);
    }
    world.run(10_000);
    // Something that nothing captured has emptied the store.
    world.disk.change("files", &Row::default().clear());
    world.input(Input::Restore { call: Call(77) });
    world.run(10_000);
    assert_eq!(world.resolved.get(&77), Some(&true));
    assert_eq!(world.disk.values("files").len(), 2);
    world.assert_synced("alice");
}

#[test]
fn a_record_is_synced_only_by_the_servers_word() {
    let mut world = World::started(&["files"]);
    let state = |world: &World| world.engine.record_state("files", "sa").expect("a state");
    assert_eq!(state(&world), RecordState::Synced);
    world.put("files", "a", "1");
    assert_eq!(state(&world), RecordState::Pending);
    world.run(2_020);
    assert_eq!(state(&world), RecordState::Staged);
    world.run(100);
    assert_eq!(state(&world), RecordState::Synced);
    world.server.rejects.insert("sa".to_owned());
    world.put("files", "a", "2");
    world.run(10_000);
    assert_eq!(state(&world), RecordState::Held);
}

#[test]
fn a_range_that_is_removed_may_hold_any_record() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", "1");
    world.run(10_000);
    let state = |world: &World| world.engine.record_state("files", "sa");
    assert_eq!(state(&world), Some(RecordState::Synced));
    world.write("files", Row::default().clear());
    assert_eq!(state(&world), Some(RecordState::Pending));
    world.run(10_000);
    assert_eq!(state(&world), Some(RecordState::Synced));
}

#[test]
fn a_closed_stream_is_opened_again_and_what_it_missed_comes_with_it() {
    let mut world = World::started(&["files"]);
    let task = world.stream.take().expect("a stream");
    let outcome = RequestOutcome::Failed {
        failure: TransportFailure::Network,
    };
    world.input(Input::StreamEnded { task, outcome });
    world.run(6_000);
    assert!(world.stream.is_some());
    world.input(Input::SetEnabled { enabled: false });
    assert!(world.stream.is_none());
}
