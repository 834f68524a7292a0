//! Keys against the golden vectors, and the laws of their order.

use std::cmp::Ordering;

use proptest::prelude::*;
use serde::Deserialize;
use tidesync_protocol::key::{KEY_DEPTH_MAX, Key, KeyError, KeyNumber, check_rid, random_rid};
use tidesync_protocol::wire::RID_BYTES_MAX;

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<Named>,
    sorted: Vec<String>,
    invalid: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    text: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/keys.json")).expect("vectors")
}

fn number(number: f64) -> Key {
    Key::Number(KeyNumber::new(number).expect("not NaN"))
}

fn string(text: &str) -> Key {
    Key::String(text.encode_utf16().collect())
}

#[test]
fn every_vector_is_the_text_of_its_key() {
    for Named { name, text } in vectors().keys {
        let key: Key = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(key.to_string(), text, "{name}");
        assert_eq!(check_rid(&text), Ok(()), "{name}");
    }
}

#[test]
fn the_sorted_vectors_ascend() {
    let keys: Vec<Key> = vectors()
        .sorted
        .iter()
        .map(|text| text.parse().expect("a key"))
        .collect();
    for (at, one) in keys.iter().enumerate() {
        for (other_at, other) in keys.iter().enumerate() {
            assert_eq!(one.cmp(other), at.cmp(&other_at), "{one} {other}");
        }
    }
}

#[test]
fn refuses_what_is_no_key() {
    for text in vectors().invalid {
        assert_eq!(text.parse::<Key>(), Err(KeyError::NotAKey), "{text:?}");
        assert_eq!(check_rid(&text), Err(KeyError::NotAKey), "{text:?}");
    }
}

#[test]
fn texts_stand_for_the_keys_they_say() {
    let cases = [
        ("n-1.5", number(-1.5)),
        ("n0", number(-0.0)),
        ("d-1", Key::Date(-1)),
        ("s100%25%00", string("100%\0")),
        ("s%uD83C🌊", Key::String(vec![0xd83c, 0xd83c, 0xdf0a])),
        ("bAPr_", Key::Binary(vec![0, 250, 255])),
        (
            "a3:s🌊1:a",
            Key::Array(vec![string("🌊"), Key::Array(vec![])]),
        ),
    ];
    for (text, key) in cases {
        assert_eq!(text.parse(), Ok(key.clone()));
        assert_eq!(key.to_string(), text);
    }
}

#[test]
fn nests_to_the_limit_and_no_deeper() {
    let nested = |levels| (0..levels).fold(number(1.0), |key, _| Key::Array(vec![key]));
    let deepest = nested(KEY_DEPTH_MAX).to_string();
    assert_eq!(deepest.parse(), Ok(nested(KEY_DEPTH_MAX)));
    let deeper = nested(KEY_DEPTH_MAX + 1).to_string();
    assert_eq!(deeper.parse::<Key>(), Err(KeyError::TooDeep));
}

#[test]
fn a_record_id_is_a_key_or_random_and_not_too_long() {
    assert_eq!(check_rid(&random_rid(&[0xa5; 16])), Ok(()));
    assert_eq!(check_rid("rAAAAAAAAAAAAAAAAAAAAAA"), Ok(()));
    for bad in [
        "",
        "r",
        "rAAAAAAAAAAAAAAAAAAAAAB",
        "rAAAAAAAAAAAAAAAAAAAAA",
        "q1",
    ] {
        assert_eq!(check_rid(bad), Err(KeyError::NotAKey), "{bad}");
    }
    let longest = format!("s{}", "x".repeat(RID_BYTES_MAX - 1));
    assert_eq!(check_rid(&longest), Ok(()));
    assert_eq!(check_rid(&format!("{longest}x")), Err(KeyError::TooLong));
}

fn any_key() -> impl Strategy<Value = Key> {
    let unit = prop_oneof![
        Just(u16::from(b'%')),
        Just(0),
        0xd7ff..0xe000_u16,
        any::<u16>(),
        (0x20..0x7f_u16)
    ];
    let leaf = prop_oneof![
        any::<f64>().prop_filter_map("NaN", |n| KeyNumber::new(n).map(Key::Number)),
        (-5..5_i32).prop_map(|n| number(f64::from(n))),
        (-8_640_000_000_000_000..=8_640_000_000_000_000_i64).prop_map(Key::Date),
        prop::collection::vec(unit, 0..6).prop_map(Key::String),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Key::Binary),
    ];
    leaf.prop_recursive(4, 32, 4, |key| {
        prop::collection::vec(key, 0..4).prop_map(Key::Array)
    })
}

/// The comparison of the IndexedDB specification, word for word.
fn specified(one: &Key, other: &Key) -> Ordering {
    let rank = |key: &Key| match key {
        Key::Array(_) => 5,
        Key::Binary(_) => 4,
        Key::String(_) => 3,
        Key::Date(_) => 2,
        Key::Number(_) => 1,
    };
    match (one, other) {
        (Key::Number(one), Key::Number(other)) => {
            one.get().partial_cmp(&other.get()).expect("no NaN")
        }
        (Key::Array(one), Key::Array(other)) => one
            .iter()
            .zip(other)
            .map(|(one, other)| specified(one, other))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| one.len().cmp(&other.len())),
        (Key::Date(one), Key::Date(other)) => one.cmp(other),
        (Key::String(one), Key::String(other)) => one.cmp(other),
        (Key::Binary(one), Key::Binary(other)) => one.cmp(other),
        _ => rank(one).cmp(&rank(other)),
    }
}

proptest! {
    #[test]
    fn parsing_undoes_display(key in any_key()) {
        prop_assert_eq!(key.to_string().parse::<Key>(), Ok(key));
    }

    #[test]
    fn equal_texts_are_equal_keys(one in any_key(), other in any_key()) {
        prop_assert_eq!(one.to_string() == other.to_string(), one == other);
    }

    #[test]
    fn the_order_is_that_of_the_specification(one in any_key(), other in any_key()) {
        prop_assert_eq!(one.cmp(&other), specified(&one, &other));
        prop_assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
        prop_assert_eq!(one == other, one.cmp(&other).is_eq());
    }

    #[test]
    fn the_order_is_total(mut keys in prop::collection::vec(any_key(), 3)) {
        keys.sort();
        prop_assert!(keys[0] <= keys[1] && keys[1] <= keys[2] && keys[0] <= keys[2]);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[nsdbar]?[0-9a-z%:uD\\-\\.🌊]{0,20}") {
        if let Ok(key) = text.parse::<Key>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }
}
