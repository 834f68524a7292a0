//! `/api/sync/blob/{hash}`: the lane of large values' bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use tidesync_protocol::wire::OWN_SPACE;

use super::auth::authenticate;
use super::query::Query;
use super::{ApiError, Shared, body};
use crate::access::{Access, Grant, Space};
use crate::group::describe;
use crate::store::{
    Appended, BlobError, BlobLimits, BlobProgress, CHUNK_BYTES_MAX, Chunk, blob_digest,
    blob_progress, read_blob,
};

/// The header that says how many bytes a blob has.
pub(super) const SIZE_HEADER: HeaderName = HeaderName::from_static("tidesync-blob-size");

/// How much of a blob is there, as it stands on the wire.
#[derive(Serialize)]
pub(super) struct Progress {
    received: u64,
    complete: bool,
}

impl From<BlobProgress> for Progress {
    fn from(BlobProgress { received, complete }: BlobProgress) -> Self {
        Self { received, complete }
    }
}

/// Says how much of a blob is there.
pub(super) async fn status(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path(hash): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Progress>, ApiError> {
    let grant = authenticate(&shared, &headers, address)?.grant;
    let hash = checked(hash)?;
    let mut query = Query::read(uri.query())?;
    let space = space(&grant, &mut query)?;
    query.end()?;
    let read = shared
        .readers
        .read(move |connection| blob_progress(connection, &space.stored, &hash));
    let progress = read.await?.map_err(|error| unavailable(&error))?;
    Ok(Json(progress.into()))
}

/// Takes a chunk.
pub(super) async fn upload(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path(hash): Path<String>,
    request: Request,
) -> Result<Json<Progress>, ApiError> {
    let (parts, body) = request.into_parts();
    let grant = authenticate(&shared, &parts.headers, address)?.grant;
    let hash = checked(hash)?;
    let mut query = Query::read(parts.uri.query())?;
    let (size, offset) = (query.required("size")?, query.required("offset")?);
    let space = space(&grant, &mut query)?;
    query.end()?;
    if space.access != Access::Write {
        return Err(ApiError::ReadOnly);
    }
    let limits = (CHUNK_BYTES_MAX, CHUNK_BYTES_MAX);
    let arrived = body::receive(&parts.headers, body, limits, &shared.held).await?;
    let (bytes, held) = arrived.decode()?;
    let chunk = Chunk {
        space: space.stored,
        hash,
        size,
        offset,
        bytes: bytes.to_vec(),
    };
    take(&shared, chunk, held).await.map(Json)
}

/// Appends a chunk. What is whole then is hashed beside the writer: it may be large.
async fn take(shared: &Shared, chunk: Chunk, held: body::Held) -> Result<Progress, ApiError> {
    let limits = &shared.limits;
    let limits = BlobLimits {
        blob_bytes_max: limits.blob_bytes_max,
        space_bytes_max: limits.space_blob_bytes_max,
    };
    let (hash, size) = (chunk.hash.clone(), chunk.size);
    let appended = shared.writer.append_blob(chunk, limits, held).await?;
    let id = match appended.map_err(|error| refused(&error, limits))? {
        Appended::Progress(progress) => return Ok(progress.into()),
        Appended::Whole(id) => id,
    };
    let digest = shared
        .readers
        .read(move |connection| blob_digest(connection, id));
    let digest = digest.await?.map_err(|error| unavailable(&error))?;
    let is_good = URL_SAFE_NO_PAD.encode(digest) == hash;
    let complete = shared.writer.finish_blob(id, is_good).await?;
    if !is_good {
        return Err(ApiError::BlobMismatch);
    }
    Ok(Progress {
        received: size,
        complete,
    })
}

/// Gives the next bytes.
pub(super) async fn download(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path(hash): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let grant = authenticate(&shared, &headers, address)?.grant;
    let hash = checked(hash)?;
    let mut query = Query::read(uri.query())?;
    let offset = query.number("offset", 0)?;
    let space = space(&grant, &mut query)?;
    query.end()?;
    let read = shared
        .readers
        .read(move |connection| read_blob(connection, &space.stored, &hash, offset));
    let part = read.await?.map_err(|error| unavailable(&error))?;
    let part = part.ok_or(ApiError::NotFound)?;
    if part.size < offset {
        return Err(ApiError::Malformed("`offset` is beyond the blob's end"));
    }
    let binary = HeaderValue::from_static("application/octet-stream");
    let headers = [
        (header::CONTENT_TYPE, binary),
        (SIZE_HEADER, HeaderValue::from(part.size)),
    ];
    Ok((headers, shared.held.answer(part.bytes)?).into_response())
}

/// A name that no blob can have is one of no blob.
fn checked(hash: String) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(&hash).ok();
    if bytes.is_some_and(|bytes| bytes.len() == 32) {
        Ok(hash)
    } else {
        Err(ApiError::NotFound)
    }
}

fn space(grant: &Grant, query: &mut Query) -> Result<Space, ApiError> {
    let name = query.take("space");
    let name = name.as_deref().unwrap_or(OWN_SPACE);
    grant.space(name).ok_or(ApiError::WrongSpace)
}

fn refused(error: &BlobError, limits: BlobLimits) -> ApiError {
    let limit = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    match error {
        BlobError::WrongOffset { received } => ApiError::WrongOffset {
            received: *received,
        },
        BlobError::TooLong => {
            ApiError::Malformed("the chunk is longer than what is left of the blob")
        }
        BlobError::OtherSize => ApiError::BlobMismatch,
        BlobError::BlobTooLarge => ApiError::TooLarge {
            what: "the blob is too large",
            limit: limit(limits.blob_bytes_max),
        },
        BlobError::SpaceFull => ApiError::TooLarge {
            what: "the space has no room for the blob",
            limit: limit(limits.space_bytes_max),
        },
        BlobError::Sqlite(error) => unavailable(error),
    }
}

fn unavailable(error: &rusqlite::Error) -> ApiError {
    tracing::error!(error = describe(error), "reading or writing a blob failed");
    ApiError::Unavailable
}
