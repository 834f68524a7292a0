//! What an operation makes of a record: pure. Where another client has changed the same since the
//! operation's base, the rule of `tidesync_protocol::merge` decides, or nobody does.

use tidesync_protocol::canonical::canonical_bytes;
use tidesync_protocol::hash::FIELDS_MAX;
use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::merge::{Strategy, Write, winner};
use tidesync_protocol::wire::{Op, OpKind, PUSH_BYTES_MAX, Winner};

use super::document::{Changes, Document, object_text};
use super::fields::Merging;
use super::marks::{Known, Mark, Marks};

/// A record as it stands; without a `doc` it is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) doc: Option<String>,
    pub(super) version: u64,
    /// The latest clock of its changes.
    pub(super) clock: Hlc,
    /// Who made the last one.
    pub(super) client: String,
    pub(super) marks: Marks,
}

impl Stored {
    /// About the bytes that are read or written with it.
    pub(super) fn bytes(&self) -> usize {
        self.doc.as_ref().map_or(0, String::len) + self.marks.bytes()
    }
}

/// A field that was resolved without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolution {
    /// Empty for the record as a whole.
    pub(super) field: String,
    pub(super) winner: Winner,
    pub(super) local: Option<String>,
    pub(super) remote: Option<String>,
    /// The write of the server's that stood against the operation.
    pub(super) against: Mark,
}

/// What becomes of an operation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The record becomes what it was at the base with the operation on it.
    Apply(Stored),
    /// The record had moved on. `next` is what it becomes; none where it stays as it is.
    Merge {
        next: Option<Stored>,
        resolved: Vec<Resolution>,
    },
    /// Another client has changed the same, and the operation is to be asked about.
    Conflict,
    /// A patch has nothing that it could change.
    NeedFull,
    /// The record would become larger than any push could carry.
    TooLarge,
}

impl Decision {
    pub(super) fn stays(resolved: Vec<Resolution>) -> Self {
        let next = None;
        Self::Merge { next, resolved }
    }

    fn next(&self) -> Option<&Stored> {
        match self {
            Self::Apply(next) => Some(next),
            Self::Merge { next, .. } => next.as_ref(),
            Self::Conflict | Self::NeedFull | Self::TooLarge => None,
        }
    }
}

/// An operation, and what it is stamped with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) op: &'a Op,
    /// Its clock, bounded by the server's.
    pub(super) clock: Hlc,
    pub(super) client: &'a str,
    /// The version that its change makes.
    pub(super) next_version: u64,
}

impl Incoming<'_> {
    pub(super) fn decide(&self, stored: Option<&Stored>) -> Decision {
        let decision = match self.op.kind {
            OpKind::Put => self.put(stored),
            OpKind::Patch => self.patch(stored),
            OpKind::Delete => self.delete(stored),
        };
        let doc = decision.next().and_then(|next| next.doc.as_ref());
        if doc.is_some_and(|doc| PUSH_BYTES_MAX < doc.len()) {
            return Decision::TooLarge;
        }
        decision
    }

    fn put(&self, stored: Option<&Stored>) -> Decision {
        let value = self.op.value.as_ref().map_or("null", |value| value.get());
        let Some(stored) = self.moved(stored) else {
            return self.on_base(stored, Some(value.to_owned()));
        };
        let Some(doc) = &stored.doc else {
            return self.put_on_tombstone(stored, value);
        };
        match (Document::read(value), Document::read(doc)) {
            (Some(new), Some(old)) if new.has_fields() && old.has_fields() => {
                Merging::new(self, stored, &old).put(&new)
            }
            _ => self.put_as_one(stored, value, doc),
        }
    }

    fn patch(&self, stored: Option<&Stored>) -> Decision {
        let Some(stored) = stored else {
            return Decision::NeedFull;
        };
        let changes = self.changes();
        if changes.is_empty() {
            return Decision::stays(Vec::new());
        }
        let Some(doc) = &stored.doc else {
            return self.patch_on_tombstone(stored);
        };
        let Some(old) = Document::read(doc) else {
            return Decision::NeedFull;
        };
        if stored.version == self.op.base {
            self.apply_patch(stored, old, &changes)
        } else if self.op.base < stored.version && old.has_fields() {
            Merging::new(self, stored, &old).patch(changes)
        } else {
            // An older copy was restored, and lacks what the patch was made on; or there are no fields.
            Decision::NeedFull
        }
    }

    /// What a patch writes to each field.
    fn changes(&self) -> Changes<'_> {
        let unset = self.op.unset.iter().flatten();
        let set = self.op.set.iter().flatten();
        unset
            .map(|name| (name.as_str(), None))
            .chain(set.map(|(name, value)| (name.as_str(), Some(value.as_ref()))))
            .collect()
    }

    fn apply_patch<'a>(
        &'a self,
        stored: &Stored,
        mut document: Document<'a>,
        changes: &Changes<'a>,
    ) -> Decision {
        document.change(changes);
        let mut marks = stored.marks.clone();
        for name in changes.keys() {
            marks.set(name, self.mark(self.next_version));
        }
        Decision::Apply(self.fields(stored, &document, marks))
    }

    fn delete(&self, stored: Option<&Stored>) -> Decision {
        let Some(stored) = self.moved(stored) else {
            return self.on_base(stored, None);
        };
        let Some(doc) = &stored.doc else {
            return self.again(stored);
        };
        let Some(update) = stored.marks.latest_unknown(self.known()) else {
            return self.replace(stored, None, Vec::new());
        };
        let Some(strategy) = self.strategy() else {
            return Decision::Conflict;
        };
        let kept = strategy.keeps(update.stamp(), self.mark(0).stamp());
        let winner = if kept { Winner::Remote } else { Winner::Local };
        let resolved = vec![whole(winner, None, Some(doc), update)];
        match winner {
            Winner::Local => self.replace(stored, None, resolved),
            Winner::Remote => Decision::stays(resolved),
        }
    }

    fn put_on_tombstone(&self, stored: &Stored, value: &str) -> Decision {
        let doc = || Some(value.to_owned());
        match self.against_removal(stored, value) {
            Removal::Known => self.replace(stored, doc(), Vec::new()),
            Removal::Yields(resolved) => self.replace(stored, doc(), vec![resolved]),
            Removal::Stays(resolved) => Decision::stays(vec![resolved]),
            Removal::Ask => Decision::Conflict,
        }
    }

    fn patch_on_tombstone(&self, stored: &Stored) -> Decision {
        let set = self.op.set.iter().flatten();
        let local = object_text(set.map(|(name, value)| (name.as_str(), value.as_ref())));
        match self.against_removal(stored, &local) {
            // The fields that it does not name went with the record.
            Removal::Known | Removal::Yields(_) => Decision::NeedFull,
            Removal::Stays(resolved) => Decision::stays(vec![resolved]),
            Removal::Ask => Decision::Conflict,
        }
    }

    fn against_removal(&self, tombstone: &Stored, local: &str) -> Removal {
        let Some(removal) = tombstone.marks.latest_unknown(self.known()) else {
            return Removal::Known;
        };
        let Some(strategy) = self.strategy() else {
            return Removal::Ask;
        };
        if strategy.keeps(self.mark(0).stamp(), removal.stamp()) {
            Removal::Yields(whole(Winner::Local, Some(local), None, removal))
        } else {
            Removal::Stays(whole(Winner::Remote, Some(local), None, removal))
        }
    }

    /// A value that has no fields, or meets one that has none.
    fn put_as_one(&self, stored: &Stored, value: &str, doc: &str) -> Decision {
        let (local, remote) = (canonical(value), canonical(doc));
        if local == remote {
            return self.again(stored);
        }
        let Some(against) = stored.marks.latest_unknown(self.known()) else {
            return self.replace(stored, Some(value.to_owned()), Vec::new());
        };
        if self.strategy().is_none() {
            return Decision::Conflict;
        }
        let ours = self.mark(0);
        let winner = winner(write(&ours, Some(&local)), write(against, Some(&remote)));
        let resolved = vec![whole(winner, Some(value), Some(doc), against)];
        match winner {
            Winner::Local => self.replace(stored, Some(value.to_owned()), resolved),
            Winner::Remote => Decision::stays(resolved),
        }
    }

    /// The record, where it is not at the operation's base.
    fn moved<'a>(&self, stored: Option<&'a Stored>) -> Option<&'a Stored> {
        stored.filter(|stored| stored.version != self.op.base)
    }

    /// A whole value, or none, where the record is at the base or is not there.
    fn on_base(&self, stored: Option<&Stored>, doc: Option<String>) -> Decision {
        let next = self.whole(stored, doc);
        if stored.is_none() && self.op.base > 0 {
            let (next, resolved) = (Some(next), Vec::new());
            return Decision::Merge { next, resolved };
        }
        Decision::Apply(next)
    }

    fn replace(&self, stored: &Stored, doc: Option<String>, resolved: Vec<Resolution>) -> Decision {
        let next = Some(self.whole(Some(stored), doc));
        Decision::Merge { next, resolved }
    }

    fn whole(&self, stored: Option<&Stored>, doc: Option<String>) -> Stored {
        Stored {
            doc,
            version: self.next_version,
            clock: stored.map_or(self.clock, |stored| stored.clock.max(self.clock)),
            client: self.client.to_owned(),
            marks: Marks::whole(self.mark(self.next_version)),
        }
    }

    /// The operation says what is there already: of both writes the greater one counts from now on.
    fn again(&self, stored: &Stored) -> Decision {
        let ours = self.mark(stored.version);
        let is_later = stored.marks.latest().stamp() < ours.stamp();
        let next = is_later.then(|| self.remarked(stored, Marks::whole(ours)));
        let resolved = Vec::new();
        Decision::Merge { next, resolved }
    }

    /// The same record under other marks.
    pub(super) fn remarked(&self, stored: &Stored, marks: Marks) -> Stored {
        Stored {
            clock: stored.clock.max(self.clock),
            marks,
            ..stored.clone()
        }
    }

    /// The record with the fields of `document`.
    pub(super) fn fields(
        &self,
        stored: &Stored,
        document: &Document<'_>,
        mut marks: Marks,
    ) -> Stored {
        let fields = document.fields();
        if fields.len() > FIELDS_MAX {
            marks = Marks::whole(self.mark(self.next_version));
        }
        marks.forget_removed(|name| fields.contains_key(name));
        Stored {
            doc: Some(document.to_text()),
            version: self.next_version,
            clock: stored.clock.max(self.clock),
            client: self.client.to_owned(),
            marks,
        }
    }

    pub(super) fn mark(&self, version: u64) -> Mark {
        Mark {
            version,
            clock: self.clock,
            client: self.client.to_owned(),
        }
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known {
            base: self.op.base,
            client: self.client,
        }
    }

    pub(super) fn strategy(&self) -> Option<Strategy> {
        Strategy::of(self.op.on_conflict)
    }
}

/// What an update meets at a tombstone.
enum Removal {
    /// The client knows of it.
    Known,
    /// The record comes back.
    Yields(Resolution),
    /// The record stays removed.
    Stays(Resolution),
    /// Somebody is to be asked.
    Ask,
}

/// A record that was resolved as a whole.
fn whole(winner: Winner, local: Option<&str>, remote: Option<&str>, against: &Mark) -> Resolution {
    Resolution {
        field: String::new(),
        winner,
        local: local.map(str::to_owned),
        remote: remote.map(str::to_owned),
        against: against.clone(),
    }
}

pub(super) fn write<'a>(mark: &'a Mark, value: Option<&'a [u8]>) -> Write<'a> {
    Write {
        stamp: mark.stamp(),
        value,
    }
}

/// Equal for equal values. What is stored was checked when it came; the text stands for itself where
/// it is none the less no value.
pub(super) fn canonical(value: &str) -> Vec<u8> {
    canonical_bytes(value.as_bytes()).unwrap_or_else(|_| value.as_bytes().to_vec())
}
