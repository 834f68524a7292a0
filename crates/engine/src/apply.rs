//! Takes the server's records over into the app's stores, with shadow and cursor, in one
//! transaction (DESIGN section 5).

use tidesync_protocol::hash::{FieldHasher, Fields};
use tidesync_protocol::wire::Access;

use crate::config::Config;
use crate::database::{Change, Database};
use crate::index::Waiting;
use crate::interface::{
    Now, PageId, Prepared, PreparedValue, RecordName, RecordValue, TableRow, Write,
};
use crate::overlay::{self, Before, Outcome, Replaced, overlay};
use crate::references;
use crate::remote::{Remote, access};
use crate::shadow::{ABSENT, Entry, Field, Names, Page, WHOLE};
use crate::sorted::{SortedMap, SortedSet};
use crate::staged::Held;

/// What a pull says of itself, stored with its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: String,
    pub(crate) cursor: String,
    /// Where the server was known to be when it was asked: the end of the pull says more.
    pub(crate) place: Option<String>,
    pub(crate) more: bool,
    /// The spaces that it covers, as JSON.
    pub(crate) spaces: String,
}

/// Records on their way into the app's stores.
#[derive(Debug, Clone, Default)]
pub(crate) struct Applying {
    pub(crate) changes: Vec<Remote>,
    /// None for records that no pull brought.
    pub(crate) mark: Option<Mark>,
    /// Whether records that are missing here are put back, although the server has said nothing new.
    pub(crate) restores: bool,
    /// Whether a verdict brought these very records: they are taken over, new or not.
    pub(crate) asked: bool,
    /// The spaces that the pull covers, as JSON.
    pub(crate) spaces: String,
    /// The local names, of each change; none where there is nothing to name.
    lids: Vec<Option<String>>,
    /// What must have a local name: table, id on the server, and whether a new name may be given.
    needs: Vec<(String, String, bool)>,
    /// New local names by table and id on the server.
    named: SortedMap<(String, String), String>,
    /// The records that were asked for, in order.
    wants: Vec<RecordName>,
    /// The pages that were asked for, in order.
    pub(crate) pages: Vec<PageId>,
}

/// What the app has of a record.
pub(crate) enum Here<'a> {
    /// What the server was last known to have: nobody has changed it since.
    Untouched,
    Gone,
    /// It has no wire form, or cannot be compared.
    Odd,
    Value(Fields<'a>),
}

/// What was known of a record, and which of the app's fields were replaced.
type Known<'a> = (Option<&'a Entry>, Option<&'a [(String, u64)]>);

impl<'a> Here<'a> {
    fn fields(&self) -> Option<&Fields<'a>> {
        match self {
            Self::Value(fields) => Some(fields),
            Self::Untouched | Self::Gone | Self::Odd => None,
        }
    }
}

impl Applying {
    /// Keeps what is of a table that is tracked here, in that table's space.
    pub(crate) fn new(
        changes: Vec<Remote>,
        mark: Option<Mark>,
        config: &Config,
        database: &Database,
    ) -> Self {
        let tracked = |change: &Remote| {
            let mut tables = database.tables.iter();
            let of_its_space = change.space == config.space(&change.table);
            of_its_space && tables.any(|table| table.name == change.table)
        };
        let changes: Vec<Remote> = changes.into_iter().filter(tracked).collect();
        let mut needs = Vec::new();
        for change in &changes {
            if database.has_generated_keys(&change.table) {
                needs.push((
                    change.table.clone(),
                    change.rid.clone(),
                    change.value.is_some(),
                ));
            }
            let value = change.value.as_deref().unwrap_or_default();
            let parents = references::incoming(config, database, &change.table, value);
            needs.extend(parents.into_iter().map(|it| (it.table, it.parent, true)));
        }
        Self {
            changes,
            mark,
            needs,
            ..Self::default()
        }
    }

    /// The pages that say what the records are called here.
    pub(crate) fn name_pages(&self, database: &Database) -> Vec<PageId> {
        let missing = database.missing_pages(self.aliases(database));
        if !missing.is_empty() {
            return missing;
        }
        // A name holds as long as its record has it: those pages are needed too.
        let pages = self.needs.iter().filter_map(|(table, rid, _)| {
            let lid = database.alias(table, rid)?;
            Some(database.page_id(table, &lid))
        });
        database.missing_pages(pages.collect())
    }

    /// The pages of the names that must be known.
    fn aliases(&self, database: &Database) -> SortedSet<PageId> {
        let mut pages = SortedSet::default();
        for (table, rid, _) in &self.needs {
            database.want(&mut pages, database.alias_page(table, rid), rid);
        }
        pages
    }

    /// The first table that needs new keys, and how many. The name pages are in memory.
    pub(crate) fn nameless(&self, database: &Database) -> Option<(String, u32)> {
        let mut first: Option<(String, u32)> = None;
        let mut seen = SortedSet::default();
        for (table, rid, create) in &self.needs {
            let name = (table.clone(), rid.clone());
            let known =
                !create || self.named(database, table, rid).is_some() || seen.contains(&name);
            seen.insert(name);
            match &mut first {
                _ if known => {}
                None => first = Some((table.clone(), 1)),
                Some((of, count)) if of == table => *count += 1,
                Some(_) => {}
            }
        }
        first
    }

    /// Gives records of `table` the keys from `first` on.
    pub(crate) fn name(&mut self, database: &Database, table: &str, first: u64) {
        let mut next = first;
        let mut named = std::mem::take(&mut self.named);
        for (of, rid, create) in &self.needs {
            let name = (of.clone(), rid.clone());
            let known = named.contains_key(&name) || self.named(database, of, rid).is_some();
            if of == table && *create && !known {
                named.insert(name, ["n", &next.to_string()].concat());
                next += 1;
            }
        }
        self.named = named;
    }

    /// What a record is called here.
    fn local_name(&self, database: &Database, change: &Remote) -> Option<String> {
        if !database.has_generated_keys(&change.table) {
            return Some(change.rid.clone());
        }
        self.named(database, &change.table, &change.rid)
    }

    /// What a record of a generated key is called here.
    fn named(&self, database: &Database, table: &str, rid: &str) -> Option<String> {
        let new = self.named.get(&(table.to_owned(), rid.to_owned())).cloned();
        new.or_else(|| {
            database
                .alias(table, rid)
                .filter(|lid| database.is_named(table, lid, rid))
        })
    }

    /// Values as the app has them: with the keys of parents in place of their ids.
    fn localize(&mut self, config: &Config, database: &Database) {
        let mut changes = std::mem::take(&mut self.changes);
        for change in &mut changes {
            let Some(value) = &change.value else { continue };
            let mut lid_of = |table: &str, rid: &str| self.named(database, table, rid);
            let local = references::to_local(config, database, &change.table, value, &mut lid_of);
            if let Some(local) = local {
                change.value = Some(local);
                change.place = None;
            }
        }
        self.changes = changes;
    }

    /// Works out the local names, and what must be fetched: pages, and records that the app may
    /// have changed.
    pub(crate) fn ask(&mut self, config: &Config, database: &Database) -> Vec<RecordName> {
        self.localize(config, database);
        let lids = self
            .changes
            .iter()
            .map(|change| self.local_name(database, change));
        self.lids = lids.collect();
        let mut pages = self.aliases(database);
        for ((table, _), lid) in self.named.iter() {
            database.want(&mut pages, database.page_id(table, lid), lid);
        }
        let mut wants = Vec::new();
        for (change, lid) in self.changes.iter().zip(&self.lids) {
            let Some(lid) = lid else { continue };
            database.want(&mut pages, database.page_id(&change.table, lid), lid);
            if self.restores || is_touched(database, &change.table, lid) {
                wants.push(RecordName {
                    table: change.table.clone(),
                    lid: lid.clone(),
                });
            }
        }
        self.wants = wants.clone();
        self.pages = database.missing_pages(pages);
        wants
    }

    /// Adds all of it to a transaction. The pages are in memory.
    pub(crate) fn add_to(
        self,
        change: &mut Change,
        database: &Database,
        prepared: &Prepared,
        now: Now,
    ) {
        let mut hasher = FieldHasher::trusting(database.meta.hash_key());
        let local = local_values(&self.wants, prepared, &mut hasher);
        let mut taker = Taker {
            database,
            change: &mut *change,
            now,
            restores: self.restores,
            asked: self.asked,
            spaces: &self.spaces,
        };
        let mut taken = Vec::new();
        for (remote, lid) in self.changes.iter().zip(&self.lids) {
            let Some(lid) = lid else { continue };
            let name = RecordName {
                table: remote.table.clone(),
                lid: lid.clone(),
            };
            let here = local.get(&name).unwrap_or(&Here::Untouched);
            if taker.take(remote, lid, here, &mut hasher) {
                taken.push(name.table);
            }
        }
        for ((table, rid), lid) in self.named.iter() {
            change.set_alias(database, table, rid, lid);
            change.name(database, table, lid, rid);
        }
        change.tails.extend(tails(database, taken.into_iter()));
        if let Some(mark) = self.mark {
            change.meta.epoch = mark.epoch;
            change.meta.cursor = Some(mark.cursor);
            if !mark.more && change.meta.place == mark.place {
                change.meta.place = None;
            }
            change.meta.last_sync = change.meta.last_sync.max(now.wall_ms);
            if let Some(sweep) = change.meta.sweep.as_mut().filter(|_| !mark.more) {
                sweep.ready = true;
                sweep.spaces = mark.spaces;
            }
        }
    }
}

/// Whether the app may have changed a record: it has a change that no verdict has settled, is held,
/// or was there before the first scan.
fn is_touched(database: &Database, table: &str, lid: &str) -> bool {
    let id = database.id(table, lid);
    let page = database.page(&database.page_id(table, lid));
    let entry = page.and_then(|page| page.get(lid));
    let generation = database.meta.generation;
    database.own.contains(id)
        || database.others.contains(id)
        || database.others.contains(database.wide_id(table))
        || database.is_held(table, lid)
        || !database.is_scanned(table)
        || entry.is_some_and(|entry| entry.generation != generation)
}

/// The ends of the logs of `tables` as far as they were read.
pub(crate) fn tails(database: &Database, tables: impl Iterator<Item = String>) -> Vec<TableRow> {
    let tables: SortedSet<String> = tables.collect();
    let tail = |table: String| {
        let row = database.indexed_to.get(&table).copied().unwrap_or(0);
        TableRow { table, row }
    };
    tables.into_iter().map(tail).collect()
}

pub(crate) fn local_values<'a>(
    wants: &[RecordName],
    prepared: &'a Prepared,
    hasher: &mut FieldHasher,
) -> SortedMap<RecordName, Here<'a>> {
    let mut start = 0;
    let here = |(name, value): (&RecordName, &PreparedValue)| {
        let here = match value {
            PreparedValue::Gone => Here::Gone,
            PreparedValue::Unsendable { .. } => Here::Odd,
            PreparedValue::Wire { end } => {
                let end = *end as usize;
                let bytes = prepared.bytes.get(start..end).unwrap_or_default();
                start = end;
                hasher.field_hashes(bytes).map_or(Here::Odd, Here::Value)
            }
        };
        (name.clone(), here)
    };
    wants.iter().zip(&prepared.values).map(here).collect()
}

/// Takes records over, one by one.
pub(crate) struct Taker<'a, 'b> {
    pub(crate) database: &'a Database,
    pub(crate) change: &'b mut Change,
    pub(crate) now: Now,
    pub(crate) restores: bool,
    /// Whether the server was asked for these very records: they are taken over, new or not.
    pub(crate) asked: bool,
    /// The spaces that the pull covers, as JSON.
    pub(crate) spaces: &'a str,
}

impl Taker<'_, '_> {
    /// Takes a record over; false where it is known already.
    fn take(
        &mut self,
        remote: &Remote,
        lid: &str,
        here: &Here<'_>,
        hasher: &mut FieldHasher,
    ) -> bool {
        let (table, database) = (&remote.table, self.database);
        let mut pending = self.is_pending(table, lid);
        let none = Page::default();
        let page = database.page_id(table, lid);
        let page = self.change.page(database, &page, lid).unwrap_or(&none);
        let owner = database.meta.owner.unwrap_or(0);
        let known = page.get(lid).filter(|entry| entry.owner == owner).cloned();
        let was_here = known.as_ref().is_some_and(Entry::is_alive);
        let compares = known
            .as_ref()
            .is_some_and(|known| known.generation != database.meta.generation);
        let is_new = known
            .as_ref()
            .is_none_or(|known| known.version < remote.version);
        let missing = self.restores && matches!(here, Here::Gone);
        let is_asked = self.asked
            && known
                .as_ref()
                .is_none_or(|known| known.version == remote.version);
        if !is_new && !compares && !missing && !is_asked {
            return false;
        }
        let theirs = remote
            .value
            .as_ref()
            .map(|value| hasher.field_hashes(value.as_bytes()));
        let theirs = match theirs {
            None => None,
            Some(Ok(fields)) => Some(fields),
            // What is no value is not taken over; the record stays as it is.
            Some(Err(_)) => {
                self.note_seen(table, lid);
                return false;
            }
        };
        let before = Before {
            page,
            lid,
            all: false,
            removes: false,
        };
        let differs = match &theirs {
            Some(theirs) => before.is_changed(theirs),
            None => was_here,
        };
        // The server has lost what it had confirmed: it was restored from an older copy, and others may have
        // changed the record since. Where nothing may be sent, what it has is taken.
        let parted = known
            .as_ref()
            .and_then(|known| self.parted(remote, known.version));
        let lost = compares
            && known.as_ref().is_some_and(|known| {
                known.version > remote.version
                    || differs && parted.is_some_and(|parted| parted < known.version)
            })
            && access(self.spaces, &remote.space) == Some(Access::Write);
        let before = Before {
            all: lost,
            removes: parted.is_none_or(|parted| remote.version <= parted),
            ..before
        };
        let mut replaced = None;
        // Somebody else has removed a range, as far as is known this record with it.
        let ranged = database.others.contains(database.wide_id(table));
        pending |= ranged && was_here && matches!(here, Here::Gone);
        // A removal that is held, for somebody to decide, was not undone.
        let decides = || database.is_held(table, lid);
        let outcome = match (here, &theirs) {
            (Here::Untouched, _) => Outcome::Remote,
            // The app has written nothing since the operation that the server answers with this.
            (_, _) if self.asked && !pending && !decides() => {
                // What is gone on both sides outlives nothing.
                let gone = matches!(here, Here::Gone) && theirs.is_none();
                replaced = (!gone).then(|| overlay::replaced(here.fields(), theirs.as_ref()));
                Outcome::Remote
            }
            // What was never here, or is known to be gone, nobody has removed since.
            (Here::Gone, _) if !pending && (missing || (!was_here && !lost && !decides())) => {
                Outcome::Remote
            }
            (Here::Value(ours), None) if !pending && !before.is_changed(ours) => Outcome::Remote,
            (Here::Gone | Here::Odd, _) | (Here::Value(_), None) => {
                replaced = (!matches!(here, Here::Gone)).then(Replaced::new);
                Outcome::Kept
            }
            (Here::Value(ours), Some(theirs)) => {
                let (outcome, fields) = overlay(before, ours, theirs);
                replaced = Some(fields);
                outcome
            }
        };
        self.store(remote, lid, &outcome);
        if lost {
            self.send_again(remote, lid, here, &outcome);
        }
        self.outdate(table, lid, replaced.as_deref());
        self.note_held(remote, lid);
        // What the server has lost is no news that an app could be behind of.
        let known = known.filter(|_| !lost);
        let replaced = replaced.as_deref();
        // What is sent again was made on what both knew: what others have changed since stands against it.
        let version = match parted {
            Some(parted) if lost => parted.min(remote.version),
            _ => remote.version,
        };
        let known = (known.as_ref(), replaced);
        self.advance((remote, version), lid, known, theirs.as_ref());
        true
    }

    /// A record that came is not one that a pull from scratch did not bring. A server that was
    /// restored lacks what is here all the same.
    fn note_seen(&mut self, table: &str, lid: &str) {
        let database = self.database;
        if self.is_restored() {
            return;
        }
        let page = database.page_id(table, lid);
        let page = self.change.page_mut(database, page, lid);
        if let Some(entry) = page.get_mut(lid) {
            entry.generation = database.meta.generation;
        }
    }

    /// Whether this compares with a server that was restored from an older copy.
    fn is_restored(&self) -> bool {
        let sweep = self.database.meta.sweep.as_ref();
        sweep.is_some_and(|sweep| sweep.restored)
    }

    /// Up to which version what is known here is what a server has that was restored; none where nobody can
    /// say. A server that does not say may have given a version again, to another change.
    fn parted(&self, remote: &Remote, known: u64) -> Option<u64> {
        let sweep = self.database.meta.sweep.as_ref();
        let sweep = sweep.filter(|sweep| sweep.restored)?;
        let again = (known == remote.version).then(|| known - 1);
        sweep.parted(&remote.space).or(again)
    }

    /// What waits in the log is from before these fields were replaced, and may undo that as if the
    /// app had: what is sent after it is the record as it is now.
    pub(crate) fn outdate(&mut self, table: &str, lid: &str, replaced: Option<&[(String, u64)]>) {
        let database = self.database;
        let captured = database.own.progress(database.id(table, lid)) == Waiting::Captured;
        if captured && replaced.is_some_and(|replaced| !replaced.is_empty()) {
            let owner = database.meta.owner.unwrap_or(0);
            self.change
                .append(database, owner, table, lid, self.now, false);
        }
    }

    /// Whether a change of the record waits, of whomever. One that is staged does not count where
    /// its verdict brought the record.
    pub(crate) fn is_pending(&self, table: &str, lid: &str) -> bool {
        let id = self.database.id(table, lid);
        let own = match self.database.own.progress(id) {
            Waiting::Captured => true,
            Waiting::Staged => !self.asked,
            Waiting::No => false,
        };
        own || self.database.others.contains(id)
    }

    pub(crate) fn store(&mut self, remote: &Remote, lid: &str, outcome: &Outcome) {
        let (table, lid) = (remote.table.clone(), lid.to_owned());
        let value = match (outcome, remote) {
            (Outcome::Kept, _) => return,
            (Outcome::Mixed(text), _) => RecordValue::Text { text: text.clone() },
            (Outcome::Remote, Remote { value: None, .. }) => {
                return self.change.records.push(Write::DeleteRecord { table, lid });
            }
            (
                Outcome::Remote,
                Remote {
                    place: Some(index), ..
                },
            ) => RecordValue::Pulled { index: *index },
            (
                Outcome::Remote,
                Remote {
                    value: Some(text), ..
                },
            ) => RecordValue::Text { text: text.clone() },
        };
        self.change
            .records
            .push(Write::PutRecord { table, lid, value });
    }

    /// What the server had confirmed and lost is sent again, as a change of now.
    fn send_again(&mut self, remote: &Remote, lid: &str, here: &Here<'_>, outcome: &Outcome) {
        let delete = matches!(here, Here::Gone);
        let differs = *outcome != Outcome::Remote && !(delete && remote.value.is_none());
        let id = self.database.id(&remote.table, lid);
        // What is staged was made before it was lost, and says no more than what the app changed then.
        let captured = self.database.own.progress(id) == Waiting::Captured
            || self.database.others.contains(id);
        if differs && !captured {
            let owner = self.database.meta.owner.unwrap_or(0);
            self.change
                .append(self.database, owner, &remote.table, lid, self.now, delete);
        }
    }

    /// A conflict is told with the latest that stands against it.
    fn note_held(&mut self, remote: &Remote, lid: &str) {
        let stands =
            |held: &&Held| held.table == remote.table && held.lid == lid && held.remote.is_some();
        let held: Vec<Held> = self
            .database
            .held
            .values()
            .filter(stands)
            .cloned()
            .collect();
        for held in held {
            let remote = Some(remote.json.clone());
            self.change.renewed.push((Held { remote, ..held }, None));
        }
    }

    /// The server is known to have this, unless it is known to have something later. `replaced` are
    /// the fields of the app's record that were replaced with it, where that is known.
    pub(crate) fn advance_to(
        &mut self,
        remote: &Remote,
        lid: &str,
        replaced: Option<&[(String, u64)]>,
        hasher: &mut FieldHasher,
    ) {
        let database = self.database;
        let page = database.page(&database.page_id(&remote.table, lid));
        let known = page.and_then(|page| page.get(lid)).cloned();
        if known
            .as_ref()
            .is_some_and(|known| known.version >= remote.version)
        {
            return;
        }
        let (value, to) = (remote.value.as_ref(), (remote, remote.version));
        match value.map(|value| hasher.field_hashes(value.as_bytes())) {
            None => self.advance(to, lid, (known.as_ref(), replaced), None),
            Some(Ok(theirs)) => {
                self.advance(to, lid, (known.as_ref(), replaced), Some(&theirs));
            }
            Some(Err(_)) => {}
        }
    }

    fn advance(
        &mut self,
        (remote, version): (&Remote, u64),
        lid: &str,
        (known, replaced): Known<'_>,
        theirs: Option<&Fields<'_>>,
    ) {
        let database = self.database;
        let generated = database.has_generated_keys(&remote.table);
        let mut names = Names::default();
        let mut fields = theirs.map_or_else(Vec::new, |fields| keyed(fields, &mut names));
        // A local change that outlives a removal is the same record: it keeps its id and is sent
        // whole, for nothing of it is what the server has.
        let outlives = theirs.is_none() && replaced.is_some();
        if outlives {
            fields.push((WHOLE, ABSENT));
        }
        let entry = Entry {
            rid: (generated || remote.rid != lid).then(|| remote.rid.clone()),
            version,
            owner: database.meta.owner.unwrap_or(0),
            deleted: theirs.is_none() && !outlives,
            fields,
            stale: Vec::new(),
            generation: database.meta.generation,
        };
        let page = database.page_id(&remote.table, lid);
        let page = self.change.page_mut(database, page, lid);
        if known.is_none() {
            page.remove(lid);
        }
        page.advance(lid, entry, replaced, &names);
        if generated {
            self.change
                .set_alias(database, &remote.table, &remote.rid, lid);
        }
    }
}

/// The hashes of a value's fields, by place among `names`.
pub(crate) fn keyed(fields: &Fields<'_>, names: &mut Names) -> Vec<Field> {
    match fields {
        Fields::Whole(hashes) => vec![(WHOLE, hashes.keyed)],
        Fields::Each(fields) => {
            let place = |field: &tidesync_protocol::hash::Field<'_>| {
                (names.place(&field.name), field.hashes.keyed)
            };
            fields.iter().map(place).collect()
        }
    }
}
