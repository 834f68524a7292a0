//! I7: the latest change of each record is in the log, staged, held, or on the server; and what is
//! staged is what was captured.

use std::collections::BTreeSet;

use tidesync_protocol::wire::OpKind;

use super::i06_ack::{gone_from_staged, staged};
use super::{Check, Scene, ensure};
use crate::disk::Disk;
use crate::fact::{DeviceId, Fact};
use crate::truth::{Capture, Captures, Name, Part};
use crate::value::parts;

pub(super) struct Conservation;

impl Check for Conservation {
    fn name(&self) -> &'static str {
        "I7 conservation"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        match fact {
            Fact::Stored {
                device,
                before,
                after,
                ..
            } => {
                let captures = &scene.truth.captures[*device];
                for op in staged(after).filter(|op| !staged(before).any(|was| was == *op)) {
                    is_as_captured(*device, op, scene)
                        .map_err(|wrong| format!("device {device}: {wrong}"))?;
                }
                let names = touched(captures, before, after);
                names
                    .iter()
                    .try_for_each(|name| is_somewhere(*device, name, after, scene))
            }
            Fact::Ended => (0..scene.world.devices.len()).try_for_each(|device| {
                let names = scene.truth.captures[device].changes.keys();
                let disk = &scene.world.devices[device].disk;
                names
                    .into_iter()
                    .try_for_each(|name| is_somewhere(device, name, disk, scene))
            }),
            _ => Ok(()),
        }
    }
}

/// The records of which something left log, staged or held.
fn touched(captures: &Captures, before: &Disk, after: &Disk) -> BTreeSet<Name> {
    let gone = gone_from_staged(before, after);
    let staged = gone.iter().filter_map(|op| captures.ops.get(op));
    let mut names: BTreeSet<Name> = captures.consumed(before, after).into_keys().collect();
    names.extend(staged.map(|staged| staged.name.clone()));
    let held = before
        .held
        .iter()
        .filter(|(op, _)| !after.held.contains_key(*op));
    names.extend(held.map(|(_, row)| {
        let table = crate::schema::table(&row.notice.table);
        (table, row.notice.lid.as_str().into())
    }));
    names
}

fn is_somewhere(
    device: DeviceId,
    name: &Name,
    disk: &Disk,
    scene: Scene<'_>,
) -> Result<(), String> {
    let captures = &scene.truth.captures[device];
    let Some(latest) = captures.latest(name) else {
        return Ok(());
    };
    let (table, lid) = name;
    let done = captures.is_settled(name, latest.seq);
    let nothing = || says_nothing(device, name, latest, scene);
    ensure(done || waits(name, captures, disk) || nothing(), || {
        format!(
            "device {device}: the last change of {table} {lid} (number {}: {:?}) is neither in the \
             log, nor staged, nor held, nor on the server (which has {} of {})",
            latest.seq,
            latest.value,
            captures.done(name),
            captures.changes.get(name).map_or(0, Vec::len),
        )
    })
}

/// Whether something of a record is in the log, staged, or held.
pub(super) fn waits(name: &Name, captures: &Captures, disk: &Disk) -> bool {
    let (table, lid) = name;
    let mut entries = disk.table(table).log.values();
    let mut ops = staged(disk).filter_map(|op| captures.ops.get(op));
    entries.any(|entry| entry.ops.iter().any(|op| op.concerns(lid)))
        || ops.any(|op| op.name == *name)
        || disk.held_names().any(|held| held == *name)
}

/// Whether a change says nothing to the server: a delete of what is not there or it does not have,
/// or what it had, or decided on, already.
pub(super) fn says_nothing(
    device: DeviceId,
    name: &Name,
    change: &Capture,
    scene: Scene<'_>,
) -> bool {
    let removed = || scene.truth.captures[device].is_removed(name, change.seq);
    if change.value.is_none() && (!change.existed || removed()) {
        return true;
    }
    let user = &scene.world.devices[device].user;
    let Some(rid) = scene.truth.captures[device].rid(name) else {
        return change.value.is_none();
    };
    match &change.value {
        None => scene.truth.server.value(user, name.0, rid).is_none(),
        Some(value) => {
            let parts = value.wire().map(|wire| parts(wire));
            let captures = &scene.truth.captures[device];
            let had = |part: &Part| {
                scene.truth.server.had(user, (name.0, rid), part) || captures.is_judged(name, part)
            };
            parts.is_some_and(|parts| parts.iter().all(had))
        }
    }
}

/// What is staged is made of what the app stored in the record, or of what the server had; and it
/// leaves out nothing of the change that it stands for but what the server had already.
fn is_as_captured(device: DeviceId, op: &str, scene: Scene<'_>) -> Result<(), String> {
    let captures = &scene.truth.captures[device];
    let Some(staged) = captures.ops.get(op) else {
        return Err(format!("{op} was staged and cannot be read"));
    };
    let (table, lid) = &staged.name;
    let user = &scene.world.devices[device].user;
    let record = (*table, staged.op.rid.as_str());
    let had = |part: &Part| scene.truth.server.had(user, record, part);
    let sent = staged.parts();
    let foreign = sent
        .iter()
        .find(|part| captures.first(&staged.name, part).is_none() && !had(part));
    ensure(foreign.is_none() || staged.seq == 0, || {
        format!("{op} of {table} {lid} says {foreign:?}, which nobody stored there")
    })?;
    let change = captures.change(&staged.name, staged.seq);
    let wire = change.and_then(|it| it.value.as_ref()?.wire().cloned());
    // A large value is read when it is staged: a later change may have replaced it by then.
    let last = captures.latest(&staged.name).map_or(0, |latest| latest.seq);
    let says_all = staged.exact && last == staged.seq && staged.op.kind != OpKind::Delete;
    let Some(wire) = wire.filter(|_| says_all) else {
        return Ok(());
    };
    let parts = parts(&wire);
    // What came with an earlier change that is settled may have lost against another client's.
    let settled = |part: &Part| {
        let first = captures.first(&staged.name, part);
        first.is_none_or(|first| captures.is_settled(&staged.name, first))
            || captures.is_judged(&staged.name, part)
    };
    let dropped = parts
        .iter()
        .find(|part| !sent.contains(part) && !had(part) && !settled(part));
    ensure(dropped.is_none(), || {
        format!("{op} of {table} {lid} leaves out {dropped:?}, which the server never had")
    })
}
