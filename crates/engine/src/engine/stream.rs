//! The stream of pokes: open while there is somebody whose changes it can tell of. A poke is a hint;
//! what a stream missed, the next pull brings.

use crate::interface::{Effect, RequestOutcome, Task, TokenReason, TransportFailure};
use crate::schedule;

use super::{Engine, Life};

/// The one stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The effect that opened it, while it is open.
    open: Option<Task>,
    /// Whether a server has answered since the engine began: before, there is none to listen to.
    pub(super) offered: bool,
    /// The server has no such route.
    refused: bool,
    /// Ends in a row without a poke.
    failures: u32,
    /// It is not opened before.
    not_before: u64,
    token: Option<TokenReason>,
}

impl Engine {
    /// When the stream is to be opened; none where it is open or is not to be.
    pub(super) fn stream_due(&self) -> Option<u64> {
        (self.stream.open.is_none() && self.is_listening()).then_some(self.stream.not_before)
    }

    /// Whether there is a reason to listen.
    fn is_listening(&self) -> bool {
        let owner = self
            .database
            .as_ref()
            .map(|database| database.meta.owner_name());
        let user = self.session.user.as_deref();
        self.config.live
            && self.stream.offered
            && !self.stream.refused
            && self.life == Life::Running
            && user.is_some()
            && owner == Some(user)
            && self.is_enabled_by_user()
            && self.session.online
            && !self.needs_sign_in
            && !self.breaker.is_open()
    }

    /// Opens or closes the stream, as things are.
    pub(super) fn tend_stream(&mut self) {
        if self.stream.open.is_some() && !self.is_listening() {
            self.stream.open = None;
            self.effects.push_back(Effect::CloseStream);
        }
        let due = self
            .stream_due()
            .is_some_and(|at| at <= self.now.monotonic_ms);
        let Some(subject) = self.session.user.clone().filter(|_| due) else {
            return;
        };
        let task = self.task();
        self.stream.open = Some(task);
        let token = self.stream.token.take().unwrap_or(TokenReason::Request);
        self.effects.push_back(Effect::OpenStream {
            task,
            subject,
            token,
        });
    }

    pub(super) fn poked(&mut self) {
        self.schedule.poked = true;
        self.stream.failures = 0;
    }

    /// The stream ended. It is opened again, spread at random: a server that restarts ends all of
    /// them at once (F39).
    pub(super) fn stream_ended(&mut self, task: Task, outcome: &RequestOutcome) {
        if self.stream.open != Some(task) {
            return;
        }
        self.stream.open = None;
        let failures = self.stream.failures.saturating_add(1);
        self.stream.failures = failures;
        match outcome {
            RequestOutcome::Answer {
                status: 404 | 405 | 501,
                ..
            } => self.stream.refused = true,
            RequestOutcome::Answer { status: 401, .. } => {
                self.stream.token = Some(TokenReason::Expired);
            }
            RequestOutcome::Failed {
                failure: TransportFailure::NoToken,
            } => self.needs_sign_in = true,
            RequestOutcome::Answer { .. } | RequestOutcome::Failed { .. } => {}
        }
        let most = schedule::backoff(&self.config, failures, &mut self.rng);
        let wait = self.rng.up_to(most);
        self.stream.not_before = self.now.monotonic_ms.saturating_add(wait);
    }

    /// Another user, another stream.
    pub(super) fn close_stream(&mut self) {
        if self.stream.open.take().is_some() {
            self.effects.push_back(Effect::CloseStream);
        }
        self.stream.failures = 0;
        self.stream.not_before = 0;
    }
}
