//! I27: an operation that makes the whole request refused costs at most log2(n) + 2 requests before
//! it is held and the others pass.

use std::collections::BTreeMap;

use tidesync_engine::interface::RequestOutcome;

use super::{Check, Scene, ensure};
use crate::fact::{Fact, TabId, Told};

/// Refusals in a row of one tab.
#[derive(Default)]
struct Streak {
    refused: u32,
    /// Operations of the first request that was refused.
    ops: u32,
}

#[derive(Default)]
pub(super) struct Poison {
    streaks: BTreeMap<TabId, Streak>,
}

impl Check for Poison {
    fn name(&self) -> &'static str {
        "I27 poison containment"
    }

    fn see(&mut self, fact: &Fact, _: Scene<'_>) -> Result<(), String> {
        match fact {
            Fact::Answered { request, outcome } => {
                if let RequestOutcome::Answer { status: 400, .. } = &**outcome {
                    let streak = self.streaks.entry(request.tab).or_default();
                    if streak.refused == 0 {
                        streak.ops = request.text.matches("{\"op\":\"").count() as u32;
                    }
                    streak.refused += 1;
                    let most = streak.ops.max(1).ilog2() + 3;
                    return ensure(streak.refused <= most, || {
                        format!(
                            "tab {}: {} refusals for a bad operation among {}; at most {most} are due",
                            request.tab, streak.refused, streak.ops
                        )
                    });
                }
            }
            // Held: the search is over. A failure of storage makes the engine begin anew.
            Fact::Stored {
                tab, before, after, ..
            } if after.held.keys().any(|op| !before.held.contains_key(op)) => {
                self.streaks.remove(tab);
            }
            Fact::Turned {
                tab,
                told: Told::Storage(Some(_)),
                ..
            }
            | Fact::Gone { tab, .. } => {
                self.streaks.remove(tab);
            }
            _ => {}
        }
        Ok(())
    }
}
