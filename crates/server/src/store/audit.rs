//! The audit: what was resolved without asking, a row for each field.

use rusqlite::Connection;
use tidesync_protocol::wire::{OnConflict, Op, Winner};

use super::resolve::Resolution;

/// Who made an operation, and when.
pub(super) struct Author<'a> {
    pub(super) subject: &'a str,
    pub(super) client: &'a str,
    /// The operation's clock, bounded by the server's.
    pub(super) hlc: &'a str,
    pub(super) now_ms: i64,
}

/// Records how an operation was resolved in the space that is stored as `space`, where its record
/// has `version` since.
pub(super) fn record(
    connection: &Connection,
    space: &str,
    op: &Op,
    author: &Author<'_>,
    version: u64,
    resolved: &[Resolution],
) -> rusqlite::Result<()> {
    for resolution in resolved {
        connection
            .prepare_cached(
                "INSERT INTO audit
                     (space, n, at, table_name, rid, base, version, field, strategy, winner,
                      subject, op, client, hlc, local, remote_client, remote_hlc, remote)
                 SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
                        ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17
                 FROM audit WHERE space = ?1",
            )?
            .execute(rusqlite::params![
                space,
                author.now_ms,
                op.table,
                op.rid,
                op.base,
                version,
                resolution.field,
                strategy(op.on_conflict),
                winner(resolution.winner),
                author.subject,
                op.op,
                author.client,
                author.hlc,
                resolution.local,
                resolution.against.client,
                resolution.against.clock.to_string(),
                resolution.remote,
            ])?;
    }
    Ok(())
}

fn strategy(on_conflict: OnConflict) -> &'static str {
    match on_conflict {
        OnConflict::LastWriteWins => "last-write-wins",
        OnConflict::Merge => "merge",
        OnConflict::Ask => "ask",
    }
}

fn winner(winner: Winner) -> &'static str {
    match winner {
        Winner::Local => "local",
        Winner::Remote => "remote",
    }
}
