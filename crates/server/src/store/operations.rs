//! The recorded outcomes of operations: what makes a retry harmless (F29).

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql};
use tidesync_protocol::wire::{Op, Verdict};

use super::retention::numbered;

/// The outcomes that are recorded. `retry` never is: the same operation may succeed later. Nor is
/// `conflict`: nothing was done, and the client goes on under a new id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    Applied,
    Merged,
    NeedFull,
    Rejected,
}

impl Recorded {
    fn text(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Merged => "merged",
            Self::NeedFull => "need-full",
            Self::Rejected => "rejected",
        }
    }

    /// What the first arrival is told.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Applied => Verdict::Applied,
            Self::Merged => Verdict::Merged,
            Self::NeedFull => Verdict::NeedFull,
            Self::Rejected => Verdict::Rejected,
        }
    }

    /// What every later arrival is told.
    pub(super) fn verdict_again(self) -> Verdict {
        match self {
            Self::Applied | Self::Merged => Verdict::Duplicate,
            Self::NeedFull => Verdict::NeedFull,
            Self::Rejected => Verdict::Rejected,
        }
    }
}

impl ToSql for Recorded {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.text().into())
    }
}

impl FromSql for Recorded {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "applied" => Ok(Self::Applied),
            "merged" => Ok(Self::Merged),
            "need-full" => Ok(Self::NeedFull),
            "rejected" => Ok(Self::Rejected),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) recorded: Recorded,
    pub(super) version: Option<u64>,
    pub(super) code: Option<String>,
}

impl Outcome {
    pub(super) fn done(recorded: Recorded, version: u64) -> Self {
        Self {
            recorded,
            version: Some(version),
            code: None,
        }
    }

    pub(super) fn need_full() -> Self {
        Self {
            recorded: Recorded::NeedFull,
            version: None,
            code: None,
        }
    }

    pub(super) fn rejected(code: &str) -> Self {
        Self {
            recorded: Recorded::Rejected,
            version: None,
            code: Some(code.to_owned()),
        }
    }
}

/// Where the outcomes of one client's operations are kept.
pub(super) struct Operations<'a> {
    pub(super) connection: &'a Connection,
    pub(super) space: &'a str,
    pub(super) client: &'a str,
    pub(super) now_ms: i64,
}

impl Operations<'_> {
    /// The outcome that was recorded under the id of `op`, and whether that was the same operation.
    pub(super) fn find(&self, op: &Op) -> rusqlite::Result<Option<(bool, Outcome)>> {
        self.connection
            .prepare_cached(
                "SELECT hash = ?4 AND coalesce(target, ?5) = ?5, verdict, version, code
                 FROM operations WHERE space = ?1 AND client = ?2 AND op = ?3",
            )?
            .query_row(
                (self.space, self.client, &op.op, &op.hash, &op.space),
                |row| {
                    let outcome = Outcome {
                        recorded: row.get(1)?,
                        version: row.get(2)?,
                        code: row.get(3)?,
                    };
                    Ok((row.get(0)?, outcome))
                },
            )
            .optional()
    }

    /// Whether the outcome of `op` may have been recorded and forgotten.
    pub(super) fn may_be_forgotten(&self, op: &str) -> rusqlite::Result<bool> {
        let (incarnation, n) = numbered(op);
        let forgotten: Option<u64> = self
            .connection
            .prepare_cached(
                "SELECT forgotten FROM incarnations WHERE client = ?1 AND incarnation = ?2",
            )?
            .query_row((self.client, incarnation), |row| row.get(0))
            .optional()?;
        Ok(forgotten.is_some_and(|forgotten| n <= forgotten))
    }

    /// Records the outcome of `op`.
    pub(super) fn record(&self, op: &Op, outcome: &Outcome) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO operations (space, client, op, hash, verdict, version, code, at, target)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                self.space,
                self.client,
                &op.op,
                &op.hash,
                outcome.recorded,
                outcome.version,
                &outcome.code,
                self.now_ms,
                &op.space,
            ))?;
        Ok(())
    }
}
