//! The lives of tabs, and of the server.

use std::rc::Rc;

use tidesync_engine::interface::Input;

use super::{Event, Refusal, World};
use crate::clock::HOUR;
use crate::fact::{DeviceId, Fact, TabId};
use crate::faults::Fault;

impl World {
    /// A tab is gone, and what was not durable with it. Another leads soon.
    pub(super) fn kill(&mut self, device: DeviceId, tab: TabId) {
        let it = &mut self.devices[device];
        let led = it.leading.take_if(|leading| *leading == tab).is_some();
        it.tabs.retain(|it| it.id != tab);
        self.streams.retain(|_, stream| stream.tab() != tab);
        self.facts.push(Fact::Gone { device, tab });
        if led {
            let at = self.now + self.life.skewed(5, 10_000);
            self.queue.push(at, Event::Lead(device));
        }
    }

    /// The page is loaded anew, at any moment.
    pub(super) fn reload(&mut self, device: DeviceId) {
        if let Some(tab) = self.devices[device].leader().map(|tab| tab.id) {
            self.kill(device, tab);
        }
    }

    /// Every page of the app is closed.
    pub(super) fn close(&mut self, device: DeviceId) {
        self.devices[device].open = false;
        let tabs: Vec<TabId> = self.devices[device].tabs.iter().map(|tab| tab.id).collect();
        for tab in tabs {
            self.kill(device, tab);
        }
    }

    /// The leading tab stands still. Another takes over after a while, or not at all.
    pub(super) fn freeze(&mut self, device: DeviceId) {
        let until = self.end_of(2 * HOUR);
        let replaced = self.life.once_in(2);
        let at = self.now + self.life.skewed(1_000, 60_000);
        let it = &mut self.devices[device];
        let leading = it.leading;
        if let Some(tab) = it.tabs.iter_mut().find(|tab| Some(tab.id) == leading) {
            tab.frozen_until = until;
            if replaced {
                self.queue.push(at, Event::Lead(device));
            }
        }
    }

    /// Another tab leads: it was asked to, or took over from one that still works.
    pub(super) fn replace(&mut self, device: DeviceId) {
        if !self.devices[device].open {
            return;
        }
        let asked = self.life.once_in(2);
        let leader = self.devices[device].leader().map(|tab| tab.id);
        match leader.filter(|_| asked) {
            Some(leader) => self.turn(device, leader, Input::Stop),
            None => self.steal(device),
        }
    }

    /// A tab takes the lock from the one that has it. That one hears of it soon, unless it stands
    /// still, or the browser has no locks.
    pub(super) fn steal(&mut self, device: DeviceId) {
        let robbed = self.devices[device].leader().map(|tab| tab.id);
        self.start_engine(device);
        if let Some(tab) = robbed.filter(|_| self.plan.life.locks) {
            let at = self.now + self.life.below(50);
            self.queue.push(at, Event::Turn(tab, Input::Stop));
        }
    }

    pub(super) fn arrange_server(&mut self) {
        let server = self.plan.server.restart_every_ms;
        self.arrange(server, Event::ServerStops);
        let forgetting = self.plan.server.forget_every_ms;
        self.arrange(forgetting, Event::ServerForgets);
        self.arrange(self.plan.net.refusal_every_ms, Event::RefusalBegins);
        self.arrange(self.plan.auth.revoke_every_ms, Event::TokensRevoked);
        self.arrange(self.plan.auth.lockout_every_ms, Event::LockoutBegins);
    }

    fn arrange(&mut self, mean: u64, event: Event) {
        if mean > 0 {
            let at = self.now + 1 + self.life.below(2 * mean);
            self.queue.push(at, event);
        }
    }

    /// The server ends between two commits; what is on its way is lost.
    pub(super) fn stop_server(&mut self) {
        if self.healed_at.is_some() {
            return;
        }
        if self.cloud.is_up() {
            self.cloud.stop();
            self.drop_streams();
            self.counts.add(Fault::ServerRestart);
            let at = self.end_of(self.plan.server.down_max_ms);
            self.queue.push(at, Event::ServerStarts);
        }
    }

    pub(super) fn server_stops_by_itself(&mut self) {
        self.arrange(self.plan.server.restart_every_ms, Event::ServerStops);
        self.stop_server();
    }

    pub(super) fn start_server(&mut self) {
        if !self.cloud.is_up() {
            self.cloud.start(self.now);
        }
    }

    /// The server removes a part of what is older than it keeps, as it does when nobody waits.
    pub(super) fn server_forgets(&mut self) {
        if self.healed_at.is_some() {
            return;
        }
        self.arrange(self.plan.server.forget_every_ms, Event::ServerForgets);
        let most = self.life.skewed(1, 1_000) as usize;
        let forgotten = self
            .cloud
            .forget(self.now, self.plan.server.retention_ms, most);
        if let Some(forgotten) = forgotten {
            self.counts.add(Fault::Forgotten);
            self.facts.push(Fact::Forgot(Rc::new(forgotten)));
        }
    }

    pub(super) fn begin_refusal(&mut self) {
        if self.healed_at.is_some() {
            return;
        }
        self.arrange(self.plan.net.refusal_every_ms, Event::RefusalBegins);
        if self.refusal.is_none() {
            self.refusal = Some(Refusal::draw(&mut self.life));
            let at = self.end_of(self.plan.net.refusal_max_ms);
            self.queue.push(at, Event::RefusalEnds);
        }
    }

    pub(super) fn revoke_tokens(&mut self) {
        if self.healed_at.is_none() {
            self.arrange(self.plan.auth.revoke_every_ms, Event::TokensRevoked);
            self.cloud.revoked_ms = self.now;
            self.counts.add(Fault::TokensRevoked);
        }
    }

    pub(super) fn lock_out(&mut self) {
        if self.healed_at.is_none() {
            self.arrange(self.plan.auth.lockout_every_ms, Event::LockoutBegins);
            self.cloud.locked = true;
            self.counts.add(Fault::LockedOut);
            let at = self.end_of(self.plan.auth.spell_max_ms);
            self.queue.push(at, Event::LockoutEnds);
        }
    }
}
