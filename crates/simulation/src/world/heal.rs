//! The end of all faults: from here on everything must be sent in time, and all be equal.

use tidesync_engine::Phase;
use tidesync_engine::interface::Input;

use super::{Event, Spell, World};
use crate::clock::{MINUTE, SECOND};
use crate::device::Device;
use crate::fact::Fact;

/// Longest latency of a healthy network.
const LATENCY_MS_MAX: u64 = 50;

/// From the end of all faults until everything is sent (I26): the longest backoff, the spread of
/// the first attempt after an outage, and a request that was under way and is never answered.
const BACKOFF_MS_MAX: u64 = 5 * MINUTE;
const SPREAD_MS: u64 = 5 * SECOND;
const REQUEST_MS: u64 = 30 * SECOND;

/// More for devices whose pages are hidden: their timers come late.
const HIDDEN_MS: u64 = MINUTE;

/// What transactions and messages of a healthy device take, for each change that is pending.
const CHANGE_MS: u64 = 500;

/// And in any case.
const SLACK_MS: u64 = 15 * SECOND;

impl World {
    pub(super) fn heal(&mut self) {
        self.healed_at = Some(self.now);
        self.plan.heal();
        self.plan.net.latency_ms = self.plan.net.latency_ms.min(LATENCY_MS_MAX);
        self.refusal = None;
        self.cloud.locked = false;
        self.start_server();
        for device in 0..self.devices.len() {
            for spell in [
                Spell::Offline,
                Spell::Partition,
                Spell::Portal,
                Spell::Closed,
                Spell::SignedOut,
                Spell::SwitchedOff,
            ] {
                self.end_spell(device, spell);
            }
            // A page of which a write is not told to the leader syncs when somebody looks.
            if self.plan.app.hint_lost > 0 {
                self.end_spell(device, Spell::Hidden);
            }
            self.help(device);
        }
        self.facts.push(Fact::Healed);
        let due: Vec<u64> = self.devices.iter().map(|it| self.due(it)).collect();
        for (device, due) in due.iter().enumerate() {
            self.queue.push(*due, Event::Due(device));
        }
        let all = due.iter().max().copied().unwrap_or(self.now);
        self.queue.push(all + 1, Event::Look);
    }

    /// By when everything of a device must be sent (I26). What the server has asked for stands.
    fn due(&self, device: &Device) -> u64 {
        let asked = device
            .asked_until
            .saturating_sub(device.clock.monotonic(self.now));
        let hidden = if device.visible { 0 } else { HIDDEN_MS };
        let wait = BACKOFF_MS_MAX.max(asked) + SPREAD_MS + REQUEST_MS;
        self.now + wait + hidden + CHANGE_MS * backlog(device) + SLACK_MS
    }

    /// A person does what the status asks for: signs in, or loads the page anew.
    fn help(&mut self, device: usize) {
        let it = &self.devices[device];
        let Some(tab) = it.leader() else {
            return;
        };
        let status = tab.engine.status(tab.now(&it.clock, self.now));
        match status.phase {
            Phase::NeedsAuth => self.tell(device, Input::TokenAvailable),
            Phase::StorageFailed => self.reload(device),
            Phase::Idle
            | Phase::Buffering
            | Phase::Waiting
            | Phase::Syncing
            | Phase::BackingOff
            | Phase::Probing
            | Phase::Offline
            | Phase::Disabled
            | Phase::EngineFailed => {}
        }
    }

    /// The user looks at every device: what is no reason to sync is synced too.
    pub(super) fn look(&mut self) {
        for device in 0..self.devices.len() {
            self.end_spell(device, Spell::Hidden);
        }
        let backlog = self.devices.iter().map(backlog).max().unwrap_or(0);
        let rest = 2 * MINUTE + CHANGE_MS * backlog + SLACK_MS;
        self.queue.push(self.now + rest, Event::Rest);
    }
}

/// How many changes wait on a device.
fn backlog(device: &Device) -> u64 {
    let logged = device
        .disk
        .tables
        .iter()
        .flat_map(|table| table.log.values());
    let logged: usize = logged.map(|entry| entry.ops.len()).sum();
    let staged: usize = device
        .disk
        .staged
        .values()
        .map(|staged| staged.texts.len())
        .sum();
    (logged + staged) as u64
}
