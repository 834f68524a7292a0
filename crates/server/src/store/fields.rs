//! Two plain objects, field by field: an operation on a record that moved on since its base.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use tidesync_protocol::merge::winner;
use tidesync_protocol::wire::Winner;

use super::document::{Changes, Document};
use super::marks::{Mark, Marks};
use super::resolve::{Decision, Incoming, Resolution, Stored, canonical, write};

/// An operation, the record that it meets, and that record's fields.
pub(super) struct Merging<'a> {
    incoming: &'a Incoming<'a>,
    stored: &'a Stored,
    old: &'a Document<'a>,
    fields: BTreeMap<&'a str, &'a RawValue>,
}

/// What becomes of the fields that an operation writes.
#[derive(Default)]
struct Outcome<'a> {
    /// Where the operation's write stays.
    written: Changes<'a>,
    /// Where the server's stays, or both wrote the same: with the mark that counts from now on.
    kept: BTreeMap<&'a str, Mark>,
    resolved: Vec<Resolution>,
    /// Whether any field gets another value.
    changed: bool,
}

impl<'a> Merging<'a> {
    pub(super) fn new(
        incoming: &'a Incoming<'a>,
        stored: &'a Stored,
        old: &'a Document<'a>,
    ) -> Self {
        Self {
            incoming,
            stored,
            old,
            fields: old.fields(),
        }
    }

    pub(super) fn patch(&self, changes: Changes<'a>) -> Decision {
        let Some(outcome) = self.outcome(changes) else {
            return Decision::Conflict;
        };
        let mut document = self.old.clone();
        document.change(&outcome.written);
        let marks = self.stored.marks.clone();
        self.decision(&document, marks, outcome)
    }

    /// A put writes to every field: it removes those that it does not name, also those that were
    /// never there.
    pub(super) fn put(&self, document: &'a Document<'a>) -> Decision {
        let new = document.fields();
        let names: BTreeSet<&str> = new
            .keys()
            .chain(self.fields.keys())
            .copied()
            .chain(self.stored.marks.each.keys().map(String::as_str))
            .collect();
        let writes = names.iter().map(|&name| (name, new.get(name).copied()));
        let Some(outcome) = self.outcome(writes.collect()) else {
            return Decision::Conflict;
        };
        let kept = outcome.kept.keys();
        let kept: Changes<'_> = kept
            .map(|&name| (name, self.fields.get(name).copied()))
            .collect();
        let mut document = document.clone();
        document.change(&kept);
        let marks = Marks::whole(self.rest(&outcome));
        self.decision(&document, marks, outcome)
    }

    /// Who stays in each field; none where somebody is to be asked.
    fn outcome(&self, writes: Changes<'a>) -> Option<Outcome<'a>> {
        let mut outcome = Outcome::default();
        for (name, local) in writes {
            let remote = self.fields.get(name).copied();
            let differs = !is_same(local, remote);
            let against = self.stored.marks.of(name);
            if !self.incoming.known().lacks(against) {
                outcome.written.insert(name, local);
                outcome.changed |= differs;
            } else if differs {
                self.incoming.strategy()?;
                let winner = self.winner(local, remote, against);
                outcome.resolve(name, winner, local, remote, against);
            } else {
                let ours = self.incoming.mark(against.version);
                let later =
                    std::cmp::max_by(&ours, against, |one, other| one.stamp().cmp(&other.stamp()));
                outcome.kept.insert(name, later.clone());
            }
        }
        Some(outcome)
    }

    fn winner(
        &self,
        local: Option<&RawValue>,
        remote: Option<&RawValue>,
        against: &Mark,
    ) -> Winner {
        let local = local.map(|value| canonical(value.get()));
        let remote = remote.map(|value| canonical(value.get()));
        let ours = self.incoming.mark(0);
        winner(
            write(&ours, local.as_deref()),
            write(against, remote.as_deref()),
        )
    }

    /// A change that shows takes the next version; what only says again what is there takes none.
    fn version(&self, outcome: &Outcome<'_>) -> u64 {
        if outcome.changed {
            self.incoming.next_version
        } else {
            self.stored.version
        }
    }

    /// Who wrote, after a put, to the fields that neither side has.
    fn rest(&self, outcome: &Outcome<'_>) -> Mark {
        let theirs = &self.stored.marks.rest;
        let ours = self.incoming.mark(self.version(outcome));
        if self.incoming.known().lacks(theirs) && ours.stamp() < theirs.stamp() {
            theirs.clone()
        } else {
            ours
        }
    }

    fn decision(
        &self,
        document: &Document<'_>,
        mut marks: Marks,
        outcome: Outcome<'a>,
    ) -> Decision {
        let version = self.version(&outcome);
        for name in outcome.written.keys() {
            marks.set(name, self.incoming.mark(version));
        }
        for (name, mark) in outcome.kept {
            marks.set(name, mark);
        }
        let next = if outcome.changed {
            Some(self.incoming.fields(self.stored, document, marks))
        } else {
            let differ = marks != self.stored.marks;
            differ.then(|| self.incoming.remarked(self.stored, marks))
        };
        let resolved = outcome.resolved;
        Decision::Merge { next, resolved }
    }
}

impl<'a> Outcome<'a> {
    fn resolve(
        &mut self,
        name: &'a str,
        winner: Winner,
        local: Option<&'a RawValue>,
        remote: Option<&'a RawValue>,
        against: &Mark,
    ) {
        match winner {
            Winner::Local => {
                self.written.insert(name, local);
                self.changed = true;
            }
            Winner::Remote => {
                self.kept.insert(name, against.clone());
            }
        }
        self.resolved.push(Resolution {
            field: name.to_owned(),
            winner,
            local: local.map(|value| value.get().to_owned()),
            remote: remote.map(|value| value.get().to_owned()),
            against: against.clone(),
        });
    }
}

/// Whether two values are equal, or both absent.
fn is_same(one: Option<&RawValue>, other: Option<&RawValue>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.get() == other.get() || canonical(one.get()) == canonical(other.get())
        }
        _ => false,
    }
}
