//! What waits is sent in large batches, and in small ones while the app writes beside it.

mod world;

use world::World;
use world::disk::Row;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ROWS: usize = 120;
const EACH: usize = 50;

/// So many rows wait, and the app has written nothing for longer than it counts as writing.
fn pending(rows: usize) -> World {
    let mut world = World::started(&["files"]);
    for row in 0..rows {
        let mut changes = Row::default();
        for at in 0..EACH {
            changes = changes.put(&format!("k{row}.{at}"), r#"{"n":1}"#);
        }
        world.write("files", changes);
    }
    world.run(1_000);
    world
}

fn assert_all_sent(world: &World, own: usize) {
    let sent: usize = world.sent.iter().map(|push| push.ops).sum();
    assert_eq!(sent, ROWS * EACH + own);
    world.assert_synced("alice");
}

#[test]
fn while_the_app_writes_nothing_batches_are_large() {
    let mut world = pending(ROWS);
    world.run(100_000);
    assert_eq!(world.sent.len(), 6, "{:?}", world.sent);
    assert_all_sent(&world, 0);
}

#[test]
fn the_same_key_in_two_tables_is_two_records() {
    let mut world = World::started(&["files", "notes"]);
    world.put("files", "k", r#"{"n":1}"#);
    world.put("notes", "k", r#"{"n":1}"#);
    assert_eq!(world.status().pending, 2);
    world.run(100_000);
    assert_eq!(world.status().pending, 0);
    world.assert_synced("alice");
}

/// The app writes so many records, one after the other.
fn write_on(world: &mut World, records: usize) {
    for at in 0..records {
        world.put("files", &format!("own{at}"), r#"{"n":2}"#);
        world.run(30);
    }
}

#[test]
fn while_the_app_writes_its_next_write_waits_for_a_few_operations_only() {
    let mut world = pending(ROWS);
    write_on(&mut world, 100);
    // What waited before the sync began is what it is for.
    let later: Vec<usize> = world.sent.iter().skip(1).map(|push| push.ops).collect();
    assert!(later.len() >= 10, "{later:?}");
    assert!(later.iter().all(|ops| *ops <= 3 * EACH), "{later:?}");
    world.run(100_000);
    assert_all_sent(&world, 100);
}

#[test]
fn once_the_app_has_stopped_writing_batches_are_large_again() {
    let mut world = pending(ROWS);
    write_on(&mut world, 40);
    let so_far = world.sent.len();
    assert!(so_far >= 3, "the sync is under way");
    world.run(100_000);
    let mut rest = world.sent.iter().skip(so_far);
    assert!(rest.any(|push| push.ops >= 900));
    assert_all_sent(&world, 40);
}

#[test]
fn a_death_in_a_small_step_loses_and_doubles_nothing() {
    let begun = pending(30).effects;
    let mut undisturbed = pending(30);
    write_on(&mut undisturbed, 60);
    let small = undisturbed.sent.iter().filter(|push| push.ops <= 3 * EACH);
    assert!(small.count() >= 3, "there are small steps");
    for at in (begun..undisturbed.effects).step_by(5) {
        for after in [false, true] {
            let mut world = pending(30);
            world.dies_at = Some((at, after));
            write_on(&mut world, 60);
            world.run(100_000);
            assert_eq!(world.deaths, 1, "at {at}");
            world.assert_synced("alice");
        }
    }
}
