//! Forgetting what nobody needs any more: the outcomes of operations, tombstones, the audit, and blobs
//! that nobody goes on with for a day. What is forgotten leaves a mark, so that who
//! comes later than that is told, and nothing is done twice or brought back.

use rusqlite::Connection;
use tidesync_protocol::hlc::Hlc;

use super::blobs;

/// How long a blob waits for its next chunk: all that time it takes room of its space.
const INCOMPLETE_BLOB_MS: i64 = 24 * 3_600 * 1_000;

/// Forgets at most about `count` things that are older than `retention_ms`, and returns how many there
/// were. The caller holds a write transaction.
///
/// # Errors
/// SQLite refused; what was forgotten until then must be rolled back.
pub fn forget(
    connection: &Connection,
    now_ms: i64,
    retention_ms: i64,
    count: usize,
) -> rusqlite::Result<usize> {
    let before = now_ms.saturating_sub(retention_ms);
    let mut forgotten = operations(connection, before, count)?;
    let given_up = before.max(now_ms.saturating_sub(INCOMPLETE_BLOB_MS));
    let kinds: [(Forget, i64); 3] = [
        (tombstones, before),
        (audit, before),
        (incomplete_blobs, given_up),
    ];
    for (kind, before) in kinds {
        if forgotten < count {
            forgotten += kind(connection, before, count - forgotten)?;
        }
    }
    Ok(forgotten)
}

/// Forgets one kind of things from before a time, at most so many, and says how many.
type Forget = fn(&Connection, i64, usize) -> rusqlite::Result<usize>;

fn operations(connection: &Connection, before: i64, count: usize) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "SELECT space, client, op FROM operations WHERE at < ?1 ORDER BY at LIMIT ?2",
    )?;
    let rows = statement.query_map((before, count), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    let old: Vec<(String, String, String)> = rows.collect::<Result<_, _>>()?;
    for (space, client, op) in &old {
        let (incarnation, n) = numbered(op);
        connection
            .prepare_cached(
                "INSERT INTO incarnations (client, incarnation, forgotten) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET forgotten = max(forgotten, excluded.forgotten)",
            )?
            .execute((client, incarnation, n))?;
        connection
            .prepare_cached("DELETE FROM operations WHERE space = ?1 AND client = ?2 AND op = ?3")?
            .execute((space, client, op))?;
    }
    Ok(old.len())
}

/// An operation's incarnation and number, which is at most the largest that the database can hold.
pub(super) fn numbered(op: &str) -> (&str, u64) {
    let (incarnation, n) = op.rsplit_once('.').unwrap_or((op, "0"));
    (
        incarnation,
        n.parse().unwrap_or(0).min(i64::MAX.unsigned_abs()),
    )
}

fn tombstones(connection: &Connection, before: i64, count: usize) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "SELECT space, table_name, rid, version, hlc FROM records
         WHERE deleted AND updated_at < ?1 ORDER BY updated_at LIMIT ?2",
    )?;
    let rows = statement.query_map((before, count), |row| {
        let hlc: String = row.get(4)?;
        let clock = hlc.parse::<Hlc>().unwrap_or_default();
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?, clock))
    })?;
    let old: Vec<((String, String, String), u64, Hlc)> = rows.collect::<Result<_, _>>()?;
    for (record, version, clock) in &old {
        connection
            .prepare_cached(
                "DELETE FROM records WHERE space = ?1 AND table_name = ?2 AND rid = ?3",
            )?
            .execute((&record.0, &record.1, &record.2))?;
        connection
            .prepare_cached(
                "UPDATE spaces SET forgotten_version = max(forgotten_version, ?2),
                     forgotten_until = max(forgotten_until, ?3)
                 WHERE space = ?1",
            )?
            .execute((&record.0, version, clock.ms() + 1))?;
    }
    Ok(old.len())
}

fn audit(connection: &Connection, before: i64, count: usize) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM audit WHERE (space, n) IN
                 (SELECT space, n FROM audit WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute((before, count))
}

fn incomplete_blobs(connection: &Connection, before: i64, count: usize) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM blobs WHERE NOT complete AND updated_at < ?1 ORDER BY updated_at LIMIT ?2",
    )?;
    // Each of them may be large.
    let rows = statement.query_map((before, count.min(1)), |row| row.get(0))?;
    let old: Vec<i64> = rows.collect::<Result<_, _>>()?;
    for id in &old {
        blobs::remove(connection, *id)?;
    }
    Ok(old.len())
}
