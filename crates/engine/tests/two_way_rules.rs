//! What the app's database refuses by a rule of its own holds up nothing else.

mod world;

use tidesync_engine::Strategy;
use tidesync_engine::interface::{Call, Choice, Chosen, Input};
use world::World;
use world::files::{here, remote, resolving, there};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The server has forgotten removals of which the device has not heard.
fn pull_from_scratch(world: &mut World) {
    world.server.oldest_cursor = u64::MAX;
    world.poke();
    world.run(1_000);
    world.server.oldest_cursor = 0;
    world.run(100_000);
}

#[test]
fn a_record_that_the_apps_database_refuses_holds_up_no_other() {
    let mut world = World::started(&["files"]);
    world.disk.refused.push("sb".to_owned());
    for rid in ["sa", "sb", "sc"] {
        world
            .server
            .change("alice", "files", rid, Some(r#"{"x":1}"#));
    }
    world.poke();
    world.run(1_000);
    assert!(here(&world, "sa").is_some() && here(&world, "sc").is_some());
    assert_eq!(here(&world, "sb"), None);
    assert!(
        world
            .lines()
            .contains(&"Record left out (table files): ConstraintError")
    );
    // It is not taken for removed here, and later changes go on as ever.
    world.put("files", "d", r#"{"x":1}"#);
    let call = world.backup();
    world.run(20_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    assert!(there(&world, "sb").is_some() && there(&world, "sd").is_some());
    world.disk.refused.clear();
    remote(&mut world, "sb", Some(r#"{"x":2}"#));
    world.run(1_000);
    world.assert_synced("alice");
}

#[test]
fn what_cannot_be_taken_over_in_a_pull_from_scratch_is_not_removed() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.disk.refused.push("sa".to_owned());
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":2}"#));
    pull_from_scratch(&mut world);
    // The server has it: only what it did not bring is gone.
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":1}"#));
    world.disk.refused.clear();
    remote(&mut world, "sa", Some(r#"{"x":3}"#));
    world.run(1_000);
    world.assert_synced("alice");
}

#[test]
fn a_value_that_cannot_be_read_in_a_pull_from_scratch_removes_nothing() {
    let mut world = World::started(&["files"]);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world
        .server
        .change("alice", "files", "sa", Some(r#"["~from-the-future",1]"#));
    pull_from_scratch(&mut world);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":1}"#));
    assert!(
        world
            .lines()
            .contains(&"Record left out (table files): bad-value")
    );
}

#[test]
fn a_unique_value_that_moved_from_one_record_to_another_is_taken_over() {
    let mut world = World::started(&["files"]);
    world.disk.unique = Some("name");
    world.put("files", "b", r#"{"name":"one"}"#);
    world.run(10_000);
    // Another device gives the value free, gives it to another record, and changes the first again.
    for (rid, value) in [
        ("sb", r#"{"name":"two"}"#),
        ("sa", r#"{"name":"one"}"#),
        ("sb", r#"{"name":"two","x":1}"#),
    ] {
        world.server.change("alice", "files", rid, Some(value));
    }
    world.poke();
    world.run(1_000);
    world.assert_synced("alice");
}

/// A conflict whose decision the app's database refuses, while another record waits.
fn conflict_that_is_refused(conflict: Strategy) -> World {
    let mut world = resolving(conflict);
    world.put("files", "a", r#"{"x":1}"#);
    world.run(10_000);
    world.disk.refused.push("sa".to_owned());
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":5}"#));
    world.put("files", "a", r#"{"x":2}"#);
    world.run(20_000);
    world
}

/// The decision of the only conflict was refused, and everything else goes on.
fn assert_refused(world: &mut World, storages: usize) {
    let line = "Decision refused (table files): \
                the app's database refuses what was decided: ConstraintError";
    let lines = world.lines();
    assert_eq!(lines.iter().filter(|it| **it == line).count(), storages);
    let (_, notice, _) = world.disk.held.values().next().expect("held");
    assert!(notice.message.contains("ConstraintError"), "{notice:?}");
    let call = world.force();
    world.run(30_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    let status = world.status();
    assert_eq!((status.held, status.conflicts, status.pending), (1, 1, 0));
    assert!(status.last_error.is_none(), "{status:?}");
    assert_eq!(here(world, "sa").as_deref(), Some(r#"{"x":2}"#));
}

#[test]
fn a_servers_record_that_the_apps_database_refuses_holds_up_nothing() {
    let mut world = conflict_that_is_refused(Strategy::ServerPriority);
    assert_refused(&mut world, 1);
    // What stands in the way goes: the decision is carried out.
    world.disk.refused.clear();
    world.put("files", "b", r#"{"x":1}"#);
    world.run(30_000);
    assert_eq!(here(&world, "sa").as_deref(), Some(r#"{"x":5}"#));
    world.assert_synced("alice");
}

#[test]
fn a_chosen_value_that_the_apps_database_refuses_holds_up_nothing() {
    let mut world = conflict_that_is_refused(Strategy::Custom);
    let chosen = |value: &str| {
        Ok(Chosen {
            value: Some(value.to_owned()),
        })
    };
    let (task, _) = world.asked.pop().expect("a question");
    world.input(Input::ResolverAnswered {
        task,
        outcome: chosen(r#"{"x":7}"#),
    });
    world.run(20_000);
    assert_refused(&mut world, 1);
    assert!(world.asked.is_empty(), "asked again and again");
    // The server's record changes: it is another question.
    world.disk.refused.clear();
    remote(&mut world, "sa", Some(r#"{"x":6}"#));
    world.run(20_000);
    let (task, _) = world.asked.pop().expect("a question");
    world.input(Input::ResolverAnswered {
        task,
        outcome: chosen(r#"{"x":8}"#),
    });
    world.run(20_000);
    assert_eq!(there(&world, "sa").as_deref(), Some(r#"{"x":8}"#));
    world.assert_synced("alice");
}

#[test]
fn a_person_is_told_that_the_apps_database_refuses_what_was_chosen() {
    let mut world = conflict_that_is_refused(Strategy::Manual);
    let op = world.disk.held.keys().next().expect("held").clone();
    let settle = |world: &mut World, call| {
        world.input(Input::SettleHeld {
            call: Call(call),
            op: op.clone(),
            choice: Choice::Remote,
        });
        world.run(20_000);
        world.resolved.get(&call).copied()
    };
    assert_eq!(settle(&mut world, 901), Some(false));
    assert_eq!(settle(&mut world, 902), Some(false));
    assert_refused(&mut world, 2);
    world.disk.refused.clear();
    assert_eq!(settle(&mut world, 903), Some(true));
    world.assert_synced("alice");
}
