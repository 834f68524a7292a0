//! I15: for one record, the server does a client's operations in the order in which the changes
//! were made.

use std::collections::BTreeMap;

use tidesync_protocol::wire::Verdict;

use super::{Check, Scene, ensure};
use crate::fact::{DeviceId, Fact};
use crate::truth::Name;

#[derive(Default)]
pub(super) struct Order {
    /// The last change of each record that was done.
    last: BTreeMap<(DeviceId, Name), u64>,
}

impl Check for Order {
    fn name(&self) -> &'static str {
        "I15 order"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Fact::Handled { request, handled } = fact else {
            return Ok(());
        };
        let applied = handled
            .ops
            .iter()
            .filter(|(_, entry, _)| handled.committed && entry.verdict == Verdict::Applied);
        for (op, ..) in applied {
            let captures = &scene.truth.captures[request.device];
            let Some(staged) = captures.ops.get(&op.op) else {
                continue;
            };
            let record = (request.device, staged.name.clone());
            let last = self.last.entry(record).or_insert(0);
            let (table, lid) = &staged.name;
            ensure(staged.seq >= *last, || {
                format!(
                    "change {} of device {}'s {table} {lid} was done after its change {last}",
                    staged.seq, request.device
                )
            })?;
            *last = staged.seq;
        }
        Ok(())
    }
}
