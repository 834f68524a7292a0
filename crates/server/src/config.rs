//! What a server is told at its start. Every limit has a name; the command line has a flag of the
//! same name.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A server's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The SQLite database file. Its folder must exist; the file is made.
    pub database: PathBuf,
    /// How bearer tokens are verified.
    pub tokens: TokenConfig,
    /// The exact origins whose pages may call, as `scheme://host[:port]` (SEC12).
    pub allow_origins: Vec<String>,
    /// The tables that are kept; `None` keeps every table.
    pub tables: Option<BTreeSet<String>>,
    /// The limits.
    pub limits: Limits,
    /// Serves `POST /api/dev/token`, which signs a token for whoever asks. The caller makes sure
    /// that `listen` is a loopback address.
    pub dev: bool,
}

/// How bearer tokens are verified: HS256 with one key (SEC4).
#[derive(Clone)]
pub struct TokenConfig {
    /// The HS256 key. At least [`TokenConfig::KEY_BYTES_MIN`] bytes.
    pub key: Vec<u8>,
    /// The `iss` that a token must have, if any.
    pub issuer: Option<String>,
    /// The `aud` that a token must have, if any.
    pub audience: Option<String>,
}

impl TokenConfig {
    /// Fewest bytes of a key: those of the hash (RFC 7518, section 3.2).
    pub const KEY_BYTES_MIN: usize = 32;
}

impl std::fmt::Debug for TokenConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TokenConfig")
            .field("key", &"[secret]")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish()
    }
}

/// The limits of a server (SEC10, SEC11).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes of a request body, plain or after decompression.
    pub body_bytes_max: usize,
    /// Most bytes of a request body in its gzip form.
    pub gzip_bytes_max: usize,
    /// Most bytes of request bodies that are held at one time; past it, 503.
    pub held_bytes_max: usize,
    /// Most bytes of a blob.
    pub blob_bytes_max: u64,
    /// Most bytes of all blobs of a space.
    pub space_blob_bytes_max: u64,
    /// Most pushes that wait for the writer; past it, 503.
    pub queue_pushes_max: usize,
    /// Most open connections; past it, new ones wait.
    pub connections_max: usize,
    /// Most requests of a user in a minute; past it, 429.
    pub user_requests_per_minute: u32,
    /// Most tokens of an address in a minute whose signature does not hold; past it, 429.
    pub failed_auth_per_minute: u32,
    /// Most open streams of a user; past it, the oldest ends.
    pub user_streams_max: usize,
    /// Most open streams; past it, 503.
    pub streams_max: usize,
    /// Longest silence of a stream.
    pub heartbeat: Duration,
    /// How long the outcomes of operations, tombstones and the audit are kept. Who was away for longer
    /// begins anew.
    pub retention: Duration,
    /// Longest time of a request, its body included; past it, 503. Also how long an answer waits for
    /// its reader; past it, the connection is cut off.
    pub request_timeout: Duration,
    /// Longest wait for a lock that another process holds on the database; past it, 503.
    pub busy_timeout: Duration,
    /// Longest wait for open requests when the server stops.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: tidesync_protocol::wire::PUSH_BYTES_MAX,
            gzip_bytes_max: 1024 * 1024,
            held_bytes_max: 256 * 1024 * 1024,
            blob_bytes_max: tidesync_protocol::wire::BLOB_BYTES_MAX.into(),
            space_blob_bytes_max: 4 * 1024 * 1024 * 1024,
            queue_pushes_max: 256,
            connections_max: 1_024,
            user_requests_per_minute: 600,
            failed_auth_per_minute: 60,
            user_streams_max: 8,
            streams_max: 512,
            heartbeat: Duration::from_secs(15),
            retention: Duration::from_secs(90 * 24 * 3_600),
            request_timeout: Duration::from_secs(30),
            busy_timeout: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(20),
        }
    }
}
