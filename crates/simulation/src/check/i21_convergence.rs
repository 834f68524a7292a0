//! I21: when everything has come to rest, each user's records on the server are those of their
//! device, save for what is held or was never to be sent.

use std::collections::BTreeSet;

use super::{Check, Scene, ensure};
use crate::disk::Disk;
use crate::fact::{DeviceId, Fact};
use crate::schema;
use crate::truth::Name;
use crate::value::canonical;

pub(super) struct Convergence;

/// Records by table and name, with their canonical values.
type Records = Vec<(&'static str, String, String)>;

impl Check for Convergence {
    fn name(&self) -> &'static str {
        "I21 convergence"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        if !matches!(fact, Fact::Ended) {
            return Ok(());
        }
        (0..scene.world.devices.len()).try_for_each(|device| agrees(device, scene))
    }
}

fn agrees(device: DeviceId, scene: Scene<'_>) -> Result<(), String> {
    let it = &scene.world.devices[device];
    let captures = &scene.truth.captures[device];
    let written = captures.changes.keys().cloned();
    let waits = written.filter(|name| waits(name, &it.disk));
    // What was there before anything was captured can be held too.
    let exempt: BTreeSet<Name> = waits.chain(it.disk.held_names()).collect();
    let hidden: BTreeSet<(&str, &str)> = exempt
        .iter()
        .filter_map(|name| Some((name.0, captures.rid(name)?)))
        .collect();
    let (mut here, mut there) = (Records::new(), Records::new());
    for table in &it.disk.tables {
        for record in table.records.values() {
            let name = (schema::table(&table.name), record.lid.clone());
            let (Some(wire), false) = (record.value.wire(), exempt.contains(&name)) else {
                continue;
            };
            here.push(entry(name.0, &record.lid, wire));
        }
    }
    for (table, rid, value) in scene.world.cloud.records(&it.user) {
        if !hidden.contains(&(table.as_str(), rid.as_str())) {
            there.push(entry(schema::table(&table), &rid, &value));
        }
    }
    here.sort();
    there.sort();
    let missing = here.iter().find(|it| !there.contains(it));
    ensure(missing.is_none(), || {
        format!("device {device} has {missing:?}, which the server has not")
    })?;
    let extra = there.iter().find(|it| !here.contains(it));
    ensure(extra.is_none(), || {
        format!("the server has {extra:?}, which device {device} has not")
    })?;
    ensure(here.len() == there.len(), || {
        format!(
            "device {device} has {} records, the server {}",
            here.len(),
            there.len()
        )
    })
}

/// A record by table and name, with its canonical value. Where keys are generated, each side has its
/// own, and the values tell.
fn entry(table: &'static str, name: &str, wire: &str) -> (&'static str, String, String) {
    let name = if schema::is_generated(table) {
        ""
    } else {
        name
    };
    (table, name.to_owned(), canonical(wire))
}

/// Whether changes of a record wait for somebody who is not there: they were written under no name.
fn waits((table, lid): &Name, disk: &Disk) -> bool {
    let mut log = disk.table(table).log.values();
    log.any(|entry| entry.ops.iter().any(|op| op.concerns(lid)))
}
