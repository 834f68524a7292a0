//! No byte that is sent to a user depends on another user's data (I19): two worlds that differ only in
//! what another user does give the first user the same bytes.

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::client::Answer;
use support::events::Events;
use support::ops::{delete, on, patch, put, resolved_by};
use support::{Running, start_with};
use tidesync_server::access::Access;

/// What alice may do besides her own.
const TEAM: [(&str, Access); 1] = [("team", Access::Write)];

/// One world: what alice is sent, and what another user does between.
struct World {
    server: Running,
    /// Whether the other user does anything.
    is_shared: bool,
    /// What the other user has done.
    others: u64,
    sent: Vec<String>,
}

impl World {
    fn new(is_shared: bool) -> Self {
        Self {
            server: start_with(|config| {
                config.limits.heartbeat = std::time::Duration::from_millis(200);
            }),
            is_shared,
            others: 0,
            sent: Vec::new(),
        }
    }

    /// Keeps an answer as it is on the wire, but for what is random or the time.
    fn note(&mut self, what: &str, answer: &Answer) {
        let json = answer.json();
        let body = if json.is_null() {
            Value::from(answer.text())
        } else {
            fixed(json)
        };
        let names = ["content-type", "retry-after", "cache-control"];
        let headers = names.map(|name| answer.header(name).map(str::to_owned));
        self.sent
            .push(format!("{what} {} {headers:?} {body}", answer.status));
    }

    fn push(&mut self, space: &str, letter: char, op: Value) {
        self.disturb();
        let answer = self
            .server
            .push_in(space, "alice", letter, &TEAM, std::slice::from_ref(&op));
        self.note("push", &answer);
        self.disturb();
        let again = self.server.push_in(space, "alice", letter, &TEAM, &[op]);
        self.note("again", &again);
    }

    fn get(&mut self, path: &str) -> Answer {
        self.disturb();
        let answer = self.server.get_as("alice", &TEAM, path);
        self.note(path.split('?').next().unwrap_or_default(), &answer);
        answer
    }

    /// The other user does everything that could matter: in spaces of the same names and of others, on
    /// records, tables and operations of the same names, in conflict with himself.
    fn disturb(&mut self) {
        if !self.is_shared {
            return;
        }
        self.others += 1;
        let id = |n: u64| format!("i.{}", self.others * 10 + n);
        let others = [("other", Access::Write)];
        for space in ["~", "other"] {
            let push = |letter: char, op: Value| {
                let answer = self.server.push_in(space, "bob", letter, &others, &[op]);
                assert_eq!(answer.status, 200, "{}", answer.text());
            };
            let n = if space == "~" { 0 } else { 4 };
            push('m', on(0, 100, put(&id(n), "n1", &json!({ "a": "bob's" }))));
            push(
                'n',
                on(0, 200, put(&id(n + 1), "n1", &json!({ "a": self.others }))),
            );
            push(
                'n',
                on(9, 300, resolved_by("merge", delete(&id(n + 2), "n2"))),
            );
        }
        for path in [
            "/api/sync/pull",
            "/api/sync/audit",
            "/api/sync/pull?cursor=x",
        ] {
            self.server.get_as("bob", &others, path);
        }
    }
}

/// The name of a blob that only the other user has.
fn blob() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(b"bytes"))
}

/// The same without what is random: epoch, boot, the cursor's signature, and the time.
fn fixed(mut json: Value) -> Value {
    match &mut json {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                *value = match name.as_str() {
                    "epoch" => json!("epoch"),
                    "at" => json!("at"),
                    "cursor" => places(value.as_str().unwrap_or_default()),
                    _ => fixed(value.take()),
                };
            }
        }
        Value::Array(elements) => {
            for element in elements {
                *element = fixed(element.take());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    json
}

/// What a cursor says, without the epoch and the names of boots, of which there is one.
fn places(cursor: &str) -> Value {
    let (payload, tag) = cursor.split_once('.').expect("a cursor");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("a cursor");
    let mut payload: Value = serde_json::from_slice(&payload).expect("JSON");
    for place in payload["s"].as_object_mut().expect("places").values_mut() {
        place[1] = json!(place[1].as_str().map(str::len));
    }
    json!([payload["s"], tag.len()])
}

/// Everything that alice does.
fn run(world: &mut World) {
    let bearer = world.server.bearer_of("alice", &TEAM);
    let headers = [("authorization", bearer.as_str())];
    let opened = Events::open(world.server.address, "/api/sync/stream", &headers);
    let mut events = opened.expect("a stream");
    let mut note = |world: &mut World| {
        let cursor = events.poke().expect("a poke");
        world.sent.push(format!("poke {}", places(&cursor)));
    };
    note(world);
    world.get("/api/sync/pull");
    for space in ["~", "team"] {
        world.push(
            space,
            'a',
            put(&format!("{space}.1"), "n1", &json!({ "a": 1, "b": 1 })),
        );
        note(world);
        let ours = on(
            1,
            300,
            patch(&format!("{space}.2"), "n1", &json!({ "a": 2 }), &[]),
        );
        world.push(space, 'a', ours);
        note(world);
        let theirs = on(
            1,
            200,
            patch(&format!("{space}.1"), "n1", &json!({ "a": 3, "b": 3 }), &[]),
        );
        world.push(space, 'b', theirs);
        note(world);
        let asked = on(1, 500, put(&format!("{space}.2"), "n1", &json!({ "a": 5 })));
        world.push(space, 'c', resolved_by("ask", asked));
        world.push(
            space,
            'c',
            patch(&format!("{space}.3"), "n2", &json!({ "a": 1 }), &[]),
        );
        world.push(space, 'c', on(0, 1, delete(&format!("{space}.4"), "n2")));
        note(world);
    }
    // Spaces that only the other user has, and what would be theirs.
    world.push("other", 'a', put("x.1", "n1", &json!(1)));
    world.push("~bob", 'a', put("x.1", "n1", &json!(1)));
    let mut path = "/api/sync/pull?limit=2".to_owned();
    loop {
        let page = world.get(&path);
        let json = page.json();
        if json["more"] == false {
            break;
        }
        path = format!(
            "/api/sync/pull?limit=2&cursor={}",
            json["cursor"].as_str().expect("a cursor")
        );
    }
    let first = world.get("/api/sync/audit?limit=1").json();
    let before = first["before"].as_str().expect("more than one");
    world.get(&format!("/api/sync/audit?before={before}"));
    world.get("/api/sync/audit?table=files&rid=n1");
    world.get("/api/sync/pull?cursor=x");
    world.get(&format!("/api/sync/blob/{}/status", blob()));
    world.get(&format!("/api/sync/blob/{}", blob()));
    world.push(
        "~",
        'a',
        put("blob.1", "n9", &json!(["~blob", "", 5, blob()])),
    );
}

#[test]
fn what_another_user_does_changes_no_byte() {
    let [alone, shared] = [false, true].map(|is_shared| {
        let mut world = World::new(is_shared);
        run(&mut world);
        assert_eq!(world.others > 20, is_shared, "the other world was another");
        world.sent
    });
    assert_eq!(alone.len(), shared.len());
    for (alone, shared) in alone.iter().zip(&shared) {
        assert_eq!(alone, shared);
    }
}
