//! The small JSON reader and writer against a whole one.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidesync_protocol::json::{JsonReader, ObjectWriter, push_text};

/// Passes over a value that must be the whole text.
fn skips(text: &str) -> bool {
    let mut reader = JsonReader::new(text);
    reader.skip().is_ok() && reader.end().is_ok()
}

/// Reads `{"a": text, "b": whole}` among other members.
fn read(text: &str) -> Option<(Option<String>, Option<u64>)> {
    let mut reader = JsonReader::new(text);
    let (mut a, mut b) = (None, None);
    let read = reader.object(&mut |name, value| {
        match name {
            "a" => a = value.text()?,
            "b" => b = value.whole()?,
            _ => value.skip()?,
        }
        Ok(())
    });
    read.ok()?;
    reader.end().ok()?;
    Some((a, b))
}

#[test]
fn passes_over_what_is_no_wire_form() {
    let answer = r#" {"x": [-0, "\ud800", ["~new", {"]": "\"}\\"}]], "a" : "é\n", "b":7} "#;
    assert_eq!(read(answer), Some((Some("é\n".to_owned()), Some(7))));
    assert_eq!(read(r#"{"a":null,"b":null}"#), Some((None, None)));
    assert_eq!(read("{}"), Some((None, None)));
}

#[test]
fn refuses_what_is_not_asked_for() {
    for text in [
        "",
        "[]",
        "null",
        r#"{"a":1}"#,
        r#"{"b":"1"}"#,
        r#"{"b":-1}"#,
        r#"{"b":1.5}"#,
        r#"{"b":1e300}"#,
        r#"{"x":"#,
        r#"{"x":"}"#,
        r#"{"x":"\"#,
        r#"{"x":[}"#,
        r#"{"x":,"a":null}"#,
        r#"{"a":"b"} x"#,
        "{\"x\":\"\n\"}",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn writes_members() {
    let mut object = ObjectWriter::default();
    object.text("name", "a\"b").whole("n", u64::MAX);
    let text = object.flag("on", true).json("list", "[1]").finish();
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let expected = json!({"name": "a\"b", "n": u64::MAX, "on": true, "list": [1]});
    assert_eq!(value, expected);
    assert_eq!(ObjectWriter::default().finish(), "{}");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn writes_texts_as_others_do(text: String) {
        let mut written = String::new();
        push_text(&mut written, &text);
        prop_assert_eq!(written, Value::from(text).to_string());
    }

    #[test]
    fn passes_over_any_json(value in any_value()) {
        let compact = value.to_string();
        prop_assert!(skips(&compact));
        prop_assert!(skips(&serde_json::to_string_pretty(&value).expect("JSON")));
        let cut: String = compact.chars().take(compact.chars().count() - 1).collect();
        let ends_with_bracket = value.is_array() || value.is_object() || value.is_string();
        prop_assert_eq!(skips(&cut) && ends_with_bracket, false);
    }

    #[test]
    fn reads_any_text_as_json(text: String, number in 0..1_u64 << 53) {
        let json = json!({"a": text, "b": number}).to_string();
        prop_assert_eq!(read(&json), Some((Some(text), Some(number))));
    }
}
