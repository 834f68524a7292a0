//! Field hashes and operation hashes, against the golden vectors.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidesync_protocol::hash::{
    Content, FIELDS_MAX, FieldHasher, Fields, PUBLIC_KEY, hash_text, op_hash,
};
use tidesync_protocol::value::ValueError;

#[derive(Deserialize)]
struct Vectors {
    key: String,
    values: Vec<HashedValue>,
    ops: Vec<HashedOp>,
}

#[derive(Deserialize)]
struct HashedValue {
    json: String,
    fields: Option<Vec<(String, String, String)>>,
    whole: Option<(String, String)>,
}

#[derive(Deserialize)]
struct HashedOp {
    table: String,
    rid: String,
    base: u64,
    value: Option<String>,
    set: Option<BTreeMap<String, String>>,
    unset: Option<Vec<String>>,
    hash: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/hashes.json")).expect("vectors")
}

fn key() -> [u8; 16] {
    u128::from_str_radix(&vectors().key, 16)
        .expect("hex digits")
        .to_be_bytes()
}

#[test]
fn every_vector_has_its_field_hashes() {
    let mut hasher = FieldHasher::new(key());
    for HashedValue {
        json,
        fields,
        whole,
    } in vectors().values
    {
        match hasher.field_hashes(json.as_bytes()).expect("a value") {
            Fields::Each(each) => {
                let each: Vec<_> = each
                    .iter()
                    .map(|field| {
                        let hashes = field.hashes;
                        (
                            field.name.to_string(),
                            hash_text(hashes.keyed),
                            hash_text(hashes.digest),
                        )
                    })
                    .collect();
                assert_eq!(Some(each), fields, "{json}");
            }
            Fields::Whole(hashes) => {
                let hashes = (hash_text(hashes.keyed), hash_text(hashes.digest));
                assert_eq!(Some(hashes), whole, "{json}");
            }
        }
    }
}

#[test]
fn every_vector_has_its_operation_hash() {
    let mut hasher = FieldHasher::new(PUBLIC_KEY);
    for HashedOp {
        table,
        rid,
        base,
        value,
        set,
        unset,
        hash,
    } in vectors().ops
    {
        let digests: Vec<(&str, u64)> = set
            .iter()
            .flatten()
            .map(|(name, json)| {
                (
                    name.as_str(),
                    hasher.field_digest(json.as_bytes()).expect("a value"),
                )
            })
            .collect();
        let mut names: Vec<&str> = unset.iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        let fields = value
            .as_ref()
            .map(|json| hasher.field_hashes(json.as_bytes()));
        let content = match (&fields, &set) {
            (Some(fields), _) => Content::Put(fields.as_ref().expect("a value")),
            (None, Some(_)) => Content::Patch {
                set: &digests,
                unset: &names,
            },
            (None, None) => Content::Delete,
        };
        assert_eq!(
            hash_text(op_hash(&table, &rid, base, content)),
            hash,
            "{table} {rid}"
        );
    }
}

#[test]
fn fields_keep_their_texts() {
    let json = br#" { "b" : [1, 2] , "a\u0062" : {"x": "}"},"a":"~" } "#;
    let mut hasher = FieldHasher::new(key());
    let Ok(Fields::Each(fields)) = hasher.field_hashes(json) else {
        panic!("an object")
    };
    let texts: Vec<(&str, &str)> = fields
        .iter()
        .map(|field| (field.name.as_ref(), field.value))
        .collect();
    assert_eq!(
        texts,
        [("a", "\"~\""), ("ab", "{\"x\": \"}\"}"), ("b", "[1, 2]")]
    );
}

#[test]
fn errors_are_those_of_the_scanner() {
    let mut hasher = FieldHasher::new(key());
    let twice = hasher.field_hashes(br#"{"a":1,"b":2,"\u0061":1}"#);
    assert_eq!(twice, Err(ValueError::DuplicateName));
    let rest = hasher.field_hashes(b"{\"a\":1} x");
    assert_eq!(rest, Err(ValueError::NotJson { at: 8 }));
    let deepest = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(hasher.field_hashes(deepest(63).as_bytes()).is_ok());
    assert_eq!(
        hasher.field_hashes(deepest(64).as_bytes()),
        Err(ValueError::TooDeep)
    );
}

#[test]
fn an_error_beyond_the_field_limit_is_found() {
    let mut json: String = (0..=FIELDS_MAX).map(|n| format!("\"f{n}\":1,")).collect();
    json = format!("{{{json}\"f0\":1}}");
    let result = FieldHasher::new(key()).field_hashes(json.as_bytes());
    assert_eq!(result, Err(ValueError::DuplicateName));
}

#[test]
fn every_part_of_an_operation_counts() {
    let mut hasher = FieldHasher::new(PUBLIC_KEY);
    let fields = hasher.field_hashes(b"{\"a\":1}").expect("a value");
    let other = hasher.field_hashes(b"{\"a\":2}").expect("a value");
    let whole = hasher.field_hashes(b"[1]").expect("a value");
    let hashes = [
        op_hash("t", "n1", 0, Content::Put(&fields)),
        op_hash("u", "n1", 0, Content::Put(&fields)),
        op_hash("t", "n2", 0, Content::Put(&fields)),
        op_hash("tn", "1", 0, Content::Put(&fields)),
        op_hash("t", "n1", 1, Content::Put(&fields)),
        op_hash("t", "n1", 0, Content::Put(&other)),
        op_hash("t", "n1", 0, Content::Put(&whole)),
        op_hash(
            "t",
            "n1",
            0,
            Content::Patch {
                set: &[("a", 1)],
                unset: &[],
            },
        ),
        op_hash(
            "t",
            "n1",
            0,
            Content::Patch {
                set: &[("b", 1)],
                unset: &[],
            },
        ),
        op_hash(
            "t",
            "n1",
            0,
            Content::Patch {
                set: &[("a", 2)],
                unset: &[],
            },
        ),
        op_hash(
            "t",
            "n1",
            0,
            Content::Patch {
                set: &[],
                unset: &["a"],
            },
        ),
        op_hash(
            "t",
            "n1",
            0,
            Content::Patch {
                set: &[],
                unset: &["a", "b"],
            },
        ),
        op_hash("t", "n1", 0, Content::Delete),
    ];
    let different: std::collections::BTreeSet<u64> = hashes.into_iter().collect();
    assert_eq!(different.len(), hashes.len());
}

proptest! {
    /// A patch that sets what a field of a put holds has the digest of that field.
    #[test]
    fn one_pass_serves_put_and_patch(members in prop::collection::btree_map("[a-d\\x7f-é]{0,3}", "[ -~]*", 0..8)) {
        let json = serde_json::to_string(&members).expect("JSON");
        let mut hasher = FieldHasher::new(key());
        let Ok(Fields::Each(fields)) = hasher.field_hashes(json.as_bytes()) else {
            return Err(TestCaseError::fail("an object"));
        };
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&json).expect("JSON");
        prop_assert_eq!(fields.len(), raw.len());
        for (field, (name, value)) in fields.iter().zip(&raw) {
            prop_assert_eq!(field.name.as_ref(), name);
            prop_assert_eq!(field.value, value.get());
            let digest = hasher.field_digest(value.get().as_bytes()).expect("a value");
            prop_assert_eq!(field.hashes.digest, digest);
        }
    }
}
