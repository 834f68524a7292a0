//! What is forgotten after a time, and what is said to whoever was away for longer (F47).

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::ops::{delete, on, patch, put, resolved_by};
use support::start_with;
use support::store::Store;
use tidesync_protocol::wire::PullResponse;
use tidesync_server::access::{Access, Grant};
use tidesync_server::store::{
    Appended, ApplyError, AuditFilter, BlobLimits, Chunk, PullError, append_blob, audit,
    blob_digest, blob_progress, finish_blob, forget, pull,
};

const DAY_MS: i64 = 24 * 3_600 * 1_000;
const RETENTION_MS: i64 = 90 * DAY_MS;

/// Forgets all that is old.
fn forget_all(store: &Store) -> usize {
    let mut all = 0;
    loop {
        let step = forget(&store.connection, store.now_ms, RETENTION_MS, 100);
        let step = step.expect("forgotten");
        assert!(step <= 100);
        all += step;
        if step == 0 {
            return all;
        }
    }
}

fn is_expired(pushed: &Result<Vec<tidesync_protocol::wire::VerdictEntry>, ApplyError>) -> bool {
    matches!(pushed, Err(ApplyError::ClientExpired))
}

#[test]
fn an_operation_that_was_forgotten_is_not_done_again() {
    let mut store = Store::new();
    let first = [on(0, 1, put("i.7", "n1", &json!("old")))];
    store.push('a', &first);
    store.now_ms += RETENTION_MS;
    let later = [on(1, 2, put("i.9", "n1", &json!("new")))];
    store.push('a', &later);
    assert_eq!(forget_all(&store), 0, "it is as old as may be, not older");
    assert_eq!(store.said('a', first[0].clone()), "duplicate");
    store.now_ms += 1;
    assert_eq!(forget_all(&store), 1);
    assert!(is_expired(&store.try_push('a', &first)));
    let with_new = [on(0, 3, put("i.10", "n2", &json!(1))), first[0].clone()];
    assert!(is_expired(&store.try_push('a', &with_new)));
    assert_eq!(store.count("records"), 1, "nothing of such a push is done");
    let never_sent = [on(0, 3, put("i.3", "n3", &json!(1)))];
    assert!(
        is_expired(&store.try_push('a', &never_sent)),
        "who can tell?"
    );
    // What was not forgotten goes on: later ones, other incarnations, other clients.
    assert_eq!(store.said('a', later[0].clone()), "duplicate");
    assert_eq!(
        store.said('a', on(0, 3, put("i.10", "n2", &json!(1)))),
        "applied"
    );
    assert_eq!(
        store.said('a', on(0, 3, put("j.1", "n4", &json!(1)))),
        "applied"
    );
    assert_eq!(
        store.said('b', on(0, 3, put("i.1", "n5", &json!(1)))),
        "applied"
    );
}

#[test]
fn forgetting_is_done_in_small_steps() {
    let mut store = Store::new();
    let ops: Vec<Value> = (0..250)
        .map(|n| put(&format!("i.{n}"), &format!("n{n}"), &json!(n)))
        .collect();
    store.push('a', &ops);
    store.now_ms += RETENTION_MS + 1;
    let step = || forget(&store.connection, store.now_ms, RETENTION_MS, 100).ok();
    assert_eq!(
        [step(), step(), step(), step()],
        [100, 100, 50, 0].map(Some)
    );
    assert_eq!(
        (store.count("operations"), store.count("incarnations")),
        (0, 1)
    );
    assert_eq!(store.count("records"), 250);
}

/// A store in which `n1` was deleted at version 3 and forgotten since, and cursors from before.
fn with_forgotten_tombstone() -> (Store, [String; 4]) {
    let mut store = Store::new();
    let ops = ["n1", "n2"].map(|rid| {
        on(
            0,
            1,
            put(
                &format!("i.{rid}").replace('n', ""),
                rid,
                &json!({ "a": 1 }),
            ),
        )
    });
    store.push('z', &ops);
    let cursor = |store: &Store, limit: usize| store.pull(None, limit).expect("a page").cursor;
    let before = cursor(&store, 9);
    let under_way_before = cursor(&store, 1);
    store.push('z', &[on(1, 900, delete("i.3", "n1"))]);
    let under_way_since = cursor(&store, 1);
    let since = cursor(&store, 9);
    store.now_ms += RETENTION_MS + 1;
    store.push('z', &[on(0, 1_000, put("i.4", "n4", &json!(4)))]);
    assert_eq!(forget_all(&store), 4);
    assert_eq!(store.count("records"), 2);
    (store, [before, under_way_before, under_way_since, since])
}

/// Who could not read a space while a record of it was removed and forgotten has that record still.
#[test]
fn a_grant_that_comes_back_goes_on_where_it_was() {
    let mut store = Store::new();
    let granted = |spaces: &[&str]| {
        let spaces = spaces.iter().map(|it| ((*it).to_owned(), Access::Write));
        Grant::new("alice", spaces.collect()).expect("good names")
    };
    let (with, without) = (granted(&["team"]), granted(&[]));
    let in_team = |mut op: Value| {
        op["space"] = json!("team");
        op
    };
    let write = |store: &Store, op: Value| store.push_as(&with, 'z', &[in_team(op)]);
    write(&store, on(0, 1, put("i.1", "n1", &json!(1))));
    write(&store, on(0, 2, put("i.2", "n2", &json!(2))));
    let page = |store: &Store, grant: &Grant, cursor: Option<&str>| {
        pull(&store.connection, grant, cursor, 9)
    };
    let rids = |page: &PullResponse| -> Vec<String> {
        page.changes.iter().map(|it| it.rid.clone()).collect()
    };
    let first = page(&store, &with, None).expect("a page");
    assert_eq!(rids(&first), ["n1", "n2"]);
    let withdrawn = page(&store, &without, Some(&first.cursor)).expect("a page");
    write(&store, on(0, 3, put("i.3", "n3", &json!(3))));
    let again = page(&store, &with, Some(&withdrawn.cursor)).expect("a page");
    assert_eq!(rids(&again), ["n3"], "only what is new");
    write(&store, on(1, 900, delete("i.4", "n1")));
    store.now_ms += RETENTION_MS + 1;
    assert_eq!(forget_all(&store), 5);
    let withdrawn = page(&store, &without, Some(&again.cursor)).expect("a page");
    let again = page(&store, &with, Some(&withdrawn.cursor));
    assert!(matches!(again, Err(PullError::Expired)), "{again:?}");
    // Whoever never had the space has nothing of it.
    let never = page(&store, &without, None).expect("a page");
    let newly = page(&store, &with, Some(&never.cursor)).expect("a page");
    assert_eq!(rids(&newly), ["n2", "n3"]);
}

#[test]
fn who_never_saw_a_tombstone_that_is_gone_begins_anew() {
    let (store, [before, under_way_before, under_way_since, since]) = with_forgotten_tombstone();
    for cursor in [before, under_way_before] {
        let pulled = store.pull(Some(&cursor), 9);
        assert!(matches!(pulled, Err(PullError::Expired)), "{pulled:?}");
    }
    // Whoever began when the record was gone never had it.
    for cursor in [&under_way_since, &since] {
        let page = store.pull(Some(cursor), 9).expect("a page");
        assert!(page.changes.iter().any(|change| change.rid == "n4"));
    }
    let mut cursor = None;
    let mut rids = Vec::new();
    loop {
        let page = store.pull(cursor.as_deref(), 1).expect("a page");
        rids.extend(page.changes.into_iter().map(|change| change.rid));
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    assert_eq!(rids, ["n2", "n4"], "from scratch, page by page");
}

#[test]
fn a_device_that_was_away_for_a_year_brings_nothing_back_by_accident() {
    let gone = json!(["merged", null]);
    let value = json!({ "a": 2 });
    let back = json!(["merged", value]);
    let late = 1_000;
    // Whether the change was made before or after the delete, whose time is not known any more.
    let cases = [
        ("last-write-wins", 500, "put", gone.clone()),
        ("last-write-wins", 500, "patch", gone.clone()),
        ("last-write-wins", late, "put", back.clone()),
        ("last-write-wins", late, "patch", json!("need-full")),
        ("merge", 500, "put", back.clone()),
        ("merge", 500, "patch", json!("need-full")),
        ("ask", late, "put", json!(["conflict", null])),
        ("last-write-wins", late, "delete", gone.clone()),
    ];
    for (strategy, at, kind, expected) in cases {
        let (store, _) = with_forgotten_tombstone();
        let op = match kind {
            "put" => put("i.1", "n1", &value),
            "patch" => patch("i.1", "n1", &value, &[]),
            _ => delete("i.1", "n1"),
        };
        let said = store.said('y', resolved_by(strategy, on(1, at, op)));
        assert_eq!(said, expected, "{strategy} {at} {kind}");
        let is_back = expected == back;
        assert_eq!(store.count("records"), 2 + u64::from(is_back));
    }
    let (store, _) = with_forgotten_tombstone();
    let fresh = on(0, 500, put("i.1", "n1", &value));
    assert_eq!(store.said('y', fresh), "applied", "of who never knew it");
}

#[test]
fn the_audit_and_unfinished_blobs_go_too() {
    let mut store = Store::new();
    for (letter, at) in [('a', 1), ('b', 2)] {
        store.push(letter, &[on(0, at, put("i.1", "n1", &json!(at)))]);
    }
    let limits = BlobLimits {
        blob_bytes_max: 100,
        space_bytes_max: 1_000,
    };
    let blob = |size: u64, hash: &str| {
        let chunk = Chunk {
            space: "~alice".to_owned(),
            hash: hash.to_owned(),
            size,
            offset: 0,
            bytes: b"bytes".to_vec(),
        };
        append_blob(&store.connection, &chunk, limits, store.now_ms).expect("taken")
    };
    let Appended::Whole(id) = blob(5, "whole") else {
        panic!("all of it was sent");
    };
    assert_eq!(
        blob_digest(&store.connection, id)
            .map(|digest| digest[0])
            .ok(),
        Some(0x27)
    );
    assert!(finish_blob(&store.connection, id, true).expect("finished"));
    blob(50, "half");
    store.now_ms += RETENTION_MS + 1;
    let entries = |store: &Store| {
        let filter = AuditFilter {
            limit: 9,
            ..AuditFilter::default()
        };
        let page = audit(&store.connection, &store.grant(), &filter);
        page.expect("a page").entries.len()
    };
    assert_eq!(entries(&store), 1);
    forget_all(&store);
    assert_eq!(entries(&store), 0);
    let received = |hash: &str| {
        let progress = blob_progress(&store.connection, "~alice", hash);
        progress.expect("progress").received
    };
    assert_eq!((received("whole"), received("half")), (5, 0));
    assert_eq!(store.count("blob_chunks"), 1);
}

#[test]
fn a_blob_that_nobody_goes_on_with_gives_its_room_back_after_a_day() {
    let mut store = Store::new();
    let limits = BlobLimits {
        blob_bytes_max: 100,
        space_bytes_max: 100,
    };
    let begin = |store: &Store, hash: &str, offset: u64| {
        let chunk = Chunk {
            space: "~alice".to_owned(),
            hash: hash.to_owned(),
            size: 100,
            offset,
            bytes: b"bytes".to_vec(),
        };
        append_blob(&store.connection, &chunk, limits, store.now_ms)
    };
    assert!(begin(&store, "one", 0).is_ok());
    store.now_ms += DAY_MS;
    assert!(begin(&store, "one", 5).is_ok(), "it goes on");
    store.now_ms += DAY_MS;
    forget_all(&store);
    assert!(begin(&store, "other", 0).is_err(), "no room yet");
    store.now_ms += 1;
    forget_all(&store);
    assert!(begin(&store, "other", 0).is_ok());
}

#[test]
fn the_server_forgets_by_itself() {
    let server = start_with(|config| {
        config.limits.retention = Duration::from_millis(1);
        config.limits.user_requests_per_minute = 1_000_000;
    });
    let op = [put("i.1", "n1", &json!(1))];
    server.push("alice", 'a', &op);
    let cursor = server.pull("alice", "").json()["cursor"].take();
    let cursor = cursor.as_str().expect("a cursor");
    let gone = server.push("alice", 'a', &[on(1, 1, delete("i.2", "n1"))]);
    assert_eq!(gone.status, 200);
    let forgotten = std::iter::repeat_with(|| server.records().is_empty());
    assert!(forgotten.take(100_000).any(|forgotten| forgotten));
    let answer = server.push("alice", 'a', &op);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (409, "client-expired")
    );
    let answer = server.pull("alice", &format!("cursor={cursor}"));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (410, "cursor-expired")
    );
    assert_eq!(server.pull("alice", "").status, 200);
}
