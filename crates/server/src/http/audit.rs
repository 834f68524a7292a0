//! `GET /api/sync/audit`: what was resolved without asking.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::auth::authenticate;
use super::query::Query;
use super::{ApiError, Shared, json_answer};
use crate::group::describe;
use crate::store::{self, AUDIT_LIMIT_MAX, AuditError, AuditFilter};

/// Entries of a page when the request does not say how many.
const LIMIT_DEFAULT: u64 = 100;

/// Gives entries, the latest first.
pub(super) async fn audit(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let grant = authenticate(&shared, &headers, address)?.grant;
    let filter = read(uri.query())?;
    let read = shared.readers.read(move |connection| {
        let page = store::audit(connection, &grant, &filter)?;
        Ok(serde_json::to_vec(&page))
    });
    match read.await? {
        Ok(bytes) => json_answer(&shared, bytes),
        Err(AuditError::Malformed) => Err(ApiError::Malformed("`before` is none of a page's")),
        Err(AuditError::Sqlite(error)) => {
            tracing::error!(error = describe(&error), "reading failed");
            Err(ApiError::Unavailable)
        }
    }
}

fn read(query: Option<&str>) -> Result<AuditFilter, ApiError> {
    let mut query = Query::read(query)?;
    let limit = query.limit(LIMIT_DEFAULT, AUDIT_LIMIT_MAX)?;
    let filter = AuditFilter {
        table: query.take("table"),
        rid: query.take("rid"),
        before: query.take("before"),
        limit,
    };
    query.end()?;
    if filter.rid.is_some() && filter.table.is_none() {
        return Err(ApiError::Malformed("`rid` is given without `table`"));
    }
    Ok(filter)
}
