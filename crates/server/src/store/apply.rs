//! Applying a push: in the order of its operations, each of them once.

use std::collections::BTreeMap;

use rusqlite::Connection;
use tidesync_protocol::blob::NamedBlob;
use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::wire::{Op, OpKind, Record, Resolved, Verdict, VerdictEntry, code};

use super::Identity;
use super::audit::{self, Author};
use super::blobs;
use super::cursor::Cursor;
use super::operations::{Operations, Outcome, Recorded};
use super::records::{self, on_wire};
use super::resolve::{Decision, Incoming, Resolution, Stored};
use super::spaces::{Writing, claim_client};
use crate::access::{Access, Grant, Space, own_space};
use crate::push::{CheckedOp, Push, entry, rejected};

/// About the most bytes of records in the answer to one push. What would come after them is put off.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// About the most bytes of records that one push reads and writes: what bounds how long all others wait
/// for it, since a small patch may be of a large record. What would come after them is put off.
const WORK_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A push was not applied; the caller rolls back what it wrote.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The client belongs to another user.
    #[error("the client belongs to another user")]
    ForeignClient,
    /// An operation names a space that the push's grant does not have.
    #[error("an operation names a space that is not granted")]
    ForeignSpace,
    /// What the client has sent before is forgotten: an operation may have been done already.
    #[error("what the client has sent before is forgotten")]
    ClientExpired,
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// What became of a push.
#[derive(Debug)]
pub struct Pushed {
    /// A verdict for each operation, in their order.
    pub verdicts: Vec<VerdictEntry>,
    /// The spaces in which something has changed, as they are stored.
    pub changed: Vec<String>,
    /// Where the spaces are that the client knows: of those that operations name after the push, of
    /// others where they were in the push's own place. None where it knows of none.
    pub place: Option<String>,
    /// About the bytes of records that were read and written.
    pub work_bytes: usize,
    /// About the bytes of records in the verdicts.
    pub told_bytes: usize,
}

/// Applies `push`. The caller holds a write transaction (or a savepoint in one), commits it before
/// anybody hears of the verdicts, and rolls it back on an error. `now_ms` is the wall clock.
///
/// # Errors
/// [`ApplyError`]; what was written until then must be rolled back.
pub fn apply_push(
    connection: &Connection,
    identity: &Identity,
    push: Push,
    now_ms: i64,
) -> Result<Pushed, ApplyError> {
    let own = own_space(push.grant.subject());
    if !claim_client(connection, &push.client, &own, now_ms)? {
        return Err(ApplyError::ForeignClient);
    }
    let mut applying = Applying {
        connection,
        operations: Operations {
            connection,
            space: &own,
            client: &push.client,
            now_ms,
        },
        grant: &push.grant,
        client: &push.client,
        spaces: BTreeMap::new(),
        told_bytes: 0,
        work_bytes: 0,
        now_ms,
    };
    let verdicts = push
        .ops
        .into_iter()
        .map(|op| match op {
            CheckedOp::Good(op, blobs) => {
                applying.once(op, |applying, op| match applying.lacks(op, &blobs)? {
                    Some(performed) => Ok(performed),
                    None => applying.perform(op),
                })
            }
            CheckedOp::UnknownTable(op) => {
                applying.once(op, |_, _| Ok(Performed::refused(code::UNKNOWN_TABLE)))
            }
            CheckedOp::Refused(entry) => Ok(entry),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (work_bytes, told_bytes) = (applying.work_bytes, applying.told_bytes);
    let place = place(
        connection,
        identity,
        &push.grant,
        push.place.as_deref(),
        &applying.spaces,
    )?;
    let spaces = applying.spaces.into_values();
    let changed = spaces
        .filter_map(|space| space.store(connection, identity).transpose())
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Pushed {
        verdicts,
        changed,
        place,
        work_bytes,
        told_bytes,
    })
}

/// What a client keeps of a push, so that it knows a server that was restored from an older copy.
fn place(
    connection: &Connection,
    identity: &Identity,
    grant: &Grant,
    before: Option<&str>,
    spaces: &BTreeMap<String, Writing>,
) -> rusqlite::Result<Option<String>> {
    let secret: Vec<u8> = connection
        .prepare_cached("SELECT secret FROM server WHERE id = 1")?
        .query_row([], |row| row.get(0))?;
    let before = before.map(|text| Cursor::from_text(text, &secret, grant.subject()));
    let before = before.and_then(Result::ok).unwrap_or_default();
    let mut places = before.places;
    places.retain(|name, _| before.epoch == identity.epoch && grant.space(name).is_some());
    for (name, writing) in spaces {
        places.insert(name.clone(), writing.place(connection, identity)?);
    }
    if places.is_empty() {
        return Ok(None);
    }
    let cursor = Cursor {
        epoch: identity.epoch.clone(),
        places,
        left: None,
    };
    let text = cursor.to_text(&secret, grant.subject());
    let text = text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    Ok(Some(text))
}

struct Applying<'a> {
    connection: &'a Connection,
    operations: Operations<'a>,
    grant: &'a Grant,
    client: &'a str,
    /// Those that operations have named, by their names on the wire.
    spaces: BTreeMap<String, Writing>,
    /// Bytes of records in the verdicts so far.
    told_bytes: usize,
    /// Bytes of records that were read and written so far.
    work_bytes: usize,
    now_ms: i64,
}

/// Why nothing was done, nor recorded: the same operation may come again as if for the first time.
enum Undone {
    Conflict,
    BlobMissing,
}

/// What was done for an operation, and what of it is told besides its outcome.
struct Performed {
    outcome: Result<Outcome, Undone>,
    record: Option<Record>,
    resolved: Vec<Resolved>,
}

impl Performed {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome: Ok(outcome),
            record: None,
            resolved: Vec::new(),
        }
    }

    fn refused(code: &str) -> Self {
        Self::of(Outcome::rejected(code))
    }

    fn undone(why: Undone, record: Option<Record>) -> Self {
        Self {
            outcome: Err(why),
            record,
            resolved: Vec::new(),
        }
    }
}

impl Applying<'_> {
    /// Does `perform` for an operation that comes for the first time, and records the outcome.
    fn once(
        &mut self,
        op: Op,
        perform: impl FnOnce(&mut Self, &Op) -> Result<Performed, ApplyError>,
    ) -> Result<VerdictEntry, ApplyError> {
        // From here on all of them, so that those of one record stay in their order.
        if ANSWER_BYTES_MAX < self.told_bytes || WORK_BYTES_MAX < self.work_bytes {
            return Ok(put_off(op.op));
        }
        let space = self.grant.space(&op.space);
        let space = space.ok_or(ApplyError::ForeignSpace)?;
        self.enter(&space)?;
        let entry = match self.operations.find(&op)? {
            Some((false, _)) => {
                let message = "the operation id was used before, with another content";
                rejected(op.op, code::ID_REUSED, message)
            }
            Some((true, outcome)) => self.again(op, &space, outcome)?,
            None if self.operations.may_be_forgotten(&op.op)? => {
                return Err(ApplyError::ClientExpired);
            }
            None => {
                let performed = if space.access == Access::Write || asks(&op) {
                    perform(self, &op)?
                } else {
                    Performed::refused(code::READ_ONLY)
                };
                self.answer(op, performed)?
            }
        };
        self.told_bytes += told_bytes(&entry);
        Ok(entry)
    }

    fn enter(&mut self, space: &Space) -> rusqlite::Result<()> {
        if !self.spaces.contains_key(&space.name) {
            let writing = Writing::load(self.connection, space.clone())?;
            self.spaces.insert(space.name.clone(), writing);
        }
        Ok(())
    }

    /// The first answer was lost. What it held of the record may be out of date by now.
    fn again(&self, op: Op, space: &Space, outcome: Outcome) -> Result<VerdictEntry, ApplyError> {
        let verdict = outcome.recorded.verdict_again();
        let record = if outcome.recorded == Recorded::Merged {
            let stored = records::find(self.connection, &space.stored, &op)?;
            stored.map(|stored| on_wire(&op, &stored)).transpose()?
        } else {
            None
        };
        let version = record.as_ref().map(|record| record.version);
        Ok(VerdictEntry {
            version: version.or(outcome.version),
            record,
            ..told(op.op, verdict, outcome)
        })
    }

    fn answer(&mut self, op: Op, performed: Performed) -> Result<VerdictEntry, ApplyError> {
        let entry = match performed.outcome {
            Ok(outcome) => {
                self.operations.record(&op, &outcome)?;
                let verdict = outcome.recorded.verdict();
                told(op.op, verdict, outcome)
            }
            Err(Undone::BlobMissing) => VerdictEntry {
                code: Some(code::BLOB_MISSING.to_owned()),
                message: Some("the server lacks a blob that the value names".to_owned()),
                ..entry(op.op, Verdict::Retry)
            },
            Err(Undone::Conflict) => VerdictEntry {
                version: performed.record.as_ref().map(|record| record.version),
                ..entry(op.op, Verdict::Conflict)
            },
        };
        Ok(VerdictEntry {
            record: performed.record,
            resolved: performed.resolved,
            ..entry
        })
    }

    /// What is to be said where blobs that an operation names are not there as it names them.
    fn lacks(&self, op: &Op, blobs: &[NamedBlob]) -> Result<Option<Performed>, ApplyError> {
        let space = self.grant.space(&op.space);
        let space = space.ok_or(ApplyError::ForeignSpace)?;
        for blob in blobs {
            match blobs::complete_size(self.connection, &space.stored, &blob.hash)? {
                None => {
                    return Ok(Some(Performed::undone(Undone::BlobMissing, None)));
                }
                Some(size) if size != blob.size => {
                    return Ok(Some(Performed::refused(code::BAD_VALUE)));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    fn perform(&mut self, op: &Op) -> Result<Performed, ApplyError> {
        let writing = self.spaces.get_mut(&op.space);
        let writing = writing.ok_or(ApplyError::ForeignSpace)?;
        let (space, head) = (writing.space.stored.clone(), writing.head);
        let now_ms = u64::try_from(self.now_ms).unwrap_or(0);
        let incoming = Incoming {
            op,
            // A clock that runs ahead counts no more than the server's own (I25).
            clock: op.hlc.parse::<Hlc>().unwrap_or_default().bounded(now_ms),
            client: self.client,
            next_version: head.version + 1,
        };
        // Most records that a client knows no version of are new: they need not be looked for first.
        if op.base == 0
            && let Decision::Apply(next) = incoming.decide(None)
            && records::insert(self.connection, &space, op, &next, self.now_ms)?
        {
            writing.head.version = next.version;
            self.work_bytes += next.bytes();
            let outcome = Outcome::done(Recorded::Applied, next.version);
            return Ok(Performed::of(outcome));
        }
        let found = records::find(self.connection, &space, op)?;
        let is_there = found.is_some();
        self.work_bytes += found.as_ref().map_or(0, Stored::bytes);
        let stands = found.or_else(|| head.forgotten(op.base));
        match incoming.decide(stands.as_ref()) {
            Decision::Apply(next) => {
                let version = self.write(op, &next, is_there)?;
                Ok(Performed::of(Outcome::done(Recorded::Applied, version)))
            }
            Decision::Merge { next, resolved } => {
                if let Some(next) = &next {
                    self.write(op, next, is_there)?;
                }
                let stands = next.or(stands);
                self.merged(op, &incoming.clock.to_string(), stands, resolved)
            }
            Decision::Conflict => {
                let record = stands.map(|stands| on_wire(op, &stands)).transpose()?;
                Ok(Performed::undone(Undone::Conflict, record))
            }
            Decision::NeedFull => Ok(Performed::of(Outcome::need_full())),
            Decision::TooLarge => Ok(Performed::refused(code::TOO_LARGE)),
        }
    }

    fn write(&mut self, op: &Op, next: &Stored, is_there: bool) -> Result<u64, ApplyError> {
        let writing = self.spaces.get_mut(&op.space);
        let writing = writing.ok_or(ApplyError::ForeignSpace)?;
        let is_new = writing.head.version < next.version;
        // A tombstone that was forgotten is not remembered for being said again.
        if is_new || is_there {
            self.work_bytes += next.bytes();
            let space = &writing.space.stored;
            records::write(self.connection, space, op, next, self.now_ms)?;
        }
        writing.head.version = writing.head.version.max(next.version);
        Ok(next.version)
    }

    fn merged(
        &self,
        op: &Op,
        hlc: &str,
        stands: Option<Stored>,
        resolved: Vec<Resolution>,
    ) -> Result<Performed, ApplyError> {
        let Some(stands) = stands else {
            return Ok(Performed::of(Outcome::need_full()));
        };
        let space = self
            .grant
            .space(&op.space)
            .ok_or(ApplyError::ForeignSpace)?;
        let author = Author {
            subject: self.grant.subject(),
            client: self.client,
            hlc,
            now_ms: self.now_ms,
        };
        let (stored, version) = (&space.stored, stands.version);
        audit::record(self.connection, stored, op, &author, version, &resolved)?;
        let resolved = resolved.into_iter().map(records::resolved_on_wire);
        Ok(Performed {
            outcome: Ok(Outcome::done(Recorded::Merged, version)),
            record: Some(on_wire(op, &stands)?),
            resolved: resolved.collect::<rusqlite::Result<_>>()?,
        })
    }
}

/// Whether an operation changes nothing and only asks for the record.
fn asks(op: &Op) -> bool {
    let names_none = op.set.iter().flatten().next().is_none();
    op.kind == OpKind::Patch && names_none && op.unset.iter().flatten().next().is_none()
}

fn told_bytes(entry: &VerdictEntry) -> usize {
    let record = entry
        .record
        .iter()
        .filter_map(|record| record.value.as_ref());
    let sides = entry.resolved.iter();
    let sides = sides.flat_map(|resolved| resolved.local.iter().chain(&resolved.remote));
    record.chain(sides).map(|value| value.get().len()).sum()
}

fn put_off(op: String) -> VerdictEntry {
    VerdictEntry {
        code: Some(code::UNAVAILABLE.to_owned()),
        message: Some("the push is too much at once; the rest goes with the next".to_owned()),
        ..entry(op, Verdict::Retry)
    }
}

fn told(op: String, verdict: Verdict, outcome: Outcome) -> VerdictEntry {
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
        code::BAD_VALUE => "a blob has another size than the value says",
        code::READ_ONLY => "the space may be read and not changed",
        _ => "the operation was refused",
    }
}
