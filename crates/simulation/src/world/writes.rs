//! The app's writes, and its calls.

use std::rc::Rc;

use tidesync_engine::interface::{Call, Input, RowUser};

use super::{Event, World};
use crate::app::Act;
use crate::disk::Hint;
use crate::fact::{DeviceId, Fact};
use crate::faults::Fault;
use crate::planted;

impl World {
    /// The user of a device does something, if the app is open.
    pub(super) fn act(&mut self, device: DeviceId) {
        if self.healed_at.is_some() {
            return;
        }
        let it = &mut self.devices[device];
        if it.asleep_until > self.now {
            let again = it.asleep_until;
            return self.queue.push(again, Event::Act(device));
        }
        let act = it.app.act(&it.disk, &self.plan.app, &mut self.counts);
        self.queue.push(self.now + act.pause_ms, Event::Act(device));
        if !self.devices[device].open {
            return;
        }
        self.call(device);
        self.settle(device);
        self.write(device, &act);
    }

    fn write(&mut self, device: DeviceId, act: &Act) {
        let user = self.writer(device);
        let planted = self.plan.planted;
        let it = &mut self.devices[device];
        let before = it.disk.clone();
        let at_ms = it.clock.wall(self.now);
        let (hints, changes) = it.disk.write(&act.ops, &user, at_ms, act.rows);
        planted::of_write(planted, &mut it.disk, &before, &mut self.life);
        if act.aborted {
            self.counts.add(Fault::AppWriteAborted);
            planted::abort(planted, &mut it.disk, &before);
        } else {
            it.app.look(&it.disk);
        }
        let after = it.disk.clone();
        let ops: Rc<[_]> = act.ops.as_slice().into();
        self.facts.push(Fact::Wrote {
            device,
            user: user.clone(),
            ops,
            changes: changes.into(),
            aborted: act.aborted,
            before,
            after,
        });
        if !act.aborted {
            self.hint(device, &user, hints, act.trigger);
        }
    }

    /// Under whom capture writes: a page may not know yet who owns the database.
    fn writer(&mut self, device: DeviceId) -> RowUser {
        let it = &self.devices[device];
        let Some(user) = it.session() else {
            return RowUser::Nobody;
        };
        let owned = it.disk.owner.as_deref() == Some(user.as_str());
        if owned && self.life.once_in(6) {
            RowUser::Owner
        } else {
            RowUser::User(user)
        }
    }

    fn hint(&mut self, device: DeviceId, user: &RowUser, hints: Vec<Hint>, trigger: bool) {
        for Hint { table, lids } in hints {
            if self.life.chance(self.plan.app.hint_lost) {
                self.counts.add(Fault::HintLost);
                self.facts.push(Fact::HintLost { device });
                continue;
            }
            let user = user.clone();
            self.facts.push(Fact::Hinted { device });
            self.tell(
                device,
                Input::Captured {
                    table,
                    user,
                    lids,
                    trigger,
                },
            );
        }
    }

    /// Now and then the app asks for a sync, or for a backup.
    fn call(&mut self, device: DeviceId) {
        if !self.life.chance(self.plan.app.call) {
            return;
        }
        let Some(tab) = self.devices[device].leader().map(|tab| tab.id) else {
            return;
        };
        self.next_call += 1;
        let call = Call(self.next_call);
        let backup = self.life.once_in(3);
        let input = if backup {
            Input::Backup { call }
        } else {
            Input::ForceSync { call }
        };
        self.facts.push(Fact::Called {
            device,
            tab,
            call: call.0,
            backup,
        });
        let at = self.now + self.life.below(20);
        self.queue.push(at, Event::Turn(tab, input));
    }
}
