//! What a push does: verdicts, versions, retries, and what stands in the database afterwards.

mod support;

use serde_json::{Value, json};
use support::ops::{client, delete, on, patch, push, put, sealed};
use support::{Running, start, start_with};
use tidesync_server::access::Access;

/// Verdicts as text: `op verdict version code`, `-` for what is absent.
fn lines(answer: &support::client::Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
        .verdicts()
        .into_iter()
        .map(|(op, verdict, version, code)| {
            let version = version.map_or_else(|| "-".to_owned(), |version| version.to_string());
            format!(
                "{op} {verdict} {version} {}",
                code.as_deref().unwrap_or("-")
            )
        })
        .collect()
}

#[test]
fn puts_patches_and_deletes_are_applied_in_their_order() {
    let server = start();
    let answer = server.push(
        "alice",
        'a',
        &[
            put("i.1", "n1", &json!({ "name": "one", "size": 1 })),
            put("i.2", "sx", &json!(["~date", 5])),
            on(
                1,
                5,
                patch("i.3", "n1", &json!({ "size": 2, "new": null }), &["name"]),
            ),
            put("i.4", "n2", &json!(2)),
            on(4, 5, delete("i.5", "n2")),
            delete("i.6", "n3"),
        ],
    );
    assert_eq!(
        lines(&answer),
        [
            "i.1 applied 1 -",
            "i.2 applied 2 -",
            "i.3 applied 3 -",
            "i.4 applied 4 -",
            "i.5 applied 5 -",
            "i.6 applied 6 -",
        ]
    );
    assert_eq!(
        server.records(),
        [
            r#"~alice files n1 {"size":2,"new":null} 3 0"#,
            "~alice files n2 - 5 1",
            "~alice files n3 - 6 1",
            r#"~alice files sx ["~date",5] 2 0"#,
        ]
    );
    assert_eq!(answer.json()["batch"], "batch");
    assert_eq!(answer.json()["protocol"], 1);
}

#[test]
fn a_patch_needs_a_plain_object_to_change() {
    let server = start();
    let answer = server.push(
        "alice",
        'a',
        &[
            patch("i.1", "n1", &json!({ "a": 1 }), &[]),
            put("i.2", "n2", &json!([1])),
            patch("i.3", "n2", &json!({ "a": 1 }), &[]),
            put("i.4", "n3", &json!({})),
            on(2, 5, delete("i.5", "n3")),
            patch("i.6", "n3", &json!({ "a": 1 }), &[]),
        ],
    );
    assert_eq!(
        lines(&answer),
        [
            "i.1 need-full - -",
            "i.2 applied 1 -",
            "i.3 need-full - -",
            "i.4 applied 2 -",
            "i.5 applied 3 -",
            "i.6 need-full - -",
        ]
    );
}

#[test]
fn a_late_copy_of_a_patch_that_met_no_record_does_not_undo_what_came_after() {
    let server = start();
    let early = [patch("i.1", "n1", &json!({ "a": "early" }), &[])];
    server.push("alice", 'a', &early);
    server.push("alice", 'a', &[put("i.2", "n1", &json!({ "a": "late" }))]);
    assert_eq!(
        lines(&server.push("alice", 'a', &early)),
        ["i.1 need-full - -"]
    );
    assert_eq!(server.records(), [r#"~alice files n1 {"a":"late"} 1 0"#]);
}

#[test]
fn one_bad_operation_is_refused_alone() {
    let server = start();
    let good = |op: &str| put(op, "n1", &json!({ "a": 1 }));
    let broken = |change: fn(&mut Value)| {
        let mut op = good("i.2");
        change(&mut op);
        op
    };
    let cases: [(Value, &str); 14] = [
        (
            broken(|op| drop(op.as_object_mut().map(|op| op.remove("rid")))),
            "rejected - malformed",
        ),
        (broken(|op| op["extra"] = json!(1)), "rejected - malformed"),
        (
            broken(|op| op["version"] = json!(9)),
            "rejected - malformed",
        ),
        (
            broken(|op| op["kind"] = json!("upsert")),
            "rejected - malformed",
        ),
        (broken(|op| op["base"] = json!(-1)), "rejected - malformed"),
        (
            broken(|op| op["hlc"] = json!("now")),
            "rejected - malformed",
        ),
        (broken(|op| op["table"] = json!("")), "rejected - malformed"),
        (
            broken(|op| op["hash"] = json!("00")),
            "rejected - malformed",
        ),
        (
            broken(|op| op["set"] = json!({ "a": 1 })),
            "rejected - malformed",
        ),
        (broken(|op| op["rid"] = json!("")), "rejected - bad-key"),
        (broken(|op| op["rid"] = json!("n01")), "rejected - bad-key"),
        (
            broken(|op| op["rid"] = json!(format!("s{}", "x".repeat(2_000)))),
            "rejected - bad-key",
        ),
        (
            broken(|op| op["value"] = json!(["~nonsense"])),
            "rejected - bad-value",
        ),
        (
            broken(|op| op["value"] = json!({ "a": 2 })),
            "retry - hash-mismatch",
        ),
    ];
    for (number, (bad, expected)) in cases.into_iter().enumerate() {
        let letter = char::from(b'a' + u8::try_from(number).expect("few cases"));
        let user = format!("user{number}");
        let last = on(1, 5, good("i.3"));
        let answer = server.push(&user, letter, &[good("i.1"), bad.clone(), last]);
        let expected = format!("i.2 {expected}");
        assert_eq!(
            lines(&answer),
            ["i.1 applied 1 -", &expected, "i.3 applied 2 -"],
            "{bad}"
        );
    }
}

#[test]
fn a_value_nested_too_deep_is_refused_alone() {
    let server = start();
    let text = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = put("i.1", "n1", &json!("PLACE"))
        .to_string()
        .replace("\"PLACE\"", &text(100_000));
    let good = put("i.2", "n2", &json!(1)).to_string();
    let body = String::from_utf8(push(&client('a'), "alice", "b", &[])).expect("text");
    let body = body.replace("\"ops\":[]", &format!("\"ops\":[{deep},{good}]"));
    let answer = server.post("alice", body.as_bytes());
    assert_eq!(
        lines(&answer),
        ["i.1 rejected - bad-value", "i.2 applied 1 -"]
    );
}

#[test]
fn a_retry_is_never_recorded() {
    let server = start();
    let good = put("i.1", "n1", &json!({ "a": 1 }));
    let mut damaged = good.clone();
    damaged["value"] = json!({ "a": 3 });
    assert_eq!(
        lines(&server.push("alice", 'a', &[damaged])),
        ["i.1 retry - hash-mismatch"]
    );
    assert_eq!(
        lines(&server.push("alice", 'a', &[good])),
        ["i.1 applied 1 -"]
    );
}

#[test]
fn an_operation_without_an_id_or_two_with_one_refuse_the_whole() {
    let server = start();
    let good = put("i.1", "n1", &json!(1));
    for ops in [
        vec![good.clone(), json!({ "table": "files" })],
        vec![good.clone(), json!({ "op": 7 })],
        vec![good.clone(), json!(1)],
        vec![good.clone(), good.clone()],
    ] {
        let answer = server.push("alice", 'a', &ops);
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"));
    }
    assert!(server.records().is_empty());
}

#[test]
fn tables_that_are_not_kept_are_refused_and_stay_refused() {
    let kept = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.db");
    let op = [put("i.1", "n1", &json!(1))];
    {
        let server = start_with(|config| {
            config.database.clone_from(&path);
            config.tables = kept(&["notes"]);
        });
        assert_eq!(
            lines(&server.push("alice", 'a', &op)),
            ["i.1 rejected - unknown-table"]
        );
        let other = sealed(json!({
            "op": "i.2", "table": "notes", "rid": "n1", "kind": "put", "value": 1
        }));
        assert_eq!(
            lines(&server.push("alice", 'a', &[other])),
            ["i.2 applied 1 -"]
        );
    }
    let server = start_with(|config| {
        config.database.clone_from(&path);
        config.tables = kept(&["files"]);
    });
    assert_eq!(
        lines(&server.push("alice", 'a', &op)),
        ["i.1 rejected - unknown-table"]
    );
}

#[test]
fn the_same_batch_ten_times_at_once_has_one_effect() {
    let server = start();
    let ops: Vec<Value> = (1..=100)
        .map(|n| put(&format!("i.{n}"), &format!("n{n}"), &json!({ "n": n })))
        .chain([patch("i.101", "n999", &json!({ "a": 1 }), &[])])
        .collect();
    let body = push(&client('a'), "alice", "b", &ops);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| server.post("alice", &body).verdicts()))
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().expect("an answer"))
            .collect()
    });
    let count = |wanted: &str| {
        answers
            .iter()
            .flatten()
            .filter(|(_, verdict, ..)| verdict == wanted)
            .count()
    };
    assert_eq!(
        (count("applied"), count("duplicate"), count("need-full")),
        (100, 900, 10)
    );
    for answer in &answers {
        let versions: Vec<_> = answer.iter().map(|(_, _, version, _)| *version).collect();
        let expected: Vec<_> = (1..=100).map(Some).chain([None]).collect();
        assert_eq!(versions, expected);
    }
    let database = server.database();
    let version: u64 = database
        .query_row("SELECT version FROM spaces", [], |row| row.get(0))
        .expect("the space");
    assert_eq!((server.records().len(), version), (100, 100));
}

/// The space is no part of an operation's hash.
#[test]
fn an_id_that_comes_again_for_another_space_is_refused() {
    let server = start();
    let bearer = server.bearer_of("alice", &[("team", Access::Write)]);
    let said = |space: &str, id: &str| {
        let mut op = put(id, "n1", &json!(1));
        op["space"] = json!(space);
        let body = push(&client('a'), "alice", "b", &[op]);
        let answer = server.post_with(&[("authorization", &bearer)], &body);
        lines(&answer)[0].clone()
    };
    for (id, first, other) in [("i.1", "~", "team"), ("i.2", "team", "~")] {
        let done = said(first, id);
        assert!(!done.contains("rejected"), "{done}");
        assert_eq!(said(other, id), format!("{id} rejected - id-reused"));
        assert!(said(first, id).starts_with(&format!("{id} duplicate")));
    }
    assert_eq!(server.records().len(), 2);
}

#[test]
fn an_id_that_comes_again_with_another_content_is_refused() {
    let server = start();
    let first = put("i.1", "n1", &json!({ "a": 1 }));
    server.push("alice", 'a', std::slice::from_ref(&first));
    let answer = server.push("alice", 'a', &[put("i.1", "n1", &json!({ "a": 2 }))]);
    assert_eq!(lines(&answer), ["i.1 rejected - id-reused"]);
    assert_eq!(
        lines(&server.push("alice", 'a', &[first])),
        ["i.1 duplicate 1 -"]
    );
    assert_eq!(server.records(), [r#"~alice files n1 {"a":1} 1 0"#]);
}

#[test]
fn a_client_belongs_to_the_user_who_used_it_first() {
    let server = start();
    let op = [put("i.1", "n1", &json!("alice's"))];
    assert_eq!(server.push("alice", 'a', &op).status, 200);
    let answer = server.push("bob", 'a', &[put("i.2", "n1", &json!("bob's"))]);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "wrong-subject")
    );
    assert_eq!(lines(&server.push("bob", 'b', &op)), ["i.1 applied 1 -"]);
    assert_eq!(
        server.records(),
        [
            r#"~alice files n1 "alice's" 1 0"#,
            r#"~bob files n1 "alice's" 1 0"#
        ]
    );
    let answer = server.push("alice", 'a', &[put("i.2", "n2", &json!(2))]);
    assert_eq!(
        lines(&answer),
        ["i.2 applied 2 -"],
        "bob's attempt burned no id of alice's"
    );
}

#[test]
fn another_subject_refuses_the_whole() {
    let server = start();
    let good = put("i.1", "n1", &json!(1));
    let body = push(&client('a'), "bob", "b", std::slice::from_ref(&good));
    let answer = server.post("alice", &body);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "wrong-subject")
    );
    assert!(server.records().is_empty());
}

#[test]
fn an_operation_in_a_space_that_is_not_granted_is_refused_alone_and_keeps_its_id() {
    let server = start();
    let mut foreign = put("i.1", "n1", &json!(1));
    for (at, space) in ["team", "~bob", "~alice", ""].into_iter().enumerate() {
        foreign["space"] = json!(space);
        let own = put(&format!("i.{}", at + 2), "n2", &json!(space));
        let answer = server.push("alice", 'a', &[foreign.clone(), own]);
        let said: Vec<(String, Option<String>)> = answer
            .verdicts()
            .into_iter()
            .map(|(_, verdict, _, code)| (verdict, code))
            .collect();
        let refused = ("rejected".to_owned(), Some("wrong-space".to_owned()));
        assert_eq!((answer.status, &said[0]), (200, &refused), "{space}");
        assert_ne!(said[1].0, "rejected", "{space}");
    }
    assert_eq!(server.records().len(), 1, "{:?}", server.records());
    // What was refused for its space alone may be done once that is granted.
    let op = put("i.1", "n1", &json!(1));
    let granted = [("team", Access::Write)];
    let answer = server.push_in("team", "alice", 'a', &granted, &[op]);
    assert_eq!(answer.verdicts()[0].1, "applied");
}

#[test]
fn versions_go_on_without_a_gap_over_a_restart_and_the_epoch_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.db");
    let run = |op: &str, base: u64| -> (Vec<String>, Value, Running) {
        let server = start_with(|config| config.database.clone_from(&path));
        let answer = server.push("alice", 'a', &[on(base, 5, put(op, "n1", &json!(op)))]);
        (lines(&answer), answer.json()["epoch"].clone(), server)
    };
    let (first, epoch, mut server) = run("i.1", 0);
    assert!(server.stop().is_ok());
    assert!(
        !folder.path().join("kept.db-wal").exists(),
        "the log is folded in at the end"
    );
    let (second, same_epoch, server) = run("i.2", 1);
    assert_eq!(
        (first, second),
        (
            vec!["i.1 applied 1 -".into()],
            vec!["i.2 applied 2 -".into()]
        )
    );
    assert_eq!(epoch, same_epoch);
    let database = server.database();
    let firsts: String = database
        .query_row(
            "SELECT group_concat(first_version, ' ' ORDER BY first_version) FROM space_boots",
            [],
            |row| row.get(0),
        )
        .expect("the boots");
    assert_eq!(firsts, "1 2");
}

#[test]
fn hostile_names_and_values_are_data() {
    let server = start();
    let names = [
        "'; DROP TABLE records; --",
        "\"records\"",
        "records",
        "../../etc/passwd",
        "%00%s%n",
        "a\u{0}b",
        "\u{202e}\u{feff}",
        "__proto__",
        "😀",
        "' OR '1'='1",
    ];
    let mut ops = Vec::new();
    for (number, name) in names.iter().enumerate() {
        // `%` and U+0000 are escaped in the text of a key.
        let rid = format!("s{}", name.replace('%', "%25").replace('\u{0}', "%00"));
        ops.push(sealed(json!({
            "op": format!("i.{number}"), "table": name, "rid": rid, "kind": "put",
            "value": { "name": name }
        })));
    }
    for (user, letter) in [("alice'; DELETE FROM records", 'a'), ("%\u{1F4A3}", 'b')] {
        let answer = server.push(user, letter, &ops);
        assert!(
            lines(&answer).iter().all(|line| line.contains(" applied ")),
            "{answer:?}"
        );
    }
    let database = server.database();
    for name in names {
        let count: u64 = database
            .query_row(
                "SELECT count(*) FROM records WHERE table_name = ?1 AND doc = ?2",
                (name, json!({ "name": name }).to_string()),
                |row| row.get(0),
            )
            .expect("a count");
        assert_eq!(count, 2, "{name:?}");
    }
}

#[test]
fn a_clock_that_runs_ahead_counts_no_more_than_the_servers() {
    let server = start();
    let ahead = sealed(json!({
        "op": "i.1", "table": "files", "rid": "n1", "kind": "put", "value": 1,
        "hlc": "ffffffffffffffff"
    }));
    let behind = sealed(json!({
        "op": "i.2", "table": "files", "rid": "n2", "kind": "put", "value": 1,
        "hlc": "0000000000000001"
    }));
    server.push("alice", 'a', &[ahead, behind]);
    let read = |rid: &str| -> String {
        server
            .database()
            .query_row("SELECT hlc FROM records WHERE rid = ?1", [rid], |row| {
                row.get(0)
            })
            .expect("a clock")
    };
    assert!(read("n1").as_str() < "0800000000000000");
    assert_eq!(read("n2"), "0000000000000001");
}
