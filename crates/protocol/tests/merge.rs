//! The merge rule: its algebra, and what it decides.

mod model;

use model::Changes;
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::merge::{Stamp, Strategy as Resolution, Write, winner};
use tidesync_protocol::wire::{OnConflict, Winner};

const STRATEGIES: [Resolution; 2] = [Resolution::LastWriteWins, Resolution::Merge];

/// Few clocks, clients and values, so that there are ties of every kind.
fn changes() -> impl Strategy<Value = Changes> {
    let register = (
        0_u64..4,
        "[ab]",
        option::of(prop::collection::vec(0_u8..3, 0..2)),
    );
    let fields = btree_map("[xyz]", register, 0..3);
    (fields, option::of((0_u64..4, "[ab]")))
        .prop_map(|(fields, removed)| Changes { fields, removed })
}

fn all(changes: &[Changes]) -> Changes {
    changes
        .iter()
        .fold(Changes::default(), |joined, next| joined.join(next))
}

proptest! {
    #[test]
    fn joining_is_commutative(one in changes(), other in changes()) {
        prop_assert_eq!(one.clone().join(&other), other.join(&one));
    }

    #[test]
    fn joining_is_associative(one in changes(), two in changes(), three in changes()) {
        let left = one.clone().join(&two).join(&three);
        prop_assert_eq!(left, one.join(&two.join(&three)));
    }

    #[test]
    fn joining_is_idempotent(one in changes(), other in changes()) {
        prop_assert_eq!(one.clone().join(&one), one.clone());
        let both = one.join(&other);
        prop_assert_eq!(both.clone().join(&other), both);
    }

    #[test]
    fn the_outcome_knows_no_order_no_grouping_and_no_repetition(
        (given, arrived) in prop::collection::vec(changes(), 1..7).prop_flat_map(|given| {
            let twice = [given.clone(), given.clone()].concat();
            (Just(given), Just(twice).prop_shuffle())
        }),
        cut in any::<prop::sample::Index>(),
    ) {
        let (early, late) = arrived.split_at(cut.index(arrived.len()));
        for strategy in STRATEGIES {
            let expected = all(&given).outcome(strategy);
            prop_assert_eq!(all(early).join(&all(late)).outcome(strategy), expected);
        }
    }

    #[test]
    fn only_a_removal_with_no_later_change_removes(changes in changes()) {
        let last = changes.fields.values().map(|(clock, client, _)| (*clock, client.clone())).max();
        let by_time = changes.removed.is_some() && last < changes.removed;
        prop_assert_eq!(changes.outcome(Resolution::LastWriteWins).is_none(), by_time);
        let untouched = changes.removed.is_some() && changes.fields.is_empty();
        prop_assert_eq!(changes.outcome(Resolution::Merge).is_none(), untouched);
    }
}

fn at(minute: u64, client: &'static str) -> Stamp<'static> {
    let clock = Hlc::at(1_700_000_000_000 + minute * 60_000);
    Stamp { clock, client }
}

#[test]
fn the_client_of_10_30_wins_over_the_server_of_10_25() {
    let client = Write {
        stamp: at(30, "client"),
        value: Some(b"85"),
    };
    let server = Write {
        stamp: at(25, "server"),
        value: Some(b"80"),
    };
    assert_eq!(winner(client, server), Winner::Local);
    assert_eq!(winner(server, client), Winner::Remote);
}

#[test]
fn ties_go_by_client_and_then_by_value_and_a_removal_is_the_least() {
    let of = |client, value| Write {
        stamp: at(0, client),
        value,
    };
    let ascending = [
        of("a", None),
        of("a", Some(&b""[..])),
        of("a", Some(b"1")),
        of("a", Some(b"2")),
        of("b", None),
        of("b", Some(b"1")),
    ];
    for (place, &lower) in ascending.iter().enumerate() {
        assert_eq!(winner(lower, lower), Winner::Remote, "nothing changes");
        for &higher in ascending.iter().skip(place + 1) {
            assert_eq!(winner(higher, lower), Winner::Local, "{higher:?} {lower:?}");
            assert_eq!(
                winner(lower, higher),
                Winner::Remote,
                "{higher:?} {lower:?}"
            );
        }
    }
}

#[test]
fn an_update_against_a_removal_goes_by_time_or_stays() {
    let cases = [
        (at(2, "a"), at(1, "b"), true),
        (at(1, "b"), at(2, "a"), false),
    ];
    for (update, removal, kept) in cases {
        assert_eq!(Resolution::LastWriteWins.keeps(update, removal), kept);
        assert!(Resolution::Merge.keeps(update, removal));
    }
    assert!(Resolution::LastWriteWins.keeps(at(1, "a"), at(1, "a")));
}

#[test]
fn what_is_to_be_asked_has_no_strategy() {
    let named = [OnConflict::LastWriteWins, OnConflict::Merge].map(Resolution::of);
    assert_eq!(named, STRATEGIES.map(Some));
    assert_eq!(Resolution::of(OnConflict::Ask), None);
}
