//! Hybrid logical clock: wall-clock time that never goes back, and a counter within a millisecond.
//!
//! It orders concurrent edits of one field and nothing else.

use std::fmt;
use std::str::FromStr;

use crate::hash::hash_text;

/// How far a clock may be ahead of the reader's, in milliseconds. Beyond it, the reader's own time
/// takes its place.
pub const DRIFT_MS_MAX: u64 = 60_000;

const COUNTER_BITS: u32 = 16;
const MS_MAX: u64 = u64::MAX >> COUNTER_BITS;

/// A reading of the clock: 48 bits of milliseconds since 1970-01-01 UTC, 16 bits of counter.
///
/// Its text form is 16 lower-case hex digits, which sort like the readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(u64);

impl Hlc {
    /// The first reading of a millisecond. Times after the year 10889 count as its end.
    #[must_use]
    pub fn at(wall_ms: u64) -> Self {
        Self(wall_ms.min(MS_MAX) << COUNTER_BITS)
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The reading, or the reader's own time where it is more than [`DRIFT_MS_MAX`] ahead of that.
    #[must_use]
    pub fn bounded(self, wall_ms: u64) -> Self {
        if self.ms() > wall_ms.saturating_add(DRIFT_MS_MAX) {
            Self::at(wall_ms)
        } else {
            self
        }
    }

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&hash_text(self.0))
    }
}

/// The text is not 16 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a clock reading: 16 lower-case hex digits")]
pub struct HlcError;

impl FromStr for Hlc {
    type Err = HlcError;

    fn from_str(text: &str) -> Result<Self, HlcError> {
        let reading = u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| HlcError)?;
        if reading.to_string() == text {
            Ok(reading)
        } else {
            Err(HlcError)
        }
    }
}

/// The clock of one client or server. Its state is its last reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HlcClock {
    last: Hlc,
}

impl HlcClock {
    /// A clock that goes on after `last`.
    #[must_use]
    pub fn after(last: Hlc) -> Self {
        Self { last }
    }

    /// The last reading.
    #[must_use]
    pub fn last(self) -> Hlc {
        self.last
    }

    /// A new reading: above every earlier one and above every one that was observed.
    pub fn tick(&mut self, wall_ms: u64) -> Hlc {
        self.last = self.last.next().max(Hlc::at(wall_ms));
        self.last
    }

    /// Takes note of another clock's reading, within the drift bound, and returns it as bounded.
    pub fn observe(&mut self, remote: Hlc, wall_ms: u64) -> Hlc {
        let remote = remote.bounded(wall_ms);
        self.last = self.last.max(remote);
        remote
    }
}
