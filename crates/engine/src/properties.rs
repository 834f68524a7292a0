//! Properties of the parts, over random input.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::breaker::Breaker;
use crate::bytes::{Reader, Writer};
use crate::classify::retry_after_ms;
use crate::config::Config;
use crate::fold::{Around, Fold};
use crate::index::Index;
use crate::interface::{LogOp, LogRow, RowUser, Slot};
use crate::rng::Rng;
use crate::schedule::{Schedule, TimerReason, backoff};
use crate::shadow::{self, Entry, Names, Page, WHOLE};
use crate::staged::{Batch, StagedOp};
use crate::{batch, shadow::Field};

/// A change of one of a few records, or a range of them; puts are told apart by their slot.
#[derive(Debug, Clone)]
enum Change {
    Put(u8),
    Delete(u8),
    Range(u8, u8),
    Clear,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (0..8_u8).prop_map(Change::Put),
        4 => (0..8_u8).prop_map(Change::Delete),
        1 => (0..8_u8, 0..8_u8).prop_map(|(one, two)| Change::Range(one.min(two), one.max(two))),
        1 => Just(Change::Clear),
    ]
}

fn lid(key: u8) -> String {
    format!("n{key}")
}

fn rows(changes: &[Vec<Change>]) -> Vec<LogRow> {
    let mut slot = 0;
    let mut op = |change: &Change| {
        slot += 1;
        match change {
            Change::Put(key) => LogOp::Put {
                lid: lid(*key),
                slot: Slot(slot),
                bytes: 10,
                reference: false,
            },
            Change::Delete(key) => LogOp::Delete { lid: lid(*key) },
            Change::Range(lower, upper) => LogOp::DeleteRange {
                lower: Some(lid(*lower)),
                upper: Some(lid(*upper)),
                lower_open: false,
                upper_open: true,
            },
            Change::Clear => LogOp::Clear,
        }
    };
    let rows = changes.iter().enumerate().map(|(at, changes)| LogRow {
        table: "t".to_owned(),
        row: at as u64 + 1,
        at_ms: 0,
        user: RowUser::Owner,
        ops: changes.iter().map(&mut op).collect(),
    });
    rows.collect()
}

/// Plays rows on a model: each record's last value, for records that were touched by name.
fn play(model: &mut BTreeMap<String, Option<Slot>>, row: &LogRow) {
    for op in &row.ops {
        match op {
            LogOp::Put { lid, slot, .. } => {
                model.insert(lid.clone(), Some(*slot));
            }
            LogOp::Delete { lid } => {
                model.insert(lid.clone(), None);
            }
            LogOp::DeleteRange { lower, upper, .. } => {
                let range = lower.clone().unwrap_or_default()..upper.clone().unwrap_or_default();
                for (lid, value) in model.iter_mut().filter(|(lid, _)| range.contains(*lid)) {
                    let _ = lid;
                    *value = None;
                }
            }
            LogOp::Clear => model.values_mut().for_each(|value| *value = None),
        }
    }
}

fn fields() -> impl Strategy<Value = Vec<(String, u64)>> {
    proptest::collection::btree_map("[a-f]{0,3}", any::<u64>(), 0..6)
        .prop_map(|fields| fields.into_iter().collect())
}

fn entry(names: &mut Names, fields: &[(String, u64)], version: u64, deleted: bool) -> Entry {
    let place = |(name, hash): &(String, u64)| (names.place(name), *hash);
    let mut fields: Vec<Field> = fields.iter().map(place).collect();
    if fields.is_empty() {
        fields.push((WHOLE, version));
    }
    let stale = fields.iter().take(1).map(|(place, hash)| (*place, !hash));
    let stale = stale.filter(|_| version.is_multiple_of(3)).collect();
    let rid = version.is_multiple_of(2).then(|| format!("r{version}"));
    Entry {
        rid,
        version,
        owner: (version % 3) as u32,
        deleted,
        fields,
        stale,
        generation: (version % 5) as u32,
    }
}

proptest! {
    #[test]
    fn folding_rounds_give_what_the_log_says(
        changes in vec(vec(change(), 1..5), 1..20),
        staged in proptest::collection::btree_set((0..8_u8).prop_map(lid), 0..3),
    ) {
        let mut left = rows(&changes);
        let mut expected = BTreeMap::new();
        left.iter().for_each(|row| play(&mut expected, row));
        let mut folded: BTreeMap<String, Option<Slot>> = BTreeMap::new();
        // In the first round some records are staged; what they block comes in later rounds.
        let mut staged = staged;
        while !left.is_empty() {
            let mut fold = Fold::default();
            for row in left.clone() {
                fold.add(row, Around { staged: Some(&staged.iter().cloned().collect()), own: true });
            }
            let blocked = fold.left_any();
            let table = fold.tables.remove("t").unwrap_or_default();
            prop_assert!(staged.iter().all(|lid| !table.records.contains_key(lid)));
            if let Some(wide) = &table.wide {
                for (lid, value) in &mut folded {
                    if wide.spans.iter().any(|span| span.contains(lid)) {
                        *value = None;
                    }
                }
            }
            for (lid, latest) in table.records {
                folded.insert(lid, latest.value.map(|(slot, _)| slot));
            }
            let taken: BTreeSet<u64> = table.taken.iter().map(|taken| taken.row).collect();
            left.retain(|row| !taken.contains(&row.row));
            prop_assert!(blocked || left.is_empty(), "what is left must be known to be left");
            prop_assert!(left.iter().all(|row| row.row > table.head) || table.head == 0);
            prop_assert!(!staged.is_empty() || !taken.is_empty(), "no progress");
            staged.clear();
        }
        prop_assert_eq!(folded, expected);
    }

    #[test]
    fn rows_of_others_are_left_and_passed(
        changes in vec(vec(change(), 1..4), 1..20),
        own in vec(any::<bool>(), 20),
    ) {
        let mut fold = Fold::default();
        let rows = rows(&changes);
        for (row, own) in rows.iter().zip(&own) {
            fold.add(row.clone(), Around { staged: None, own: *own });
        }
        let table = fold.tables.get("t").expect("the table");
        for taken in &table.taken {
            prop_assert!(own[taken.row as usize - 1]);
        }
        let own_left = rows.iter().zip(&own).any(|(row, own)| {
            *own && !table.taken.iter().any(|taken| taken.row == row.row)
        });
        prop_assert!(own_left || table.head == rows.len() as u64);
    }

    #[test]
    fn batches_keep_order_and_limits(
        sizes in vec(0..2_000_u64, 0..200),
        ops_max in 1..20_usize,
        bytes_max in 1..5_000_u64,
    ) {
        let ranges = batch::cut(&sizes, ops_max, bytes_max);
        let all: Vec<usize> = ranges.iter().cloned().flatten().collect();
        prop_assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
        for (at, range) in ranges.iter().enumerate() {
            let bytes: u64 = sizes[range.clone()].iter().sum();
            prop_assert!(range.len() <= ops_max && (bytes <= bytes_max || range.len() == 1));
            if let Some(next) = ranges.get(at + 1) {
                let more = bytes + sizes[next.start];
                prop_assert!(range.len() == ops_max || more > bytes_max, "cut too early");
            }
        }
    }

    #[test]
    fn backoff_stays_within_its_bounds(attempt in 1..100_u32, seed in any::<[u8; 32]>()) {
        let wait = backoff(&Config::default(), attempt, &mut Rng::new(&seed));
        let least = 5_000_u64.saturating_mul(1 << (attempt - 1).min(20)).min(300_000);
        prop_assert!(wait >= least && wait <= (least * 3 / 2).min(300_000));
    }

    #[test]
    fn the_breaker_opens_after_exactly_its_failures(
        answers in vec(any::<bool>(), 0..60),
        failures_max in 1..8_u32,
    ) {
        let mut breaker = Breaker::default();
        let mut row = 0;
        for good in answers {
            if good {
                breaker.succeed();
                row = 0;
            } else {
                row += 1;
                prop_assert_eq!(breaker.fail(failures_max), row >= failures_max);
            }
            prop_assert_eq!(breaker.failures(), row);
            prop_assert_eq!(breaker.is_open(), row >= failures_max);
        }
    }

    #[test]
    fn the_next_sync_is_never_before_a_gate(
        wanted in proptest::option::of(0..1_000_u64),
        retry in proptest::option::of(0..1_000_u64),
        periodic in proptest::option::of(0..1_000_u64),
        throttle in 0..1_000_u64,
        backoff in proptest::option::of(0..1_000_u64),
    ) {
        let schedule = Schedule {
            wanted_at: wanted,
            throttle_until: throttle,
            backoff_until: backoff,
            asked_until: None,
            periodic_at: periodic,
            recovery_at: None,
            retry_at: retry,
            poked: false,
            poke_from: 0,
        };
        let wish = [wanted, retry, periodic].into_iter().flatten().min();
        let expected = wish.map(|wish| wish.max(throttle).max(backoff.unwrap_or(0)));
        prop_assert_eq!(schedule.next().map(|next| next.0), expected);
        let open = Schedule { recovery_at: Some(5), ..schedule };
        prop_assert_eq!(open.next(), Some((5, TimerReason::Recovery)));
        let poked = Schedule { poked: true, recovery_at: None, ..open };
        let gate = backoff.unwrap_or(0);
        let soonest = expected.map_or(gate, |at| at.min(gate));
        prop_assert_eq!(poked.next().map(|next| next.0), Some(soonest));
    }

    #[test]
    fn pages_are_read_as_they_were_written(
        records in proptest::collection::btree_map(".{0,12}", (fields(), 0..50_u64, any::<bool>()), 0..20),
    ) {
        let mut names = Names::default();
        let mut page = Page::default();
        for (lid, (fields, version, deleted)) in &records {
            let entry = entry(&mut names, fields, *version, *deleted);
            page.put(lid, entry, &names);
        }
        let bytes = page.encode(true);
        let read = Page::decode(&bytes).expect("a page").page;
        prop_assert_eq!(read.encode(true), page.encode(true));
        for (lid, (fields, version, deleted)) in &records {
            let entry = entry(&mut names, fields, *version, *deleted);
            prop_assert_eq!(read.agrees(lid, &entry.fields, &names), *version > 0 && !deleted);
            let found = read.get(lid).expect("an entry");
            prop_assert_eq!((&found.rid, found.version), (&entry.rid, *version));
            let other = [(WHOLE, version + 1)];
            prop_assert!(!read.agrees(lid, &other, &names));
        }
        for cut in 1..bytes.len().min(40) {
            prop_assert!(Page::decode(&bytes[..bytes.len() - cut]).is_none());
        }
    }

    #[test]
    fn a_page_in_parts_is_what_was_put_last(
        parts in vec((vec(("[a-f]", fields(), 1..50_u64), 1..6), any::<bool>()), 1..12),
    ) {
        let mut expected = Page::default();
        let mut bytes = Vec::new();
        for (part, whole) in parts {
            let (mut names, mut page) = (Names::default(), Page::default());
            for (lid, fields, version) in part {
                let entry = entry(&mut names, &fields, version, false);
                page.put(&lid, entry, &names);
            }
            bytes.extend(page.encode(whole));
            if whole {
                expected = Page::default();
            }
            expected.merge(page);
        }
        let stored = Page::decode(&bytes).expect("parts");
        prop_assert!(stored.bytes <= bytes.len() as u64);
        prop_assert_eq!(stored.page.encode(true), expected.encode(true));
    }

    #[test]
    fn splitting_keeps_every_record_in_its_bucket(hashes in vec(any::<u64>(), 1..400)) {
        let mut names = Names::default();
        let mut pages = vec![Page::default()];
        let hash = |lid: &str| hashes[lid.parse::<usize>().expect("a number")];
        for (at, own) in hashes.iter().enumerate() {
            let bucket = shadow::bucket(*own, pages.len() as u32);
            let entry = entry(&mut names, &[], at as u64, false);
            pages[bucket as usize].put(&at.to_string(), entry, &names);
            if at % 16 == 15 {
                let buckets = pages.len() as u32;
                let from = shadow::next_split(buckets) as usize;
                let other =
                    pages[from].split(|lid| shadow::bucket(hash(lid), buckets + 1) == buckets);
                pages.push(other);
            }
            for (bucket, page) in pages.iter().enumerate() {
                for (lid, _) in page.entries() {
                    prop_assert_eq!(shadow::bucket(hash(lid), pages.len() as u32), bucket as u32);
                }
            }
        }
        let entries: usize = pages.iter().map(|page| page.entries().count()).sum();
        prop_assert_eq!(entries, hashes.len());
    }

    #[test]
    fn a_batch_is_read_as_it_was_written(
        ops in vec(("[a-z]{1,4}", ".{0,8}", any::<bool>(), any::<u32>(), fields()), 0..10),
    ) {
        let mut names = Names::default();
        let ops = ops.into_iter().enumerate().map(|(at, (table, lid, delete, changes, fields))| {
            let entry = entry(&mut names, &fields, at as u64, false);
            let (rid, fields) = (entry.rid, entry.fields);
            let (patch, base) = (at.is_multiple_of(2), u64::from(changes));
            let unset = fields.iter().skip(1).map(|field: &Field| field.0).collect();
            StagedOp { op: format!("i.{at}"), table, lid, rid, delete, patch, base, changes, fields, unset }
        });
        let ops: Vec<StagedOp> = ops.collect();
        let batch = Batch { number: 7, owner: 3, names, ops, not_before: 0, put_off: 0, suspect: 0 };
        prop_assert_eq!(Batch::decode(7, &batch.encode()), Some(batch));
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Page::decode(&bytes);
        let _ = Batch::decode(1, &bytes);
    }

    #[test]
    fn numbers_and_texts_are_read_as_they_were_written(
        numbers in vec(any::<u64>(), 0..20),
        text in ".{0,20}",
    ) {
        let mut to = Writer::default();
        numbers.iter().for_each(|number| to.number(*number));
        to.text(&text);
        let bytes = to.finish();
        let mut from = Reader::new(&bytes);
        for number in numbers {
            prop_assert_eq!(from.number(), Some(number));
        }
        prop_assert_eq!(from.text(), Some(text));
        prop_assert!(from.is_at_end());
    }

    #[test]
    fn the_counts_agree_with_the_log(
        changes in vec(vec((0..8_u8).prop_map(Change::Put), 1..5), 1..20),
        hinted in vec(any::<bool>(), 20),
        consumed in 0..20_usize,
    ) {
        let rows = rows(&changes);
        let ids = |row: &LogRow| -> Vec<u64> {
            crate::index::lids(row).map(|lid| u64::from(lid.as_bytes()[1])).collect()
        };
        let mut index = Index::default();
        for (row, hinted) in rows.iter().zip(&hinted) {
            if *hinted {
                index.hint(ids(row).into_iter());
            }
        }
        index.hint([9].into_iter());
        index.begin_reading();
        for row in &rows {
            index.read(row.row, row.ops.len() as u64, ids(row).into_iter());
        }
        index.end_reading();
        for row in rows.iter().take(consumed) {
            index.consume(row.row, row.ops.len() as u64, ids(row).into_iter());
        }
        let left: Vec<u64> = rows.iter().skip(consumed).flat_map(ids).collect();
        prop_assert_eq!(index.changes(), left.len() as u64);
        prop_assert_eq!(index.records(), left.into_iter().collect::<BTreeSet<_>>().len() as u64);
    }
}

#[test]
fn retry_after_is_seconds() {
    assert_eq!(retry_after_ms("120"), Some(120_000));
    for wrong in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        assert_eq!(retry_after_ms(wrong), None, "{wrong}");
    }
    assert_eq!(retry_after_ms("99999999999999999999999"), Some(u64::MAX));
}

#[test]
fn random_numbers_are_spread() {
    let mut rng = Rng::new(&[7; 32]);
    let mut seen = [0_u32; 10];
    for _ in 0..10_000 {
        seen[rng.up_to(9) as usize] += 1;
    }
    assert!(
        seen.iter().all(|times| (850..1_150).contains(times)),
        "{seen:?}"
    );
}
