//! I9: a change waits for the buffer before it starts a sync of its own.

use tidesync_engine::TimerReason;

use super::{Check, Scene, ensure};
use crate::fact::{Fact, TabId};
use crate::truth::Begin;

pub(super) struct Buffer;

impl Check for Buffer {
    fn name(&self) -> &'static str {
        "I9 buffer"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Some((tab, run)) = began(fact, scene) else {
            return Ok(());
        };
        let for_changes = matches!(
            run.reason,
            Some(TimerReason::Buffer | TimerReason::Throttle)
        );
        let (Some(first), true) = (run.first_hint, for_changes) else {
            return Ok(());
        };
        let waited = run.at.monotonic_ms - first;
        let buffer = scene.world.plan.config.buffer_ms;
        ensure(run.called || run.other_want || waited >= buffer, || {
            format!(
                "tab {tab} synced {waited} ms after the first change; the buffer is {buffer} ms"
            )
        })
    }
}

/// The tab that has begun a sync by this fact.
pub(super) fn began(fact: &Fact, scene: Scene<'_>) -> Option<(TabId, Begin)> {
    let runs = &scene.truth.runs;
    let tab = runs.began.filter(|_| matches!(fact, Fact::Turned { .. }))?;
    Some((tab, runs.tabs.get(&tab)?.run?))
}
