//! Which blobs a value names.

use serde_json::json;
use tidesync_protocol::blob::{NamedBlob, named_blobs};
use tidesync_protocol::value::ValueError;

const ONE: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
const OTHER: &str = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";

fn named(json: &str) -> Vec<(String, u64)> {
    let blobs = named_blobs(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    blobs
        .into_iter()
        .map(|NamedBlob { hash, size }| (hash, size))
        .collect()
}

#[test]
fn finds_blobs_and_files_wherever_they_stand() {
    let blob = json!(["~blob", "", 3, OTHER]);
    let file = json!(["~file", "a", 1, "text/plain", 0, ONE]);
    let both = vec![(ONE.to_owned(), 0), (OTHER.to_owned(), 3)];
    let values = [
        json!([blob, file]),
        json!({ "b": { "c": [[blob]] }, "a": file }),
        json!(["~map", [blob, 1], ["k", file]]),
        json!(["~graph", { "a": ["~ref", 0], "b": blob }, file]),
        json!(["~error", "Error", null, null, [file, blob, file]]),
        json!(["~obj", [["~str", 55296], blob], [["~str", 55297], file]]),
    ];
    for value in values {
        assert_eq!(named(&value.to_string()), both, "{value}");
    }
    let escaped = format!(r#"["\u007eblob","",3,"{OTHER}"]"#);
    assert_eq!(named(&escaped), [(OTHER.to_owned(), 3)]);
}

#[test]
fn finds_none_where_there_is_none() {
    let values = [
        json!(null),
        json!({ "~blob": ["a", 1] }),
        json!(["~array", "~blob", "", 3, OTHER]),
        json!(["~map", ["~blob", 1]]),
        json!(["", "~blob", 3, OTHER]),
    ];
    for value in values {
        assert_eq!(named(&value.to_string()), [], "{value}");
    }
}

#[test]
fn refuses_what_is_no_wire_form() {
    let short = named_blobs(br#"["~blob","",3,"AAAA"]"#);
    assert!(matches!(short, Err(ValueError::Tag { .. })), "{short:?}");
}
