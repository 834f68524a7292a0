//! What holds of every run: a seed decides it, and goes the same way again (I31).

use tidesync_simulation::{Case, Planted, run};

#[test]
fn a_seed_goes_the_same_way_again() {
    for seed in [2, 3, 17] {
        assert_eq!(run(Case::of(seed), None), run(Case::of(seed), None));
    }
    assert_ne!(run(Case::of(2), None).trace, run(Case::of(3), None).trace);
}

#[test]
fn a_planted_bug_has_a_name_of_its_own() {
    for bug in Planted::ALL {
        assert_eq!(Planted::named(&bug.name()), Some(*bug));
    }
    assert_eq!(Planted::named("none"), None);
}
