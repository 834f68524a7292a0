//! What happens when the database cannot be written to: locked, full, gone. Nothing is answered
//! before it is durable, and the server goes on.

mod support;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;
use support::ops::{client, push, put};
use support::{Running, start_with};
use tidesync_server::access::Grant;
use tidesync_server::hub::Hub;
use tidesync_server::store::{self, Start};
use tidesync_server::writer::{WriteError, Writer};

/// A short wait for foreign locks.
fn impatient() -> Running {
    start_with(|config| config.limits.busy_timeout = Duration::ZERO)
}

fn lock(server: &Running) -> Connection {
    let other = server.database();
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    other
}

#[test]
fn a_database_that_another_process_locks_is_unavailable_and_then_works() {
    let server = impatient();
    let other = lock(&server);
    let op = [put("i.1", "n1", &json!(1))];
    let answer = server.push("alice", 'a', &op);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "unavailable")
    );
    assert_eq!(answer.header("retry-after"), Some("2"));
    assert!(
        !answer.text().to_lowercase().contains("sql"),
        "{}",
        answer.text()
    );
    other
        .execute_batch("ROLLBACK")
        .expect("the end of the lock");
    assert_eq!(server.push("alice", 'a', &op).verdicts()[0].1, "applied");
}

#[test]
fn a_full_queue_refuses_and_what_was_taken_is_done() {
    let server = start_with(|config| {
        config.limits.queue_pushes_max = 1;
        config.limits.busy_timeout = Duration::from_secs(60);
    });
    let other = lock(&server);
    let (answers, statuses) = mpsc::channel();
    std::thread::scope(|scope| {
        let server = &server;
        for number in 0..6 {
            let answers = answers.clone();
            scope.spawn(move || {
                let op = put(&format!("i.{number}"), &format!("n{number}"), &json!(1));
                answers
                    .send(server.push("alice", 'a', &[op]).status)
                    .expect("read below");
            });
        }
        // At most one waits for the lock and one in the queue: the other four are refused while
        // the lock is held.
        let refused: Vec<u16> = statuses.iter().take(4).collect();
        assert_eq!(refused, [503; 4]);
        other
            .execute_batch("ROLLBACK")
            .expect("the end of the lock");
    });
    drop(answers);
    let taken = statuses.iter().filter(|&status| status == 200).count();
    assert!((1..=2).contains(&taken), "{taken}");
    assert_eq!(server.records().len(), taken);
}

#[test]
fn what_waits_for_the_writer_holds_its_memory_though_the_sender_has_gone() {
    let server = start_with(|config| {
        config.limits.held_bytes_max = 256 * 1024;
        config.limits.busy_timeout = Duration::from_secs(60);
        config.limits.request_timeout = Duration::from_secs(2);
    });
    let other = lock(&server);
    let large = |number: u64| {
        let value = json!("x".repeat(200_000));
        let op = put(&format!("i.{number}"), &format!("n{number}"), &value);
        let answer = server.push("alice", 'a', &[op]);
        (answer.status, answer.json()["message"].to_string())
    };
    let (status, message) = large(1);
    assert_eq!((status, message.contains("too long")), (503, true));
    let (status, message) = large(2);
    assert_eq!((status, message.contains("cannot take")), (503, true));
    let unlocked = other.execute_batch("ROLLBACK");
    unlocked.expect("the end of the lock");
    // Behind the first one, which is done and gone then.
    let small = [put("i.3", "n3", &json!(3))];
    assert!((0..100).any(|_| server.push("alice", 'a', &small).status == 200));
    assert_eq!(large(2).0, 200);
    assert_eq!(server.records().len(), 3);
}

#[test]
fn a_failure_in_the_middle_leaves_nothing_and_harms_no_other_push() {
    let server = impatient();
    server
        .database()
        .execute_batch(
            "CREATE TRIGGER fail BEFORE INSERT ON records WHEN new.rid = 'n666'
             BEGIN SELECT raise(ABORT, 'secret'); END",
        )
        .expect("a trigger");
    let ops = [put("i.1", "n1", &json!(1)), put("i.2", "n666", &json!(2))];
    let answer = server.push("alice", 'a', &ops);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "unavailable")
    );
    assert!(!answer.text().contains("secret"));
    assert!(server.records().is_empty());
    let answer = server.push("alice", 'a', &[put("i.3", "n3", &json!(3))]);
    assert_eq!(answer.verdicts()[0].2, Some(1), "no version was used up");
}

#[test]
fn a_full_disk_is_unavailable_and_what_was_there_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("full.db");
    let open = || {
        let start = Start::random(1).expect("random bytes");
        store::open(&path, Duration::ZERO, &start).expect("opened")
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let write = |(connection, identity), number: u64| {
        let (writer, thread) =
            Writer::start(connection, identity, Hub::new(1, 1), (1, Duration::MAX))
                .expect("a writer");
        let value = json!("x".repeat(100_000));
        let op = put(&format!("i.{number}"), &format!("n{number}"), &value);
        let body = push(&client('a'), "alice", "b", &[op]);
        let grant = Grant::new("alice", BTreeMap::new()).expect("a good name");
        let push = tidesync_server::push::read(&body, &grant, None).expect("a push");
        let answer = runtime.block_on(writer.apply(push, ()));
        drop(writer);
        thread.join().expect("no panic");
        answer.map(|applied| applied.verdicts[0].version)
    };
    assert_eq!(write(open(), 1), Ok(Some(1)));
    let (connection, identity) = open();
    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .expect("the size");
    connection
        .pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(()))
        .expect("a full disk");
    assert_eq!(
        write((connection, identity), 2),
        Err(WriteError::Unavailable)
    );
    assert_eq!(write(open(), 2), Ok(Some(2)), "room again");
    let connection = Connection::open(&path).expect("the database");
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("a check");
    assert_eq!(check, "ok");
}

#[test]
fn a_transaction_that_sqlite_gave_up_is_not_answered_as_done() {
    let server = impatient();
    server
        .database()
        .execute_batch(
            "CREATE TRIGGER fail BEFORE INSERT ON records WHEN new.rid = 'n2'
             BEGIN SELECT raise(ROLLBACK, 'gone'); END",
        )
        .expect("a trigger");
    let op = [put("i.2", "n2", &json!("x"))];
    assert_eq!(server.push("alice", 'a', &op).status, 503);
    server
        .database()
        .execute_batch("DROP TRIGGER fail")
        .expect("the end of the trouble");
    assert_eq!(server.push("alice", 'a', &op).verdicts()[0].2, Some(1));
}

#[test]
fn requests_that_are_open_when_the_server_stops_are_finished() {
    let mut server = start_with(|config| config.limits.busy_timeout = Duration::from_secs(60));
    let other = lock(&server);
    let bearer = server.bearer("alice");
    let body = push(&client('a'), "alice", "b", &[put("i.1", "n1", &json!(1))]);
    let mut open = support::client::Connection::open(server.address).expect("a connection");
    let (head, last) = body.split_at(body.len() - 1);
    let request = format!(
        "POST /api/sync/push HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    open.write(request.as_bytes()).expect("sent");
    // The server asks for the body: the request is open.
    assert_eq!(open.answer().expect("an answer").status, 100);
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| server.stop());
        open.write(head).expect("sent");
        open.write(last).expect("sent");
        other
            .execute_batch("ROLLBACK")
            .expect("the end of the lock");
        assert_eq!(open.answer().expect("an answer").verdicts()[0].1, "applied");
        assert!(stopping.join().expect("no panic").is_ok());
    });
    assert_eq!(server.records().len(), 1);
}
