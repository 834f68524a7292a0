//! The shadow: what the server is known to have, one entry per record, in pages.
//!
//! A table's pages are the buckets of a linear hash table: with `n` buckets, a record's bucket is
//! its hash modulo the next power of two, or modulo half of it where that bucket does not exist
//! yet. Growing by one bucket splits exactly one page, so that growing never touches the rest.
//!
//! A page is stored in parts: what changes is put behind what is there, so that a change writes as
//! much as it changes. Now and then a page is stored whole again, in place of its parts.

use tidesync_protocol::sort;

use crate::bytes::{Reader, Writer};
use crate::sorted::SortedMap;

/// A page is split when the table's pages hold more than this on average, so that pages, which
/// differ by a factor of two at most, stay at about 32 KiB.
const AVERAGE_BYTES_MAX: u64 = 22 * 1024;

/// A page is stored whole again when the parts behind cost more than this.
const PARTS_COST_MAX: u64 = AVERAGE_BYTES_MAX;

/// What a part costs those who read it, in bytes, besides its own.
const PART_COST: u64 = 512;

const VERSION: u64 = 2;

/// A field's place among its page's or batch's names, and the hash of its value.
pub(crate) type Field = (u32, u64);

/// The place that stands for the value as a whole, where it is not hashed field by field.
pub(crate) const WHOLE: u32 = u32::MAX;

/// Stands for the hash of a field that is not there.
pub(crate) const ABSENT: u64 = 0;

/// What the server is known to have of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The record's id on the server, where it is not its local one.
    pub(crate) rid: Option<String>,
    /// The version; 0 where the server is not known to have it.
    pub(crate) version: u64,
    /// Whose it is, by place.
    pub(crate) owner: u32,
    /// Whether the server removed it.
    pub(crate) deleted: bool,
    /// The hashes of its fields.
    pub(crate) fields: Vec<Field>,
    /// What fields were before another client changed them last, as long as the app has not been
    /// seen to know: what it saves so is an echo of what it read before (DESIGN section 5).
    pub(crate) stale: Vec<Field>,
    /// When it was last compared with the server: see `Meta::generation`.
    pub(crate) generation: u32,
}

impl Entry {
    /// Whether the server is known to have the record.
    pub(crate) fn is_alive(&self) -> bool {
        self.version > 0 && !self.deleted
    }

    fn is_whole(&self) -> bool {
        self.fields.iter().any(|field| field.0 == WHOLE)
    }
}

/// What a value of the app's changes in a record that the server has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diff {
    /// The places of changed fields among the value's.
    pub(crate) set: Vec<usize>,
    /// The names of removed fields.
    pub(crate) unset: Vec<String>,
    /// Whether it holds fields as they were before another client changed them.
    pub(crate) echo: bool,
    /// The names of fields that another client changed, as the app has seen now.
    pub(crate) seen: Vec<String>,
}

/// Field names, each once, known by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    list: Vec<String>,
    places: SortedMap<String, u32>,
}

impl Names {
    /// The place of `name`; a new one is appended.
    pub(crate) fn place(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.list.len() as u32;
        self.list.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    pub(crate) fn get(&self, place: u32) -> Option<&str> {
        self.list.get(place as usize).map(String::as_str)
    }

    /// The hash of a field in a list.
    fn find(&self, fields: &[Field], name: &str) -> Option<u64> {
        let place = *self.places.get(name)?;
        let field = fields.iter().find(|field| field.0 == place)?;
        Some(field.1)
    }

    /// Takes a field over from other names.
    pub(crate) fn adopt(&mut self, (place, hash): Field, from: &Self) -> Field {
        (from.get(place).map_or(WHOLE, |name| self.place(name)), hash)
    }

    /// The fields by name, in the order of names.
    fn resolve(&self, fields: &[Field]) -> Vec<(Option<&str>, u64)> {
        let named = |place: usize| fields.get(place).map(|field| (self.get(field.0), field.1));
        let order = sort::order(fields.len(), &|one, other| named(one).cmp(&named(other)));
        order.into_iter().filter_map(named).collect()
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.count(self.list.len());
        self.list.iter().for_each(|name| to.text(name));
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut names = Self::default();
        for _ in 0..from.count()? {
            names.place(&from.text()?);
        }
        Some(names)
    }
}

/// One bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    names: Names,
    entries: SortedMap<String, Entry>,
}

impl Page {
    pub(crate) fn get(&self, lid: &str) -> Option<&Entry> {
        self.entries.get(lid)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Stores an entry whose fields are places in `names`.
    pub(crate) fn put(&mut self, lid: &str, mut entry: Entry, names: &Names) {
        for field in entry.fields.iter_mut().chain(&mut entry.stale) {
            *field = self.names.adopt(*field, names);
        }
        self.entries.insert(lid.to_owned(), entry);
    }

    pub(crate) fn get_mut(&mut self, lid: &str) -> Option<&mut Entry> {
        self.entries.get_mut(lid)
    }

    pub(crate) fn remove(&mut self, lid: &str) {
        self.entries.remove(lid);
    }

    /// The hash of a field among those of an entry.
    pub(crate) fn find(&self, fields: &[Field], name: &str) -> Option<u64> {
        self.names.find(fields, name)
    }

    /// The names of an entry's fields.
    pub(crate) fn names_of<'a>(&'a self, fields: &'a [Field]) -> impl Iterator<Item = &'a str> {
        fields.iter().filter_map(|field| self.names.get(field.0))
    }

    /// What `fields` change in the record; none where the change cannot be told field by field.
    pub(crate) fn diff(
        &self,
        lid: &str,
        fields: &[tidesync_protocol::hash::Field<'_>],
    ) -> Option<Diff> {
        let entry = self.entries.get(lid)?;
        if !entry.is_alive() || entry.is_whole() {
            return None;
        }
        let mut diff = Diff::default();
        for (place, field) in fields.iter().enumerate() {
            let known = self.names.find(&entry.fields, &field.name);
            let stale = self.names.find(&entry.stale, &field.name);
            if known == Some(field.hashes.keyed) {
                diff.seen
                    .extend(stale.map(|_| field.name.clone().into_owned()));
            } else if stale == Some(field.hashes.keyed) {
                diff.echo = true;
            } else {
                diff.set.push(place);
            }
        }
        for name in self.names_of(&entry.fields) {
            let kept = fields.binary_search_by(|field| field.name.as_ref().cmp(name));
            if kept.is_err() && self.names.find(&entry.stale, name) == Some(ABSENT) {
                diff.echo = true;
            } else if kept.is_err() {
                diff.unset.push(name.to_owned());
            }
        }
        let order = sort::order(diff.unset.len(), &|one, other| {
            diff.unset.get(one).cmp(&diff.unset.get(other))
        });
        diff.unset = sort::arranged(diff.unset, &order);
        Some(diff)
    }

    /// The app has seen what another client made of these fields.
    pub(crate) fn see(&mut self, lid: &str, seen: &[String]) {
        let places: Vec<Option<u32>> = seen
            .iter()
            .map(|name| self.names.places.get(name.as_str()).copied())
            .collect();
        if let Some(entry) = self.entries.get_mut(lid) {
            entry.stale.retain(|field| !places.contains(&Some(field.0)));
        }
    }

    /// Whatever the app saves of this record is a change.
    pub(crate) fn forget_stale(&mut self, lid: &str) {
        if let Some(entry) = self.entries.get_mut(lid) {
            entry.stale.clear();
        }
    }

    /// The record became this on the server. `replaced` are the fields that changed in the app's
    /// store with it, and what they were there; none where the app had what was known of the server.
    pub(crate) fn advance(
        &mut self,
        lid: &str,
        mut entry: Entry,
        replaced: Option<&[(String, u64)]>,
        names: &Names,
    ) {
        for field in &mut entry.fields {
            *field = self.names.adopt(*field, names);
        }
        let place = |(name, hash): &(String, u64)| (self.names.place(name), *hash);
        let told = replaced.map(|replaced| replaced.iter().map(place).collect());
        let before = self.entries.get(lid).filter(|before| before.is_alive());
        let mut stale: Vec<Field> = match before.cloned() {
            Some(before) => {
                let changed = changed(&before.fields, &entry.fields);
                // What changed before and not now is as stale as it was.
                let is_new = |field: &Field| changed.iter().any(|it| it.0 == field.0);
                let kept = before.stale.into_iter().filter(|field| !is_new(field));
                let kept: Vec<Field> = kept.collect();
                let mut stale = told.unwrap_or(changed);
                stale.extend(kept);
                stale
            }
            None => told.unwrap_or_default(),
        };
        stale.retain(|field| field.0 != WHOLE);
        entry.stale = stale;
        self.entries.insert(lid.to_owned(), entry);
    }

    /// The server has taken a patch of the record: `set` and `unset` are places in `names`.
    pub(crate) fn patch(&mut self, lid: &str, set: &[Field], unset: &[u32], names: &Names) {
        let adopted: Vec<Field> = set
            .iter()
            .map(|field| self.names.adopt(*field, names))
            .collect();
        let gone: Vec<u32> = unset
            .iter()
            .map(|place| self.names.adopt((*place, 0), names).0)
            .collect();
        if let Some(entry) = self.entries.get_mut(lid) {
            let is_new = |field: &Field| adopted.iter().any(|new| new.0 == field.0);
            entry
                .fields
                .retain(|field| !is_new(field) && !gone.contains(&field.0));
            // The app's own change of a field ends that it is behind of another's.
            entry
                .stale
                .retain(|field| !is_new(field) && !gone.contains(&field.0));
            entry.fields.extend(adopted);
        }
    }

    /// Whether the entry of `lid` is there, alive, and has exactly these fields.
    pub(crate) fn agrees(&self, lid: &str, fields: &[Field], names: &Names) -> bool {
        let alive = self.get(lid).filter(|entry| entry.is_alive());
        alive.is_some_and(|entry| self.names.resolve(&entry.fields) == names.resolve(fields))
    }

    /// Puts the entries of a part in place of those that are here.
    pub(crate) fn merge(&mut self, part: Self) {
        for (lid, entry) in part.entries {
            self.put(&lid, entry, &part.names);
        }
    }

    /// Takes an entry over from another page, unless there is one.
    pub(crate) fn borrow(&mut self, lid: &str, from: &Self) {
        if let (None, Some(entry)) = (self.get(lid), from.get(lid)) {
            self.put(lid, entry.clone(), &from.names);
        }
    }

    /// The part that has all of this: behind others, or `whole`, in place of them.
    pub(crate) fn encode(&self, whole: bool) -> Vec<u8> {
        let mut names = Names::default();
        let mut body = Writer::default();
        body.count(self.entries.len());
        for (lid, entry) in self.entries.iter() {
            body.text(lid);
            let flags = [entry.deleted, entry.rid.is_some(), !entry.stale.is_empty()];
            body.flags(&flags);
            if let Some(rid) = &entry.rid {
                body.text(rid);
            }
            body.number(entry.version);
            body.number(u64::from(entry.owner));
            body.number(u64::from(entry.generation));
            let mut adopted = |fields: &[Field]| -> Vec<Field> {
                let adopt = |field: &Field| names.adopt(*field, &self.names);
                fields.iter().map(adopt).collect()
            };
            write_fields(&mut body, &adopted(&entry.fields));
            if !entry.stale.is_empty() {
                write_fields(&mut body, &adopted(&entry.stale));
            }
        }
        let mut to = Writer::default();
        to.number(VERSION);
        to.flags(&[whole]);
        names.write(&mut to);
        to.append(&body.finish());
        to.finish()
    }

    /// Reads the parts of a page, one after the other; none where the bytes are not such.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Stored> {
        let mut stored = Stored::default();
        let mut from = Reader::new(bytes);
        while !from.is_at_end() {
            let left = from.left();
            if from.number()? != VERSION {
                return None;
            }
            let whole = from.number()? == 1;
            let part = Self::read(&mut from)?;
            // Parts before a whole one count for nothing.
            let before = if whole { 0 } else { stored.bytes };
            stored.add(part, whole, before + (left - from.left()) as u64);
        }
        Some(stored)
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut page = Self {
            names: Names::read(from)?,
            ..Self::default()
        };
        for _ in 0..from.count()? {
            let lid = from.text()?;
            let flags = from.number()?;
            let entry = Entry {
                deleted: flags & 1 != 0,
                rid: if flags & 2 != 0 {
                    Some(from.text()?)
                } else {
                    None
                },
                version: from.number()?,
                owner: from.small()?,
                generation: from.small()?,
                fields: read_fields(from)?,
                stale: if flags & 4 != 0 {
                    read_fields(from)?
                } else {
                    Vec::new()
                },
            };
            page.entries.insert(lid, entry);
        }
        Some(page)
    }

    /// Moves the entries for which `moves` holds to a new page.
    pub(crate) fn split(&mut self, moves: impl Fn(&str) -> bool) -> Self {
        let whole = std::mem::take(self);
        let mut other = Self::default();
        for (lid, entry) in whole.entries {
            let page = if moves(&lid) { &mut other } else { &mut *self };
            page.put(&lid, entry, &whole.names);
        }
        other
    }
}

/// A page as it is stored: in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) page: Page,
    /// The bytes of all parts.
    pub(crate) bytes: u64,
    /// What the parts behind the whole one cost.
    cost: u64,
}

impl Stored {
    /// Adds the next part; with it, the page has so many bytes.
    pub(crate) fn add(&mut self, part: Page, whole: bool, bytes: u64) {
        if whole {
            (self.page, self.cost) = (part, 0);
        } else {
            self.page.merge(part);
            self.cost += bytes.saturating_sub(self.bytes) + PART_COST;
        }
        self.bytes = bytes;
    }

    /// Whether what comes next is better stored with all the rest.
    pub(crate) fn is_scattered(&self) -> bool {
        self.cost > PARTS_COST_MAX
    }
}

/// The fields that differ, with what they were before.
fn changed(before: &[Field], after: &[Field]) -> Vec<Field> {
    let hash = |fields: &[Field], place: u32| {
        let field = fields.iter().find(|field| field.0 == place);
        field.map_or(ABSENT, |field| field.1)
    };
    let mut changed: Vec<Field> = Vec::new();
    for (place, _) in before.iter().chain(after) {
        let was = hash(before, *place);
        if was != hash(after, *place) && !changed.iter().any(|it| it.0 == *place) {
            changed.push((*place, was));
        }
    }
    changed
}

pub(crate) fn write_fields(to: &mut Writer, fields: &[Field]) {
    to.count(fields.len());
    for (name, hash) in fields {
        to.number(u64::from(*name));
        to.hash(*hash);
    }
}

pub(crate) fn read_fields(from: &mut Reader<'_>) -> Option<Vec<Field>> {
    let count = from.count()?;
    (0..count)
        .map(|_| Some((from.small()?, from.hash()?)))
        .collect()
}

/// The bucket of a record with this hash, in a table of `buckets` buckets.
pub(crate) fn bucket(hash: u64, buckets: u32) -> u32 {
    let all = u64::from(buckets.max(1));
    let wide = hash & (all.next_power_of_two() - 1);
    let bucket = if wide < all {
        wide
    } else {
        hash & (all.next_power_of_two() / 2 - 1)
    };
    bucket as u32
}

/// The bucket that is split when a table of `buckets` buckets grows by one.
pub(crate) fn next_split(buckets: u32) -> u32 {
    let all = buckets.max(1);
    all - (1 << all.ilog2())
}

/// Whether a table whose pages have `bytes` bytes in all needs one more bucket.
pub(crate) fn is_crowded(bytes: u64, buckets: u32) -> bool {
    bytes > AVERAGE_BYTES_MAX * u64::from(buckets.max(1))
}
