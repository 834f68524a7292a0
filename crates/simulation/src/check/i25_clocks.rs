//! I25: whatever a client's clock says, the server keeps no clock that is more than a minute ahead
//! of its own. (That all else holds with wrong clocks is what every other check shows.)

use tidesync_protocol::hlc::{DRIFT_MS_MAX, Hlc};

use super::{Check, Scene, ensure};
use crate::fact::Fact;

pub(super) struct Clocks;

impl Check for Clocks {
    fn name(&self) -> &'static str {
        "I25 clock independence"
    }

    fn see(&mut self, fact: &Fact, _: Scene<'_>) -> Result<(), String> {
        let Fact::Handled { handled, .. } = fact else {
            return Ok(());
        };
        for (op, _, row) in &handled.ops {
            let clock = row.as_ref().and_then(|row| row.hlc.parse::<Hlc>().ok());
            let ahead = clock.map_or(0, |clock| clock.ms().saturating_sub(handled.wall_ms));
            ensure(ahead <= DRIFT_MS_MAX, || {
                format!(
                    "the record of {} has a clock {ahead} ms ahead of the server's",
                    op.op
                )
            })?;
        }
        Ok(())
    }
}
