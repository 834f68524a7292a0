//! I23: taking over what the server has never hides, reverts or removes a change of the app's that
//! the server has not seen.

use std::collections::BTreeSet;

use tidesync_engine::interface::Write;

use super::i06_ack::decided;
use super::i07_conservation::waits;
use super::{Check, Scene, ensure};
use crate::disk::{Disk, Value};
use crate::fact::{DeviceId, Fact};
use crate::truth::{Name, Part};
use crate::value::parts;

pub(super) struct OwnWrites;

impl Check for OwnWrites {
    fn name(&self) -> &'static str {
        "I23 read your writes"
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
        let decided: BTreeSet<Name> = decided(writes).collect();
        let touched = writes.iter().filter_map(|write| match write {
            Write::PutRecord { table, lid, .. } | Write::DeleteRecord { table, lid } => {
                Some((crate::schema::table(table), lid.as_str().into()))
            }
            _ => None,
        });
        let touched: Vec<Name> = touched.filter(|name| !decided.contains(name)).collect();
        touched
            .iter()
            .try_for_each(|name| keeps(*device, name, (before, after), scene))
    }
}

fn keeps(
    device: DeviceId,
    name: &Name,
    (before, after): (&Disk, &Disk),
    scene: Scene<'_>,
) -> Result<(), String> {
    let captures = &scene.truth.captures[device];
    let (table, lid) = name;
    let (was, is) = (part_set(before, name), part_set(after, name));
    let user = &scene.world.devices[device].user;
    let rid = captures.rid(name).unwrap_or(lid);
    let is_pending = |part: &&Part| {
        let first = captures.first(name, part);
        let seen =
            scene.truth.server.had(user, (table, rid), part) || captures.is_judged(name, part);
        !seen && first.is_some_and(|first| !captures.is_settled(name, first))
    };
    let lost = was.difference(&is).find(is_pending);
    ensure(lost.is_none(), || {
        format!("device {device}: taking over {table} {lid} lost {lost:?}, which is not sent yet")
    })?;
    let removed = captures.latest(name);
    let removed = removed.filter(|latest| latest.value.is_none() && latest.existed);
    // A removal of what the server did not have said nothing to it, and is done.
    let pending = removed.is_some_and(|latest| {
        !captures.is_settled(name, latest.seq) && waits(name, captures, before)
    });
    ensure(!pending || is.is_empty(), || {
        format!(
            "device {device}: taking over brought back {table} {lid}, whose removal is not sent"
        )
    })
}

fn part_set(disk: &Disk, (table, lid): &Name) -> BTreeSet<Part> {
    let record = disk.record(table, lid);
    match record.map(|record| &record.value) {
        Some(Value::Wire(wire)) => parts(wire).into_iter().collect(),
        Some(Value::Unsendable(odd)) => BTreeSet::from([(String::new(), odd.to_string())]),
        None => BTreeSet::new(),
    }
}
