//! I6: a staged operation leaves only by a verdict that names it, to be held, or back to the log where
//! the server does not know any more what became of it; what is held leaves only for a later operation
//! of its record, or by a decision.

use std::collections::BTreeSet;
use std::rc::Rc;

use tidesync_engine::interface::Write;

use super::{Check, Scene, ensure};
use crate::disk::Disk;
use crate::fact::Fact;
use crate::truth::{Name, decision, is_done, op_id};

pub(super) struct AckGatedDelete;

impl Check for AckGatedDelete {
    fn name(&self) -> &'static str {
        "I6 ack-gated delete"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Fact::Stored {
            device,
            writes,
            before,
            after,
            ..
        } = fact
        else {
            return Ok(());
        };
        let captures = &scene.truth.captures[*device];
        ensure(captures.unread.is_none(), || {
            format!("device {device}: {:?}", captures.unread)
        })?;
        let gone = gone_from_staged(before, after);
        for op in &gone {
            let told = captures.verdicts.contains_key(op);
            let returned = || {
                captures
                    .ops
                    .get(op)
                    .is_some_and(|it| is_logged(&it.name, writes))
            };
            ensure(told || after.held.contains_key(op) || returned(), || {
                format!("device {device}: {op} left staged without a verdict, and is not held")
            })?;
        }
        if Rc::ptr_eq(&before.held, &after.held) {
            return Ok(());
        }
        let decided: Vec<Name> = decided(writes).collect();
        // A later change may have nothing to say to the server; what became of it is I7's.
        let consumed = captures.consumed(before, after);
        for (op, row) in before.held.iter() {
            let same = |table: &str, lid: &str| row.notice.table == table && row.notice.lid == lid;
            let later = gone.iter().any(|gone| {
                let done = captures.verdicts.get(gone).is_some_and(|it| is_done(*it));
                let of = captures.ops.get(gone).map(|staged| &staged.name);
                done && of.is_some_and(|(table, lid)| same(table, lid))
            });
            let again = after
                .held
                .values()
                .any(|it| same(&it.notice.table, &it.notice.lid));
            let decided = decided.iter().any(|(table, lid)| same(table, lid));
            let overtaken = consumed.keys().any(|(table, lid)| same(table, lid));
            ensure(
                after.held.contains_key(op) || later || again || decided || overtaken,
                || format!("device {device}: the held {op} went, and nothing took its place"),
            )?;
        }
        Ok(())
    }
}

/// Whether a transaction logs a record as changed.
fn is_logged((table, lid): &Name, writes: &[Write]) -> bool {
    writes.iter().any(|write| {
        matches!(write, Write::AppendLog { table: of, lid: its, .. } if of == table && its == &**lid)
    })
}

/// The records about which a transaction notes a decision.
pub(super) fn decided(writes: &[Write]) -> impl Iterator<Item = Name> {
    writes.iter().filter_map(|write| match write {
        Write::PutHistory { entry } => decision(entry).map(|(name, _)| name),
        _ => None,
    })
}

/// The operations that a transaction took out of staged.
pub(super) fn gone_from_staged(before: &Disk, after: &Disk) -> Vec<String> {
    if Rc::ptr_eq(&before.staged, &after.staged) {
        return Vec::new();
    }
    let left: BTreeSet<&str> = staged(after).collect();
    staged(before)
        .filter(|op| !left.contains(op))
        .map(str::to_owned)
        .collect()
}

/// The ids of all staged operations.
pub(super) fn staged(disk: &Disk) -> impl Iterator<Item = &str> {
    let texts = disk.staged.values().flat_map(|batch| &batch.texts);
    texts.map(|text| op_id(text))
}
