//! A request that comes a thousand times, from whoever has recorded it, has one effect (SEC5).

mod support;

use serde_json::json;
use support::client::Connection;
use support::ops::{client, delete, on, patch, push, put};
use support::{Running, start_with};

/// How many connections repeat at the same time, and how often each.
const SENDERS: usize = 4;
const TIMES: usize = 250;

/// Everything that a repeat could add to.
fn kept(server: &Running) -> Vec<i64> {
    let database = server.database();
    let count = |query: &str| {
        let row = database.query_row(query, [], |row| row.get(0));
        row.expect("a number")
    };
    let tables = ["records", "operations", "audit", "clients", "space_boots"];
    let counts = tables.map(|table| count(&format!("SELECT count(*) FROM {table}")));
    let version = count("SELECT version FROM spaces WHERE space = '~alice'");
    counts.into_iter().chain([version]).collect()
}

/// Sends `body` on connections of its own, a thousand times in all; the answers without doubles.
fn repeat(server: &Running, body: &[u8]) -> Vec<(u16, String)> {
    let bearer = server.bearer("alice");
    let send = || {
        let mut connection = Connection::open(server.address).expect("a connection");
        let mut answers = Vec::new();
        for _ in 0..TIMES {
            let headers = [("authorization", bearer.as_str())];
            let answer = connection.send("POST", "/api/sync/push", &headers, body);
            let answer = answer.expect("an answer");
            answers.push((answer.status, answer.text()));
        }
        answers
    };
    let mut answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
        let each = senders.into_iter().map(|sender| sender.join());
        each.flat_map(|answers| answers.expect("answers")).collect()
    });
    assert_eq!(answers.len(), SENDERS * TIMES);
    answers.sort_unstable();
    answers.dedup();
    answers
}

/// A server with a record that has moved on, and a push of every kind of operation and outcome.
fn prepared() -> (Running, Vec<u8>) {
    let server = start_with(|config| config.limits.user_requests_per_minute = 1_000_000);
    let moved = on(0, 100, put("o.1", "n3", &json!({ "a": "other", "b": 1 })));
    server.push("alice", 'b', &[moved, put("o.2", "n4", &json!(4))]);
    let ops = [
        put("i.1", "n1", &json!({ "a": 1, "b": 1 })),
        on(3, 300, patch("i.2", "n1", &json!({ "a": 2 }), &["b"])),
        on(2, 300, delete("i.3", "n4")),
        on(0, 200, put("i.4", "n3", &json!({ "a": "mine", "c": 1 }))),
        patch("i.5", "n5", &json!({ "a": 1 }), &[]),
        put("i.6", "", &json!(1)),
    ];
    let body = push(&client('a'), "alice", "batch", &ops);
    let first = server.post("alice", &body);
    let verdicts: Vec<String> = first.verdicts().into_iter().map(|it| it.1).collect();
    assert_eq!(
        verdicts,
        [
            "applied",
            "applied",
            "applied",
            "merged",
            "need-full",
            "rejected"
        ]
    );
    (server, body)
}

#[test]
fn a_push_that_comes_a_thousand_times_more_has_one_effect() {
    let (server, body) = prepared();
    let before = (server.records(), kept(&server));
    let answers = repeat(&server, &body);
    assert_eq!(answers.len(), 1, "every repeat gets the same: {answers:?}");
    assert_eq!(answers[0].0, 200);
    assert_eq!((server.records(), kept(&server)), before);
    // Nor after somebody has changed the records since.
    let later = [delete("o.3", "n1"), put("o.4", "n4", &json!("new"))];
    server.push("alice", 'b', &later);
    let before = (server.records(), kept(&server));
    let answers = repeat(&server, &body);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!((server.records(), kept(&server)), before);
}

#[test]
fn an_altered_push_has_none() {
    let (server, body) = prepared();
    let before = (server.records(), kept(&server));
    // The same ids with another content: as it came, and with the hash of that content.
    let text = String::from_utf8(body).expect("text");
    let altered = text.replace("mine", "evil");
    let sealed = push(
        &client('a'),
        "alice",
        "batch",
        &[on(0, 200, put("i.4", "n3", &json!({ "a": "evil" })))],
    );
    for (body, code) in [
        (altered.as_bytes(), "hash-mismatch"),
        (&sealed[..], "id-reused"),
    ] {
        let answers = repeat(&server, body);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers[0].1.contains(code), "{answers:?}");
        assert_eq!((server.records(), kept(&server)), before);
    }
}
