//! The engine: what it holds, and which part handles which input. The parts are in the modules
//! below; none of them calls another's steps.

mod decide;
mod inputs;
mod pull;
mod push;
mod run;
mod scan;
mod snapshot;
mod stages;
mod storage;
mod stream;
mod sweep;

use std::collections::VecDeque;

use crate::apply::Applying;
use crate::breaker::Breaker;
use crate::config::Config;
use crate::database::{Change, Database};
use crate::interface::{Call, Effect, Input, LogLevel, Now, PageId, Prepared, Task};
use crate::resolve::Decision;
use crate::rng::Rng;
use crate::schedule::{Schedule, TimerReason};
use crate::settle::Settling;
use crate::stage::{OpIds, Stage};
use crate::status::{LastError, Storage};
use decide::{Asked, Deciding};
use run::Run;
use scan::Scanning;
use stages::Reading;
use stream::Stream;

/// The sync engine of one database, in the tab that leads.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    now: Now,
    rng: Rng,
    ids: OpIds,
    effects: VecDeque<Effect>,
    tasks: u64,
    life: Life,
    session: Session,
    database: Option<Database>,
    /// The step under way, with the task whose answer it waits for.
    step: Option<(Task, Step)>,
    run: Option<Run>,
    stream: Stream,
    /// What was decided of held operations and is not carried out.
    decisions: Vec<Decision>,
    asked: Asked,
    /// The spaces that the last pull's answer covered, as JSON; empty where there were none.
    granted: String,
    /// Wall milliseconds of the last sync that the server confirmed.
    confirmed_ms: u64,
    /// The log has grown since it was read.
    moved: bool,
    /// When the app was last seen to write.
    written_at: Option<u64>,
    /// Calls that wait for a sync to begin.
    calls: Vec<(Call, Wish)>,
    schedule: Schedule,
    breaker: Breaker,
    /// Waits in a row that are no failures of the server's.
    soft_failures: u32,
    /// Nothing is sent before somebody signs in anew.
    needs_sign_in: bool,
    storage: Storage,
    storage_failures: u32,
    /// Storage is not tried again before.
    storage_at: Option<u64>,
    last_error: Option<LastError>,
}

/// Where the engine is between its first input and its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    New,
    /// The database is read, or will be when storage is tried again.
    Loading,
    Running,
    /// Storage failed too often; a person's call tries again.
    Failed,
    /// Storage cannot be used by this build.
    Unusable,
    Closed,
}

/// What the shell says of the world.
#[derive(Debug, Clone, Default)]
struct Session {
    user: Option<String>,
    enabled: Option<bool>,
    online: bool,
    visible: bool,
    /// A change was captured while the database was read.
    captured: bool,
}

/// What a call of the app asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Sync,
    Backup,
    Restore,
}

/// A step whose answer is awaited.
#[derive(Debug)]
enum Step {
    Load,
    /// The log is read for the counts alone.
    Index,
    Read(Reading),
    Prepare(Box<Stage>),
    /// The log is read up to what a record read by reference can have seen.
    References(Box<(Stage, Prepared)>),
    Commit(Box<Change>),
    Scan(Scanning),
    /// The log is read up to what a scanned page can have seen.
    ScanLog(Scanning),
    Push {
        batch: u64,
        count: u32,
        name: String,
        refreshed: bool,
    },
    Pages(Settling),
    Pull {
        refreshed: bool,
    },
    /// Pages that say what records are called here, and what the server was known to have.
    Names(Applying),
    /// Keys for new records of this table.
    Reserve(Applying, String),
    /// What the app has.
    Local(Applying),
    /// A held operation's record.
    Decide(Deciding),
    /// Pages that a pull from scratch is compared with.
    Sweep(Vec<PageId>),
}

impl Engine {
    /// An engine that has not begun. The first input is [`Input::Start`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::new(&config.seed);
        Self {
            ids: OpIds::new(&mut rng),
            config,
            now: Now {
                monotonic_ms: 0,
                wall_ms: 0,
            },
            rng,
            effects: VecDeque::new(),
            tasks: 0,
            life: Life::New,
            session: Session::default(),
            database: None,
            step: None,
            run: None,
            stream: Stream::default(),
            decisions: Vec::new(),
            asked: Asked::default(),
            granted: String::new(),
            confirmed_ms: 0,
            moved: false,
            written_at: None,
            calls: Vec::new(),
            schedule: Schedule::default(),
            breaker: Breaker::default(),
            soft_failures: 0,
            needs_sign_in: false,
            storage: Storage::Ok,
            storage_failures: 0,
            storage_at: None,
            last_error: None,
        }
    }

    /// Handles one input. Afterwards, drain [`Engine::poll_effect`].
    pub fn handle_input(&mut self, now: Now, input: Input) {
        let monotonic_ms = now.monotonic_ms.max(self.now.monotonic_ms);
        self.now = Now {
            monotonic_ms,
            ..now
        };
        if self.life == Life::Closed {
            self.refuse(&input);
            return;
        }
        self.dispatch(input);
        self.advance();
        self.tend_stream();
    }

    /// The next thing to do; none where all is said.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::Timeout`] is due, in monotonic milliseconds, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(u64, TimerReason)> {
        let stream = self.stream_due().map(|at| (at, TimerReason::Stream));
        let wakes = self.next_wake().into_iter().chain(stream);
        wakes.min()
    }

    /// When the next step is due.
    fn next_wake(&self) -> Option<(u64, TimerReason)> {
        match self.life {
            Life::New | Life::Failed | Life::Unusable | Life::Closed => None,
            Life::Loading | Life::Running if self.step.is_some() => None,
            Life::Loading | Life::Running => match self.storage_at {
                Some(at) => Some((at, TimerReason::Storage)),
                None if self.run.is_some() => None,
                None => self.next_automatic(),
            },
        }
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::Start {
                online,
                visible,
                user,
                enabled,
            } => {
                self.start(online, visible, user, enabled);
            }
            Input::Stop => self.close(),
            Input::Timeout => {}
            Input::Captured {
                table,
                user,
                lids,
                trigger,
            } => {
                self.captured(&table, &user, &lids, trigger);
            }
            Input::Online { online } => self.online(online),
            Input::Visible { visible } => self.visible(visible),
            Input::UserChanged { user } => self.user_changed(user),
            Input::SetEnabled { enabled } => self.set_enabled(enabled),
            Input::TokenAvailable => self.signed_in(),
            Input::ForceSync { call } => self.call(call, Wish::Sync),
            Input::Backup { call } => self.call(call, Wish::Backup),
            Input::Restore { call } => self.call(call, Wish::Restore),
            Input::Loaded { task, outcome } => {
                if let Some((_, loaded)) = self.answered(task, outcome) {
                    self.loaded(loaded);
                }
            }
            Input::LogRead { task, outcome } => {
                if let Some((step, chunk)) = self.answered(task, outcome) {
                    self.log_read(step, chunk);
                }
            }
            Input::Scanned { task, outcome } => {
                if let Some((step, page)) = self.answered(task, outcome) {
                    self.scanned(step, page);
                }
            }
            Input::Prepared { task, outcome } => {
                if let Some((step, prepared)) = self.answered(task, outcome) {
                    self.prepared(step, prepared);
                }
            }
            Input::Committed { task, outcome } => {
                if let Some((step, ())) = self.answered(task, outcome) {
                    self.committed(step);
                }
            }
            Input::Pushed { task, outcome } => {
                if let Some(step) = self.take_step(task) {
                    self.pushed(step, outcome);
                }
            }
            Input::Pulled { task, outcome } => {
                if let Some(step) = self.take_step(task) {
                    self.pulled(step, outcome);
                }
            }
            Input::Reserved { task, outcome } => {
                if let Some((step, first)) = self.answered(task, outcome) {
                    self.reserved(step, first);
                }
            }
            Input::Poked => self.poked(),
            Input::StreamEnded { task, outcome } => self.stream_ended(task, &outcome),
            Input::SettleHeld { call, op, choice } => self.settle_held(call, &op, choice),
            Input::ResolverAnswered { task, outcome } => self.app_answered(task, outcome),
        }
    }

    /// Takes the step that waits for this task; none where it was given up.
    fn take_step(&mut self, task: Task) -> Option<Step> {
        if self.step.as_ref().is_some_and(|(waits, _)| *waits == task) {
            self.step.take().map(|(_, step)| step)
        } else {
            None
        }
    }

    fn task(&mut self) -> Task {
        self.tasks += 1;
        Task(self.tasks)
    }

    fn ask(&mut self, step: Step, effect: impl FnOnce(Task) -> Effect) {
        let task = self.task();
        self.step = Some((task, step));
        self.effects.push_back(effect(task));
    }

    fn log(&mut self, level: LogLevel, message: String) {
        self.effects.push_back(Effect::Log { level, message });
    }

    fn resolve(&mut self, call: Call, ok: bool) {
        self.effects.push_back(Effect::Resolve { call, ok });
    }
}
