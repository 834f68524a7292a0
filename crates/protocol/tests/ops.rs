//! The check of operations: one of each kind passes, and each damage has its code.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidesync_protocol::check::OpError;
use tidesync_protocol::hash::{Content, FieldHasher, PUBLIC_KEY, hash_text, op_hash};
use tidesync_protocol::hlc::HlcError;
use tidesync_protocol::key::KeyError;
use tidesync_protocol::value::ValueError;
use tidesync_protocol::wire::{Op, OpKind, PushRequest, code};

fn put() -> Value {
    let mut hasher = FieldHasher::new(PUBLIC_KEY);
    let value = json!({"title": "A file", "at": ["~date", 5]});
    let text = value.to_string();
    let fields = hasher.field_hashes(text.as_bytes()).expect("a value");
    op(
        "put",
        op_hash("files", "n1", 3, Content::Put(&fields)),
        &[("value", value)],
    )
}

fn patch() -> Value {
    let digest = FieldHasher::new(PUBLIC_KEY)
        .field_digest(b"\"B\"")
        .expect("a value");
    let content = Content::Patch {
        set: &[("title", digest)],
        unset: &["a", "b"],
    };
    let parts = [("set", json!({"title": "B"})), ("unset", json!(["b", "a"]))];
    op("patch", op_hash("files", "n1", 3, content), &parts)
}

fn delete() -> Value {
    op("delete", op_hash("files", "n1", 3, Content::Delete), &[])
}

fn op(kind: &str, hash: u64, parts: &[(&str, Value)]) -> Value {
    let mut op = json!({
        "op": "AAAAAAAAAAAAAAAAAAAAAA.12", "space": "~", "table": "files", "rid": "n1",
        "kind": kind, "base": 3, "hlc": "0191a2b3c4d50001", "hash": hash_text(hash),
    });
    for (name, part) in parts {
        op[name] = part.clone();
    }
    op
}

fn check(op: &Value) -> Result<(), OpError> {
    serde_json::from_str::<Op>(&op.to_string())
        .expect("an op")
        .check()
}

fn changed(mut op: Value, name: &str, part: Value) -> Value {
    op[name] = part;
    op
}

#[test]
fn one_of_each_kind_passes() {
    for op in [put(), patch(), delete()] {
        assert_eq!(check(&op), Ok(()), "{op}");
    }
}

#[test]
fn each_damage_has_its_error_and_code() {
    let long = "x".repeat(257);
    let part = OpError::Part;
    let cases = [
        (
            changed(put(), "op", json!("12")),
            OpError::Id,
            code::MALFORMED,
        ),
        (
            changed(put(), "op", json!(".12")),
            OpError::Id,
            code::MALFORMED,
        ),
        (
            changed(put(), "op", json!("a.012")),
            OpError::Id,
            code::MALFORMED,
        ),
        (
            changed(put(), "op", json!(format!("{}.1", "a".repeat(63)))),
            OpError::Id,
            code::MALFORMED,
        ),
        (
            changed(put(), "space", json!("")),
            OpError::Name("space"),
            code::MALFORMED,
        ),
        (
            changed(put(), "table", json!(long)),
            OpError::Name("table"),
            code::MALFORMED,
        ),
        (
            changed(put(), "rid", json!("")),
            OpError::Rid(KeyError::NotAKey),
            code::BAD_KEY,
        ),
        (
            changed(put(), "hlc", json!("now")),
            OpError::Hlc(HlcError),
            code::MALFORMED,
        ),
        (
            changed(put(), "kind", json!("patch")),
            part("value"),
            code::MALFORMED,
        ),
        (
            changed(put(), "set", json!({})),
            part("set"),
            code::MALFORMED,
        ),
        (
            changed(put(), "unset", json!([])),
            part("unset"),
            code::MALFORMED,
        ),
        (
            changed(delete(), "value", json!(1)),
            part("value"),
            code::MALFORMED,
        ),
        (
            changed(delete(), "kind", json!("put")),
            OpError::NoValue,
            code::BAD_VALUE,
        ),
        (
            changed(delete(), "kind", json!("patch")),
            OpError::Patch,
            code::MALFORMED,
        ),
        (
            changed(patch(), "unset", json!(["a", "a"])),
            OpError::Patch,
            code::MALFORMED,
        ),
        (
            changed(patch(), "set", json!({ "x".repeat(1_025): 1 })),
            OpError::FieldName,
            code::MALFORMED,
        ),
        (
            changed(patch(), "unset", json!(["x".repeat(1_025)])),
            OpError::FieldName,
            code::MALFORMED,
        ),
        (
            changed(patch(), "unset", json!(["x".repeat(1_024)])),
            OpError::Hash,
            code::HASH_MISMATCH,
        ),
        (
            changed(patch(), "unset", json!(["title"])),
            OpError::Patch,
            code::MALFORMED,
        ),
        (
            changed(patch(), "set", json!({"title": "C"})),
            OpError::Hash,
            code::HASH_MISMATCH,
        ),
        (
            changed(put(), "base", json!(4)),
            OpError::Hash,
            code::HASH_MISMATCH,
        ),
        (
            changed(put(), "hash", json!("")),
            OpError::Hash,
            code::HASH_MISMATCH,
        ),
    ];
    for (op, error, code) in cases {
        assert_eq!(check(&op), Err(error), "{op}");
        assert_eq!(error.code(), code, "{op}");
    }
}

#[test]
fn a_bad_value_is_told_from_a_bad_operation() {
    for (op, name) in [(put(), "value"), (patch(), "set")] {
        let error = check(&changed(op, name, json!({"a": ["~later"]}))).expect_err("a bad value");
        assert!(
            matches!(error, OpError::Value(ValueError::Tag { .. })),
            "{error:?}"
        );
        assert_eq!(error.code(), code::BAD_VALUE);
    }
}

#[test]
fn a_null_value_is_a_value() {
    let fields = FieldHasher::new(PUBLIC_KEY)
        .field_hashes(b"null")
        .expect("a value");
    let hash = op_hash("files", "n1", 3, Content::Put(&fields));
    let op = op("put", hash, &[("value", Value::Null)]);
    assert_eq!(check(&op), Ok(()));
}

#[test]
fn a_patch_reaches_as_deep_as_the_record_it_makes() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let mut hasher = FieldHasher::new(PUBLIC_KEY);
    assert!(hasher.field_digest(deep(63).as_bytes()).is_ok());
    assert_eq!(
        hasher.field_digest(deep(64).as_bytes()),
        Err(ValueError::TooDeep)
    );
}

#[test]
fn operations_survive_their_text() {
    for op in [put(), patch(), delete()] {
        let parsed: Op = serde_json::from_value(op.clone()).expect("an op");
        assert_eq!(serde_json::to_value(&parsed).expect("JSON"), op);
    }
    let request =
        json!({"protocol": 1, "client": "c", "subject": "s", "batch": "b", "ops": [1, put()]});
    let parsed: PushRequest = serde_json::from_str(&request.to_string()).expect("a push");
    assert_eq!(parsed.ops.len(), 2);
    assert_eq!(Content::Delete.kind(), OpKind::Delete);
}

proptest! {
    /// Whatever one character is changed in an operation, it is no operation or fails its check.
    #[test]
    fn no_damage_goes_unseen(at: prop::sample::Index, character in "[ -~]", which in 0..3_usize) {
        let [put, patch, delete] = [put(), patch(), delete()];
        let before = [put, patch, delete][which].clone();
        let text = before.to_string();
        let at = at.index(text.len());
        let damaged = format!("{}{character}{}", &text[..at], &text[at + 1..]);
        let Ok(op) = serde_json::from_str::<Op>(&damaged) else { return Ok(()) };
        let mut after = serde_json::to_value(&op).expect("JSON");
        // The hash covers neither the operation's name, nor its space, nor its clock.
        for name in ["op", "space", "hlc"] {
            after[name] = before[name].clone();
        }
        prop_assert!(after == before || op.check().is_err(), "{damaged}");
    }
}
