//! A device's clocks. True time is the world's; what a device believes is another matter.

/// True time 0 of every world, in milliseconds since 1970-01-01 UTC: 2026-01-01.
pub(crate) const START_MS: u64 = 1_767_225_600_000;

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// The clocks of one device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    /// How far the wall clock is ahead of the truth, in milliseconds.
    skew_ms: i64,
    /// How long the device has slept before it fell asleep last; its monotonic clock stood still
    /// meanwhile.
    slept_ms: u64,
    /// When it fell asleep last, and when it awakes.
    sleep: (u64, u64),
}

impl Clock {
    pub(crate) fn new(skew_ms: i64) -> Self {
        Self {
            skew_ms,
            ..Self::default()
        }
    }

    pub(crate) fn wall(&self, true_ms: u64) -> u64 {
        (START_MS + true_ms).saturating_add_signed(self.skew_ms)
    }

    /// Counted from the start of the world; a tab counts from its own start.
    pub(crate) fn monotonic(&self, true_ms: u64) -> u64 {
        let (from, until) = self.sleep;
        let asleep = until.min(true_ms).saturating_sub(from);
        true_ms - self.slept_ms - asleep
    }

    pub(crate) fn step(&mut self, by_ms: i64) {
        self.skew_ms = self.skew_ms.saturating_add(by_ms);
    }

    /// It falls asleep, and awakes at `until`.
    pub(crate) fn sleep(&mut self, true_ms: u64, until: u64) {
        self.slept_ms += self.sleep.1 - self.sleep.0;
        self.sleep = (true_ms, until);
    }
}
