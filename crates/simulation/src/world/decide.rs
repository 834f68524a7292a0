//! Conflicts that wait for somebody: the app's function, or its user.

use tidesync_engine::interface::{Call, Choice, Chosen, Conflict, Effect, Input};

use super::{Event, World};
use crate::clock::SECOND;
use crate::fact::{DeviceId, TabId};
use crate::faults::Fault;

impl World {
    /// The app's function is asked. It answers after a while, or fails.
    pub(super) fn ask_app(&mut self, tab: TabId, effect: Effect) {
        let Effect::AskResolver { task, conflict } = effect else {
            return;
        };
        self.counts.add(Fault::ConflictAsked);
        let at = self.now + self.life.skewed(1, 20 * SECOND);
        let outcome = if self.life.chance(self.plan.app.resolver_fails) {
            self.counts.add(Fault::ResolverFailed);
            Err("the app's function failed".to_owned())
        } else {
            Ok(self.chosen(&conflict))
        };
        let input = Input::ResolverAnswered { task, outcome };
        self.queue.push(at, Event::Turn(tab, input));
    }

    fn chosen(&mut self, conflict: &Conflict) -> Chosen {
        let value = match self.life.below(5) {
            0 | 1 => conflict.local.clone(),
            2 | 3 => conflict.remote.clone(),
            _ => None,
        };
        Chosen { value }
    }

    /// The user decides about something that is held, now and then.
    pub(super) fn settle(&mut self, device: DeviceId) {
        if !self.life.chance(self.plan.app.settle) {
            return;
        }
        let it = &self.devices[device];
        let conflicts = it.disk.held.iter().filter(|(_, row)| row.remote.is_some());
        let conflicts: Vec<_> = conflicts.collect();
        let (Some(tab), false) = (it.leader().map(|tab| tab.id), conflicts.is_empty()) else {
            return;
        };
        let (op, row) = self.life.pick(&conflicts);
        let here = it.disk.record(&row.notice.table, &row.notice.lid);
        let here = here.and_then(|record| record.value.wire());
        let here = here.map(|wire| wire.to_string());
        let choices = [
            Choice::Local,
            Choice::Remote,
            Choice::Value(Chosen { value: here }),
        ];
        let choice = self.life.pick(&choices).clone();
        self.counts.add(Fault::HeldSettled);
        self.next_call += 1;
        let call = Call(self.next_call);
        let op = (*op).clone();
        let input = Input::SettleHeld { call, op, choice };
        let at = self.now + self.life.below(20);
        self.queue.push(at, Event::Turn(tab, input));
    }
}
