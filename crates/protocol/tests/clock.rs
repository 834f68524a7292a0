//! The laws of the hybrid logical clock.

use proptest::prelude::*;
use tidesync_protocol::hlc::{DRIFT_MS_MAX, Hlc, HlcClock, HlcError};

#[derive(Debug, Clone)]
enum Step {
    Tick(u64),
    Observe(u64, u64),
}

fn wall() -> impl Strategy<Value = u64> {
    prop_oneof![
        1_000_000..1_000_100_u64,
        900_000..1_200_000_u64,
        any::<u64>()
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        wall().prop_map(Step::Tick),
        (wall(), wall()).prop_map(|(r, w)| Step::Observe(r, w))
    ]
}

#[test]
fn counts_within_a_millisecond_and_follows_the_wall() {
    let mut clock = HlcClock::default();
    let texts: Vec<String> = [5, 5, 4, 7]
        .iter()
        .map(|wall| clock.tick(*wall).to_string())
        .collect();
    let expected = [
        "0000000000050000",
        "0000000000050001",
        "0000000000050002",
        "0000000000070000",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_full_counter_goes_on_in_the_next_millisecond() {
    let last: Hlc = "000000000005ffff".parse().expect("a reading");
    assert_eq!(HlcClock::after(last).tick(5), Hlc::at(6));
}

#[test]
fn a_reading_beyond_the_drift_bound_is_replaced_by_the_readers_time() {
    let bound = Hlc::at(1_000 + DRIFT_MS_MAX);
    assert_eq!(bound.bounded(1_000), bound);
    assert_eq!(Hlc::at(1_001 + DRIFT_MS_MAX).bounded(1_000), Hlc::at(1_000));
    let mut clock = HlcClock::default();
    clock.tick(1_000);
    clock.observe(Hlc::at(u64::MAX), 1_000);
    assert_eq!(clock.tick(1_000).ms(), 1_000);
}

#[test]
fn refuses_other_texts() {
    for text in [
        "",
        "5",
        "000000000005000g",
        "000000000005000A",
        "+00000000005000a",
        "0000000000050000 ",
    ] {
        assert_eq!(text.parse::<Hlc>(), Err(HlcError), "{text}");
    }
}

proptest! {
    #[test]
    fn texts_sort_like_readings(one: u64, other: u64) {
        let reading = |bits: u64| -> Hlc { format!("{bits:016x}").parse().expect("a reading") };
        let (one, other) = (reading(one), reading(other));
        prop_assert_eq!(one.to_string().cmp(&other.to_string()), one.cmp(&other));
        prop_assert_eq!(one.ms().cmp(&other.ms()).then(one.cmp(&other)), one.cmp(&other));
    }

    #[test]
    fn ticks_rise_above_everything_seen(steps in prop::collection::vec(step(), 0..40)) {
        let mut clock = HlcClock::default();
        let mut highest = Hlc::default();
        for step in steps {
            match step {
                Step::Tick(wall) => {
                    let last = highest;
                    highest = clock.tick(wall);
                    prop_assert!(highest > last || last == Hlc::at(u64::MAX) || last.ms() == Hlc::at(u64::MAX).ms());
                    prop_assert!(highest >= Hlc::at(wall));
                }
                Step::Observe(remote, wall) => {
                    let bounded = clock.observe(Hlc::at(remote), wall);
                    prop_assert!(bounded.ms() <= wall.saturating_add(DRIFT_MS_MAX));
                    highest = highest.max(bounded);
                }
            }
            prop_assert_eq!(clock.last(), highest);
        }
    }

    /// However wrong remote clocks are, readings stay within the drift bound of the own wall.
    #[test]
    fn remote_clocks_cannot_run_it_away(remotes in prop::collection::vec(any::<u64>(), 1..40)) {
        let wall = 1_700_000_000_000;
        let mut clock = HlcClock::default();
        for remote in remotes {
            clock.observe(Hlc::at(remote), wall);
            prop_assert!(clock.tick(wall).ms() <= wall + DRIFT_MS_MAX);
        }
    }
}
