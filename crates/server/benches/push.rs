//! How fast pushes become durable over HTTP, beside a bare loop of the same upserts in batched
//! transactions (DESIGN section 10: at least 0.3 × as fast). Prints one line of JSON.
//!
//! ```text
//! cargo bench --profile native -p tidesync-server
//! ```

// A benchmark's output is what it is for.
#![allow(clippy::print_stdout, reason = "prints its result")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use support::{ops, start};
use tidesync_server::store::{self, Start};

const RECORDS: usize = 10_000;
const BATCH: usize = 1_000;
const ROUNDS: usize = 9;

fn main() {
    let values: Vec<Value> = (0..RECORDS).map(value).collect();
    let mut bare = Vec::new();
    let mut served = Vec::new();
    for _ in 0..ROUNDS {
        bare.push(bare_loop(&values));
        served.push(over_http(&values));
    }
    let (bare, served) = (Spread::of(bare), Spread::of(served));
    let line = json!({
        "name": "server: 10,000 durable upserts over HTTP, pushes of 1,000",
        "records": RECORDS,
        "bytes_per_record": values[0].to_string().len(),
        "seconds": served.json(),
        "baseline": "bare loop of the same upserts, transactions of 1,000",
        "baseline_seconds": bare.json(),
        "times_as_fast": rounded(bare.median / served.median),
        "budget": 0.3,
    });
    println!("{line}");
}

/// A record of about 300 bytes of JSON.
fn value(number: usize) -> Value {
    json!({
        "id": number,
        "title": format!("Record number {number}"),
        "workspaceId": format!("workspace-{}", number % 50),
        "createdAt": ["~date", 1_700_000_000_000_u64 + number as u64],
        "done": number.is_multiple_of(3),
        "tags": ["one", "two", "three"],
        "body": "The quick brown fox jumps over the lazy dog. ".repeat(3),
    })
}

fn bare_loop(values: &[Value]) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bare.db");
    let opened = store::open(
        &path,
        Duration::ZERO,
        &Start::random(1).expect("random bytes"),
    );
    let (mut connection, _): (Connection, _) = opened.expect("a database");
    let texts: Vec<String> = values.iter().map(Value::to_string).collect();
    let started = Instant::now();
    for (batch, texts) in texts.chunks(BATCH).enumerate() {
        let transaction = connection.transaction().expect("a transaction");
        for (index, text) in texts.iter().enumerate() {
            let number = batch * BATCH + index;
            transaction
                .prepare_cached(
                    "INSERT INTO records
                         (space, table_name, rid, doc, version, deleted, updated_at, hlc, client)
                     VALUES ('~alice', 'files', ?1, ?2, ?3, 0, 1, '0190000000000000', 'c')
                     ON CONFLICT DO UPDATE SET doc = excluded.doc, version = excluded.version",
                )
                .and_then(|mut statement| statement.execute((format!("n{number}"), text, number)))
                .expect("an upsert");
        }
        transaction.commit().expect("a commit");
    }
    started.elapsed()
}

fn over_http(values: &[Value]) -> Duration {
    let server = start();
    let ops: Vec<Value> = values
        .iter()
        .enumerate()
        .map(|(number, value)| ops::put(&format!("i.{number}"), &format!("n{number}"), value))
        .collect();
    let client = ops::client('a');
    let bodies: Vec<Vec<u8>> = ops
        .chunks(BATCH)
        .map(|ops| ops::push(&client, "alice", "b", ops))
        .collect();
    let bearer = server.bearer("alice");
    let headers = [("authorization", bearer.as_str())];
    let opened = support::client::Connection::open(server.address);
    let mut connection = opened.expect("a connection");
    let started = Instant::now();
    let answers: Vec<_> = bodies
        .iter()
        .map(|body| {
            connection
                .send("POST", "/api/sync/push", &headers, body)
                .expect("an answer")
        })
        .collect();
    let elapsed = started.elapsed();
    let applied = answers
        .iter()
        .flat_map(|answer| answer.verdicts())
        .filter(|(_, verdict, ..)| verdict == "applied")
        .count();
    assert_eq!(applied, RECORDS, "every operation is applied");
    elapsed
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let seconds = |index: usize| times[index].as_secs_f64();
        Self {
            least: seconds(0),
            median: seconds(times.len() / 2),
            most: seconds(times.len() - 1),
        }
    }

    fn json(&self) -> Value {
        json!({
            "median": rounded(self.median), "least": rounded(self.least), "most": rounded(self.most)
        })
    }
}

fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}
