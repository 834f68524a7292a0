//! Tables whose records several users share (DESIGN section 6).

mod world;

use tidesync_engine::interface::{Call, Choice, Input};
use tidesync_engine::{Config, Phase, TableConfig};
use tidesync_protocol::wire::Access;
use world::World;
use world::disk::Disk;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const TEAM: &str = "#team-1";

fn config(space: &str) -> Config {
    let table = TableConfig {
        space: Some(space.to_owned()),
        ..TableConfig::default()
    };
    Config {
        tables: vec![("files".to_owned(), table)],
        ..Config::default()
    }
}

/// A device on which `files` are the team's and `notes` the user's own.
fn started(access: Access) -> World {
    let mut world = World::with(config("team-1"), Disk::new(&["files", "notes"]));
    world.server.grant(&[("team-1", access)]);
    world.start();
    world.run(70_000);
    world
}

fn here(world: &World, table: &str) -> Vec<(String, String)> {
    world.disk.values(table)
}

fn value(text: &str) -> Vec<(String, String)> {
    vec![("sa".to_owned(), text.to_owned())]
}

/// The codes of what is held.
fn held(world: &World) -> Vec<String> {
    let held = world.disk.held.values();
    held.map(|(_, notice, _)| notice.code.clone()).collect()
}

fn settle(world: &mut World, choice: Choice) {
    let op = world.disk.held.keys().next().expect("a held operation");
    let op = op.clone();
    world.input(Input::SettleHeld {
        call: Call(900),
        op,
        choice,
    });
    world.run(30_000);
    assert_eq!(world.resolved.get(&900), Some(&true));
}

#[test]
fn a_tables_records_go_to_its_space_and_come_from_there_alone() {
    let mut world = started(Access::Write);
    world.put("files", "a", r#"{"n":1}"#);
    world.put("notes", "a", r#"{"n":2}"#);
    world.run(10_000);
    assert_eq!(world.server.values(TEAM, "files"), value(r#"{"n":1}"#));
    assert_eq!(world.server.values("alice", "notes"), value(r#"{"n":2}"#));
    assert!(world.server.values("alice", "files").is_empty());
    // Somebody else of the team changes it; and the same names stand elsewhere too.
    world.server.change(TEAM, "files", "sa", Some(r#"{"n":3}"#));
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"n":4}"#));
    world.server.change(TEAM, "notes", "sa", Some(r#"{"n":5}"#));
    world.poke();
    world.run(1_000);
    assert_eq!(here(&world, "files"), value(r#"{"n":3}"#));
    assert_eq!(here(&world, "notes"), value(r#"{"n":2}"#));
    assert_eq!((world.status().held, world.status().last_error), (0, None));
    assert_eq!(world.disk.left(), (0, 0));
    world.assert_once();
}

#[test]
fn a_change_that_may_not_be_made_is_held_and_holds_nothing_up() {
    let mut world = started(Access::Read);
    world.server.change(TEAM, "files", "sa", Some(r#"{"n":1}"#));
    world.poke();
    world.run(1_000);
    world.put("files", "a", r#"{"n":2}"#);
    world.put("files", "b", r#"{"n":2}"#);
    world.put("notes", "a", r#"{"n":3}"#);
    world.run(20_000);
    assert_eq!(held(&world), ["read-only", "read-only"]);
    assert_eq!(world.server.values("alice", "notes"), value(r#"{"n":3}"#));
    assert_eq!(world.disk.left(), (0, 0));
    // What the server has comes back for the one, and for the other that it has nothing.
    settle(&mut world, Choice::Remote);
    world.resolved.remove(&900);
    settle(&mut world, Choice::Remote);
    assert_eq!(here(&world, "files"), value(r#"{"n":1}"#));
    assert_eq!(held(&world), [""; 0]);
    // The team's changes go on arriving.
    world.server.change(TEAM, "files", "sa", Some(r#"{"n":4}"#));
    world.poke();
    world.run(1_000);
    assert_eq!(here(&world, "files"), value(r#"{"n":4}"#));
}

#[test]
fn what_is_no_longer_granted_stays_and_its_changes_wait() {
    let mut world = started(Access::Write);
    world.put("files", "a", r#"{"n":1}"#);
    world.run(10_000);
    world.server.grant(&[]);
    world
        .server
        .change(TEAM, "files", "sa", Some(r#"{"n":9,"m":1}"#));
    world.put("files", "b", r#"{"n":2}"#);
    world.put("notes", "a", r#"{"n":3}"#);
    world.run(80_000);
    assert_eq!(held(&world), ["wrong-space"]);
    assert_eq!(world.server.values("alice", "notes"), value(r#"{"n":3}"#));
    assert_eq!(here(&world, "files")[0], value(r#"{"n":1}"#)[0]);
    assert_eq!(world.status().phase, Phase::Idle);
    // Granted again: what others did meanwhile arrives, and what waited can go.
    world.server.grant(&[("team-1", Access::Write)]);
    settle(&mut world, Choice::Local);
    world.run(70_000);
    assert_eq!(here(&world, "files"), world.server.values(TEAM, "files"));
    assert_eq!(here(&world, "files").len(), 2);
    assert_eq!(held(&world), [""; 0]);
}

#[test]
fn what_waited_for_a_right_goes_when_it_comes() {
    for before in [&[][..], &[("team-1", Access::Read)]] {
        for restarts in [false, true] {
            let mut world = started(Access::Write);
            for key in ["a", "b"] {
                world.put("files", key, r#"{"n":1}"#);
            }
            world.run(10_000);
            world.server.grant(before);
            world.put("files", "a", r#"{"n":2}"#);
            world.delete("files", "b");
            world.run(80_000);
            assert_eq!(held(&world).len(), 2);
            let pushes = world.sent.len();
            world.run(300_000);
            assert_eq!(world.sent.len(), pushes, "nothing is tried in vain");
            world.server.grant(&[("team-1", Access::Write)]);
            if restarts {
                world.start();
            }
            world.run(80_000);
            assert_eq!(held(&world), [""; 0], "{before:?} {restarts}");
            assert_eq!(world.server.values(TEAM, "files"), value(r#"{"n":2}"#));
            assert_eq!(here(&world, "files"), value(r#"{"n":2}"#));
            assert_eq!(world.disk.left(), (0, 0));
        }
    }
}

/// What the user has given up while the space was not granted is not sent when it is.
#[test]
fn what_was_given_up_never_goes_by_itself() {
    let mut world = started(Access::Write);
    world.put("files", "a", r#"{"n":1}"#);
    world.run(10_000);
    world.server.grant(&[]);
    world.put("files", "a", r#"{"n":2}"#);
    world.run(80_000);
    settle(&mut world, Choice::Remote);
    assert_eq!(held(&world), ["wrong-space"], "it cannot be asked for");
    world.server.grant(&[("team-1", Access::Write)]);
    world.run(80_000);
    assert_eq!(held(&world), ["wrong-space"]);
    world.resolved.remove(&900);
    settle(&mut world, Choice::Remote);
    assert_eq!(held(&world), [""; 0]);
    assert_eq!(here(&world, "files"), value(r#"{"n":1}"#));
    assert_eq!(world.server.values(TEAM, "files"), value(r#"{"n":1}"#));
}

/// A server whose pushes and pulls say different things is not asked without end.
#[test]
fn a_right_that_is_there_and_is_not_is_tried_once() {
    let mut world = started(Access::Write);
    world.server.contradicts = true;
    world.put("files", "a", r#"{"n":1}"#);
    world.run(600_000);
    assert_eq!(held(&world), ["read-only"]);
    assert_eq!(world.sent.len(), 1);
    world.start();
    world.run(600_000);
    assert_eq!(held(&world), ["read-only"]);
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn a_backend_that_refuses_the_whole_push_for_a_space_is_understood() {
    let mut world = started(Access::Write);
    world.server.script.push_back(world::server::Fault::Refuse {
        status: 403,
        code: "wrong-space",
    });
    world.server.script.push_back(world::server::Fault::Refuse {
        status: 403,
        code: "wrong-space",
    });
    world.put("files", "a", r#"{"n":1}"#);
    world.put("notes", "a", r#"{"n":3}"#);
    world.run(20_000);
    assert_eq!(held(&world), ["wrong-space"]);
    assert_eq!(world.server.values("alice", "notes"), value(r#"{"n":3}"#));
}

/// All is pulled from scratch while the space is not granted: that says nothing about its records.
#[test]
fn records_of_a_space_that_a_pull_from_scratch_does_not_cover_stay() {
    let mut world = started(Access::Write);
    world.put("files", "a", r#"{"n":1}"#);
    world.put("notes", "a", r#"{"n":2}"#);
    world.run(10_000);
    world.server.grant(&[]);
    world.server.records.clear();
    world.server.oldest_cursor = u64::MAX;
    world.run(70_000);
    assert_eq!(here(&world, "files"), value(r#"{"n":1}"#));
    assert!(here(&world, "notes").is_empty(), "removed, and forgotten");
    assert_eq!(held(&world), [""; 0]);
}

#[test]
fn what_a_restored_server_lacks_is_sent_again_where_that_may_be() {
    for (access, sent) in [
        (Some(Access::Write), true),
        (Some(Access::Read), false),
        (None, false),
    ] {
        let mut world = started(Access::Write);
        world.put("files", "a", r#"{"n":1}"#);
        world.run(10_000);
        let granted: Vec<_> = access.iter().map(|it| ("team-1", *it)).collect();
        world.server.grant(&granted);
        world.server.records.clear();
        world.server.epoch = "restored".to_owned();
        world.run(140_000);
        assert_eq!(here(&world, "files"), value(r#"{"n":1}"#), "{access:?}");
        let there = !world.server.values(TEAM, "files").is_empty();
        assert_eq!((there, held(&world).len()), (sent, 0), "{access:?}");
    }
}

/// The server was restored, and has an older state of what may only be read.
#[test]
fn what_a_restored_server_has_is_taken_where_nothing_may_be_sent() {
    let mut world = started(Access::Read);
    for key in ["sa", "sb", "sc"] {
        world.server.change(TEAM, "files", key, Some(r#"{"n":1}"#));
    }
    world.poke();
    world.run(1_000);
    let copy = world.server.copy();
    world.server.change(TEAM, "files", "sa", Some(r#"{"n":2}"#));
    world.server.change(TEAM, "files", "sb", None);
    world.poke();
    world.run(1_000);
    world.server.records = copy.0;
    world.server.epoch = "restored".to_owned();
    world.run(140_000);
    assert_eq!(held(&world), [""; 0]);
    assert_eq!(here(&world, "files"), world.server.values(TEAM, "files"));
    assert_eq!(world.disk.left(), (0, 0));
}

#[test]
fn a_table_never_moves_to_another_space() {
    for space in [None, Some("team-2")] {
        let mut world = started(Access::Write);
        world.put("files", "a", r#"{"n":1}"#);
        world.run(10_000);
        world.put("files", "b", r#"{"n":2}"#);
        world.sent.clear();
        let pulls = world.server.pulls;
        world.config = space.map_or_else(Config::default, config);
        world.server.grant(&[("team-2", Access::Write)]);
        world.start();
        let call = world.force();
        world.run(200_000);
        let status = world.status();
        assert_eq!(status.phase, Phase::EngineFailed);
        let error = status.last_error.expect("an error");
        assert_eq!(error.code, "space-changed");
        assert!(error.message.contains("files"), "{}", error.message);
        assert_eq!(world.resolved.get(&call), Some(&false));
        assert_eq!((world.sent.len(), world.server.pulls), (0, pulls));
        // With the space that it had, everything goes on.
        world.config = config("team-1");
        world.server.grant(&[("team-1", Access::Write)]);
        world.start();
        world.run(20_000);
        assert_eq!(here(&world, "files"), world.server.values(TEAM, "files"));
    }
}

#[test]
fn a_space_can_be_chosen_until_somebody_has_signed_in() {
    let mut world = World::with(Config::default(), Disk::new(&["files"]));
    world.sign_in(None);
    world.enabled = Some(true);
    world.start();
    world.run(10_000);
    world.config = config("team-1");
    world.server.grant(&[("team-1", Access::Write)]);
    world.start();
    world.sign_in(Some("alice"));
    world.run(10_000);
    world.put("files", "a", "1");
    world.run(10_000);
    assert_eq!(world.server.values(TEAM, "files"), value("1"));
}
