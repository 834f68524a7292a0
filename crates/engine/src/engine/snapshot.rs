//! The status.

use crate::database::Database;
use crate::index::Waiting;
use crate::interface::Now;
use crate::schedule::TimerReason;
use crate::staged::Held;
use crate::status::{Direction, DisabledReason, Phase, Progress, RecordState, Status, Storage};

use super::{Engine, Life};

impl Engine {
    /// What the engine is doing and what it knows, as of `now`.
    #[must_use]
    pub fn status(&self, now: Now) -> Status {
        let database = self.database.as_ref();
        let counts = database.map_or_else(Default::default, |database| database.counts());
        let disabled_reason = self.disabled_reason();
        let next = self
            .next_wake()
            .filter(|(_, why)| !matches!(why, TimerReason::Periodic | TimerReason::Poke));
        let is_waiting = self.soft_failures > 0 || self.breaker.failures() > 0;
        Status {
            is_enabled: disabled_reason.is_none(),
            is_initialized: database.is_some_and(|database| database.indexed),
            user_id: self.session.user.clone(),
            last_sync_time: database.map_or(0, |database| database.meta.last_sync),
            has_pending_sync: counts.pending > 0 || counts.buffered > 0,
            consecutive_failures: self.breaker.failures(),
            buffered_events: counts.buffered,
            is_retrying: (is_waiting && (next.is_some() || self.run.is_some()))
                || matches!(next, Some((_, TimerReason::Retry))),
            phase: self.phase(now),
            pending: counts.pending,
            waiting: counts.waiting,
            held: self.own_held().count() as u64,
            conflicts: self.own_held().filter(|held| held.remote.is_some()).count() as u64,
            progress: self.progress(),
            next_attempt_at: next.map(|(at, _)| now.wall_ms + at.saturating_sub(now.monotonic_ms)),
            last_error: self.last_error.clone(),
            disabled_reason,
            is_leader: self.life != Life::Closed && self.life != Life::New,
            is_online: self.session.online,
            storage: self.storage,
        }
    }

    /// How far a record of the signed-in user's is on its way; none before the database was read and
    /// is that user's. `lid` is its local text form.
    #[must_use]
    pub fn record_state(&self, table: &str, lid: &str) -> Option<RecordState> {
        let user = self.session.user.as_deref();
        let known = |database: &&Database| {
            database.indexed && (user.is_none() || user == database.meta.owner_name())
        };
        let database = self.database.as_ref().filter(known)?;
        let held = self
            .own_held()
            .find(|held| held.lid == lid && held.table == table);
        let state = match (progress_of(database, table, lid), held) {
            (Waiting::Captured, _) => RecordState::Pending,
            (Waiting::Staged, _) => RecordState::Staged,
            (Waiting::No, Some(held)) if held.remote.is_some() => RecordState::Conflict,
            (Waiting::No, Some(_)) => RecordState::Held,
            (Waiting::No, None) => RecordState::Synced,
        };
        Some(state)
    }

    /// The operations of the current owner that are held.
    pub(super) fn own_held(&self) -> impl Iterator<Item = &Held> {
        let owner = self.database.as_ref().map(|database| database.meta.owner);
        let held = self
            .database
            .iter()
            .flat_map(|database| database.held.values());
        held.filter(move |held| owner == Some(Some(held.owner)))
    }

    fn disabled_reason(&self) -> Option<DisabledReason> {
        if !self.is_enabled_by_user() {
            Some(DisabledReason::User)
        } else if self.breaker.is_open() {
            Some(DisabledReason::Failures)
        } else {
            None
        }
    }

    fn phase(&self, now: Now) -> Phase {
        if matches!(self.life, Life::Failed | Life::Unusable) {
            // Else it is the configuration that forbids to go on.
            let is_storage = self.storage != Storage::Ok;
            return if is_storage {
                Phase::StorageFailed
            } else {
                Phase::EngineFailed
            };
        }
        if let Some(run) = &self.run {
            return if run.probe {
                Phase::Probing
            } else {
                Phase::Syncing
            };
        }
        if !self.is_enabled_by_user() {
            return Phase::Disabled;
        }
        if self.session.user.is_none() || self.needs_sign_in {
            return Phase::NeedsAuth;
        }
        if self.breaker.is_open() {
            return Phase::Disabled;
        }
        if !self.session.online {
            return Phase::Offline;
        }
        if self.storage_at.is_some() {
            return Phase::BackingOff;
        }
        let database = self.database.as_ref();
        if database.is_some_and(|it| it.meta.owner_name() != self.session.user.as_deref()) {
            // Whose changes these are is about to be written.
            return Phase::Waiting;
        }
        match self.next_wake() {
            None | Some((_, TimerReason::Periodic | TimerReason::Poke | TimerReason::Stream)) => {
                Phase::Idle
            }
            Some((_, TimerReason::Backoff)) => Phase::BackingOff,
            Some((_, TimerReason::Buffer)) => Phase::Buffering,
            Some((at, TimerReason::Throttle)) if at <= now.monotonic_ms => Phase::Idle,
            Some((_, TimerReason::Throttle | TimerReason::Retry)) => Phase::Waiting,
            Some((_, TimerReason::Recovery)) => Phase::Probing,
            Some((_, TimerReason::Storage)) => Phase::BackingOff,
        }
    }

    fn progress(&self) -> Option<Progress> {
        let run = self.run.as_ref()?;
        if run.download > 0 {
            return Some(Progress {
                direction: Direction::Download,
                done: run.downloaded,
                total: run.download,
            });
        }
        let total = run.totals.values().sum();
        (!run.totals.is_empty()).then_some(Progress {
            direction: Direction::Upload,
            done: run.looked_at,
            total,
        })
    }
}

/// A range that was removed may hold the record, so that counts as a change of it.
fn progress_of(database: &Database, table: &str, lid: &str) -> Waiting {
    match database.own.progress(database.wide_id(table)) {
        Waiting::Captured => Waiting::Captured,
        Waiting::Staged | Waiting::No => database.own.progress(database.id(table, lid)),
    }
}
