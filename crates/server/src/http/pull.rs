//! `GET /api/sync/pull`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use tidesync_protocol::wire::PROTOCOL;

use super::auth::authenticate;
use super::query::Query;
use super::{ApiError, Shared, json_answer};
use crate::push::is_client_id;
use crate::random::random_id;
use crate::store::{self, LIMIT_MAX, PullError};

/// Changes of a page when the request does not say how many.
const LIMIT_DEFAULT: u64 = 200;

/// What a request for changes asks.
struct Asked {
    cursor: Option<String>,
    /// Where the client knows the server to have been.
    place: Option<String>,
    limit: usize,
}

/// Gives the next changes.
pub(super) async fn pull(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let grant = authenticate(&shared, &headers, address)?.grant;
    let Asked {
        cursor,
        place,
        limit,
    } = read(uri.query())?;
    let answer = read_at(&shared, move |connection| {
        if let Some(place) = place {
            store::check_place(connection, &grant, &place)?;
        }
        let pulled = store::pull(connection, &grant, cursor.as_deref(), limit)?;
        Ok(serde_json::to_vec(&pulled))
    });
    json_answer(&shared, answer.await?)
}

fn read(query: Option<&str>) -> Result<Asked, ApiError> {
    let mut query = Query::read(query)?;
    let protocol = query.number("protocol", PROTOCOL.into())?;
    if protocol != u64::from(PROTOCOL) {
        return Err(if protocol < u64::from(PROTOCOL) {
            ApiError::ProtocolTooOld
        } else {
            ApiError::Malformed("this server does not speak so late a protocol yet")
        });
    }
    if query.take("client").is_some_and(|id| !is_client_id(&id)) {
        return Err(ApiError::Malformed(
            "`client` is not 22 base64url characters",
        ));
    }
    let limit = query.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    let (cursor, place) = (query.take("cursor"), query.take("place"));
    query.end()?;
    Ok(Asked {
        cursor,
        place,
        limit,
    })
}

/// Reads at a cursor or place. One that a database gave before it was restored from an older copy begins a new
/// epoch.
pub(super) async fn read_at<T: Send + 'static>(
    shared: &Shared,
    read: impl FnOnce(&rusqlite::Connection) -> Result<T, PullError> + Send + 'static,
) -> Result<T, ApiError> {
    match shared.readers.read(read).await? {
        Ok(read) => Ok(read),
        Err(PullError::Expired) => Err(ApiError::CursorExpired),
        Err(PullError::EpochChanged { epoch, parted }) => {
            Err(ApiError::EpochChanged { epoch, parted })
        }
        Err(PullError::Restored { epoch, parted }) => {
            let fresh = random_id().map_err(|_| ApiError::Internal)?;
            let epoch = shared.writer.renew_epoch(epoch, fresh).await?;
            tracing::warn!("the database was restored from an older copy: a new epoch begins");
            Err(ApiError::EpochChanged { epoch, parted })
        }
        Err(PullError::Sqlite(error)) => {
            tracing::error!(error = crate::group::describe(&error), "reading failed");
            Err(ApiError::Unavailable)
        }
    }
}
