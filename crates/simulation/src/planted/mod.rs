//! Bugs that are planted to show that the checks can fail. Each is a wrapper of the simulation:
//! what ships has no hook for them. Each stands for a mistake that others have shipped.

mod disk;
mod wire;

pub(crate) use disk::{abort, after_storage, of_storage, of_write};
pub(crate) use wire::{invented_answer, of_answer, of_outcome, with_new_ids};

use tidesync_engine::interface::Now;

macro_rules! planted {
    ($($bug:ident: $what:literal,)*) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Planted {
            $(#[doc = $what] $bug,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// What is wrong, in a sentence.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$bug => $what,)*
                }
            }
        }
    };
}

planted! {
    LogRowLost: "Capture writes its row in a second transaction, which may be lost.",
    AbortLogged: "The log row of an aborted transaction stays.",
    WrongValueLogged: "The log row has the object as it was before.",
    LogTakenFirst: "Log rows are removed in a transaction before the one that stages them.",
    QuotaIgnored: "A transaction that aborts for want of space is reported as done.",
    HeldForgotten: "What is refused is dropped instead of held.",
    FenceIgnored: "Transactions do not compare the fence.",
    SuccessInvented: "A lost request is reported as done.",
    RefusalIsSuccess: "A batch counts as done when only a part of it was.",
    NewIdsOnRetry: "A retry gets new operation ids.",
    OtherUsersToken: "The token is whoever's it was before.",
    RetryAfterIgnored: "The wait that the server asks for is not obeyed.",
    WallClockWaits: "Waits are counted on the wall clock.",
    TimerForgotten: "A timer that is set for more than a minute never comes.",
    RejectedForEver: "A record that the server refuses is tried again and again.",
    SyncedTooSoon: "The status says that nothing is pending while something is.",
    DedupeForgotten: "The server forgets what it has done when it starts.",
    AnsweredTooSoon: "The server answers before it commits.",
    HalfCommitted: "The server commits half of a push and answers for all of it.",
    PullSkips: "A pull leaves a change out, now and then.",
    CursorFirst: "The place of a pull is stored in a transaction before its records.",
    EchoCaptured: "What a pull puts into the app's stores is captured as a change.",
    PulledOverPending: "A pull puts the server's record as it is, whatever the app has changed.",
    ForgottenUnmarked: "The server forgets removals, and answers devices that have not heard of them.",
    ClockBelieved: "The server believes a client's clock, however wrong.",
}

/// The clocks as the engine is told them.
pub(crate) fn of_clock(planted: Option<Planted>, now: Now) -> Now {
    match planted {
        Some(Planted::WallClockWaits) => Now {
            monotonic_ms: now.wall_ms,
            ..now
        },
        _ => now,
    }
}

impl Planted {
    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// The bug of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}
