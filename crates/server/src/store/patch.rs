//! Setting and removing top-level fields of a stored value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A plain object's fields in their order, which JavaScript shows.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a plain object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor).map(Fields)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The value `doc` with the fields of `set` set and those of `unset` removed. `None` when `doc` is
/// not a plain object, which has no fields to patch.
pub(super) fn patched(
    doc: &str,
    set: Option<&BTreeMap<String, Box<RawValue>>>,
    unset: Option<&[String]>,
) -> Option<String> {
    let Fields(mut fields) = serde_json::from_str(doc).ok()?;
    if let Some(unset) = unset {
        let unset: BTreeSet<&str> = unset.iter().map(String::as_str).collect();
        fields.retain(|(name, _)| !unset.contains(name.as_str()));
    }
    if let Some(set) = set {
        let mut new: BTreeMap<&str, &RawValue> = set
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()))
            .collect();
        for (name, value) in &mut fields {
            if let Some(latest) = new.remove(name.as_str()) {
                *value = latest;
            }
        }
        fields.extend(
            new.into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
    }
    serde_json::to_string(&Fields(fields)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(doc: &str, set: &str, unset: &[&str], expected: Option<&str>) {
        let set: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(set).expect("`set` is an object");
        let unset: Vec<String> = unset.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(patched(doc, Some(&set), Some(&unset)).as_deref(), expected);
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
