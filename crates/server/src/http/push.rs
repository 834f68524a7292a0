//! `POST /api/sync/push`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use tidesync_protocol::wire::{PROTOCOL, PushResponse, Verdict};

use super::auth::authenticate;
use super::log::Outcome;
use super::pull::read_at;
use super::{ApiError, Shared, body, json_answer};
use crate::access::Grant;
use crate::push::{Push, read};
use crate::store;

/// Takes a push. The token is verified before a byte of the body is read (SEC10).
pub(super) async fn push(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let holder = authenticate(&shared, &parts.headers, address)?;
    let limits = (shared.limits.body_bytes_max, shared.limits.gzip_bytes_max);
    let arrived = body::receive(&parts.headers, body, limits, &shared.held).await?;
    let (push, held) = decode(&shared, arrived, holder.grant).await?;
    let batch = push.batch.clone();
    if let Some(place) = push.place.clone() {
        let grant = push.grant.clone();
        let checked = read_at(&shared, move |connection| {
            store::check_place(connection, &grant, &place)
        });
        checked.await?;
    }
    let applied = shared.writer.apply(push, held).await?;
    let verdicts = applied.verdicts.iter().map(|entry| entry.verdict);
    let outcome = Outcome(count(verdicts));
    let answer = PushResponse {
        protocol: PROTOCOL,
        batch,
        epoch: applied.epoch,
        place: applied.place,
        verdicts: applied.verdicts,
    };
    let mut response = json_answer(&shared, serde_json::to_vec(&answer))?;
    response.extensions_mut().insert(outcome);
    Ok(response)
}

/// Decompresses and checks on a thread that may be kept busy, no more of them at a time than there
/// are processors: what a body takes while it is read is a multiple of its size.
async fn decode(
    shared: &Arc<Shared>,
    arrived: body::Arrived,
    grant: Grant,
) -> Result<(Push, body::Held), ApiError> {
    let turn = Arc::clone(&shared.decoding).acquire_owned().await;
    let turn = turn.map_err(|_| ApiError::Internal)?;
    let shared = Arc::clone(shared);
    let decoded = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let (bytes, held) = arrived.decode()?;
        let push = read(&bytes, &grant, shared.tables.as_ref())?;
        Ok((push, held))
    });
    decoded.await.unwrap_or(Err(ApiError::Internal))
}

fn count(verdicts: impl Iterator<Item = Verdict>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for verdict in verdicts {
        *counts.entry(name(verdict)).or_default() += 1;
    }
    counts
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Applied => "applied",
        Verdict::Duplicate => "duplicate",
        Verdict::Merged => "merged",
        Verdict::Conflict => "conflict",
        Verdict::NeedFull => "need-full",
        Verdict::Rejected => "rejected",
        Verdict::Retry => "retry",
        Verdict::Blocked => "blocked",
    }
}
