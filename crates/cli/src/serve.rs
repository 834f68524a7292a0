//! `tidesync serve`: its flags, and running the server.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};
use tidesync_server::config::{Config, Limits, TokenConfig};
use tidesync_server::{RandomError, ServeError, Server, random_bytes};
use tokio::signal::unix::{SignalKind, signal};

use crate::log::{self, LogFormat};

/// The exit code for a wrong flag.
const EXIT_USAGE: u8 = 2;

/// The environment variable of `--jwt-key`.
const KEY_VARIABLE: &str = "TIDESYNC_JWT_KEY";

/// The flags of `tidesync serve`.
#[derive(Args)]
pub(crate) struct ServeArguments {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:5000, or that of PORT]
    #[arg(long, value_name = "IP:PORT", value_parser = parse_listen)]
    listen: Option<SocketAddr>,

    /// Port to listen on at 127.0.0.1, when --listen is not given
    #[arg(long, hide = true, env = "PORT", default_value_t = 5000)]
    port: u16,

    /// The database
    #[arg(long, value_name = "sqlite:FILE", value_parser = parse_database)]
    #[arg(default_value = "sqlite:./tidesync.db")]
    database: PathBuf,

    /// The key of HS256 bearer tokens, 32 bytes or more. Better given as TIDESYNC_JWT_KEY: other
    /// users of the machine see the flags of a process
    #[arg(long, value_name = "KEY")]
    jwt_key: Option<String>,

    /// The `iss` that tokens must have
    #[arg(long, value_name = "TEXT")]
    jwt_issuer: Option<String>,

    /// The `aud` that tokens must have
    #[arg(long, value_name = "TEXT")]
    jwt_audience: Option<String>,

    /// An origin whose pages may call, exactly; repeatable
    #[arg(long, value_name = "ORIGIN", env = "CLIENT_URL", value_parser = parse_origin)]
    #[arg(default_value = "http://localhost:3000")]
    allow_origin: Vec<String>,

    /// The tables that are kept; all of them when not given
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    tables: Option<Vec<String>>,

    /// For development on this machine: loopback only, makes a key unless one is given, and hands
    /// out tokens at POST /api/dev/token
    #[arg(long)]
    dev: bool,

    /// The form of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,

    #[command(flatten)]
    limits: LimitArguments,
}

/// The limits by name.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct LimitArguments {
    /// Most bytes of a body, plain or after decompression
    #[arg(long, value_name = "BYTES", default_value_t = 8 * 1024 * 1024)]
    #[arg(value_parser = value_parser!(u32).range(1_024..=256 * 1024 * 1024))]
    body_bytes_max: u32,

    /// Most bytes of a body in its gzip form
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024)]
    #[arg(value_parser = value_parser!(u32).range(1_024..=256 * 1024 * 1024))]
    gzip_bytes_max: u32,

    /// Most bytes of bodies that are held at one time
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024 * 1024)]
    #[arg(value_parser = value_parser!(u32).range(1_024..))]
    held_bytes_max: u32,

    /// Most bytes of a blob; no value names a larger one than 64 MiB
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024)]
    #[arg(value_parser = value_parser!(u32).range(0..=64 * 1024 * 1024))]
    blob_bytes_max: u32,

    /// Most bytes of all blobs of a space
    #[arg(long, value_name = "BYTES", default_value_t = 4 * 1024 * 1024 * 1024)]
    #[arg(value_parser = value_parser!(u64).range(0..=1 << 62))]
    space_blob_bytes_max: u64,

    /// Most pushes that wait for the writer
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    queue_pushes_max: u16,

    /// Most open connections
    #[arg(long, value_name = "COUNT", default_value_t = 1_024)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    connections_max: u16,

    /// Most requests of a user in a minute
    #[arg(long, value_name = "COUNT", default_value_t = 600)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    user_requests_per_minute: u32,

    /// Most tokens of an address in a minute whose signature does not hold
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    failed_auth_per_minute: u32,

    /// Most open streams of a user
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    user_streams_max: u16,

    /// Most open streams
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    streams_max: u16,

    /// Longest silence of a stream
    #[arg(long, value_name = "MS", default_value_t = 15_000)]
    #[arg(value_parser = value_parser!(u32).range(100..=20_000))]
    heartbeat_ms: u32,

    /// How long outcomes of operations, tombstones and the audit are kept; who was away for longer
    /// begins anew
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    #[arg(value_parser = value_parser!(u32).range(1..=36_500))]
    retention_days: u32,

    /// Longest time of a request, and longest wait of an answer for its reader
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    #[arg(value_parser = value_parser!(u32).range(1..=3_600_000))]
    request_timeout_ms: u32,

    /// Longest wait for another process's lock on the database
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    #[arg(value_parser = value_parser!(u32).range(0..=3_600_000))]
    busy_timeout_ms: u32,

    /// Longest wait for open requests when the server stops
    #[arg(long, value_name = "MS", default_value_t = 20_000)]
    #[arg(value_parser = value_parser!(u32).range(0..=3_600_000))]
    shutdown_timeout_ms: u32,
}

impl LimitArguments {
    fn limits(&self) -> Limits {
        let bytes = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let time = |milliseconds: u32| Duration::from_millis(milliseconds.into());
        Limits {
            body_bytes_max: bytes(self.body_bytes_max),
            gzip_bytes_max: bytes(self.gzip_bytes_max),
            held_bytes_max: bytes(self.held_bytes_max),
            blob_bytes_max: self.blob_bytes_max.into(),
            space_blob_bytes_max: self.space_blob_bytes_max,
            queue_pushes_max: self.queue_pushes_max.into(),
            connections_max: self.connections_max.into(),
            user_requests_per_minute: self.user_requests_per_minute,
            failed_auth_per_minute: self.failed_auth_per_minute,
            user_streams_max: self.user_streams_max.into(),
            streams_max: self.streams_max.into(),
            heartbeat: time(self.heartbeat_ms),
            retention: Duration::from_secs(u64::from(self.retention_days) * 24 * 3_600),
            request_timeout: time(self.request_timeout_ms),
            busy_timeout: time(self.busy_timeout_ms),
            shutdown_timeout: time(self.shutdown_timeout_ms),
        }
    }
}

/// Flags that do not go together. The text never holds a key.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error(
        "--jwt-key is missing: give it 32 bytes or more, or set {KEY_VARIABLE}, or use --dev on \
         your own machine"
    )]
    NoKey,
    #[error(
        "invalid value for '--jwt-key' or {KEY_VARIABLE}: it has {bytes} bytes; 32 or more are \
         allowed"
    )]
    ShortKey { bytes: usize },
    #[error(
        "invalid value '{listen}' for '--listen': with --dev only loopback addresses are allowed, \
         such as 127.0.0.1:5000"
    )]
    DevNotLocal { listen: SocketAddr },
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Runs the server until it is told to stop.
pub(crate) fn serve(arguments: ServeArguments) -> ExitCode {
    let log = arguments.log;
    let config = match configure(arguments) {
        Ok(config) => config,
        Err(error) => return fail(&error, EXIT_USAGE),
    };
    log::start(log);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    match runtime.block_on(run(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(code)
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("cannot listen for signals, or write the address: {0}")]
    Io(#[from] std::io::Error),
}

async fn run(config: &Config) -> Result<(), RunError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let server = Server::bind(config).await?;
    announce(server.address())?;
    server
        .run(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping");
        })
        .await?;
    tracing::info!("stopped");
    Ok(())
}

/// The one line on standard output, for scripts that wait for the server.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "tidesync: listening on http://{address}")?;
    out.flush()
}

fn configure(arguments: ServeArguments) -> Result<Config, UsageError> {
    let limits = arguments.limits.limits();
    let listen = arguments
        .listen
        .unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), arguments.port));
    if arguments.dev && !listen.ip().is_loopback() {
        return Err(UsageError::DevNotLocal { listen });
    }
    let given = arguments
        .jwt_key
        .or_else(|| std::env::var(KEY_VARIABLE).ok());
    Ok(Config {
        listen,
        database: arguments.database,
        tokens: TokenConfig {
            key: key(given, arguments.dev)?,
            issuer: arguments.jwt_issuer,
            audience: arguments.jwt_audience,
        },
        allow_origins: arguments.allow_origin,
        tables: arguments.tables.map(BTreeSet::from_iter),
        limits,
        dev: arguments.dev,
    })
}

fn key(given: Option<String>, dev: bool) -> Result<Vec<u8>, UsageError> {
    match given.map(String::into_bytes) {
        Some(key) if key.len() < TokenConfig::KEY_BYTES_MIN => {
            Err(UsageError::ShortKey { bytes: key.len() })
        }
        Some(key) => Ok(key),
        None if dev => Ok(random_bytes::<32>()?.to_vec()),
        None => Err(UsageError::NoKey),
    }
}

fn parse_listen(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(
        |_| "an IP address and a port are allowed, such as 127.0.0.1:5000, 0.0.0.0:80 or [::1]:0",
    )
}

fn parse_database(text: &str) -> Result<PathBuf, &'static str> {
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err("sqlite: and the path of a file are allowed, such as sqlite:./tidesync.db"),
    }
}

/// An origin as a browser writes it, since it is compared to what a browser writes.
fn parse_origin(text: &str) -> Result<String, &'static str> {
    const ALLOWED: &str = "an origin as browsers write it is allowed: http:// or https://, a host \
                           in lower case, a port unless it is the scheme's own, and nothing else, \
                           such as https://app.example.com";
    let (rest, own_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, "443"),
        (None, Some(rest)) => (rest, "80"),
        (None, None) => return Err(ALLOWED),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let port_is_good = port.is_none_or(|port| {
        port != own_port
            && port
                .parse::<u16>()
                .is_ok_and(|number| number.to_string() == port)
    });
    if port_is_good && is_host(host) {
        Ok(text.to_owned())
    } else {
        Err(ALLOWED)
    }
}

fn is_host(host: &str) -> bool {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Some(address) = inner {
        return address
            .parse::<std::net::Ipv6Addr>()
            .is_ok_and(|found| found.to_string() == address);
    }
    !host.is_empty()
        && host.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
        })
}
