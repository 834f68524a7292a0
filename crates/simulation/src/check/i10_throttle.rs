//! I10: from the end of one sync of a device that sent changes to the start of the next automatic one
//! that does pass at least five seconds of true time, over all tabs. (What the server tells of is
//! fetched at once, and what must go before it goes at once too; when to probe a server that failed
//! again and again is I12's.) A tab that begins to lead knows when the server last confirmed
//! something, by the wall clock: a page that is loaded anew after a failure, or after the clock was
//! set, may try sooner.

use tidesync_engine::TimerReason;

use super::{Check, Scene, ensure};
use crate::fact::{Fact, Kind};

pub(super) struct Throttle;

impl Check for Throttle {
    fn name(&self) -> &'static str {
        "I10 throttle"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Fact::Turned {
            device,
            tab,
            requested: Some(Kind::Push),
            ..
        } = fact
        else {
            return Ok(());
        };
        // One that was replaced and does not know it yet is no leader any more.
        if !scene.world.devices[*device].is_current(*tab) {
            return Ok(());
        }
        let runs = &scene.truth.runs;
        let run = runs.tabs.get(tab).and_then(|course| course.run);
        let (Some(run), Some(last)) = (run, runs.ended[*device]) else {
            return Ok(());
        };
        let same = last.tab == *tab;
        let course = &runs.tabs[tab];
        let probes = course.hard >= scene.world.plan.config.failures_max;
        let exempt = run.called || probes || run.reason == Some(TimerReason::Poke);
        if exempt || run.at_true < last.at_true || (!same && (last.failed || last.stepped)) {
            return Ok(());
        }
        let throttle = scene.world.plan.config.throttle_ms;
        let since = if same {
            last.at_true
        } else {
            last.settled_true
        };
        let waited = run.at_true - since;
        ensure(waited >= throttle, || {
            format!(
                "device {device}: a sync by itself began {waited} ms after the end of the one \
                 before; the throttle is {throttle} ms"
            )
        })
    }
}
