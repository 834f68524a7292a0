//! What to do next, and the beginning and end of a sync.

use crate::classify::Reason;
use crate::interface::{Call, LogLevel};
use crate::schedule::{self, Schedule, TimerReason};
use crate::sorted::SortedMap;
use crate::status::LastError;

use super::pull::{Ground, Page};
use super::scan::Backup;
use super::{Engine, Life, Wish};

/// The least time between two syncs that only ask for what is new: however often another device
/// writes, requests are bounded.
const POKE_GAP_MS: u64 = 200;

/// A sync under way: it drains everything that is pending.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Monotonic milliseconds.
    began_at: u64,
    pub(super) calls: Vec<(Call, Wish)>,
    pub(super) backup: Option<Backup>,
    /// It tries whether the server is there again.
    pub(super) probe: bool,
    pub(super) announced: bool,
    /// What was hinted of the log was looked at.
    pub(super) counted: bool,
    /// Hints that came since were looked at.
    pub(super) recounted: bool,
    /// The server gave its verdicts at least once.
    pub(super) answered: bool,
    /// The last reading of the log left changes there that can not be staged yet.
    pub(super) left: bool,
    /// The log was read to its end.
    pub(super) drained: bool,
    /// The app has written since the log was read, and what waits to be taken over must know.
    pub(super) must_stage: bool,
    /// What came up while a backup looked through the tables was drained too.
    pub(super) closing: bool,
    /// How many operations were held.
    pub(super) held: u64,
    /// Whether the server put an operation off.
    pub(super) put_off: bool,
    /// Most operations of a push, where the server takes fewer than a batch has.
    pub(super) ops_max: u32,
    /// Only what is new on the server is asked for.
    pub(super) pull_only: bool,
    /// Everything that is new on the server was asked for.
    pub(super) pulled: bool,
    /// Records that are missing here are put back.
    pub(super) restores: bool,
    /// The server made this client begin anew, once.
    pub(super) renewed: bool,
    /// The next pull begins from scratch.
    pub(super) from_scratch: bool,
    /// What waits to be taken over.
    pub(super) page: Option<Page>,
    pub(super) downloaded: u64,
    /// How many changes a first download has, as far as is known; 0 where it is none.
    pub(super) download: u64,
    pub(super) looked_at: u64,
    pub(super) totals: SortedMap<String, u64>,
}

/// How a sync failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// By transport or server: counts.
    Hard { after_ms: Option<u64> },
    /// It was asked to wait: does not count.
    Soft { after_ms: Option<u64> },
    /// Somebody must sign in.
    SignIn,
}

impl Engine {
    /// Does what can be done now.
    pub(super) fn advance(&mut self) {
        while self.step.is_none() && self.begin_next() {}
    }

    /// Begins the next step; false where there is nothing to do now.
    fn begin_next(&mut self) -> bool {
        if self.storage_at.is_some_and(|at| at > self.now.monotonic_ms) {
            return false;
        }
        self.storage_at = None;
        match self.life {
            Life::New | Life::Closed => false,
            Life::Failed | Life::Unusable => {
                self.refuse_calls();
                false
            }
            Life::Loading => {
                self.load();
                true
            }
            Life::Running => self.begin_running(),
        }
    }

    fn begin_running(&mut self) -> bool {
        if let Some(change) = self.sign() {
            self.commit(change);
            return true;
        }
        if let Some(change) = self.catch_up_meta() {
            self.commit(change);
            return true;
        }
        if self
            .database
            .as_ref()
            .is_some_and(|database| !database.indexed || self.moved)
        {
            self.read_index();
            return true;
        }
        if self.decide_next() {
            return true;
        }
        if self.run.is_some() {
            self.go_on();
            return true;
        }
        if !self.calls.is_empty() {
            if self.session.user.is_some() {
                return self.begin(true);
            }
            self.refuse_calls();
            return false;
        }
        let due = self
            .next_automatic()
            .is_some_and(|(at, _)| at <= self.now.monotonic_ms);
        due && self.begin(false)
    }

    /// Whether the app writes while this sync is under way: each step of it must be short. What came
    /// before is what the sync is for.
    pub(super) fn app_writes_beside(&self) -> bool {
        let began_at = self.run.as_ref().map(|run| run.began_at);
        self.app_writes() && began_at.is_some_and(|began| self.written_at > Some(began))
    }

    /// Whether there is another reason to sync now than a poke.
    fn is_wanted(&self) -> bool {
        let mut schedule = self.schedule.clone();
        schedule.poked = false;
        let next = self.next_of(schedule);
        next.is_some_and(|(at, _)| at <= self.now.monotonic_ms)
    }

    /// Whether a poke is a reason to sync now.
    fn is_poke(&self) -> bool {
        let next = self.next_automatic();
        self.schedule.recovery_at.is_none() && matches!(next, Some((_, TimerReason::Poke)))
    }

    /// What was called for and has not begun is not done.
    pub(super) fn refuse_calls(&mut self) {
        self.refuse_decisions();
        for (call, _) in std::mem::take(&mut self.calls) {
            self.resolve(call, false);
        }
    }

    /// When the next automatic sync starts; none where auto-sync is off.
    pub(super) fn next_automatic(&self) -> Option<(u64, TimerReason)> {
        self.next_of(self.schedule.clone())
    }

    fn next_of(&self, mut schedule: Schedule) -> Option<(u64, TimerReason)> {
        let database = self.database.as_ref()?;
        let off = !self.is_enabled_by_user() || self.session.user.is_none() || self.needs_sign_in;
        if off {
            return None;
        }
        let put_off = database
            .own_batches()
            .map(|batch| batch.not_before)
            .filter(|at| *at > 0);
        schedule.retry_at = put_off.min();
        if !self.session.visible {
            schedule.periodic_at = None;
        }
        schedule.next()
    }

    pub(super) fn is_enabled_by_user(&self) -> bool {
        let stored = self
            .database
            .as_ref()
            .is_none_or(|database| database.meta.enabled);
        self.session.enabled.unwrap_or(stored)
    }

    /// Begins a sync: for the calls that wait, or by itself.
    fn begin(&mut self, called: bool) -> bool {
        let is_poke = self.is_poke();
        let pull_only = !called && is_poke && !self.is_wanted();
        let Some(database) = self.database.as_mut() else {
            return false;
        };
        database.own.begin_reading();
        database.others.begin_reading();
        let mut run = Run {
            began_at: self.now.monotonic_ms,
            probe: self.schedule.recovery_at.is_some(),
            pull_only,
            ops_max: u32::MAX,
            ..Run::default()
        };
        if called {
            let calls = std::mem::take(&mut self.calls);
            if calls.iter().any(|(_, wish)| *wish == Wish::Backup) {
                let tables = database.tables.iter().rev().map(|table| table.name.clone());
                run.backup = Some(Backup {
                    tables: tables.collect(),
                    after: None,
                });
            }
            run.restores = calls.iter().any(|(_, wish)| *wish == Wish::Restore);
            run.from_scratch = run.restores;
            run.calls = calls;
        }
        // A call may come while an operation waits at the server's wish: the wish stands.
        if !run.pull_only {
            self.schedule.wanted_at = None;
        }
        self.run = Some(run);
        true
    }

    /// The next step of the sync under way.
    fn go_on(&mut self) {
        let user = self.session.user.as_deref();
        let owner = self
            .database
            .as_ref()
            .and_then(|database| database.meta.owner_name());
        if user.is_none() || user != owner {
            return self.end_run_unfinished();
        }
        if self.must_count() {
            return self.read_index();
        }
        match self.ground() {
            Ground::Clear => {}
            Ground::Ready => {
                self.take_over();
                return;
            }
            Ground::Stage => return self.begin_stage(),
            Ground::Push => return self.push_before_page(),
        }
        // What is staged is made on versions that a restored server may have given to other changes.
        let pull_only =
            self.compares_restored() || self.run.as_ref().is_some_and(|run| run.pull_only);
        if !pull_only && self.push_next() {
            return;
        }
        let Some(run) = &mut self.run else { return };
        if !run.drained {
            return self.begin_stage();
        }
        if !pull_only && self.scan_next() {
            return;
        }
        if let Some(run) = &mut self.run
            && run.backup.is_some()
            && !run.closing
        {
            run.closing = true;
            run.drained = false;
        } else if !self.pull_next() && !self.sweep_next() && !self.recount() {
            self.finish();
        }
    }

    /// Whether not all of a server that was restored from an older copy was compared yet.
    fn compares_restored(&self) -> bool {
        let sweep = self.database.as_ref().and_then(|it| it.meta.sweep.as_ref());
        sweep.is_some_and(|sweep| sweep.restored && !sweep.ready)
    }

    /// Begins to read the log for the counts, where hints have come since it was read: one that came
    /// late would count a change for ever that is long confirmed.
    fn recount(&mut self) -> bool {
        let (Some(run), Some(database)) = (&mut self.run, &mut self.database) else {
            return false;
        };
        if run.recounted || !database.own.has_hints() {
            return false;
        }
        run.recounted = true;
        database.own.begin_reading();
        database.others.begin_reading();
        self.read_index();
        true
    }

    /// Whether the log must be read before anything is sent, so that the line that announces the
    /// sync tells the true count. Where nothing is staged yet, staging reads it anyway.
    fn must_count(&mut self) -> bool {
        let hinted = self.database.as_ref().is_some_and(|database| {
            database.own.is_hinted() && database.own_batches().next().is_some()
        });
        let first = self
            .run
            .as_mut()
            .is_some_and(|run| !std::mem::replace(&mut run.counted, true));
        first && hinted
    }

    /// The server is there.
    pub(super) fn server_answered(&mut self) {
        self.breaker.succeed();
        self.soft_failures = 0;
        self.schedule.backoff_until = None;
        self.schedule.asked_until = None;
        self.schedule.recovery_at = None;
        self.session.online = true;
        self.stream.offered = true;
        self.last_error = None;
        if let Some(run) = &mut self.run {
            run.answered = true;
        }
    }

    /// The sync came to its end.
    fn finish(&mut self) {
        let Some(run) = self.run.take() else { return };
        if run.put_off {
            let reason = "the server put changes off";
            self.log_failure(reason);
        } else if run.answered && run.announced {
            self.log(
                LogLevel::Info,
                "Auto-sync service: Sync completed successfully".to_owned(),
            );
        }
        if run.answered {
            self.confirmed_ms = self.confirmed_ms.max(self.now.wall_ms);
        }
        let staged = self
            .database
            .as_ref()
            .is_none_or(|database| database.own_batches().next().is_some());
        if run.pull_only && staged && self.schedule.wanted_at.is_none() {
            // What was staged on the way waits like any other change.
            let buffer_ms = self.config.buffer_ms;
            self.schedule
                .want(self.now.monotonic_ms.saturating_add(buffer_ms));
        }
        let ok = run.held == 0 && !run.put_off && !run.left && !staged;
        self.end(run, ok);
        if self.schedule.recovery_at.is_some() {
            // Nothing was sent: whether the server is there is not known yet.
            self.postpone_recovery(0);
        }
    }

    /// The sync ends without having done its work; what is left is done by a later one.
    pub(super) fn end_run_unfinished(&mut self) {
        if let Some(run) = self.run.take() {
            self.schedule.want(self.now.monotonic_ms);
            self.end(run, false);
        }
    }

    fn end(&mut self, run: Run, ok: bool) {
        let now = self.now.monotonic_ms;
        if run.announced {
            self.schedule.throttle_until = now.saturating_add(self.config.throttle_ms);
        }
        if run.pull_only {
            self.schedule.poke_from = now.saturating_add(POKE_GAP_MS);
        } else {
            self.schedule.periodic_at = Some(now.saturating_add(self.config.periodic_ms));
        }
        // A backup is of everything: nothing of before may be held either.
        let held = self.own_held().next().is_some();
        for (call, wish) in run.calls {
            self.resolve(call, ok && !(held && wish == Wish::Backup));
        }
    }

    /// The sync failed: the next one waits.
    pub(super) fn fail_run(&mut self, reason: &Reason, failure: Failure) {
        self.note_error(reason);
        let failures_max = self.config.failures_max;
        let (open, after_ms) = match failure {
            Failure::Hard { after_ms } => (self.breaker.fail(failures_max), after_ms),
            Failure::Soft { after_ms } => {
                self.soft_failures = self.soft_failures.saturating_add(1);
                (self.breaker.is_open(), after_ms)
            }
            Failure::SignIn => (self.breaker.is_open(), None),
        };
        let asked = after_ms.unwrap_or(0).min(self.config.retry_after_max_ms);
        let now = self.now.monotonic_ms;
        self.schedule.asked_until = (asked > 0).then(|| now.saturating_add(asked));
        if open || (!self.session.online && failure != Failure::SignIn) {
            self.schedule.backoff_until = None;
            self.postpone_recovery(asked);
        } else if failure != Failure::SignIn {
            let attempt = self.breaker.failures().saturating_add(self.soft_failures);
            let wait = schedule::backoff(&self.config, attempt, &mut self.rng).max(asked);
            self.schedule.backoff_until = Some(now.saturating_add(wait));
        }
        self.log_failure(&reason.message);
        self.end_run_unfinished();
    }

    fn postpone_recovery(&mut self, at_least_ms: u64) {
        let spread = self.rng.up_to(self.config.backoff_base_ms);
        let wait = self
            .config
            .recovery_ms
            .saturating_add(spread)
            .max(at_least_ms);
        self.schedule.recovery_at = Some(self.now.monotonic_ms.saturating_add(wait));
    }

    fn log_failure(&mut self, reason: &str) {
        let mut message = "Auto-sync service: Sync failed (".to_owned();
        message.push_str(&self.breaker.failures().to_string());
        message.push('/');
        message.push_str(&self.config.failures_max.to_string());
        message.push_str("): ");
        message.push_str(reason);
        self.log(LogLevel::Warn, message);
    }

    pub(super) fn note_error(&mut self, reason: &Reason) {
        self.last_error = Some(LastError {
            code: reason.code.clone(),
            message: reason.message.clone(),
            at: self.now.wall_ms,
        });
    }
}
