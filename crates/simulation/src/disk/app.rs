//! The app's transactions, with the log rows that capture writes beside them.

use std::rc::Rc;

use tidesync_engine::interface::RowUser;

use super::{Disk, LogEntry, Logged, Record, Table, Value, key};
use crate::schema;

/// What the app does to one table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AppOp {
    /// Under a key of the app's.
    Put(Rc<str>, Value),
    /// The same, logged by key alone: a large value.
    PutLarge(Rc<str>, Value),
    /// Under a key that the database generates.
    Add(Value),
    Delete(Rc<str>),
    DeleteRange(Bounds),
    Clear,
}

/// A range of keys, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) lower: Rc<str>,
    pub(crate) upper: Rc<str>,
}

/// What a transaction did to one record, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) table: &'static str,
    pub(crate) lid: Rc<str>,
    /// What it became; none for removed.
    pub(crate) value: Option<Value>,
    /// It was there before.
    pub(crate) existed: bool,
    /// The log row that must say so.
    pub(crate) row: u64,
}

/// What other tabs are told of a committed transaction, for each table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) table: String,
    pub(crate) lids: Vec<String>,
}

impl Disk {
    /// One transaction of the app on one or several tables. `rows` is how many log rows capture
    /// makes for each table at most: the first write's, and of what was gathered since.
    pub(crate) fn write(
        &mut self,
        ops: &[(String, AppOp)],
        user: &RowUser,
        at_ms: u64,
        rows: usize,
    ) -> (Vec<Hint>, Vec<Change>) {
        let (mut hints, mut changes) = (Vec::new(), Vec::new());
        let mut names: Vec<&String> = ops.iter().map(|(table, _)| table).collect();
        names.sort();
        names.dedup();
        for name in names {
            let table = self.table_mut(name);
            let own: Vec<&AppOp> = ops
                .iter()
                .filter_map(|(of, op)| (of == name).then_some(op))
                .collect();
            let mut lids = Vec::new();
            for part in own.chunks(own.len().div_ceil(rows.max(1))) {
                let row = table.rows + 1;
                let logged = part.iter().map(|op| table.apply(op, row, &mut changes));
                let logged: Vec<Logged> = logged.collect();
                // What removes records without naming them has no name.
                let named = logged.iter().map(Logged::lid);
                lids.extend(named.map(|lid| lid.map_or_else(String::new, |lid| lid.to_string())));
                table.append(LogEntry {
                    user: user.clone(),
                    at_ms,
                    ops: logged,
                });
            }
            hints.push(Hint {
                table: name.clone(),
                lids,
            });
        }
        (hints, changes)
    }

    /// What was there before capture was: no log row.
    pub(crate) fn seed(&mut self, table: &str, op: &AppOp) {
        self.table_mut(table).apply(op, 0, &mut Vec::new());
    }
}

impl Table {
    /// Does it, notes what it did to records, and gives what capture logs of it.
    fn apply(&mut self, op: &AppOp, row: u64, changes: &mut Vec<Change>) -> Logged {
        let table = schema::table(&self.name);
        let known = |lid: &Rc<str>| self.records.contains_key(&key(lid));
        let existed = match op {
            AppOp::Put(lid, _) | AppOp::PutLarge(lid, _) | AppOp::Delete(lid) => known(lid),
            AppOp::Add(_) => false,
            AppOp::DeleteRange(_) | AppOp::Clear => true,
        };
        let mut note = |lid: &Rc<str>, value: Option<&Value>| {
            changes.push(Change {
                existed,
                table,
                lid: Rc::clone(lid),
                value: value.cloned(),
                row,
            });
        };
        match op {
            AppOp::Put(lid, value) => {
                note(lid, Some(value));
                self.put(lid, value);
                Logged::Put(Rc::clone(lid), value.clone())
            }
            AppOp::PutLarge(lid, value) => {
                note(lid, Some(value));
                self.put(lid, value);
                Logged::PutReference(Rc::clone(lid))
            }
            AppOp::Add(value) => {
                let lid: Rc<str> = format!("n{}", self.keys + 1).into();
                note(&lid, Some(value));
                self.put(&lid, value);
                Logged::Put(lid, value.clone())
            }
            AppOp::Delete(lid) => {
                note(lid, None);
                self.records.remove(&key(lid));
                Logged::Delete(Rc::clone(lid))
            }
            AppOp::DeleteRange(bounds) => {
                let range = key(&bounds.lower)..=key(&bounds.upper);
                let gone = self.records.extract_if(range, |_, _| true);
                gone.for_each(|(_, record)| note(&record.lid, None));
                Logged::DeleteRange(bounds.clone())
            }
            AppOp::Clear => {
                let gone = std::mem::take(&mut self.records);
                gone.values().for_each(|record| note(&record.lid, None));
                Logged::Clear
            }
        }
    }

    pub(super) fn put(&mut self, lid: &Rc<str>, value: &Value) {
        let record = Record {
            lid: Rc::clone(lid),
            value: value.clone(),
        };
        self.records.insert(key(lid), record);
        let number = lid.strip_prefix('n').and_then(|digits| digits.parse().ok());
        if let Some(number) = number.filter(|_| self.generated) {
            self.keys = self.keys.max(number);
        }
    }
}

impl Logged {
    /// The record, where the operation names one.
    pub(crate) fn lid(&self) -> Option<&Rc<str>> {
        match self {
            Self::Put(lid, _) | Self::PutReference(lid) | Self::Delete(lid) => Some(lid),
            Self::DeleteRange(_) | Self::Clear => None,
        }
    }

    /// Whether the operation says something of this record.
    pub(crate) fn concerns(&self, lid: &str) -> bool {
        match self {
            Self::Put(..) | Self::PutReference(_) | Self::Delete(_) => {
                self.lid().is_some_and(|named| **named == *lid)
            }
            Self::DeleteRange(bounds) => bounds.contain(lid),
            Self::Clear => true,
        }
    }
}

impl Bounds {
    fn contain(&self, lid: &str) -> bool {
        (key(&self.lower)..=key(&self.upper)).contains(&key(lid))
    }
}
