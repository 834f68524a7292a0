//! The simulation's randomness: xoshiro256++ from one seed. Each part of the world has a source of
//! its own, forked by name, so that a change in one part does not shift every other.

/// A seeded source of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: [u64; 4],
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut word = seed;
        Self {
            state: std::array::from_fn(|_| split_mix(&mut word)),
        }
    }

    /// A source of its own for a part of the world. Does not advance this one.
    pub(crate) fn fork(&self, part: &str) -> Self {
        let mut word = self.state[0] ^ self.state[3].rotate_left(17);
        for byte in part.bytes() {
            word = split_mix(&mut word) ^ u64::from(byte);
        }
        Self::new(word)
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.state;
        let result = s0.wrapping_add(*s3).rotate_left(23).wrapping_add(*s0);
        let shifted = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= shifted;
        *s3 = s3.rotate_left(45);
        result
    }

    /// A number below `end`; 0 for an `end` of 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high - low).saturating_add(1))
    }

    /// A number from `low` to `high`, small ones as likely as large ones by order of magnitude.
    pub(crate) fn skewed(&mut self, low: u64, high: u64) -> u64 {
        let span = (high - low).saturating_add(1);
        let bits = u64::from(u64::BITS - span.leading_zeros());
        let most = 1_u64 << self.below(bits).min(62);
        low + self.below(most.min(span).saturating_add(1)).min(high - low)
    }

    /// True so many times in a million.
    pub(crate) fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// 32 bytes.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        seed
    }
}

fn split_mix(word: &mut u64) -> u64 {
    *word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *word;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut rng = Rng::new(7);
        for _ in 0..10_000 {
            assert!((3..=9).contains(&rng.between(3, 9)));
            assert!((3..=1_000).contains(&rng.skewed(3, 1_000)));
        }
        assert_eq!(
            (rng.below(0), rng.between(5, 5), rng.skewed(5, 5)),
            (0, 5, 5)
        );
    }

    #[test]
    fn parts_have_sources_of_their_own() {
        let rng = Rng::new(1);
        let (mut one, mut same, mut other) = (rng.fork("a"), rng.fork("a"), rng.fork("b"));
        let first = one.next();
        assert_eq!(first, same.next());
        assert_ne!(first, other.next());
    }
}
