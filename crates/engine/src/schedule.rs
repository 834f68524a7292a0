//! When to sync: the one table of times, and the rules of waiting as pure functions of it.

use serde::Serialize;

use crate::config::Config;
use crate::rng::Rng;

/// Why the engine wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimerReason {
    /// The buffer closes.
    Buffer,
    /// The throttle ends, and something waits for it.
    Throttle,
    /// The wait after a failure ends.
    Backoff,
    /// The periodic fallback.
    Periodic,
    /// The breaker may be probed.
    Recovery,
    /// An operation that the server put off may be sent again.
    Retry,
    /// Storage is tried again.
    Storage,
    /// The server has something new.
    Poke,
    /// The stream of pokes is opened again.
    Stream,
}

/// The times that decide when the next sync starts, in monotonic milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    /// Something is to be synced from this time on.
    pub(crate) wanted_at: Option<u64>,
    /// No automatic sync before: the last one ended too short a time ago.
    pub(crate) throttle_until: u64,
    /// No automatic sync before: the last one failed.
    pub(crate) backoff_until: Option<u64>,
    /// What of that the server has asked for.
    pub(crate) asked_until: Option<u64>,
    /// The fallback, while visible.
    pub(crate) periodic_at: Option<u64>,
    /// The breaker is open until a probe at this time.
    pub(crate) recovery_at: Option<u64>,
    /// The earliest time at which a put-off operation may go.
    pub(crate) retry_at: Option<u64>,
    /// The server has something new: that is fetched at once, whatever the throttle says.
    pub(crate) poked: bool,
    /// But not before: it was asked a moment ago.
    pub(crate) poke_from: u64,
}

impl Schedule {
    /// When the next automatic sync starts, and what it waits for last. None where nothing is to
    /// be done, ever, without a further input.
    pub(crate) fn next(&self) -> Option<(u64, TimerReason)> {
        if let Some(at) = self.recovery_at {
            return Some((at, TimerReason::Recovery));
        }
        let backed_off = (self.backoff_until.unwrap_or(0), TimerReason::Backoff);
        let poke = self.poked.then_some(if backed_off.0 > self.poke_from {
            backed_off
        } else {
            (self.poke_from, TimerReason::Poke)
        });
        let wishes = [
            (self.wanted_at, TimerReason::Buffer),
            (self.retry_at, TimerReason::Retry),
            (self.periodic_at, TimerReason::Periodic),
        ];
        let first = wishes
            .iter()
            .filter_map(|(at, why)| Some(((*at)?, *why)))
            .min();
        let Some(first) = first else { return poke };
        let throttled = (self.throttle_until, TimerReason::Throttle);
        let mut latest = first;
        for gate in [throttled, backed_off] {
            if gate.0 > latest.0 {
                latest = gate;
            }
        }
        Some(poke.map_or(latest, |poke| poke.min(latest)))
    }

    /// The time, or later where the server has asked for that.
    pub(crate) fn not_sooner_than_asked(&self, at: u64) -> u64 {
        self.asked_until.map_or(at, |asked| asked.max(at))
    }

    /// Opens the buffer, unless it is open or more is wanted sooner.
    pub(crate) fn want(&mut self, at: u64) {
        self.wanted_at = Some(self.wanted_at.map_or(at, |wanted| wanted.min(at)));
    }
}

/// The wait after the `attempt`-th failure in a row (1 for the first): doubled for each, capped,
/// and lengthened at random by up to half, within the cap (I11).
pub(crate) fn backoff(config: &Config, attempt: u32, rng: &mut Rng) -> u64 {
    let factor = u64::from(config.backoff_multiplier).saturating_pow(attempt.saturating_sub(1));
    let wait = config
        .backoff_base_ms
        .saturating_mul(factor)
        .min(config.backoff_max_ms);
    wait.saturating_add(rng.up_to(wait / 2))
        .min(config.backoff_max_ms)
}
