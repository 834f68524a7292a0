//! What is known for sure, gathered from facts: what was captured on each device and what has
//! become of it, what the server has done, and when each engine synced. The checks go by it.

mod captures;
mod runs;
mod server;

use crate::fact::Fact;

pub(crate) use captures::{Capture, Captures, Name, decision, is_done, op_id};
pub(crate) use runs::{Begin, End, How, asked_ms};
pub(crate) use server::{Part, ServerTruth};

use runs::Runs;

/// What is known for sure.
#[derive(Debug)]
pub(crate) struct Truth {
    /// By device.
    pub(crate) captures: Vec<Captures>,
    pub(crate) server: ServerTruth,
    pub(crate) runs: Runs,
}

impl Truth {
    pub(crate) fn new(devices: usize) -> Self {
        Self {
            captures: (0..devices).map(|_| Captures::default()).collect(),
            server: ServerTruth::default(),
            runs: Runs::new(devices),
        }
    }

    pub(crate) fn note(&mut self, fact: &Fact, now: u64) {
        match fact {
            Fact::Wrote {
                device,
                user,
                changes,
                aborted,
                ..
            } => {
                if !aborted {
                    self.captures[*device].wrote(user, changes);
                }
            }
            Fact::Stored {
                device,
                writes,
                pulled,
                outcome: Ok(()),
                before,
                after,
                ..
            } => self.captures[*device].stored((writes, pulled), before, after),
            Fact::Handled { request, handled } => {
                self.server.handled(handled);
                self.captures[request.device].handled(handled);
            }
            Fact::Forgot(forgotten) => self.server.forgot(forgotten),
            Fact::Answered { request, outcome } => {
                self.captures[request.device].answered(outcome);
            }
            Fact::Turned { .. }
            | Fact::Stored { .. }
            | Fact::Hinted { .. }
            | Fact::HintLost { .. }
            | Fact::Sent(_)
            | Fact::Pulled { .. }
            | Fact::Called { .. }
            | Fact::Resolved { .. }
            | Fact::Gone { .. }
            | Fact::ClockStepped { .. }
            | Fact::Disturbed { .. }
            | Fact::Healed
            | Fact::Due { .. }
            | Fact::Ended => {}
        }
        self.runs.note(fact, now);
    }
}
