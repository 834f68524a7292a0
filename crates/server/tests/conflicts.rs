//! What becomes of an operation whose record has moved on since its base.

mod support;

use serde_json::{Value, json};
use support::client::Answer;
use support::ops::{delete, on, patch, put, resolved_by};
use support::{Running, start};

/// The only verdict: its name, version, record's value (`-` for a tombstone), and what was resolved.
fn said(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let entry = &answer.json()["verdicts"][0];
    let mut text = entry["verdict"].as_str().expect("a verdict").to_owned();
    for part in [&entry["version"], &entry["code"]] {
        if !part.is_null() {
            text += &format!(" {part}");
        }
    }
    let record = &entry["record"];
    if record["deleted"] == true {
        assert!(record.get("value").is_none());
        text += " -";
    } else if !record.is_null() {
        text += &format!(" {}", record["value"]);
    }
    if !record.is_null() {
        assert_eq!(record["version"], entry["version"]);
    }
    for resolved in entry["resolved"].as_array().into_iter().flatten() {
        let side = |name: &str| match resolved.get(name) {
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        let (field, winner) = (&resolved["field"], &resolved["winner"]);
        text += &format!(" {field}:{winner}({},{})", side("local"), side("remote"));
    }
    text.replace('"', "'")
}

/// What was resolved without asking, a line for each field.
fn audit(server: &Running) -> Vec<String> {
    let database = server.database();
    let mut statement = database
        .prepare(
            "SELECT n || ' ' || rid || ' ' || base || '→' || version || ' ' || field || ' '
                 || strategy || ' ' || winner || ' ' || subject || ' ' || op || ' '
                 || substr(client, 1, 1) || ' ' || coalesce(local, '-') || ' '
                 || substr(remote_client, 1, 1) || ' ' || coalesce(remote, '-')
             FROM audit ORDER BY space, n",
        )
        .expect("the audit");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// A server with the record `n1` of client `z`, at version 1 and time 100.
fn with_record(value: &Value) -> Running {
    let server = start();
    let op = on(0, 100, put("i.1", "n1", value));
    assert_eq!(said(&server.push("alice", 'z', &[op])), "applied 1");
    server
}

fn patch_of(op: &str, set: &Value) -> Value {
    patch(op, "n1", set, &[])
}

#[test]
fn changes_of_different_fields_both_survive() {
    let server = with_record(&json!({ "a": 1, "b": 1, "c": 1 }));
    let ours = on(1, 300, patch_of("i.1", &json!({ "a": 2 })));
    assert_eq!(said(&server.push("alice", 'a', &[ours])), "applied 2");
    let theirs = on(1, 200, patch("i.1", "n1", &json!({ "b": 3 }), &["c"]));
    assert_eq!(
        said(&server.push("alice", 'b', &[theirs])),
        "merged 3 {'a':2,'b':3}"
    );
    assert_eq!(server.records(), [r#"~alice files n1 {"a":2,"b":3} 3 0"#]);
    assert!(audit(&server).is_empty());
}

#[test]
fn of_one_field_the_later_clock_wins_whoever_comes_first() {
    for (first, second, said_then) in [
        (
            200,
            300,
            "merged 3 {'a':'second'} 'a':'local'('second','first')",
        ),
        (
            300,
            200,
            "merged 2 {'a':'first'} 'a':'remote'('second','first')",
        ),
    ] {
        let server = with_record(&json!({ "a": 1 }));
        let op = on(1, first, patch_of("i.1", &json!({ "a": "first" })));
        server.push("alice", 'a', &[op]);
        let op = on(1, second, patch_of("i.7", &json!({ "a": "second" })));
        assert_eq!(said(&server.push("alice", 'b', &[op])), said_then);
        let winner = if first < second { "local" } else { "remote" };
        let version = if first < second { 3 } else { 2 };
        let row = format!(
            r#"1 n1 1→{version} a last-write-wins {winner} alice i.7 b "second" a "first""#
        );
        assert_eq!(audit(&server), [row]);
    }
}

#[test]
fn the_score_of_10_30_wins_over_that_of_10_25() {
    let at = |minute: u64| 1_700_000_000_000 + minute * 60_000;
    let server = start();
    let op = on(0, at(0), put("i.1", "n1", &json!({ "score": 70 })));
    server.push("alice", 'z', &[op]);
    let op = on(1, at(25), patch_of("i.1", &json!({ "score": 80 })));
    server.push("alice", 's', &[op]);
    let op = on(1, at(30), patch_of("i.1", &json!({ "score": 85 })));
    let answer = server.push("alice", 'c', &[resolved_by("last-write-wins", op)]);
    assert_eq!(
        said(&answer),
        "merged 3 {'score':85} 'score':'local'(85,80)"
    );
    let late = on(1, at(25), patch_of("i.1", &json!({ "score": 80 })));
    let answer = server.push("alice", 'd', &[late]);
    assert_eq!(
        said(&answer),
        "merged 3 {'score':85} 'score':'remote'(80,85)"
    );
}

#[test]
fn ties_go_by_the_client() {
    for (first, second, wins) in [('a', 'b', "second"), ('b', 'a', "first")] {
        let server = with_record(&json!({ "a": 1 }));
        let of = |name: &str| on(1, 200, patch_of("i.1", &json!({ "a": name })));
        server.push("alice", first, &[of("first")]);
        server.push("alice", second, &[of("second")]);
        let records = server.records();
        assert!(records[0].contains(wins), "{records:?}");
    }
}

#[test]
fn what_is_to_be_asked_is_not_done_and_can_be_answered() {
    let server = with_record(&json!({ "a": 1, "b": 1 }));
    let op = on(1, 200, patch_of("i.1", &json!({ "a": 2 })));
    server.push("alice", 'a', &[op]);
    let ask = |op: &str, base: u64, set: &Value| {
        let op = on(base, 300, patch_of(op, set));
        said(&server.push("alice", 'b', &[resolved_by("ask", op)]))
    };
    let conflict = "conflict 2 {'a':2,'b':1}";
    assert_eq!(ask("i.1", 1, &json!({ "a": 3, "b": 3 })), conflict);
    assert_eq!(ask("i.1", 1, &json!({ "a": 3, "b": 3 })), conflict, "again");
    assert_eq!(
        ask("i.2", 1, &json!({ "b": 4 })),
        "merged 3 {'a':2,'b':4}",
        "another field"
    );
    assert_eq!(ask("i.3", 3, &json!({ "a": 5 })), "applied 4");
    assert_eq!(
        ask("i.1", 1, &json!({ "a": 3, "b": 3 })),
        "merged 5 {'a':3,'b':3}",
        "nothing of it was recorded, and by now both fields are its own"
    );
    assert!(audit(&server).is_empty());
}

#[test]
fn a_clients_own_earlier_write_is_no_conflict() {
    let server = with_record(&json!({ "a": 1 }));
    let late = on(0, 50, put("i.2", "n1", &json!({ "a": 2 })));
    assert_eq!(
        said(&server.push("alice", 'z', &[late])),
        "merged 2 {'a':2}",
        "of an earlier clock, after a power loss that rewound its memory"
    );
    let ask = resolved_by("ask", on(0, 40, patch_of("i.3", &json!({ "a": 3 }))));
    assert_eq!(said(&server.push("alice", 'z', &[ask])), "merged 3 {'a':3}");
    let gone = resolved_by("ask", on(0, 30, delete("i.4", "n1")));
    assert_eq!(said(&server.push("alice", 'z', &[gone])), "merged 4 -");
}

#[test]
fn what_both_wrote_the_same_is_no_conflict_and_makes_no_version() {
    let server = with_record(&json!({ "a": 1, "b": { "x": 1, "y": 2 } }));
    let same = on(
        0,
        200,
        put("i.1", "n1", &json!({ "b": { "y": 2.0, "x": 1 }, "a": 1 })),
    );
    assert_eq!(
        said(&server.push("alice", 'a', &[resolved_by("ask", same)])),
        "merged 1 {'a':1,'b':{'x':1,'y':2}}"
    );
    let other = on(0, 150, put("i.1", "n1", &json!({ "a": 2, "b": 1 })));
    assert_eq!(
        said(&server.push("alice", 'b', &[other])),
        "merged 1 {'a':1,'b':{'x':1,'y':2}} 'a':'remote'(2,1) \
         'b':'remote'(1,{'x':1,'y':2})",
        "the later of the two who agreed counts"
    );
}

#[test]
fn a_stale_whole_value_is_merged_field_by_field() {
    let server = with_record(&json!({ "a": 1, "b": 1, "c": 1 }));
    let op = on(1, 300, patch_of("i.1", &json!({ "a": 2, "new": 1 })));
    server.push("alice", 'a', &[op]);
    let stale = on(1, 200, put("i.1", "n1", &json!({ "b": 5, "a": 1 })));
    assert_eq!(
        said(&server.push("alice", 'b', &[stale])),
        "merged 3 {'a':2,'b':5,'new':1} 'a':'remote'(1,2) 'new':'remote'(-,1)"
    );
    let stale = on(1, 400, put("i.1", "n1", &json!({ "b": 6, "a": 1 })));
    assert_eq!(
        said(&server.push("alice", 'c', &[stale])),
        "merged 4 {'a':1,'b':6} 'a':'local'(1,2) 'b':'local'(6,5) 'new':'local'(-,1)"
    );
}

#[test]
fn a_field_that_was_removed_is_remembered() {
    let server = with_record(&json!({ "a": 1, "b": 1 }));
    let op = on(1, 300, patch("i.1", "n1", &json!({}), &["b"]));
    server.push("alice", 'a', &[op]);
    let op = on(1, 200, patch_of("i.1", &json!({ "b": 2 })));
    assert_eq!(
        said(&server.push("alice", 'b', &[op])),
        "merged 2 {'a':1} 'b':'remote'(2,-)"
    );
    let op = on(1, 400, patch_of("i.2", &json!({ "b": 3 })));
    assert_eq!(
        said(&server.push("alice", 'b', &[op])),
        "merged 3 {'a':1,'b':3} 'b':'local'(3,-)"
    );
}

#[test]
fn an_update_against_a_delete() {
    // Time of the delete, time of the update, strategy; what each is told that comes second.
    let cases = [
        (
            300,
            200,
            "last-write-wins",
            "merged 3 - '':'local'(-,{'a':2})",
            "merged 2 - '':'remote'({'a':2},-)",
        ),
        (
            200,
            300,
            "last-write-wins",
            "merged 2 {'a':2} '':'remote'(-,{'a':2})",
            "merged 3 {'a':2} '':'local'({'a':2},-)",
        ),
        (
            300,
            200,
            "merge",
            "merged 2 {'a':2} '':'remote'(-,{'a':2})",
            "merged 3 {'a':2} '':'local'({'a':2},-)",
        ),
        (
            200,
            300,
            "merge",
            "merged 2 {'a':2} '':'remote'(-,{'a':2})",
            "merged 3 {'a':2} '':'local'({'a':2},-)",
        ),
        (300, 200, "ask", "conflict 2 {'a':2}", "conflict 2 -"),
    ];
    for (deleted_at, updated_at, strategy, delete_second, update_second) in cases {
        let gone = resolved_by(strategy, on(1, deleted_at, delete("i.1", "n1")));
        let update = resolved_by(
            strategy,
            on(1, updated_at, put("i.1", "n1", &json!({ "a": 2 }))),
        );
        let server = with_record(&json!({ "a": 1 }));
        server.push("alice", 'a', std::slice::from_ref(&update));
        let told = said(&server.push("alice", 'b', std::slice::from_ref(&gone)));
        assert_eq!(told, delete_second, "{strategy}, delete second");
        assert_eq!(audit(&server).len(), usize::from(strategy != "ask"));
        let server = with_record(&json!({ "a": 1 }));
        server.push("alice", 'b', &[gone]);
        let told = said(&server.push("alice", 'a', &[update]));
        assert_eq!(told, update_second, "{strategy}, update second");
    }
}

#[test]
fn a_patch_that_would_bring_a_record_back_needs_the_whole() {
    let cases = [
        (200, "last-write-wins", "merged 2 - '':'remote'({'a':2},-)"),
        (400, "last-write-wins", "need-full"),
        (200, "merge", "need-full"),
        (400, "ask", "conflict 2 -"),
    ];
    for (at, strategy, expected) in cases {
        let server = with_record(&json!({ "a": 1 }));
        server.push("alice", 'a', &[on(1, 300, delete("i.1", "n1"))]);
        let op = on(1, at, patch_of("i.1", &json!({ "a": 2 })));
        let told = said(&server.push("alice", 'b', &[resolved_by(strategy, op)]));
        assert_eq!(told, expected, "{strategy} {at}");
        if expected == "need-full" {
            let op = on(1, at, put("i.2", "n1", &json!({ "a": 2, "b": 1 })));
            let told = said(&server.push("alice", 'b', &[resolved_by(strategy, op)]));
            assert!(
                told.starts_with("merged 3 {'a':2,'b':1} '':'local'"),
                "{told}"
            );
        }
    }
}

#[test]
fn who_knows_of_a_delete_may_bring_the_record_back() {
    let server = with_record(&json!({ "a": 1 }));
    server.push("alice", 'a', &[on(1, 300, delete("i.1", "n1"))]);
    let back = on(2, 200, put("i.1", "n1", &json!({ "a": 3 })));
    assert_eq!(said(&server.push("alice", 'b', &[back])), "applied 3");
    let gone = on(3, 100, delete("i.2", "n1"));
    assert_eq!(said(&server.push("alice", 'b', &[gone])), "applied 4");
    let again = on(3, 100, delete("i.1", "n1"));
    assert_eq!(said(&server.push("alice", 'c', &[again])), "merged 4 -");
}

#[test]
fn a_patch_of_nothing_asks_for_the_record() {
    let server = with_record(&json!({ "a": 1 }));
    let ask = |op: &str, rid: &str| {
        let op = on(1, 50, patch(op, rid, &json!({}), &[]));
        said(&server.push("alice", 'b', &[op]))
    };
    assert_eq!(ask("i.1", "n1"), "merged 1 {'a':1}");
    assert_eq!(ask("i.2", "n2"), "need-full");
    server.push("alice", 'z', &[on(1, 300, delete("i.2", "n1"))]);
    assert_eq!(ask("i.3", "n1"), "merged 2 -");
    assert_eq!(ask("i.1", "n1"), "duplicate 2 -");
}

#[test]
fn a_retry_of_what_was_merged_gets_the_record_as_it_is_now() {
    let server = with_record(&json!({ "a": 1, "b": 1 }));
    let op = on(1, 200, patch_of("i.1", &json!({ "a": 2 })));
    server.push("alice", 'a', &[op]);
    let merged = [on(1, 300, patch_of("i.1", &json!({ "b": 2 })))];
    assert_eq!(
        said(&server.push("alice", 'b', &merged)),
        "merged 3 {'a':2,'b':2}"
    );
    let op = on(3, 400, patch_of("i.2", &json!({ "a": 3 })));
    server.push("alice", 'a', &[op]);
    assert_eq!(
        said(&server.push("alice", 'b', &merged)),
        "duplicate 4 {'a':3,'b':2}"
    );
    assert_eq!(server.records().len(), 1);
    assert_eq!(audit(&server).len(), 0);
}

#[test]
fn values_without_fields_are_one() {
    let many = |value: u64| -> Value {
        let fields = (0..257).map(|number| (format!("f{number}"), json!(value)));
        Value::Object(fields.collect())
    };
    for (before, first, second) in [
        (json!([1]), json!([1, 2]), json!([1, 3])),
        (json!({ "a": 1 }), json!(5), json!({ "a": 2 })),
        (json!(["~date", 1]), json!({ "a": 1 }), json!(null)),
        (many(0), many(1), many(2)),
    ] {
        for (at, winner) in [(150, "remote"), (250, "local")] {
            let server = with_record(&before);
            server.push("alice", 'a', &[on(1, 200, put("i.1", "n1", &first))]);
            let ask = resolved_by("ask", on(1, at, put("i.1", "n1", &second)));
            let told = said(&server.push("alice", 'c', &[ask]));
            assert!(told.starts_with("conflict 2 "), "{told}");
            let answer = server.push("alice", 'b', &[on(1, at, put("i.1", "n1", &second))]);
            let entry = &answer.json()["verdicts"][0];
            let kept = if winner == "local" { &second } else { &first };
            let resolved = json!([{
                "field": "", "winner": winner, "local": second, "remote": first
            }]);
            assert_eq!(
                (&entry["record"]["value"], &entry["resolved"]),
                (kept, &resolved)
            );
        }
    }
    let server = with_record(&many(0));
    server.push("alice", 'a', &[on(1, 200, put("i.1", "n1", &many(1)))]);
    let op = on(1, 300, patch_of("i.1", &json!({ "f0": 2 })));
    assert_eq!(said(&server.push("alice", 'b', &[op])), "need-full");
}

#[test]
fn a_clock_that_runs_ahead_wins_by_no_more_than_the_servers_own() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = u64::try_from(now.expect("after 1970").as_millis()).expect("a time");
    let server = with_record(&json!({ "a": 1 }));
    let ahead = on(1, now * 2, patch_of("i.1", &json!({ "a": "ahead" })));
    server.push("alice", 'a', &[ahead]);
    let fair = on(1, now + 30_000, patch_of("i.1", &json!({ "a": "fair" })));
    let told = said(&server.push("alice", 'b', &[fair]));
    assert_eq!(told, "merged 3 {'a':'fair'} 'a':'local'('fair','ahead')");
}

#[test]
fn marks_are_stored_only_for_fields_that_differ() {
    let server = with_record(&json!({ "a": 1, "b": 1 }));
    let marks = || -> Option<String> {
        server
            .database()
            .query_row("SELECT fields FROM records", [], |row| row.get(0))
            .expect("the record")
    };
    assert_eq!(marks(), None);
    let op = on(1, 200, patch_of("i.1", &json!({ "a": 2 })));
    server.push("alice", 'a', &[op]);
    let (z, a) = ("z".repeat(22), "a".repeat(22));
    let expected = format!(
        r#"{{"rest":[1,"0000000000640000","{z}"],"each":{{"a":[2,"0000000000c80000","{a}"]}}}}"#
    );
    assert_eq!(marks(), Some(expected));
    let op = on(2, 300, put("i.2", "n1", &json!({ "a": 3 })));
    server.push("alice", 'a', &[op]);
    assert_eq!(marks(), None);
}

#[test]
fn a_merge_that_would_be_too_large_is_refused() {
    let large = |letter: &str| json!(letter.repeat(5 * 1024 * 1024));
    let server = with_record(&json!({ "a": 1 }));
    let op = on(1, 200, patch_of("i.1", &json!({ "b": large("b") })));
    server.push("alice", 'a', &[op]);
    let op = on(1, 200, patch_of("i.1", &json!({ "c": large("c") })));
    assert_eq!(
        said(&server.push("alice", 'b', &[op])),
        "rejected 'too-large'"
    );
}
