//! What the engine knows of the database, and the one way in which that changes: a [`Change`] is
//! worked out, written in one transaction, and applied to memory after it is durable.

use siphasher::sip::SipHasher24;

use crate::fold::Taken;
use crate::index::{self, Id, Index};
use crate::interface::{HeldNotice, LogRow, Now, PageId, RowUser, Table, TableRow, Text, Write};
use crate::meta::{Counts, Meta, ScanMark};
use crate::resolve::Decision;
use crate::shadow::{self, Entry, Names, Page, Stored};
use crate::sorted::{SortedMap, SortedSet};
use crate::staged::{Batch, Held};

/// How many pages one change may split.
const SPLITS_MAX: u32 = 4;

/// Sets records of different tables with the same key apart.
const TABLE_MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// How many bytes of pages are kept in memory between steps.
const CACHE_BYTES_MAX: u64 = 1024 * 1024;

/// The family of pages that say what the server's records of a table are called here. No store of
/// an app is called so: the first character is a control character of ours.
fn aliases_of(table: &str) -> String {
    ["\u{1}", table].concat()
}

/// What a change makes of a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    /// Entries that take the place of those that are there, or the whole page.
    page: Page,
    whole: bool,
    /// The part as it is stored.
    bytes: Vec<u8>,
    /// How many bytes the page has with it, once that was counted.
    size: Option<u64>,
}

/// What the engine knows of the database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) fence: u64,
    pub(crate) meta: Meta,
    pub(crate) tables: Vec<Table>,
    pub(crate) staged: SortedMap<u64, Batch>,
    pub(crate) held: SortedMap<String, Held>,
    /// The current owner's changes, and everybody else's.
    pub(crate) own: Index,
    pub(crate) others: Index,
    /// Whether the indexes cover the whole log.
    pub(crate) indexed: bool,
    /// The last row of each table that the indexes cover.
    pub(crate) indexed_to: SortedMap<String, u64>,
    /// Every row of the owner's up to here is gone from the log.
    pub(crate) heads: SortedMap<String, u64>,
    /// Rows that remove ranges and are staged in portions: the row, and the bucket to go on with.
    pub(crate) portions: SortedMap<String, (u64, u32)>,
    pages: SortedMap<PageId, Stored>,
    /// Of pages that were in memory and are not now: a mark of each record.
    outlines: SortedMap<PageId, Vec<u32>>,
    next_batch: u64,
    hasher: SipHasher24,
}

impl Database {
    pub(crate) fn new(
        fence: u64,
        meta: Meta,
        tables: Vec<Table>,
        staged: Vec<Batch>,
        held: Vec<Held>,
    ) -> Self {
        let next_batch = staged.iter().map(|batch| batch.number).max().unwrap_or(0) + 1;
        let mut database = Self {
            hasher: SipHasher24::new_with_key(&meta.hash_key()),
            fence,
            meta,
            indexed: false,
            tables,
            staged: staged
                .into_iter()
                .map(|batch| (batch.number, batch))
                .collect(),
            held: held
                .into_iter()
                .map(|held| (held.op.clone(), held))
                .collect(),
            own: Index::default(),
            others: Index::default(),
            indexed_to: SortedMap::default(),
            heads: SortedMap::default(),
            portions: SortedMap::default(),
            pages: SortedMap::default(),
            outlines: SortedMap::default(),
            next_batch,
        };
        database.forget_log();
        database.indexed = !database.tables.iter().any(|table| table.pending);
        database
    }

    /// The owner changed: whose a row is must be looked at anew.
    fn forget_log(&mut self) {
        self.own = Index::default();
        self.others = Index::default();
        self.indexed = false;
        self.indexed_to.clear();
        self.heads.clear();
        self.portions.clear();
        let batches = std::mem::take(&mut self.staged);
        for batch in batches.values() {
            self.mark_staged(batch);
        }
        self.staged = batches;
    }

    /// The place of a table among the tracked ones.
    fn table_place(&self, name: &str) -> u32 {
        let place = self.tables.iter().position(|table| table.name == name);
        place.unwrap_or(self.tables.len()) as u32
    }

    pub(crate) fn has_generated_keys(&self, name: &str) -> bool {
        self.tables
            .iter()
            .any(|table| table.name == name && table.generated_keys)
    }

    pub(crate) fn id(&self, table: &str, lid: &str) -> Id {
        let place = u64::from(self.table_place(table));
        self.hash(lid) ^ place.wrapping_mul(TABLE_MIX)
    }

    /// What stands for the records that a row removes without naming them; no key has its text.
    pub(crate) fn wide_id(&self, table: &str) -> Id {
        self.id(table, "")
    }

    /// The hash that places a record in a bucket.
    fn hash(&self, lid: &str) -> u64 {
        self.hasher.hash(lid.as_bytes())
    }

    /// The page that has a record.
    pub(crate) fn page_id(&self, table: &str, lid: &str) -> PageId {
        let buckets = self.buckets(table);
        PageId {
            table: table.to_owned(),
            bucket: shadow::bucket(self.hash(lid), buckets),
        }
    }

    /// The page that says what a record of the server's is called here.
    pub(crate) fn alias_page(&self, table: &str, rid: &str) -> PageId {
        self.page_id(&aliases_of(table), rid)
    }

    /// What a record of the server's is called here, where its page is in memory.
    pub(crate) fn alias(&self, table: &str, rid: &str) -> Option<String> {
        let page = self.page(&self.alias_page(table, rid))?;
        page.get(rid)?.rid.clone()
    }

    /// Whether the record with this local name has this id on the server, or none yet. A key that
    /// was used again is another record's.
    pub(crate) fn is_named(&self, table: &str, lid: &str, rid: &str) -> bool {
        let page = self.page(&self.page_id(table, lid));
        let entry = page.and_then(|page| page.get(lid));
        let known = entry.and_then(|entry| entry.rid.as_deref());
        known.is_none_or(|known| known == rid)
    }

    pub(crate) fn buckets(&self, table: &str) -> u32 {
        self.meta.tables.get(table).map_or(0, |table| table.buckets)
    }

    /// Whether changes under this name are the current owner's.
    pub(crate) fn is_own(&self, user: &RowUser, adopt_anonymous: bool) -> bool {
        match (user, self.meta.owner_name()) {
            (_, None) => false,
            (RowUser::Owner, Some(_)) => true,
            (RowUser::User(user), Some(owner)) => user == owner,
            (RowUser::Nobody, Some(_)) => adopt_anonymous && self.meta.owners.len() == 1,
        }
    }

    /// A row of the log was read.
    pub(crate) fn index_row(&mut self, row: &LogRow, own: bool) {
        let known = self.indexed_to.get_or_default(row.table.clone());
        if row.row <= *known {
            return;
        }
        *known = row.row;
        let lids = index::lids(row).map(|lid| self.id(&row.table, lid));
        let wide = index::is_wide(row).then(|| self.wide_id(&row.table));
        let ids: Vec<Id> = lids.chain(wide).collect();
        let side = if own { &mut self.own } else { &mut self.others };
        side.read(row.row, row.ops.len() as u64, ids.into_iter());
    }

    pub(crate) fn hint(&mut self, table: &str, lids: &[String], own: bool) {
        let ids: Vec<Id> = lids.iter().map(|lid| self.id(table, lid)).collect();
        let side = if own { &mut self.own } else { &mut self.others };
        side.hint(ids.into_iter());
    }

    /// Whether an operation is held of a record.
    pub(crate) fn is_held(&self, table: &str, lid: &str) -> bool {
        let mut held = self.held.values();
        held.any(|held| held.lid == lid && held.table == table)
    }

    /// Whether every record of the table that was there before is known.
    pub(crate) fn is_scanned(&self, table: &str) -> bool {
        let known = self.meta.tables.get(table);
        known.is_some_and(|table| table.scan == ScanMark::Done)
    }

    /// Whether an operation of somebody else is held of a record.
    pub(crate) fn is_held_of_another(&self, table: &str, lid: &str) -> bool {
        let owner = self.meta.owner;
        self.held
            .values()
            .any(|held| Some(held.owner) != owner && held.lid == lid && held.table == table)
    }

    /// The counts of a status.
    pub(crate) fn counts(&self) -> Counts {
        if !self.indexed {
            // The checkpoint may be older than the log: a table whose log has rows has a change.
            let checkpoint = self.meta.counts;
            let logs = self.tables.iter().filter(|table| table.pending).count() as u64;
            let seen = if checkpoint.waiting == 0 { logs } else { 0 };
            let pending = checkpoint.pending.max(self.own.records()).max(seen);
            return Counts {
                pending,
                ..checkpoint
            };
        }
        Counts {
            pending: self.own.records(),
            buffered: self.own.changes(),
            waiting: self.others.records(),
        }
    }

    /// Local ids of the owner's staged operations of each table.
    pub(crate) fn staged_lids(&self) -> SortedMap<String, SortedSet<String>> {
        let lids = |table: &Table| {
            let ops = self.own_batches().flat_map(|batch| &batch.ops);
            let ops = ops.filter(|op| op.table == table.name);
            (table.name.clone(), ops.map(|op| op.lid.clone()).collect())
        };
        self.tables.iter().map(lids).collect()
    }

    /// The owner's batches, in order.
    pub(crate) fn own_batches(&self) -> impl Iterator<Item = &Batch> {
        let owner = self.meta.owner;
        self.staged
            .values()
            .filter(move |batch| Some(batch.owner) == owner)
    }

    pub(crate) fn take_batch_number(&mut self) -> u64 {
        self.next_batch += 1;
        self.next_batch - 1
    }

    fn mark_staged(&mut self, batch: &Batch) {
        let own = Some(batch.owner) == self.meta.owner;
        for op in &batch.ops {
            let id = self.id(&op.table, &op.lid);
            let side = if own { &mut self.own } else { &mut self.others };
            side.stage(id);
        }
    }

    fn unmark_staged(&mut self, batch: &Batch) {
        let own = Some(batch.owner) == self.meta.owner;
        for op in &batch.ops {
            let id = self.id(&op.table, &op.lid);
            let side = if own { &mut self.own } else { &mut self.others };
            side.settle(id);
        }
    }

    /// Adds the page that has a record. One that is known not to have it need not be fetched; in its
    /// place stands the one that is split next, so that its table goes on growing.
    pub(crate) fn want(&self, pages: &mut SortedSet<PageId>, mut page: PageId, lid: &str) {
        if self.lacks(&page, lid) {
            page.bucket = shadow::next_split(self.buckets(&page.table));
        }
        pages.insert(page);
    }

    /// Of these pages and those that may be split with them, the ones that must be fetched.
    pub(crate) fn missing_pages(&self, mut wanted: SortedSet<PageId>) -> Vec<PageId> {
        let tables: SortedSet<String> = wanted.iter().map(|page| page.table.clone()).collect();
        for table in tables {
            let buckets = self.buckets(&table).max(1);
            let splits = (buckets..buckets + SPLITS_MAX).map(shadow::next_split);
            wanted.extend(splits.map(|bucket| PageId {
                table: table.clone(),
                bucket,
            }));
        }
        let stored = |page: &PageId| page.bucket < self.buckets(&page.table);
        let missing = |page: &PageId| stored(page) && !self.pages.contains_key(page);
        wanted.into_iter().filter(missing).collect()
    }

    /// Keeps fetched pages. False where one is damaged.
    pub(crate) fn keep_pages(&mut self, ids: Vec<PageId>, pages: &[Vec<u8>]) -> bool {
        if ids.len() != pages.len() {
            return false;
        }
        for (id, bytes) in ids.into_iter().zip(pages) {
            let Some(page) = Page::decode(bytes) else {
                return false;
            };
            self.outlines.remove(&id);
            self.pages.insert(id, page);
        }
        true
    }

    /// Drops pages that no step needs now, when there are many, and keeps marks of their records.
    pub(crate) fn trim_pages(&mut self) {
        if self.pages.values().map(|stored| stored.bytes).sum::<u64>() <= CACHE_BYTES_MAX {
            return;
        }
        for (id, stored) in std::mem::take(&mut self.pages) {
            let marks = stored.page.entries().map(|(lid, _)| self.mark(lid));
            let marks = marks.collect();
            self.outlines.insert(id, marks);
        }
    }

    /// What stands for a record in its page's outline.
    fn mark(&self, lid: &str) -> u32 {
        (self.hash(lid) >> 32) as u32
    }

    /// Whether a page that is not in memory is known to have nothing of a record.
    fn lacks(&self, page: &PageId, lid: &str) -> bool {
        let marks = self.outlines.get(page);
        marks.is_some_and(|marks| !marks.contains(&self.mark(lid)))
    }

    /// A page, where it is in memory.
    pub(crate) fn page(&self, id: &PageId) -> Option<&Page> {
        self.pages.get(id).map(|stored| &stored.page)
    }
}

/// One transaction, worked out and not yet durable.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) meta: Meta,
    pub(crate) pages: SortedMap<PageId, Changed>,
    /// Batches that are stored, new ones first, each with its texts.
    pub(crate) batches: Vec<(Batch, Vec<Text>)>,
    pub(crate) dropped: Vec<u64>,
    pub(crate) held: Vec<(Held, HeldNotice, Option<Text>)>,
    pub(crate) released: Vec<String>,
    /// Held operations against which something newer stands, or of which something else is told.
    pub(crate) renewed: Vec<(Held, Option<String>)>,
    pub(crate) taken: SortedMap<String, Vec<Taken>>,
    pub(crate) heads: SortedMap<String, u64>,
    pub(crate) portions: SortedMap<String, (u64, u32)>,
    /// Set where the owner changes.
    pub(crate) signed: Option<Signed>,
    /// Records of the app and rows of its logs, as they are written.
    pub(crate) records: Vec<Write>,
    /// The records of the rows: a hint for the counts.
    pub(crate) appended: Vec<(String, String)>,
    /// The decision that this carries out.
    pub(crate) decided: Option<Decision>,
    /// Whether the records were taken over from the server.
    pub(crate) takes_over: bool,
    /// Logs that must not have grown.
    pub(crate) tails: Vec<TableRow>,
    /// What is told of conflicts that were resolved without asking, as JSON.
    pub(crate) history: Vec<String>,
}

/// Whose the log rows become that name no user, when the owner changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    /// None for nobody's.
    pub(crate) user: Option<String>,
    /// Whether nobody's become theirs, too: for good, whoever signs in later.
    pub(crate) adopts: bool,
}

impl Change {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            meta: database.meta.clone(),
            pages: SortedMap::default(),
            batches: Vec::new(),
            dropped: Vec::new(),
            held: Vec::new(),
            released: Vec::new(),
            renewed: Vec::new(),
            taken: SortedMap::default(),
            heads: SortedMap::default(),
            portions: SortedMap::default(),
            signed: None,
            records: Vec::new(),
            appended: Vec::new(),
            decided: None,
            takes_over: false,
            tails: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self, database: &Database) -> bool {
        self.pages.is_empty()
            && self.batches.is_empty()
            && self.dropped.is_empty()
            && self.held.is_empty()
            && self.renewed.is_empty()
            && self.released.is_empty()
            && self.taken.values().all(Vec::is_empty)
            && self.signed.is_none()
            && self.records.is_empty()
            && self.history.is_empty()
            && self.meta == database.meta
    }

    /// The page that has a record, as far as this change leaves the record: its entry is as it will be.
    pub(crate) fn page<'a>(
        &'a self,
        database: &'a Database,
        id: &PageId,
        lid: &str,
    ) -> Option<&'a Page> {
        let changed = self.pages.get(id).map(|changed| &changed.page);
        let changed = changed.filter(|page| page.get(lid).is_some());
        changed.or_else(|| database.page(id))
    }

    /// The page that has a record, for that record to be changed.
    pub(crate) fn page_mut(&mut self, database: &Database, id: PageId, lid: &str) -> &mut Page {
        let known = database.page(&id);
        assert!(
            known.is_some() || id.bucket >= database.buckets(&id.table) || database.lacks(&id, lid),
            "what a page has of a record is known before that is changed"
        );
        let page = &mut self.pages.get_or_default(id).page;
        if let Some(known) = known {
            page.borrow(lid, known);
        }
        page
    }

    /// Releases what is held of a record: a later operation of it takes its place.
    pub(crate) fn release(&mut self, database: &Database, owner: u32, table: &str, lid: &str) {
        let same = |held: &&Held| held.owner == owner && held.table == table && held.lid == lid;
        let ops = database
            .held
            .values()
            .filter(same)
            .map(|held| held.op.clone());
        self.released.extend(ops);
    }

    /// Notes what a record of the server's is called here. The page is in memory.
    pub(crate) fn set_alias(&mut self, database: &Database, table: &str, rid: &str, lid: &str) {
        let page = database.alias_page(table, rid);
        let known = self.page(database, &page, rid);
        let known = known.and_then(|page| page.get(rid));
        if known.is_some_and(|known| known.rid.as_deref() == Some(lid)) {
            return;
        }
        let entry = Entry {
            rid: Some(lid.to_owned()),
            ..Entry::default()
        };
        self.page_mut(database, page, rid)
            .put(rid, entry, &Names::default());
    }

    /// Gives a record that is not here yet its id, so that it gets no other. The page is in memory.
    pub(crate) fn name(&mut self, database: &Database, table: &str, lid: &str, rid: &str) {
        let page = self.page_mut(database, database.page_id(table, lid), lid);
        if page.get(lid).is_some() {
            return;
        }
        let entry = Entry {
            rid: Some(rid.to_owned()),
            owner: database.meta.owner.unwrap_or(0),
            ..Entry::default()
        };
        page.put(lid, entry, &Names::default());
    }

    /// Puts a change of the record into the log, as if the app had made it now.
    pub(crate) fn append(
        &mut self,
        database: &Database,
        owner: u32,
        table: &str,
        lid: &str,
        now: Now,
        delete: bool,
    ) {
        self.records.push(Write::AppendLog {
            table: table.to_owned(),
            lid: lid.to_owned(),
            user: database.meta.user_of(owner).to_owned(),
            at_ms: now.wall_ms,
            delete,
        });
        self.appended.push((table.to_owned(), lid.to_owned()));
    }

    /// The writes of the transaction.
    pub(crate) fn writes(&mut self, database: &Database) -> Vec<Write> {
        let mut writes = Vec::new();
        if let Some(Signed { user, adopts }) = &self.signed {
            let tables = database.tables.iter().map(|table| table.name.clone());
            writes.extend(tables.map(|table| Write::SignLog {
                table,
                user: user.clone(),
                adopts: *adopts,
            }));
        }
        for op in self.released.clone() {
            writes.push(Write::DeleteHeld { op });
        }
        for (held, message) in &mut self.renewed {
            writes.push(Write::RenewHeld {
                op: held.op.clone(),
                state: held.encode(),
                remote: held.remote.clone(),
                message: message.take(),
            });
        }
        for (held, notice, text) in &mut self.held {
            writes.push(Write::PutHeld {
                op: held.op.clone(),
                state: held.encode(),
                notice: notice.clone(),
                user: database.meta.user_of(held.owner).to_owned(),
                base: held.base,
                text: text.take(),
                remote: held.remote.clone(),
            });
        }
        for (batch, texts) in &mut self.batches {
            writes.push(Write::PutStaged {
                batch: batch.number,
                state: batch.encode(),
                texts: std::mem::take(texts),
            });
        }
        writes.extend(
            self.dropped
                .iter()
                .map(|batch| Write::DeleteStaged { batch: *batch }),
        );
        self.consume(&mut writes);
        writes.append(&mut self.records);
        let entries = self.history.drain(..);
        writes.extend(entries.map(|entry| Write::PutHistory { entry }));
        self.store_pages(database, &mut writes);
        self.meta.counts = database.counts();
        let owner = self.meta.owner_name().map(str::to_owned);
        let state = self.meta.to_json();
        writes.push(Write::Meta { state, owner });
        writes
    }

    /// Rows are removed in runs without gaps: a row between them may wait for another user.
    fn consume(&self, writes: &mut Vec<Write>) {
        for (table, taken) in self.taken.iter() {
            let mut rows = taken.iter().map(|taken| taken.row);
            let Some(mut first) = rows.next() else {
                continue;
            };
            let mut last = first;
            for row in rows.chain([u64::MAX]) {
                if row != last + 1 {
                    writes.push(Write::ConsumeLog {
                        table: table.clone(),
                        first,
                        last,
                    });
                    first = row;
                }
                last = row;
            }
        }
    }

    fn store_pages(&mut self, database: &Database, writes: &mut Vec<Write>) {
        let changed = self.pages.iter().filter(|(_, it)| !it.page.is_empty());
        let ids: Vec<PageId> = changed.map(|(id, _)| id.clone()).collect();
        let tables: SortedSet<String> = ids.iter().map(|page| page.table.clone()).collect();
        for id in ids {
            let stored = database.pages.get(&id);
            let is_new = stored.is_none() && !database.outlines.contains_key(&id);
            if is_new || stored.is_some_and(Stored::is_scattered) {
                self.make_whole(database, &id);
            }
            self.encode(database, &id);
        }
        for table in tables {
            for _ in 0..SPLITS_MAX {
                if !self.split(database, &table) {
                    break;
                }
            }
        }
        for (page, changed) in self.pages.iter_mut().filter(|(_, it)| it.size.is_some()) {
            writes.push(Write::PutPage {
                page: page.clone(),
                whole: changed.whole,
                bytes: std::mem::take(&mut changed.bytes),
            });
        }
    }

    /// Takes over what the page has besides.
    fn make_whole(&mut self, database: &Database, id: &PageId) {
        let changed = self.pages.get_or_default(id.clone());
        if !std::mem::replace(&mut changed.whole, true) {
            let mut page = database.page(id).cloned().unwrap_or_default();
            page.merge(std::mem::take(&mut changed.page));
            changed.page = page;
        }
    }

    /// Encodes a page, and counts its bytes.
    fn encode(&mut self, database: &Database, id: &PageId) {
        let changed = self.pages.get_or_default(id.clone());
        let meta = self.meta.tables.get_or_default(id.table.clone());
        let stored = database.pages.get(id).map_or(0, |page| page.bytes);
        let before = changed.size.unwrap_or(stored);
        changed.bytes = changed.page.encode(changed.whole);
        let written = changed.bytes.len() as u64;
        let size = if changed.whole {
            written
        } else {
            stored + written
        };
        changed.size = Some(size);
        meta.buckets = meta.buckets.max(1);
        meta.bytes = (meta.bytes + size).saturating_sub(before);
    }

    fn split(&mut self, database: &Database, table: &str) -> bool {
        let meta = self.meta.tables.get_or_default(table.to_owned());
        let buckets = meta.buckets;
        let from = PageId {
            table: table.to_owned(),
            bucket: shadow::next_split(buckets),
        };
        let is_whole = |changed: &Changed| changed.whole;
        let known =
            database.pages.contains_key(&from) || self.pages.get(&from).is_some_and(is_whole);
        if !shadow::is_crowded(meta.bytes, buckets) || !known {
            return false;
        }
        self.make_whole(database, &from);
        let page = &mut self.pages.get_or_default(from.clone()).page;
        let moves = |lid: &str| shadow::bucket(database.hash(lid), buckets + 1) == buckets;
        let other = Changed {
            page: page.split(moves),
            whole: true,
            ..Changed::default()
        };
        let to = PageId {
            table: table.to_owned(),
            bucket: buckets,
        };
        self.pages.insert(to.clone(), other);
        self.encode(database, &from);
        self.encode(database, &to);
        self.meta.tables.get_or_default(table.to_owned()).buckets = buckets + 1;
        true
    }

    /// The transaction is durable: memory follows.
    pub(crate) fn apply(self, database: &mut Database) {
        for batch in &self.dropped {
            if let Some(batch) = database.staged.remove(batch) {
                database.unmark_staged(&batch);
            }
        }
        for (batch, _) in &self.batches {
            if let Some(before) = database.staged.remove(&batch.number) {
                database.unmark_staged(&before);
            }
        }
        for (batch, _) in self.batches {
            database.mark_staged(&batch);
            database.staged.insert(batch.number, batch);
        }
        for op in &self.released {
            database.held.remove(op);
        }
        for (held, _) in self.renewed {
            database.held.insert(held.op.clone(), held);
        }
        for (held, ..) in self.held {
            database.held.insert(held.op.clone(), held);
        }
        for (table, rows) in self.taken {
            for taken in rows {
                let lids = taken.lids.iter().map(|lid| database.id(&table, lid));
                let wide = taken.wide.then(|| database.wide_id(&table));
                let ids: Vec<Id> = lids.chain(wide).collect();
                database
                    .own
                    .consume(taken.row, taken.changes, ids.into_iter());
            }
        }
        for (table, lid) in self.appended {
            database.hint(&table, &[lid], true);
        }
        for (id, changed) in self.pages {
            let Some(size) = changed.size else { continue };
            if let Some(mut marks) = database.outlines.remove(&id) {
                let entries = changed.page.entries();
                marks.extend(entries.map(|(lid, _)| database.mark(lid)));
                database.outlines.insert(id, marks);
            } else {
                let page = database.pages.get_or_default(id);
                page.add(changed.page, changed.whole, size);
            }
        }
        database.heads.extend(self.heads);
        database.portions.extend(self.portions);
        database.meta = self.meta;
        if self.signed.is_some() {
            database.forget_log();
        }
    }
}
