//! `POST /api/dev/token`: a token for whoever asks, for development on one machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use super::{ApiError, Shared, body};
use crate::access::Access;

/// Most bytes of a request for a token.
const BODY_BYTES_MAX: usize = 4 * 1024;

/// How long a development token holds.
const LIFETIME: Duration = Duration::from_secs(3_600);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenRequest {
    user_id: String,
    #[serde(default)]
    spaces: BTreeMap<String, Access>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenResponse {
    token: String,
    /// Milliseconds since 1970.
    expires_at: u64,
}

pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TokenResponse>, ApiError> {
    // A foreign page can have its own name resolved to this machine; its name it cannot hide.
    if !is_local(&headers) {
        return Err(ApiError::NotLocal);
    }
    let limits = (BODY_BYTES_MAX, BODY_BYTES_MAX);
    let arrived = body::receive(&headers, body, limits, &shared.held).await?;
    let (bytes, _held) = arrived.decode()?;
    let malformed = ApiError::Malformed(
        "the body is not {\"userId\": \"<1 to 256 bytes>\"}, with or without \"spaces\"",
    );
    let request: TokenRequest = serde_json::from_slice(&bytes).map_err(|_| malformed.clone())?;
    let (token, expires_at) = shared
        .tokens
        .sign(
            &request.user_id,
            request.spaces,
            SystemTime::now(),
            LIFETIME,
        )
        .map_err(|_| malformed)?;
    Ok(Json(TokenResponse { token, expires_at }))
}

fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
    else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
