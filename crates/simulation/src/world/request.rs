//! What leaves a tab: requests with their tokens, and what comes of them for the tab.

use std::rc::Rc;

use tidesync_engine::interface::{
    Effect, Input, RequestOutcome, Task, TokenReason, TransportFailure,
};
use tidesync_protocol::wire::PullResponse;

use super::{Event, World};
use crate::disk::Pulled;
use crate::fact::{DeviceId, Fact, Kind, Request, TabId, Token};
use crate::faults::Fault;
use crate::planted::{self, Planted};
use crate::truth::asked_ms;

/// A request before it has its token.
struct Outgoing {
    task: Task,
    kind: Kind,
    /// None where a batch is not in the store.
    text: Option<String>,
    subject: String,
    token: TokenReason,
    timeout_ms: u32,
}

impl World {
    /// Sends operations of a staged batch, or asks for what is new.
    pub(super) fn request(&mut self, device: DeviceId, tab: TabId, effect: Effect) {
        let outgoing = match effect {
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
                let tab = self.devices[device].tab(tab);
                let texts = tab.and_then(|tab| tab.memory.texts(batch, first, last));
                let text = texts.map(|texts| format!("{envelope}{}]}}", texts.join(",")));
                Outgoing {
                    task,
                    kind: Kind::Push,
                    text: text.map(|text| self.named_anew(device, text)),
                    subject,
                    token,
                    timeout_ms,
                }
            }
            Effect::Pull {
                task,
                query,
                subject,
                token,
                timeout_ms,
            } => Outgoing {
                task,
                kind: Kind::Pull,
                text: Some(query),
                subject,
                token,
                timeout_ms,
            },
            other => panic!("not a request: {other:?}"),
        };
        self.send(device, tab, outgoing);
    }

    fn send(&mut self, device: DeviceId, tab: TabId, outgoing: Outgoing) {
        let Outgoing {
            task, kind, text, ..
        } = outgoing;
        let token = self.token(device, outgoing.token, &outgoing.subject);
        let (token, text) = match (token, text) {
            (Err(failure), _) => return self.fail(tab, kind, task, failure),
            (_, None) => return self.fail(tab, kind, task, TransportFailure::NoBatch),
            (Ok(token), Some(text)) => (token, text),
        };
        self.next_request += 1;
        let id = self.next_request;
        let Some(sender) = self.devices[device].tab(tab) else {
            return;
        };
        assert_eq!(sender.flight, None, "one request at a time (I13)");
        sender.flight = Some(id);
        let request = Rc::new(Request {
            id,
            device,
            tab,
            task: task.0,
            kind,
            text: text.into(),
            subject: outgoing.subject,
            timeout_ms: u64::from(outgoing.timeout_ms),
            token,
        });
        self.trace.text(&request.text);
        self.facts.push(Fact::Sent(Rc::clone(&request)));
        let time_up = Event::Answer(Rc::clone(&request), failed(TransportFailure::Timeout));
        self.queue.push(self.now + request.timeout_ms, time_up);
        self.route(request);
    }

    /// A request that never left.
    fn fail(&mut self, tab: TabId, kind: Kind, task: Task, failure: TransportFailure) {
        let at = self.now + self.net.below(30);
        let input = answered(kind, task, failed(failure));
        self.queue.push(at, Event::Turn(tab, input));
    }

    /// What the app's `getToken` gives.
    pub(super) fn token(
        &mut self,
        device: DeviceId,
        reason: TokenReason,
        subject: &str,
    ) -> Result<Token, TransportFailure> {
        let (now, life_ms) = (self.now, self.plan.auth.life_ms);
        let it = &mut self.devices[device];
        if !it.signed_in {
            return Err(TransportFailure::NoToken);
        }
        if self.net.chance(self.plan.auth.fail) {
            self.counts.add(Fault::TokenFailed);
            return Err(TransportFailure::TokenFailed);
        }
        if reason == TokenReason::Expired || it.token.is_none() {
            it.token = Some(Token {
                user: it.user.clone(),
                since_ms: now,
                until_ms: now + life_ms,
            });
        }
        let mut token = it.token.clone().ok_or(TransportFailure::NoToken)?;
        if self.plan.planted == Some(Planted::OtherUsersToken) && self.net.once_in(8) {
            token.user = format!("{subject}-before");
        }
        if token.until_ms <= now {
            self.counts.add(Fault::TokenExpired);
        }
        Ok(token)
    }

    /// An answer, or that there will be none, reaches the tab that waits for it.
    pub(super) fn answer(
        &mut self,
        device: DeviceId,
        request: &Rc<Request>,
        outcome: RequestOutcome,
    ) {
        let planted = self.plan.planted;
        let Some(tab) = self.devices[device].tab(request.tab) else {
            return;
        };
        if tab.flight != Some(request.id) {
            return;
        }
        tab.flight = None;
        if request.kind == Kind::Pull {
            tab.memory.pulled = changes(&outcome);
        }
        self.note_asked(device, &outcome);
        self.facts.push(Fact::Answered {
            request: Rc::clone(request),
            outcome: Rc::new(outcome.clone()),
        });
        let outcome = planted::of_outcome(planted, outcome);
        let input = answered(request.kind, Task(request.task), outcome);
        self.turn(device, request.tab, input);
    }

    /// Notes until when the server has asked a device to wait.
    fn note_asked(&mut self, device: DeviceId, outcome: &RequestOutcome) {
        let asked = asked_ms(outcome);
        let it = &mut self.devices[device];
        it.asked_until = it.asked_until.max(it.clock.monotonic(self.now) + asked);
    }

    /// The body of a retry, with new ids where that bug is planted.
    fn named_anew(&mut self, device: DeviceId, body: String) -> String {
        if self.plan.planted != Some(Planted::NewIdsOnRetry) {
            return body;
        }
        let attempts = self.devices[device]
            .attempts
            .entry(body.clone())
            .or_insert(0);
        *attempts += 1;
        planted::with_new_ids(&body, *attempts)
    }
}

/// What the shell keeps of a pull's answer until the next.
fn changes(outcome: &RequestOutcome) -> Vec<Pulled> {
    let RequestOutcome::Answer {
        status: 200, body, ..
    } = outcome
    else {
        return Vec::new();
    };
    let Ok(answer) = serde_json::from_str::<PullResponse>(body) else {
        return Vec::new();
    };
    let changes = answer.changes.into_iter().map(|record| Pulled {
        table: record.table,
        rid: record.rid,
        version: record.version,
        value: record.value.map(|value| value.get().into()),
    });
    changes.collect()
}

/// No answer of a server.
pub(super) fn failed(failure: TransportFailure) -> RequestOutcome {
    RequestOutcome::Failed { failure }
}

fn answered(kind: Kind, task: Task, outcome: RequestOutcome) -> Input {
    match kind {
        Kind::Push => Input::Pushed { task, outcome },
        Kind::Pull => Input::Pulled { task, outcome },
    }
}
