//! No byte that is sent to a user depends on another user's data (I19): worlds that differ only in what
//! another user does give the first user the same bytes.
//!
//! All worlds begin as copies of one database, so that epoch and key of the cursors are the same. What
//! is still random is masked: a boot is replaced by its number, in the order in which the user meets
//! them, and a cursor's signature, which covers it, by its length. Times of the server (`at`, the header
//! `date`) are masked too.

mod support;

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::client::Answer;
use support::events::Events;
use support::ops::{client, delete, on, patch, push, put, resolved_by};
use support::{Running, start_with};
use tempfile::TempDir;
use tidesync_server::access::Access;

/// What alice may do besides her own.
const TEAM: [(&str, Access); 2] = [("news", Access::Read), ("team", Access::Write)];

/// What bob may do besides his own, where he shares anything, and carol with him.
const OTHER: [(&str, Access); 1] = [("other", Access::Write)];

/// The bytes of a blob that everybody has, and of one that only the others have.
const BLOB: [u8; 3_000] = [7; 3_000];
const THEIRS: [u8; 2_000] = [8; 2_000];

/// What the others do in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Nothing,
    /// Bob changes his own space.
    Alone,
    /// And one that he shares with carol, who changes hers too.
    Together,
}

/// One world: what alice is sent, and what the others do between.
struct World {
    folder: TempDir,
    server: Running,
    others: Others,
    /// How often the others have done something.
    disturbed: u64,
    masks: Masks,
    sent: Vec<String>,
}

fn serve(folder: &Path) -> Running {
    start_with(|config| {
        config.database = folder.join("world.db");
        config.limits.heartbeat = Duration::from_millis(100);
        config.limits.user_requests_per_minute = 1_000_000;
        config.limits.space_blob_bytes_max = 10_000;
    })
}

impl World {
    /// A world that begins with a copy of `founded`.
    fn new(founded: &Running, others: Others) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("world.db");
        let made = founded
            .database()
            .execute("VACUUM INTO ?1", [copy.to_str().expect("text")]);
        made.expect("a copy");
        Self {
            server: serve(folder.path()),
            folder,
            others,
            disturbed: 0,
            masks: Masks::default(),
            sent: Vec::new(),
        }
    }

    /// Keeps an answer as it is on the wire, but for what is masked.
    fn note(&mut self, what: &str, answer: &Answer) {
        let mut json = answer.json();
        let body = if json.is_null() {
            answer.text()
        } else {
            // No member is lost in reading: what is told is the text, or else what it says.
            assert_eq!(json.to_string().len(), answer.bytes().len(), "{what}");
            self.masks.apply(&mut json);
            json.to_string()
        };
        self.sent.push(format!("{what}: {} {body}", answer.head()));
    }

    fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.disturb();
        let bearer = self.server.bearer_of("alice", &TEAM);
        let headers = [("authorization", bearer.as_str())];
        let answer = self.server.request(method, path, &headers, body);
        let (path, _) = path.split_once("cursor=").unwrap_or((path, ""));
        self.note(&format!("{method} {path}"), &answer);
        answer
    }

    fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, b"")
    }

    /// Sends an operation twice; the version that it has made.
    fn push(&mut self, space: &str, letter: char, mut op: Value) -> u64 {
        op["space"] = json!(space);
        let body = push(&client(letter), "alice", "batch", &[op]);
        let answer = self.request("POST", "/api/sync/push", &body);
        self.request("POST", "/api/sync/push", &body);
        answer.json()["verdicts"][0]["version"]
            .as_u64()
            .unwrap_or_default()
    }

    /// The others do everything that could matter: in spaces of the same names and of others, on
    /// records, tables, operations and blobs of the same names, in conflict with themselves.
    fn disturb(&mut self) {
        if self.others == Others::Nothing {
            return;
        }
        self.disturbed += 1;
        self.act("bob", &[], "~", ['m', 'n']);
        if self.others == Others::Together {
            self.act("bob", &OTHER, "other", ['m', 'n']);
            self.act("carol", &OTHER, "other", ['o', 'p']);
            self.act("carol", &OTHER, "~", ['o', 'p']);
        }
    }

    fn act(&self, user: &str, granted: &[(&str, Access)], space: &str, clients: [char; 2]) {
        let named = space.trim_start_matches('~');
        let push = |letter: char, op: Value| {
            let answer = self.server.push_in(space, user, letter, granted, &[op]);
            assert_ne!(answer.verdicts()[0].1, "rejected", "{}", answer.text());
        };
        let id = |n: u64| format!("i{named}.{}", self.disturbed * 10 + n);
        push(
            clients[0],
            on(0, 100, put(&id(0), "n1", &json!({ "a": user }))),
        );
        let later = json!({ "a": self.disturbed });
        push(clients[1], on(0, 200, put(&id(1), "n1", &later)));
        let removal = delete(&id(2), "n2");
        push(clients[1], on(9, 300, resolved_by("merge", removal)));
        let bearer = self.server.bearer_of(user, granted);
        let headers = [("authorization", bearer.as_str())];
        let query = if named.is_empty() {
            String::new()
        } else {
            format!("&space={named}")
        };
        for bytes in [&BLOB[..], &BLOB[..1_000], &THEIRS[..], &BLOB[..9]] {
            // Of the last the others have a part only, of another size than it has.
            let size = bytes.len().max(10);
            let path = format!("/api/sync/blob/{}?size={size}&offset=0{query}", hash(bytes));
            self.server.request("POST", &path, &headers, bytes);
        }
        for path in ["pull", "audit", "pull?cursor=x", "audit?limit=0", "none"] {
            self.server
                .get_as(user, granted, &format!("/api/sync/{path}"));
        }
    }
}

/// The name of a blob.
fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// What is random or the time, and what stands in its place.
#[derive(Default)]
struct Masks {
    boots: Vec<String>,
}

impl Masks {
    fn apply(&mut self, json: &mut Value) {
        match json {
            Value::Object(members) => {
                for (name, value) in members.iter_mut() {
                    match name.as_str() {
                        "at" => *value = json!("at"),
                        "cursor" | "place" => {
                            *value = self.places(value.as_str().expect("a cursor"))
                        }
                        _ => self.apply(value),
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|it| self.apply(it)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// What a cursor says.
    fn places(&mut self, cursor: &str) -> Value {
        let (payload, tag) = cursor.split_once('.').expect("a cursor");
        let payload = URL_SAFE_NO_PAD.decode(payload).expect("a cursor");
        let mut payload: Value = serde_json::from_slice(&payload).expect("JSON");
        for place in payload["s"].as_object_mut().expect("places").values_mut() {
            let boot = place[1].as_str().expect("a boot").to_owned();
            let known = self.boots.iter().position(|known| *known == boot);
            let number = known.unwrap_or_else(|| {
                self.boots.push(boot.clone());
                self.boots.len() - 1
            });
            place[1] = json!([number, boot.len()]);
        }
        json!([payload, tag.len()])
    }
}

/// A stream of alice's.
struct Stream(Events);

impl Stream {
    fn open(world: &mut World) -> Self {
        let bearer = world.server.bearer_of("alice", &TEAM);
        let headers = [("authorization", bearer.as_str())];
        let opened = Events::open(world.server.address, "/api/sync/stream", &headers);
        let mut stream = Self(opened.expect("a stream"));
        stream.note(world);
        stream
    }

    /// Keeps the next poke.
    fn note(&mut self, world: &mut World) {
        let cursor = self.0.poke().expect("a poke");
        let places = world.masks.places(&cursor);
        world.sent.push(format!("poke {places}"));
    }

    /// Nothing but heartbeats come while the others change theirs.
    fn is_silent(&mut self, world: &mut World) {
        for _ in 0..3 {
            world.disturb();
            assert_eq!(self.0.next().as_deref(), Some(": "), "{:?}", world.others);
        }
    }
}

/// Changes and conflicts in the spaces that alice may change, with a stream beside them.
fn write(world: &mut World, round: &str) {
    let mut stream = Stream::open(world);
    world.get("/api/sync/pull");
    let id = |space: &str, n: u64| format!("{round}{space}.{n}");
    let (first, second) = (format!("s{round}1"), format!("s{round}2"));
    for space in ["~", "team"] {
        let whole = json!({ "a": 1, "b": 1 });
        let base = world.push(space, 'a', put(&id(space, 1), &first, &whole));
        stream.note(world);
        let ours = patch(&id(space, 2), &first, &json!({ "a": 2 }), &[]);
        world.push(space, 'a', on(base, 300, ours));
        stream.note(world);
        let set = json!({ "a": 3, "b": 3 });
        let theirs = patch(&id(space, 1), &first, &set, &[]);
        world.push(space, 'b', on(base, 200, theirs));
        stream.note(world);
        let asked = on(base, 500, put(&id(space, 2), &first, &json!({ "a": 5 })));
        world.push(space, 'c', resolved_by("ask", asked));
        let unmet = patch(&id(space, 3), &second, &json!({ "a": 1 }), &[]);
        world.push(space, 'c', unmet);
        let made = put(&id(space, 4), &second, &whole);
        let base = world.push(space, 'c', made);
        stream.note(world);
        world.push(space, 'c', on(base, 600, delete(&id(space, 5), &second)));
        stream.note(world);
    }
    stream.is_silent(world);
}

/// What is there, page by page; the last cursor.
fn read(world: &mut World) -> String {
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("/api/sync/pull?limit=2{cursor}")).json();
        let next = page["cursor"].as_str().expect("a cursor");
        cursor = format!("&cursor={next}");
        if page["more"] == false {
            break;
        }
    }
    let first = world.get("/api/sync/audit?limit=1").json();
    let before = first["before"].as_str().expect("more than one").to_owned();
    world.get(&format!("/api/sync/audit?before={before}"));
    world.get("/api/sync/audit?table=files&rid=si1");
    cursor
}

/// Blobs that the others have too, in whole or in part, or have and alice has not.
fn blobs(world: &mut World) {
    let lane = |bytes: &[u8]| format!("/api/sync/blob/{}", hash(bytes));
    for space in ["", "&space=team", "&space=news", "&space=other"] {
        let query = space.replace('&', "?");
        for bytes in [&BLOB[..], &THEIRS[..], &BLOB[..9]] {
            world.get(&format!("{}/status{query}", lane(bytes)));
            world.get(&format!("{}{query}", lane(bytes)));
        }
        for (from, to) in [(0, 1_000), (500, 900), (1_000, 3_000), (0, 1)] {
            let path = format!("{}?size=3000&offset={from}{space}", lane(&BLOB));
            world.request("POST", &path, &BLOB[from..to]);
            world.get(&format!("{}{query}", lane(&BLOB)));
        }
        let wrong = format!("{}?size=2000&offset=0{space}", lane(&THEIRS));
        world.request("POST", &wrong, &BLOB[..2_000]);
        // There is no room for it beside the first.
        let large = format!("{}?size=9000&offset=0{space}", lane(&BLOB[..5]));
        world.request("POST", &large, b"");
    }
    for (n, bytes) in [&BLOB[..], &THEIRS[..]].iter().enumerate() {
        let value = json!(["~blob", "", bytes.len(), hash(bytes)]);
        for space in ["~", "team"] {
            world.push(space, 'a', put(&format!("{space}.9{n}"), "n9", &value));
        }
    }
}

/// All that is refused.
fn refusals(world: &mut World) {
    for space in ["other", "~bob", "~carol", "news"] {
        world.push(space, 'd', put("x.1", "n1", &json!(1)));
    }
    let op = put("x.2", "n1", &json!(1));
    let foreign = push(&client('d'), "bob", "batch", std::slice::from_ref(&op));
    let old = String::from_utf8(push(&client('d'), "alice", "batch", &[op]));
    let old = old
        .expect("text")
        .replace("\"protocol\":1", "\"protocol\":0");
    for body in [&foreign[..], old.as_bytes(), b"{", b""] {
        world.request("POST", "/api/sync/push", body);
    }
    for path in [
        "pull?cursor=x",
        "pull?limit=0",
        "audit?before=x",
        "audit?rid=n1",
        "blob/x",
        "none",
        "push",
    ] {
        world.get(&format!("/api/sync/{path}"));
    }
    world.request("POST", "/api/sync/pull", b"");
    let nobody = world.server.request("GET", "/api/sync/pull", &[], b"");
    world.note("nobody", &nobody);
    let health = world.server.request("GET", "/api/health", &[], b"");
    world.note("health", &health);
}

/// Everything that alice does, over a restart of the server.
fn run(world: &mut World) {
    write(world, "i");
    let before = read(world);
    world.disturb();
    world.server.stop().expect("an orderly end");
    world.server = serve(world.folder.path());
    write(world, "j");
    read(world);
    world.get(&format!("/api/sync/pull?limit=9{before}"));
    blobs(world);
    refusals(world);
}

#[test]
fn what_others_do_changes_no_byte() {
    let founded = start_with(|_| {});
    let run = |others| {
        let mut world = World::new(&founded, others);
        run(&mut world);
        (world.disturbed, world.sent)
    };
    let (undisturbed, expected) = run(Others::Nothing);
    assert_eq!(undisturbed, 0);
    for others in [Others::Alone, Others::Together] {
        let (disturbed, sent) = run(others);
        assert!(disturbed > 100, "the other world was another");
        assert_eq!(sent.len(), expected.len());
        for (sent, expected) in sent.iter().zip(&expected) {
            assert_eq!(sent, expected, "{others:?}");
        }
    }
}
