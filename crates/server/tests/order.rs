//! Concurrent operations have one outcome, in whatever order and in however many pushes they arrive,
//! and however often (I22). On the store itself, without HTTP.

mod support;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use support::ops::{delete, on, patch, put, resolved_by};
use support::store::Store;
use tidesync_protocol::wire::Verdict;

/// Pushes until the server needs no more: what a client does that is asked for the whole.
fn settle(store: &Store, letter: char, op: &Value, whole: &Value) {
    let verdicts = store.push(letter, std::slice::from_ref(op));
    if verdicts[0].verdict == Verdict::NeedFull {
        let mut again = whole.clone();
        again["op"] = json!("again.1");
        store.push(letter, &[again]);
    }
}

/// The record's fields; null for a tombstone.
fn record(store: &Store) -> Value {
    let doc: Option<String> = store
        .connection
        .query_row("SELECT doc FROM records", [], |row| row.get(0))
        .expect("the record");
    doc.map_or(Value::Null, |doc| serde_json::from_str(&doc).expect("JSON"))
}

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn fields(&mut self) -> Map<String, Value> {
        let mut fields = Map::new();
        for name in ["a", "b", "c", "d", "e"] {
            let value = self.below(9);
            if value > 4 {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        fields
    }

    /// An operation on version 1, at a time that may be another's too.
    fn op(&mut self) -> Value {
        let at = 100 + self.below(6);
        let set = Value::Object(self.fields());
        let strategy = ["last-write-wins", "merge"][self.below(2) as usize];
        let op = if self.below(3) == 0 {
            put("i.1", "n1", &set)
        } else {
            let unset: Vec<&str> = ["a", "f"]
                .into_iter()
                .filter(|name| set.get(name).is_none() && self.below(2) == 0)
                .collect();
            patch("i.1", "n1", &set, &unset)
        };
        resolved_by(strategy, on(1, at, op))
    }
}

/// All orders of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let longer = shorter.iter().flat_map(|order| {
        (0..count).map(|place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    });
    longer.collect()
}

const BASE: [(&str, u64); 4] = [("a", 1), ("b", 1), ("c", 1), ("f", 1)];

fn with_base() -> Store {
    let store = Store::new();
    let base: Map<String, Value> = BASE
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    store.push('z', &[on(0, 99, put("i.1", "n1", &Value::Object(base)))]);
    store
}

#[test]
fn updates_have_one_outcome_in_every_order() {
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let ops: Vec<Value> = (0..4).map(|_| numbers.op()).collect();
        let mut outcomes = BTreeMap::new();
        for order in orders(ops.len()) {
            let store = with_base();
            for &place in &order {
                let letter = char::from(b'a' + u8::try_from(place).expect("few"));
                // The second time it is a duplicate.
                store.push(letter, &ops[place..=place]);
                store.push(letter, &ops[place..=place]);
            }
            outcomes.insert(record(&store).to_string(), order);
        }
        assert_eq!(outcomes.len(), 1, "seed {seed}: {outcomes:?} {ops:?}");
    }
}

#[test]
fn an_update_and_a_delete_have_one_outcome_in_both_orders() {
    for strategy in ["last-write-wins", "merge"] {
        for (updated_at, deleted_at) in [(101, 102), (102, 101), (101, 101)] {
            let outcomes = [false, true].map(|delete_first| {
                let store = with_base();
                let update = patch("i.1", "n1", &json!({ "a": 2 }), &[]);
                let whole = put("i.1", "n1", &json!({ "a": 2, "b": 1, "c": 1, "f": 1 }));
                let [update, whole, gone] = [
                    on(1, updated_at, update),
                    on(1, updated_at, whole),
                    on(1, deleted_at, delete("i.1", "n1")),
                ]
                .map(|op| resolved_by(strategy, op));
                if delete_first {
                    settle(&store, 'b', &gone, &gone);
                }
                settle(&store, 'a', &update, &whole);
                if !delete_first {
                    settle(&store, 'b', &gone, &gone);
                }
                record(&store)
            });
            let [one, other] = &outcomes;
            assert_eq!(one, other, "{strategy} {updated_at} {deleted_at}");
        }
    }
}
