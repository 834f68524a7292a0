//! A plain object's text: reading its top-level fields, and writing them in their order, which
//! JavaScript shows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tidesync_protocol::hash::FIELDS_MAX;
use tidesync_protocol::json::push_text;

/// What is written to fields; none where one is removed.
pub(super) type Changes<'a> = BTreeMap<&'a str, Option<&'a RawValue>>;

/// A plain object's fields in their order.
#[derive(Debug, Clone)]
pub(super) struct Document<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A field's name, which most often stands in the text as it is.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a plain object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor).map(Document)
    }
}

impl<'a> Document<'a> {
    /// None where `text` is not a plain object.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn fields(&self) -> BTreeMap<&str, &'a RawValue> {
        let fields = self.0.iter();
        fields
            .map(|(name, value)| (name.as_ref(), *value))
            .collect()
    }

    /// Whether its fields count one by one.
    pub(super) fn has_fields(&self) -> bool {
        self.0.len() <= FIELDS_MAX
    }

    /// Makes `changes`. A field keeps its place; new ones come last.
    pub(super) fn change(&mut self, changes: &Changes<'a>) {
        self.0
            .retain_mut(|(name, value)| match changes.get(name.as_ref()) {
                None => true,
                Some(None) => false,
                Some(Some(latest)) => {
                    *value = latest;
                    true
                }
            });
        let old: BTreeSet<&str> = self.0.iter().map(|(name, _)| name.as_ref()).collect();
        let new = changes.iter().filter(|(name, _)| !old.contains(*name));
        let new: Vec<_> = new
            .filter_map(|(&name, value)| Some((Cow::Borrowed(name), (*value)?)))
            .collect();
        self.0.extend(new);
    }

    pub(super) fn to_text(&self) -> String {
        let fields = self.0.iter();
        object_text(fields.map(|(name, value)| (name.as_ref(), *value)))
    }
}

/// A plain object's text.
pub(super) fn object_text<'a>(fields: impl Iterator<Item = (&'a str, &'a RawValue)>) -> String {
    let mut text = "{".to_owned();
    for (name, value) in fields {
        if text.len() > 1 {
            text.push(',');
        }
        push_text(&mut text, name);
        text.push(':');
        text.push_str(value.get());
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(doc: &str, set: &str, unset: &[&str], expected: Option<&str>) {
        let set: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(set).expect("`set` is an object");
        let set = set
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()));
        let unset = unset.iter().map(|&name| (name, None));
        let changes = set.map(|(name, value)| (name, Some(value))).chain(unset);
        let changed = Document::read(doc).map(|mut document| {
            document.change(&changes.collect());
            document.to_text()
        });
        assert_eq!(changed.as_deref(), expected);
    }

    #[test]
    fn fields_keep_their_order_and_new_ones_come_last() {
        check(
            r#"{"b":1,"a":[1,2],"c":{"d":null}}"#,
            r#"{"e":["~date",5],"a":true}"#,
            &["c"],
            Some(r#"{"b":1,"a":true,"e":["~date",5]}"#),
        );
    }

    #[test]
    fn what_is_not_a_plain_object_cannot_be_patched() {
        for doc in ["[1]", "1", "null", r#""text""#, r#"["~map",[1,2]]"#] {
            check(doc, r#"{"a":1}"#, &[], None);
        }
    }

    #[test]
    fn removing_what_is_not_there_changes_nothing() {
        check(
            r#"{"a":1.50}"#,
            "{}",
            &["__proto__", ""],
            Some(r#"{"a":1.50}"#),
        );
    }
}
