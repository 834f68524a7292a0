//! The records of a space.

use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use serde_json::value::RawValue;
use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::wire::{Op, Record, Resolved};

use super::marks::{Mark, Marks};
use super::resolve::{Resolution, Stored};

/// The record that `op` names in the space that is stored as `space`; none where there is none.
pub(super) fn find(
    connection: &Connection,
    space: &str,
    op: &Op,
) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached(
            "SELECT doc, version, hlc, client, fields FROM records
             WHERE space = ?1 AND table_name = ?2 AND rid = ?3",
        )?
        .query_row((space, &op.table, &op.rid), stored)
        .optional()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let text: String = row.get(2)?;
    let own = Mark {
        version: row.get(1)?,
        clock: text.parse::<Hlc>().map_err(|error| damaged(2, error))?,
        client: row.get(3)?,
    };
    let fields: Option<String> = row.get(4)?;
    Ok(Stored {
        doc: row.get(0)?,
        version: own.version,
        clock: own.clock,
        client: own.client.clone(),
        marks: Marks::from_text(fields.as_deref(), own).map_err(|error| damaged(4, error))?,
    })
}

/// Writes the record that `op` names, whatever is there.
pub(super) fn write(
    connection: &Connection,
    space: &str,
    op: &Op,
    record: &Stored,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let statement = connection.prepare_cached(
        "INSERT INTO records
             (space, table_name, rid, doc, version, deleted, updated_at, hlc, client, fields)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (space, table_name, rid) DO UPDATE SET
             doc = excluded.doc, version = excluded.version, deleted = excluded.deleted,
             updated_at = excluded.updated_at, hlc = excluded.hlc,
             client = excluded.client, fields = excluded.fields",
    )?;
    execute(statement, space, op, record, now_ms).map(drop)
}

/// Writes the record that `op` names where there is none. False where there is one.
pub(super) fn insert(
    connection: &Connection,
    space: &str,
    op: &Op,
    record: &Stored,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let statement = connection.prepare_cached(
        "INSERT INTO records
             (space, table_name, rid, doc, version, deleted, updated_at, hlc, client, fields)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (space, table_name, rid) DO NOTHING",
    )?;
    Ok(execute(statement, space, op, record, now_ms)? > 0)
}

fn execute(
    mut statement: CachedStatement<'_>,
    space: &str,
    op: &Op,
    record: &Stored,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    let own = Mark {
        version: record.version,
        clock: record.clock,
        client: record.client.clone(),
    };
    statement.execute((
        space,
        &op.table,
        &op.rid,
        &record.doc,
        record.version,
        record.doc.is_none(),
        now_ms,
        record.clock.to_string(),
        &record.client,
        record.marks.to_text(&own),
    ))
}

/// The record that `op` names, as it stands on the wire.
pub(super) fn on_wire(op: &Op, record: &Stored) -> rusqlite::Result<Record> {
    Ok(Record {
        space: op.space.clone(),
        table: op.table.clone(),
        rid: op.rid.clone(),
        version: record.version,
        hlc: record.clock.to_string(),
        client: record.client.clone(),
        deleted: record.doc.is_none(),
        value: record.doc.clone().map(|doc| raw(0, doc)).transpose()?,
    })
}

/// What was resolved, as it stands on the wire.
pub(super) fn resolved_on_wire(resolution: Resolution) -> rusqlite::Result<Resolved> {
    Ok(Resolved {
        field: resolution.field,
        winner: resolution.winner,
        local: resolution.local.map(|text| raw(0, text)).transpose()?,
        remote: resolution.remote.map(|text| raw(0, text)).transpose()?,
    })
}

/// Text of a column that is JSON.
pub(super) fn raw(column: usize, text: String) -> rusqlite::Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| damaged(column, error))
}

fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
