//! What is written and read of the shadow: about as much as changes.

mod world;

use tidesync_engine::interface::RowUser;
use world::World;
use world::disk::Row;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A world that has downloaded so many records of so many fields.
fn downloaded(records: usize, fields: usize) -> World {
    let mut world = World::new(&["files"]);
    for at in 0..records {
        let rid = format!("sk{at}");
        let value = value(at, fields);
        world.server.change("alice", "files", &rid, Some(&value));
    }
    world.start();
    world.run(100_000);
    assert_eq!(world.disk.values("files").len(), records);
    world
}

fn value(at: usize, fields: usize) -> String {
    let fields: Vec<String> = (0..fields)
        .map(|field| format!(r#""f{field}":{at}"#))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn stored(world: &World) -> usize {
    world.disk.pages.values().map(Vec::len).sum()
}

#[test]
fn a_download_writes_in_proportion_to_its_records() {
    for records in [2_000, 8_000] {
        let world = downloaded(records, 7);
        let (written, stored) = (world.disk.page_bytes, stored(&world));
        assert!(
            written < 4 * stored,
            "{written} bytes for {stored} of {records} records"
        );
    }
}

#[test]
fn a_change_writes_little_in_a_large_table() {
    let mut world = downloaded(4_000, 7);
    let before = world.disk.page_bytes;
    for at in 0..100 {
        world.put("files", "k7", &format!(r#"{{"a":{at}}}"#));
        world.run(10_000);
    }
    world.assert_synced("alice");
    let each = (world.disk.page_bytes - before) / 100;
    assert!(each < 2_048, "{each} bytes for a change");
}

#[test]
fn what_is_in_parts_is_read_after_a_reload() {
    let mut world = downloaded(2_000, 7);
    for at in 0..40 {
        world.put("files", "k7", &format!(r#"{{"a":{at},"b":1}}"#));
        world.run(10_000);
    }
    let sent = world.sent.len();
    world.start();
    world.put("files", "k7", r#"{"a":39,"b":1}"#);
    world.run(100_000);
    // What the server has already is not sent: the last part says what that is.
    assert_eq!(world.sent.len(), sent);
    world.assert_synced("alice");
}

#[test]
fn a_download_larger_than_memory_holds_reads_little_of_what_it_wrote() {
    let mut world = downloaded(12_000, 60);
    let stored = stored(&world);
    assert!(stored > 6_000_000, "{stored} bytes");
    let read = world.disk.page_bytes_read;
    assert!(read < 2 * stored, "{read} bytes read of {stored}");
    // What was put behind pages that were not in memory is known all the same.
    for at in [3, 6_000, 11_999] {
        world.put("files", &format!("k{at}"), &value(at, 60));
    }
    world.run(100_000);
    assert_eq!(world.sent.len(), 0);
    world.put("files", "k3", &value(4, 60));
    world.run(100_000);
    assert_eq!(world.sent.len(), 1);
    world.assert_synced("alice");
}

#[test]
fn verdicts_that_wait_for_records_to_be_taken_over_keep_what_they_need_in_memory() {
    let mut world = downloaded(2_500, 60);
    for at in (0..2_000).step_by(10).chain([7]) {
        world.put("files", &format!("k{at}"), &value(at + 1, 60));
    }
    // Another device has changed one of them, so that the verdicts bring that record.
    let other = r#"{"f0":0,"other":1}"#;
    world.server.change("alice", "files", "sk7", Some(other));
    while world.sent.is_empty() {
        world.step().expect("a push");
    }
    // The app writes it again before the record is taken over, and one that can be staged at once.
    for key in ["k2400", "k7"] {
        let user = RowUser::User("alice".to_owned());
        let late = Row::default().put(key, &value(9, 60));
        world.disk.write("files", user, world.now.wall_ms, late);
    }
    world.run(100_000);
    world.assert_synced("alice");
}
