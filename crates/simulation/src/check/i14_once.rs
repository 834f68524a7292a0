//! I14: the server does each operation at most once; a replay gets the same verdict and version;
//! and the same change does not come under two ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use tidesync_protocol::wire::{Op, OpKind, Verdict, VerdictEntry, code};

use super::{Check, Scene, ensure};
use crate::cloud::ServerRow;
use crate::fact::{Fact, Handled};
use crate::value::{canonical, fields};

/// The first outcome of an operation.
struct First {
    hash: String,
    verdict: Verdict,
    version: Option<u64>,
}

#[derive(Default)]
pub(super) struct Once {
    /// By client and id.
    first: BTreeMap<(String, String), First>,
    /// By client and clock: every operation has a reading of its own.
    clocks: BTreeMap<(String, String), String>,
}

impl Check for Once {
    fn name(&self) -> &'static str {
        "I14 exactly-once effect"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let (request, handled) = match fact {
            Fact::Handled { request, handled } => (request, handled),
            Fact::Forgot(forgotten) => {
                self.forget(&forgotten.ops);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let (before, after) = handled.versions;
        if !handled.committed {
            return ensure(before == after, || {
                "the server's versions moved without a commit".to_owned()
            });
        }
        let mut applied = 0;
        let captures = &scene.truth.captures[request.device];
        for (op, entry, row) in &handled.ops {
            ensure(captures.ops.contains_key(&op.op), || {
                format!(
                    "the server was sent {}, which device {} never staged",
                    op.op, request.device
                )
            })?;
            let done = matches!(entry.verdict, Verdict::Applied | Verdict::Merged);
            applied += u64::from(done && entry.version.is_some_and(|version| before < version));
            self.judge(handled, op, entry, row.as_ref())?;
        }
        ensure(after == before + applied, || {
            format!(
                "{applied} operations were applied, and the version went from {before} to {after}"
            )
        })
    }
}

impl Once {
    fn judge(
        &mut self,
        handled: &Handled,
        op: &Op,
        entry: &VerdictEntry,
        row: Option<&ServerRow>,
    ) -> Result<(), String> {
        let id = (handled.client.clone(), op.op.clone());
        let Some(first) = self.first.get(&id) else {
            return self.judge_first(id, op, entry, row);
        };
        let (again, same_version) = match first.verdict {
            Verdict::Applied => (Verdict::Duplicate, true),
            // It comes with the record as it is by now.
            Verdict::Merged => (Verdict::Duplicate, false),
            other => (other, true),
        };
        if first.hash != op.hash {
            let reused = entry.code.as_deref() == Some(code::ID_REUSED);
            return ensure(reused, || {
                format!(
                    "{} came again with another content and was {:?}",
                    op.op, entry.verdict
                )
            });
        }
        let same = !same_version || entry.version == first.version;
        ensure(entry.verdict == again && same, || {
            format!(
                "{} was {:?} at version {:?} and is {:?} at version {:?} when it comes again",
                op.op, first.verdict, first.version, entry.verdict, entry.version
            )
        })
    }

    /// A device that never heard what became of a change sends it under a new id when the server
    /// does not know that any more either. The old id is never done again.
    fn forget(&mut self, ops: &BTreeSet<(String, String)>) {
        self.clocks
            .retain(|(client, _), op| !ops.contains(&(client.clone(), op.clone())));
    }

    fn judge_first(
        &mut self,
        id: (String, String),
        op: &Op,
        entry: &VerdictEntry,
        row: Option<&ServerRow>,
    ) -> Result<(), String> {
        // Neither is recorded: the same may be judged otherwise when it comes again.
        if matches!(entry.verdict, Verdict::Retry | Verdict::Conflict) {
            return Ok(());
        }
        ensure(entry.verdict != Verdict::Duplicate, || {
            format!(
                "{} comes for the first time and counts as a duplicate",
                op.op
            )
        })?;
        if entry.verdict == Verdict::Applied {
            is_done(op, entry, row)?;
            let reading = (id.0.clone(), op.hlc.clone());
            if let Some(other) = self.clocks.insert(reading, op.op.clone()) {
                return Err(format!("the same change came as {other} and as {}", op.op));
            }
        }
        let first = First {
            hash: op.hash.clone(),
            verdict: entry.verdict,
            version: entry.version,
        };
        self.first.insert(id, first);
        Ok(())
    }
}

/// The server's record is what the operation says.
fn is_done(op: &Op, entry: &VerdictEntry, row: Option<&ServerRow>) -> Result<(), String> {
    let Some(row) = row else {
        return Err(format!("{} was applied, and there is no record", op.op));
    };
    ensure(Some(row.version) == entry.version, || {
        format!(
            "{} was applied as {:?}; the record has {}",
            op.op, entry.version, row.version
        )
    })?;
    let value = op.value.as_ref().map(|value| canonical(value.get()));
    let stored = row.doc.as_deref().map(canonical);
    ensure(op.kind == OpKind::Patch || value == stored, || {
        format!(
            "{} was applied, and the record is {stored:?} instead of {value:?}",
            op.op
        )
    })?;
    let fields = row.doc.as_deref().and_then(fields).unwrap_or_default();
    let is_set = |name: &str, value: &RawValue| {
        fields.get(name).map(|it| canonical(it.get())) == Some(canonical(value.get()))
    };
    let is_unset = |name: &String| !fields.contains_key(name);
    let mut set = op.set.iter().flatten();
    let set =
        set.all(|(name, value)| is_set(name, value)) && op.unset.iter().flatten().all(is_unset);
    ensure(set, || {
        format!(
            "{} was applied, and the record does not have its fields: {stored:?}",
            op.op
        )
    })
}
