//! Which records have changes that the server has not confirmed: the counts that a status shows.
//!
//! The log is the truth. Hints of other tabs fill in what has not been read yet; reading the log to
//! its end replaces them.

use crate::interface::{LogOp, LogRow};
use crate::sorted::SortedMap;

/// A record, by a hash of its table's place and its local id.
pub(crate) type Id = u64;

/// What of a record waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    No,
    /// A change is in the log.
    Captured,
    /// Its only change is staged.
    Staged,
}

/// There may be hundreds of thousands: each byte counts.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    /// The last log row that names it; 0 for none.
    row: u64,
    /// Hints that arrived before the last complete reading of the log began, and since.
    hints: [u16; 2],
    staged: bool,
}

const _: () = assert!(size_of::<(Id, Marks)>() == 24);

impl Marks {
    fn is_empty(self) -> bool {
        self.row == 0 && self.hints == [0, 0] && !self.staged
    }
}

/// Records with marks, in parts by the hash that each id holds: there may be hundreds of thousands,
/// too many for one sorted list.
#[derive(Debug, Clone)]
struct Records {
    parts: Vec<SortedMap<Id, Marks>>,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| SortedMap::default()).collect(),
        }
    }
}

const PARTS: usize = 1024;

impl Records {
    fn get(&self, id: Id) -> Option<&Marks> {
        self.parts[part(id)].get(&id)
    }

    fn get_mut(&mut self, id: Id) -> Option<&mut Marks> {
        self.parts[part(id)].get_mut(&id)
    }

    fn get_or_default(&mut self, id: Id) -> &mut Marks {
        self.parts[part(id)].get_or_default(id)
    }

    fn remove(&mut self, id: Id) {
        self.parts[part(id)].remove(&id);
    }

    fn len(&self) -> usize {
        self.parts.iter().map(SortedMap::len).sum()
    }

    /// Changes all marks, and drops the records that have none left.
    fn change_all(&mut self, by: impl Fn(&mut Marks)) {
        for part in &mut self.parts {
            part.retain(|marks| {
                by(marks);
                !marks.is_empty()
            });
        }
    }
}

fn part(id: Id) -> usize {
    id as usize % PARTS
}

/// The changes of one side: the owner's, or everybody else's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    records: Records,
    /// Operations in log rows that were read and not consumed.
    logged: u64,
    hinted: [u64; 2],
}

impl Index {
    /// Distinct records.
    pub(crate) fn records(&self) -> u64 {
        self.records.len() as u64
    }

    /// Changes that are not staged.
    pub(crate) fn changes(&self) -> u64 {
        self.logged + self.hinted[0] + self.hinted[1]
    }

    /// Whether there are hints that a reading that has begun will cover.
    pub(crate) fn is_hinted(&self) -> bool {
        self.hinted[0] > 0
    }

    /// Whether there are hints of what was not read.
    pub(crate) fn has_hints(&self) -> bool {
        self.hinted != [0, 0]
    }

    /// Whether a record has any mark.
    pub(crate) fn contains(&self, id: Id) -> bool {
        self.records.get(id).is_some()
    }

    /// What of a record waits.
    pub(crate) fn progress(&self, id: Id) -> Waiting {
        match self.records.get(id) {
            Some(marks) if marks.row > 0 || marks.hints != [0, 0] => Waiting::Captured,
            Some(marks) if marks.staged => Waiting::Staged,
            _ => Waiting::No,
        }
    }

    /// Whether a record was changed by a row behind `row`, or by one whose place is not known.
    pub(crate) fn is_changed_after(&self, id: Id, row: u64) -> bool {
        let marks = self.records.get(id);
        marks.is_some_and(|marks| marks.row > row || marks.hints != [0, 0] || marks.staged)
    }

    /// A transaction has committed with these changes.
    pub(crate) fn hint(&mut self, ids: impl Iterator<Item = Id>) {
        for id in ids {
            let hints = &mut self.records.get_or_default(id).hints;
            // Of a record that was changed more often than fits, no more are counted.
            if hints[0].saturating_add(hints[1]) < u16::MAX {
                hints[1] += 1;
                self.hinted[1] += 1;
            }
        }
    }

    /// A log row was read for the first time.
    pub(crate) fn read(&mut self, row: u64, changes: u64, ids: impl Iterator<Item = Id>) {
        self.logged += changes;
        for id in ids {
            let marks = self.records.get_or_default(id);
            marks.row = marks.row.max(row);
            for side in [0, 1] {
                if marks.hints[side] > 0 {
                    marks.hints[side] -= 1;
                    self.hinted[side] -= 1;
                    break;
                }
            }
        }
    }

    /// A log row that was read is gone.
    pub(crate) fn consume(&mut self, row: u64, changes: u64, ids: impl Iterator<Item = Id>) {
        self.logged = self.logged.saturating_sub(changes);
        for id in ids {
            self.change(id, |marks| {
                if marks.row == row {
                    marks.row = 0;
                }
            });
        }
    }

    pub(crate) fn stage(&mut self, id: Id) {
        self.records.get_or_default(id).staged = true;
    }

    pub(crate) fn settle(&mut self, id: Id) {
        self.change(id, |marks| marks.staged = false);
    }

    fn change(&mut self, id: Id, by: impl FnOnce(&mut Marks)) {
        if let Some(marks) = self.records.get_mut(id) {
            by(marks);
            if marks.is_empty() {
                self.records.remove(id);
            }
        }
    }

    /// A reading of the whole log begins: it will cover every hint so far.
    pub(crate) fn begin_reading(&mut self) {
        if self.hinted[1] == 0 {
            return;
        }
        self.hinted = [self.hinted[0] + self.hinted[1], 0];
        self.records
            .change_all(|marks| marks.hints = [marks.hints[0] + marks.hints[1], 0]);
    }

    /// The reading has come to the log's end: what it covered and did not find is staged or gone.
    pub(crate) fn end_reading(&mut self) {
        if self.hinted[0] == 0 {
            return;
        }
        self.hinted[0] = 0;
        self.records.change_all(|marks| marks.hints[0] = 0);
    }
}

/// The records that a log row names.
pub(crate) fn lids(row: &LogRow) -> impl Iterator<Item = &str> {
    row.ops.iter().filter_map(|op| match op {
        LogOp::Put { lid, .. } | LogOp::Delete { lid } => Some(lid.as_str()),
        LogOp::DeleteRange { .. } | LogOp::Clear => None,
    })
}

/// Whether a row removes records that it does not name.
pub(crate) fn is_wide(row: &LogRow) -> bool {
    row.ops
        .iter()
        .any(|op| matches!(op, LogOp::DeleteRange { .. } | LogOp::Clear))
}
