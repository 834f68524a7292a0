//! From the log to staged batches: reading, fetching values and pages, one transaction.

use crate::fold::Around;
use crate::interface::{Effect, LogChunk, Prepared, TableRow};
use crate::sorted::{SortedMap, SortedSet};
use crate::stage::{Makers, Stage};

use super::storage::damaged;
use super::{Engine, Step};

/// How many changes are folded at most for one transaction, in batches' sizes.
const FOLD_BATCHES_MAX: u64 = 16;

/// Most operations and bytes that are read and staged in one go while the app writes: its next write
/// waits for that.
const SHORT: (u32, u32) = (128, 32 * 1024);

/// The log being read and folded.
#[derive(Debug, Default)]
pub(super) struct Reading {
    stage: Stage,
    /// How far each table was read.
    to: SortedMap<String, u64>,
    /// The staged records of each table when the reading began.
    staged: SortedMap<String, SortedSet<String>>,
}

impl Engine {
    /// Begins to read the log where its owner's first row may be.
    pub(super) fn begin_stage(&mut self) {
        let Some(database) = &self.database else {
            return;
        };
        let reading = Reading {
            to: database.heads.clone(),
            staged: database.staged_lids(),
            ..Reading::default()
        };
        self.read_on(reading);
    }

    fn read_on(&mut self, reading: Reading) {
        let after = self.all_tables(&reading.to);
        self.read_log(Step::Read(reading), after);
    }

    /// Begins or continues to read the log for the counts.
    pub(super) fn read_index(&mut self) {
        let Some(database) = &self.database else {
            return;
        };
        let after = self.all_tables(&database.indexed_to);
        self.read_log(Step::Index, after);
    }

    fn all_tables(&self, rows: &SortedMap<String, u64>) -> Vec<TableRow> {
        let tables = self.database.iter().flat_map(|database| &database.tables);
        let after = tables.map(|table| TableRow {
            table: table.name.clone(),
            row: rows.get(&table.name).copied().unwrap_or(0),
        });
        after.collect()
    }

    pub(super) fn read_log(&mut self, step: Step, after: Vec<TableRow>) {
        let (ops_max, bytes_max) = self.portion();
        let values = matches!(step, Step::Read(_));
        self.ask(step, |task| Effect::ReadLog {
            task,
            after,
            bytes_max,
            ops_max,
            values,
        });
    }

    /// Most operations or records, and bytes, of one reading.
    pub(super) fn portion(&self) -> (u32, u32) {
        let (ops, bytes) = (self.config.batch_ops_max, self.config.chunk_bytes_max);
        if self.app_writes_beside() {
            (ops.min(SHORT.0), bytes.min(SHORT.1))
        } else {
            (ops, bytes)
        }
    }

    pub(super) fn log_read(&mut self, step: Step, chunk: LogChunk) {
        let end = chunk.end || chunk.rows.is_empty();
        match step {
            Step::Index => {
                self.index(&chunk);
                if let Some(database) = self.database.as_mut().filter(|_| end) {
                    self.moved = false;
                    database.indexed = true;
                    database.own.end_reading();
                    database.others.end_reading();
                }
            }
            Step::ScanLog(scanning) => {
                self.index(&chunk);
                self.scan_log_read(scanning, end);
            }
            Step::References(stage) => {
                self.index(&chunk);
                self.references_checked(stage, end);
            }
            Step::Read(reading) => self.fold(reading, chunk, end),
            Step::Load
            | Step::Prepare(_)
            | Step::Commit(_)
            | Step::Scan(_)
            | Step::Push { .. }
            | Step::Pages(_)
            | Step::Pull { .. }
            | Step::Names(_)
            | Step::Reserve(..)
            | Step::Local(_)
            | Step::Decide(_)
            | Step::Sweep(_) => {}
        }
    }

    /// Notes rows that were read, for the counts.
    pub(super) fn index(&mut self, chunk: &LogChunk) {
        let Some(database) = self.database.as_mut() else {
            return;
        };
        for row in &chunk.rows {
            let own = database.is_own(&row.user, self.config.adopt_anonymous);
            database.index_row(row, own);
        }
    }

    fn fold(&mut self, mut reading: Reading, chunk: LogChunk, end: bool) {
        self.index(&chunk);
        let short = self.app_writes_beside();
        let Some(database) = self.database.as_mut() else {
            return;
        };
        for row in chunk.rows {
            reading.to.insert(row.table.clone(), row.row);
            let own = database.is_own(&row.user, self.config.adopt_anonymous);
            let staged = reading.staged.get(&row.table);
            reading.stage.fold.add(row, Around { staged, own });
        }
        let fold = &reading.stage.fold;
        let ops_max = self.config.batch_ops_max;
        let full = fold.records >= ops_max as usize
            || fold.bytes >= u64::from(self.config.batch_bytes_max)
            || fold.order >= u64::from(ops_max) * FOLD_BATCHES_MAX
            || (short && fold.took_any());
        if !end && !full {
            return self.read_on(reading);
        }
        if end {
            database.own.end_reading();
            database.others.end_reading();
        }
        let took = fold.took_any();
        if let Some(run) = &mut self.run {
            run.left = fold.left_any();
            run.drained = !took || (end && !run.left);
            run.must_stage &= !run.drained;
        }
        if took {
            self.prepare(reading.stage);
        } else {
            let heads = fold
                .tables
                .iter()
                .map(|(table, fold)| (table.clone(), fold.head));
            database.heads.extend(heads.filter(|(_, head)| *head > 0));
        }
    }

    pub(super) fn prepare(&mut self, mut stage: Stage) {
        let Some(database) = &self.database else {
            return;
        };
        stage.ask(database, &mut self.rng);
        let (slots, pages) = (stage.slots.clone(), stage.pages.clone());
        let step = Step::Prepare(Box::new(stage));
        self.ask(step, |task| Effect::Prepare {
            task,
            slots,
            records: Vec::new(),
            pages,
        });
    }

    /// Rows that a record read by reference may have seen are known before it is staged: it may
    /// be another user's by now.
    fn references_checked(&mut self, stage: Box<(Stage, Prepared)>, end: bool) {
        if end {
            let (stage, prepared) = *stage;
            return self.staged(stage, &prepared);
        }
        let Some(database) = &self.database else {
            return;
        };
        let after = self.all_tables(&database.indexed_to);
        self.read_log(Step::References(stage), after);
    }

    pub(super) fn prepared(&mut self, step: Step, prepared: Prepared) {
        match step {
            Step::Prepare(stage) => {
                let Some(stage) = self.with_parents(stage, &prepared) else {
                    return;
                };
                let end = !stage.has_references();
                self.references_checked(Box::new((*stage, prepared)), end);
            }
            Step::Pages(mut settling) => {
                let ids = std::mem::take(&mut settling.pages);
                let Some(database) = self.database.as_mut() else {
                    return;
                };
                if database.keep_pages(ids, &prepared.pages) {
                    self.settle(settling);
                } else {
                    self.storage_failed(&damaged());
                }
            }
            Step::Names(applying) => self.named(applying, &prepared),
            Step::Local(applying) => self.take_records(applying, &prepared),
            Step::Decide(deciding) => self.fetched_for(deciding, &prepared),
            Step::Sweep(ids) => self.swept_pages(ids, &prepared),
            Step::Load
            | Step::Index
            | Step::Read(_)
            | Step::References(_)
            | Step::Commit(_)
            | Step::Scan(_)
            | Step::ScanLog(_)
            | Step::Push { .. }
            | Step::Pull { .. }
            | Step::Reserve(..) => {}
        }
    }

    /// Fetches what is missing of the parents of what is staged; gives the stage back where nothing
    /// is.
    fn with_parents(&mut self, mut stage: Box<Stage>, prepared: &Prepared) -> Option<Box<Stage>> {
        let database = self.database.as_mut()?;
        let ids = std::mem::take(&mut stage.pages);
        if !database.keep_pages(ids, &prepared.pages) {
            self.storage_failed(&damaged());
            return None;
        }
        if !stage.ask_parents(database, prepared, &self.config, &mut self.rng) {
            return Some(stage);
        }
        let (slots, pages) = (stage.slots.clone(), stage.pages.clone());
        self.ask(Step::Prepare(stage), |task| Effect::Prepare {
            task,
            slots,
            records: Vec::new(),
            pages,
        });
        None
    }

    fn staged(&mut self, mut stage: Stage, prepared: &Prepared) {
        let Some(database) = self.database.as_mut() else {
            return;
        };
        let mut makers = Makers {
            config: &self.config,
            ids: &mut self.ids,
            now: self.now,
        };
        let scanned = stage.scanned.take();
        let mut change = stage.change(database, prepared, &mut makers);
        if let Some(run) = &mut self.run {
            run.held += change.held.len() as u64;
        }
        if let Some((table, mark)) = scanned {
            change.meta.tables.get_or_default(table).scan = mark;
        }
        if change.is_empty(database) {
            change.apply(database);
        } else {
            self.commit(change);
        }
    }
}
