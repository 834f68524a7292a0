//! The stream of pokes: what the server tells at once, and how it stops to.

use tidesync_engine::interface::{Effect, Input, RequestOutcome, Task, TransportFailure};

use super::request::failed;
use super::{Event, Spell, World};
use crate::clock::SECOND;
use crate::fact::{DeviceId, TabId, Token};
use crate::faults::Fault;

/// A stream that has been silent for so long is dead.
const SILENCE_MS: u64 = 45 * SECOND;

/// A stream that is open, or on its way.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    device: DeviceId,
    tab: TabId,
    task: Task,
    token: Token,
    /// The server knows of it.
    heard: bool,
}

impl Stream {
    pub(super) fn tab(&self) -> TabId {
        self.tab
    }
}

impl World {
    /// Opens the stream of a tab.
    pub(super) fn open_stream(&mut self, device: DeviceId, tab: TabId, effect: Effect) {
        let Effect::OpenStream {
            task,
            subject,
            token,
        } = effect
        else {
            return;
        };
        let token = match self.token(device, token, &subject) {
            Ok(token) => token,
            Err(failure) => {
                let at = self.now + self.net.below(30);
                let outcome = failed(failure);
                let input = Input::StreamEnded { task, outcome };
                return self.queue.push(at, Event::Turn(tab, input));
            }
        };
        self.next_request += 1;
        let id = self.next_request;
        let stream = Stream {
            device,
            tab,
            task,
            token,
            heard: false,
        };
        self.streams.insert(id, stream);
        if self.devices[device].is_connected() {
            let at = self.now + self.way();
            self.queue.push(at, Event::Listen(id));
        } else {
            self.break_stream(id, self.devices[device].online);
        }
    }

    /// The tab wants no stream any more.
    pub(super) fn close_stream(&mut self, tab: TabId) {
        self.streams.retain(|_, stream| stream.tab != tab);
    }

    /// The request for a stream reaches the server, or what stands before it.
    pub(super) fn listen(&mut self, id: u64) {
        let Some(stream) = self.streams.get(&id).cloned() else {
            return;
        };
        let portal = self.devices[stream.device].behind_portal;
        if portal || self.refusal.is_some() {
            let status = if portal { 200 } else { 503 };
            return self.end_soon(id, answer(status));
        }
        if !self.cloud.is_up() {
            return self.end_soon(id, failed(TransportFailure::Network));
        }
        if !self.cloud.takes(&stream.token, self.now) {
            return self.end_soon(id, answer(401));
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.heard = true;
        }
        let until = stream.token.until_ms;
        self.queue.push(until, Event::StreamEnds(id, answer(200)));
        // What has come since is told at once.
        let at = self.now + self.way();
        self.queue.push(at, Event::Poke(id));
    }

    /// Something has changed in a user's space.
    pub(super) fn poke_all(&mut self, user: &str) {
        let listening = self.streams.iter();
        let listening = listening.filter(|(_, it)| it.heard && it.token.user == user);
        let ids: Vec<u64> = listening.map(|(id, _)| *id).collect();
        for id in ids {
            let at = self.now + self.way();
            self.queue.push(at, Event::Poke(id));
        }
    }

    /// A poke reaches the device, if the connection holds.
    pub(super) fn poke(&mut self, id: u64) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let (tab, device) = (stream.tab, &self.devices[stream.device]);
        if device.is_connected() && !device.behind_portal {
            self.queue.push(self.now, Event::Turn(tab, Input::Poked));
        }
    }

    /// What a device's spell does to its stream.
    pub(super) fn disturb_streams(&mut self, device: DeviceId, spell: Spell) {
        let known = match spell {
            Spell::Offline => true,
            Spell::Partition | Spell::Portal => false,
            _ => return,
        };
        let own = self.streams.iter().filter(|(_, it)| it.device == device);
        let ids: Vec<u64> = own.map(|(id, _)| *id).collect();
        for id in ids {
            self.counts.add(Fault::StreamLost);
            self.break_stream(id, !known);
        }
    }

    /// The server has ended, and every stream with it.
    pub(super) fn drop_streams(&mut self) {
        let heard = self.streams.iter().filter(|(_, it)| it.heard);
        let ids: Vec<u64> = heard.map(|(id, _)| *id).collect();
        for id in ids {
            let closed = self.net.once_in(2);
            let outcome = if closed {
                answer(200)
            } else {
                failed(TransportFailure::Network)
            };
            self.end_soon(id, outcome);
        }
    }

    /// The connection is gone; a silent loss shows by the silence.
    fn break_stream(&mut self, id: u64, silent: bool) {
        let (wait, failure) = if silent {
            (SILENCE_MS, TransportFailure::Timeout)
        } else {
            (self.net.below(2_000), TransportFailure::Network)
        };
        let at = self.now + wait;
        self.queue.push(at, Event::StreamEnds(id, failed(failure)));
    }

    fn end_soon(&mut self, id: u64, outcome: RequestOutcome) {
        let at = self.now + self.way();
        self.queue.push(at, Event::StreamEnds(id, outcome));
    }

    pub(super) fn end_stream(&mut self, id: u64, outcome: RequestOutcome) {
        if let Some(stream) = self.streams.remove(&id) {
            let task = stream.task;
            let input = Input::StreamEnded { task, outcome };
            self.queue.push(self.now, Event::Turn(stream.tab, input));
        }
    }
}

fn answer(status: u16) -> RequestOutcome {
    RequestOutcome::Answer {
        status,
        retry_after: None,
        body: String::new(),
    }
}
