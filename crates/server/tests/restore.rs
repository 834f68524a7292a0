//! A server whose database was restored from an older copy knows it as soon as a client shows a cursor
//! that was given since, and begins a new epoch (I20, F46).

mod support;

use std::path::Path;

use serde_json::json;
use support::client::Answer;
use support::ops::{client, on, patch, put};
use support::{Running, start_with};
use tidesync_server::access::Access;

fn serve(path: &Path) -> Running {
    start_with(|config| config.database = path.to_owned())
}

fn copy_database(server: &Running, to: &Path) {
    let into = to.to_str().expect("text");
    let copied = server.database().execute("VACUUM INTO ?1", [into]);
    copied.expect("a copy");
}

fn part(answer: &Answer, name: &str) -> String {
    let part = answer.json()[name].as_str().map(str::to_owned);
    part.unwrap_or_else(|| panic!("no {name} in {}", answer.text()))
}

fn write(server: &Running, number: u64) -> Answer {
    let op = put(
        &format!("i.{number}"),
        &format!("n{number}"),
        &json!(number),
    );
    server.push("alice", 'a', &[op])
}

/// A database with a copy of how it was, and a cursor that was given after the copy was made.
struct Restored {
    _folder: tempfile::TempDir,
    server: Running,
    /// Given before the copy was made.
    early: String,
    /// Given after.
    late: String,
    epoch: String,
}

/// Makes `before` changes, a copy, and `after` more; restores the copy, and makes `again` changes.
fn restored(before: u64, after: u64, again: u64) -> Restored {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    let server = serve(&path);
    (0..before).for_each(|number| drop(write(&server, number)));
    let early = part(&server.pull("alice", ""), "cursor");
    copy_database(&server, &copy);
    (before..before + after).for_each(|number| drop(write(&server, number)));
    let page = server.pull("alice", "");
    drop(server);
    std::fs::rename(&copy, &path).expect("the copy in its place");
    let server = serve(&path);
    (100..100 + again).for_each(|number| drop(write(&server, number)));
    Restored {
        _folder: folder,
        server,
        early,
        late: part(&page, "cursor"),
        epoch: part(&page, "epoch"),
    }
}

#[test]
fn a_cursor_that_was_never_given_begins_a_new_epoch() {
    // Less than was there, as much, and more.
    for again in [0, 3, 7] {
        let Restored {
            server,
            late,
            epoch,
            _folder,
            ..
        } = restored(2, 3, again);
        assert_eq!(
            part(&write(&server, 50), "epoch"),
            epoch,
            "nobody knows yet"
        );
        let refused = server.pull("alice", &format!("cursor={late}"));
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (410, "epoch-changed"),
            "{again}"
        );
        let new = part(&refused, "epoch");
        assert_ne!(new, epoch);
        let refused = server.pull("alice", &format!("cursor={late}"));
        assert_eq!(refused.status, 410);
        assert_eq!(part(&refused, "epoch"), new, "one restore is one epoch");
        assert_eq!(part(&write(&server, 51), "epoch"), new);
        let page = server.pull("alice", "");
        assert_eq!(part(&page, "epoch"), new);
        let changes = page.json()["changes"].as_array().map(Vec::len);
        assert_eq!(changes, usize::try_from(2 + again + 2).ok(), "all of it");
        let next = format!("cursor={}", part(&page, "cursor"));
        assert_eq!(server.pull("alice", &next).status, 200);
    }
}

#[test]
fn the_new_epoch_stays_over_a_restart_and_ends_every_older_cursor() {
    let restored = restored(2, 3, 0);
    let path = restored.server.database.clone();
    let refused = restored
        .server
        .pull("alice", &format!("cursor={}", restored.late));
    let new = part(&refused, "epoch");
    drop(restored.server);
    let server = serve(&path);
    assert_eq!(part(&server.pull("alice", ""), "epoch"), new);
    let refused = server.pull("alice", &format!("cursor={}", restored.early));
    assert_eq!(
        (refused.code(), part(&refused, "epoch")),
        ("epoch-changed".to_owned(), new)
    );
}

#[test]
fn what_was_given_before_the_copy_says_nothing_of_a_restore() {
    let restored = restored(2, 3, 1);
    let page = restored
        .server
        .pull("alice", &format!("cursor={}", restored.early));
    assert_eq!(part(&page, "epoch"), restored.epoch);
    assert_eq!(page.json()["changes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_first_pull_that_was_under_way_is_recognised_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    let server = serve(&path);
    write(&server, 0);
    copy_database(&server, &copy);
    (1..4).for_each(|number| drop(write(&server, number)));
    // Its reader has version 1 only, and knows that there was a version 4.
    let under_way = part(&server.pull("alice", "limit=1"), "cursor");
    drop(server);
    std::fs::rename(&copy, &path).expect("the copy in its place");
    let server = serve(&path);
    let refused = server.pull("alice", &format!("cursor={under_way}"));
    assert_eq!(refused.code(), "epoch-changed");
}

/// A database whose user has put, pulled, and patched after a copy was made, which was restored then.
struct Acknowledged {
    server: Running,
    /// Of the pull, from before the copy.
    cursor: String,
    /// Of the patch, from after it.
    place: String,
    epoch: String,
    _folder: tempfile::TempDir,
}

fn value(a: u64, b: u64) -> serde_json::Value {
    json!({ "a": a, "b": b })
}

fn acknowledged() -> Acknowledged {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    let server = serve(&path);
    server.push("alice", 'a', &[put("i.1", "n1", &value(1, 1))]);
    let page = server.pull("alice", "");
    copy_database(&server, &copy);
    let lost = on(1, 9, patch("i.2", "n1", &json!({ "b": 2 }), &[]));
    let answer = server.push("alice", 'a', &[lost]);
    assert_eq!(answer.verdicts()[0].2, Some(2));
    drop(server);
    std::fs::rename(&copy, &path).expect("the copy in its place");
    let server = serve(&path);
    let other = on(1, 9, patch("i.1", "n1", &json!({ "a": 5 }), &[]));
    assert_eq!(server.push("alice", 'b', &[other]).verdicts()[0].2, Some(2));
    Acknowledged {
        server,
        cursor: part(&page, "cursor"),
        place: part(&answer, "place"),
        epoch: part(&page, "epoch"),
        _folder: folder,
    }
}

fn push_at(server: &Running, place: &str, ops: &[serde_json::Value]) -> Answer {
    let body = json!({
        "protocol": 1, "client": client('a'), "subject": "alice", "batch": "b", "place": place,
        "ops": ops
    });
    server.post("alice", body.to_string().as_bytes())
}

#[test]
fn who_pushed_since_the_copy_is_told_of_the_restore() {
    let it = acknowledged();
    // Its base is there, and is another change.
    let next = || [on(2, 10, patch("i.3", "n1", &json!({ "a": 3 }), &[]))];
    let refused = push_at(&it.server, &it.place, &next());
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (410, "epoch-changed")
    );
    assert_ne!(part(&refused, "epoch"), it.epoch);
    let records = it.server.records();
    assert_eq!(
        records,
        [r#"~alice files n1 {"a":5,"b":1} 2 0"#],
        "nothing was done"
    );
    let page = it.server.pull("alice", "");
    let answer = push_at(&it.server, &part(&page, "cursor"), &next());
    assert_eq!(answer.status, 200, "a cursor is a place: {}", answer.text());
}

#[test]
fn a_pull_says_where_the_last_push_was() {
    let it = acknowledged();
    let old = format!("cursor={}", it.cursor);
    assert_eq!(
        it.server.pull("alice", &old).status,
        200,
        "it was given before the copy"
    );
    let refused = it
        .server
        .pull("alice", &format!("{old}&place={}", it.place));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (410, "epoch-changed")
    );
}

#[test]
fn a_place_goes_on_with_the_spaces_that_a_push_does_not_name() {
    let granted = [("team", Access::Write)];
    let server = start_with(|_| {});
    let push = |number: u64, space: &str, place: Option<&str>| {
        let mut op = put(&format!("i.{number}"), "n1", &json!(number));
        op["space"] = json!(space);
        let mut body = json!({
            "protocol": 1, "client": client('a'), "subject": "alice", "batch": "b", "ops": [op]
        });
        if let Some(place) = place {
            body["place"] = json!(place);
        }
        let bearer = server.bearer_of("alice", &granted);
        server.post_with(&[("authorization", &bearer)], body.to_string().as_bytes())
    };
    let spaces = |answer: &Answer| {
        use base64::Engine;
        let place = part(answer, "place");
        let payload = place.split_once('.').expect("two parts").0;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
        let payload: serde_json::Value =
            serde_json::from_slice(&payload.expect("base64")).expect("JSON");
        [&payload["s"]["team"][0], &payload["s"]["~"][0]].map(serde_json::Value::as_u64)
    };
    let first = push(1, "team", None);
    assert_eq!(spaces(&first), [Some(1), None]);
    let second = push(2, "~", Some(&part(&first, "place")));
    assert_eq!(spaces(&second), [Some(1), Some(1)]);
    let again = push(2, "~", None);
    assert_eq!(again.verdicts()[0].1, "duplicate");
    assert_eq!(
        spaces(&again),
        [None, Some(1)],
        "of what was done before too"
    );
}

/// A client that had another server before: it must not blame its operations for that.
#[test]
fn a_place_of_another_server_is_one_of_another_history() {
    let server = start_with(|_| {});
    write(&server, 0);
    let epoch = part(&server.pull("alice", ""), "epoch");
    for place in ["x", "", "7.9"] {
        let refused = push_at(&server, place, &[put("i.9", "n9", &json!(9))]);
        assert_eq!(
            (refused.status, part(&refused, "epoch")),
            (410, epoch.clone())
        );
        let refused = server.pull("alice", &format!("place={place}"));
        assert_eq!(
            (refused.status, part(&refused, "epoch")),
            (410, epoch.clone())
        );
    }
    assert_eq!(server.records().len(), 1, "nothing was done");
}

#[test]
fn who_must_begin_anew_is_told_where_the_histories_part() {
    // Where nothing came since the copy, as much as was lost, and more.
    for again in [0, 3, 7] {
        let restored = restored(2, 3, again);
        let parted = |cursor: &str| {
            let refused = restored.server.pull("alice", &format!("cursor={cursor}"));
            assert_eq!(refused.status, 410);
            refused.json()["parted"].clone()
        };
        assert_eq!(parted(&restored.late), json!({ "~": 2 }), "{again}");
        // Also once the new epoch has begun, and to who has lost nothing.
        assert_eq!(parted(&restored.late), json!({ "~": 2 }), "{again}");
        assert_eq!(parted(&restored.early), json!({ "~": 2 }), "{again}");
        assert_eq!(parted("x"), json!(null));
    }
    let it = acknowledged();
    let refused = push_at(&it.server, &it.place, &[]);
    assert_eq!(refused.json()["parted"], json!({ "~": 1 }));
}

/// The copy is from before the last start of the server that has given anything: nobody here knows it.
#[test]
fn of_a_start_that_was_lost_as_a_whole_nothing_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    let server = serve(&path);
    write(&server, 0);
    copy_database(&server, &copy);
    drop(server);
    let server = serve(&path);
    write(&server, 1);
    let late = part(&server.pull("alice", ""), "cursor");
    drop(server);
    std::fs::rename(&copy, &path).expect("the copy in its place");
    let server = serve(&path);
    let refused = server.pull("alice", &format!("cursor={late}"));
    assert_eq!(refused.code(), "epoch-changed");
    assert_eq!(refused.json()["parted"], json!(null));
}

#[test]
fn nobody_can_make_up_a_restore() {
    let server = start_with(|_| {});
    (0..5).for_each(|number| drop(write(&server, number)));
    let epoch = part(&server.pull("alice", ""), "epoch");
    let cursor = part(&server.pull("alice", ""), "cursor");
    let tag = cursor.split_once('.').expect("two parts").1;
    let forged = json!({ "e": epoch, "s": { "~": [99, "boot"] } });
    let forged = {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(forged.to_string())
    };
    let refused = server.pull("alice", &format!("cursor={forged}.{tag}"));
    assert_eq!(refused.code(), "cursor-expired");
    let refused = push_at(&server, &format!("{forged}.{tag}"), &[]);
    assert_eq!(part(&refused, "epoch"), epoch);
    assert_eq!(part(&server.pull("alice", ""), "epoch"), epoch);
}

#[test]
fn a_change_of_what_was_lost_is_asked_for_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    let server = serve(&path);
    let value = |a: u64, b: u64| json!({ "a": a, "b": b });
    let push = |server: &Running, op| server.push("alice", 'a', &[op]).json()["verdicts"][0].take();
    push(&server, put("i.1", "n1", &value(1, 1)));
    copy_database(&server, &copy);
    let lost = patch("i.2", "n1", &json!({ "b": 2 }), &[]);
    assert_eq!(push(&server, on(1, 9, lost))["version"], 2);
    drop(server);
    std::fs::rename(&copy, &path).expect("the copy in its place");
    let server = serve(&path);
    // With only the field that it names, the change of the other one would stay lost.
    let next = patch("i.3", "n1", &json!({ "a": 3 }), &[]);
    assert_eq!(push(&server, on(2, 10, next))["verdict"], "need-full");
    let whole = on(2, 10, put("i.4", "n1", &value(3, 2)));
    let said = push(&server, whole);
    assert_eq!(said["verdict"], "merged");
    assert_eq!(said["record"]["value"], value(3, 2));
}
