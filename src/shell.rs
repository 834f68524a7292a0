//! The drive loop: an input goes in, effects come out and are done, one timer is armed.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use gloo_timers::callback::Timeout;
use tidesync_engine::{
    Engine,
    interface::{Effect, Input, LogLevel, RequestOutcome, Task, TransportFailure},
};
use wasm_bindgen_futures::spawn_local;

use crate::{
    clock::now,
    connection::Connection,
    host::Host,
    reader::{self, Reading},
    stores::Stores,
    transport::{Push, Transport},
};

/// The engine and everything it is connected to.
pub(crate) struct Shell {
    engine: RefCell<Engine>,
    inputs: RefCell<VecDeque<Input>>,
    running: Cell<bool>,
    timer: RefCell<Option<Timeout>>,
    published: RefCell<String>,
    connection: Connection,
    stores: Stores,
    transport: Transport,
    host: Host,
}

impl Shell {
    pub(crate) fn new(engine: Engine, database: String, url: &str, host: Host) -> Rc<Self> {
        Rc::new(Self {
            engine: RefCell::new(engine),
            inputs: RefCell::new(VecDeque::new()),
            running: Cell::new(false),
            timer: RefCell::new(None),
            published: RefCell::new(String::new()),
            connection: Connection::new(database),
            stores: Stores::default(),
            transport: Transport::new(url),
            host,
        })
    }

    /// Closes the connection now, so that another tab's upgrade is not blocked (F12).
    pub(crate) fn close_connection(&self) {
        self.connection.close();
    }

    /// Hands an input to the engine and does what it asks for. An input that comes while effects
    /// are being done (a listener of the app may call back) waits for its turn.
    pub(crate) fn turn(self: &Rc<Self>, input: Input) {
        self.inputs.borrow_mut().push_back(input);
        if self.running.replace(true) {
            return;
        }
        while let Some(input) = self.next_input() {
            let effects = self.step(input);
            for effect in effects {
                self.perform(effect);
            }
        }
        self.running.set(false);
        self.publish();
        self.arm();
    }

    fn next_input(&self) -> Option<Input> {
        self.inputs.borrow_mut().pop_front()
    }

    fn step(&self, input: Input) -> Vec<Effect> {
        let mut engine = self.engine.borrow_mut();
        engine.handle_input(now(), input);
        std::iter::from_fn(|| engine.poll_effect()).collect()
    }

    fn publish(&self) {
        let status = self.engine.borrow().status(now());
        let status = status.to_json();
        if *self.published.borrow() != status {
            // What was told is noted first: a listener may call back.
            self.published.replace(status.clone());
            self.host.status(&status);
        }
    }

    fn arm(self: &Rc<Self>) {
        let deadline = self.engine.borrow().poll_timeout();
        let timer = deadline.map(|(at_ms, _)| {
            let wait = at_ms.saturating_sub(now().monotonic_ms).max(1);
            let shell = Rc::clone(self);
            Timeout::new(u32::try_from(wait).unwrap_or(u32::MAX), move || {
                shell.turn(Input::Timeout);
            })
        });
        self.timer.replace(timer);
    }

    fn perform(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::Log { level, message } => self.host.log(level_name(level), &message),
            Effect::Resolve { call, ok } => self.host.resolve(crate::stores::as_number(call.0), ok),
            Effect::AbortRequest => self.transport.abort(),
            Effect::Closed => {
                self.connection.close();
                self.host.closed();
            }
            Effect::Pull { .. }
            | Effect::Reserve { .. }
            | Effect::OpenStream { .. }
            | Effect::CloseStream
            | Effect::AskResolver { .. } => {}
            effect @ (Effect::Load { .. }
            | Effect::ReadLog { .. }
            | Effect::Scan { .. }
            | Effect::Prepare { .. }
            | Effect::Commit { .. }
            | Effect::Push { .. }) => {
                let shell = Rc::clone(self);
                spawn_local(async move {
                    if let Some(answer) = shell.carry_out(effect).await {
                        shell.turn(answer);
                    }
                });
            }
        }
    }

    /// Does what takes time and gives the answer.
    async fn carry_out(&self, effect: Effect) -> Option<Input> {
        let Self {
            connection,
            stores,
            host,
            ..
        } = self;
        match effect {
            Effect::Load { task } => {
                let outcome = stores.load(connection).await;
                Some(Input::Loaded { task, outcome })
            }
            Effect::ReadLog {
                task,
                after,
                bytes_max,
                ops_max,
                values,
            } => {
                let reading = Reading::new(bytes_max, ops_max, values);
                let outcome = reader::read_log(connection, host, &after, reading).await;
                Some(Input::LogRead { task, outcome })
            }
            Effect::Scan {
                task,
                table,
                after,
                records_max,
                bytes_max,
            } => {
                let after = after.as_deref();
                let outcome =
                    reader::scan(connection, host, &table, after, records_max, bytes_max).await;
                Some(Input::Scanned { task, outcome })
            }
            Effect::Prepare {
                task, slots, pages, ..
            } => {
                let outcome = reader::prepare(connection, host, &slots, &pages).await;
                Some(Input::Prepared { task, outcome })
            }
            Effect::Commit {
                task,
                fence,
                writes,
                ..
            } => {
                let outcome = stores.commit(connection, host, fence, &writes).await;
                Some(Input::Committed { task, outcome })
            }
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
                let push = Push {
                    first,
                    last,
                    envelope,
                    subject,
                    token,
                    timeout_ms,
                };
                Some(self.push(task, batch, push).await)
            }
            _ => None,
        }
    }

    async fn push(&self, task: Task, batch: u64, push: Push) -> Input {
        let outcome = match self.stores.texts(batch) {
            Some(texts) => self.transport.push(&self.host, &texts, push).await,
            None => RequestOutcome::Failed {
                failure: TransportFailure::NoBatch,
            },
        };
        Input::Pushed { task, outcome }
    }
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}
