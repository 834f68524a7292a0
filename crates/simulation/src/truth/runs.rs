//! When each engine synced, why, and how it went: from its status and from what it was told, on
//! the monotonic clock of its tab.

use std::collections::{BTreeMap, BTreeSet};

use tidesync_engine::interface::{Now, RequestOutcome, TransportFailure, Write};
use tidesync_engine::{Phase, Status, TimerReason};
use tidesync_protocol::wire::{ErrorBody, PullResponse, PushResponse, code};

use crate::clock::HOUR;
use crate::fact::{DeviceId, Fact, Kind, TabId, Told};
use crate::world::World;

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// To its end, or by something that is no failure of the server's.
    Done,
    /// By transport or server: counts.
    Hard,
    /// It was asked to wait, or is offline: does not count.
    Soft,
    /// Somebody must sign in.
    SignIn,
}

/// The end of a sync.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) at: Now,
    pub(crate) how: How,
    /// Failures in a row with this one: of the server's, and all.
    pub(crate) hard: u32,
    pub(crate) all: u32,
    /// How long the server has asked to wait, as far as it is obeyed.
    pub(crate) asked_ms: u64,
    /// Whether the engine took the network for gone.
    pub(crate) offline: bool,
    /// Since then something may have made the next sync come sooner.
    pub(crate) woken: bool,
    /// Since then something may have made it come later.
    pub(crate) disturbed: bool,
}

/// The last sync of a device that sent changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub(crate) tab: TabId,
    /// True time of its end, and of the last answer to a push whose verdicts were durable then.
    pub(crate) at_true: u64,
    pub(crate) settled_true: u64,
    pub(crate) failed: bool,
    /// The device's clock was set since.
    pub(crate) stepped: bool,
}

/// The beginning of a sync.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    pub(crate) at: Now,
    pub(crate) at_true: u64,
    /// The app asked for it.
    pub(crate) called: bool,
    /// What the timer was set for.
    pub(crate) reason: Option<TimerReason>,
    /// A request was wanted; a push was.
    pub(crate) requested: bool,
    pub(crate) pushed: bool,
    /// The server has asked to begin anew, which is free once.
    renewed: bool,
    /// The first change since the sync before began, and whether something else wants one too.
    pub(crate) first_hint: Option<u64>,
    pub(crate) other_want: bool,
}

/// What is known of one tab's syncs.
#[derive(Debug, Default)]
pub(crate) struct Course {
    pub(crate) device: DeviceId,
    /// The sync under way.
    pub(crate) run: Option<Begin>,
    /// The sync before.
    pub(crate) last: Option<End>,
    /// The first change since the last sync began, and whether something else wants one too.
    first_hint: Option<u64>,
    other_want: bool,
    /// Failures in a row: of the server's, and the rest.
    pub(crate) hard: u32,
    soft: u32,
    calls: BTreeSet<u64>,
    asked_ms: u64,
    how: Option<How>,
    /// Something is staged: the server may have put it off.
    staged: bool,
    /// True time of the last answer to a push, and of the last whose verdicts are durable.
    answered_true: u64,
    settled_true: u64,
    visible: bool,
    reason: Option<TimerReason>,
    online: bool,
}

/// All tabs' syncs.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) tabs: BTreeMap<TabId, Course>,
    /// The last sync of each device that sent changes.
    pub(crate) ended: Vec<Option<Last>>,
    /// The tab that has begun a sync by the last fact.
    pub(crate) began: Option<TabId>,
}

impl Runs {
    pub(crate) fn new(devices: usize) -> Self {
        Self {
            tabs: BTreeMap::new(),
            ended: vec![None; devices],
            began: None,
        }
    }

    /// Whether a tab leads in truth.
    pub(crate) fn leads(&self, tab: TabId, world: &World) -> bool {
        let course = self.tabs.get(&tab);
        course.is_some_and(|course| world.devices[course.device].is_current(tab))
    }

    pub(super) fn note(&mut self, fact: &Fact, now_true: u64) {
        self.began = None;
        match fact {
            Fact::Turned {
                device,
                tab,
                now,
                told,
                status,
                timeout,
                requested,
                completed,
            } => {
                let course = self.tabs.entry(*tab).or_default();
                course.device = *device;
                course.told(told, *now);
                if let Told::Answered(Kind::Push, _) = told {
                    course.answered_true = now_true;
                }
                if *told == Told::Poked {
                    course.reason = Some(TimerReason::Poke);
                }
                let before = course.run.map(|run| run.at_true);
                let said = (*requested, *completed);
                let ended = course.turned(*now, now_true, status, said);
                // One that came while storage was slow is gone by when that answers, without a timer.
                let poked = course
                    .reason
                    .filter(|reason| *reason == TimerReason::Poke && course.run.is_none());
                course.reason = timeout.map(|(_, reason)| reason).or(poked);
                if ended {
                    self.ended[*device] = Some(Last {
                        tab: *tab,
                        at_true: now_true,
                        settled_true: course.settled_true,
                        failed: course.last.is_some_and(|last| last.how != How::Done),
                        stepped: false,
                    });
                }
                let begun = course
                    .run
                    .filter(|_| ended || before.is_none() || *completed);
                self.began = begun.map(|_| *tab);
            }
            Fact::Called { tab, call, .. } => {
                self.tabs.entry(*tab).or_default().calls.insert(*call);
            }
            Fact::Resolved { tab, call, .. } => {
                if let Some(course) = self.tabs.get_mut(tab) {
                    course.calls.remove(call);
                }
            }
            Fact::Answered { request, outcome } => {
                let course = self.tabs.entry(request.tab).or_default();
                course.asked_ms = asked_ms(outcome);
            }
            Fact::Gone { tab, .. } => {
                self.tabs.remove(tab);
            }
            Fact::Disturbed { device } => {
                for course in self.tabs.values_mut().filter(|it| it.device == *device) {
                    course.disturb();
                }
            }
            Fact::Stored {
                tab,
                writes,
                outcome: Ok(()),
                before,
                after,
                ..
            } => {
                let settled = before.staged.len() > after.staged.len();
                // What is to be sent without a write of the app's, and what was decided.
                let wants = |write: &Write| {
                    matches!(write, Write::AppendLog { .. } | Write::DeleteHeld { .. })
                };
                if let Some(course) = self.tabs.get_mut(tab) {
                    course.other_want |= writes.iter().any(wants);
                    course.staged = !after.staged.is_empty();
                }
                if let Some(course) = self.tabs.get_mut(tab).filter(|_| settled) {
                    course.settled_true = course.answered_true;
                }
            }
            Fact::ClockStepped { device } => {
                if let Some(last) = &mut self.ended[*device] {
                    last.stepped = true;
                }
            }
            Fact::Wrote { .. }
            | Fact::Hinted { .. }
            | Fact::HintLost { .. }
            | Fact::Stored { .. }
            | Fact::Sent(_)
            | Fact::Pulled { .. }
            | Fact::Forgot(_)
            | Fact::Handled { .. }
            | Fact::Healed
            | Fact::Due { .. }
            | Fact::Ended => {}
        }
    }
}

impl Course {
    fn disturb(&mut self) {
        self.other_want = true;
        if let Some(last) = &mut self.last {
            last.disturbed = true;
        }
    }

    fn wake(&mut self) {
        self.other_want = true;
        if let Some(last) = &mut self.last {
            last.woken = true;
            last.disturbed = true;
        }
    }

    fn told(&mut self, told: &Told, now: Now) {
        self.how = None;
        match told {
            Told::Start { visible, .. } | Told::Visible(visible) => self.visible = *visible,
            _ => {}
        }
        match told {
            Told::Answered(kind, outcome) => self.answered(*kind, outcome),
            Told::Poked => {}
            Told::Start { .. } | Told::Stop | Told::User(_) => {
                self.wake();
                (self.hard, self.soft) = (0, 0);
                // Somebody else is asked to wait on their own account.
                self.last = self.last.map(|last| End {
                    asked_ms: 0,
                    ..last
                });
            }
            Told::Online(_) | Told::Visible(_) | Told::Enabled(_) | Told::Call => self.wake(),
            Told::TokenAvailable => self.other_want = true,
            Told::Storage(Some(_)) => self.disturb(),
            Told::Captured { counts: true } => {
                self.first_hint = self.first_hint.or(Some(now.monotonic_ms));
            }
            Told::Captured { counts: false } | Told::Timeout | Told::Storage(None) => {}
            Told::Other => self.other_want = true,
        }
    }

    /// Judges an outcome as the documentation does.
    fn answered(&mut self, kind: Kind, outcome: &RequestOutcome) {
        if let RequestOutcome::Failed { .. } = outcome {
            // One that never left, or was never answered, asks for nothing.
            self.asked_ms = 0;
        }
        let how = match outcome {
            RequestOutcome::Failed { failure } => match failure {
                TransportFailure::Network if !self.online => How::Soft,
                TransportFailure::Network | TransportFailure::Timeout => How::Hard,
                TransportFailure::NoToken => How::SignIn,
                TransportFailure::TokenFailed => How::Soft,
                TransportFailure::NoBatch => How::Done,
            },
            RequestOutcome::Answer { status, body, .. } => match status {
                404 if kind == Kind::Pull => How::Done,
                200 if is_servers(kind, body) => {
                    (self.hard, self.soft) = (0, 0);
                    How::Done
                }
                409 | 410 if self.may_begin_anew(body) => How::Done,
                401 | 403 => How::SignIn,
                400 | 413 => How::Done,
                426 | 429 => How::Soft,
                _ => How::Hard,
            },
        };
        self.how = Some(how);
    }

    /// Whether the server asks to begin anew, and that for the first time in this sync.
    fn may_begin_anew(&mut self, body: &str) -> bool {
        let said = serde_json::from_str::<ErrorBody>(body);
        let code = said.as_ref().map_or("", |said| said.code.as_str());
        if !matches!(code, code::CLIENT_EXPIRED | code::CURSOR_EXPIRED) {
            return false;
        }
        let Some(run) = &mut self.run else {
            return false;
        };
        let first = !std::mem::replace(&mut run.renewed, true);
        if first && code == code::CURSOR_EXPIRED {
            (self.hard, self.soft) = (0, 0);
        }
        first
    }

    /// True where a sync that sent changes has ended.
    fn turned(
        &mut self,
        now: Now,
        now_true: u64,
        status: &Status,
        (requested, completed): (Option<Kind>, bool),
    ) -> bool {
        let running = matches!(status.phase, Phase::Syncing | Phase::Probing);
        // A call that waits begins another one in the same turn. A token that was refused is
        // replaced once within the same.
        let failed = match self.how {
            Some(How::Hard | How::Soft) => true,
            Some(How::SignIn) => requested.is_none(),
            Some(How::Done) | None => false,
        };
        let mut ended = false;
        if let Some(run) = self.run.filter(|_| !running || failed || completed) {
            ended = run.pushed;
            self.end(now, run);
            // What goes on in the same turn was poked or called for.
            self.reason = Some(TimerReason::Poke);
        }
        if self.run.is_none() && running {
            let called = !self.calls.is_empty();
            let mut run = Begin {
                at: now,
                at_true: now_true,
                called,
                reason: self.reason,
                requested: false,
                pushed: false,
                renewed: false,
                first_hint: self.first_hint,
                other_want: self.other_want,
            };
            // One that only asks what is new leaves the changes to the next; also one of which no timer
            // told what it is for.
            if called || self.reason.is_some_and(|it| it != TimerReason::Poke) {
                (self.first_hint, self.other_want) = (None, false);
            } else {
                run.other_want = true;
            }
            self.run = Some(run);
        }
        if let Some(run) = &mut self.run {
            run.requested |= requested.is_some();
            run.pushed |= requested == Some(Kind::Push);
        }
        self.online = status.is_online;
        ended
    }

    fn end(&mut self, now: Now, run: Begin) {
        let how = self.how.unwrap_or(How::Done);
        self.run = None;
        // One that only asked what is new leaves what it staged to the next.
        self.other_want |= run.reason == Some(TimerReason::Poke);
        if !run.requested {
            // Nothing was tried.
            self.other_want = true;
            return;
        }
        match how {
            How::Hard => self.hard += 1,
            How::Soft => self.soft += 1,
            How::Done | How::SignIn => {}
        }
        self.other_want |= how != How::Done || self.staged;
        self.last = Some(End {
            at: now,
            how,
            hard: self.hard,
            all: self.hard + self.soft,
            asked_ms: self.asked_ms,
            offline: !self.online,
            woken: false,
            disturbed: !self.visible,
        });
    }
}

/// How long an answer asks to wait, as far as it is to be obeyed: an hour at most, and an hour after
/// 426.
pub(crate) fn asked_ms(outcome: &RequestOutcome) -> u64 {
    let RequestOutcome::Answer {
        status,
        retry_after,
        ..
    } = outcome
    else {
        return 0;
    };
    if *status == 426 {
        return HOUR;
    }
    let seconds = retry_after.as_ref().and_then(|it| it.parse::<u64>().ok());
    seconds.map_or(0, |seconds| (seconds * 1_000).min(HOUR))
}

/// Whether the server itself has said this.
fn is_servers(kind: Kind, body: &str) -> bool {
    match kind {
        Kind::Push => serde_json::from_str::<PushResponse>(body).is_ok(),
        Kind::Pull => serde_json::from_str::<PullResponse>(body).is_ok(),
    }
}
