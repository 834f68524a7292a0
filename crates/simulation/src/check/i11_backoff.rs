//! I11: after the k-th failure in a row the wait is doubled, capped, and lengthened at random by up
//! to half; what the server asks for is obeyed, up to an hour.

use super::i09_buffer::began;
use super::{Check, Scene, ensure};
use crate::clock::SECOND;
use crate::fact::Fact;
use crate::truth::{End, How};

/// What transactions before a sync may take.
const SLACK_MS: u64 = 30 * SECOND;

pub(super) struct Backoff;

impl Check for Backoff {
    fn name(&self) -> &'static str {
        "I11 backoff"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Some((tab, run)) = began(fact, scene) else {
            return Ok(());
        };
        let Some(end) = scene.truth.runs.tabs.get(&tab).and_then(|it| it.last) else {
            return Ok(());
        };
        let config = &scene.world.plan.config;
        let failed = matches!(end.how, How::Hard | How::Soft);
        if !failed || run.called {
            return Ok(());
        }
        let waited = run.at.monotonic_ms - end.at.monotonic_ms;
        ensure(waited >= end.asked_ms, || {
            format!(
                "tab {tab} waited {waited} ms; the server had asked for {}",
                end.asked_ms
            )
        })?;
        if end.offline || end.hard >= config.failures_max {
            return Ok(());
        }
        let shortest = shortest(&end, config.backoff_base_ms, config.backoff_max_ms);
        ensure(end.woken || waited >= shortest, || {
            format!(
                "tab {tab} waited {waited} ms after failure {} in a row; at least {shortest} ms \
                 are due",
                end.all
            )
        })?;
        let longest = (shortest + shortest / 2).min(config.backoff_max_ms);
        let longest = longest.max(end.asked_ms) + SLACK_MS;
        // A tab that leads no more, and does not know it yet, need not be in time.
        let leads = scene.truth.runs.leads(tab, scene.world);
        ensure(!leads || end.disturbed || waited <= longest, || {
            format!(
                "tab {tab} waited {waited} ms after failure {} in a row; at most {longest} ms \
                 are due",
                end.all
            )
        })
    }
}

fn shortest(end: &End, base_ms: u64, max_ms: u64) -> u64 {
    let doubled = 1_u64
        .checked_shl(end.all.saturating_sub(1))
        .unwrap_or(u64::MAX);
    base_ms.saturating_mul(doubled).min(max_ms)
}
