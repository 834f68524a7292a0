//! Reading what a refused request still sends.
//!
//! An answer that leaves before its request has arrived (a 401, a 413) would be lost: closing a
//! connection on unread bytes resets it, and the client sees a broken network instead of the
//! answer. So the rest is read and thrown away, within the limits of a body that would be taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use super::Shared;

pub(super) async fn drain(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let (bytes_max, time_max) = (shared.limits.body_bytes_max, shared.limits.request_timeout);
    let request = request.map(|inner| {
        Body::new(Drained {
            inner: Some(inner),
            bytes_max,
            time_max,
        })
    });
    next.run(request).await
}

/// A body whose rest is read when it is dropped.
struct Drained {
    inner: Option<Body>,
    bytes_max: usize,
    time_max: Duration,
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        if inner.is_end_stream() {
            return;
        }
        let (bytes_max, time_max) = (self.bytes_max, self.time_max);
        // Without a runtime the connection is gone as well.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(time_max, discard(inner, bytes_max)));
        }
    }
}

async fn discard(mut body: Body, bytes_max: usize) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes_max < bytes {
            return;
        }
    }
}
