//! I18: a pull from cursor c that gives cursor c' has every committed change in between, as it is
//! now, in order; and a device's cursors do not go back.

use std::collections::BTreeMap;

use super::{Check, Scene, ensure};
use crate::fact::{DeviceId, Fact, Pulled};
use crate::value::canonical;

#[derive(Default)]
pub(super) struct Gapless {
    /// Up to which version a cursor has everything.
    covers: BTreeMap<String, u64>,
    /// The head when the reader of a cursor began with nothing: it needs no removals from before.
    began: BTreeMap<String, u64>,
    /// The last that each device has asked with.
    asked: BTreeMap<DeviceId, u64>,
}

impl Check for Gapless {
    fn name(&self) -> &'static str {
        "I18 gapless log"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        let Fact::Pulled { request, pulled } = fact else {
            return Ok(());
        };
        let from = pulled
            .cursor
            .as_ref()
            .map(|cursor| self.covers.get(cursor).copied());
        let from = match from {
            None => 0,
            Some(Some(version)) => version,
            Some(None) => return Err("a cursor was taken that nobody gave".to_owned()),
        };
        let began = match &pulled.cursor {
            None => pulled.head,
            Some(cursor) => self.began.get(cursor).copied().unwrap_or(0),
        };
        let forgotten = scene.truth.server.forgotten_version(&pulled.user);
        let hears_all = forgotten <= from.max(began);
        ensure(pulled.cursor.is_none() || hears_all, || {
            format!(
                "a pull from version {from} was answered, and removals up to {forgotten} are forgotten"
            )
        })?;
        // A late copy of a request is no new one, and a tab that leads no more may know an older place.
        let device = &scene.world.devices[request.device];
        let mut tabs = device.tabs.iter();
        let waits = tabs.any(|tab| tab.flight == Some(request.id));
        let fresh = waits && device.is_current(request.tab);
        if fresh {
            // From scratch it may begin again at any time: `from` is 0 then.
            let before = self.asked.insert(request.device, from).unwrap_or(0);
            ensure(before <= from || pulled.cursor.is_none(), || {
                format!(
                    "device {} asked from version {from} after it had asked from {before}",
                    request.device
                )
            })?;
        }
        let to = is_complete(from, pulled, scene)?;
        self.began.insert(pulled.answer.cursor.clone(), began);
        let known = self.covers.insert(pulled.answer.cursor.clone(), to);
        ensure(known.is_none_or(|known| known == to), || {
            format!("one cursor stands for version {known:?} and for {to}")
        })
    }
}

/// Up to which version the answer has everything.
fn is_complete(from: u64, pulled: &Pulled, scene: Scene<'_>) -> Result<u64, String> {
    let changes = &pulled.answer.changes;
    let rising = changes
        .windows(2)
        .all(|pair| pair[0].version < pair[1].version);
    ensure(rising, || {
        "the changes of a pull are not in the order of their versions".to_owned()
    })?;
    let last = changes.last().map_or(from, |change| change.version);
    let to = if pulled.answer.more {
        last
    } else {
        pulled.head
    };
    for (table, rid, version, value) in scene.truth.server.between(&pulled.user, from, to) {
        let change = changes.iter().find(|it| it.version == version);
        let same = change.is_some_and(|change| {
            let said = change.value.as_ref().map(|value| canonical(value.get()));
            change.table == table && change.rid == rid && said == value.map(canonical)
        });
        ensure(same, || {
            format!(
                "a pull from version {from} to {to} leaves out {table} {rid} of version {version}"
            )
        })?;
    }
    Ok(to)
}
