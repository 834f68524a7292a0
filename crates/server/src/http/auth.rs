//! Who asks: the token comes before everything else (SEC10), and a user has a rate (SEC11).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

use super::rate::Network;
use super::token::Holder;
use super::{ApiError, Shared};

/// What the request's token says, within the rate of the user whom it names.
pub(super) fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
    address: SocketAddr,
) -> Result<Holder, ApiError> {
    let now = Instant::now();
    let Ok(holder) = shared.tokens.bearer(headers) else {
        // Only failures are counted and refused, so that whoever guesses behind an address shuts
        // out nobody else behind it.
        let taken = shared.addresses.take(&Network::from(address.ip()), now);
        return Err(taken.map_or_else(rate_limited, |()| ApiError::Unauthorized));
    };
    let user = holder.grant.subject().to_owned();
    shared.users.take(&user, now).map_err(rate_limited)?;
    Ok(holder)
}

fn rate_limited(wait: Duration) -> ApiError {
    ApiError::RateLimited {
        retry_after_s: wait.as_secs() + 1,
    }
}
