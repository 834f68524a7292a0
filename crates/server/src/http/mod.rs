//! The HTTP layer: the routes of `docs/protocol.md` and what stands before them.

mod audit;
mod auth;
mod blob;
mod body;
mod dev;
mod drain;
mod error;
mod headers;
mod log;
mod pull;
mod push;
mod query;
mod rate;
mod stream;
mod token;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::Semaphore;

pub use body::HeldBytes;
pub use error::ApiError;
pub use rate::RateLimiter;
pub use token::{Claims, Holder, TokenError, Tokens};

use crate::config::{Config, Limits};
use crate::hub::Hub;
use crate::readers::Readers;
use crate::writer::Writer;

/// Longest memory of a rate limiter: users or addresses that it tells apart.
const RATE_KEYS_MAX: usize = 100_000;

/// What the routes share.
#[derive(Debug)]
pub(crate) struct Shared {
    // Before the writer, which ends last and folds the log into the database.
    readers: Readers,
    writer: Writer,
    hub: Hub,
    tokens: Tokens,
    tables: Option<BTreeSet<String>>,
    limits: Limits,
    held: HeldBytes,
    decoding: Arc<Semaphore>,
    users: RateLimiter<String>,
    addresses: RateLimiter<rate::Network>,
}

/// The routes of a server, with everything that stands before them.
///
/// # Errors
/// [`headers::OriginError`] for an origin that cannot stand in a header.
pub(crate) fn router(
    config: &Config,
    writer: Writer,
    readers: Readers,
    hub: Hub,
) -> Result<Router, headers::OriginError> {
    let limits = config.limits.clone();
    let minute = Duration::from_secs(60);
    let shared = Arc::new(Shared {
        readers,
        writer,
        hub,
        tokens: Tokens::new(&config.tokens),
        tables: config.tables.clone(),
        held: HeldBytes::new(limits.held_bytes_max),
        decoding: Arc::new(Semaphore::new(
            std::thread::available_parallelism().map_or(1, NonZero::get),
        )),
        users: RateLimiter::new(limits.user_requests_per_minute, minute, RATE_KEYS_MAX),
        addresses: RateLimiter::new(limits.failed_auth_per_minute, minute, RATE_KEYS_MAX),
        limits,
    });
    let mut routes = Router::new()
        .route("/api/sync/push", post(push::push))
        .route("/api/sync/pull", get(pull::pull))
        .route("/api/sync/stream", get(stream::stream))
        .route("/api/sync/audit", get(audit::audit))
        .route(
            "/api/sync/blob/{hash}",
            get(blob::download).post(blob::upload),
        )
        .route("/api/sync/blob/{hash}/status", get(blob::status))
        .route("/api/health", get(health));
    if config.dev {
        routes = routes.route("/api/dev/token", post(dev::token));
    }
    Ok(routes
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn_with_state(Arc::clone(&shared), time_out))
        .layer(from_fn_with_state(Arc::clone(&shared), drain::drain))
        .layer(headers::cross_origin(&config.allow_origins)?)
        .layer(from_fn(headers::secure))
        .layer(from_fn(log::log))
        .with_state(shared))
}

/// Nobody waits longer than the limit. What the writer has by then it still does, so that the same
/// push sent again is answered `duplicate`.
async fn time_out(
    State(shared): State<Arc<Shared>>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    match tokio::time::timeout(shared.limits.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

/// A long answer in JSON, within the budget of bodies.
fn json_answer(shared: &Shared, bytes: serde_json::Result<Vec<u8>>) -> Result<Response, ApiError> {
    let body = shared.held.answer(bytes.map_err(|_| ApiError::Internal)?)?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], body).into_response())
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /api/health`: public, and says nothing but that the server answers (SEC29).
async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}
