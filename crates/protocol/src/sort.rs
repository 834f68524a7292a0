//! One sort for everything, compiled once: it orders places, and the caller moves what stands there.

use std::cmp::Ordering;

/// The places `0..count` in ascending order of what `compare` says of two of them; equal ones keep
/// their order.
#[must_use]
pub fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    let mut merged = Vec::with_capacity(count);
    let mut run = 1;
    while run < count {
        merged.clear();
        for pair in places.chunks(run.saturating_mul(2)) {
            let (left, right) = pair.split_at_checked(run).unwrap_or((pair, &[]));
            merge(left, right, compare, &mut merged);
        }
        std::mem::swap(&mut places, &mut merged);
        run = run.saturating_mul(2);
    }
    places
}

/// Brings `items` into the order that [`order`] gave.
#[must_use]
pub fn arranged<T>(items: Vec<T>, order: &[usize]) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let take = |place: &usize| items.get_mut(*place).and_then(Option::take);
    order.iter().filter_map(take).collect()
}

fn merge(
    mut left: &[usize],
    mut right: &[usize],
    compare: &dyn Fn(usize, usize) -> Ordering,
    to: &mut Vec<usize>,
) {
    while let (Some((one, left_rest)), Some((other, right_rest))) =
        (left.split_first(), right.split_first())
    {
        if compare(*other, *one).is_lt() {
            to.push(*other);
            right = right_rest;
        } else {
            to.push(*one);
            left = left_rest;
        }
    }
    to.extend_from_slice(left);
    to.extend_from_slice(right);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::order;

    proptest! {
        #[test]
        fn orders_as_a_stable_sort_does(items in prop::collection::vec(0_u8..20, 0..200)) {
            let mut expected: Vec<usize> = (0..items.len()).collect();
            expected.sort_by_key(|place| items[*place]);
            let places = order(items.len(), &|one, other| items[one].cmp(&items[other]));
            prop_assert_eq!(places, expected);
        }
    }
}
