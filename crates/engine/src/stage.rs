//! Turns folded changes, their values and the shadow into operations that are ready to be sent.

use tidesync_protocol::hash::{
    Content, Field as ValueField, FieldHasher, Fields, hash_text, op_hash,
};
use tidesync_protocol::hlc::{Hlc, HlcClock};
use tidesync_protocol::json::push_text;
use tidesync_protocol::key::random_rid;
use tidesync_protocol::sort;
use tidesync_protocol::wire::{FIELD_NAME_BYTES_MAX, OpKind, code};

use crate::batch;
use crate::config::{Config, StaleFields, Strategy};
use crate::database::{Change, Database};
use crate::fold::{Fold, Latest, Wide};
use crate::interface::{HeldNotice, Now, PageId, Prepared, PreparedValue, RecordName, Slot, Text};
use crate::meta::ScanMark;
use crate::references::{self, Reference};
use crate::rng::Rng;
use crate::shadow::{ABSENT, Diff, Entry, Field, Names, WHOLE};
use crate::sorted::{SortedMap, SortedSet};
use crate::staged::{Batch, Held, StagedOp};

/// How many pages of the shadow one portion of a removed range looks at.
const PORTION_PAGES: u32 = 8;

/// The code of a change whose value was lost to another user's.
const OVERWRITTEN: &str = "overwritten";

/// Changes on their way to being staged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stage {
    pub(crate) fold: Fold,
    /// Records that a scan found.
    pub(crate) found: Vec<(String, String, Latest)>,
    /// Whether they include records that no user is known to own.
    pub(crate) unclaimed: bool,
    /// How far the first scan of their table is with them.
    pub(crate) scanned: Option<(String, ScanMark)>,
    /// Ids on the server for records whose keys the database generated, should they have none yet.
    pub(crate) rids: SortedMap<(String, String), String>,
    /// The slots that were asked for, in order.
    pub(crate) slots: Vec<Slot>,
    /// The pages that were asked for, in order.
    pub(crate) pages: Vec<PageId>,
}

/// Makes operation ids.
#[derive(Debug, Clone)]
pub(crate) struct OpIds {
    incarnation: String,
    last: u64,
}

impl OpIds {
    /// A new incarnation: no power loss can make it repeat an id, whatever was forgotten.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let incarnation = random_rid(&rng.bits()).chars().skip(1).take(12).collect();
        Self {
            incarnation,
            last: 0,
        }
    }

    fn next(&mut self) -> String {
        self.last += 1;
        let mut id = self.incarnation.clone();
        id.push('.');
        id.push_str(&self.last.to_string());
        id
    }
}

/// What staging draws from besides the database.
#[derive(Debug)]
pub(crate) struct Makers<'a> {
    pub(crate) config: &'a Config,
    pub(crate) ids: &'a mut OpIds,
    pub(crate) now: Now,
}

/// Which buckets a portion of a removed range looks at, and whether it is the last.
#[derive(Debug, Clone, Copy)]
struct Portion {
    first: u32,
    end: u32,
    is_last: bool,
}

impl Stage {
    /// Works out what must be fetched.
    pub(crate) fn ask(&mut self, database: &Database, rng: &mut Rng) {
        let mut rids = SortedMap::default();
        let mut name = |table: &str, lid: &str, pages: &mut SortedSet<PageId>| {
            if database.has_generated_keys(table) {
                let rid = random_rid(&rng.bits());
                database.want(pages, database.alias_page(table, &rid), &rid);
                rids.insert((table.to_owned(), lid.to_owned()), rid);
            }
        };
        let mut pages = SortedSet::default();
        for (table, fold) in self.fold.tables.iter() {
            if let Some(portion) = portion(database, &self.fold, table) {
                for bucket in portion.first..portion.end {
                    pages.insert(PageId {
                        table: table.clone(),
                        bucket,
                    });
                }
                if !portion.is_last {
                    continue;
                }
            }
            for (lid, latest) in fold.records.iter() {
                database.want(&mut pages, database.page_id(table, lid), lid);
                name(table, lid, &mut pages);
                self.slots.extend(latest.value.map(|(slot, _)| slot));
            }
        }
        for (table, lid, latest) in &self.found {
            database.want(&mut pages, database.page_id(table, lid), lid);
            name(table, lid, &mut pages);
            self.slots.extend(latest.value.map(|(slot, _)| slot));
        }
        self.pages = database.missing_pages(pages);
        self.rids = rids;
    }

    /// Works out what must be fetched besides, now that the values are known: what their parents are
    /// called on the server. False where nothing is missing.
    pub(crate) fn ask_parents(
        &mut self,
        database: &Database,
        prepared: &Prepared,
        config: &Config,
        rng: &mut Rng,
    ) -> bool {
        let values = values(&self.slots, prepared);
        let folded = self.fold.tables.iter().flat_map(|(table, fold)| {
            let latest = fold.records.values();
            latest.map(move |latest| (table, latest))
        });
        let found = self.found.iter().map(|(table, _, latest)| (table, latest));
        let mut pages = SortedSet::default();
        let mut parents = Vec::new();
        for (table, latest) in folded.chain(found) {
            let value = latest.value.and_then(|(slot, _)| values.get(&slot));
            let text = value.and_then(|(_, bytes)| std::str::from_utf8(bytes).ok());
            let text = text.unwrap_or_default();
            parents.extend(references::outgoing(config, database, table, text));
        }
        for Reference { table, parent } in parents {
            database.want(&mut pages, database.page_id(&table, &parent), &parent);
            let rid = random_rid(&rng.bits());
            let name = (table, parent);
            if !self.rids.contains_key(&name) {
                database.want(&mut pages, database.alias_page(&name.0, &rid), &rid);
                self.rids.insert(name, rid);
            }
        }
        self.pages = database.missing_pages(pages);
        !self.pages.is_empty()
    }

    /// Whether values were read that may be younger than the rows that logged them.
    pub(crate) fn has_references(&self) -> bool {
        let tables = self.fold.tables.values();
        let mut records = tables.flat_map(|fold| fold.records.values());
        records.any(|latest| latest.reference.is_some())
    }

    /// Works out the transaction that stages everything. The pages are in memory.
    pub(crate) fn change(
        self,
        database: &mut Database,
        prepared: &Prepared,
        makers: &mut Makers<'_>,
    ) -> Change {
        let mut change = Change::new(database);
        let values = values(&self.slots, prepared);
        let mut items = Vec::new();
        for (table, fold) in self.fold.tables.iter() {
            let portion = portion(database, &self.fold, table);
            if let (Some(portion), Some(wide)) = (portion, &fold.wide) {
                let gone = removed(database, table, &fold.records, wide, portion);
                items.extend(
                    gone.into_iter()
                        .map(|(lid, latest)| (table.clone(), lid, latest)),
                );
                let row = fold.taken.first().map_or(0, |taken| taken.row);
                let next = if portion.is_last { 0 } else { portion.end };
                change.portions.insert(table.clone(), (row, next));
            }
            if portion.is_none_or(|portion| portion.is_last) {
                let records = fold.records.iter();
                items.extend(records.map(|(lid, it)| (table.clone(), lid.clone(), it.clone())));
                change.taken.insert(table.clone(), fold.taken.clone());
                change.heads.insert(table.clone(), fold.head);
            }
        }
        let order_of = |place: usize| items.get(place).map(|(_, _, latest)| latest.order);
        let order = sort::order(items.len(), &|one, other| {
            order_of(one).cmp(&order_of(other))
        });
        let items = sort::arranged(items, &order);
        let mut writer = Writer::new(database, &mut change, makers);
        writer.unclaimed = self.unclaimed;
        writer.rids = self.rids;
        for (table, lid, latest) in items {
            writer.add(&table, &lid, &latest, &values, false);
        }
        for (table, lid, latest) in &self.found {
            writer.add(table, lid, latest, &values, true);
        }
        for (table, fold) in self.fold.tables.iter() {
            let Some(wide) = &fold.wide else { continue };
            let within = |lid: &str| wide.spans.iter().any(|span| span.contains(lid));
            writer.supersede(|held| {
                held.table == *table && !fold.records.contains_key(&held.lid) && within(&held.lid)
            });
        }
        let (ops, names) = writer.finish();
        cut_batches(ops, &names, database, &mut change, makers.config);
        change
    }
}

/// The portion of a table's removed ranges that is staged now; none where it removes none.
fn portion(database: &Database, fold: &Fold, table: &str) -> Option<Portion> {
    let fold = fold.tables.get(table).filter(|fold| fold.wide.is_some())?;
    let row = fold.taken.first()?.row;
    let known = database.portions.get(table).filter(|known| known.0 == row);
    let first = known.map_or(0, |known| known.1);
    let buckets = database.buckets(table);
    let end = buckets.min(first.saturating_add(PORTION_PAGES));
    Some(Portion {
        first,
        end,
        is_last: end >= buckets,
    })
}

/// The owner's records within the ranges that the portion's pages know, and nothing else says
/// what became of.
fn removed(
    database: &Database,
    table: &str,
    named: &SortedMap<String, Latest>,
    wide: &Wide,
    portion: Portion,
) -> Vec<(String, Latest)> {
    let mut gone = Vec::new();
    for bucket in portion.first..portion.end {
        let id = PageId {
            table: table.to_owned(),
            bucket,
        };
        for (lid, entry) in database
            .page(&id)
            .into_iter()
            .flat_map(|page| page.entries())
        {
            let alive = !entry.deleted && Some(entry.owner) == database.meta.owner;
            let within = || wide.spans.iter().any(|span| span.contains(lid));
            if alive && !named.contains_key(lid) && within() {
                gone.push((lid.clone(), Latest::removed(wide.at_ms, 0)));
            }
        }
    }
    gone
}

/// What became of each slot.
fn values<'a>(
    slots: &[Slot],
    prepared: &'a Prepared,
) -> SortedMap<Slot, (&'a PreparedValue, &'a [u8])> {
    let mut start = 0;
    let value = |(slot, value): (&Slot, &'a PreparedValue)| {
        let mut bytes: &[u8] = &[];
        if let PreparedValue::Wire { end } = value {
            let end = *end as usize;
            bytes = prepared.bytes.get(start..end).unwrap_or_default();
            start = end;
        }
        (*slot, (value, bytes))
    };
    slots.iter().zip(&prepared.values).map(value).collect()
}

/// An operation with its text and size.
struct Ready {
    op: StagedOp,
    text: Text,
    bytes: u64,
}

/// Why a change makes no operation.
enum Skip {
    /// There is nothing to say to the server.
    Nothing,
    /// It cannot be sent.
    Unsendable { code: String, message: String },
}

/// Writes operations.
struct Writer<'a, 'b> {
    database: &'a Database,
    change: &'a mut Change,
    makers: &'a mut Makers<'b>,
    hasher: FieldHasher,
    clock: HlcClock,
    owner: u32,
    names: Names,
    ready: Vec<Ready>,
    unclaimed: bool,
    rids: SortedMap<(String, String), String>,
}

impl<'a, 'b> Writer<'a, 'b> {
    fn new(database: &'a Database, change: &'a mut Change, makers: &'a mut Makers<'b>) -> Self {
        let last = database.meta.clock.parse::<Hlc>().unwrap_or_default();
        Self {
            database,
            change,
            makers,
            hasher: FieldHasher::trusting(database.meta.hash_key()),
            clock: HlcClock::after(last),
            owner: database.meta.owner.unwrap_or(0),
            names: Names::default(),
            ready: Vec::new(),
            unclaimed: false,
            rids: SortedMap::default(),
        }
    }

    fn finish(self) -> (Vec<Ready>, Names) {
        if !self.ready.is_empty() {
            self.change.meta.clock = self.clock.last().to_string();
        }
        (self.ready, self.names)
    }

    fn add(
        &mut self,
        table: &str,
        lid: &str,
        latest: &Latest,
        values: &SortedMap<Slot, (&PreparedValue, &[u8])>,
        found: bool,
    ) {
        let made = match latest.value {
            _ if self.is_overwritten(table, lid, latest) => Err(Skip::Unsendable {
                code: OVERWRITTEN.to_owned(),
                message: "another user has changed the record since".to_owned(),
            }),
            None => self.delete(table, lid, latest),
            Some((slot, _)) => match values.get(&slot) {
                Some((PreparedValue::Wire { .. }, bytes)) => {
                    self.put(table, lid, latest, (slot, bytes), found)
                }
                Some((PreparedValue::Unsendable { code, path }, _)) => Err(Skip::Unsendable {
                    code: code.clone(),
                    message: path.clone(),
                }),
                Some((PreparedValue::Gone, _)) => self.gone(table, lid, latest),
                None => Err(Skip::Nothing),
            },
        };
        match made {
            Ok(ready) => self.ready.push(ready),
            Err(Skip::Nothing) => self.supersede(|held| held.table == table && held.lid == lid),
            Err(Skip::Unsendable { code, message }) => self.hold(table, lid, code, message),
        }
    }

    /// A later change of the record has nothing to say to the server: what was held of it and could
    /// not be sent is of the past. A conflict is somebody's to decide.
    fn supersede(&mut self, is_meant: impl Fn(&Held) -> bool) {
        let owner = self.owner;
        let held = self.database.held.values();
        let past = held.filter(|it| it.owner == owner && it.remote.is_none() && is_meant(it));
        self.change.released.extend(past.map(|it| it.op.clone()));
    }

    fn entry(&self, table: &str, lid: &str) -> Option<Entry> {
        let page = self.database.page_id(table, lid);
        let page = self.change.page(self.database, &page, lid)?;
        page.get(lid).cloned()
    }

    /// Whether what a put by reference would send may be another user's value.
    fn is_overwritten(&self, table: &str, lid: &str, latest: &Latest) -> bool {
        latest.reference.is_some_and(|row| {
            let id = self.database.id(table, lid);
            let entry = self.entry(table, lid);
            self.database.others.is_changed_after(id, row)
                || entry.is_some_and(|entry| entry.owner != self.owner)
                || self.database.is_held_of_another(table, lid)
        })
    }

    /// Logged by reference, and the record is gone: so it is to be for the server, where that has
    /// it. The row that removed it, if there is one, says the same.
    fn gone(&mut self, table: &str, lid: &str, latest: &Latest) -> Result<Ready, Skip> {
        let alive = |entry: Entry| !entry.deleted && entry.owner == self.owner;
        if !self.entry(table, lid).is_some_and(alive) {
            return Err(Skip::Nothing);
        }
        let removed = Latest {
            changes: latest.changes,
            ..Latest::removed(latest.at_ms, latest.order)
        };
        self.delete(table, lid, &removed)
    }

    /// The base of a change of a record with a conflict that nobody has decided: the one before it,
    /// so that the server asks again.
    fn undecided(&self, table: &str, lid: &str, base: u64) -> u64 {
        let mut held = self.database.held.values();
        let conflict = held.find(|held| {
            held.remote.is_some()
                && held.owner == self.owner
                && held.lid == lid
                && held.table == table
        });
        conflict.map_or(base, |held| base.min(held.base))
    }

    /// The version that a change was made on.
    fn base(&self, entry: Option<&Entry>) -> u64 {
        entry
            .filter(|entry| entry.owner == self.owner)
            .map_or(0, |entry| entry.version)
    }

    fn delete(&mut self, table: &str, lid: &str, latest: &Latest) -> Result<Ready, Skip> {
        let entry = self.entry(table, lid);
        let generated = self.database.has_generated_keys(table);
        // A record whose key was generated here and that was never staged has no name elsewhere.
        let known = entry.as_ref().is_some_and(|entry| !entry.deleted);
        if generated && !known {
            return Err(Skip::Nothing);
        }
        let base = self.base(entry.as_ref());
        let rid = entry.and_then(|entry| entry.rid);
        let name = rid.clone().unwrap_or_else(|| lid.to_owned());
        let hash = op_hash(table, &name, base, Content::Delete);
        let mut op = self.op(table, lid, rid, latest);
        op.base = base;
        let mut text = self.head(&op, &name, OpKind::Delete, latest.at_ms, hash);
        text.push('}');
        let bytes = text.len() as u64;
        Ok(Ready {
            op,
            text: Text::Whole { text },
            bytes,
        })
    }

    fn put(
        &mut self,
        table: &str,
        lid: &str,
        latest: &Latest,
        (slot, value): (Slot, &[u8]),
        found: bool,
    ) -> Result<Ready, Skip> {
        if value.len() as u64 > u64::from(self.makers.config.op_bytes_max) {
            let message = "the record is larger than an operation may be".to_owned();
            return Err(Skip::Unsendable {
                code: code::TOO_LARGE.to_owned(),
                message,
            });
        }
        let mut hasher = self.hasher.clone();
        let fields = hasher
            .field_hashes(value)
            .map_err(|error| Skip::Unsendable {
                code: error.code().to_owned(),
                message: error.to_string(),
            })?;
        let keyed = self.keyed(&fields);
        let entry = self.entry(table, lid);
        if found && !self.is_news(table, lid, entry.as_ref(), &keyed) {
            return Err(Skip::Nothing);
        }
        if let Fields::Each(own) = &fields
            && let Some(diff) = self.diff(table, lid, own)
            && may_name(own, &diff)
        {
            let wire = self.on_wire(table, value);
            let on_wire = wire
                .as_deref()
                .map(|wire| hasher.field_hashes(wire.as_bytes()));
            let on_wire = match &on_wire {
                Some(Ok(Fields::Each(on_wire))) => on_wire,
                _ => own,
            };
            return self.patch(table, lid, latest, (own, on_wire, &diff));
        }
        if entry.as_ref().is_some_and(Entry::is_alive) && self.agrees(table, lid, &keyed) {
            return Err(Skip::Nothing);
        }
        let (rid, base) = self.name(table, lid, entry);
        let base = self.undecided(table, lid, base);
        let name = rid.clone().unwrap_or_else(|| lid.to_owned());
        let wire = self.on_wire(table, value);
        let on_wire = wire
            .as_deref()
            .map(|wire| hasher.field_hashes(wire.as_bytes()));
        let on_wire = on_wire.and_then(Result::ok);
        let hash = op_hash(
            table,
            &name,
            base,
            Content::Put(on_wire.as_ref().unwrap_or(&fields)),
        );
        let mut op = self.op(table, lid, rid, latest);
        op.base = base;
        op.fields = keyed;
        let mut head = self.head(&op, &name, OpKind::Put, latest.at_ms, hash);
        head.push_str(",\"value\":");
        let value = wire.as_deref().map_or(value, str::as_bytes);
        let bytes = (head.len() + value.len() + 1) as u64;
        let text = match &wire {
            None => Text::Spliced { head, slot },
            Some(wire) => {
                head.push_str(wire);
                head.push('}');
                Text::Whole { text: head }
            }
        };
        Ok(Ready { op, text, bytes })
    }

    /// The value with the ids of its parents in place of their keys; none where it has no such.
    fn on_wire(&mut self, table: &str, value: &[u8]) -> Option<String> {
        let (config, database) = (self.makers.config, self.database);
        if !references::has_any(config, database, table) {
            return None;
        }
        let value = std::str::from_utf8(value).ok()?;
        let mut rid_of = |parent: &str, lid: &str| {
            let entry = self.entry(parent, lid);
            self.name(parent, lid, entry).0
        };
        references::to_wire(config, database, table, value, &mut rid_of)
    }

    /// What the value changes in a record of the owner's that the server has.
    fn diff(&mut self, table: &str, lid: &str, fields: &[ValueField<'_>]) -> Option<Diff> {
        let id = self.database.page_id(table, lid);
        let page = self.change.page(self.database, &id, lid)?;
        page.get(lid).filter(|entry| entry.owner == self.owner)?;
        let mut diff = page.diff(lid, fields)?;
        let config = self.makers.config.table(table);
        if diff.echo && config.is_some_and(|table| table.stale_fields == StaleFields::AsWritten) {
            let page = self.change.page_mut(self.database, id, lid);
            page.forget_stale(lid);
            return self.diff(table, lid, fields);
        }
        if !diff.seen.is_empty() {
            let seen = std::mem::take(&mut diff.seen);
            let page = self.change.page_mut(self.database, id, lid);
            page.see(lid, &seen);
        }
        Some(diff)
    }

    /// The operation that sets and removes what differs. A stale object was made on the version
    /// before: so the server answers with the record, and the app's copy is repaired.
    fn patch(
        &mut self,
        table: &str,
        lid: &str,
        latest: &Latest,
        (fields, on_wire, diff): (&[ValueField<'_>], &[ValueField<'_>], &Diff),
    ) -> Result<Ready, Skip> {
        if diff.set.is_empty() && diff.unset.is_empty() && !diff.echo {
            return Err(Skip::Nothing);
        }
        let entry = self.entry(table, lid).unwrap_or_default();
        let mut op = self.op(table, lid, entry.rid.clone(), latest);
        op.patch = true;
        op.delete = false;
        op.base = self.undecided(table, lid, entry.version - u64::from(diff.echo));
        let name = entry.rid.unwrap_or_else(|| lid.to_owned());
        // The same names in the same order: only what parents are called differs.
        let set = diff.set.iter().filter_map(|place| on_wire.get(*place));
        let set: Vec<&ValueField<'_>> = set.collect();
        let digests: Vec<(&str, u64)> = set
            .iter()
            .map(|field| (field.name.as_ref(), field.hashes.digest))
            .collect();
        let unset: Vec<&str> = diff.unset.iter().map(String::as_str).collect();
        let content = Content::Patch {
            set: &digests,
            unset: &unset,
        };
        let hash = op_hash(table, &name, op.base, content);
        let own = diff.set.iter().filter_map(|place| fields.get(*place));
        op.fields = own
            .map(|field| (self.names.place(&field.name), field.hashes.keyed))
            .collect();
        op.unset = unset.iter().map(|name| self.names.place(name)).collect();
        let mut text = self.head(&op, &name, OpKind::Patch, latest.at_ms, hash);
        push_patch(&mut text, &set, &unset);
        text.push('}');
        let bytes = text.len() as u64;
        Ok(Ready {
            op,
            text: Text::Whole { text },
            bytes,
        })
    }

    fn keyed(&mut self, fields: &Fields<'_>) -> Vec<Field> {
        match fields {
            Fields::Whole(hashes) => vec![(WHOLE, hashes.keyed)],
            Fields::Each(fields) => {
                let place = |field: &tidesync_protocol::hash::Field<'_>| {
                    (self.names.place(&field.name), field.hashes.keyed)
                };
                fields.iter().map(place).collect()
            }
        }
    }

    /// Whether a scan must stage a record. What another user owns, or may own, it leaves alone.
    fn is_news(&self, table: &str, lid: &str, entry: Option<&Entry>, fields: &[Field]) -> bool {
        let Some(entry) = entry else {
            return self.unclaimed;
        };
        entry.owner == self.owner && !self.agrees(table, lid, fields)
    }

    /// Whether the server is known to have exactly this.
    fn agrees(&self, table: &str, lid: &str, fields: &[Field]) -> bool {
        let page = self.database.page_id(table, lid);
        let page = self.change.page(self.database, &page, lid);
        page.is_some_and(|page| page.agrees(lid, fields, &self.names))
    }

    /// The record's name on the server, where it is not its local one, and the base. A generated
    /// key gets a name of its own; one that was removed was generated anew, for another record.
    fn name(&mut self, table: &str, lid: &str, entry: Option<Entry>) -> (Option<String>, u64) {
        if !self.database.has_generated_keys(table) {
            let base = self.base(entry.as_ref());
            return (entry.and_then(|entry| entry.rid), base);
        }
        if let Some(entry) = entry.filter(|entry| !entry.deleted && entry.rid.is_some()) {
            let base = self.base(Some(&entry));
            return (entry.rid, base);
        }
        let rid = self.rids.remove(&(table.to_owned(), lid.to_owned()));
        let rid = rid.expect("an id for each record that was asked for");
        let entry = Entry {
            rid: Some(rid.clone()),
            owner: self.owner,
            ..Entry::default()
        };
        let page = self.database.page_id(table, lid);
        self.change
            .page_mut(self.database, page, lid)
            .put(lid, entry, &self.names);
        self.change.set_alias(self.database, table, &rid, lid);
        (Some(rid), 0)
    }

    fn op(&mut self, table: &str, lid: &str, rid: Option<String>, latest: &Latest) -> StagedOp {
        StagedOp {
            op: self.makers.ids.next(),
            table: table.to_owned(),
            lid: lid.to_owned(),
            rid,
            delete: latest.value.is_none(),
            patch: false,
            base: 0,
            changes: latest.changes,
            fields: Vec::new(),
            unset: Vec::new(),
        }
    }

    /// The operation's JSON up to its hash.
    fn head(&mut self, op: &StagedOp, rid: &str, kind: OpKind, at_ms: u64, hash: u64) -> String {
        let hlc = self.clock.tick(at_ms).to_string();
        let kind = match kind {
            OpKind::Put => "put",
            OpKind::Patch => "patch",
            OpKind::Delete => "delete",
        };
        let mut head = String::with_capacity(192 + op.table.len() + rid.len());
        head.push_str("{\"op\":");
        push_text(&mut head, &op.op);
        head.push_str(",\"space\":");
        push_text(&mut head, self.makers.config.space(&op.table));
        head.push_str(",\"table\":");
        push_text(&mut head, &op.table);
        head.push_str(",\"rid\":");
        push_text(&mut head, rid);
        head.push_str(",\"kind\":");
        push_text(&mut head, kind);
        head.push_str(",\"base\":");
        head.push_str(&op.base.to_string());
        head.push_str(",\"hlc\":");
        push_text(&mut head, &hlc);
        head.push_str(",\"hash\":");
        push_text(&mut head, &hash_text(hash));
        let on_conflict = match self.makers.config.strategy(&op.table) {
            Strategy::LastWriteWins => "",
            Strategy::Merge => ",\"onConflict\":\"merge\"",
            Strategy::ClientPriority
            | Strategy::ServerPriority
            | Strategy::Custom
            | Strategy::Manual => ",\"onConflict\":\"ask\"",
        };
        head.push_str(on_conflict);
        head
    }

    fn hold(&mut self, table: &str, lid: &str, code: String, message: String) {
        self.change.release(self.database, self.owner, table, lid);
        let (table, lid) = (table.to_owned(), lid.to_owned());
        let op = self.makers.ids.next();
        let notice = HeldNotice {
            table: table.clone(),
            lid: lid.clone(),
            code,
            message,
            at_ms: self.makers.now.wall_ms,
        };
        let held = Held {
            op,
            owner: self.owner,
            table,
            lid,
            base: 0,
            remote: None,
            barred: false,
        };
        self.change.held.push((held, notice, None));
    }
}

/// Stages a patch that changes nothing: the server answers it with the record.
pub(crate) fn ask_for(
    database: &mut Database,
    change: &mut Change,
    record: &RecordName,
    makers: &mut Makers<'_>,
) {
    let diff = Diff {
        echo: true,
        ..Diff::default()
    };
    let latest = Latest::removed(makers.now.wall_ms, 0);
    let mut writer = Writer::new(database, change, makers);
    let made = writer.patch(&record.table, &record.lid, &latest, (&[], &[], &diff));
    writer.ready.extend(made.ok());
    let (ops, names) = writer.finish();
    cut_batches(ops, &names, database, change, makers.config);
}

/// Whether a patch may name all that differs.
fn may_name(fields: &[ValueField<'_>], diff: &Diff) -> bool {
    let set = diff.set.iter().filter_map(|place| fields.get(*place));
    set.map(|field| field.name.len())
        .chain(diff.unset.iter().map(String::len))
        .all(|bytes| bytes <= FIELD_NAME_BYTES_MAX)
}

/// The members of a patch.
fn push_patch(to: &mut String, set: &[&ValueField<'_>], unset: &[&str]) {
    to.push_str(",\"set\":{");
    for (place, field) in set.iter().enumerate() {
        if place > 0 {
            to.push(',');
        }
        push_text(to, &field.name);
        to.push(':');
        to.push_str(field.value);
    }
    to.push('}');
    if !unset.is_empty() {
        to.push_str(",\"unset\":[");
        for (place, name) in unset.iter().enumerate() {
            if place > 0 {
                to.push(',');
            }
            push_text(to, name);
        }
        to.push(']');
    }
}

fn cut_batches(
    ready: Vec<Ready>,
    names: &Names,
    database: &mut Database,
    change: &mut Change,
    config: &Config,
) {
    let sizes: Vec<u64> = ready.iter().map(|ready| ready.bytes).collect();
    let ops_max = config.batch_ops_max as usize;
    let ranges = batch::cut(&sizes, ops_max, u64::from(config.batch_bytes_max));
    let mut ready = ready.into_iter();
    for range in ranges {
        let mut own = Names::default();
        let (mut ops, mut texts) = (Vec::new(), Vec::new());
        for Ready { mut op, text, .. } in ready.by_ref().take(range.len()) {
            for field in &mut op.fields {
                *field = own.adopt(*field, names);
            }
            for place in &mut op.unset {
                *place = own.adopt((*place, ABSENT), names).0;
            }
            ops.push(op);
            texts.push(text);
        }
        let owner = database.meta.owner.unwrap_or(0);
        let batch = Batch {
            number: database.take_batch_number(),
            owner,
            names: own,
            ops,
            not_before: 0,
            put_off: 0,
            suspect: 0,
        };
        change.batches.push((batch, texts));
    }
}
