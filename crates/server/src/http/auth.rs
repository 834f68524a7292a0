//! Who asks: the token comes before everything else (SEC10), and a user has a rate (SEC11).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

use super::rate::Network;
use super::token::{Holder, TokenError};
use super::{ApiError, Shared};

/// What the request's token says, within the rate of the user whom it names.
pub(super) fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
    address: SocketAddr,
) -> Result<Holder, ApiError> {
    let now = Instant::now();
    let holder = shared.tokens.bearer(headers).map_err(|error| {
        // Only what nobody signed is counted and refused: all behind a proxy share its address, and
        // a token that has ended must be told so, or nobody would get a new one.
        let taken = match error {
            TokenError::Forged => shared.addresses.take(&Network::from(address.ip()), now),
            TokenError::Invalid => Ok(()),
        };
        taken.map_or_else(rate_limited, |()| ApiError::Unauthorized)
    })?;
    let user = holder.grant.subject().to_owned();
    shared.users.take(&user, now).map_err(rate_limited)?;
    Ok(holder)
}

fn rate_limited(wait: Duration) -> ApiError {
    ApiError::RateLimited {
        retry_after_s: wait.as_secs() + 1,
    }
}
