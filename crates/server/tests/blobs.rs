//! `/api/sync/blob/{hash}`: bytes in chunks, by their hash, and the operations that name them.

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::client::Answer;
use support::ops::{client, patch, push, put};
use support::{Running, start, start_with};
use tidesync_server::access::Access;

const MIB: usize = 1024 * 1024;

/// Bytes that differ from place to place.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    let byte = |at: usize| (at % 251) as u8 ^ (at / 251 % 241) as u8 ^ seed;
    (0..length).map(byte).collect()
}

fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// Sends a chunk as `user`, who has `granted` besides their own space.
fn send_as(
    server: &Running,
    (user, granted): (&str, &[(&str, Access)]),
    path: &str,
    chunk: &[u8],
) -> Answer {
    let bearer = server.bearer_of(user, granted);
    let path = format!("/api/sync/blob/{path}");
    server.request("POST", &path, &[("authorization", &bearer)], chunk)
}

fn send(server: &Running, path: &str, chunk: &[u8]) -> Answer {
    send_as(server, ("alice", &[]), path, chunk)
}

fn get(server: &Running, path: &str) -> Answer {
    server.get_as("alice", &[], &format!("/api/sync/blob/{path}"))
}

/// Sends all of it.
fn upload(server: &Running, whole: &[u8]) -> String {
    let hash = hash(whole);
    let path = |offset: usize| format!("{hash}?size={}&offset={offset}", whole.len());
    if whole.is_empty() {
        assert_eq!(progress(&send(server, &path(0), b"")), (0, true));
    }
    for (number, chunk) in whole.chunks(MIB).enumerate() {
        let answer = send(server, &path(number * MIB), chunk);
        let received = number * MIB + chunk.len();
        assert_eq!(progress(&answer), (received, received == whole.len()));
    }
    hash
}

/// Reads all of it, as much at a time as the server gives.
fn download(server: &Running, hash: &str) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let part = get(server, &format!("{hash}?offset={}", whole.len()));
        assert_eq!(part.status, 200, "{}", part.text());
        whole.extend_from_slice(part.bytes());
        let size = part.header("tidesync-blob-size").map(str::to_owned);
        if size == Some(whole.len().to_string()) {
            return whole;
        }
        assert!(!part.bytes().is_empty());
    }
}

fn progress(answer: &Answer) -> (usize, bool) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let received = json["received"].as_u64().expect("a count");
    let received = usize::try_from(received).expect("a count");
    (received, json["complete"].as_bool().expect("a flag"))
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[test]
fn bytes_come_back_as_they_were_sent() {
    let server = start();
    for length in [0, 1, 1_000, MIB, MIB + 1, 3 * MIB + 77] {
        let whole = bytes(length, 1);
        let hash = upload(&server, &whole);
        assert_eq!(
            progress(&get(&server, &format!("{hash}/status"))),
            (length, true)
        );
        assert!(download(&server, &hash) == whole, "{length}");
    }
}

#[test]
fn chunks_of_any_length_and_reads_at_any_place() {
    let server = start();
    let whole = bytes(3 * MIB / 2, 2);
    let hash = hash(&whole);
    let mut offset = 0;
    for length in [1, 700_000, 0, 99, MIB] {
        let chunk = &whole[offset..(offset + length).min(whole.len())];
        let path = format!("{hash}?size={}&offset={offset}", whole.len());
        offset += chunk.len();
        let answer = send(&server, &path, chunk);
        assert_eq!(progress(&answer), (offset, offset == whole.len()));
    }
    for offset in [0, 1, 700_000, 700_101, whole.len() - 1, whole.len()] {
        let part = get(&server, &format!("{hash}?offset={offset}"));
        let end = (offset + MIB).min(whole.len());
        assert!(part.bytes() == &whole[offset..end], "{offset}");
        assert_eq!(
            part.header("content-type"),
            Some("application/octet-stream")
        );
    }
}

#[test]
fn an_upload_goes_on_where_it_ended() {
    let server = start();
    let whole = bytes(2 * MIB, 3);
    let hash = hash(&whole);
    let path = |offset: usize| format!("{hash}?size={}&offset={offset}", whole.len());
    let status = |server: &Running| progress(&get(server, &format!("{hash}/status")));
    assert_eq!(status(&server), (0, false));
    let early = send(&server, &path(MIB), &whole[MIB..]);
    assert_eq!(refusal(&early), (409, "wrong-offset".to_owned()));
    assert_eq!(early.json()["received"], 0);
    send(&server, &path(0), &whole[..MIB]);
    assert_eq!(status(&server), (MIB, false));
    assert_eq!(refusal(&get(&server, &hash)), (404, "not-found".to_owned()));
    for offset in [0, MIB - 1, MIB + 1] {
        let answer = send(&server, &path(offset), &whole[offset..MIB.max(offset)]);
        assert_eq!(refusal(&answer), (409, "wrong-offset".to_owned()));
        assert_eq!(answer.json()["received"], MIB);
    }
    assert_eq!(
        progress(&send(&server, &path(MIB), &whole[MIB..])),
        (2 * MIB, true)
    );
    // The answer was lost: the same again is answered the same.
    assert_eq!(
        progress(&send(&server, &path(MIB), &whole[MIB..])),
        (2 * MIB, true)
    );
    assert_eq!(
        progress(&send(&server, &path(0), &whole[..MIB])),
        (2 * MIB, true)
    );
}

#[test]
fn what_does_not_have_its_hash_is_thrown_away() {
    let server = start();
    let whole = bytes(1_000, 4);
    let hash = hash(&whole);
    let path = format!("{hash}?size=1000&offset=0");
    let damaged = bytes(1_000, 5);
    let answer = send(&server, &path, &damaged);
    assert_eq!(refusal(&answer), (422, "hash-mismatch".to_owned()));
    assert_eq!(
        progress(&get(&server, &format!("{hash}/status"))),
        (0, false)
    );
    assert_eq!(get(&server, &hash).status, 404);
    assert_eq!(progress(&send(&server, &path, &whole)), (1_000, true));
    let other = send(&server, &format!("{hash}?size=999&offset=0"), &whole[..999]);
    assert_eq!(refusal(&other), (422, "hash-mismatch".to_owned()));
    assert!(download(&server, &hash) == whole, "what is whole stays");
}

#[test]
fn who_was_wrong_about_the_size_shuts_out_nobody() {
    let server = start();
    let whole = bytes(1_000, 6);
    let hash = hash(&whole);
    send(
        &server,
        &format!("{hash}?size=5000&offset=0"),
        &whole[..500],
    );
    let answer = send(
        &server,
        &format!("{hash}?size=1000&offset=500"),
        &whole[500..],
    );
    assert_eq!(refusal(&answer), (409, "wrong-offset".to_owned()));
    assert_eq!(
        answer.json()["received"],
        0,
        "not where the other one goes on"
    );
    let answer = send(&server, &format!("{hash}?size=1000&offset=0"), &whole);
    assert_eq!(progress(&answer), (1_000, true));
}

#[test]
fn blobs_are_limited() {
    let server = start_with(|config| {
        config.limits.blob_bytes_max = 1_000;
        config.limits.space_blob_bytes_max = 1_500;
    });
    let too_large = (413, "too-large".to_owned());
    let path = |bytes: &[u8]| format!("{}?size={}&offset=0", hash(bytes), bytes.len());
    let [small, other, large] = [(1_000, 1), (501, 2), (1_001, 3)].map(|(n, s)| bytes(n, s));
    assert_eq!(refusal(&send(&server, &path(&large), &large)), too_large);
    assert_eq!(send(&server, &path(&small), &small).status, 200);
    assert_eq!(refusal(&send(&server, &path(&other), &other)), too_large);
    assert_eq!(
        send_as(&server, ("bob", &[]), &path(&other), &other).status,
        200
    );
    assert_eq!(send(&server, &path(&other[1..]), &other[1..]).status, 200);
    let server = start();
    let long = bytes(MIB + 1, 1);
    assert_eq!(refusal(&send(&server, &path(&long), &long)), too_large);
    let beyond = format!("{}?size=10&offset=0", hash(&small));
    assert_eq!(
        refusal(&send(&server, &beyond, &small)),
        (400, "malformed".to_owned())
    );
}

#[test]
fn bad_requests_are_refused() {
    let server = start();
    let whole = bytes(10, 1);
    let good = upload(&server, &whole);
    let not_found = (404, "not-found".to_owned());
    let malformed = (400, "malformed".to_owned());
    for name in [
        "x",
        &good[1..],
        &format!("{good}A"),
        &"A".repeat(42),
        &format!("{}B", "A".repeat(42)),
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
    ] {
        assert_eq!(refusal(&get(&server, name)), not_found, "{name}");
        assert_eq!(refusal(&get(&server, &format!("{name}/status"))), not_found);
        let path = format!("{name}?size=10&offset=0");
        assert_eq!(refusal(&send(&server, &path, &whole)), not_found);
    }
    for query in [
        "",
        "size=10",
        "offset=0",
        "size=-1&offset=0",
        "size=10&offset=x",
        "size=18446744073709551616&offset=0",
        "size=10&offset=0&more=1",
    ] {
        let answer = send(&server, &format!("{good}?{query}"), &whole);
        assert_eq!(refusal(&answer), malformed, "{query}");
    }
    assert_eq!(
        refusal(&get(&server, &format!("{good}?offset=11"))),
        malformed
    );
    assert_eq!(
        refusal(&get(&server, &format!("{good}?offset=x"))),
        malformed
    );
    let huge = format!("{good}?offset={}", u64::MAX);
    assert_eq!(refusal(&get(&server, &huge)), malformed);
    for (method, path) in [
        ("GET", format!("/api/sync/blob/{good}")),
        ("GET", format!("/api/sync/blob/{good}/status")),
        ("POST", format!("/api/sync/blob/{good}?size=10&offset=0")),
    ] {
        let answer = server.request(method, &path, &[("authorization", "Bearer a.b.c")], b"");
        assert_eq!(refusal(&answer), (401, "unauthorized".to_owned()));
    }
}

#[test]
fn blobs_are_those_of_their_space() {
    let server = start();
    let whole = bytes(100, 7);
    let hash = upload(&server, &whole);
    let [reader, writer] = [Access::Read, Access::Write].map(|access| [("team", access)]);
    let of_bob = |path: &str| server.get_as("bob", &reader, &format!("/api/sync/blob/{path}"));
    assert_eq!(of_bob(&hash).status, 404);
    assert_eq!(progress(&of_bob(&format!("{hash}/status"))), (0, false));
    let in_team = format!("{hash}?size=100&offset=0&space=team");
    let answer = send_as(&server, ("bob", &reader), &in_team, &whole);
    assert_eq!(refusal(&answer), (403, "read-only".to_owned()));
    let wrong = (403, "wrong-space".to_owned());
    assert_eq!(refusal(&send(&server, &in_team, &whole)), wrong);
    assert_eq!(refusal(&get(&server, &format!("{hash}?space=team"))), wrong);
    assert_eq!(
        refusal(&get(&server, &format!("{hash}/status?space=~bob"))),
        wrong
    );
    assert_eq!(
        send_as(&server, ("carol", &writer), &in_team, &whole).status,
        200
    );
    assert!(of_bob(&format!("{hash}?space=team")).bytes() == whole);
}

#[test]
fn an_operation_waits_for_the_blobs_that_it_names() {
    let server = start();
    let (photo, text) = (bytes(2_000, 8), bytes(10, 9));
    let photo_form = json!(["~blob", "image/png", 2_000, hash(&photo)]);
    let text_form = json!(["~file", "a.txt", 5, "text/plain", 10, hash(&text)]);
    let value = json!({ "photo": photo_form, "files": [text_form] });
    let ops = [
        put("i.1", "n1", &value),
        put("i.2", "n2", &json!({ "a": 1 })),
        patch("i.3", "n2", &json!({ "photo": photo_form }), &[]),
    ];
    let verdicts = || -> Vec<String> {
        let answer = server.push("alice", 'a', &ops);
        let entries = answer.verdicts().into_iter();
        entries
            .map(|(_, verdict, _, code)| format!("{verdict} {}", code.unwrap_or_default()))
            .collect()
    };
    let missing = "retry blob-missing";
    assert_eq!(verdicts(), [missing, "applied ", missing]);
    upload(&server, &photo);
    assert_eq!(verdicts(), [missing, "duplicate ", "merged "]);
    let half = format!("{}?size=10&offset=0", hash(&text));
    send(&server, &half, &text[..5]);
    assert_eq!(verdicts()[0], missing, "half of it is not it");
    let rest = format!("{}?size=10&offset=5", hash(&text));
    send(&server, &rest, &text[5..]);
    assert_eq!(verdicts(), ["applied ", "duplicate ", "duplicate "]);
    let lying = put("i.4", "n4", &json!(["~blob", "", 11, hash(&text)]));
    let answer = server.push("alice", 'a', &[lying]);
    assert_eq!(answer.verdicts()[0].3.as_deref(), Some("bad-value"));
}

#[test]
fn what_only_looks_like_a_blob_is_waited_for_by_nobody() {
    let server = start();
    let name = hash(b"nowhere");
    let text = json!(["~array", "~blob", "", 5, name]);
    let map = json!(["~map", ["~blob", 5]]);
    let escaped = json!({ "a": text, "b": map, "~blob": [name] });
    let answer = server.push("alice", 'a', &[put("i.1", "n1", &escaped)]);
    assert_eq!(answer.verdicts()[0].1, "applied", "{}", answer.text());
    // One that is written otherwise is one none the less.
    let form = json!(["~blob", "", 5, name]);
    let body = push(&client('a'), "alice", "b", &[put("i.2", "n2", &form)]);
    let body = String::from_utf8(body)
        .expect("text")
        .replace("~blob", "\\u007eblob");
    let answer = server.post("alice", body.as_bytes());
    assert_eq!(answer.verdicts()[0].3.as_deref(), Some("blob-missing"));
}

#[test]
fn blobs_survive_a_restart_and_count_for_the_rate() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.db");
    let whole = bytes(MIB + 5, 1);
    let name = upload(
        &start_with(|config| config.database.clone_from(&path)),
        &whole,
    );
    let server = start_with(|config| {
        config.database.clone_from(&path);
        config.limits.user_requests_per_minute = 3;
    });
    assert!(download(&server, &name) == whole);
    let _ = get(&server, &name);
    let limited: Value = get(&server, &name).json();
    assert_eq!(limited["code"], "rate-limited");
}
