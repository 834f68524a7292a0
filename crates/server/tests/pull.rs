//! `GET /api/sync/pull`: what has changed, in pages, from a cursor.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::client::{Answer, Connection};
use support::ops::{client, delete, on, patch, push, put, resolved_by};
use support::{Running, start, start_with};
use tidesync_server::access::Access;

/// The changes of a page, a line each: rid, version, value (`-` for a tombstone).
fn lines(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text());
    let changes = page.json()["changes"].as_array().cloned();
    let line = |change: &Value| {
        let value = match change.get("value") {
            Some(value) => value.to_string(),
            None => {
                assert_eq!(change["deleted"], true);
                "-".to_owned()
            }
        };
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        format!(
            "{}:{} {} {value}",
            text("space"),
            text("rid"),
            change["version"]
        )
    };
    changes.expect("changes").iter().map(line).collect()
}

fn cursor(page: &Answer) -> String {
    page.json()["cursor"].as_str().expect("a cursor").to_owned()
}

/// Pulls until there is no more.
fn pull_all(server: &Running, user: &str, limit: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut query = format!("limit={limit}");
    loop {
        let page = server.pull(user, &query);
        pages.push(lines(&page));
        if page.json()["more"] == false {
            return pages;
        }
        query = format!("limit={limit}&cursor={}", cursor(&page));
    }
}

#[test]
fn changes_come_in_pages_in_the_order_of_their_versions_as_they_are_now() {
    let server = start();
    let ops: Vec<Value> = (1..=5)
        .map(|n| put(&format!("i.{n}"), &format!("n{n}"), &json!({ "n": n })))
        .collect();
    server.push("alice", 'a', &ops);
    server.push("alice", 'a', &[on(2, 9, delete("i.6", "n2"))]);
    let change = on(1, 9, patch("i.7", "n1", &json!({ "n": null }), &[]));
    server.push("alice", 'a', &[change]);
    let pages = pull_all(&server, "alice", 2);
    let expected = [
        vec![r#"~:n3 3 {"n":3}"#, r#"~:n4 4 {"n":4}"#],
        vec![r#"~:n5 5 {"n":5}"#, "~:n2 6 -"],
        vec![r#"~:n1 7 {"n":null}"#],
    ];
    assert_eq!(pages, expected);
    let first = server.pull("alice", "limit=2").json();
    assert_eq!(
        (&first["more"], &first["remaining"], &first["protocol"]),
        (&json!(true), &json!(3), &json!(1))
    );
    let change = &first["changes"][0];
    assert_eq!(change["table"], "files");
    assert_eq!(change["client"], client('a'));
    assert_eq!(change["hlc"], "0190000000000000");
}

#[test]
fn what_remains_is_counted_once_and_told_with_each_page() {
    let server = start();
    let write = |numbers: std::ops::Range<u64>| {
        let ops: Vec<Value> = numbers
            .map(|n| put(&format!("i.{n}"), &format!("n{n}"), &json!(n)))
            .collect();
        server.push("alice", 'a', &ops);
    };
    write(0..10);
    let page = |cursor: &str| server.pull("alice", &format!("limit=3{cursor}"));
    let first = page("");
    assert_eq!(first.json()["remaining"], 7);
    // What comes while a reader is on the way counts when it is there: about so many are left.
    write(10..20);
    let second = page(&format!("&cursor={}", cursor(&first)));
    assert_eq!(second.json()["remaining"], 4);
    let third = page(&format!("&cursor={}", cursor(&second)));
    let fourth = page(&format!("&cursor={}", cursor(&third)));
    assert_eq!(
        (
            third.json()["remaining"].as_u64(),
            fourth.json()["remaining"].as_u64()
        ),
        (Some(1), Some(1)),
        "never none while there are more"
    );
    let rest = server.pull("alice", &format!("cursor={}", cursor(&fourth)));
    assert_eq!(
        (&rest.json()["more"], &rest.json()["remaining"]),
        (&json!(false), &json!(0))
    );
    write(20..30);
    let later = page(&format!("&cursor={}", cursor(&rest)));
    assert_eq!(later.json()["remaining"], 7, "who has all is counted anew");
    let everywhere = format!("limit=3&cursor={}", cursor(&first));
    let theirs = server.push_in(
        "team",
        "bob",
        'b',
        &[("team", Access::Write)],
        &[put("i.1", "n1", &json!(1))],
    );
    assert_eq!(theirs.verdicts()[0].1, "applied", "{}", theirs.text());
    let granted = server.pull_as("alice", &[("team", Access::Read)], &everywhere);
    assert_eq!(
        granted.json()["remaining"],
        25,
        "a space that is new is counted too"
    );
}

#[test]
fn a_reader_that_has_everything_stays_where_it_is() {
    let server = start();
    let empty = server.pull("alice", "");
    assert_eq!(lines(&empty), [""; 0]);
    server.push("alice", 'a', &[put("i.1", "n1", &json!(1))]);
    let first = server.pull("alice", &format!("cursor={}", cursor(&empty)));
    assert_eq!(lines(&first), ["~:n1 1 1"]);
    let again = server.pull("alice", &format!("cursor={}", cursor(&first)));
    assert_eq!(lines(&again), [""; 0]);
    assert_eq!(again.json()["remaining"], 0);
    assert_eq!(cursor(&again), cursor(&first));
    server.push("bob", 'b', &[put("i.1", "n1", &json!(2))]);
    let again = server.pull("alice", &format!("cursor={}", cursor(&first)));
    assert_eq!((lines(&again), cursor(&again)), (vec![], cursor(&first)));
}

#[test]
fn a_page_ends_before_it_is_too_large_and_has_one_change_at_least() {
    let server = start();
    let sized = |op: &str, rid: &str, size: usize| put(op, rid, &json!("x".repeat(size)));
    let large = 2 * 1024 * 1024;
    server.push(
        "alice",
        'a',
        &[
            sized("i.1", "n1", 600_000),
            sized("i.2", "n2", 600_000),
            sized("i.3", "n3", 10),
            sized("i.4", "n4", large),
            sized("i.5", "n5", 10),
        ],
    );
    let pages = pull_all(&server, "alice", 1_000);
    let counts: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 2, 1, 1]);
    assert!(pages[2][0].len() > large);
}

#[test]
fn bad_requests_are_refused() {
    let server = start();
    server.push("alice", 'a', &[put("i.1", "n1", &json!(1))]);
    let good = cursor(&server.pull("alice", ""));
    let (payload, tag) = good.split_once('.').expect("two parts");
    let client = client('a');
    for (query, status, code) in [
        ("limit=0", 400, "malformed"),
        ("limit=1001", 400, "malformed"),
        ("limit=-1", 400, "malformed"),
        ("limit=many", 400, "malformed"),
        ("limit=1&limit=1", 400, "malformed"),
        ("since=1", 400, "malformed"),
        ("cursor=", 410, "epoch-changed"),
        ("cursor=%ff", 400, "malformed"),
        ("cursor=null", 410, "epoch-changed"),
        ("cursor=..%2F..%2Fetc%2Fpasswd", 410, "epoch-changed"),
        (&format!("cursor={payload}"), 410, "epoch-changed"),
        (&format!("cursor={payload}."), 410, "cursor-expired"),
        (
            &format!("cursor={payload}.{}", tag.replace(|_| true, "A")),
            410,
            "cursor-expired",
        ),
        (
            &format!("cursor={}", "x".repeat(40_000)),
            410,
            "epoch-changed",
        ),
        ("client=alice", 400, "malformed"),
        ("protocol=0", 426, "protocol-too-old"),
        ("protocol=2", 400, "malformed"),
        (
            &format!("protocol=1&limit=1000&client={client}&cursor={good}"),
            200,
            "",
        ),
    ] {
        let answer = server.pull("alice", query);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{query:.80}"
        );
    }
    let get = |headers: &[(&str, &str)]| {
        let answer = server.request("GET", "/api/sync/pull", headers, b"");
        (answer.status, answer.code())
    };
    let unauthorized = (401, "unauthorized".to_owned());
    assert_eq!(get(&[]), unauthorized);
    assert_eq!(get(&[("authorization", "Bearer x.y.z")]), unauthorized);
    let bearer = server.bearer("alice");
    let headers = [("authorization", bearer.as_str())];
    let answer = server.request("POST", "/api/sync/pull", &headers, b"");
    assert_eq!(answer.status, 405);
}

#[test]
fn another_users_cursor_says_nothing_and_changes_nothing() {
    let server = start();
    for n in 1..=9 {
        let op = put(&format!("i.{n}"), &format!("n{n}"), &json!(n));
        server.push("bob", 'b', &[op]);
    }
    server.push("alice", 'a', &[put("i.1", "n1", &json!(1))]);
    let (theirs, ours) = (server.pull("bob", ""), server.pull("alice", ""));
    let answer = server.pull("alice", &format!("cursor={}", cursor(&theirs)));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (410, "cursor-expired")
    );
    let again = server.pull("alice", "");
    assert_eq!(again.json()["epoch"], ours.json()["epoch"], "no new epoch");
}

#[test]
fn pulls_count_for_the_users_rate() {
    let server = start_with(|config| config.limits.user_requests_per_minute = 3);
    let statuses: Vec<u16> = (0..4).map(|_| server.pull("alice", "").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(server.pull("bob", "").status, 200);
}

#[test]
fn long_answers_share_the_budget_of_bodies() {
    let server = start_with(|config| config.limits.held_bytes_max = 256 * 1024);
    // One connection: an answer is on its way before the next request is read.
    let mut connection = Connection::open(server.address).expect("a connection");
    let bearer = server.bearer("alice");
    let headers = [("authorization", bearer.as_str())];
    let mut pull = |query: &str| {
        let path = format!("/api/sync/pull?{query}");
        let answer = connection.send("GET", &path, &headers, b"");
        let answer = answer.expect("an answer");
        (answer.status, answer.code())
    };
    let taken = (200, String::new());
    let op = put("i.1", "n1", &json!("x".repeat(200_000)));
    server.push("alice", 'a', &[op]);
    for _ in 0..3 {
        assert_eq!(pull(""), taken, "it is given back");
    }
    let op = put("i.2", "n2", &json!("x".repeat(200_000)));
    server.push("alice", 'a', &[op]);
    assert_eq!(pull(""), (503, "unavailable".to_owned()));
    assert_eq!(pull("limit=1"), taken);
}

#[test]
fn a_reader_and_the_writer_do_not_wait_for_each_other() {
    let server = start_with(|config| config.limits.busy_timeout = Duration::from_secs(60));
    server.push("alice", 'a', &[put("i.1", "n1", &json!(1))]);
    let other = server.database();
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    assert_eq!(lines(&server.pull("alice", "")), ["~:n1 1 1"]);
    other.execute_batch("ROLLBACK").expect("its end");
    let reading = server.database();
    let snapshot = reading.unchecked_transaction().expect("a snapshot");
    let count = || -> u64 {
        snapshot
            .query_row("SELECT count(*) FROM records", [], |row| row.get(0))
            .expect("a count")
    };
    assert_eq!(count(), 1);
    let answer = server.push("alice", 'a', &[put("i.2", "n2", &json!(2))]);
    assert_eq!(answer.status, 200);
    assert_eq!(count(), 1, "the snapshot stands while the writer goes on");
    assert_eq!(lines(&server.pull("alice", "")).len(), 2);
}

#[test]
fn no_commit_is_ever_skipped() {
    let server = start_with(|config| config.limits.user_requests_per_minute = 1_000_000);
    let (writers, pushes) = (4_u8, 50_u8);
    let total = u64::from(writers) * u64::from(pushes) * 3;
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let server = &server;
            scope.spawn(move || {
                let letter = char::from(b'a' + writer);
                for n in 0..pushes {
                    let ops: Vec<Value> = (0..3)
                        .map(|k| {
                            put(
                                &format!("i.{}", u32::from(n) * 3 + k),
                                &format!("s{letter}-{n}-{k}"),
                                &json!(n),
                            )
                        })
                        .collect();
                    assert_eq!(server.push("alice", letter, &ops).status, 200);
                }
            });
        }
        let mut expected = 1;
        let mut query = String::new();
        while expected <= total {
            let page = server.pull("alice", &query).json();
            for change in page["changes"].as_array().expect("changes") {
                // Each record is written once: every version must be seen, in order.
                assert_eq!(change["version"], expected);
                expected += 1;
            }
            query = format!(
                "limit=7&cursor={}",
                page["cursor"].as_str().expect("a cursor")
            );
        }
    });
}

#[test]
fn a_push_does_not_answer_with_more_than_it_can_hold() {
    let server = start();
    let large = json!("x".repeat(3 * 1024 * 1024));
    let names: Vec<String> = (0..6).map(|n| format!("n{n}")).collect();
    for (n, rid) in names.iter().enumerate() {
        server.push("alice", 'a', &[put(&format!("i.{n}"), rid, &large)]);
    }
    let ask = |n: usize| patch(&format!("i.{n}"), &names[n], &json!({}), &[]);
    let mut left: Vec<usize> = (0..6).collect();
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let ops: Vec<Value> = left.iter().map(|&n| ask(n)).collect();
        let answer = server.push("alice", 'b', &ops);
        let verdicts = answer.verdicts();
        let done = verdicts
            .iter()
            .take_while(|entry| entry.1 == "merged")
            .count();
        assert!(verdicts[done..].iter().all(|entry| entry.1 == "retry"));
        left.drain(..done);
        rounds.push(done);
    }
    assert_eq!(rounds, [3, 3]);
}

#[test]
fn several_spaces_come_in_one_page_and_only_those_that_are_granted() {
    let server = start();
    let rw = [("team", Access::Write)];
    let pushed = server.push_in(
        "team",
        "bob",
        'b',
        &rw,
        &[put("i.1", "n1", &json!("team's"))],
    );
    assert_eq!(pushed.verdicts()[0].1, "applied");
    server.push("bob", 'b', &[put("i.2", "n1", &json!("bob's"))]);
    server.push("alice", 'a', &[put("i.1", "n1", &json!("alice's"))]);
    let both = [("team", Access::Read), ("empty", Access::Write)];
    let page = server.pull_as("alice", &both, "");
    assert_eq!(
        lines(&page),
        [r#"~:n1 1 "alice's""#, r#"team:n1 1 "team's""#]
    );
    assert_eq!(lines(&server.pull("alice", "")), [r#"~:n1 1 "alice's""#]);
    // A space that is granted later starts from its beginning; one that is taken away is left out.
    let alone = server.pull("alice", "");
    let query = format!("cursor={}", cursor(&alone));
    let joined = server.pull_as("alice", &both, &query);
    assert_eq!(lines(&joined), [r#"team:n1 1 "team's""#]);
    let query = format!("cursor={}", cursor(&joined));
    assert!(lines(&server.pull_as("alice", &both, &query)).is_empty());
    assert!(lines(&server.pull("alice", &query)).is_empty());
}

#[test]
fn several_spaces_are_paged_each_to_its_end() {
    let server = start();
    let spaces = [("a", Access::Write), ("b", Access::Write)];
    for space in ["~", "a", "b"] {
        let letter = char::from(space.as_bytes()[0].max(b'c'));
        let letter = if letter == '~' { 'd' } else { letter };
        let ops: Vec<Value> = (0..5)
            .map(|n| put(&format!("{space}.{n}"), &format!("n{n}"), &json!(n)))
            .collect();
        server.push_in(space, "alice", letter, &spaces, &ops);
    }
    let mut seen = BTreeMap::<String, u64>::new();
    let mut query = "limit=4".to_owned();
    loop {
        let page = server.pull_as("alice", &spaces, &query);
        for change in page.json()["changes"].as_array().expect("changes") {
            let latest = seen.entry(change["space"].to_string()).or_default();
            *latest += 1;
            assert_eq!(change["version"], *latest);
        }
        if page.json()["more"] == false {
            break;
        }
        query = format!("limit=4&cursor={}", cursor(&page));
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [5, 5, 5]);
}

#[test]
fn what_is_not_granted_is_refused_and_what_is_read_only_is_not_written() {
    let server = start();
    let op = put("i.1", "n1", &json!(1));
    let push_as = |granted: &[(&str, Access)]| {
        let ops = [op.clone()];
        server.push_in("team", "alice", 'a', granted, &ops)
    };
    let verdict = |answer: &Answer| {
        let (_, verdict, _, code) = answer.verdicts().remove(0);
        (verdict, code.unwrap_or_default())
    };
    let wrong_space = ("rejected".to_owned(), "wrong-space".to_owned());
    assert_eq!(verdict(&push_as(&[("other", Access::Write)])), wrong_space);
    let read_only = ("rejected".to_owned(), "read-only".to_owned());
    assert_eq!(verdict(&push_as(&[("team", Access::Read)])), read_only);
    assert_eq!(
        verdict(&push_as(&[("team", Access::Write)])),
        read_only,
        "a refused id is spent"
    );
    assert!(server.records().is_empty());
    let body = push(&client('a'), "alice", "b", &[resolved_by("ask", op)]);
    assert_eq!(server.post("alice", &body).status, 200);
}

#[test]
fn who_may_only_read_may_ask_for_a_record_by_a_patch_that_changes_nothing() {
    let server = start();
    let [read, write] = [Access::Read, Access::Write].map(|access| [("team", access)]);
    let theirs = put("b.1", "n1", &json!({ "a": 1 }));
    server.push_in("team", "bob", 'b', &write, &[theirs]);
    let before = server.records();
    let nothing = json!({});
    let asks = [
        patch("a.1", "n1", &nothing, &[]),
        patch("a.2", "n2", &nothing, &[]),
        patch("a.3", "n1", &nothing, &["a"]),
    ];
    let answer = server.push_in("team", "alice", 'a', &read, &asks);
    let names: Vec<String> = answer.verdicts().into_iter().map(|it| it.1).collect();
    assert_eq!(names, ["merged", "need-full", "rejected"]);
    assert_eq!(
        answer.json()["verdicts"][0]["record"]["value"],
        json!({ "a": 1 })
    );
    assert_eq!(server.records(), before);
}

#[test]
fn a_pull_says_which_spaces_it_covers() {
    let server = start();
    let granted = [("news", Access::Read), ("team", Access::Write)];
    let spaces = |granted: &[(&str, Access)]| {
        let page = server.pull_as("alice", granted, "");
        page.json()["spaces"].clone()
    };
    assert_eq!(spaces(&granted), json!({ "news": "r", "team": "rw" }));
    assert_eq!(spaces(&[]), json!(null));
}
