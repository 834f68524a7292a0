//! Races of two-way sync, each with its own scenario.

mod world;

use tidesync_engine::interface::{
    Call, Choice, Chosen, Input, RequestOutcome, RowUser, StorageError,
};
use tidesync_engine::{Config, StaleFields, Strategy, TableConfig};
use world::World;
use world::disk::{Disk, Row};
use world::files::{configured, disagreeing, here, remote, resolving, there};
use world::server::Fault;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn setting_a_field_back_after_a_merge_is_a_change() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"done":false,"y":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"done":false,"y":2}"#));
    world.put("files", "a", r#"{"done":true,"y":1}"#);
    world.run(20_000);
    assert_eq!(
        here(&world, "sa").as_deref(),
        Some(r#"{"done":true,"y":2}"#)
    );
    // The app reads what is there and unticks the box.
    world.put("files", "a", r#"{"done":false,"y":2}"#);
    world.run(20_000);
    assert_eq!(
        here(&world, "sa").as_deref(),
        Some(r#"{"done":false,"y":2}"#)
    );
    assert_eq!(
        there(&world, "sa").as_deref(),
        Some(r#"{"done":false,"y":2}"#)
    );
}

#[test]
fn own_change_of_a_field_ends_its_staleness() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"y":1}"#);
    world.run(10_000);
    remote(&mut world, "sa", Some(r#"{"y":2}"#));
    world.run(500);
    world.put("files", "a", r#"{"y":3}"#);
    world.run(20_000);
    world.put("files", "a", r#"{"y":1}"#);
    world.run(20_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"y":1}"#));
}

#[test]
fn a_value_the_app_never_had_is_no_echo() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.put("files", "a", r#"{"x":2}"#);
    remote(&mut world, "sa", Some(r#"{"x":5}"#));
    world.run(20_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":2}"#));
    assert!(
        world
            .disk
            .told
            .iter()
            .all(|(_, _, it)| it.as_deref() != Some(r#"{"x":5}"#))
    );
    world.put("files", "a", r#"{"x":5}"#);
    world.run(20_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":5}"#));
}

#[test]
fn another_users_cursor_is_not_used() {
    let mut world = World::started(&["files"]);
    world
        .server
        .change("bob", "files", "sbob", Some(r#"{"x":1}"#));
    for at in 0..3 {
        world
            .server
            .change("alice", "files", &format!("s{at}"), Some(r#"{"x":1}"#));
    }
    world.poke();
    world.run(10_000);
    world.sign_in(Some("bob"));
    world.run(100_000);
    assert_eq!(here(&world, "sbob").as_deref(), Some(r#"{"x":1}"#));
}

#[test]
fn a_table_that_is_never_scanned_gets_the_servers_records() {
    let mut world = World::started(&["files"]);
    world.sign_in(Some("bob"));
    world.run(70_000);
    world.sign_in(Some("alice"));
    world.run(70_000);
    let notes = Disk::new(&["notes"])
        .tables
        .remove("notes")
        .expect("a table");
    world.disk.tables.insert("notes".to_owned(), notes);
    world.disk.version = 2;
    world.start();
    world.run(70_000);
    world
        .server
        .change("alice", "notes", "sn", Some(r#"{"x":1}"#));
    world.run(130_000);
    assert_eq!(world.disk.values("notes").len(), 1);
}

#[test]
fn a_record_that_came_back_during_an_absence_arrives() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.delete("files", "a");
    world.run(10_000);
    world.go(false);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":9}"#));
    world.server.oldest_cursor = u64::MAX;
    world.go(true);
    world.run(10_000);
    world.server.oldest_cursor = 0;
    world.run(130_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":9}"#));
}

#[test]
fn a_death_during_the_repair_of_a_stale_object_leaves_no_difference() {
    let run = |dies_at| {
        let mut world = World::started(&["files"]);
        world.put("files", "a", r#"{"x":1,"y":1}"#);
        world.run(10_000);
        remote(&mut world, "sa", Some(r#"{"x":1,"y":2}"#));
        world.run(500);
        world.effects = 0;
        world.dies_at = dies_at;
        world.put("files", "a", r#"{"x":1,"y":1}"#);
        world.run(200_000);
        world
    };
    let whole = run(None);
    let mut bad = Vec::new();
    for at in 0..whole.effects {
        for after in [false, true] {
            let world = run(Some((at, after)));
            if here(&world, "sa") != there(&world, "sa") {
                bad.push((at, after, here(&world, "sa"), there(&world, "sa")));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn merged_records_of_one_user_are_not_taken_over_as_anothers() {
    let mut bad = Vec::new();
    for at in 0..30 {
        let mut world = World::started(&["files"]);
        world.put("files", "a", r#"{"x":1,"y":1}"#);
        world.run(10_000);
        world
            .server
            .change("alice", "files", "sa", Some(r#"{"x":1,"y":2}"#));
        world.put("files", "a", r#"{"x":2,"y":1}"#);
        world.disk.told.clear();
        for _ in 0..at {
            world.step();
        }
        let told = world.disk.told.len();
        world.sign_in(Some("bob"));
        world.run(50);
        let before = told;
        world.run(30_000);
        if world.disk.told.len() > before {
            bad.push((at, world.disk.told.clone()));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn giving_up_a_refused_record_spares_what_was_written_since() {
    let mut world = World::started(&["files"]);
    world.server.rejects.insert("sa".to_owned());
    world.put("files", "a", r#"{"x":1}"#);
    world.run(20_000);
    let op = world.disk.held.keys().next().expect("held").clone();
    world.server.rejects.clear();
    world.put("files", "a", r#"{"x":2}"#);
    world.input(Input::SettleHeld {
        call: Call(9),
        op,
        choice: Choice::Remote,
    });
    world.run(100_000);
    world.assert_synced("alice");
}

#[test]
fn the_apps_function_does_not_overwrite_what_was_written_since() {
    let mut world = disagreeing(Strategy::Custom);
    world.run(20_000);
    let (task, _) = world.asked.pop().expect("a question");
    world.put("files", "a", r#"{"x":2,"note":"typed while it was asked"}"#);
    let chosen = Chosen {
        value: Some(r#"{"x":7}"#.to_owned()),
    };
    world.input(Input::ResolverAnswered {
        task,
        outcome: Ok(chosen),
    });
    world.run(60_000);
    assert!(
        here(&world, "sa").is_some_and(|it| it.contains("typed")),
        "{:?} {:?}",
        here(&world, "sa"),
        there(&world, "sa")
    );
}

#[test]
fn a_new_client_keeps_the_order_of_a_records_changes() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.server.script.push_back(Fault::Refuse {
        status: 409,
        code: "client-expired",
    });
    world.delete("files", "a");
    world.run(2_030);
    assert_eq!(world.disk.staged.len(), 1);
    world.put("files", "a", r#"{"x":2}"#);
    world.run(200_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":2}"#));
    world.assert_synced("alice");
}

#[test]
fn removing_the_first_again_spares_the_second() {
    let mut disk = Disk::new(&["files"]);
    let store = disk.tables.get_mut("files").expect("a table");
    store.generated = true;
    store.next_key = 10;
    let mut world = World::with(Config::default(), disk);
    world.start();
    world.run(70_000);
    world.put("files", "5", r#"{"n":"first"}"#);
    world.run(10_000);
    let first = world.server.records.keys().next().expect("it").2.clone();
    world.delete("files", "5");
    world.run(10_000);
    world.put("files", "5", r#"{"n":"second"}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", &first, Some(r#"{"n":"first, edited"}"#));
    remote(&mut world, &first, None);
    world.run(100_000);
    let here: Vec<String> = world
        .disk
        .values("files")
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(here, vec![r#"{"n":"second"}"#.to_owned()]);
}

#[test]
fn a_key_that_was_used_again_is_another_record() {
    let mut disk = Disk::new(&["files"]);
    let store = disk.tables.get_mut("files").expect("a table");
    store.generated = true;
    store.next_key = 10;
    let mut world = World::with(Config::default(), disk);
    world.start();
    world.run(70_000);
    world.put("files", "5", r#"{"n":"first"}"#);
    world.run(10_000);
    let first = world.server.records.keys().next().expect("it").2.clone();
    world.delete("files", "5");
    world.run(10_000);
    world.put("files", "5", r#"{"n":"second"}"#);
    world.run(10_000);
    // Another device, which had not heard of the removal, has changed the first: it is back.
    remote(&mut world, &first, Some(r#"{"n":"first, edited"}"#));
    world.run(10_000);
    let mut here: Vec<String> = world
        .disk
        .values("files")
        .into_iter()
        .map(|it| it.1)
        .collect();
    here.sort();
    assert_eq!(
        here,
        vec![
            r#"{"n":"first, edited"}"#.to_owned(),
            r#"{"n":"second"}"#.to_owned()
        ]
    );
}

#[test]
fn what_was_given_up_is_not_sent_again() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.server.rejects.insert("sa".to_owned());
    world.put("files", "a", r#"{"x":2}"#);
    world.run(20_000);
    let op = world.disk.held.keys().next().expect("held").clone();
    world.server.rejects.clear();
    world.server.change("alice", "files", "sa", None);
    world.input(Input::SettleHeld {
        call: Call(9),
        op,
        choice: Choice::Remote,
    });
    world.run(100_000);
    assert_eq!(there(&world, "sa"), None);
    assert_eq!(here(&world, "sa"), None);
}

#[test]
fn a_decision_is_carried_out_on_the_latest_record() {
    let mut bad = Vec::new();
    for at in 0..60 {
        let mut world = disagreeing(Strategy::Manual);
        world.run(20_000);
        let op = world.disk.held.keys().next().expect("held").clone();
        remote(&mut world, "sa", Some(r#"{"x":6}"#));
        for _ in 0..at {
            world.step();
        }
        world.input(Input::SettleHeld {
            call: Call(9),
            op,
            choice: Choice::Remote,
        });
        world.run(200_000);
        if here(&world, "sa") != there(&world, "sa") {
            bad.push((at, here(&world, "sa"), there(&world, "sa")));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn pokes_do_not_starve_pushes() {
    let mut world = World::started(&["files"]);
    world.put("files", "mine", r#"{"x":1}"#);
    for at in 0..1_000 {
        remote(&mut world, "sa", Some(&format!(r#"{{"n":{at}}}"#)));
        world.run(40);
    }
    assert!(
        there(&world, "smine").is_some(),
        "40 s and not sent; pulls {}",
        world.server.pulls
    );
}

#[test]
fn a_poke_from_before_an_outage_is_spread_as_everything_is() {
    let mut at_once = 0;
    for seed in 0..20 {
        let mut world = World::new(&["files"]);
        world.config.seed[1] = seed;
        world.start();
        world.run(70_000);
        remote(&mut world, "sa", Some("1"));
        world.run(100);
        remote(&mut world, "sa", Some("2"));
        world.go(false);
        world.run(10_000);
        let pulls = world.server.pulls;
        world.go(true);
        world.run(50);
        at_once += u32::from(world.server.pulls > pulls);
        world.run(5_000);
        assert_eq!(here(&world, "sa").as_deref(), Some("2"));
    }
    assert!(at_once <= 3, "{at_once} of 20 came at once");
}

#[test]
fn done_means_that_the_server_has_it() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.server.records.clear();
    world.put("files", "a", r#"{"x":2}"#);
    let call = world.force();
    world.run(30_000);
    assert!(
        world.resolved.get(&call) == Some(&false) || there(&world, "sa").is_some(),
        "{:?} {:?}",
        world.resolved,
        world.disk.left()
    );
    assert!(there(&world, "sa").is_some(), "not sent");
}

#[test]
fn a_decision_is_answered_whatever_happens() {
    for how in 0..3 {
        let mut world = disagreeing(Strategy::Manual);
        world.run(20_000);
        let op = world.disk.held.keys().next().expect("held").clone();
        if how == 0 {
            world.storage_faults.push(StorageError::Other {
                name: "x".to_owned(),
            });
        }
        world.input(Input::SettleHeld {
            call: Call(9),
            op,
            choice: Choice::Remote,
        });
        if how == 1 {
            world.sign_in(Some("bob"));
        }
        if how == 2 {
            world.input(Input::Stop);
        }
        world.run(300_000);
        assert!(world.resolved.contains_key(&9), "never answered: {how}");
    }
}

#[test]
fn a_server_that_always_expires_the_client_is_not_hammered() {
    let mut world = World::started(&["files"]);
    world.server.fault = Some(Fault::Refuse {
        status: 409,
        code: "client-expired",
    });
    world.put("files", "a", r#"{"x":1}"#);
    world.run(60_000);
    assert!(
        world.sent.len() < 20,
        "{} pushes in a minute",
        world.sent.len()
    );
}

#[test]
fn a_parent_that_is_not_here_yet_has_one_id() {
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
    let other = format!("r{}", "B".repeat(21)) + "A";
    let child = format!("r{}", "C".repeat(21)) + "A";
    remote(
        &mut world,
        &child,
        Some(&format!(r#"{{"name":"g","workspace":"{other}"}}"#)),
    );
    world.run(500);
    let local: serde_json::Value =
        serde_json::from_str(&world.disk.values("files")[0].1).expect("JSON");
    let key = local["workspace"].as_u64().expect("a key");
    // Another file of the same workspace, made here.
    world.put(
        "files",
        "30",
        &format!(r#"{{"name":"h","workspace":{key}}}"#),
    );
    world.run(10_000);
    let sent = &world.sent.last().expect("a push").body;
    assert!(sent.contains(&other), "{sent}");
}

#[test]
fn an_edit_of_another_field_decides_no_conflict() {
    let mut world = resolving(Strategy::Manual);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":5,"y":1}"#));
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(20_000);
    assert_eq!(world.status().conflicts, 1);
    world.run(100_000);
    world.put("files", "a", r#"{"x":2,"y":3}"#);
    world.run(30_000);
    // The server asks about all of it; nothing of either side is lost.
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":5,"y":1}"#));
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":2,"y":3}"#));
    assert_eq!(world.status().conflicts, 1);
    let op = world.disk.held.keys().next().expect("held").clone();
    world.input(Input::SettleHeld {
        call: Call(9),
        op,
        choice: Choice::Local,
    });
    world.run(30_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":2,"y":3}"#));
    assert_eq!(world.status().conflicts, 0);
}

#[test]
fn deciding_a_conflict_forgets_no_names() {
    let mut disk = Disk::new(&["files"]);
    let store = disk.tables.get_mut("files").expect("a table");
    store.generated = true;
    store.next_key = 10_000;
    let table = TableConfig {
        conflict: Strategy::ServerPriority,
        ..TableConfig::default()
    };
    let config = Config {
        tables: vec![("files".to_owned(), table)],
        ..Config::default()
    };
    let mut world = World::with(config, disk);
    world.start();
    world.run(70_000);
    const COUNT: usize = 10_000;
    for first in (0..COUNT).step_by(500) {
        let mut row = Row::default();
        for key in first..first + 500 {
            row = row.put(
                &format!("{}", key + 1),
                &format!(r#"{{"k":{},"x":1}}"#, key + 1),
            );
        }
        world.write("files", row);
        world.run(10_000);
    }
    assert_eq!(world.server.records.len(), COUNT);
    // A reload: no page is in memory.
    world.start();
    world.run(10_000);
    for key in 1..=3 {
        let name = world
            .server
            .records
            .iter()
            .find(|(_, it)| it.value.as_ref().is_some_and(|it| it["k"] == key))
            .expect("it")
            .0
            .2
            .clone();
        world.server.change(
            "alice",
            "files",
            &name,
            Some(&format!(r#"{{"k":{key},"x":5}}"#)),
        );
        world.put(
            "files",
            &key.to_string(),
            &format!(r#"{{"k":{key},"x":2}}"#),
        );
        world.run(20_000);
        world.start();
        world.run(10_000);
    }
    assert!(!world.disk.history.is_empty());
    assert_eq!(world.disk.tables["files"].records.len(), COUNT);
    world.start();
    world.run(10_000);
    // Another device touches every record.
    let all: Vec<(String, u64)> = world
        .server
        .records
        .iter()
        .map(|(name, it)| {
            (
                name.2.clone(),
                it.value.as_ref().expect("it")["k"].as_u64().expect("k"),
            )
        })
        .collect();
    for (rid, key) in all {
        world.server.change(
            "alice",
            "files",
            &rid,
            Some(&format!(r#"{{"k":{key},"x":9}}"#)),
        );
    }
    world.poke();
    world.run(60_000);
    assert_eq!(
        world.disk.tables["files"].records.len(),
        COUNT,
        "records came twice"
    );
}

#[test]
fn a_404_in_a_pull_from_scratch_removes_nothing() {
    let mut world = World::started(&["files"]);
    for key in ["a", "b", "c"] {
        world.put("files", key, r#"{"n":1}"#);
    }
    world.run(10_000);
    world.disk.told.clear();
    world.server.oldest_cursor = u64::MAX;
    world.poke();
    while world.flight.is_none() {
        world.step();
    }
    // From here on something in between answers 404.
    world.server.push_only = true;
    world.run(1_000);
    assert!(
        world.disk.values("files").len() >= 3,
        "{:?}",
        world.disk.told
    );
}

#[test]
fn what_a_merge_has_decided_is_not_sent_again() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world.server.fault = Some(Fault::Network);
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(20_000);
    assert_eq!(world.disk.staged.len(), 1);
    // Another device changes another field; we, still without a server, a third.
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":1,"y":1,"z":1}"#));
    world.put("files", "a", r#"{"x":2,"y":3}"#);
    world.run(1_000);
    world.server.fault = None;
    world.sent.clear();
    world.force();
    world.run(60_000);
    let bodies: Vec<&str> = world.sent.iter().map(|it| it.body.as_str()).collect();
    assert!(
        bodies.len() >= 2 && !bodies[1].contains(r#""x":2"#),
        "{bodies:#?}"
    );
}

#[test]
fn two_epochs_behind_one_address_are_no_endless_sync() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world.server.pulls = 0;
    world.poke();
    let end = world.now.monotonic_ms + 60_000;
    let mut steps = 0;
    while world.now.monotonic_ms < end && steps < 20_000 {
        steps += 1;
        world.server.epoch = if world.server.pulls.is_multiple_of(2) {
            "e1".to_owned()
        } else {
            "e2".to_owned()
        };
        if world.step().is_none() {
            break;
        }
    }
    assert!(
        world.server.pulls < 60,
        "{} pulls in a minute",
        world.server.pulls
    );
}

#[test]
fn a_restart_without_a_cursor_is_a_failure() {
    let mut world = World::started(&["files"]);
    world.server.script.clear();
    let before = world.trace.len();
    world.server.oldest_cursor = u64::MAX;
    world.server.fault = Some(Fault::Refuse {
        status: 410,
        code: "cursor-expired",
    });
    world.poke();
    world.run(60_000);
    let pulls = world.trace[before..]
        .iter()
        .flat_map(|it| &it.effects)
        .filter(|it| format!("{it:?}").starts_with("Pull {"))
        .count();
    assert!(pulls < 60, "{pulls} pulls in a minute");
}

#[test]
fn a_removal_that_waits_for_a_decision_stays_in_a_pull_from_scratch() {
    let mut world = resolving(Strategy::Manual);
    world.put("files", "z", r#"{"x":1}"#);
    world.run(10_000);
    world.go(false);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":5}"#));
    world.put("files", "a", r#"{"x":1}"#);
    world.delete("files", "a");
    world.server.oldest_cursor = u64::MAX;
    world.go(true);
    world.run(60_000);
    assert_eq!(world.status().conflicts, 1);
    assert_eq!(here(&world, "sa"), None);
    world.server.oldest_cursor = 0;
    world.run(60_000);
    assert_eq!(world.status().conflicts, 1);
    assert_eq!(here(&world, "sa"), None);
}

#[test]
fn a_record_that_two_devices_removed_comes_with_a_pull_from_scratch_if_it_was_made_anew() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.go(false);
    world.delete("files", "a");
    world.server.change("alice", "files", "sa", None);
    world.go(true);
    world.run(20_000);
    assert_eq!((here(&world, "sa"), there(&world, "sa")), (None, None));
    world.server.oldest_cursor = u64::MAX;
    remote(&mut world, "sa", Some(r#"{"x":2}"#));
    world.run(1_000);
    world.server.oldest_cursor = 0;
    world.run(100_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":2}"#));
    world.assert_synced("alice");
}

#[test]
fn a_decision_of_one_user_is_not_carried_out_as_another() {
    let mut bad = Vec::new();
    for at in 0..12 {
        let mut world = disagreeing(Strategy::Manual);
        world.run(20_000);
        let op = world.disk.held.keys().next().expect("held").clone();
        world.put("files", "b", r#"{"x":1}"#);
        for _ in 0..at {
            world.step();
        }
        world.disk.told.clear();
        world.input(Input::SettleHeld {
            call: Call(9),
            op,
            choice: Choice::Remote,
        });
        world.sign_in(Some("bob"));
        world.run(30_000);
        if !world.disk.told.is_empty() {
            bad.push((at, world.disk.told.clone()));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_shared_spaces_record_is_not_the_own_one() {
    // body of a pull with another space
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":"mine"}"#);
    world.run(10_000);
    world.poke();
    while world.flight.is_none() {
        world.step();
    }
    let at = world
        .inbox
        .iter()
        .position(|(_, it)| matches!(it, Input::Pulled { .. }))
        .expect("a pull");
    if let Input::Pulled {
        outcome: RequestOutcome::Answer { body, .. },
        ..
    } = &mut world.inbox[at].1
    {
        *body = r#"{"protocol":1,"epoch":"e","changes":[{"space":"team-1","table":"files","rid":"sa","version":99,"hlc":"0","client":"c","value":{"x":"theirs"}}],"cursor":"99","more":false}"#.to_owned();
    }
    world.disk.pulled = vec![r#"{"x":"theirs"}"#.to_owned()];
    world.run(500);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":"mine"}"#));
}

#[test]
fn a_busy_app_does_not_starve_the_pull() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    remote(&mut world, "sa", Some(r#"{"x":2}"#));
    let begin = world.now.monotonic_ms;
    let mut n = 0;
    while world.now.monotonic_ms < begin + 5_000
        && here(&world, "sa").as_deref() != Some(r#"{"x":2}"#)
    {
        world.step();
        // Another tab writes all the time: every 2 ms.
        world.now.monotonic_ms += 2;
        world.now.wall_ms += 2;
        n += 1;
        world.put("files", &format!("k{n}"), r#"{"x":1}"#);
    }
    assert_eq!(
        here(&world, "sa").as_deref(),
        Some(r#"{"x":2}"#),
        "not here after {} ms, {n} writes",
        world.now.monotonic_ms - begin
    );
}

#[test]
fn a_record_that_is_kept_against_a_removal_keeps_its_id() {
    let mut disk = Disk::new(&["files"]);
    let store = disk.tables.get_mut("files").expect("a table");
    store.generated = true;
    store.next_key = 10;
    let mut world = World::with(Config::default(), disk);
    world.start();
    world.run(70_000);
    world.put("files", "5", r#"{"n":1}"#);
    world.run(10_000);
    let first = world.server.records.keys().next().expect("it").2.clone();
    world.put("files", "5", r#"{"n":2}"#);
    remote(&mut world, &first, None);
    world.run(60_000);
    let alive: Vec<&String> = world
        .server
        .records
        .iter()
        .filter(|(_, it)| it.value.is_some())
        .map(|(name, _)| &name.2)
        .collect();
    assert_eq!(alive, vec![&first]);
}

#[test]
fn a_put_that_needs_full_does_not_go_round() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(60);
    // every answer is turned into need-full
    for _ in 0..4_000 {
        world.step();
        for (_, input) in &mut world.inbox {
            if let Input::Pushed {
                outcome: RequestOutcome::Answer { body, .. },
                ..
            } = input
            {
                *body = body
                    .replace("\"applied\"", "\"need-full\"")
                    .replace("\"duplicate\"", "\"need-full\"")
                    .replace("\"merged\"", "\"need-full\"");
            }
        }
        if world.now.monotonic_ms > 200_000 {
            break;
        }
    }
    assert!(
        world.sent.len() < 40,
        "{} pushes in {} ms",
        world.sent.len(),
        world.now.monotonic_ms
    );
}

#[test]
fn a_sync_that_fails_before_the_repair_does_not_forget_it() {
    let mut bad = Vec::new();
    for at in 0..25 {
        let mut world = World::started(&["files"]);
        world.put("files", "a", r#"{"x":1,"y":1}"#);
        world.run(10_000);
        remote(&mut world, "sa", Some(r#"{"x":1,"y":2}"#));
        world.run(500);
        world.put("files", "a", r#"{"x":1,"y":1}"#);
        for _ in 0..at {
            world.step();
        }
        // Another tab writes another record, and the network goes.
        let user = RowUser::User("alice".to_owned());
        let now = world.now.wall_ms;
        world
            .disk
            .write("files", user, now, Row::default().put("b", "1"));
        world.server.fault = Some(Fault::Network);
        world.run(1_000);
        world.server.fault = None;
        world.run(300_000);
        if here(&world, "sa") != there(&world, "sa") {
            bad.push((at, here(&world, "sa"), there(&world, "sa")));
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_hint_that_comes_late_does_not_count_for_ever() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(2_020);
    // Another tab's word of the same change comes after it was staged, and is no reason to sync.
    world.input(Input::Captured {
        table: "files".to_owned(),
        user: RowUser::User("alice".to_owned()),
        lids: vec!["sa".to_owned()],
        trigger: false,
    });
    world.run(1_000);
    assert_eq!(world.status().pending, 0);
}

#[test]
fn what_is_written_while_storage_is_tried_again_counts() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.storage_faults.push(StorageError::Closed);
    world.run(2_100);
    world.put("files", "b", r#"{"x":1}"#);
    assert_eq!(world.status().pending, 2);
    world.run(20_000);
    world.assert_synced("alice");
}

#[test]
fn the_time_of_the_last_sync_does_not_go_back_with_the_clock() {
    let mut world = World::started(&["files"]);
    let before = world.status().last_sync_time;
    world.now.wall_ms -= 3_600_000;
    world.put("files", "a", r#"{"x":1}"#);
    world.run(20_000);
    assert!(world.status().last_sync_time >= before);
    // And it is what a new engine finds.
    let known = world.status().last_sync_time;
    world.start();
    world.run(100);
    assert_eq!(world.status().last_sync_time, known);
}

#[test]
fn a_removed_range_spares_what_others_have_made_since() {
    let mut world = World::started(&["files"]);
    for key in ["a", "b"] {
        world.put("files", key, r#"{"x":1}"#);
    }
    world.run(10_000);
    // A change is staged, so the removed range behind it waits in the log.
    world.put("files", "c", r#"{"x":1}"#);
    world.run(1_000);
    world.write("files", Row::default().delete_range("a", "z"));
    world.disk.told.clear();
    world
        .server
        .change("alice", "files", "sb", Some(r#"{"x":2}"#));
    remote(&mut world, "sn", Some(r#"{"x":9}"#));
    world.run(60_000);
    let brought_back = world.disk.told.iter().any(|(_, lid, _)| lid == "sa");
    assert!(!brought_back, "{:?}", world.disk.told);
    assert_eq!(there(&world, "sa"), None);
    assert_eq!(there(&world, "sn").as_deref(), Some(r#"{"x":9}"#));
    assert_eq!(here(&world, "sn").as_deref(), Some(r#"{"x":9}"#));
    world.assert_synced("alice");
}

#[test]
fn the_same_field_changed_during_a_pull_is_a_conflict() {
    let mut world = resolving(Strategy::Manual);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    remote(&mut world, "sa", Some(r#"{"x":5}"#));
    world.run(10);
    world.put("files", "a", r#"{"x":2}"#);
    world.run(30_000);
    assert_eq!(world.status().conflicts, 1);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":5}"#));
}

#[test]
fn a_field_that_a_merge_has_added_is_not_removed_by_what_was_written_before() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":1,"size":5}"#));
    world.put("files", "a", r#"{"x":2}"#);
    world.run(2_020);
    // While the change is on its way, the app writes the record as it knows it.
    world.put("files", "a", r#"{"x":3}"#);
    world.run(30_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"size":5,"x":3}"#));
    world.assert_synced("alice");
}

#[test]
fn also_where_stale_fields_count_as_written() {
    let table = TableConfig {
        stale_fields: StaleFields::AsWritten,
        ..TableConfig::default()
    };
    let mut world = configured(table);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":1,"size":5}"#));
    world.put("files", "a", r#"{"x":2}"#);
    world.run(2_020);
    world.put("files", "a", r#"{"x":3}"#);
    world.run(30_000);
    world.assert_synced("alice");
}

#[test]
fn what_is_written_after_a_removal_that_lost_ends_equal_everywhere() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":1,"y":5,"z":5}"#));
    world.server.stays.insert("sa".to_owned());
    world.delete("files", "a");
    world.run(2_020);
    // While the removal is on its way, the app makes the record anew.
    world.put("files", "a", r#"{"x":3}"#);
    world.run(30_000);
    world.assert_synced("alice");
}

#[test]
fn what_is_written_on_a_record_that_lost_to_anothers_ends_equal_everywhere() {
    let mut world = resolving(Strategy::ServerPriority);
    world.put("files", "b", r#"{"x":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":5,"y":5}"#));
    world.put("files", "a", r#"{"x":1}"#);
    world.run(2_020);
    world.put("files", "a", r#"{"x":3}"#);
    world.run(30_000);
    world.assert_synced("alice");
}

#[test]
fn what_could_not_be_sent_is_not_held_once_its_record_is_gone() {
    let mut world = World::started(&["files"]);
    for key in ["a", "b"] {
        world.write("files", Row::default().put_odd(key));
    }
    world.run(10_000);
    assert_eq!(world.status().held, 2);
    world.write("files", Row::default().delete_range("a", "z"));
    world.run(10_000);
    assert_eq!(world.status().held, 0);
    // What another device makes of that name is taken over like any other record.
    remote(&mut world, "sa", Some(r#"{"x":1}"#));
    world.run(10_000);
    world.assert_synced("alice");
}

#[test]
fn what_somebody_else_has_removed_by_range_is_not_brought_back() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.write_as("files", RowUser::Nobody, Row::default().clear());
    remote(&mut world, "sa", Some(r#"{"x":2}"#));
    remote(&mut world, "sn", Some(r#"{"x":9}"#));
    world.run(10_000);
    assert_eq!(here(&world, "sa"), None);
    assert_eq!(here(&world, "sn").as_deref(), Some(r#"{"x":9}"#));
}

#[test]
fn what_waits_in_the_log_does_not_undo_a_merge_piece_by_piece() {
    let config = Config {
        batch_ops_max: 1,
        ..Config::default()
    };
    let mut world = World::with(config, Disk::new(&["files"]));
    world.start();
    world.run(70_000);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":1,"size":5}"#));
    world.put("files", "a", r#"{"x":2}"#);
    world.run(2_020);
    // Two rows behind it, each of which is sent by itself: the field comes and goes.
    world.put("files", "a", r#"{"x":3,"size":7}"#);
    world.put("files", "a", r#"{"x":4}"#);
    world.run(60_000);
    world.assert_synced("alice");
}
