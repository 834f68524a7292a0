//! What the server has done.

use std::collections::{BTreeMap, BTreeSet};

use tidesync_server::access::own_space;

use crate::fact::{Forgotten, Handled};
use crate::value::{canonical, parts};

/// A record of a user: table and id.
type Place = (String, String, String);

/// A record's past.
#[derive(Debug, Default)]
struct Past {
    /// Its value; none where it was removed.
    value: Option<String>,
    version: u64,
    /// It was removed, and nothing is left of that.
    forgotten: bool,
    /// Every value that it had, by version; none where it was removed.
    values: BTreeMap<u64, Option<String>>,
    /// Every part of a value that it ever had.
    parts: BTreeSet<(String, String)>,
}

/// What the server has done.
#[derive(Debug, Default)]
pub(crate) struct ServerTruth {
    records: BTreeMap<Place, Past>,
}

impl ServerTruth {
    pub(super) fn handled(&mut self, handled: &Handled) {
        if !handled.committed {
            return;
        }
        for (op, _, row) in &handled.ops {
            let Some(row) = row else { continue };
            let place = (handled.user.clone(), op.table.clone(), op.rid.clone());
            let past = self.records.entry(place).or_default();
            past.value.clone_from(&row.doc);
            past.version = row.version;
            past.forgotten = false;
            past.values.insert(row.version, row.doc.clone());
            past.parts.extend(row.doc.iter().flat_map(|doc| parts(doc)));
        }
    }

    pub(super) fn forgot(&mut self, forgotten: &Forgotten) {
        for ((user, table, rid), past) in &mut self.records {
            let tombstone = (own_space(user), table.clone(), rid.clone());
            past.forgotten |= forgotten.tombstones.contains(&tombstone);
        }
    }

    /// The last removal of a user's record of which nothing is left.
    pub(crate) fn forgotten_version(&self, user: &str) -> u64 {
        let own = self.records.iter().filter(|((of, ..), _)| of == user);
        let forgotten = own.filter(|(_, past)| past.forgotten);
        forgotten.map(|(_, past)| past.version).max().unwrap_or(0)
    }

    fn past(&self, user: &str, table: &str, rid: &str) -> Option<&Past> {
        let place = (user.to_owned(), table.to_owned(), rid.to_owned());
        self.records.get(&place)
    }

    /// The value of a record; none where there is none or it was removed.
    pub(crate) fn value(&self, user: &str, table: &str, rid: &str) -> Option<&str> {
        self.past(user, table, rid)?.value.as_deref()
    }

    /// The records of a user whose version is above `from` and not above `to`, as they are now, but
    /// for those of which nothing is left.
    pub(crate) fn between(
        &self,
        user: &str,
        from: u64,
        to: u64,
    ) -> impl Iterator<Item = (&str, &str, u64, Option<&str>)> {
        let own = self.records.iter().filter(move |((of, ..), past)| {
            of == user && !past.forgotten && from < past.version && past.version <= to
        });
        own.map(|((_, table, rid), past)| {
            (
                table.as_str(),
                rid.as_str(),
                past.version,
                past.value.as_deref(),
            )
        })
    }

    /// Whether a record had this value at this version.
    pub(crate) fn was(
        &self,
        user: &str,
        (table, rid): (&str, &str),
        version: u64,
        value: Option<&str>,
    ) -> bool {
        let past = self.past(user, table, rid);
        let was = past.and_then(|past| past.values.get(&version));
        was.is_some_and(|was| was.as_deref().map(canonical) == value.map(canonical))
    }

    /// Whether a record ever had this part.
    pub(crate) fn had(&self, user: &str, (table, rid): (&str, &str), part: &Part) -> bool {
        let past = self.past(user, table, rid);
        past.is_some_and(|past| past.parts.contains(part))
    }
}

/// A field's name and value, or no name and a whole value.
pub(crate) type Part = (String, String);
