//! A server that was restored from an older copy is recognised by what it had acknowledged, also by who
//! has pushed and not pulled since the copy (F46).

mod world;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};
use tidesync_engine::Strategy;
use world::World;
use world::files::resolving;
use world::server::Fault;

/// A device whose last change was acknowledged after a copy was made, which was restored then; and
/// another has changed the record and one beside it so often since: once makes the same version again.
/// The first has not pulled.
fn acknowledged_before(changes: u64) -> World {
    acknowledged_with(World::started(&["files"]), changes)
}

fn acknowledged() -> World {
    acknowledged_before(1)
}

fn acknowledged_with(mut world: World, changes: u64) -> World {
    world.put("files", "a", r#"{"x":1,"y":1}"#);
    world.run(10_000);
    world.assert_synced("alice");
    let copy = world.server.copy();
    world.server.pulls_fail = true;
    world.put("files", "a", r#"{"x":2,"y":1}"#);
    world.run(3_000);
    let there = |world: &World| world.server.values("alice", "files")[0].1.clone();
    assert_eq!(there(&world), r#"{"x":2,"y":1}"#, "acknowledged");
    world.server.restore(copy);
    for n in 1..=changes {
        let theirs = format!(r#"{{"x":1,"y":1,"w":{n}}}"#);
        world.server.change("alice", "files", "sa", Some(&theirs));
    }
    world.server.pulls_fail = false;
    world
}

fn there(world: &World) -> Value {
    let values = world.server.values("alice", "files");
    serde_json::from_str(&values[0].1).expect("JSON")
}

#[test]
fn a_change_that_was_acknowledged_before_a_restore_is_sent_again() {
    let mut world = acknowledged();
    world.run(200_000);
    let call = world.force();
    world.run(100_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    assert_eq!(there(&world)["x"], json!(2));
    world.assert_synced("alice");
}

#[test]
fn it_is_sent_again_also_where_others_have_raised_the_version_since() {
    for changes in [0, 2, 5] {
        let mut world = acknowledged_before(changes);
        world.run(200_000);
        let call = world.force();
        world.run(100_000);
        assert_eq!(world.resolved.get(&call), Some(&true));
        let w = (changes > 0).then(|| json!(changes));
        let there = there(&world);
        assert_eq!((&there["x"], there.get("w")), (&json!(2), w.as_ref()));
        world.assert_synced("alice");
    }
}

#[test]
fn what_others_have_changed_since_the_copy_stands_against_it() {
    for theirs in [r#"{"x":7,"y":1}"#, r#"{"x":7,"y":2}"#] {
        for more in [0, 3] {
            let world = resolving(Strategy::Manual);
            let mut world = acknowledged_with(world, 0);
            world.server.change("alice", "files", "sa", Some(theirs));
            (0..more).for_each(|_| world.server.change("alice", "files", "sb", Some("1")));
            world.server.change("alice", "files", "sa", Some(theirs));
            world.run(200_000);
            assert_eq!((world.status().conflicts, world.status().held), (1, 1));
            assert_eq!(there(&world)["x"], json!(7), "nothing is overwritten");
            let ours = world.disk.values("files")[0].1.clone();
            let ours: Value = serde_json::from_str(&ours).expect("JSON");
            assert_eq!(ours["x"], json!(2), "nor here");
        }
    }
}

/// What was not lost is not sent again over what others have made of it since.
#[test]
fn what_both_know_goes_on_as_ever() {
    let mut world = World::started(&["files"]);
    for key in ["b", "c"] {
        world.put("files", key, r#"{"x":1}"#);
    }
    world.run(70_000);
    let mut world = acknowledged_with(world, 1);
    let theirs = r#"{"x":9}"#;
    world.server.change("alice", "files", "sb", Some(theirs));
    world.server.change("alice", "files", "sc", None);
    world.run(300_000);
    let values = world.disk.values("files");
    assert_eq!(values[1..], [("sb".to_owned(), theirs.to_owned())]);
    world.assert_synced("alice");
}

#[test]
fn a_push_on_a_version_that_was_given_again_is_done_after_comparing() {
    let mut world = acknowledged();
    world.put("files", "a", r#"{"x":2,"y":3}"#);
    world.run(200_000);
    let call = world.force();
    world.run(100_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    let there = there(&world);
    assert_eq!((&there["x"], &there["y"]), (&json!(2), &json!(3)));
    world.assert_synced("alice");
}

/// The server has forgotten this client before all that it lost was sent again.
#[test]
fn what_a_restored_server_lacks_is_sent_also_by_a_new_client() {
    let mut world = World::started(&["files"]);
    let copy = world.server.copy();
    world.server.pulls_fail = true;
    for key in ["a", "b"] {
        world.put("files", key, r#"{"n":1}"#);
    }
    world.run(3_000);
    assert_eq!(world.server.values("alice", "files").len(), 2);
    world.server.restore(copy);
    world.server.pulls_fail = false;
    world.put("files", "c", r#"{"n":1}"#);
    let expired = Fault::Refuse {
        status: 409,
        code: "client-expired",
    };
    // The first is refused for where the server was, the next two in this sync and the one after it.
    world.server.script = [Fault::None, expired.clone(), expired].into();
    world.run(400_000);
    let call = world.force();
    world.run(100_000);
    assert_eq!(world.resolved.get(&call), Some(&true));
    assert_eq!(world.disk.values("files").len(), 3);
    world.assert_synced("alice");
}
