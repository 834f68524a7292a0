//! The model of the shell: an input goes in, effects come out and are done, one timer is set.

use std::rc::Rc;

use tidesync_engine::Engine;
use tidesync_engine::interface::{Effect, Input, Prepared, StorageError, Write};

use super::{Event, World};
use crate::clock::{MINUTE, SECOND};
use crate::device::Tab;
use crate::disk::{Disk, Memory};
use crate::fact::{DeviceId, Fact, Kind, TabId, Told};
use crate::faults::Fault;
use crate::planted::{self, Planted};

/// A leader that is told something and does not answer within this time is replaced.
const ALIVE_MS: u64 = 5 * SECOND;

impl World {
    /// A tab begins to lead, if the app is open and none does.
    pub(super) fn lead(&mut self, device: DeviceId) {
        let it = &self.devices[device];
        let leads = it.leader().is_some_and(|tab| tab.frozen_until <= self.now);
        if !it.open || leads {
            return;
        }
        if it.asleep_until > self.now {
            return self.queue.push(it.asleep_until, Event::Lead(device));
        }
        self.steal(device);
    }

    /// A new tab leads. One that led before does not know.
    pub(super) fn start_engine(&mut self, device: DeviceId) {
        self.next_tab += 1;
        let id = self.next_tab;
        let mut config = self.plan.config.clone();
        config.seed = self.seeds.seed();
        let it = &mut self.devices[device];
        it.leading = Some(id);
        it.tabs.push(Tab {
            id,
            engine: Engine::new(config),
            memory: Memory::default(),
            origin_ms: it.clock.monotonic(self.now),
            timer: None,
            flight: None,
            fence: 0,
            frozen_until: 0,
        });
        let input = Input::Start {
            online: it.online,
            visible: it.visible,
            user: it.session(),
            enabled: it.enabled,
        };
        self.turn(device, id, input);
    }

    /// Tells the tab that leads, after a moment.
    pub(super) fn tell(&mut self, device: DeviceId, input: Input) {
        let Some(tab) = self.devices[device].leader() else {
            return;
        };
        let (tab, stands_still) = (tab.id, tab.frozen_until > self.now);
        // One after the other, as on a channel.
        let at = self.devices[device]
            .told_at
            .max(self.now + self.life.below(20));
        self.devices[device].told_at = at;
        self.queue.push(at, Event::Turn(tab, input));
        if stands_still {
            // A leader that does not answer is replaced.
            self.queue.push(self.now + ALIVE_MS, Event::Lead(device));
        }
    }

    /// Hands an input to an engine and does what it asks for.
    pub(super) fn turn(&mut self, device: DeviceId, tab: TabId, input: Input) {
        let it = &mut self.devices[device];
        let clock = it.clock.clone();
        let Some(tab_) = it.tab(tab) else { return };
        let now = tab_.now(&clock, self.now);
        let believed = planted::of_clock(self.plan.planted, now);
        let told = Told::of(&input);
        tab_.engine.handle_input(believed, input);
        let effects: Vec<Effect> = std::iter::from_fn(|| tab_.engine.poll_effect()).collect();
        let mut status = tab_.engine.status(believed);
        if self.plan.planted == Some(Planted::SyncedTooSoon) && status.pending == 1 {
            status.pending = 0;
        }
        let timeout = tab_.engine.poll_timeout();
        let requested = effects.iter().find_map(|effect| match effect {
            Effect::Push { .. } => Some(Kind::Push),
            Effect::Pull { .. } => Some(Kind::Pull),
            _ => None,
        });
        self.trace
            .number(u64::from(tab) << 32 | effects.len() as u64);
        // A tab that was stopped tells nobody its status any more.
        if told != Told::Stop {
            self.facts.push(Fact::Turned {
                device,
                tab,
                now,
                told,
                status: Rc::new(status),
                timeout,
                requested,
                completed: effects.iter().any(is_completion),
            });
        }
        for effect in effects {
            if self.life.chance(self.plan.life.crash_before_effect) {
                self.counts.add(Fault::CrashBeforeEffect);
                return self.kill(device, tab);
            }
            self.perform(device, tab, effect);
        }
        self.arm(
            device,
            tab,
            timeout.map(|(at, _)| at.saturating_sub(believed.monotonic_ms)),
        );
    }

    /// Sets the one timer of a tab. A hidden tab's may come late.
    fn arm(&mut self, device: DeviceId, tab: TabId, wait: Option<u64>) {
        let hidden = !self.devices[device].visible;
        let now = self.now;
        let late = self.life.below(2 * MINUTE);
        let Some(tab_) = self.devices[device].tab(tab) else {
            return;
        };
        let Some(wait) = wait else {
            tab_.timer = None;
            return;
        };
        let due = now + wait.max(1);
        let late = if hidden && wait > SECOND && late < MINUTE {
            late
        } else {
            0
        };
        // One that is set for about this time already stays: a hidden tab's is late only once.
        if tab_
            .timer
            .is_some_and(|set| (due..=due + late).contains(&set))
        {
            return;
        }
        let at = due + late;
        tab_.timer = Some(at);
        if self.plan.planted == Some(Planted::TimerForgotten) && wait > MINUTE {
            return;
        }
        if late > 0 {
            self.counts.add(Fault::TimerLate);
        }
        self.queue.push(at, Event::Timer(tab, at));
    }

    pub(super) fn timer(&mut self, device: DeviceId, tab: TabId, at: u64) {
        let set = self.devices[device]
            .tab(tab)
            .and_then(|it| it.timer.take_if(|set| *set == at));
        if set.is_some() {
            self.turn(device, tab, Input::Timeout);
        }
    }

    /// Does one effect, or arranges that it is done.
    fn perform(&mut self, device: DeviceId, tab: TabId, effect: Effect) {
        match effect {
            Effect::Log { .. } => {}
            Effect::Resolve { call, ok } => {
                let call = call.0;
                self.facts.push(Fact::Resolved { tab, call, ok });
            }
            Effect::AbortRequest => {
                if let Some(tab) = self.devices[device].tab(tab) {
                    tab.flight = None;
                }
            }
            Effect::Closed => self.kill(device, tab),
            Effect::Push { .. } | Effect::Pull { .. } => self.request(device, tab, effect),
            Effect::OpenStream { .. } => self.open_stream(device, tab, effect),
            Effect::CloseStream => self.close_stream(tab),
            Effect::AskResolver { .. } => self.ask_app(tab, effect),
            Effect::Load { .. }
            | Effect::ReadLog { .. }
            | Effect::Scan { .. }
            | Effect::Prepare { .. }
            | Effect::Commit { .. }
            | Effect::Reserve { .. } => {
                let wait = self.disk_time();
                self.queue
                    .push(self.now + wait, Event::Storage(tab, effect));
            }
        }
    }

    /// How long a transaction waits for its turn.
    fn disk_time(&mut self) -> u64 {
        if self.disk.chance(self.plan.storage.slow) {
            self.counts.add(Fault::SlowDisk);
            return self.disk.between(100, 5_000);
        }
        self.disk.below(12)
    }

    /// Does one transaction, and arranges that the engine hears of it.
    pub(super) fn storage(&mut self, device: DeviceId, tab: TabId, effect: Effect) {
        let fault = self.storage_fault(&effect);
        let planted = self.plan.planted;
        let it = &mut self.devices[device];
        let (before, fence) = (it.disk.clone(), it.disk.fence);
        let Some(own) = it.tabs.iter_mut().find(|it| it.id == tab) else {
            return;
        };
        let effect = planted::of_storage(planted, effect, fence, &own.memory);
        let mut answer = do_storage(&mut it.disk, &mut own.memory, &effect, fault);
        if let Input::Loaded {
            outcome: Ok(loaded),
            ..
        } = &answer
        {
            own.fence = loaded.fence;
        }
        let done = (&effect, &mut answer);
        let dies = planted::after_storage(planted, &mut it.disk, &before, done, &mut self.disk);
        if dies {
            // Whoever looks at it finds the half of a transaction.
            if let Some(own) = self.devices[device].tab(tab) {
                own.memory.pulled.clear();
            }
        }
        self.stored(device, tab, effect, &answer, before);
        if dies {
            return self.kill(device, tab);
        }
        if self.life.chance(self.plan.life.crash_after_effect) {
            self.counts.add(Fault::CrashAfterEffect);
            return self.kill(device, tab);
        }
        let wait = self.disk.below(4);
        self.queue.push(self.now + wait, Event::Turn(tab, answer));
    }

    fn stored(
        &mut self,
        device: DeviceId,
        tab: TabId,
        effect: Effect,
        answer: &Input,
        before: Disk,
    ) {
        let after = self.devices[device].disk.clone();
        let (Effect::Commit { writes, .. }, Input::Committed { outcome, .. }) = (effect, answer)
        else {
            return;
        };
        self.trace.number(writes.len() as u64);
        let tab_ = self.devices[device].tab(tab);
        let pulled = tab_.map_or_else(Vec::new, |it| it.memory.put_pulled(&writes));
        let writes: Rc<[Write]> = writes.into();
        let outcome = outcome.clone();
        self.facts.push(Fact::Stored {
            device,
            tab,
            writes,
            pulled: pulled.into(),
            outcome,
            before,
            after,
        });
    }

    fn storage_fault(&mut self, effect: &Effect) -> Option<StorageError> {
        let writes = matches!(effect, Effect::Commit { .. } | Effect::Reserve { .. });
        if writes && self.disk.chance(self.plan.storage.full) {
            self.counts.add(Fault::DiskFull);
            return Some(StorageError::Full);
        }
        if self.disk.chance(self.plan.storage.fail) {
            self.counts.add(Fault::DiskFailed);
            let other = StorageError::Other {
                name: "UnknownError".to_owned(),
            };
            let errors = [StorageError::Closed, other];
            return Some(self.disk.pick(&errors).clone());
        }
        None
    }
}

fn is_completion(effect: &Effect) -> bool {
    matches!(effect, Effect::Log { message, .. } if message.ends_with("Sync completed successfully"))
}

/// Does one transaction, unless it fails.
fn do_storage(
    disk: &mut Disk,
    memory: &mut Memory,
    effect: &Effect,
    fault: Option<StorageError>,
) -> Input {
    fn unless<T>(
        fault: Option<StorageError>,
        body: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        fault.map_or_else(body, Err)
    }
    match effect {
        Effect::Load { task } => Input::Loaded {
            task: *task,
            outcome: unless(fault, || Ok(disk.load(memory))),
        },
        Effect::ReadLog {
            task,
            after,
            bytes_max,
            ops_max,
            values,
        } => Input::LogRead {
            task: *task,
            outcome: unless(fault, || {
                Ok(disk.read_log(memory, after, *bytes_max, *ops_max, *values))
            }),
        },
        Effect::Scan {
            task,
            table,
            after,
            records_max,
            bytes_max,
        } => Input::Scanned {
            task: *task,
            outcome: unless(fault, || {
                Ok(disk.scan(memory, table, after.as_deref(), *records_max, *bytes_max))
            }),
        },
        Effect::Prepare {
            task,
            slots,
            records,
            pages,
        } => Input::Prepared {
            task: *task,
            outcome: unless(fault, || -> Result<Prepared, StorageError> {
                Ok(disk.prepare(memory, slots, records, pages))
            }),
        },
        Effect::Commit {
            task,
            fence,
            tails,
            writes,
        } => Input::Committed {
            task: *task,
            outcome: unless(fault, || disk.commit(memory, *fence, tails, writes)),
        },
        Effect::Reserve {
            task,
            fence,
            table,
            count,
        } => Input::Reserved {
            task: *task,
            outcome: unless(fault, || disk.reserve(*fence, table, *count)),
        },
        other => panic!("not a transaction: {other:?}"),
    }
}
