//! The one snapshot that every view of the engine is made of (Z09).

use serde::Serialize;

/// What the engine is doing and what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether auto-sync runs: the user's setting, and not disabled by failures.
    pub is_enabled: bool,
    /// Whether the database was read.
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
    /// The engine itself failed. Set by the shell.
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

/// How far a scan has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Records that were looked at.
    pub done: u64,
    /// Records that there are, as far as is known.
    pub total: u64,
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
