//! I28: the status is honest: what it counts is there, "synced" means that nothing waits, the last
//! sync's time never goes back, every failure has a code; and a call that succeeded has done it.

use std::collections::{BTreeMap, BTreeSet};

use tidesync_engine::interface::RowUser;
use tidesync_engine::{Phase, Status, Storage};

use super::i07_conservation::{says_nothing, waits};
use super::{Check, Scene, ensure};
use crate::disk::{Disk, Logged};
use crate::fact::{DeviceId, Fact, TabId, Told};
use crate::truth::{Captures, Name};

/// What is known of what a device's leader was told.
#[derive(Default, Clone, Copy)]
struct Hints {
    /// On their way.
    under_way: u64,
    /// One was lost since the log was last seen empty.
    lost: bool,
}

/// A call of the app.
struct Called {
    device: DeviceId,
    /// The changes that were made before.
    seq: u64,
    backup: bool,
}

#[derive(Default)]
pub(super) struct HonestStatus {
    hints: BTreeMap<DeviceId, Hints>,
    last_sync: BTreeMap<TabId, u64>,
    calls: BTreeMap<u64, Called>,
}

impl Check for HonestStatus {
    fn name(&self) -> &'static str {
        "I28 honest status"
    }

    fn see(&mut self, fact: &Fact, scene: Scene<'_>) -> Result<(), String> {
        match fact {
            Fact::Hinted { device } => self.hints(*device).under_way += 1,
            Fact::HintLost { device } => self.hints(*device).lost = true,
            Fact::Gone { device, tab } => {
                *self.hints(*device) = Hints {
                    under_way: 0,
                    lost: true,
                };
                self.last_sync.remove(tab);
            }
            Fact::Turned {
                device,
                tab,
                told,
                status,
                ..
            } => {
                if let Told::Captured { .. } = told {
                    let hints = self.hints(*device);
                    hints.under_way = hints.under_way.saturating_sub(1);
                }
                return self.turned(*device, *tab, status, scene);
            }
            Fact::Called {
                device,
                call,
                backup,
                ..
            } => {
                let seq = scene.truth.captures[*device].seq;
                let called = Called {
                    device: *device,
                    seq,
                    backup: *backup,
                };
                self.calls.insert(*call, called);
            }
            Fact::Resolved { call, ok: true, .. } => {
                if let Some(called) = self.calls.remove(call) {
                    return is_kept(&called, scene);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl HonestStatus {
    fn hints(&mut self, device: DeviceId) -> &mut Hints {
        self.hints.entry(device).or_default()
    }

    fn turned(
        &mut self,
        device: DeviceId,
        tab: TabId,
        status: &Status,
        scene: Scene<'_>,
    ) -> Result<(), String> {
        let before = self.last_sync.insert(tab, status.last_sync_time);
        ensure(
            before.is_none_or(|before| before <= status.last_sync_time),
            || {
                format!(
                    "device {device}: the time of the last sync went back from {before:?} to {}",
                    status.last_sync_time
                )
            },
        )?;
        let code = status.last_error.as_ref().map(|error| error.code.as_str());
        let coded = status.consecutive_failures == 0 || code.is_some_and(|code| !code.is_empty());
        ensure(coded, || format!("device {device}: a failure has no code"))?;
        let it = &scene.world.devices[device];
        let hints = self.hints(device);
        hints.lost &= !it.disk.is_sent();
        let at_rest = matches!(
            status.phase,
            Phase::Idle | Phase::Buffering | Phase::Waiting | Phase::BackingOff | Phase::Offline
        );
        let told_all = hints.under_way == 0 && !hints.lost && it.is_current(tab);
        let own = it.disk.owner.as_deref() == Some(it.user.as_str());
        let well = status.is_initialized && status.storage == Storage::Ok && status.is_leader;
        if !at_rest || !told_all || !own || !well {
            return Ok(());
        }
        let count = count(&it.disk, &scene.truth.captures[device]);
        // What was told after it was read counts until the log is read again.
        ensure(status.pending >= count, || {
            format!(
                "device {device}: the status says {} pending; {count} are",
                status.pending
            )
        })
    }
}

/// Distinct records with a change in log or staged; all that a row removes without naming it
/// counts as one.
fn count(disk: &Disk, captures: &Captures) -> u64 {
    let staged = super::i06_ack::staged(disk).filter_map(|op| captures.ops.get(op));
    let mut names: BTreeSet<Name> = staged.map(|op| op.name.clone()).collect();
    let mut wide = 0;
    for table in &disk.tables {
        let own = table.log.values().filter(|it| it.user != RowUser::Nobody);
        let mut is_wide = false;
        for op in own.flat_map(|entry| &entry.ops) {
            match op.lid() {
                Some(lid) => {
                    names.insert((crate::schema::table(&table.name), lid.clone()));
                }
                None => is_wide |= matches!(op, Logged::DeleteRange(_) | Logged::Clear),
            }
        }
        wide += u64::from(is_wide);
    }
    names.len() as u64 + wide
}

/// What was written before a call is on the server when it has succeeded; after a backup, nothing
/// of it is held either.
fn is_kept(called: &Called, scene: Scene<'_>) -> Result<(), String> {
    let captures = &scene.truth.captures[called.device];
    let it = &scene.world.devices[called.device];
    for (name, changes) in &captures.changes {
        let before = changes.iter().rfind(|it| it.seq <= called.seq);
        let Some(before) = before.filter(|it| it.user != RowUser::Nobody) else {
            continue;
        };
        let (table, lid) = name;
        let mut held = it.disk.held.values();
        let held = held.any(|row| row.notice.table == *table && *row.notice.lid == **lid);
        // It may have been sent together with a later one, which said nothing.
        let last = changes.last().filter(|_| !waits(name, captures, &it.disk));
        let mut said = [Some(before), last].into_iter().flatten();
        let nothing = said.any(|change| says_nothing(called.device, name, change, scene));
        let done = captures.is_settled(name, before.seq) || nothing;
        ensure(done || (held && !called.backup), || {
            format!(
                "device {}: a {} succeeded, and change {} of {table} {lid} is not on the server",
                called.device,
                if called.backup { "backup" } else { "sync" },
                before.seq
            )
        })?;
    }
    Ok(())
}
