//! Who wins where two clients changed the same without knowing of each other (Y09, Z05).
//!
//! Writes have a total order: the later clock is greater, of equal clocks the greater client id, of
//! one client at one time the greater value. The greatest write of a field stays, so that the outcome
//! of any number of concurrent writes depends neither on the order in which they arrive, nor on how
//! they are grouped, nor on how often each of them comes.

use crate::hlc::Hlc;
use crate::wire::{OnConflict, Winner};

/// When something was written, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp<'a> {
    /// The writer's clock, bounded by the server's.
    pub clock: Hlc,
    /// The writer.
    pub client: &'a str,
}

/// What was written to a field, or to a record that is one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write<'a> {
    /// When, and by whom.
    pub stamp: Stamp<'a>,
    /// The value's canonical bytes; none where it was removed.
    pub value: Option<&'a [u8]>,
}

/// Which of two concurrent writes of one field stays.
#[must_use]
pub fn winner(local: Write<'_>, remote: Write<'_>) -> Winner {
    if remote < local {
        Winner::Local
    } else {
        Winner::Remote
    }
}

/// How a conflict is resolved without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The greatest write stays.
    LastWriteWins,
    /// The greatest write stays, and a changed record is not removed.
    Merge,
}

impl Strategy {
    /// The strategy that an operation names; none where it is to be asked.
    #[must_use]
    pub fn of(on_conflict: OnConflict) -> Option<Self> {
        match on_conflict {
            OnConflict::LastWriteWins => Some(Self::LastWriteWins),
            OnConflict::Merge => Some(Self::Merge),
            OnConflict::Ask => None,
        }
    }

    /// Whether a record stays that was changed and concurrently removed. `update` is the latest of
    /// its changes. A removal counts as the least value.
    #[must_use]
    pub fn keeps(self, update: Stamp<'_>, removal: Stamp<'_>) -> bool {
        match self {
            Self::LastWriteWins => removal <= update,
            Self::Merge => true,
        }
    }
}
