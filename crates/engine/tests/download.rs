//! A first download: in large steps, and in small ones while the app writes.

mod world;

use world::World;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const RECORDS: usize = 2_500;

fn downloading() -> World {
    let mut world = World::new(&["files"]);
    for at in 0..RECORDS {
        let rid = format!("sk{at}");
        let value = Some(r#"{"n":1}"#);
        world.server.change("alice", "files", &rid, value);
    }
    world.start();
    world
}

#[test]
fn while_the_app_writes_its_next_write_waits_for_a_few_records_only() {
    let mut world = downloading();
    world.run(2_100);
    let before = world.disk.values("files").len();
    assert!(before < RECORDS, "{before}");
    world.disk.most_records = 0;
    // One of them is of the page that is under way.
    for at in ["own1", "k1999", "own2", "k2000"] {
        world.put("files", at, r#"{"n":2}"#);
        world.run(60);
    }
    assert!((1..=50).contains(&world.disk.most_records));
    world.run(100_000);
    assert_eq!(world.disk.values("files").len(), RECORDS + 2);
    world.assert_synced("alice");
}

#[test]
fn while_the_app_writes_nothing_the_steps_are_large() {
    let mut world = downloading();
    world.run(10_000);
    assert_eq!(world.disk.most_records, 1_000);
    assert_eq!(world.server.pulls, 3);
    world.assert_synced("alice");
}

#[test]
fn a_death_between_two_steps_of_a_page_loses_nothing() {
    for dies_at in [10, 20, 30, 40, 60] {
        let mut world = downloading();
        world.dies_at = Some((dies_at, true));
        for at in 0..40 {
            world.put("files", &format!("own{at}"), r#"{"n":2}"#);
            world.run(100);
        }
        world.run(100_000);
        assert_eq!(world.deaths, 1);
        assert_eq!(world.disk.values("files").len(), RECORDS + 40);
        world.assert_synced("alice");
    }
}
