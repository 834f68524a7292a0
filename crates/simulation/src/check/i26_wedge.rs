//! I26: once network, server, session and one tab are healthy, everything that can be sent is sent
//! within the longest backoff, the spread after an outage and a request's time; and every call of
//! the app is answered.

use std::collections::BTreeMap;

use tidesync_engine::interface::RowUser;

use super::{Check, Scene, ensure};
use crate::device::Device;
use crate::fact::{Fact, TabId};
use crate::schema::CHECKPOINTS;

#[derive(Default)]
pub(super) struct NoWedge {
    /// Calls that are not answered yet.
    calls: BTreeMap<u64, TabId>,
}

impl Check for NoWedge {
    fn name(&self) -> &'static str {
        "I26 no wedge"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        match fact {
            Fact::Called { tab, call, .. } => {
                self.calls.insert(*call, *tab);
            }
            Fact::Resolved { call, .. } => {
                self.calls.remove(call);
            }
            // The shell asks the next leader again.
            Fact::Gone { tab, .. } => self.calls.retain(|_, of| of != tab),
            Fact::Due { device } => {
                let it = &scene.world.devices[*device];
                let left = left(it, !it.visible);
                return ensure(left.is_none(), || {
                    format!("device {device}: {left:?} is still not sent")
                });
            }
            Fact::Ended => {
                for (place, device) in scene.world.devices.iter().enumerate() {
                    let left = left(device, false);
                    ensure(left.is_none(), || {
                        format!("device {place}: {left:?} is still not sent at the end")
                    })?;
                }
                let call = self.calls.first_key_value();
                return ensure(call.is_none(), || {
                    format!("call and tab {call:?}: never answered")
                });
            }
            _ => {}
        }
        Ok(())
    }
}

/// A change that can be sent and waits. On a hidden page, what is no reason to sync waits until
/// somebody looks.
fn left(device: &Device, hidden: bool) -> Option<String> {
    if let Some((batch, staged)) = device.disk.staged.first_key_value() {
        let ops = staged.texts.len();
        return Some(format!("batch {batch} with {ops} operations"));
    }
    for table in &device.disk.tables {
        if hidden && table.name == CHECKPOINTS {
            continue;
        }
        for (row, entry) in &table.log {
            if entry.user != RowUser::Nobody {
                return Some(format!("row {row} of the log of {}", table.name));
            }
        }
    }
    None
}
