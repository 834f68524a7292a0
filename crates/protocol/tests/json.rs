//! The small JSON reader and writer against a whole one.

use proptest::prelude::*;
use serde_json::{Value, json as value};
use tidesync_protocol::json;
use tidesync_protocol::json::{Json, ObjectWriter, push_text};

/// Passes over a value that must be the whole text.
fn skips(text: &str) -> bool {
    json::read(text, 0, |_| ()).is_some()
}

/// Reads `{"a": text, "b": whole}` among other members.
fn read(text: &str) -> Option<(Option<String>, Option<u64>)> {
    json::read(text, 1, |object| {
        object.members().for_each(drop);
        let (a, b) = (object.get("a"), object.get("b"));
        (a.optional(Json::text), b.optional(Json::whole))
    })
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
fn takes_apart_as_deep_as_it_is_told() {
    let text = r#"{"a":[{"b":[1,"x"]},true,null], "c":"z", "a\u0062":{}}"#;
    let names = |json: Json<'_>| json.members().map(|(name, _)| name.to_owned()).collect();
    let read: Option<Vec<String>> = json::read(text, 1, names);
    assert_eq!(
        read,
        Some(vec!["a".to_owned(), "c".to_owned(), "ab".to_owned()])
    );
    let lists = |json: Json<'_>| json.get("a").elements().map(Json::raw).collect();
    let read: Option<Vec<String>> = json::read(text, 2, lists);
    let elements = [r#"{"b":[1,"x"]}"#, "true", "null"].map(str::to_owned);
    assert_eq!(read, Some(elements.to_vec()));
    let first = |json: Json<'_>| json.get("a").elements().next().map(|it| it.get("b").raw());
    assert_eq!(
        json::read(text, 4, first),
        Some(Some(r#"[1,"x"]"#.to_owned()))
    );
}

#[test]
fn refuses_values_of_another_kind() {
    let reads = |text: &str, what: fn(Json<'_>)| json::read(text, 1, what).is_some();
    assert!(reads("true", |json| {
        let _ = json.flag();
    }));
    assert!(!reads("null", |json| {
        let _ = json.flag();
    }));
    assert!(reads("4294967295", |json| {
        let _ = json.small();
    }));
    assert!(!reads("4294967296", |json| {
        let _ = json.small();
    }));
    assert!(reads("[]", |json| json.elements().for_each(drop)));
    assert!(!reads("{}", |json| json.elements().for_each(drop)));
    assert!(!reads("[]", |json| json.members().for_each(drop)));
    assert!(reads(r#""b""#, |json| assert_eq!(
        json.one_of(&[("a", 1), ("b", 2)]),
        2
    )));
    assert!(!reads(r#""c""#, |json| {
        let () = json.one_of(&[("a", ())]);
    }));
    assert!(!reads("1x", |json| {
        let _ = json.whole();
    }));
    assert!(!reads("1", |json| json.refuse(())));
}

#[test]
fn writes_members() {
    let mut object = ObjectWriter::default();
    object.text("name", "a\"b").whole("n", u64::MAX);
    let text = object.flag("on", true).json("list", "[1]").finish();
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let expected = value!({"name": "a\"b", "n": u64::MAX, "on": true, "list": [1]});
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
        let json = value!({"a": text, "b": number}).to_string();
        prop_assert_eq!(read(&json), Some((Some(text), Some(number))));
    }
}
