//! What has happened, as the checks see it. Facts are taken where things truly happen: at the disk,
//! at the wire, in the server's database; never from what the engine says of itself, save for its
//! status, which is a check's subject.

use std::collections::BTreeSet;
use std::rc::Rc;

use tidesync_engine::interface::{Input, Now, RequestOutcome, RowUser, StorageError, Write};
use tidesync_engine::{Status, TimerReason};
use tidesync_protocol::wire::{Op, PullResponse, VerdictEntry};

use crate::cloud::ServerRow;
use crate::disk::{AppOp, Change, Disk};
use crate::schema::CHECKPOINTS;

/// A device, by place.
pub(crate) type DeviceId = usize;

/// A tab that runs or ran an engine; never used again.
pub(crate) type TabId = u32;

/// A request as it left a device.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) device: DeviceId,
    pub(crate) tab: TabId,
    /// Which effect it answers.
    pub(crate) task: u64,
    pub(crate) kind: Kind,
    /// What is sent: the body of a push, the query of a pull.
    pub(crate) text: Rc<str>,
    /// Whom the envelope names, as the engine says.
    pub(crate) subject: String,
    pub(crate) timeout_ms: u64,
    pub(crate) token: Token,
}

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Push,
    Pull,
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) user: String,
    /// True time at which it was given and at which it ends.
    pub(crate) since_ms: u64,
    pub(crate) until_ms: u64,
}

/// What an engine was told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    Start {
        user: Option<String>,
        visible: bool,
    },
    Stop,
    Timeout,
    /// `counts`: it is a reason to sync.
    Captured {
        counts: bool,
    },
    Online(bool),
    Visible(bool),
    User(Option<String>),
    Enabled(bool),
    TokenAvailable,
    Call,
    /// The answer to a storage effect.
    Storage(Option<StorageError>),
    Answered(Kind, RequestOutcome),
    Poked,
    /// What changes no wait.
    Other,
}

impl Told {
    pub(crate) fn of(input: &Input) -> Self {
        match input {
            Input::Start { user, visible, .. } => Self::Start {
                user: user.clone(),
                visible: *visible,
            },
            Input::Stop => Self::Stop,
            Input::Timeout => Self::Timeout,
            Input::Captured {
                table,
                user,
                trigger,
                ..
            } => Self::Captured {
                counts: *trigger && table != CHECKPOINTS && *user != RowUser::Nobody,
            },
            Input::Online { online } => Self::Online(*online),
            Input::Visible { visible } => Self::Visible(*visible),
            Input::UserChanged { user } => Self::User(user.clone()),
            Input::SetEnabled { enabled } => Self::Enabled(*enabled),
            Input::TokenAvailable => Self::TokenAvailable,
            Input::ForceSync { .. } | Input::Backup { .. } | Input::Restore { .. } => Self::Call,
            Input::Loaded { outcome, .. } => Self::Storage(outcome.as_ref().err().cloned()),
            Input::LogRead { outcome, .. } => Self::Storage(outcome.as_ref().err().cloned()),
            Input::Scanned { outcome, .. } => Self::Storage(outcome.as_ref().err().cloned()),
            Input::Prepared { outcome, .. } => Self::Storage(outcome.as_ref().err().cloned()),
            Input::Committed { outcome, .. } => Self::Storage(outcome.as_ref().err().cloned()),
            Input::Reserved { outcome, .. } => Self::Storage(outcome.as_ref().err().cloned()),
            Input::Pushed { outcome, .. } => Self::Answered(Kind::Push, outcome.clone()),
            Input::Pulled { outcome, .. } => Self::Answered(Kind::Pull, outcome.clone()),
            Input::Poked => Self::Poked,
            Input::StreamEnded { .. }
            | Input::ResolverAnswered { .. }
            | Input::SettleHeld { .. } => Self::Other,
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    /// A transaction of the app ended.
    Wrote {
        device: DeviceId,
        user: RowUser,
        ops: Rc<[(String, AppOp)]>,
        /// What it did to records, unless it aborted.
        changes: Rc<[Change]>,
        aborted: bool,
        before: Disk,
        after: Disk,
    },
    /// The tab that leads will be told of a write to a table, or will not.
    Hinted {
        device: DeviceId,
    },
    HintLost {
        device: DeviceId,
    },
    /// A transaction of an engine ended.
    Stored {
        device: DeviceId,
        tab: TabId,
        writes: Rc<[Write]>,
        /// The pulled records among them.
        pulled: Rc<[PutPulled]>,
        /// What the engine will hear; an engine that dies meanwhile hears nothing.
        outcome: Result<(), StorageError>,
        before: Disk,
        after: Disk,
    },
    /// An engine was told something, and did what it does at once.
    Turned {
        device: DeviceId,
        tab: TabId,
        /// The tab's clocks.
        now: Now,
        told: Told,
        status: Rc<Status>,
        timeout: Option<(u64, TimerReason)>,
        /// The request that it asked for.
        requested: Option<Kind>,
        /// It said that a sync came to its end.
        completed: bool,
    },
    /// A request left a device.
    Sent(Rc<Request>),
    /// The server took a push, to its end or not.
    Handled {
        request: Rc<Request>,
        handled: Rc<Handled>,
    },
    /// The server answered a pull.
    Pulled {
        request: Rc<Request>,
        pulled: Rc<Pulled>,
    },
    /// The server forgot what is old.
    Forgot(Rc<Forgotten>),
    /// An answer, or none, was handed to an engine.
    Answered {
        request: Rc<Request>,
        outcome: Rc<RequestOutcome>,
    },
    /// A call of the app was made (none) or resolved.
    Called {
        device: DeviceId,
        tab: TabId,
        call: u64,
        backup: bool,
    },
    Resolved {
        tab: TabId,
        call: u64,
        ok: bool,
    },
    /// An engine is no more.
    Gone {
        device: DeviceId,
        tab: TabId,
    },
    /// A device's wall clock was set.
    ClockStepped {
        device: DeviceId,
    },
    /// Something makes waits longer: a hidden page, a tab that stands still, a user who signs out.
    Disturbed {
        device: DeviceId,
    },
    /// Nothing goes wrong any more.
    Healed,
    /// The time within which everything of a device must be sent is over.
    Due {
        device: DeviceId,
    },
    /// Everything has come to rest.
    Ended,
}

/// A record that a transaction took over as a pull brought it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PutPulled {
    pub(crate) table: String,
    pub(crate) lid: String,
    pub(crate) rid: String,
    pub(crate) version: u64,
}

/// What a pull was answered.
#[derive(Debug, Clone)]
pub(crate) struct Pulled {
    pub(crate) user: String,
    pub(crate) cursor: Option<String>,
    /// The version of the user's space.
    pub(crate) head: u64,
    pub(crate) answer: PullResponse,
}

/// What the server knows no more.
#[derive(Debug, Clone)]
pub(crate) struct Forgotten {
    /// Operations whose outcome it knew, by client and id.
    pub(crate) ops: BTreeSet<(String, String)>,
    /// Tombstones: space, table and id.
    pub(crate) tombstones: BTreeSet<(String, String, String)>,
}

/// What became of a push at the server.
#[derive(Debug, Clone)]
pub(crate) struct Handled {
    pub(crate) client: String,
    pub(crate) user: String,
    /// The server's clock.
    pub(crate) wall_ms: u64,
    pub(crate) committed: bool,
    /// The operations that could be read, with what the server said of each, and its record after
    /// the commit.
    pub(crate) ops: Vec<(Op, VerdictEntry, Option<ServerRow>)>,
    /// The version of the user's space before and after.
    pub(crate) versions: (u64, u64),
}
