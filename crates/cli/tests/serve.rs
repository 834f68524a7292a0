//! The real binary: its flags, its signals, and `kill -9` under load (F43).

#[path = "../../server/tests/support/client.rs"]
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use more of it"
)]
mod client;
#[path = "../../server/tests/support/ops.rs"]
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use more of it"
)]
mod ops;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use client::Connection;
use serde_json::{Value, json};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn tidesync(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidesync"));
    command.arg("serve").args(flags);
    for variable in ["PORT", "CLIENT_URL", "TIDESYNC_JWT_KEY"] {
        command.env_remove(variable);
    }
    command
}

/// A running `tidesync serve`, killed when dropped.
struct Served {
    process: Child,
    address: SocketAddr,
}

impl Served {
    fn start(database: &Path, flags: &[&str]) -> Self {
        let database = format!("sqlite:{}", database.display());
        let mut process = tidesync(&["--listen", "127.0.0.1:0", "--dev", "--jwt-key", KEY])
            .args([
                "--user-requests-per-minute",
                "1000000",
                "--database",
                &database,
            ])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address = line
            .trim()
            .strip_prefix("tidesync: listening on http://")
            .expect("an address");
        Self {
            address: address.parse().expect("an address"),
            process,
        }
    }

    fn kill(&mut self) {
        self.process.kill().expect("running");
        self.process.wait().expect("ended");
    }

    fn bearer(&self, user: &str) -> String {
        let mut connection = Connection::open(self.address).expect("a connection");
        let body = json!({ "userId": user }).to_string();
        let answer = connection.send("POST", "/api/dev/token", &[], body.as_bytes());
        let json = answer.expect("an answer").json();
        format!("Bearer {}", json["token"].as_str().expect("a token"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A client under load: it sends batches of five, one after the other, and sends the same bytes
/// again until they are answered.
struct Load {
    letter: char,
    sent: u64,
    waiting: Option<Vec<Value>>,
    acknowledged: BTreeMap<String, u64>,
}

impl Load {
    fn next(&mut self) -> Vec<Value> {
        if let Some(waiting) = self.waiting.take() {
            return waiting;
        }
        let first = self.sent + 1;
        self.sent += 5;
        (first..=self.sent)
            .map(|n| ops::put(&format!("i.{n}"), &format!("n{n}"), &json!({ "n": n })))
            .collect()
    }

    /// Pushes until the server is gone; tells of each answer.
    fn run(&mut self, address: SocketAddr, bearer: &str, answered: &mpsc::Sender<()>) {
        let user = format!("user-{}", self.letter);
        let Ok(mut connection) = Connection::open(address) else {
            return;
        };
        loop {
            let batch = self.next();
            let body = ops::push(&ops::client(self.letter), &user, "b", &batch);
            let headers = [("authorization", bearer)];
            self.waiting = Some(batch);
            let Ok(answer) = connection.send("POST", "/api/sync/push", &headers, &body) else {
                return;
            };
            assert_eq!(answer.status, 200, "{}", answer.text());
            self.waiting = None;
            for (op, verdict, version, _) in answer.verdicts() {
                assert!(
                    matches!(verdict.as_str(), "applied" | "duplicate"),
                    "{verdict}"
                );
                self.acknowledged.insert(op, version.expect("a version"));
            }
            answered.send(()).ok();
        }
    }
}

#[test]
fn what_was_acknowledged_survives_any_kill_and_nothing_is_done_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("killed.db");
    let mut loads: Vec<Load> = ('a'..='d')
        .map(|letter| Load {
            letter,
            sent: 0,
            waiting: None,
            acknowledged: BTreeMap::new(),
        })
        .collect();
    for round in 0..36 {
        let mut served = Served::start(&database, &[]);
        let (answered, answers) = mpsc::channel();
        std::thread::scope(|scope| {
            for load in &mut loads {
                let bearer = served.bearer(&format!("user-{}", load.letter));
                let (answered, address) = (answered.clone(), served.address);
                scope.spawn(move || load.run(address, &bearer, &answered));
            }
            // After another number of answers each time, while the others are on their way.
            answers.iter().take(1 + round * 7 % 40).for_each(drop);
            served.kill();
        });
    }
    let connection = rusqlite::Connection::open(&database).expect("the database");
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("a check");
    assert_eq!(check, "ok");
    for load in &loads {
        check_load(&connection, load);
    }
}

fn check_load(connection: &rusqlite::Connection, load: &Load) {
    let space = format!("~user-{}", load.letter);
    let mut statement = connection
        .prepare(
            "SELECT op, operations.version, doc FROM operations
             JOIN records ON records.space = operations.space AND records.version = operations.version
             WHERE operations.space = ?1 ORDER BY operations.version",
        )
        .expect("the operations");
    let rows: Vec<(String, u64, String)> = statement
        .query_map([&space], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect();
    let latest: u64 = connection
        .query_row(
            "SELECT version FROM spaces WHERE space = ?1",
            [&space],
            |row| row.get(0),
        )
        .expect("the space");
    // Each operation once, each version once, none left out: the sequence has no gap.
    let versions: Vec<u64> = rows.iter().map(|(_, version, _)| *version).collect();
    assert_eq!(versions, (1..=latest).collect::<Vec<_>>(), "{space}");
    let kept: BTreeMap<&str, u64> = rows
        .iter()
        .map(|(op, version, _)| (op.as_str(), *version))
        .collect();
    assert_eq!(kept.len(), rows.len());
    for (op, version) in &load.acknowledged {
        assert_eq!(kept.get(op.as_str()), Some(version), "{space} {op}");
    }
    for (op, _, doc) in &rows {
        assert_eq!(*doc, format!("{{\"n\":{}}}", &op[2..]));
    }
    assert!(
        20 < load.acknowledged.len(),
        "the load was real: {}",
        load.acknowledged.len()
    );
}

#[test]
fn it_stops_in_order_when_told_to() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("stopped.db");
        let mut served = Served::start(&database, &["--log", "json"]);
        let bearer = served.bearer("canary-user");
        let op = ops::put(
            "i.1",
            "scanary-key",
            &json!({ "canary-field": "canary-value" }),
        );
        let body = ops::push(&ops::client('a'), "canary-user", "canary-batch", &[op]);
        let mut connection = Connection::open(served.address).expect("a connection");
        let headers = [("authorization", bearer.as_str())];
        let answer = connection.send("POST", "/api/sync/push", &headers, &body);
        assert_eq!(answer.expect("an answer").status, 200);
        connection
            .send("GET", "/canary-path?canary", &[], b"")
            .expect("an answer");
        let pid = served.process.id().to_string();
        Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill");
        assert_eq!(served.process.wait().expect("ended").code(), Some(0));
        assert!(!folder.path().join("stopped.db-wal").exists());
        check_log(&mut served);
    }
}

/// The log is lines of JSON without a user's data (SEC19).
fn check_log(served: &mut Served) {
    let mut log = String::new();
    served
        .process
        .stderr
        .take()
        .expect("its log")
        .read_to_string(&mut log)
        .expect("text");
    assert!(!log.contains("canary"), "{log}");
    assert!(!log.contains(KEY));
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let pushes = lines
        .iter()
        .filter(|line| line["route"] == "/api/sync/push")
        .count();
    assert_eq!(pushes, 1, "{log}");
    assert_eq!(lines.last().expect("a line")["message"], "stopped");
}

fn refused(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary starts");
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(stdout.is_empty());
    text
}

#[test]
fn a_wrong_value_is_refused_with_its_name_and_what_is_allowed() {
    let cases = [
        ("--listen", "localhost", "127.0.0.1:5000"),
        ("--listen", "127.0.0.1:99999", "127.0.0.1:5000"),
        ("--database", "postgres://x", "sqlite:"),
        ("--database", "sqlite:", "sqlite:"),
        ("--allow-origin", "*", "https://app.example.com"),
        (
            "--allow-origin",
            "http://localhost:3000/",
            "https://app.example.com",
        ),
        (
            "--allow-origin",
            "https://app.example.com:443",
            "https://app.example.com",
        ),
        (
            "--allow-origin",
            "https://APP.example.com",
            "https://app.example.com",
        ),
        ("--log", "xml", "text, json"),
        ("--body-bytes-max", "10", "1024"),
        ("--queue-pushes-max", "0", "1.."),
        ("--heartbeat-ms", "20001", "100..=20000"),
        ("--user-streams-max", "0", "1.."),
        ("--blob-bytes-max", "67108865", "0..=67108864"),
        ("--retention-days", "0", "1..=36500"),
        ("--user-requests-per-minute", "many", "invalid digit"),
    ];
    for (flag, value, allowed) in cases {
        let text = refused(&mut tidesync(&["--dev", flag, value]));
        for part in [flag, value, allowed] {
            assert!(text.contains(part), "{part} in: {text}");
        }
    }
    let text = refused(tidesync(&["--dev"]).env("PORT", "http"));
    assert!(text.contains("http") && text.contains("PORT"), "{text}");
}

#[test]
fn a_server_needs_a_key_and_never_prints_it() {
    assert!(refused(&mut tidesync(&[])).contains("--jwt-key"));
    let text = refused(&mut tidesync(&["--jwt-key", "hunter2"]));
    assert!(
        text.contains("--jwt-key") && text.contains("32") && !text.contains("hunter2"),
        "{text}"
    );
    let text = refused(tidesync(&[]).env("TIDESYNC_JWT_KEY", "hunter2"));
    assert!(
        text.contains("TIDESYNC_JWT_KEY") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn development_stays_on_this_machine() {
    let text = refused(&mut tidesync(&["--dev", "--listen", "0.0.0.0:0"]));
    assert!(text.contains("--listen") && text.contains("0.0.0.0:0") && text.contains("loopback"));
}
