//! A server that was restored from an older copy is recognised by what it had acknowledged, also by who
//! has pushed and not pulled since the copy (F46).

mod world;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};
use world::World;
use world::server::Fault;

/// A device whose last change was acknowledged after a copy was made, which was restored then; and
/// another has made the same version of the same record since. The first has not pulled.
fn acknowledged() -> World {
    let mut world = World::started(&["files"]);
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
    world
        .server
        .change("alice", "files", "sa", Some(r#"{"x":1,"y":1,"w":1}"#));
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
