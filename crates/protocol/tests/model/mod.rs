//! A record as registers: each field holds its greatest write, and so does the tombstone. Concurrent
//! changes over one base are merged by the rule of `tidesync_protocol::merge`.

use std::collections::BTreeMap;

use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::merge::{Stamp, Strategy, Write, winner};
use tidesync_protocol::wire::Winner;

/// A register: clock, client, value.
pub(crate) type Register = (u64, String, Option<Vec<u8>>);

/// What clients did to one record without knowing of each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// By field, the greatest write.
    pub(crate) fields: BTreeMap<String, Register>,
    /// The greatest removal of the record.
    pub(crate) removed: Option<(u64, String)>,
}

fn stamp(clock: u64, client: &str) -> Stamp<'_> {
    let clock = Hlc::at(clock);
    Stamp { clock, client }
}

fn write((clock, client, value): &Register) -> Write<'_> {
    Write {
        stamp: stamp(*clock, client),
        value: value.as_deref(),
    }
}

impl Changes {
    /// Both together.
    pub(crate) fn join(mut self, other: &Self) -> Self {
        for (name, theirs) in &other.fields {
            let stays = self
                .fields
                .get(name)
                .is_some_and(|ours| winner(write(theirs), write(ours)) == Winner::Remote);
            if !stays {
                self.fields.insert(name.clone(), theirs.clone());
            }
        }
        self.removed = self.removed.max(other.removed.clone());
        self
    }

    /// The fields that the record ends with, over a base of fields that nobody changed; none where it
    /// ends removed.
    pub(crate) fn outcome(&self, strategy: Strategy) -> Option<Vec<(String, Vec<u8>)>> {
        let update = self.fields.values().map(|field| write(field).stamp).max();
        if let Some((clock, client)) = &self.removed
            && !update.is_some_and(|update| strategy.keeps(update, stamp(*clock, client)))
        {
            return None;
        }
        let present = self.fields.iter().filter_map(|(name, register)| {
            let value = register.2.clone()?;
            Some((name.clone(), value))
        });
        Some(present.collect())
    }
}
