//! Cuts operations into batches.

use std::ops::Range;

/// The ranges of operations that travel together: at most `ops_max` of them and `bytes_max` bytes,
/// except that an operation larger than that goes alone.
pub(crate) fn cut(sizes: &[u64], ops_max: usize, bytes_max: u64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0_u64);
    for (at, size) in sizes.iter().enumerate() {
        let full = at - start >= ops_max.max(1) || bytes.saturating_add(*size) > bytes_max;
        if full && at > start {
            ranges.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(*size);
    }
    if start < sizes.len() {
        ranges.push(start..sizes.len());
    }
    ranges
}
