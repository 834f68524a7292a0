//! The audit: what was resolved without asking, a row for each field.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, Row};
use serde::Serialize;
use serde_json::value::RawValue;
use tidesync_protocol::wire::{OnConflict, Op, PROTOCOL, Winner};

use super::records::raw;
use super::resolve::Resolution;
use crate::access::{Access, Grant, Space};

/// Most entries of one page.
pub const AUDIT_LIMIT_MAX: usize = 1_000;

/// About the most bytes of one page; a single entry may be larger.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

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

/// How one field was resolved.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The space, by its name on the wire.
    pub space: String,
    /// The table.
    pub table: String,
    /// The record id.
    pub rid: String,
    /// The field; empty for the record as a whole.
    pub field: String,
    /// When, in milliseconds since 1970 by the server's clock.
    pub at: i64,
    /// `last-write-wins` or `merge`.
    pub strategy: String,
    /// `local`, the operation, or `remote`, what the server had.
    pub winner: String,
    /// The version of the record that the operation was made on.
    pub base: u64,
    /// The record's version since.
    pub version: u64,
    /// Whose the operation is.
    pub user: String,
    /// The operation.
    pub op: String,
    /// Its client.
    pub client: String,
    /// Its clock.
    pub hlc: String,
    /// What it wrote; none where it removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<Box<RawValue>>,
    /// The client that wrote what the server had.
    pub remote_client: String,
    /// That write's clock.
    pub remote_hlc: String,
    /// What the server had; none where it had nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Box<RawValue>>,
}

/// Entries of the audit, the latest first.
#[derive(Debug, Serialize)]
pub struct AuditPage {
    /// The protocol version.
    pub protocol: u32,
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where earlier ones go on; none where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this table only.
    pub table: Option<String>,
    /// Of this record of the table only; without a table, of none.
    pub rid: Option<String>,
    /// Before those of an earlier page.
    pub before: Option<String>,
    /// How many, at most [`AUDIT_LIMIT_MAX`].
    pub limit: usize,
}

/// The audit was not read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// `before` is none of a page's.
    #[error("`before` is none of a page's")]
    Malformed,
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Reads the audit of those spaces of `grant` that its user may change: what lost is not shown to those
/// who may only read.
///
/// # Errors
/// [`AuditError`].
pub fn audit(
    connection: &Connection,
    grant: &Grant,
    filter: &AuditFilter,
) -> Result<AuditPage, AuditError> {
    let snapshot = connection.unchecked_transaction()?;
    let mut before = filter
        .before
        .as_deref()
        .map_or(Ok(Places::new()), read_places)?;
    let mut spaces = Vec::new();
    for space in grant.spaces().filter(|space| space.access == Access::Write) {
        let last = before.get(&space.name).copied().unwrap_or(u64::MAX >> 1);
        let keys = keys(&snapshot, &space, last, filter)?;
        spaces.push((space, VecDeque::from(keys)));
    }
    let mut page = AuditPage {
        protocol: PROTOCOL,
        entries: Vec::new(),
        before: None,
    };
    let mut bytes = 0;
    // Within a space in the order of its count, whatever the clock did; over the spaces by the time.
    while let Some((space, keys)) = spaces
        .iter_mut()
        .max_by_key(|(_, keys)| keys.front().map(|key| key.at))
        && let Some(key) = keys.pop_front()
    {
        bytes += key.bytes;
        let is_full = page.entries.len() == filter.limit.clamp(1, AUDIT_LIMIT_MAX);
        if is_full || !page.entries.is_empty() && PAGE_BYTES_MAX < bytes {
            page.before = Some(places_text(&before));
            break;
        }
        page.entries.push(entry(&snapshot, space, key.n)?);
        before.insert(space.name.clone(), key.n);
    }
    Ok(page)
}

/// By space, the number of the last entry that was given.
type Places = BTreeMap<String, u64>;

fn places_text(places: &Places) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!(places).to_string())
}

/// Reads what [`places_text`] wrote. Who makes one up reads no more than they may.
fn read_places(text: &str) -> Result<Places, AuditError> {
    let json = URL_SAFE_NO_PAD.decode(text).ok();
    let places = json.and_then(|json| serde_json::from_slice(&json).ok());
    let places: Places = places.ok_or(AuditError::Malformed)?;
    let possible = |place: &u64| i64::try_from(*place).is_ok();
    if places.values().all(possible) {
        Ok(places)
    } else {
        Err(AuditError::Malformed)
    }
}

/// Where an entry stands, and how large it is.
struct Key {
    n: u64,
    at: i64,
    bytes: usize,
}

/// The next entries of a space, one more than a page takes.
fn keys(
    connection: &Connection,
    space: &Space,
    before: u64,
    filter: &AuditFilter,
) -> rusqlite::Result<Vec<Key>> {
    // Of one record by its index; else from the end of the space's audit.
    let mut statement = connection.prepare_cached(if filter.rid.is_some() {
        "SELECT n, at, coalesce(octet_length(local), 0) + coalesce(octet_length(remote), 0)
         FROM audit
         WHERE space = ?1 AND n < ?2 AND table_name = ?3 AND rid = ?4
         ORDER BY n DESC LIMIT ?5"
    } else {
        "SELECT n, at, coalesce(octet_length(local), 0) + coalesce(octet_length(remote), 0)
         FROM audit
         WHERE space = ?1 AND n < ?2 AND (?3 IS NULL OR table_name = ?3) AND ?4 IS NULL
         ORDER BY n DESC LIMIT ?5"
    })?;
    let limit = filter.limit.clamp(1, AUDIT_LIMIT_MAX) + 1;
    let keys = statement.query_map(
        (&space.stored, before, &filter.table, &filter.rid, limit),
        |row| {
            Ok(Key {
                n: row.get(0)?,
                at: row.get(1)?,
                bytes: row.get(2)?,
            })
        },
    )?;
    keys.collect()
}

fn entry(connection: &Connection, space: &Space, n: u64) -> rusqlite::Result<AuditEntry> {
    connection
        .prepare_cached(
            "SELECT table_name, rid, field, at, strategy, winner, base, version, subject, op,
                    client, hlc, local, remote_client, remote_hlc, remote
             FROM audit WHERE space = ?1 AND n = ?2",
        )?
        .query_row((&space.stored, n), |row| read_entry(space, row))
}

fn read_entry(space: &Space, row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let value = |column: usize| -> rusqlite::Result<Option<Box<RawValue>>> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| raw(column, text)).transpose()
    };
    Ok(AuditEntry {
        space: space.name.clone(),
        table: row.get(0)?,
        rid: row.get(1)?,
        field: row.get(2)?,
        at: row.get(3)?,
        strategy: row.get(4)?,
        winner: row.get(5)?,
        base: row.get(6)?,
        version: row.get(7)?,
        user: row.get(8)?,
        op: row.get(9)?,
        client: row.get(10)?,
        hlc: row.get(11)?,
        local: value(12)?,
        remote_client: row.get(13)?,
        remote_hlc: row.get(14)?,
        remote: value(15)?,
    })
}
