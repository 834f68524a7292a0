//! `GET /api/sync/stream`: server-sent events that tell of commits. An event is a hint: it says where the
//! reader's spaces stand, and a pull brings what is new.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::auth::authenticate;
use super::pull::read_at;
use super::query::Query;
use super::{ApiError, Shared};
use crate::access::Grant;
use crate::clock::now_ms;
use crate::hub::{ListenError, Listener};
use crate::store;

/// Shortest time between two pokes of a stream: what is committed in between is told as one.
const POKE_PAUSE: Duration = Duration::from_millis(50);

/// Opens a stream.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let holder = authenticate(&shared, &headers, address)?;
    let mut query = Query::read(uri.query())?;
    let cursor = query.take("cursor");
    query.end()?;
    // Before the first look, so that no commit falls between the two.
    let listener = shared.hub.listen(&holder.grant)?;
    let (sender, events) = channel(1);
    let now = u64::try_from(now_ms()).unwrap_or(0);
    let lifetime = Duration::from_millis(holder.until_ms.saturating_sub(now));
    let mut telling = Telling {
        shared,
        grant: holder.grant,
        listener,
        sender,
    };
    let poke = telling.poke(cursor).await?;
    tokio::spawn(async move {
        let until = sleep(lifetime);
        tokio::select! {
            () = until => {}
            () = telling.run(poke) => {}
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // Proxies that hold answers back until they are long would hold pokes back for ever.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    Ok((headers, Body::new(Events(events))).into_response())
}

/// What sends the events of one stream.
struct Telling {
    shared: Arc<Shared>,
    grant: Grant,
    listener: Listener,
    sender: Sender<Bytes>,
}

impl Telling {
    /// Until listening is over, the reader is gone, or reads nothing.
    async fn run(&mut self, first: Bytes) {
        let mut next = Some(first);
        while let Some(event) = next {
            let patience = self.shared.limits.request_timeout;
            if !matches!(timeout(patience, self.sender.send(event)).await, Ok(Ok(()))) {
                return;
            }
            next = self.next().await;
        }
    }

    /// The next event; none at the end.
    async fn next(&self) -> Option<Bytes> {
        let heartbeat = Instant::now() + self.shared.limits.heartbeat;
        sleep(POKE_PAUSE).await;
        tokio::select! {
            () = self.sender.closed() => None,
            () = sleep_until(heartbeat) => Some(Bytes::from_static(b": \n\n")),
            goes_on = self.listener.told() => {
                if goes_on { self.poke(None).await.ok() } else { None }
            }
        }
    }

    async fn poke(&self, cursor: Option<String>) -> Result<Bytes, ApiError> {
        let grant = self.grant.clone();
        let head = read_at(&self.shared, move |connection| {
            // A reader's cursor is looked at, so that who must begin anew hears it at once.
            if cursor.is_some() {
                store::head(connection, &grant, cursor.as_deref())?;
            }
            store::head(connection, &grant, None)
        });
        let head = head.await?;
        Ok(Bytes::from(format!(
            "event: poke\ndata: {{\"cursor\":\"{head}\"}}\n\n"
        )))
    }
}

/// The body of a stream.
struct Events(Receiver<Bytes>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let event = self.0.poll_recv(context);
        event.map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl From<ListenError> for ApiError {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Full | ListenError::Closed => Self::Unavailable,
        }
    }
}
