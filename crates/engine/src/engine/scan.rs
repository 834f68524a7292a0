//! Scans: page by page through a table, for records that the server is not known to have. A scan
//! only ever adds.

use crate::fold::Latest;
use crate::interface::{Effect, ScanPage, TableRow};
use crate::meta::ScanMark;
use crate::stage::Stage;

use super::{Engine, Step};

/// A page of a scan on its way.
#[derive(Debug, Clone)]
pub(super) struct Scanning {
    table: String,
    /// Whether this is the scan of what was there before the database was attached.
    first: bool,
    page: Option<ScanPage>,
}

/// A backup's way through the tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Backup {
    /// The tables that are left, the next one last.
    pub(super) tables: Vec<String>,
    pub(super) after: Option<String>,
}

impl Engine {
    /// Begins the next page of a scan that is due; false where none is.
    pub(super) fn scan_next(&mut self) -> bool {
        let Some((table, after, first)) = self.next_page() else {
            return false;
        };
        let scanning = Scanning {
            table: table.clone(),
            first,
            page: None,
        };
        let (records_max, bytes_max) = self.portion();
        self.ask(Step::Scan(scanning), |task| Effect::Scan {
            task,
            table,
            after,
            records_max,
            bytes_max,
        });
        true
    }

    fn next_page(&self) -> Option<(String, Option<String>, bool)> {
        if let Some(backup) = self.run.as_ref().and_then(|run| run.backup.as_ref()) {
            let table = backup.tables.last()?.clone();
            return Some((table, backup.after.clone(), false));
        }
        let (table, mark) = self.first_scan()?;
        let after = match mark {
            ScanMark::After(lid) => Some(lid.clone()),
            ScanMark::New | ScanMark::Done => None,
        };
        Some((table.to_owned(), after, true))
    }

    /// The table whose first scan is due. It is the first owner's, and begins while nobody else's
    /// data can be here.
    pub(super) fn first_scan(&self) -> Option<(&str, &ScanMark)> {
        let meta = &self.database.as_ref()?.meta;
        if meta.owner != Some(0) {
            return None;
        }
        let tables = self.database.iter().flat_map(|database| &database.tables);
        let marks = tables
            .filter_map(|table| Some((table.name.as_str(), &meta.tables.get(&table.name)?.scan)));
        let alone = meta.owners.len() == 1;
        marks.into_iter().find(|(_, mark)| match mark {
            ScanMark::New => alone,
            ScanMark::After(_) => true,
            ScanMark::Done => false,
        })
    }

    pub(super) fn scanned(&mut self, step: Step, page: ScanPage) {
        let Step::Scan(mut scanning) = step else {
            return;
        };
        self.index(&page.log);
        let end = page.log.end;
        scanning.page = Some(page);
        self.scan_log_read(scanning, end);
    }

    /// Rows of the log that the page may have seen are known before it is staged: what they touch
    /// goes its own way, under the name of whoever wrote it.
    pub(super) fn scan_log_read(&mut self, scanning: Scanning, end: bool) {
        let Some(database) = &self.database else {
            return;
        };
        if !end {
            let row = database
                .indexed_to
                .get(&scanning.table)
                .copied()
                .unwrap_or(0);
            let after = vec![TableRow {
                table: scanning.table.clone(),
                row,
            }];
            return self.read_log(Step::ScanLog(scanning), after);
        }
        let Scanning { table, first, page } = scanning;
        let Some(page) = page else { return };
        let last = page.records.last().map(|record| record.lid.clone());
        let at_ms = self.now.wall_ms;
        let looked_at = page.records.len() as u64;
        let untouched = page.records.into_iter().filter(|record| {
            let id = database.id(&table, &record.lid);
            let held = database.is_held_of_another(&table, &record.lid);
            !held && !database.own.contains(id) && !database.others.contains(id)
        });
        let found = untouched.map(|record| {
            let latest = Latest {
                value: Some((record.slot, record.bytes)),
                ..Latest::removed(at_ms, 0)
            };
            (table.clone(), record.lid, latest)
        });
        let mut stage = Stage {
            found: found.collect(),
            ..Stage::default()
        };
        stage.unclaimed = first || database.meta.owners.len() == 1;
        let done = page.end;
        self.note_progress(&table, looked_at, page.total);
        if let Some(run) = &mut self.run {
            run.held += page.left_out;
        }
        // An empty page that is not the end moves nothing: the same is asked for again.
        let mark = if done {
            Some(ScanMark::Done)
        } else {
            last.clone().map(ScanMark::After)
        };
        if first {
            stage.scanned = mark.map(|mark| (table, mark));
        } else if let Some(backup) = self.run.as_mut().and_then(|run| run.backup.as_mut()) {
            if done {
                backup.after = None;
                backup.tables.pop();
            } else {
                backup.after = last.or_else(|| backup.after.take());
            }
        }
        self.prepare(stage);
    }

    fn note_progress(&mut self, table: &str, looked_at: u64, total: u64) {
        let Some(run) = &mut self.run else { return };
        run.totals.insert(table.to_owned(), total);
        run.looked_at += looked_at;
    }
}
