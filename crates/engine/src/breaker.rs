//! The breaker: disables auto-sync after failures in a row, and lets probes through (I12).

/// Counts failures of transport and server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker {
    failures: u32,
    open: bool,
}

impl Breaker {
    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether auto-sync is disabled.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Counts a failure; gives whether the breaker is open now.
    pub(crate) fn fail(&mut self, failures_max: u32) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.open = self.open || self.failures >= failures_max;
        self.open
    }

    /// The server answered: closes the breaker.
    pub(crate) fn succeed(&mut self) {
        *self = Self::default();
    }
}
