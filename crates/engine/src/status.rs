//! The one snapshot that every view of the engine is made of (Z09).

use serde::Serialize;
use tidesync_protocol::json::ObjectWriter;

/// What the engine is doing and what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether auto-sync runs: the user's setting, and not disabled by failures.
    pub is_enabled: bool,
    /// Whether the database was read, with all that waits in it: from then on the counts are exact.
    pub is_initialized: bool,
    /// The user who is signed in.
    pub user_id: Option<String>,
    /// Wall milliseconds of the last sync that the server confirmed; 0 for never.
    pub last_sync_time: u64,
    /// Whether a change of the user's is not confirmed.
    pub has_pending_sync: bool,
    /// Failures of transport or server in a row.
    pub consecutive_failures: u32,
    /// Changes that are not staged.
    pub buffered_events: u64,
    /// Whether a retry is scheduled or running.
    pub is_retrying: bool,
    /// What the engine is doing.
    pub phase: Phase,
    /// Distinct records with a change that the server has not confirmed.
    pub pending: u64,
    /// Distinct records with a change that waits for another user to sign in.
    pub waiting: u64,
    /// Operations that the server refused or that cannot be sent.
    pub held: u64,
    /// Those of them that stand against another client's change.
    pub conflicts: u64,
    /// How far a scan has come.
    pub progress: Option<Progress>,
    /// Wall milliseconds of the next attempt, where one is scheduled.
    pub next_attempt_at: Option<u64>,
    /// The last failure, until a sync succeeds.
    pub last_error: Option<LastError>,
    /// Why auto-sync is off.
    pub disabled_reason: Option<DisabledReason>,
    /// Whether this tab leads.
    pub is_leader: bool,
    /// What is known of the network.
    pub is_online: bool,
    /// How storage is.
    pub storage: Storage,
}

/// How far a record is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordState {
    /// Nothing of it waits: the server has confirmed its last change, as far as there was one.
    Synced,
    /// A change of it is captured.
    Pending,
    /// A change of it is staged: made ready to be sent, or sent and not confirmed.
    Staged,
    /// A change of it was refused or cannot be sent.
    Held,
    /// Another client's change stands against one of it, and somebody must decide.
    Conflict,
}

impl RecordState {
    /// How it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Pending => "pending",
            Self::Staged => "staged",
            Self::Held => "held",
            Self::Conflict => "conflict",
        }
    }
}

/// What the engine is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing is to be done.
    Idle,
    /// Changes are gathered.
    Buffering,
    /// The next sync waits for the throttle, or for the server.
    Waiting,
    /// A sync runs.
    Syncing,
    /// The next sync waits after a failure.
    BackingOff,
    /// A sync tries whether the server is there again.
    Probing,
    /// The browser says that there is no network.
    Offline,
    /// Somebody must sign in.
    NeedsAuth,
    /// Auto-sync is off; see [`Status::disabled_reason`].
    Disabled,
    /// The engine itself failed (set by the shell), or may not work with this configuration.
    EngineFailed,
    /// The database cannot be used.
    StorageFailed,
}

/// Why auto-sync is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisabledReason {
    /// The user's setting.
    User,
    /// Too many failures in a row.
    Failures,
}

/// How storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// As it should be.
    Ok,
    /// The disk or the origin's quota is full.
    Full,
    /// What was stored cannot be read.
    Corrupt,
    /// It cannot be opened, or fails.
    Blocked,
}

/// How far a scan or a first download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Which way the records go.
    pub direction: Direction,
    /// Records that were looked at.
    pub done: u64,
    /// Records that there are, as far as is known.
    pub total: u64,
}

/// Which way records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From here to the server.
    Upload,
    /// From the server to here.
    Download,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// When, in wall milliseconds.
    pub at: u64,
}

impl Status {
    /// The status as JSON, with names in camelCase.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = ObjectWriter::default();
        json.flag("isEnabled", self.is_enabled);
        json.flag("isInitialized", self.is_initialized);
        json.optional("userId", self.user_id.as_deref());
        json.whole("lastSyncTime", self.last_sync_time);
        json.flag("hasPendingSync", self.has_pending_sync);
        json.whole("consecutiveFailures", u64::from(self.consecutive_failures));
        json.whole("bufferedEvents", self.buffered_events);
        json.flag("isRetrying", self.is_retrying);
        json.text("phase", self.phase.name());
        json.whole("pending", self.pending);
        json.whole("waiting", self.waiting);
        json.whole("held", self.held);
        json.whole("conflicts", self.conflicts);
        match &self.progress {
            Some(progress) => json.json("progress", &progress.to_json()),
            None => json.optional("progress", None),
        };
        match self.next_attempt_at {
            Some(at) => json.whole("nextAttemptAt", at),
            None => json.optional("nextAttemptAt", None),
        };
        match &self.last_error {
            Some(error) => json.json("lastError", &error.to_json()),
            None => json.optional("lastError", None),
        };
        json.optional(
            "disabledReason",
            self.disabled_reason.map(DisabledReason::name),
        );
        json.flag("isLeader", self.is_leader);
        json.flag("isOnline", self.is_online);
        json.text("storage", self.storage.name());
        json.finish()
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Buffering => "buffering",
            Self::Waiting => "waiting",
            Self::Syncing => "syncing",
            Self::BackingOff => "backing-off",
            Self::Probing => "probing",
            Self::Offline => "offline",
            Self::NeedsAuth => "needs-auth",
            Self::Disabled => "disabled",
            Self::EngineFailed => "engine-failed",
            Self::StorageFailed => "storage-failed",
        }
    }
}

impl DisabledReason {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Failures => "failures",
        }
    }
}

impl Storage {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Full => "full",
            Self::Corrupt => "corrupt",
            Self::Blocked => "blocked",
        }
    }
}

impl Progress {
    fn to_json(self) -> String {
        ObjectWriter::default()
            .text("direction", self.direction.name())
            .whole("done", self.done)
            .whole("total", self.total)
            .finish()
    }
}

impl LastError {
    fn to_json(&self) -> String {
        ObjectWriter::default()
            .text("code", &self.code)
            .text("message", &self.message)
            .whole("at", self.at)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name against the one that traces have.
    #[test]
    fn is_the_same_json_as_in_traces() {
        let phases = [
            Phase::Idle,
            Phase::Buffering,
            Phase::Waiting,
            Phase::Syncing,
            Phase::BackingOff,
            Phase::Probing,
            Phase::Offline,
            Phase::NeedsAuth,
            Phase::Disabled,
            Phase::EngineFailed,
            Phase::StorageFailed,
        ];
        let storages = [
            Storage::Ok,
            Storage::Full,
            Storage::Corrupt,
            Storage::Blocked,
        ];
        for (at, phase) in phases.into_iter().enumerate() {
            let status = status(phase, storages[at % storages.len()], at as u64);
            assert_eq!(status.to_json(), serde_json::to_string(&status).unwrap());
        }
    }

    fn status(phase: Phase, storage: Storage, number: u64) -> Status {
        let some = number % 2 == 1;
        let reasons = [DisabledReason::User, DisabledReason::Failures];
        let error = || LastError {
            code: "network".to_owned(),
            message: "\"no\" network".to_owned(),
            at: number,
        };
        Status {
            is_enabled: some,
            is_initialized: !some,
            user_id: some.then(|| "ann".to_owned()),
            last_sync_time: number,
            has_pending_sync: some,
            consecutive_failures: 3,
            buffered_events: number + 1,
            is_retrying: !some,
            phase,
            pending: number + 2,
            waiting: number + 3,
            held: number + 4,
            conflicts: number + 5,
            progress: some.then_some(Progress {
                direction: Direction::Download,
                done: 1,
                total: 2,
            }),
            next_attempt_at: some.then_some(number),
            last_error: some.then(error),
            disabled_reason: reasons.get(number as usize / 2).copied(),
            is_leader: some,
            is_online: !some,
            storage,
        }
    }
}
