//! The scanner and the canonical bytes, against the golden vectors and against `serde_json`.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tidesync_protocol::canonical::canonical_bytes;
use tidesync_protocol::value::{ValueError, check_value};
use tidesync_protocol::wire::{PUSH_BYTES_MAX, VALUE_DEPTH_MAX, code};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    values: Vec<Named>,
    browser: Vec<Named>,
    same: Vec<(String, String)>,
    invalid: Vec<String>,
    unsupported: Vec<String>,
    invalid_unseen: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    wire: String,
    canonical: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/values.json")).expect("vectors")
}

fn all_values() -> Vec<Named> {
    let Vectors {
        mut values,
        browser,
        ..
    } = vectors();
    values.extend(browser);
    values
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn canonical(json: &str) -> Vec<u8> {
    canonical_bytes(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn every_vector_has_its_canonical_bytes() {
    for Named {
        name,
        wire,
        canonical: expected,
    } in all_values()
    {
        assert_eq!(hex(&canonical(&wire)), expected, "{name}");
    }
}

/// What a browser need not take is a form all the same.
#[test]
fn takes_what_not_every_browser_takes() {
    for text in vectors().unsupported {
        assert_eq!(check_value(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn spellings_of_one_value_have_the_same_bytes() {
    for (one, other) in vectors().same {
        assert_eq!(canonical(&one), canonical(&other), "{one} {other}");
    }
}

#[test]
fn refuses_what_is_no_wire_form() {
    let Vectors {
        invalid,
        invalid_unseen,
        ..
    } = vectors();
    for text in invalid.iter().chain(&invalid_unseen) {
        let error = check_value(text.as_bytes()).expect_err(text);
        assert_eq!(error.code(), code::BAD_VALUE, "{text}");
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    let cases: [(&[u8], ValueError); 10] = [
        (b"[1, x]", ValueError::NotJson { at: 4 }),
        (b"\"a\xff\"", ValueError::NotJson { at: 2 }),
        (b"[1] 2", ValueError::NotJson { at: 4 }),
        (b"01", ValueError::NotJson { at: 0 }),
        (b"[\"\\ud800\"]", ValueError::LoneSurrogate { at: 4 }),
        (b"[ -0.0]", ValueError::Number { at: 2 }),
        (b"[1e999]", ValueError::Number { at: 1 }),
        (
            b"{\"a\":{\"b\":1,\"c\":1,\"b\":1}}",
            ValueError::DuplicateName,
        ),
        (b"[[\"~later\"]]", ValueError::Tag { at: 2 }),
        (b"[\"~date\",\"x\"]", ValueError::NotJson { at: 9 }),
    ];
    for (json, error) in cases {
        assert_eq!(
            check_value(json),
            Err(error),
            "{}",
            String::from_utf8_lossy(json)
        );
    }
}

#[test]
fn nests_to_the_limit_and_no_deeper() {
    let nested =
        |open: &str, close: &str, levels| open.repeat(levels) + "1" + &close.repeat(levels);
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[\"~set\",", "]")] {
        assert_eq!(
            check_value(nested(open, close, VALUE_DEPTH_MAX).as_bytes()),
            Ok(())
        );
        let deeper = nested(open, close, VALUE_DEPTH_MAX + 1);
        assert_eq!(check_value(deeper.as_bytes()), Err(ValueError::TooDeep));
    }
    let entries = nested("[\"~map\",[1,", "]]", VALUE_DEPTH_MAX / 2);
    assert_eq!(check_value(entries.as_bytes()), Ok(()));
    let deeper = entries.replace(",1]", ",[]]");
    assert_eq!(check_value(deeper.as_bytes()), Err(ValueError::TooDeep));
    assert_eq!(
        check_value("[".repeat(1_000_000).as_bytes()),
        Err(ValueError::TooDeep)
    );
}

#[test]
fn a_value_that_no_push_could_carry_is_too_large() {
    let longest = format!("\"{}\"", "x".repeat(PUSH_BYTES_MAX - 2));
    assert_eq!(check_value(longest.as_bytes()), Ok(()));
    let error = check_value(format!("{longest} ").as_bytes()).expect_err("one byte more");
    assert_eq!(
        (error, error.code()),
        (ValueError::TooLong, code::TOO_LARGE)
    );
}

/// JSON whose arrays do not begin like forms and whose numbers are not −0.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-c]{0,2}", "[\\x00-\\x7f]{0,4}", any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9..9_i64).prop_map(Value::from),
        any::<f64>()
            .prop_filter("-0", |n| *n != 0.0)
            .prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |value| {
        let array = prop::collection::vec(value.clone(), 0..6)
            .prop_filter("a form", |array| !starts_like_form(array));
        let object = prop::collection::vec((text.clone(), value), 0..6);
        prop_oneof![
            array.prop_map(Value::from),
            object.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn starts_like_form(array: &[Value]) -> bool {
    array
        .first()
        .and_then(Value::as_str)
        .is_some_and(|text| text.starts_with('~'))
}

/// Writes JSON with the members of objects turned round, all strings escaped, and space around.
fn respelled(value: &Value, to: &mut String) {
    match value {
        Value::String(text) => respelled_text(text, to),
        Value::Array(elements) => {
            to.push_str("[ ");
            for (at, element) in elements.iter().enumerate() {
                to.push_str(if at > 0 { " ,\n" } else { "" });
                respelled(element, to);
            }
            to.push(']');
        }
        Value::Object(members) => {
            to.push('{');
            for (at, (name, member)) in members.iter().rev().enumerate() {
                to.push_str(if at > 0 { ",\t" } else { "" });
                respelled_text(name, to);
                to.push_str(" :\r");
                respelled(member, to);
            }
            to.push_str(" }");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => to.push_str(&value.to_string()),
    }
}

fn respelled_text(text: &str, to: &mut String) {
    to.push('"');
    for unit in text.encode_utf16() {
        to.push_str(&format!("\\u{unit:04x}"));
    }
    to.push('"');
}

/// Numbers as JavaScript sees them.
fn as_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(elements) => elements.iter().map(as_doubles).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), as_doubles(member)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// Reads canonical bytes back, which shows that nothing is lost in them.
fn read_back(bytes: &mut &[u8]) -> Value {
    let kind = take(bytes, 1)[0];
    match kind {
        1 => Value::Null,
        2 => Value::Bool(false),
        3 => Value::Bool(true),
        4 => {
            let bits = take(bytes, 8).try_into().expect("8 bytes");
            Value::from(f64::from_le_bytes(bits))
        }
        5 => Value::from(read_text(bytes)),
        6 => (0..read_length(bytes)).map(|_| read_back(bytes)).collect(),
        7 => (0..read_length(bytes))
            .map(|_| (read_text(bytes), read_back(bytes)))
            .collect(),
        _ => panic!("kind {kind}"),
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn read_length(bytes: &mut &[u8]) -> usize {
    let length = take(bytes, 4).try_into().expect("4 bytes");
    u32::from_le_bytes(length) as usize
}

fn read_text(bytes: &mut &[u8]) -> String {
    let length = read_length(bytes);
    String::from_utf8(take(bytes, length).to_vec()).expect("UTF-8")
}

/// Texts that are nearly JSON.
fn nearly_json() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "\\",
        "\\u00",
        "\\ud83c\\udf0a",
        "0",
        "1",
        "-",
        "-1",
        ".5",
        "e1",
        "E-2",
        "+",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "\t",
        "\u{c}",
        "\u{1}",
        "🌊",
        "\"\\n\"",
        "\"\\x\"",
        "123456789012345678",
    ]);
    prop::collection::vec(token, 0..8).prop_map(|tokens| tokens.concat())
}

/// Cuts, doubles or changes one place of a JSON text.
fn damaged_json() -> impl Strategy<Value = String> {
    (
        any_json(),
        any::<prop::sample::Index>(),
        any::<char>(),
        0..3_u8,
    )
        .prop_map(|(value, place, character, how)| {
            let mut characters: Vec<char> = value.to_string().chars().collect();
            let at = place.index(characters.len());
            match how {
                0 => drop(characters.remove(at)),
                1 => characters.insert(at, characters[at]),
                _ => characters[at] = character,
            }
            characters.into_iter().collect()
        })
}

/// The scanner must say of a text what `serde_json` says, with the exceptions of the wire form.
fn agrees_with_serde_json(text: &str) -> Result<(), TestCaseError> {
    match (
        check_value(text.as_bytes()),
        serde_json::from_str::<Value>(text),
    ) {
        (Ok(()), Ok(value)) => {
            let read = read_back(&mut canonical(text).as_slice());
            prop_assert_eq!(read, as_doubles(&value));
        }
        (Err(ValueError::NotJson { .. } | ValueError::LoneSurrogate { .. }), Ok(_)) => {
            prop_assert!(false, "refused: {text:?}");
        }
        (Ok(()), Err(error)) => prop_assert!(false, "accepted: {text:?} {error}"),
        _ => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nothing_is_lost_in_canonical_bytes(value in any_json()) {
        let bytes = canonical(&value.to_string());
        prop_assert_eq!(read_back(&mut bytes.as_slice()), as_doubles(&value));
    }

    #[test]
    fn order_of_names_space_and_escapes_do_not_count(value in any_json()) {
        let mut text = String::new();
        respelled(&value, &mut text);
        prop_assert_eq!(canonical(&text), canonical(&value.to_string()));
    }

    #[test]
    fn different_values_have_different_bytes(one in any_json(), other in any_json()) {
        let equal = canonical(&one.to_string()) == canonical(&other.to_string());
        prop_assert_eq!(equal, as_doubles(&one) == as_doubles(&other));
    }

    #[test]
    fn accepts_what_serde_json_accepts_of_tokens(text in nearly_json()) {
        agrees_with_serde_json(&text)?;
    }

    #[test]
    fn accepts_what_serde_json_accepts_of_damaged_texts(text in damaged_json()) {
        agrees_with_serde_json(&text)?;
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        prop_assert_eq!(check_value(&bytes).is_ok(), canonical_bytes(&bytes).is_ok());
    }

    #[test]
    fn no_cut_form_makes_it_panic(form in 0..200_usize, cut in any::<prop::sample::Index>()) {
        let values = all_values();
        let wire = &values[form % values.len()].wire;
        let cut = wire.floor_char_boundary(cut.index(wire.len()));
        // What is left of a number or word may be one; of anything with an end it is none.
        if !wire.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            prop_assert!(check_value(&wire.as_bytes()[..cut]).is_err());
        }
    }
}
