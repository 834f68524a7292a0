//! I12: after exactly five failures of transport or server in a row auto-sync is off; then one
//! probe each recovery period; one success, and it is on.

use std::collections::BTreeMap;

use tidesync_engine::DisabledReason;

use super::i09_buffer::began;
use super::{Check, Scene, ensure};
use crate::clock::SECOND;
use crate::fact::{Fact, TabId};

/// What transactions before a sync may take.
const SLACK_MS: u64 = 30 * SECOND;

#[derive(Default)]
pub(super) struct Breaker {
    /// Whether it was open after the last sync of a tab.
    open: BTreeMap<TabId, bool>,
}

impl Check for Breaker {
    fn name(&self) -> &'static str {
        "I12 breaker"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Fact::Turned { tab, status, .. } = fact else {
            return Ok(());
        };
        let Some(course) = scene.truth.runs.tabs.get(tab) else {
            return Ok(());
        };
        let config = &scene.world.plan.config;
        let off = status.disabled_reason == Some(DisabledReason::Failures);
        let user_off = status.disabled_reason == Some(DisabledReason::User);
        let failures = course.hard;
        ensure(status.consecutive_failures == failures, || {
            format!(
                "tab {tab} counts {} failures in a row; there were {failures}",
                status.consecutive_failures
            )
        })?;
        ensure(user_off || off == (failures >= config.failures_max), || {
            format!("tab {tab} has auto-sync off: {off}, after {failures} failures in a row")
        })?;
        let was_open = self.open.insert(*tab, failures >= config.failures_max);
        let (Some((_, run)), Some(true)) = (began(fact, scene), was_open) else {
            return Ok(());
        };
        let Some(end) = course.last else {
            return Ok(());
        };
        if run.called {
            return Ok(());
        }
        let waited = run.at.monotonic_ms - end.at.monotonic_ms;
        let period = config.recovery_ms;
        ensure(end.woken || waited >= period, || {
            format!(
                "tab {tab} probed {waited} ms after the last attempt; one is due each {period} ms"
            )
        })?;
        let longest = (period + config.backoff_base_ms).max(end.asked_ms) + SLACK_MS;
        let leads = scene.truth.runs.leads(*tab, scene.world);
        ensure(!leads || end.disturbed || waited <= longest, || {
            format!(
                "tab {tab} probed only {waited} ms after the last attempt; {longest} ms at most are due"
            )
        })
    }
}
