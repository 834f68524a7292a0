//! `GET /api/sync/stream`: who is told of which commits, and when a stream ends.

mod support;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use support::client::Connection;
use support::events::Events;
use support::ops::{client, on, push, put};
use support::{Running, start, start_with};
use tidesync_server::access::Access;

fn listen(server: &Running, user: &str) -> Events {
    let bearer = server.bearer(user);
    listen_with(server, &bearer).expect("a stream")
}

fn listen_with(server: &Running, bearer: &str) -> Result<Events, support::client::Answer> {
    let headers = [("authorization", bearer)];
    Events::open(server.address, "/api/sync/stream", &headers)
}

fn write(server: &Running, user: &str, letter: char, number: u64) {
    let op = put(
        &format!("i.{number}"),
        &format!("n{number}"),
        &json!(number),
    );
    assert_eq!(server.push(user, letter, &[op]).status, 200);
}

fn cursor(server: &Running, user: &str) -> String {
    let page = server.pull(user, "limit=1000");
    page.json()["cursor"].as_str().expect("a cursor").to_owned()
}

#[test]
fn a_stream_tells_where_the_spaces_stand_at_once_and_after_each_commit() {
    let server = start();
    let mut events = listen(&server, "alice");
    assert_eq!(events.poke(), Some(cursor(&server, "alice")));
    for number in 1..=3 {
        write(&server, "alice", 'a', number);
        let told = events.poke();
        assert_eq!(told, Some(cursor(&server, "alice")), "{number}");
    }
}

#[test]
fn only_commits_in_granted_spaces_are_told() {
    let server = start_with(|config| config.limits.heartbeat = Duration::from_millis(100));
    let team = [("team", Access::Read)];
    let mut member = listen_with(&server, &server.bearer_of("alice", &team)).expect("a stream");
    let mut other = listen(&server, "carol");
    member.poke();
    other.poke();
    write(&server, "bob", 'b', 1);
    assert_eq!(member.next().as_deref(), Some(": "), "of others nothing");
    let op = put("i.2", "n1", &json!("team's"));
    server.push_in("team", "bob", 'b', &[("team", Access::Write)], &[op]);
    let page = server.pull_as("alice", &team, "");
    let now = page.json()["cursor"].as_str().map(str::to_owned);
    assert_eq!(member.poke(), now);
    for _ in 0..3 {
        assert_eq!(other.next().as_deref(), Some(": "));
    }
}

#[test]
fn what_changes_nothing_is_not_told() {
    let server = start_with(|config| config.limits.heartbeat = Duration::from_millis(100));
    let op = put("i.1", "n1", &json!(1));
    server.push("alice", 'a', std::slice::from_ref(&op));
    let mut events = listen(&server, "alice");
    events.poke();
    server.push("alice", 'a', &[op]);
    server.push("alice", 'b', &[on(0, 1, put("i.1", "n1", &json!(1)))]);
    assert_eq!(events.next().as_deref(), Some(": "));
}

#[test]
fn a_slow_reader_is_told_once_of_many_commits() {
    let server = start_with(|config| config.limits.user_requests_per_minute = 1_000_000);
    let mut events = listen(&server, "alice");
    let mut connection = Connection::open(server.address).expect("a connection");
    let bearer = server.bearer("alice");
    let started = Instant::now();
    for number in 0..400 {
        let op = put(
            &format!("i.{number}"),
            &format!("n{number}"),
            &json!(number),
        );
        let body = push(&client('a'), "alice", "b", &[op]);
        let headers = [("authorization", bearer.as_str())];
        let answer = connection.send("POST", "/api/sync/push", &headers, &body);
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let pauses = started.elapsed().as_millis() / 50;
    let count = events.poke_of(&cursor(&server, "alice"));
    // One for each pause, one at once, one for what the last pause held back.
    assert!(
        u128::try_from(count).expect("few") <= pauses + 2,
        "{count} {pauses}"
    );
}

#[test]
fn a_silent_stream_beats() {
    let server = start_with(|config| config.limits.heartbeat = Duration::from_millis(100));
    let started = Instant::now();
    let mut events = listen(&server, "alice");
    events.poke();
    for _ in 0..3 {
        assert_eq!(events.next().as_deref(), Some(": "));
    }
    assert!(Duration::from_millis(300) <= started.elapsed());
}

#[test]
fn a_stream_ends_with_its_token() {
    let server = start();
    // It ended 28 s ago, of the 30 s by which clocks may differ.
    let past = SystemTime::now() - Duration::from_secs(28);
    let signed = server
        .tokens
        .sign("alice", BTreeMap::new(), past, Duration::ZERO);
    let bearer = format!("Bearer {}", signed.expect("a token").0);
    let mut events = listen_with(&server, &bearer).expect("a stream");
    assert!(events.poke().is_some());
    assert_eq!(events.next(), None);
}

#[test]
fn streams_end_when_the_server_stops() {
    let mut server = start();
    let mut events: Vec<Events> = (0..5).map(|_| listen(&server, "alice")).collect();
    events.iter_mut().for_each(|events| drop(events.poke()));
    assert!(server.stop().is_ok(), "in good order");
    for mut events in events {
        assert_eq!(events.next(), None);
    }
}

#[test]
fn a_users_oldest_stream_makes_place_for_the_newest() {
    let server = start_with(|config| {
        config.limits.user_streams_max = 2;
        config.limits.streams_max = 4;
        config.limits.user_requests_per_minute = 1_000_000;
    });
    let mut first = listen(&server, "alice");
    let second = listen(&server, "alice");
    let _other = listen(&server, "bob");
    let mut third = listen(&server, "alice");
    assert!(first.poke().is_some() && third.poke().is_some());
    assert_eq!(first.next(), None);
    drop(first);
    let _fourth = listen(&server, "dave");
    let refused = listen_with(&server, &server.bearer("carol")).expect_err("no stream");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "unavailable")
    );
    drop(second);
    // The server learns that a reader is gone when it next writes, or hears of it.
    let again = std::iter::repeat_with(|| listen_with(&server, &server.bearer("carol")));
    assert!(again.take(10_000).any(|stream| stream.is_ok()));
}

#[test]
fn bad_requests_open_no_stream() {
    let server = start();
    let bearer = server.bearer("alice");
    let open = |path: &str, bearer: &str| {
        let headers = [("authorization", bearer)];
        let answer = Events::open(server.address, path, &headers).expect_err("no stream");
        (answer.status, answer.code())
    };
    let path = "/api/sync/stream";
    let unauthorized = (401, "unauthorized".to_owned());
    assert_eq!(open(path, "Bearer a.b.c"), unauthorized);
    assert_eq!(open(path, ""), unauthorized);
    assert_eq!(
        open(&format!("{path}?access_token={}", &bearer[7..]), ""),
        unauthorized,
        "never a token in an address"
    );
    let malformed = (400, "malformed".to_owned());
    assert_eq!(open(&format!("{path}?other=x"), &bearer), malformed);
    let unknown = (410, "epoch-changed".to_owned());
    assert_eq!(open(&format!("{path}?cursor=x"), &bearer), unknown);
    write(&server, "bob", 'b', 1);
    let theirs = cursor(&server, "bob");
    let expired = (410, "cursor-expired".to_owned());
    assert_eq!(open(&format!("{path}?cursor={theirs}"), &bearer), expired);
    let ours = cursor(&server, "alice");
    let headers = [("authorization", bearer.as_str())];
    let good = Events::open(server.address, &format!("{path}?cursor={ours}"), &headers);
    assert_eq!(good.expect("a stream").poke(), Some(ours));
}

#[test]
fn a_connection_that_reads_nothing_is_cut_off() {
    let server = start_with(|config| {
        config.limits.connections_max = 1;
        config.limits.request_timeout = Duration::from_secs(2);
    });
    let large = json!("x".repeat(1024 * 1024));
    server.push("alice", 'a', &[put("i.1", "n1", &large)]);
    let bearer = server.bearer("alice");
    let mut deaf = Connection::open(server.address).expect("a connection");
    let request =
        format!("GET /api/sync/pull HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\r\n");
    // More than the buffers between the two can hold.
    deaf.write(request.repeat(40).as_bytes()).expect("sent");
    // The only place is free again once the first connection is gone.
    let answer = server.request("GET", "/api/health", &[], b"");
    assert_eq!(answer.status, 200);
    let answers = std::iter::repeat_with(|| deaf.answer());
    assert!(answers.take(40).any(|answer| answer.is_err()));
}

#[test]
fn many_streams_hear_of_a_commit_soon() {
    let server = start_with(|config| config.limits.user_streams_max = 100);
    let team = [("team", Access::Write)];
    let (told, waits) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            let bearer = server.bearer_of("alice", &team);
            let mut events = listen_with(&server, &bearer).expect("a stream");
            events.poke();
            let told = told.clone();
            scope.spawn(move || {
                let cursor = events.poke().expect("told");
                told.send((Instant::now(), cursor)).expect("read below");
            });
        }
        let ops: Vec<Value> = vec![put("i.1", "n1", &json!(1))];
        server.push_in("team", "bob", 'b', &team, &ops);
        let committed = Instant::now();
        drop(told);
        let mut all: Vec<(Instant, String)> = waits.iter().collect();
        assert_eq!(all.len(), 50);
        all.dedup_by(|one, other| one.1 == other.1);
        assert_eq!(all.len(), 1, "the same cursor");
        assert!(all[0].0.duration_since(committed) < Duration::from_secs(5));
    });
}
