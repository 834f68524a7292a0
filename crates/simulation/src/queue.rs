//! What is to happen, in the order of time; what happens at the same millisecond, in the order in
//! which it was arranged.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Things to come.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Due<T>>>,
    arranged: u64,
}

#[derive(Debug)]
struct Due<T> {
    at: u64,
    order: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            arranged: 0,
        }
    }

    pub(crate) fn push(&mut self, at: u64, what: T) {
        self.arranged += 1;
        let order = self.arranged;
        self.heap.push(Reverse(Due { at, order, what }));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        self.heap.pop().map(|Reverse(due)| (due.at, due.what))
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_comes_first_then_the_order_of_arrangement() {
        let mut queue = Queue::new();
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (1, "b")] {
            queue.push(at, what);
        }
        let all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [(1, "a"), (1, "b"), (5, "c"), (5, "d")]);
    }
}
