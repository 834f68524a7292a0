//! A real server on a free port, in this process, and what it takes to talk to it.

// Every test file links this module and uses a part of it.
#![allow(dead_code, reason = "shared by test files that use different parts")]

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod ops;
pub(crate) mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tidesync_server::access::Access;
use tidesync_server::config::{Config, Limits, TokenConfig};
use tidesync_server::http::Tokens;
use tidesync_server::{ServeError, Server};
use tokio::sync::oneshot;

use client::{Answer, Connection};

/// The token key of the tests.
pub(crate) const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// The one origin that is allowed.
pub(crate) const ORIGIN: &str = "http://localhost:3000";

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) database: PathBuf,
    pub(crate) tokens: Tokens,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    _folder: Option<TempDir>,
}

/// A server with the defaults.
pub(crate) fn start() -> Running {
    start_with(|_| {})
}

/// A server with some other configuration.
pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Running {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        database: folder.path().join("test.db"),
        tokens: TokenConfig {
            key: KEY.to_vec(),
            issuer: None,
            audience: None,
        },
        allow_origins: vec![ORIGIN.to_owned()],
        tables: None,
        limits: Limits::default(),
        dev: false,
    };
    change(&mut config);
    let mut running = serve(config);
    running._folder = Some(folder);
    running
}

/// Starts a server with exactly `config`.
pub(crate) fn serve(config: Config) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, address) = std::sync::mpsc::channel();
    let (database, tokens) = (config.database.clone(), Tokens::new(&config.tokens));
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let server = Server::bind(&config).await?;
            ready.send(server.address()).expect("somebody waits");
            server
                .run(async {
                    stopped.await.ok();
                })
                .await
        })
    });
    Running {
        address: address.recv().expect("the server starts"),
        database,
        tokens,
        stop: Some(stop),
        thread: Some(thread),
        _folder: None,
    }
}

impl Running {
    /// A bearer token's header value for `user`.
    pub(crate) fn bearer(&self, user: &str) -> String {
        self.bearer_of(user, &[])
    }

    /// The same with spaces besides the user's own.
    pub(crate) fn bearer_of(&self, user: &str, spaces: &[(&str, Access)]) -> String {
        let hour = Duration::from_secs(3_600);
        let spaces = spaces
            .iter()
            .map(|&(name, access)| (name.to_owned(), access));
        let signed = self
            .tokens
            .sign(user, spaces.collect(), SystemTime::now(), hour);
        format!("Bearer {}", signed.expect("a token").0)
    }

    /// Sends `body` as a push by `user` on a new connection.
    pub(crate) fn post(&self, user: &str, body: &[u8]) -> Answer {
        self.post_with(&[("authorization", &self.bearer(user))], body)
    }

    /// Sends `body` as a push with exactly these headers on a new connection.
    pub(crate) fn post_with(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.request("POST", "/api/sync/push", headers, body)
    }

    /// Sends a request on a new connection.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut connection = Connection::open(self.address).expect("a connection");
        connection
            .send(method, path, headers, body)
            .expect("an answer")
    }

    /// Sends operations of `user` by their client `letter`.
    pub(crate) fn push(&self, user: &str, letter: char, ops: &[Value]) -> Answer {
        self.post(user, &ops::push(&ops::client(letter), user, "batch", ops))
    }

    /// Sends operations in `space` of `user`, who has `granted` besides their own.
    pub(crate) fn push_in(
        &self,
        space: &str,
        user: &str,
        letter: char,
        granted: &[(&str, Access)],
        ops: &[Value],
    ) -> Answer {
        let mut ops = ops.to_vec();
        for op in &mut ops {
            op["space"] = Value::from(space);
        }
        let body = ops::push(&ops::client(letter), user, "batch", &ops);
        let bearer = self.bearer_of(user, granted);
        self.post_with(&[("authorization", &bearer)], &body)
    }

    /// Pulls as `user`.
    pub(crate) fn pull(&self, user: &str, query: &str) -> Answer {
        self.pull_as(user, &[], query)
    }

    /// Pulls as `user`, who has `granted` besides their own space.
    pub(crate) fn pull_as(&self, user: &str, granted: &[(&str, Access)], query: &str) -> Answer {
        self.get_as(user, granted, &format!("/api/sync/pull?{query}"))
    }

    /// Sends a `GET` as `user`, who has `granted` besides their own space.
    pub(crate) fn get_as(&self, user: &str, granted: &[(&str, Access)], path: &str) -> Answer {
        let bearer = self.bearer_of(user, granted);
        self.request("GET", path, &[("authorization", &bearer)], b"")
    }

    /// Reads the database, as anybody may while the server runs.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.database).expect("the database")
    }

    /// The records as text, a line each: space, table, rid, doc, version, deleted.
    pub(crate) fn records(&self) -> Vec<String> {
        let database = self.database();
        let mut statement = database
            .prepare(
                "SELECT space || ' ' || table_name || ' ' || rid || ' ' || coalesce(doc, '-')
                     || ' ' || version || ' ' || deleted
                 FROM records ORDER BY space, table_name, rid",
            )
            .expect("the records");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("a row")).collect()
    }

    /// Stops the server in an orderly way and returns how it ended.
    pub(crate) fn stop(&mut self) -> Result<(), ServeError> {
        drop(self.stop.take());
        let thread = self.thread.take().expect("a running server");
        thread.join().expect("no panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
