//! A running server: the listener, its connections, and an orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::Service;

use crate::clock::now_ms;
use crate::config::{Config, Limits};
use crate::hub::Hub;
use crate::patience::Patience;
use crate::random::RandomError;
use crate::readers::Readers;
use crate::store::{OpenError, Start};
use crate::writer::Writer;
use crate::{http, store};

/// How long a new connection may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Wait after the operating system refused a connection, most often for want of file handles.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Why a server does not start or does not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// An allowed origin is none.
    #[error("an allowed origin has characters that no origin has")]
    Origin,
    /// The token key is too short to be safe.
    #[error("the token key is shorter than 32 bytes")]
    ShortKey,
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The operating system gave no thread.
    #[error("cannot start the writer: {0}")]
    Thread(std::io::Error),
    /// The writer ended before it should have.
    #[error("the writer ended by a defect")]
    Writer,
    /// Requests were still open when the server had to stop.
    #[error("requests were still open after {seconds} s; they were cut off")]
    CutOff {
        /// How long the server waited.
        seconds: u64,
    },
}

/// A server that listens and has its database open.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    hub: Hub,
    writer: JoinHandle<()>,
    limits: Limits,
}

impl Server {
    /// Opens the database and listens. Nothing is answered before [`Server::run`].
    ///
    /// # Errors
    /// [`ServeError`] says what is missing.
    pub async fn bind(config: &Config) -> Result<Self, ServeError> {
        if config.tokens.key.len() < crate::config::TokenConfig::KEY_BYTES_MIN {
            return Err(ServeError::ShortKey);
        }
        let refused = |source| ServeError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (connection, identity) = store::open(
            &config.database,
            config.limits.busy_timeout,
            &Start::random(now_ms())?,
        )?;
        let readers = Readers::open(&config.database, config.limits.busy_timeout, readers_max())?;
        let hub = Hub::new(config.limits.user_streams_max, config.limits.streams_max);
        let limits = (config.limits.queue_pushes_max, config.limits.retention);
        let (queue, writer) =
            Writer::start(connection, identity, hub.clone(), limits).map_err(ServeError::Thread)?;
        let router = http::router(config, queue, readers, hub.clone());
        let router = router.map_err(|_| ServeError::Origin)?;
        Ok(Self {
            listener,
            address,
            router,
            hub,
            writer,
            limits: config.limits.clone(),
        })
    }

    /// The address, with the port that was given for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, then finishes what is open and closes the database.
    ///
    /// # Errors
    /// [`ServeError::CutOff`] when requests did not finish in time, [`ServeError::Writer`] when
    /// the writer had a defect. The database is closed in both cases.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let Self {
            listener,
            router,
            hub,
            writer,
            limits,
            ..
        } = self;
        let mut connections = Connections {
            graceful: GracefulShutdown::new(),
            places: Arc::new(Semaphore::new(limits.connections_max)),
            open: JoinSet::new(),
            patience: limits.request_timeout,
        };
        tokio::select! {
            () = stop => {}
            () = connections.accept(&listener, &router) => {}
        }
        drop(listener);
        hub.close();
        let closed = connections.close(limits.shutdown_timeout).await;
        // Dropping the last route drops the last queue, and the writer ends behind it.
        drop(router);
        let joined = tokio::task::spawn_blocking(|| writer.join()).await;
        joined.ok().and_then(Result::ok).ok_or(ServeError::Writer)?;
        closed
    }
}

/// How many read at one time: more than there are processors would only wait for one.
fn readers_max() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().max(2))
}

/// The open connections.
struct Connections {
    graceful: GracefulShutdown,
    places: Arc<Semaphore>,
    open: JoinSet<()>,
    patience: Duration,
}

impl Connections {
    /// Accepts connections for ever.
    async fn accept(&mut self, listener: &TcpListener, router: &Router) {
        while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            while self.open.try_join_next().is_some() {}
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            // Answers are complete: to hold them back for more only delays them.
            if stream.set_nodelay(true).is_err() {
                tracing::debug!("a connection does not take TCP_NODELAY");
            }
            let connection = self.graceful.watch(connection(
                Patience::new(stream, self.patience),
                peer,
                router.clone(),
            ));
            self.open.spawn(async move {
                if connection.await.is_err() {
                    tracing::debug!("a connection broke off");
                }
                drop(place);
            });
        }
    }

    /// Lets open requests finish, at most for `timeout`.
    async fn close(mut self, timeout: Duration) -> Result<(), ServeError> {
        let finished = tokio::time::timeout(timeout, self.graceful.shutdown()).await;
        self.open.shutdown().await;
        finished.map_err(|_| ServeError::CutOff {
            seconds: timeout.as_secs(),
        })
    }
}

type Connection = http1::Connection<TokioIo<Patience>, Routes>;

fn connection(stream: Patience, peer: SocketAddr, router: Router) -> Connection {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), Routes { router, peer })
}

/// The routes, for the requests of one peer.
#[derive(Debug)]
struct Routes {
    router: Router,
    peer: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        // A router is always ready.
        self.router.clone().call(request)
    }
}
