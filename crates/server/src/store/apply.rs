//! Applying a push: in the order of its operations, each of them once.
//!
//! The last arrival wins: `base` and `hlc` are not compared.

use rusqlite::Connection;
use tidesync_protocol::wire::{Op, OpKind, PUSH_BYTES_MAX, Verdict, VerdictEntry, code};

use super::Identity;
use super::operations::{Operations, Outcome, Recorded};
use super::patch::patched;
use super::records::Records;
use super::spaces::{Sequence, claim_client, own_space};
use crate::push::{CheckedOp, Push, entry, rejected};

/// A push was not applied; the caller rolls back what it wrote.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The client belongs to another user.
    #[error("the client belongs to another user")]
    ForeignClient,
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Applies `push` and returns a verdict for each of its operations, in their order. The caller
/// holds a write transaction (or a savepoint in one), commits it before anybody hears of the
/// verdicts, and rolls it back on an error. `now_ms` is the wall clock.
///
/// # Errors
/// [`ApplyError`]; what was written until then must be rolled back.
pub fn apply_push(
    connection: &Connection,
    identity: &Identity,
    push: Push,
    now_ms: i64,
) -> Result<Vec<VerdictEntry>, ApplyError> {
    let space = own_space(&push.subject);
    if !claim_client(connection, &push.client, &space, now_ms)? {
        return Err(ApplyError::ForeignClient);
    }
    let client = push.client.as_str();
    let mut applying = Applying {
        operations: Operations {
            connection,
            space: &space,
            client,
            now_ms,
        },
        records: Records {
            connection,
            space: &space,
            client,
            now_ms,
        },
        sequence: Sequence::load(connection, &space)?,
    };
    let verdicts = push
        .ops
        .into_iter()
        .map(|op| match op {
            CheckedOp::Good(op) => applying.once(op, Applying::perform),
            CheckedOp::UnknownTable(op) => {
                applying.once(op, |_, _| Ok(Outcome::rejected(code::UNKNOWN_TABLE)))
            }
            CheckedOp::Refused(entry) => Ok(entry),
        })
        .collect::<rusqlite::Result<Vec<_>>>()?;
    applying.sequence.store(connection, identity)?;
    Ok(verdicts)
}

struct Applying<'a> {
    operations: Operations<'a>,
    records: Records<'a>,
    sequence: Sequence<'a>,
}

impl Applying<'_> {
    /// Does `perform` for an operation that comes for the first time, and records the outcome.
    fn once(
        &mut self,
        op: Op,
        perform: impl FnOnce(&mut Self, &Op) -> rusqlite::Result<Outcome>,
    ) -> rusqlite::Result<VerdictEntry> {
        match self.operations.find(&op.op)? {
            Some((hash, _)) if hash != op.hash => {
                let message = "the operation id was used before, with another content";
                Ok(rejected(op.op, code::ID_REUSED, message))
            }
            Some((_, outcome)) => {
                let verdict = outcome.recorded.verdict_again();
                Ok(answer(op.op, outcome, verdict))
            }
            None => {
                let outcome = perform(self, &op)?;
                self.operations.record(&op.op, &op.hash, &outcome)?;
                let verdict = outcome.recorded.verdict();
                Ok(answer(op.op, outcome, verdict))
            }
        }
    }

    fn perform(&mut self, op: &Op) -> rusqlite::Result<Outcome> {
        match op.kind {
            OpKind::Put => self.write(op, op.value.as_ref().map(|value| value.get())),
            OpKind::Delete => self.write(op, None),
            OpKind::Patch => self.patch(op),
        }
    }

    fn patch(&mut self, op: &Op) -> rusqlite::Result<Outcome> {
        let before = self.records.document(op)?;
        let after = before.and_then(|doc| patched(&doc, op.set.as_ref(), op.unset.as_deref()));
        match after {
            None => Ok(Outcome {
                recorded: Recorded::NeedFull,
                version: None,
                code: None,
            }),
            Some(doc) if PUSH_BYTES_MAX < doc.len() => Ok(Outcome::rejected(code::TOO_LARGE)),
            Some(doc) => self.write(op, Some(&doc)),
        }
    }

    fn write(&mut self, op: &Op, doc: Option<&str>) -> rusqlite::Result<Outcome> {
        let version = self.sequence.next();
        self.records.write(op, doc, version)?;
        Ok(Outcome {
            recorded: Recorded::Applied,
            version: Some(version),
            code: None,
        })
    }
}

fn answer(op: String, outcome: Outcome, verdict: Verdict) -> VerdictEntry {
    let message = outcome.code.as_deref().map(explain).map(str::to_owned);
    VerdictEntry {
        version: outcome.version,
        code: outcome.code,
        message,
        ..entry(op, verdict)
    }
}

/// What a recorded code means, for people.
fn explain(recorded: &str) -> &'static str {
    match recorded {
        code::TOO_LARGE => "the record would become larger than the limit",
        code::UNKNOWN_TABLE => "the server keeps no such table",
        _ => "the operation was refused",
    }
}
