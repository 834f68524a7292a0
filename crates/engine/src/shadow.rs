//! The shadow: what the server is known to have, one entry per record, in pages.
//!
//! A table's pages are the buckets of a linear hash table: with `n` buckets, a record's bucket is
//! its hash modulo the next power of two, or modulo half of it where that bucket does not exist
//! yet. Growing by one bucket splits exactly one page, so that growing never touches the rest.

use tidesync_protocol::sort;

use crate::bytes::{Reader, Writer};
use crate::sorted::SortedMap;

/// A page is split when the table's pages hold more than this on average, so that pages, which
/// differ by a factor of two at most, stay at about 32 KiB.
const AVERAGE_BYTES_MAX: u64 = 22 * 1024;

const VERSION: u64 = 1;

/// A field's place among its page's or batch's names, and the hash of its value.
pub(crate) type Field = (u32, u64);

/// The place that stands for the value as a whole, where it is not hashed field by field.
pub(crate) const WHOLE: u32 = u32::MAX;

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

    fn get(&self, place: u32) -> Option<&str> {
        self.list.get(place as usize).map(String::as_str)
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

    /// Stores an entry whose fields are places in `names`.
    pub(crate) fn put(&mut self, lid: &str, mut entry: Entry, names: &Names) {
        for field in &mut entry.fields {
            *field = self.names.adopt(*field, names);
        }
        self.entries.insert(lid.to_owned(), entry);
    }

    /// Whether the entry of `lid` is there, alive, and has exactly these fields.
    pub(crate) fn agrees(&self, lid: &str, fields: &[Field], names: &Names) -> bool {
        let alive = self
            .entries
            .get(lid)
            .filter(|entry| entry.version > 0 && !entry.deleted);
        alive.is_some_and(|entry| self.names.resolve(&entry.fields) == names.resolve(fields))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut names = Names::default();
        let mut body = Writer::default();
        for (lid, entry) in self.entries.iter() {
            body.text(lid);
            body.number(u64::from(entry.deleted) | u64::from(entry.rid.is_some()) << 1);
            if let Some(rid) = &entry.rid {
                body.text(rid);
            }
            body.number(entry.version);
            body.number(u64::from(entry.owner));
            let fields = entry
                .fields
                .iter()
                .map(|field| names.adopt(*field, &self.names));
            write_fields(&mut body, &fields.collect::<Vec<_>>());
        }
        let mut to = Writer::default();
        to.number(VERSION);
        names.write(&mut to);
        to.append(&body.finish());
        to.finish()
    }

    /// None where the bytes are not a page. No bytes are an empty page.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut page = Self::default();
        let mut from = Reader::new(bytes);
        if from.is_at_end() {
            return Some(page);
        }
        if from.number()? != VERSION {
            return None;
        }
        page.names = Names::read(&mut from)?;
        while !from.is_at_end() {
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
                fields: read_fields(&mut from)?,
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
