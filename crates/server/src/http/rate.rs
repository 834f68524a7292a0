//! Rate limits (SEC11): for each key so many in a period, spread evenly, with the whole of it as
//! the largest burst. Time is a parameter.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who shares a limit: an IPv4 address, or the /64 network of an IPv6 address, of which one
/// customer has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network(u128);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() & !u128::from(u64::MAX)),
        }
    }
}

/// Counts by key; forgets a key as soon as its allowance is whole again.
#[derive(Debug)]
pub struct RateLimiter<K> {
    /// The time that one costs.
    cost: Duration,
    period: Duration,
    keys_max: usize,
    /// For each key, when its allowance will be whole again.
    whole_at: Mutex<BTreeMap<K, Instant>>,
}

impl<K: Ord + Clone> RateLimiter<K> {
    /// Allows `count` (at least 1) in each `period`, and tells at most `keys_max` keys apart.
    #[must_use]
    pub fn new(count: u32, period: Duration, keys_max: usize) -> Self {
        Self {
            cost: period / count.max(1),
            period,
            keys_max,
            whole_at: Mutex::new(BTreeMap::new()),
        }
    }

    /// Takes one for `key`, or says how long to wait for it.
    ///
    /// # Errors
    /// The wait.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        // A panic elsewhere cannot leave the map half changed: each change is one call.
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let spent_until = whole_at.get(key).copied().unwrap_or(now).max(now);
        let after = spent_until + self.cost;
        let wait = after.saturating_duration_since(now + self.period);
        if !wait.is_zero() {
            return Err(wait);
        }
        if self.keys_max <= whole_at.len() && !whole_at.contains_key(key) {
            whole_at.retain(|_, at| now < *at);
        }
        // With every place taken by others that are active, a new key goes uncounted: to refuse it
        // would let the many shut out the rest.
        if whole_at.len() < self.keys_max || whole_at.contains_key(key) {
            whole_at.insert(key.clone(), after);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_burst_of_the_whole_allowance_passes_and_then_one_by_one() {
        let limiter = RateLimiter::new(60, MINUTE, 10);
        let start = Instant::now();
        for _ in 0..60 {
            assert_eq!(limiter.take(&"a", start), Ok(()));
        }
        assert_eq!(limiter.take(&"a", start), Err(Duration::from_secs(1)));
        assert_eq!(limiter.take(&"b", start), Ok(()), "others are unaffected");
        assert_eq!(limiter.take(&"a", start + Duration::from_secs(1)), Ok(()));
        assert!(limiter.take(&"a", start + Duration::from_secs(1)).is_err());
        assert_eq!(limiter.take(&"a", start + MINUTE * 2), Ok(()));
    }

    #[test]
    fn its_memory_is_bounded_and_forgets_those_who_rest() {
        let limiter = RateLimiter::new(60, MINUTE, 2);
        let start = Instant::now();
        for key in 0..100 {
            assert_eq!(limiter.take(&key, start), Ok(()));
        }
        let later = start + MINUTE;
        assert_eq!(limiter.take(&7, later), Ok(()));
        let keys: Vec<i32> = limiter
            .whole_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect();
        assert_eq!(keys, [7]);
    }

    #[test]
    fn an_ipv6_customer_is_one_and_mapped_addresses_are_ipv4() {
        let network = |text: &str| text.parse::<IpAddr>().map(Network::from).ok();
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));
    }
}
