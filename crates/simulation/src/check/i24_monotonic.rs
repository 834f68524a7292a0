//! I24: a device never takes over an older version of a record than it had, and what it takes over
//! is what the server has or had at that version.

use std::collections::BTreeMap;

use super::{Check, Scene, ensure};
use crate::fact::{DeviceId, Fact};
use crate::truth::Name;

#[derive(Default)]
pub(super) struct Monotonic {
    shown: BTreeMap<(DeviceId, Name), u64>,
}

impl Check for Monotonic {
    fn name(&self) -> &'static str {
        "I24 monotonic"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Fact::Stored {
            device,
            pulled,
            outcome: Ok(()),
            after,
            ..
        } = fact
        else {
            return Ok(());
        };
        for it in pulled.iter() {
            let name = (crate::schema::table(&it.table), it.lid.as_str().into());
            let shown = self.shown.entry((*device, name)).or_insert(0);
            ensure(*shown <= it.version, || {
                format!(
                    "device {device}: {} {} went from version {shown} back to {}",
                    it.table, it.lid, it.version
                )
            })?;
            *shown = it.version;
            let user = &scene.world.devices[*device].user;
            let stored = after.record(&it.table, &it.lid);
            let wire = stored.and_then(|record| record.value.wire());
            let was = scene.truth.server.was(
                user,
                (&it.table, &it.rid),
                it.version,
                wire.map(|it| &**it),
            );
            ensure(was, || {
                format!(
                    "device {device}: {} {} of version {} is not what the server had: {wire:?}",
                    it.table, it.lid, it.version
                )
            })?;
        }
        Ok(())
    }
}
