//! What one push may ask of the one writer: a small patch may be of a large record.

mod support;

use serde_json::json;
use support::ops::{on, patch, put};
use support::store::Store;
use tidesync_protocol::wire::{Verdict, VerdictEntry};

const MIB: usize = 1024 * 1024;

fn names(verdicts: &[VerdictEntry]) -> Vec<Verdict> {
    verdicts.iter().map(|entry| entry.verdict).collect()
}

#[test]
fn a_push_that_is_too_much_work_is_done_in_parts() {
    let store = Store::new();
    let large = json!({ "large": "x".repeat(4 * MIB), "n": 0 });
    store.push('a', &[put("i.1", "n1", &large)]);
    let patches: Vec<_> = (1..=10)
        .map(|n| {
            on(
                n,
                n,
                patch(&format!("j.{n}"), "n1", &json!({ "n": n }), &[]),
            )
        })
        .chain([put("j.11", "n2", &json!(1))])
        .collect();
    let first = store.push('a', &patches);
    // 8 MiB each, of 32: the fifth is the one too much, and all behind it wait, also of other records.
    let expected = [[Verdict::Applied; 5].as_slice(), &[Verdict::Retry; 6]].concat();
    let (first, last) = (names(&first), first.last().cloned());
    assert!(
        first == expected || first == [&expected[1..], &[Verdict::Retry]].concat(),
        "{first:?}"
    );
    let code = last.and_then(|entry| entry.code);
    assert_eq!(code.as_deref(), Some("unavailable"));
    let second = store.push('a', &patches);
    assert_eq!(second[4].version, Some(6), "in their order");
    let third = store.push('a', &patches);
    assert_eq!(
        third.last().map(|entry| entry.verdict),
        Some(Verdict::Applied)
    );
    assert_eq!(store.said('a', put("i.2", "n3", &json!(1))), "applied");
}

#[test]
fn a_name_of_removed_fields_is_work_too() {
    let store = Store::new();
    store.push('a', &[put("i.1", "n1", &json!({}))]);
    let names: Vec<String> = (0..256).map(|n| format!("{n:0256}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.push('a', &[on(1, 1, patch("i.2", "n1", &json!({}), &names))]);
    let patches: Vec<_> = (2..802)
        .map(|n| {
            on(
                n,
                n,
                patch(&format!("j.{n}"), "n1", &json!({ "n": n }), &[]),
            )
        })
        .collect();
    let said = store.push('a', &patches);
    assert_eq!(
        said.first().map(|entry| entry.verdict),
        Some(Verdict::Applied)
    );
    assert_eq!(said.last().map(|entry| entry.verdict), Some(Verdict::Retry));
}
