//! A tiny world for the engine, in virtual time: a database with its log, fence and transactions,
//! a server that dedupes and can be made to fail, and an app that writes.

#![allow(dead_code, reason = "every test file uses its own part of the world")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a world answers what it knows"
)]
#![allow(unreachable_pub, reason = "shared by test files, a crate each")]

pub mod disk;
pub mod files;
pub mod server;

use std::collections::BTreeMap;

use tidesync_engine::interface::{
    Call, Conflict, Effect, Input, LogLevel, Now, RequestOutcome, RowUser, StorageError, Task,
    TokenReason, TransportFailure,
};
use tidesync_engine::{Config, Engine, Status, TimerReason};

use disk::{Disk, Row};
use server::Server;

/// 2026-01-01 00:00 UTC.
pub const EPOCH: u64 = 1_767_225_600_000;

/// A push as the server got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub at: u64,
    pub subject: String,
    pub ops: usize,
    pub token: TokenReason,
    pub body: String,
}

/// One step of a trace.
pub struct Step {
    pub now: Now,
    pub input: Input,
    pub effects: Vec<Effect>,
    pub timeout: Option<(u64, TimerReason)>,
}

pub struct World {
    pub config: Config,
    pub engine: Engine,
    pub now: Now,
    pub disk: Disk,
    pub server: Server,
    pub user: Option<String>,
    pub online: bool,
    pub visible: bool,
    pub enabled: Option<bool>,
    /// Whom `getToken` knows; none makes it fail with no token.
    pub token: Option<String>,
    pub token_fails: bool,
    pub sent: Vec<Sent>,
    pub logs: Vec<(LogLevel, String)>,
    pub resolved: BTreeMap<u64, bool>,
    pub closed: bool,
    /// How long a push takes.
    pub latency: u64,
    /// Storage answers that are still to fail.
    pub storage_faults: Vec<StorageError>,
    /// The tab dies at this effect, counted from the start of the world, before doing it or after.
    pub dies_at: Option<(usize, bool)>,
    pub effects: usize,
    pub deaths: usize,
    pub trace: Vec<Step>,
    /// The stream that is open.
    pub stream: Option<Task>,
    /// What was asked of the app's function.
    pub asked: Vec<(Task, Conflict)>,
    pub inbox: Vec<(u64, Input)>,
    pub flight: Option<Task>,
    starts: u8,
    calls: u64,
}

/// A configuration with a seed of its own.
pub fn config() -> Config {
    Config::default()
}

impl World {
    pub fn new(tables: &[&str]) -> Self {
        Self::with(config(), Disk::new(tables))
    }

    pub fn with(config: Config, disk: Disk) -> Self {
        Self {
            engine: Engine::new(config.clone()),
            config,
            now: Now {
                monotonic_ms: 1_000,
                wall_ms: EPOCH,
            },
            disk,
            server: Server::default(),
            user: Some("alice".to_owned()),
            online: true,
            visible: true,
            enabled: None,
            token: Some("alice".to_owned()),
            token_fails: false,
            sent: Vec::new(),
            logs: Vec::new(),
            resolved: BTreeMap::new(),
            closed: false,
            latency: 50,
            storage_faults: Vec::new(),
            dies_at: None,
            effects: 0,
            deaths: 0,
            trace: Vec::new(),
            stream: None,
            asked: Vec::new(),
            inbox: Vec::new(),
            flight: None,
            starts: 0,
            calls: 0,
        }
    }

    /// A world whose database alice owns already and whose tables were scanned.
    pub fn started(tables: &[&str]) -> Self {
        let mut world = Self::new(tables);
        world.start();
        world.run(70_000);
        world.sent.clear();
        world.logs.clear();
        world
    }

    /// A new engine, as after a reload.
    pub fn start(&mut self) {
        self.starts += 1;
        self.config.seed[0] = self.starts;
        self.engine = Engine::new(self.config.clone());
        self.inbox.clear();
        self.flight = None;
        self.stream = None;
        self.closed = false;
        let (user, enabled) = (self.user.clone(), self.enabled);
        self.input(Input::Start {
            online: self.online,
            visible: self.visible,
            user,
            enabled,
        });
    }

    pub fn status(&self) -> Status {
        self.engine.status(self.now)
    }

    /// Gives one input and does what the engine asks for.
    pub fn input(&mut self, input: Input) {
        self.engine.handle_input(self.now, input.clone());
        let mut effects = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            effects.push(effect);
        }
        let timeout = self.engine.poll_timeout();
        self.trace.push(Step {
            now: self.now,
            input,
            effects: effects.clone(),
            timeout,
        });
        for effect in effects {
            let here = self.effects;
            self.effects += 1;
            if self.dies_at == Some((here, false)) {
                return self.die();
            }
            self.perform(effect);
            if self.dies_at == Some((here, true)) {
                return self.die();
            }
        }
    }

    /// The tab is gone, and what was not durable with it. The page is loaded anew.
    fn die(&mut self) {
        self.deaths += 1;
        self.dies_at = None;
        self.start();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Push {
                task,
                batch,
                first,
                last,
                envelope,
                subject,
                token,
                timeout_ms,
            } => {
                assert!(self.flight.is_none(), "two pushes at once");
                self.flight = Some(task);
                let outcome = self.push(batch, first..last, envelope, subject, token);
                let timed_out = matches!(
                    outcome,
                    RequestOutcome::Failed {
                        failure: TransportFailure::Timeout
                    }
                );
                let wait = if timed_out {
                    u64::from(timeout_ms)
                } else {
                    self.latency
                };
                let due = self.now.monotonic_ms + wait;
                self.inbox.push((due, Input::Pushed { task, outcome }));
            }
            Effect::Pull {
                task,
                query,
                subject,
                token,
                ..
            } => {
                assert!(self.flight.is_none(), "two requests at once");
                self.flight = Some(task);
                let outcome = self.pull(&query, &subject, token);
                let due = self.now.monotonic_ms + self.latency;
                self.inbox.push((due, Input::Pulled { task, outcome }));
            }
            Effect::OpenStream { task, .. } => {
                assert_eq!(self.stream.replace(task), None, "two streams at once");
            }
            Effect::CloseStream => {
                self.stream.take().expect("a stream that is open");
            }
            Effect::AskResolver { task, conflict } => self.asked.push((task, conflict)),
            Effect::AbortRequest => {
                let task = self.flight.take();
                self.inbox.retain(|(_, input)| match input {
                    Input::Pushed { task: of, .. } | Input::Pulled { task: of, .. } => {
                        Some(*of) != task
                    }
                    _ => true,
                });
            }
            Effect::Resolve { call, ok } => {
                let before = self.resolved.insert(call.0, ok);
                assert_eq!(before, None, "a call resolved twice");
            }
            Effect::Log { level, message } => self.logs.push((level, message)),
            Effect::Closed => self.closed = true,
            storage => {
                let fault = self.storage_faults.pop();
                let answer = self.disk.perform(storage, fault);
                self.inbox.push((self.now.monotonic_ms, answer));
            }
        }
    }

    fn push(
        &mut self,
        batch: u64,
        range: std::ops::Range<u32>,
        envelope: String,
        subject: String,
        token: TokenReason,
    ) -> RequestOutcome {
        let failed = |failure| RequestOutcome::Failed { failure };
        if self.token_fails {
            return failed(TransportFailure::TokenFailed);
        }
        if self.token.as_ref() != Some(&subject) {
            return failed(TransportFailure::NoToken);
        }
        let Some(texts) = self.disk.texts(batch, range) else {
            return failed(TransportFailure::NoBatch);
        };
        let body = format!("{envelope}{}]}}", texts.join(","));
        let at = self.now.monotonic_ms;
        self.sent.push(Sent {
            at,
            subject: subject.clone(),
            ops: texts.len(),
            token,
            body: body.clone(),
        });
        self.server.push(&subject, &body, token)
    }

    fn pull(&mut self, query: &str, subject: &str, token: TokenReason) -> RequestOutcome {
        let failed = |failure| RequestOutcome::Failed { failure };
        if self.token_fails {
            return failed(TransportFailure::TokenFailed);
        }
        if self.token.as_deref() != Some(subject) {
            return failed(TransportFailure::NoToken);
        }
        if let Some(fault) = &self.server.fault {
            return server::failing(fault);
        }
        let (outcome, values) = self.server.pull(subject, query, token);
        self.disk.pulled = values;
        outcome
    }

    /// The server tells of something new, where somebody listens.
    pub fn poke(&mut self) {
        if self.stream.is_some() {
            self.input(Input::Poked);
        }
    }

    /// Lets time pass, handling whatever is due.
    pub fn run(&mut self, ms: u64) {
        let end = self.now.monotonic_ms + ms;
        let mut steps = 0;
        while self.next_at().is_some_and(|at| at <= end) {
            steps += 1;
            assert!(steps < 200_000, "the engine does not come to rest");
            self.step().expect("something that is due");
        }
        self.wait_until(end);
    }

    /// When something is due next.
    fn next_at(&self) -> Option<u64> {
        let timer = self.engine.poll_timeout().map(|(at, _)| at);
        let due = self.inbox.iter().map(|(at, _)| *at).min();
        timer.into_iter().chain(due).min()
    }

    /// Lets time pass up to what is due next, and handles it.
    pub fn step(&mut self) -> Option<()> {
        let at = self.next_at()?;
        self.wait_until(at);
        let due = self.inbox.iter().map(|(at, _)| *at).min();
        if due.is_some_and(|due| due <= at) {
            let first = self.inbox.iter().position(|(at, _)| Some(*at) == due);
            let (_, input) = self.inbox.remove(first.expect("an input that is due"));
            if matches!(input, Input::Pushed { .. } | Input::Pulled { .. }) {
                self.flight = None;
            }
            self.input(input);
        } else {
            self.input(Input::Timeout);
        }
        Some(())
    }

    fn wait_until(&mut self, at: u64) {
        let passed = at.saturating_sub(self.now.monotonic_ms);
        self.now.monotonic_ms += passed;
        self.now.wall_ms += passed;
    }

    /// The app's transaction on one table, under the user who is signed in.
    pub fn write(&mut self, table: &str, row: Row) {
        let user = self.user.clone().map_or(RowUser::Nobody, RowUser::User);
        self.write_as(table, user, row);
    }

    pub fn write_as(&mut self, table: &str, user: RowUser, row: Row) {
        let lids = row.lids();
        self.disk.write(table, user.clone(), self.now.wall_ms, row);
        let table = table.to_owned();
        self.input(Input::Captured {
            table,
            user,
            lids,
            trigger: true,
        });
    }

    pub fn put(&mut self, table: &str, key: &str, value: &str) {
        self.write(table, Row::default().put(key, value));
    }

    pub fn delete(&mut self, table: &str, key: &str) {
        self.write(table, Row::default().delete(key));
    }

    pub fn force(&mut self) -> u64 {
        self.calls += 1;
        self.input(Input::ForceSync {
            call: Call(self.calls),
        });
        self.calls
    }

    pub fn backup(&mut self) -> u64 {
        self.calls += 1;
        self.input(Input::Backup {
            call: Call(self.calls),
        });
        self.calls
    }

    pub fn sign_in(&mut self, user: Option<&str>) {
        self.user = user.map(str::to_owned);
        self.token.clone_from(&self.user);
        self.input(Input::UserChanged {
            user: self.user.clone(),
        });
    }

    pub fn go(&mut self, online: bool) {
        self.online = online;
        self.input(Input::Online { online });
    }

    pub fn show(&mut self, visible: bool) {
        self.visible = visible;
        self.input(Input::Visible { visible });
    }

    /// Times between the pushes, and of the first since `from`.
    pub fn gaps(&self, from: u64) -> Vec<u64> {
        let mut before = from;
        let mut gaps = Vec::new();
        for sent in &self.sent {
            gaps.push(sent.at - before);
            before = sent.at;
        }
        gaps
    }

    /// Everything the user has here is on the server, once, and nothing else of theirs.
    #[track_caller]
    pub fn assert_synced(&self, user: &str) {
        assert_eq!(self.disk.left(), (0, 0), "rows in the log, batches staged");
        for table in self.disk.tables.keys() {
            let here = self.disk.values(table);
            let there = self.server.values(user, table);
            assert_eq!(here, there, "{table}");
        }
        self.assert_once();
    }

    #[track_caller]
    pub fn assert_once(&self) {
        let twice = self.server.applied.iter().find(|(_, times)| **times > 1);
        assert_eq!(twice, None, "an operation was applied twice");
    }

    pub fn lines(&self) -> Vec<&str> {
        self.logs.iter().map(|(_, line)| line.as_str()).collect()
    }
}
