//! The records of a space.

use rusqlite::{Connection, OptionalExtension};
use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::wire::Op;

/// Where the records of one space are, and who writes them.
pub(super) struct Records<'a> {
    pub(super) connection: &'a Connection,
    pub(super) space: &'a str,
    pub(super) client: &'a str,
    pub(super) now_ms: i64,
}

impl Records<'_> {
    /// The value of the record that `op` names; `None` when there is none or it was deleted.
    pub(super) fn document(&self, op: &Op) -> rusqlite::Result<Option<String>> {
        self.connection
            .prepare_cached(
                "SELECT doc FROM records WHERE space = ?1 AND table_name = ?2 AND rid = ?3",
            )?
            .query_row((self.space, &op.table, &op.rid), |row| row.get(0))
            .optional()
            .map(Option::flatten)
    }

    /// Writes the record that `op` names; without a `doc` it becomes a tombstone.
    pub(super) fn write(&self, op: &Op, doc: Option<&str>, version: u64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO records
                     (space, table_name, rid, doc, version, deleted, updated_at, hlc, client)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT DO UPDATE SET
                     doc = excluded.doc, version = excluded.version, deleted = excluded.deleted,
                     updated_at = excluded.updated_at, hlc = excluded.hlc,
                     client = excluded.client",
            )?
            .execute((
                self.space,
                &op.table,
                &op.rid,
                doc,
                version,
                doc.is_none(),
                self.now_ms,
                self.bounded(&op.hlc),
                self.client,
            ))?;
        Ok(())
    }

    /// A client's clock that runs ahead counts no more than the server's own (I25).
    fn bounded(&self, hlc: &str) -> String {
        let now_ms = u64::try_from(self.now_ms).unwrap_or(0);
        hlc.parse::<Hlc>()
            .unwrap_or_default()
            .bounded(now_ms)
            .to_string()
    }
}
