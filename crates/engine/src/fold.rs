//! Folds log rows to the latest change of each record.
//!
//! Rows are taken whole. A row stays in the log, and with it every later row of its records, where
//! one of its records is staged now: at most one operation per record is under way. A row that
//! removes a range is taken alone for its table, when nothing of the table is staged: what it
//! removes must be known.

use tidesync_protocol::key::Key;

use crate::index;
use crate::interface::{LogOp, LogRow, Slot};
use crate::sorted::{SortedMap, SortedSet};

/// The latest change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Latest {
    /// What it became; none for removed.
    pub(crate) value: Option<(Slot, u32)>,
    /// The row, where only the key was logged: the value is what the record became since.
    pub(crate) reference: Option<u64>,
    /// When, by the device's wall clock.
    pub(crate) at_ms: u64,
    /// How many changes it stands for.
    pub(crate) changes: u32,
    /// Its place in the order in which changes were made.
    pub(crate) order: u64,
}

impl Latest {
    /// The record was removed.
    pub(crate) fn removed(at_ms: u64, order: u64) -> Self {
        Self {
            value: None,
            reference: None,
            at_ms,
            changes: 1,
            order,
        }
    }
}

/// A row that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) row: u64,
    pub(crate) changes: u64,
    pub(crate) lids: Vec<String>,
    /// Whether it removes records that it does not name.
    pub(crate) wide: bool,
}

/// A range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    lower: Option<(Key, bool)>,
    upper: Option<(Key, bool)>,
}

impl Span {
    /// Whether the record with this local id is within. What is not a key is in no range but the
    /// whole.
    pub(crate) fn contains(&self, lid: &str) -> bool {
        if self.lower.is_none() && self.upper.is_none() {
            return true;
        }
        let Ok(key) = Key::of_text(lid) else {
            return false;
        };
        let above =
            self.lower.as_ref().is_none_or(
                |(bound, open)| {
                    if *open { key > *bound } else { key >= *bound }
                },
            );
        let below =
            self.upper.as_ref().is_none_or(
                |(bound, open)| {
                    if *open { key < *bound } else { key <= *bound }
                },
            );
        above && below
    }
}

/// A taken row that removes ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wide {
    pub(crate) spans: Vec<Span>,
    pub(crate) at_ms: u64,
}

/// What was folded of one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableFold {
    pub(crate) records: SortedMap<String, Latest>,
    pub(crate) taken: Vec<Taken>,
    pub(crate) wide: Option<Wide>,
    /// Records of rows that stay.
    blocked: SortedSet<String>,
    /// Nothing behind this point can be taken.
    cut: bool,
    /// Every own row up to here was taken.
    pub(crate) head: u64,
    stuck: bool,
}

/// What was folded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fold {
    pub(crate) tables: SortedMap<String, TableFold>,
    pub(crate) records: usize,
    /// About how many bytes the values of all taken changes have.
    pub(crate) bytes: u64,
    /// How many changes were taken.
    pub(crate) order: u64,
}

/// What the fold must know of a row's surroundings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    /// Local ids of the table that are staged now.
    pub(crate) staged: Option<&'a SortedSet<String>>,
    /// Whether the row's changes are the current owner's.
    pub(crate) own: bool,
}

impl Fold {
    /// Takes a row, or leaves it. Rows of a table come in row order.
    pub(crate) fn add(&mut self, row: LogRow, around: Around<'_>) {
        let table = self.tables.get_or_default(row.table.clone());
        if !around.own {
            if !table.stuck {
                table.head = row.row;
            }
            return;
        }
        if table.refuses(&row, around.staged) {
            table.stuck = true;
            table.blocked.extend(index::lids(&row).map(str::to_owned));
            return;
        }
        if !table.stuck {
            table.head = row.row;
        }
        let records = table.records.len();
        let bytes = table.take(row, &mut self.order);
        self.bytes = self.bytes.saturating_add(bytes);
        self.records += table.records.len() - records;
    }

    /// Whether rows were taken of any table.
    pub(crate) fn took_any(&self) -> bool {
        self.tables.values().any(|table| !table.taken.is_empty())
    }

    /// Whether a row was left that can be taken once what is staged now is settled.
    pub(crate) fn left_any(&self) -> bool {
        self.tables.values().any(|table| table.stuck || table.cut)
    }
}

impl TableFold {
    fn refuses(&mut self, row: &LogRow, staged: Option<&SortedSet<String>>) -> bool {
        if self.cut {
            return true;
        }
        if index::is_wide(row) {
            let busy = staged.is_some_and(|lids| !lids.is_empty());
            self.cut = busy || self.stuck || !self.taken.is_empty();
            return self.cut;
        }
        index::lids(row)
            .any(|lid| self.blocked.contains(lid) || staged.is_some_and(|lids| lids.contains(lid)))
    }

    /// Gives about how many bytes the row's values have.
    fn take(&mut self, row: LogRow, order: &mut u64) -> u64 {
        self.taken.push(Taken {
            row: row.row,
            changes: row.ops.len() as u64,
            lids: index::lids(&row).map(str::to_owned).collect(),
            wide: index::is_wide(&row),
        });
        let (number, at_ms) = (row.row, row.at_ms);
        let mut bytes = 0;
        if index::is_wide(&row) {
            self.wide = Some(Wide {
                spans: Vec::new(),
                at_ms,
            });
            self.cut = true;
        }
        for op in row.ops {
            *order += 1;
            match op {
                LogOp::Put {
                    lid,
                    slot,
                    bytes: size,
                    reference,
                } => {
                    bytes += u64::from(size);
                    let latest = Latest {
                        value: Some((slot, size)),
                        reference: reference.then_some(number),
                        ..Latest::removed(at_ms, *order)
                    };
                    self.change(lid, latest);
                }
                LogOp::Delete { lid } => self.change(lid, Latest::removed(at_ms, *order)),
                LogOp::DeleteRange {
                    lower,
                    upper,
                    lower_open,
                    upper_open,
                } => {
                    // A bound that is no key cannot have removed anything.
                    let lower = bound(lower, lower_open);
                    let upper = bound(upper, upper_open);
                    if let (Ok(lower), Ok(upper)) = (lower, upper) {
                        self.remove(Span { lower, upper }, at_ms, *order);
                    }
                }
                LogOp::Clear => self.remove(
                    Span {
                        lower: None,
                        upper: None,
                    },
                    at_ms,
                    *order,
                ),
            }
        }
        bytes
    }

    fn change(&mut self, lid: String, latest: Latest) {
        let before = self.records.get(&lid).map_or(0, |latest| latest.changes);
        let changes = before + latest.changes;
        self.records.insert(lid, Latest { changes, ..latest });
    }

    fn remove(&mut self, span: Span, at_ms: u64, order: u64) {
        for (lid, latest) in self.records.iter_mut() {
            if latest.value.is_some() && span.contains(lid) {
                let changes = latest.changes;
                *latest = Latest {
                    changes,
                    ..Latest::removed(at_ms, order)
                };
            }
        }
        if let Some(wide) = &mut self.wide {
            wide.spans.push(span);
        }
    }
}

fn bound(text: Option<String>, open: bool) -> Result<Option<(Key, bool)>, ()> {
    match text {
        None => Ok(None),
        Some(text) => Key::of_text(&text)
            .map(|key| Some((key, open)))
            .map_err(|_| ()),
    }
}
