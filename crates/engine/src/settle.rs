//! Turns verdicts into the transaction that makes them durable here.

use tidesync_protocol::json::ObjectWriter;
use tidesync_protocol::wire::{Verdict, code};

use crate::answer::{Answer, Judged};
use crate::apply::tails;
use crate::database::{Change, Database};
use crate::index::Waiting;
use crate::interface::{HeldNotice, Now, PageId, Text, Write};
use crate::remote::Remote;
use crate::shadow::Entry;
use crate::sorted::{SortedMap, SortedSet};
use crate::staged::{Batch, Held, StagedOp};

/// What becomes of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The server has it.
    Done { version: Option<u64> },
    /// The server has it together with another client's change: the record is taken over.
    Merged {
        record: Remote,
        resolved: Option<String>,
    },
    /// The server needs the whole record.
    Full,
    /// It is held: the same again would be refused again.
    Hold {
        code: String,
        message: String,
        /// The server's record that stands against it.
        remote: Option<Remote>,
    },
    /// It is sent again, no sooner than after this many milliseconds.
    PutOff { after_ms: u64 },
}

/// The fates of the operations at the front of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Settling {
    pub(crate) batch: u64,
    pub(crate) fates: Vec<Fate>,
    /// Where the server is since.
    pub(crate) place: Option<String>,
    /// The pages that were asked for, in order.
    pub(crate) pages: Vec<PageId>,
}

/// The fates that an answer gives to `ops`. An operation that it does not name is sent again.
pub(crate) fn fates(ops: &[StagedOp], answer: Answer) -> Vec<Fate> {
    let named = answer
        .verdicts
        .into_iter()
        .map(|entry| (entry.op.clone(), entry));
    let mut verdicts: SortedMap<String, Judged> = named.collect();
    let fate = |op: &StagedOp| {
        verdicts
            .remove(&op.op)
            .map_or(Fate::PutOff { after_ms: 0 }, |entry| judge(op, entry))
    };
    ops.iter().map(fate).collect()
}

fn judge(op: &StagedOp, entry: Judged) -> Fate {
    let hold = |code: &str, remote: Option<Remote>| Fate::Hold {
        code: entry.code.clone().unwrap_or_else(|| code.to_owned()),
        message: entry.message.clone().unwrap_or_default(),
        remote,
    };
    match entry.verdict {
        Verdict::Applied | Verdict::Duplicate | Verdict::Merged => match entry.record {
            Some(record) => Fate::Merged {
                record,
                resolved: entry.resolved,
            },
            None => Fate::Done {
                version: entry.version,
            },
        },
        Verdict::Conflict => hold("conflict", entry.record.clone()),
        Verdict::NeedFull if op.patch => Fate::Full,
        Verdict::NeedFull => hold("need-full", None),
        Verdict::Rejected => hold("rejected", None),
        Verdict::Retry | Verdict::Blocked => Fate::PutOff {
            after_ms: entry.retry_after_ms.unwrap_or(0),
        },
    }
}

impl Settling {
    pub(crate) fn new(
        database: &Database,
        batch: u64,
        fates: Vec<Fate>,
        place: Option<String>,
    ) -> Self {
        let ops = database
            .staged
            .get(&batch)
            .map_or(&[][..], |batch| &batch.ops);
        let done = ops.iter().zip(&fates).filter(|(_, fate)| {
            matches!(fate, Fate::Done { .. } | Fate::Merged { .. } | Fate::Full)
        });
        let mut pages = SortedSet::default();
        for (op, _) in done {
            database.want(&mut pages, database.page_id(&op.table, &op.lid), &op.lid);
        }
        let pages = database.missing_pages(pages);
        Self {
            batch,
            fates,
            place,
            pages,
        }
    }

    /// The records that the server has merged.
    pub(crate) fn merged(&self) -> Vec<Remote> {
        let merged = self.fates.iter().filter_map(|fate| match fate {
            Fate::Merged { record, .. } => Some(record.clone()),
            Fate::Done { .. } | Fate::Full | Fate::Hold { .. } | Fate::PutOff { .. } => None,
        });
        merged.collect()
    }

    /// How many operations are held.
    pub(crate) fn held(&self) -> usize {
        self.fates
            .iter()
            .filter(|fate| matches!(fate, Fate::Hold { .. }))
            .count()
    }

    /// The longest wait that is asked for; none where nothing is put off.
    pub(crate) fn put_off_ms(&self) -> Option<u64> {
        let waits = self.fates.iter().filter_map(|fate| match fate {
            Fate::PutOff { after_ms } => Some(*after_ms),
            Fate::Done { .. } | Fate::Merged { .. } | Fate::Full | Fate::Hold { .. } => None,
        });
        waits.max()
    }

    /// Works out the transaction. What is put off waits until `not_before`, in a batch of its own,
    /// so that it holds nothing up. The pages are in memory.
    pub(crate) fn change(self, database: &mut Database, now: Now, not_before: u64) -> Change {
        let mut change = Change::new(database);
        let Some(batch) = database.staged.get(&self.batch).cloned() else {
            return change;
        };
        if self.place.is_some() {
            change.meta.place = self.place;
        }
        let settled = self.fates.len().min(batch.ops.len());
        let (mut left, mut texts) = (Vec::new(), Vec::new());
        for (index, (op, fate)) in batch.ops.iter().zip(self.fates).enumerate() {
            let text = Text::Kept {
                batch: batch.number,
                index: index as u32,
            };
            match fate {
                Fate::Done { version } => confirm(&mut change, database, &batch, op, version),
                Fate::Merged { record, resolved } => {
                    change.release(database, batch.owner, &op.table, &op.lid);
                    let user = database.meta.user_of(batch.owner);
                    change
                        .history
                        .extend(history((user, op), &record, resolved, now));
                    note_own(&mut change, database, &batch, op);
                }
                Fate::Full => send_whole(&mut change, database, &batch, op, now),
                Fate::Hold {
                    code,
                    message,
                    remote,
                } => {
                    // Who only asks for the record gives up what was changed: that never goes by itself.
                    let barred =
                        !op.is_empty() && (code == code::READ_ONLY || code == code::WRONG_SPACE);
                    let held = hold(&batch, op, remote, barred);
                    let notice = notice(op, code, message, now);
                    change.release(database, batch.owner, &op.table, &op.lid);
                    change.held.push((held, notice, Some(text)));
                }
                Fate::PutOff { .. } => {
                    left.push(op.clone());
                    texts.push(text);
                }
            }
        }
        put_back(
            &mut change,
            database,
            batch,
            (left, texts),
            settled,
            not_before,
        );
        change
    }
}

fn confirm(
    change: &mut Change,
    database: &Database,
    batch: &Batch,
    op: &StagedOp,
    version: Option<u64>,
) {
    change.release(database, batch.owner, &op.table, &op.lid);
    let generation = change.meta.generation;
    let id = database.page_id(&op.table, &op.lid);
    let page = change.page(database, &id, &op.lid);
    let before = page.and_then(|page| page.get(&op.lid));
    let before = before.filter(|entry| entry.owner == batch.owner);
    let known = before.map_or(0, |entry| entry.version);
    // A backend without versions still has the record.
    let version = version.unwrap_or(known + 1).max(1);
    if known >= version {
        // A pull has brought it already.
        return;
    }
    let patches = op.patch && before.is_some();
    let page = change.page_mut(database, id, &op.lid);
    if patches {
        page.patch(&op.lid, &op.fields, &op.unset, &batch.names);
        if let Some(entry) = page.get_mut(&op.lid) {
            entry.version = version;
            entry.generation = generation;
        }
        return;
    }
    let entry = Entry {
        rid: op.rid.clone(),
        version,
        owner: batch.owner,
        deleted: op.delete,
        fields: op.fields.clone(),
        stale: Vec::new(),
        generation,
    };
    page.put(&op.lid, entry, &batch.names);
}

/// The server has the operation, and more: what is known of it counts as told by this client, not by
/// another. The record itself follows.
fn note_own(change: &mut Change, database: &Database, batch: &Batch, op: &StagedOp) {
    let id = database.page_id(&op.table, &op.lid);
    let page = change.page_mut(database, id, &op.lid);
    let known = page.get(&op.lid).filter(|entry| entry.owner == batch.owner);
    let known = known.cloned().unwrap_or_else(|| Entry {
        rid: op.rid.clone(),
        owner: batch.owner,
        ..Entry::default()
    });
    if op.patch {
        return page.patch(&op.lid, &op.fields, &op.unset, &batch.names);
    }
    let entry = Entry {
        deleted: op.delete,
        fields: op.fields.clone(),
        stale: Vec::new(),
        ..known
    };
    page.put(&op.lid, entry, &batch.names);
}

/// The server does not have the record. It goes back to the log, to be staged whole; where nothing
/// was to be changed, it is gone here too.
fn send_whole(change: &mut Change, database: &Database, batch: &Batch, op: &StagedOp, now: Now) {
    let id = database.page_id(&op.table, &op.lid);
    if op.is_empty() {
        change.release(database, batch.owner, &op.table, &op.lid);
        if let Some(entry) = change.page_mut(database, id, &op.lid).get_mut(&op.lid) {
            entry.deleted = true;
            entry.fields.clear();
            entry.stale.clear();
        }
        if database.own.progress(database.id(&op.table, &op.lid)) != Waiting::Captured {
            change.records.push(Write::DeleteRecord {
                table: op.table.clone(),
                lid: op.lid.clone(),
            });
            change
                .tails
                .extend(tails(database, std::iter::once(op.table.clone())));
        }
        return;
    }
    if let Some(entry) = change.page_mut(database, id, &op.lid).get_mut(&op.lid) {
        entry.version = 0;
        entry.deleted = false;
        entry.fields.clear();
        entry.stale.clear();
    }
    change.append(database, batch.owner, &op.table, &op.lid, now, false);
}

/// What is told of fields that the server resolved without asking.
fn history(
    (user, op): (&str, &StagedOp),
    record: &Remote,
    resolved: Option<String>,
    now: Now,
) -> Option<String> {
    let resolved = resolved?;
    let mut entry = ObjectWriter::default();
    entry.whole("at", now.wall_ms);
    entry.text("user", user);
    entry.text("table", &op.table);
    entry.text("lid", &op.lid);
    entry.text("by", "server");
    entry.whole("base", op.base);
    entry.whole("version", record.version);
    entry.json("fields", &resolved);
    Some(entry.finish())
}

fn hold(batch: &Batch, op: &StagedOp, remote: Option<Remote>, barred: bool) -> Held {
    Held {
        op: op.op.clone(),
        owner: batch.owner,
        table: op.table.clone(),
        lid: op.lid.clone(),
        base: op.base,
        remote: remote.map(|record| record.json),
        barred,
    }
}

fn notice(op: &StagedOp, code: String, message: String, now: Now) -> HeldNotice {
    HeldNotice {
        table: op.table.clone(),
        lid: op.lid.clone(),
        code,
        message,
        at_ms: now.wall_ms,
    }
}

/// Stores what is left of a batch: what was put off, and what was not sent.
fn put_back(
    change: &mut Change,
    database: &mut Database,
    batch: Batch,
    (left, texts): (Vec<StagedOp>, Vec<Text>),
    settled: usize,
    not_before: u64,
) {
    let number = batch.number;
    let unsent: Vec<StagedOp> = batch.ops.iter().skip(settled).cloned().collect();
    let waiting = Batch {
        number: if unsent.is_empty() {
            number
        } else {
            database.take_batch_number()
        },
        put_off: batch.put_off + 1,
        not_before,
        suspect: 0,
        ops: left,
        ..batch.clone()
    };
    let keeps_number = !unsent.is_empty() || !waiting.ops.is_empty();
    if !waiting.ops.is_empty() {
        change.batches.push((waiting, texts));
    }
    if !unsent.is_empty() {
        let kept = settled..batch.ops.len();
        let texts = kept
            .map(|index| Text::Kept {
                batch: number,
                index: index as u32,
            })
            .collect();
        let suspect = batch.suspect.saturating_sub(settled as u32);
        change.batches.push((
            Batch {
                ops: unsent,
                suspect,
                ..batch
            },
            texts,
        ));
    }
    if !keeps_number {
        change.dropped.push(number);
    }
}
