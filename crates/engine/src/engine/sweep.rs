//! After a pull from scratch: records that the server was known to have and that did not come.

use crate::database::{Change, Database};
use crate::interface::{Effect, Now, PageId, Prepared, TableRow, Write};
use crate::meta::Sweep;
use crate::shadow::Entry;

use super::storage::damaged;
use super::{Engine, Step};

/// How many pages of the shadow are looked at in one transaction.
const PAGES: u32 = 4;

impl Engine {
    /// Begins the next part of a sweep that is due; false where none is.
    pub(super) fn sweep_next(&mut self) -> bool {
        let Some(database) = &self.database else {
            return false;
        };
        let sweep = database.meta.sweep.as_ref();
        let Some(sweep) = sweep.filter(|sweep| sweep.ready) else {
            return false;
        };
        let ids = part(database, sweep);
        let missing = database.missing_pages(ids.iter().cloned().collect());
        if missing.is_empty() {
            self.sweep(&ids);
        } else {
            let pages = missing.clone();
            self.ask(Step::Sweep(missing), |task| Effect::Prepare {
                task,
                slots: Vec::new(),
                records: Vec::new(),
                pages,
            });
        }
        true
    }

    pub(super) fn swept_pages(&mut self, ids: Vec<PageId>, prepared: &Prepared) {
        let Some(database) = self.database.as_mut() else {
            return;
        };
        if !database.keep_pages(ids, &prepared.pages) {
            self.storage_failed(&damaged());
        }
    }

    fn sweep(&mut self, ids: &[PageId]) {
        let Some(database) = &self.database else {
            return;
        };
        let Some(sweep) = database.meta.sweep.clone() else {
            return;
        };
        let mut change = Change::new(database);
        let covered = |id: &&PageId| sweep.covers(self.config.space(&id.table));
        for id in ids.iter().filter(covered) {
            sweep_page(database, &mut change, id, sweep.restored, self.now);
        }
        change.meta.sweep = next(database, sweep);
        self.commit(change);
    }
}

/// The tables that are swept, in order.
fn tables(database: &Database) -> impl Iterator<Item = &str> {
    database.tables.iter().map(|table| table.name.as_str())
}

/// The pages that come next.
fn part(database: &Database, sweep: &Sweep) -> Vec<PageId> {
    let table = current(database, sweep);
    let pages = table.map(|table| {
        let end = database.buckets(table).min(sweep.bucket + PAGES);
        let page = |bucket| PageId {
            table: table.to_owned(),
            bucket,
        };
        (sweep.bucket..end).map(page).collect()
    });
    pages.unwrap_or_default()
}

/// The table that is under way.
fn current<'a>(database: &'a Database, sweep: &Sweep) -> Option<&'a str> {
    if sweep.table.is_empty() {
        tables(database).next()
    } else {
        tables(database).find(|table| *table == sweep.table)
    }
}

/// Where to go on; none at the end.
fn next(database: &Database, sweep: Sweep) -> Option<Sweep> {
    let table = current(database, &sweep)?;
    let bucket = sweep.bucket + PAGES;
    if bucket < database.buckets(table) {
        return Some(Sweep {
            table: table.to_owned(),
            bucket,
            ..sweep
        });
    }
    let behind = tables(database).skip_while(|name| *name != table).nth(1)?;
    Some(Sweep {
        table: behind.to_owned(),
        bucket: 0,
        ..sweep
    })
}

fn sweep_page(database: &Database, change: &mut Change, id: &PageId, restored: bool, now: Now) {
    let owner = database.meta.owner.unwrap_or(0);
    let generation = database.meta.generation;
    let Some(page) = database.page(id) else {
        return;
    };
    let missed =
        |entry: &Entry| entry.owner == owner && entry.generation != generation && entry.version > 0;
    let lids: Vec<(String, bool)> = page
        .entries()
        .filter(|(_, entry)| missed(entry))
        .map(|(lid, entry)| (lid.clone(), entry.deleted))
        .collect();
    for (lid, deleted) in lids {
        let mark = database.id(&id.table, &lid);
        let pending = database.own.contains(mark)
            || database.others.contains(mark)
            || database.is_held(&id.table, &lid);
        let gone = !restored && !pending;
        if let Some(entry) = change.page_mut(database, id.clone(), &lid).get_mut(&lid) {
            entry.generation = generation;
            entry.stale.clear();
            if !deleted {
                entry.fields.clear();
                entry.deleted = gone;
                entry.version = u64::from(gone);
            }
        }
        if deleted || pending {
            continue;
        }
        if restored {
            change.append(database, owner, &id.table, &lid, now, false);
        } else {
            change.records.push(Write::DeleteRecord {
                table: id.table.clone(),
                lid,
            });
        }
    }
    let row = database.indexed_to.get(&id.table).copied().unwrap_or(0);
    change.tails.push(TableRow {
        table: id.table.clone(),
        row,
    });
}
