//! What the world says: users, network, visibility, settings, captured changes, calls.

use crate::interface::{Call, Effect, Input, RowUser};

use super::{Engine, Life, Step, Wish};

impl Engine {
    pub(super) fn start(
        &mut self,
        online: bool,
        visible: bool,
        user: Option<String>,
        enabled: Option<bool>,
    ) {
        if self.life != Life::New {
            return;
        }
        self.session.online = online;
        self.session.visible = visible;
        self.session.user = user;
        self.session.enabled = enabled;
        self.life = Life::Loading;
    }

    /// The engine asks for nothing any more.
    pub(super) fn close(&mut self) {
        self.interrupt();
        self.close_stream();
        self.life = Life::Closed;
        if let Some((_, step)) = self.step.take() {
            self.drop_step(step);
        }
        self.end_run_unfinished();
        self.refuse_calls();
        self.effects.push_back(Effect::Closed);
    }

    /// A closed engine still owes calls an answer.
    pub(super) fn refuse(&mut self, input: &Input) {
        if let Input::ForceSync { call }
        | Input::Backup { call }
        | Input::Restore { call }
        | Input::SettleHeld { call, .. } = input
        {
            self.resolve(*call, false);
        }
    }

    pub(super) fn captured(&mut self, table: &str, user: &RowUser, lids: &[String], trigger: bool) {
        self.session.captured |= self.life != Life::Running;
        self.written_at = Some(self.now.monotonic_ms);
        self.asked.captured(table);
        let Some(database) = self.database.as_mut() else {
            return;
        };
        let own = database.is_own(user, self.config.adopt_anonymous);
        database.hint(table, lids, own);
        let skipped = self
            .config
            .skip_tables
            .iter()
            .any(|skipped| skipped == table);
        if own && trigger && !skipped {
            self.schedule
                .want(self.now.monotonic_ms.saturating_add(self.config.buffer_ms));
        }
    }

    /// After coming online the first attempt is spread at random: everybody comes online at once.
    pub(super) fn online(&mut self, online: bool) {
        let came = online && !self.session.online;
        let went = !online && self.session.online;
        self.session.online = online;
        let now = self.now.monotonic_ms;
        if came {
            self.needs_sign_in = false;
            self.revive();
            let at = now.saturating_add(self.rng.up_to(self.config.backoff_base_ms));
            let asked = self.schedule.asked_until.filter(|asked| *asked > now);
            let at = self.schedule.not_sooner_than_asked(at);
            self.schedule.backoff_until = asked;
            self.schedule.recovery_at = self.breaker.is_open().then_some(at);
            self.schedule.throttle_until = self.schedule.throttle_until.max(at);
            self.schedule.poke_from = self.schedule.poke_from.max(at);
            self.schedule.want(now);
        } else if went {
            let at = now.saturating_add(self.config.recovery_ms);
            self.schedule.recovery_at = Some(self.schedule.not_sooner_than_asked(at));
        }
    }

    /// Hidden pages may be gone soon: what is gathered goes now. The periodic fallback is for
    /// visible ones.
    pub(super) fn visible(&mut self, visible: bool) {
        let now = self.now.monotonic_ms;
        let changed = visible != self.session.visible;
        self.session.visible = visible;
        if changed && visible {
            self.needs_sign_in = false;
            self.revive();
            if self.breaker.is_open() {
                self.schedule.recovery_at = Some(self.schedule.not_sooner_than_asked(now));
            }
            self.schedule.periodic_at = self.schedule.periodic_at.map(|at| at.max(now));
        } else if changed && self.schedule.wanted_at.is_some() {
            self.schedule.want(now);
        }
    }

    pub(super) fn user_changed(&mut self, user: Option<String>) {
        if user == self.session.user {
            self.signed_in();
            return;
        }
        self.session.user = user;
        self.close_stream();
        self.refuse_calls();
        self.interrupt();
        self.end_run_unfinished();
        self.breaker.succeed();
        self.soft_failures = 0;
        self.schedule.backoff_until = None;
        self.schedule.asked_until = None;
        self.schedule.recovery_at = None;
        self.last_error = None;
        self.signed_in();
    }

    /// A token can be had again, as far as is known.
    pub(super) fn signed_in(&mut self) {
        self.needs_sign_in = false;
        self.schedule.want(self.now.monotonic_ms);
    }

    pub(super) fn set_enabled(&mut self, enabled: bool) {
        let before = self.is_enabled_by_user();
        self.session.enabled = Some(enabled);
        if enabled && !before {
            self.schedule.want(self.now.monotonic_ms);
        }
    }

    /// A call is never refused for its time: it bypasses every wait, but not the sync under way.
    pub(super) fn call(&mut self, call: Call, wish: Wish) {
        self.needs_sign_in = false;
        self.revive();
        self.asked.retry();
        self.calls.push((call, wish));
    }

    /// Gives up what can be given up. A transaction is awaited: it may be durable already.
    pub(super) fn interrupt(&mut self) {
        match self.step {
            Some((_, Step::Push { .. } | Step::Pull { .. })) => {
                self.effects.push_back(Effect::AbortRequest);
                self.step = None;
            }
            Some((_, Step::Load | Step::Commit(_))) | None => {}
            Some(_) => {
                if let Some((_, step)) = self.step.take() {
                    self.drop_step(step);
                }
            }
        }
    }
}
