//! One line for each request: what was asked and what came of it, without ids, values or
//! addresses (SEC19).

use std::collections::BTreeMap;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// How many operations of a push got each verdict. A handler puts it into its response.
#[derive(Debug, Clone)]
pub(super) struct Outcome(pub(super) BTreeMap<&'static str, usize>);

pub(super) async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // The route, not the path: a path may hold anything.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    match response.extensions().get::<Outcome>() {
        Some(Outcome(verdicts)) => {
            tracing::info!(%method, route, status, elapsed_ms, ?verdicts, "request");
        }
        None => tracing::info!(%method, route, status, elapsed_ms, "request"),
    }
    response
}
