//! `GET /api/sync/audit`: what was resolved without asking.

mod support;

use serde_json::{Value, json};
use support::client::Answer;
use support::ops::{client, on, patch, put, resolved_by};
use support::{Running, start};
use tidesync_server::access::Access;

/// Makes a conflict on a field of the record `rid` in `space`; the second client wins.
fn conflict(server: &Running, space: &str, rid: &str, number: u64) {
    let granted = [(space, Access::Write)];
    let granted = if space == "~" { &[][..] } else { &granted };
    let op = |n: u64| format!("i.{}", number * 10 + n);
    let push = |letter: char, op: Value| {
        let answer = server.push_in(space, "alice", letter, granted, &[op]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.verdicts()[0].2.expect("a version")
    };
    let base = push('z', on(0, 100, put(&op(1), rid, &json!({ "score": 70 }))));
    let set = |score: u64| json!({ "score": score });
    push('a', on(base, 200, patch(&op(2), rid, &set(80), &[])));
    push('b', on(base, 300, patch(&op(3), rid, &set(85), &[])));
}

fn audit(server: &Running, query: &str) -> Answer {
    server.get_as("alice", &[], &format!("/api/sync/audit?{query}"))
}

/// The entries, a line each.
fn lines(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text());
    let entries = page.json()["entries"].as_array().cloned();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let line = |entry: &Value| format!("{}:{}", text(&entry["space"]), text(&entry["rid"]));
    entries.expect("entries").iter().map(line).collect()
}

#[test]
fn an_entry_tells_who_when_what_and_how() {
    let server = start();
    conflict(&server, "~", "n1", 1);
    let page = audit(&server, "").json();
    let mut entry = page["entries"][0].clone();
    let at = entry["at"].take();
    assert!(at.as_u64() > Some(1_700_000_000_000));
    let expected = json!({
        "space": "~", "table": "files", "rid": "n1", "field": "score", "at": null,
        "strategy": "last-write-wins", "winner": "local", "base": 1, "version": 3,
        "user": "alice", "op": "i.13", "client": client('b'), "hlc": "00000000012c0000",
        "local": 85, "remoteClient": client('a'), "remoteHlc": "0000000000c80000", "remote": 80,
    });
    assert_eq!(entry, expected);
    assert_eq!(page["protocol"], 1);
    assert_eq!(page["before"], Value::Null);
    let gone = on(1, 50, support::ops::delete("i.9", "n1"));
    server.push("alice", 'c', &[resolved_by("merge", gone)]);
    let entry = &audit(&server, "").json()["entries"][0];
    assert_eq!(
        (&entry["field"], &entry["winner"], &entry["strategy"]),
        (&json!(""), &json!("remote"), &json!("merge"))
    );
    assert_eq!(entry.get("local"), None);
    assert_eq!(entry["remote"], json!({ "score": 85 }));
}

#[test]
fn entries_come_in_pages_the_latest_first() {
    let server = start();
    for number in 1..=5 {
        conflict(&server, "~", &format!("n{number}"), number);
    }
    let mut pages = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = audit(&server, &query);
        pages.push(lines(&page));
        let Some(before) = page.json()["before"].as_str().map(str::to_owned) else {
            break;
        };
        query = format!("limit=2&before={before}");
    }
    let expected = [vec!["~:n5", "~:n4"], vec!["~:n3", "~:n2"], vec!["~:n1"]];
    assert_eq!(pages, expected);
}

#[test]
fn entries_are_found_by_table_and_record() {
    let server = start();
    conflict(&server, "~", "n1", 1);
    conflict(&server, "~", "n2", 2);
    assert_eq!(lines(&audit(&server, "table=files")), ["~:n2", "~:n1"]);
    assert_eq!(lines(&audit(&server, "table=files&rid=n1")), ["~:n1"]);
    assert_eq!(lines(&audit(&server, "table=notes")), [""; 0]);
    assert_eq!(lines(&audit(&server, "table=notes&rid=n1")), [""; 0]);
}

#[test]
fn who_may_only_read_a_space_does_not_see_what_lost_there() {
    let server = start();
    conflict(&server, "team", "n1", 1);
    conflict(&server, "~", "n2", 2);
    conflict(&server, "team", "n3", 3);
    let as_granted = |user: &str, granted: &[(&str, Access)]| {
        lines(&server.get_as(user, granted, "/api/sync/audit"))
    };
    let writer = [("team", Access::Write)];
    assert_eq!(as_granted("alice", &writer), ["team:n3", "~:n2", "team:n1"]);
    assert_eq!(as_granted("alice", &[("team", Access::Read)]), ["~:n2"]);
    assert_eq!(as_granted("alice", &[]), ["~:n2"]);
    assert_eq!(as_granted("bob", &[]), [""; 0]);
    assert_eq!(as_granted("bob", &writer), ["team:n3", "team:n1"]);
    // One page for each, through all spaces.
    let path = |before: &str| format!("/api/sync/audit?limit=1&before={before}");
    let mut page = server.get_as("alice", &writer, "/api/sync/audit?limit=1");
    let mut seen = lines(&page);
    while let Some(before) = page.json()["before"].as_str() {
        page = server.get_as("alice", &writer, &path(before));
        seen.extend(lines(&page));
    }
    assert_eq!(seen, ["team:n3", "~:n2", "team:n1"]);
}

#[test]
fn large_entries_end_a_page() {
    let server = start();
    let large = |letter: &str| json!({ "text": letter.repeat(400_000) });
    for number in 0..3 {
        let rid = format!("n{number}");
        let id = |n: u64| format!("i.{}", number * 10 + n);
        for (letter, at) in [("z", 100), ("a", 200), ("b", 300)] {
            let letter_of = letter.chars().next().expect("a letter");
            let op = on(0, at, put(&id(1), &rid, &large(letter)));
            server.push("alice", letter_of, &[op]);
        }
    }
    let page = audit(&server, "limit=1000");
    assert!(page.text().len() < 2 * 1024 * 1024);
    assert_eq!(lines(&page).len(), 1);
    assert!(page.json()["before"].is_string());
}

#[test]
fn bad_requests_are_refused() {
    let server = start();
    for query in [
        "limit=0",
        "limit=1001",
        "rid=n1",
        "before=x",
        "before=",
        "before=bnVsbA",
        "before=eyJ-IjotMX0",
        "before=eyJ-IjoxODQ0Njc0NDA3MzcwOTU1MTYxNX0",
        "space=team",
    ] {
        let answer = audit(&server, query);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "malformed"),
            "{query}"
        );
    }
    let answer = server.request("GET", "/api/sync/audit", &[], b"");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (401, "unauthorized")
    );
}
