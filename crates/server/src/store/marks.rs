//! When and by whom each field of a record was last written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidesync_protocol::hash::FIELDS_MAX;
use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::merge::Stamp;

/// About the bytes that are stored of a mark besides its field's name.
const MARK_BYTES: usize = 64;

/// Most bytes of the names of removed fields that are remembered.
const REMOVED_BYTES_MAX: usize = 64 * 1024;

/// A write: the version that it made, its clock and its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) version: u64,
    pub(super) clock: Hlc,
    pub(super) client: String,
}

impl Mark {
    pub(super) fn stamp(&self) -> Stamp<'_> {
        Stamp {
            clock: self.clock,
            client: &self.client,
        }
    }
}

/// What a client knows: everything up to a version, and its own writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) base: u64,
    pub(super) client: &'a str,
}

impl Known<'_> {
    /// Whether it does not know of this write.
    pub(super) fn lacks(&self, mark: &Mark) -> bool {
        self.base < mark.version && mark.client != self.client
    }
}

/// The marks of all fields that a record has, had, and never had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    /// Of the fields that are not in `each`.
    pub(super) rest: Mark,
    pub(super) each: BTreeMap<String, Mark>,
}

/// A mark as it is stored: version, clock, client.
#[derive(Serialize, Deserialize)]
struct MarkText(u64, String, String);

#[derive(Serialize, Deserialize)]
struct MarksText {
    rest: MarkText,
    each: BTreeMap<String, MarkText>,
}

impl From<&Mark> for MarkText {
    fn from(mark: &Mark) -> Self {
        Self(mark.version, mark.clock.to_string(), mark.client.clone())
    }
}

impl From<MarkText> for Mark {
    fn from(MarkText(version, clock, client): MarkText) -> Self {
        let clock = clock.parse().unwrap_or_default();
        Self {
            version,
            clock,
            client,
        }
    }
}

impl Marks {
    /// One write wrote them all.
    pub(super) fn whole(mark: Mark) -> Self {
        Self {
            rest: mark,
            each: BTreeMap::new(),
        }
    }

    pub(super) fn of(&self, field: &str) -> &Mark {
        self.each.get(field).unwrap_or(&self.rest)
    }

    pub(super) fn set(&mut self, field: &str, mark: Mark) {
        if mark == self.rest {
            self.each.remove(field);
        } else {
            self.each.insert(field.to_owned(), mark);
        }
    }

    /// The greatest of all writes.
    pub(super) fn latest(&self) -> &Mark {
        let each = self.each.values();
        each.fold(&self.rest, |latest, mark| {
            if latest.stamp() < mark.stamp() {
                mark
            } else {
                latest
            }
        })
    }

    /// The greatest of the writes that a client does not know of.
    pub(super) fn latest_unknown(&self, known: Known<'_>) -> Option<&Mark> {
        std::iter::once(&self.rest)
            .chain(self.each.values())
            .filter(|mark| known.lacks(mark))
            .max_by_key(|mark| mark.stamp())
    }

    /// Forgets the earliest of the fields that were removed, where there are more than [`FIELDS_MAX`]
    /// or their names are too long together: records whose fields come and go must not grow for ever.
    pub(super) fn forget_removed(&mut self, is_present: impl Fn(&str) -> bool) {
        let mut removed: Vec<(u64, String)> = self
            .each
            .iter()
            .filter(|(name, _)| !is_present(name))
            .map(|(name, mark)| (mark.version, name.clone()))
            .collect();
        removed.sort_unstable();
        let mut bytes = 0;
        for (place, (_, name)) in removed.into_iter().rev().enumerate() {
            bytes += name.len();
            if FIELDS_MAX <= place || REMOVED_BYTES_MAX < bytes {
                self.each.remove(&name);
            }
        }
    }

    /// About the bytes that are stored of them.
    pub(super) fn bytes(&self) -> usize {
        let each = self.each.keys();
        each.map(|name| MARK_BYTES + name.len()).sum()
    }

    /// As it is stored; none where `own`, the record's own mark, says all.
    pub(super) fn to_text(&self, own: &Mark) -> Option<String> {
        if self.each.is_empty() && self.rest == *own {
            return None;
        }
        let each = self
            .each
            .iter()
            .map(|(name, mark)| (name.clone(), mark.into()));
        let text = MarksText {
            rest: (&self.rest).into(),
            each: each.collect(),
        };
        serde_json::to_string(&text).ok()
    }

    /// Reads what [`Marks::to_text`] wrote.
    pub(super) fn from_text(text: Option<&str>, own: Mark) -> serde_json::Result<Self> {
        let Some(text) = text else {
            return Ok(Self::whole(own));
        };
        let text: MarksText = serde_json::from_str(text)?;
        let each = text.each.into_iter();
        Ok(Self {
            rest: text.rest.into(),
            each: each.map(|(name, mark)| (name, mark.into())).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(version: u64, client: &str) -> Mark {
        Mark {
            version,
            clock: Hlc::at(version),
            client: client.to_owned(),
        }
    }

    #[test]
    fn marks_are_stored_only_where_they_differ() -> serde_json::Result<()> {
        let own = mark(7, "a");
        let mut marks = Marks::whole(own.clone());
        assert_eq!(marks.to_text(&own), None);
        assert_eq!(Marks::from_text(None, own.clone())?, marks);
        marks.set("x", mark(3, "b"));
        marks.set("y", own.clone());
        let text = marks.to_text(&own);
        let expected = concat!(
            r#"{"rest":[7,"0000000000070000","a"],"#,
            r#""each":{"x":[3,"0000000000030000","b"]}}"#
        );
        assert_eq!(text.as_deref(), Some(expected));
        assert_eq!(Marks::from_text(text.as_deref(), own)?, marks);
        Ok(())
    }

    #[test]
    fn removed_fields_are_remembered_up_to_a_limit() {
        let mut marks = Marks::whole(mark(1, "a"));
        for version in 2..400 {
            marks.set(&format!("f{version}"), mark(version, "b"));
        }
        marks.forget_removed(|name| name == "f2");
        assert_eq!(marks.each.len(), FIELDS_MAX + 1);
        assert!(marks.each.contains_key("f2") && marks.each.contains_key("f399"));
        assert!(!marks.each.contains_key("f3"));
    }

    #[test]
    fn the_names_of_removed_fields_are_limited_together() {
        let mut marks = Marks::whole(mark(1, "a"));
        for version in 2..102 {
            marks.set(&format!("{version:01024}"), mark(version, "b"));
        }
        marks.forget_removed(|_| false);
        assert_eq!(marks.each.len(), 64);
        assert!(marks.each.contains_key(&format!("{:01024}", 101)));
    }
}
