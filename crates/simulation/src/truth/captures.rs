//! What was captured on one device, and what has become of it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tidesync_engine::interface::{RequestOutcome, RowUser, Write};
use tidesync_protocol::wire::{Op, OpKind, PushResponse, Verdict};

use super::server::Part;
use crate::disk::{Change, Disk, Logged, Table, Value};
use crate::fact::{Handled, PutPulled};
use crate::schema;
use crate::value::parts;

/// A record of a device, by table and local id.
pub(crate) type Name = (&'static str, Rc<str>);

/// The record that a log row says something of, and the number of the last such change.
pub(crate) type Said = (Rc<str>, u64);

/// A change of a record, by the app.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Capture {
    /// Its place among all changes of the device.
    pub(crate) seq: u64,
    pub(crate) value: Option<Value>,
    /// The record was there before.
    pub(crate) existed: bool,
    pub(crate) user: RowUser,
}

/// An operation that was staged on the device at some time.
#[derive(Debug, Clone)]
pub(crate) struct StagedOp {
    pub(crate) name: Name,
    /// The last change that it stands for; 0 for what was there before anything was captured.
    pub(crate) seq: u64,
    /// The last change by which the record is gone, where it removes it; 0 for none.
    removal: u64,
    /// It was made of what capture logged, and of nothing that the engine has added.
    pub(crate) exact: bool,
    pub(crate) op: Rc<Op>,
}

impl StagedOp {
    /// The parts of values that it carries.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let whole = self.op.value.iter().flat_map(|value| parts(value.get()));
        let set = self.op.set.iter().flatten();
        let set = set.map(|(name, value)| (name.clone(), value.get().to_owned()));
        whole.chain(set).collect()
    }
}

/// What was captured on one device.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    pub(crate) seq: u64,
    /// All changes of each record, in order.
    pub(crate) changes: BTreeMap<Name, Vec<Capture>>,
    /// Every part of a value that the app ever stored in a record, with the change that did it
    /// first.
    parts: BTreeMap<Name, BTreeMap<Part, u64>>,
    /// The changes that each log row stands for.
    rows: BTreeMap<(&'static str, u64), Vec<Said>>,
    /// Every operation that was ever staged, by id.
    pub(crate) ops: BTreeMap<String, StagedOp>,
    /// The local names of records whose keys are generated.
    lids: BTreeMap<(&'static str, String), Rc<str>>,
    /// The names on the server of records whose keys are generated.
    rids: BTreeMap<Name, String>,
    /// The last change of each record that has left the log.
    taken: BTreeMap<Name, u64>,
    /// Records of which the engine has added a row to the log that is there still.
    added: BTreeSet<(&'static str, u64)>,
    /// The last change of each record that was given up by a decision.
    given_up: BTreeMap<Name, u64>,
    /// The last change of each record that the server has.
    done: BTreeMap<Name, u64>,
    /// The last change of each record by which it is gone on the server too.
    removed: BTreeMap<Name, u64>,
    /// The parts of values on which the server has decided.
    judged: BTreeMap<Name, BTreeSet<Part>>,
    /// What the device was told of each operation, other than that it must wait.
    pub(crate) verdicts: BTreeMap<String, Verdict>,
    /// Staged operations that could not be read, which is a bug of its own.
    pub(crate) unread: Option<String>,
}

impl Captures {
    pub(super) fn wrote(&mut self, user: &RowUser, changes: &[Change]) {
        for change in changes {
            self.seq += 1;
            let name = (change.table, Rc::clone(&change.lid));
            let wire = change.value.as_ref().and_then(Value::wire);
            let written = self.parts.entry(name.clone()).or_default();
            for part in wire.into_iter().flat_map(|wire| parts(wire)) {
                written.entry(part).or_insert(self.seq);
            }
            self.changes.entry(name).or_default().push(Capture {
                seq: self.seq,
                value: change.value.clone(),
                existed: change.existed,
                user: user.clone(),
            });
            let row = self.rows.entry((change.table, change.row)).or_default();
            row.push((Rc::clone(&change.lid), self.seq));
        }
    }

    /// The latest change of a record; none where the app never changed it.
    pub(crate) fn latest(&self, name: &Name) -> Option<&Capture> {
        self.changes.get(name)?.last()
    }

    /// The change of a record with this number.
    pub(crate) fn change(&self, name: &Name, seq: u64) -> Option<&Capture> {
        self.changes.get(name)?.iter().find(|it| it.seq == seq)
    }

    /// Whether a change of a record needs nothing more: the server has it, or it was given up.
    pub(crate) fn is_settled(&self, name: &Name, seq: u64) -> bool {
        let given_up = self.given_up.get(name).copied().unwrap_or(0);
        self.done(name).max(given_up) >= seq
    }

    /// The change by which the app first stored this part of a value in a record.
    pub(crate) fn first(&self, name: &Name, part: &Part) -> Option<u64> {
        self.parts.get(name)?.get(part).copied()
    }

    /// The last change of a record that the server has; 0 for none.
    pub(crate) fn done(&self, name: &Name) -> u64 {
        self.done.get(name).copied().unwrap_or(0)
    }

    /// The records that a log row says something of, with the last such change.
    pub(crate) fn of_row(&self, table: &str, row: u64) -> &[Said] {
        let key = (schema::table(table), row);
        self.rows.get(&key).map_or(&[][..], Vec::as_slice)
    }

    /// Notes what a transaction of the engine's has done.
    pub(super) fn stored(
        &mut self,
        (writes, pulled): (&[Write], &[PutPulled]),
        before: &Disk,
        after: &Disk,
    ) {
        for it in pulled.iter().filter(|it| schema::is_generated(&it.table)) {
            let (table, lid): (_, Rc<str>) = (schema::table(&it.table), it.lid.as_str().into());
            self.rids.insert((table, Rc::clone(&lid)), it.rid.clone());
            self.lids.insert((table, it.rid.clone()), lid);
        }
        for name in writes.iter().filter_map(given_up) {
            let latest = self.latest(&name).map_or(0, |latest| latest.seq);
            self.given_up.insert(name, latest);
        }
        let consumed = self.consumed(before, after);
        self.note_staged(&consumed, before, after);
        for (name, seq) in consumed {
            let taken = self.taken.entry(name).or_insert(0);
            *taken = (*taken).max(seq);
        }
        self.note_added(before, after);
    }

    /// Notes operations that a transaction has staged.
    fn note_staged(&mut self, consumed: &BTreeMap<Name, u64>, before: &Disk, after: &Disk) {
        if Rc::ptr_eq(&before.staged, &after.staged) {
            return;
        }
        let texts = after.staged.values().flat_map(|batch| &batch.texts);
        let new: Vec<Rc<str>> = texts
            .filter(|text| !self.ops.contains_key(op_id(text)))
            .cloned()
            .collect();
        for text in new {
            match serde_json::from_str::<Op>(&text) {
                Ok(op) => self.staged(op, consumed, before, after),
                Err(error) => self.unread = Some(format!("{text} cannot be read: {error}")),
            }
        }
    }

    /// Notes log rows that the engine has added.
    fn note_added(&mut self, before: &Disk, after: &Disk) {
        for (was, is) in before.tables.iter().zip(&after.tables) {
            if Rc::ptr_eq(was, is) {
                continue;
            }
            let table = schema::table(&was.name);
            let new = is.log.iter().filter(|(row, _)| !was.log.contains_key(row));
            for (row, entry) in new {
                let lids = entry.ops.iter().filter_map(Logged::lid);
                let named: Vec<Said> = lids
                    .map(|lid| {
                        let latest = self.latest(&(table, Rc::clone(lid)));
                        (Rc::clone(lid), latest.map_or(0, |latest| latest.seq))
                    })
                    .collect();
                self.rows.insert((table, *row), named);
                self.added.insert((table, *row));
            }
        }
    }

    /// The last change of each record that is in no log row any more.
    pub(crate) fn consumed(&self, before: &Disk, after: &Disk) -> BTreeMap<Name, u64> {
        let mut consumed = BTreeMap::new();
        for (was, is) in before.tables.iter().zip(&after.tables) {
            if Rc::ptr_eq(was, is) {
                continue;
            }
            let table = schema::table(&was.name);
            for row in was.log.keys().filter(|row| !is.log.contains_key(row)) {
                for (lid, seq) in self.of_row(table, *row) {
                    let last = consumed.entry((table, Rc::clone(lid))).or_insert(0);
                    *last = (*last).max(*seq);
                }
            }
        }
        consumed
    }

    fn staged(&mut self, op: Op, consumed: &BTreeMap<Name, u64>, before: &Disk, after: &Disk) {
        let table = schema::table(&op.table);
        let lid = self.lid(&op, consumed, before);
        let name = (table, lid);
        let taken = self.taken.get(&name).copied().unwrap_or(0);
        let seq = consumed.get(&name).copied().unwrap_or(taken);
        // A value that was logged by key is looked for when it is staged: where the record is gone, its
        // removal is sent, which the log says only later.
        let is_gone = op.kind == OpKind::Delete && after.record(table, &name.1).is_none();
        let removal = self.latest(&name).filter(|_| is_gone);
        let removal = removal.map_or(0, |latest| latest.seq);
        let gone = before.table(table).log.keys();
        let gone = gone.filter(|row| !after.table(table).log.contains_key(row));
        let mut added = gone.filter(|row| self.added.contains(&(table, **row)));
        let is_added = added.any(|row| {
            let mut lids = self.of_row(table, *row).iter();
            lids.any(|(lid, _)| *lid == name.1)
        });
        let exact = !is_added && consumed.contains_key(&name);
        if schema::is_generated(table) {
            self.rids.insert(name.clone(), op.rid.clone());
            let rid = (table, op.rid.clone());
            self.lids.insert(rid, Rc::clone(&name.1));
        }
        let staged = StagedOp {
            name,
            seq,
            removal,
            exact,
            op: Rc::new(op),
        };
        self.ops.insert(staged.op.op.clone(), staged);
    }

    /// The local id of an operation's record. Where keys are generated and the operation is the
    /// first of its record, the value tells: every value is written once.
    fn lid(&self, op: &Op, consumed: &BTreeMap<Name, u64>, before: &Disk) -> Rc<str> {
        let table = schema::table(&op.table);
        if !schema::is_generated(table) {
            return op.rid.as_str().into();
        }
        if let Some(lid) = self.lids.get(&(table, op.rid.clone())) {
            return Rc::clone(lid);
        }
        let value = op.value.as_ref().map(|value| value.get());
        let is_it = |found: Option<&Value>| found.and_then(Value::wire).map(|it| &**it) == value;
        let logged = consumed.iter().find(|(name, seq)| {
            let capture = self.change(name, **seq);
            name.0 == table && is_it(capture.and_then(|it| it.value.as_ref()))
        });
        if let Some((name, _)) = logged {
            return Rc::clone(&name.1);
        }
        let stored: &Table = before.table(table);
        let record = stored.records.values().find(|it| is_it(Some(&it.value)));
        record.map_or_else(|| op.rid.as_str().into(), |record| Rc::clone(&record.lid))
    }

    /// The server has done operations of this device.
    pub(super) fn handled(&mut self, handled: &Handled) {
        if !handled.committed {
            return;
        }
        for (op, entry, _) in &handled.ops {
            let (Some(staged), true) = (self.ops.get(&op.op), is_done(entry.verdict)) else {
                continue;
            };
            let done = self.done.entry(staged.name.clone()).or_insert(0);
            *done = (*done).max(staged.seq);
            let removed = self.removed.entry(staged.name.clone()).or_insert(0);
            *removed = (*removed).max(staged.removal);
            let judged = self.judged.entry(staged.name.clone()).or_default();
            judged.extend(staged.parts());
        }
    }

    /// Whether the server was told that a record is gone, as it is since this change.
    pub(crate) fn is_removed(&self, name: &Name, seq: u64) -> bool {
        self.removed
            .get(name)
            .is_some_and(|removed| *removed >= seq)
    }

    /// Whether the server has decided on a part of a record's value: it took it, or another won.
    pub(crate) fn is_judged(&self, name: &Name, part: &Part) -> bool {
        let judged = self.judged.get(name);
        judged.is_some_and(|judged| judged.contains(part))
    }

    /// The device was told what became of operations.
    pub(super) fn answered(&mut self, outcome: &RequestOutcome) {
        let RequestOutcome::Answer {
            status: 200, body, ..
        } = outcome
        else {
            return;
        };
        let Ok(answer) = serde_json::from_str::<PushResponse>(body) else {
            return;
        };
        for entry in answer.verdicts {
            if !matches!(entry.verdict, Verdict::Retry | Verdict::Blocked) {
                self.verdicts.insert(entry.op, entry.verdict);
            }
        }
    }

    /// The name on the server of a record of this device, where it ever had one.
    pub(crate) fn rid<'a>(&'a self, name: &'a Name) -> Option<&'a str> {
        if !schema::is_generated(name.0) {
            return Some(&name.1);
        }
        self.rids.get(name).map(String::as_str)
    }
}

/// The record of a decision in which the local change was given up.
fn given_up(write: &Write) -> Option<Name> {
    let Write::PutHistory { entry } = write else {
        return None;
    };
    let (name, took) = decision(entry)?;
    (took != "local").then_some(name)
}

/// The record of a decision, and whose value it took.
pub(crate) fn decision(entry: &str) -> Option<(Name, String)> {
    let entry: serde_json::Value = serde_json::from_str(entry).ok()?;
    let (table, lid) = (entry["table"].as_str()?, entry["lid"].as_str()?);
    Some((
        (schema::table(table), lid.into()),
        entry["took"].as_str()?.to_owned(),
    ))
}

/// Whether the server has the operation.
pub(crate) fn is_done(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Applied | Verdict::Duplicate | Verdict::Merged
    )
}

/// The id of an operation, from its text as the engine writes it.
pub(crate) fn op_id(text: &str) -> &str {
    let id = text
        .strip_prefix("{\"op\":\"")
        .and_then(|rest| rest.split_once('"'));
    id.map_or(text, |(id, _)| id)
}
