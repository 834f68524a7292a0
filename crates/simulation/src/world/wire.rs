//! The way of a request to the server and of its answer back, and what happens on it.

use std::rc::Rc;

use tidesync_engine::interface::{RequestOutcome, TransportFailure};

use tidesync_protocol::wire::Verdict;

use super::request::failed;
use super::{Event, World};
use crate::clock::{HOUR, MINUTE};
use crate::cloud::Reply;
use crate::fact::{Fact, Kind, Request};
use crate::faults::Fault;
use crate::planted::{self, Planted};

/// Longest time that a message is under way.
const DELAY_MS_MAX: u64 = 2 * MINUTE;

/// Something else that answers, in its own words.
const PORTAL: &str = "<html><body>Welcome to our network</body></html>";

impl World {
    /// The way to the server.
    pub(super) fn route(&mut self, request: Rc<Request>) {
        let device = &self.devices[request.device];
        let (connected, portal) = (device.is_connected(), device.behind_portal);
        let known = device.online;
        if !connected {
            // A browser that knows says so at once; else it takes a while, or for ever.
            if known && self.net.once_in(2) {
                return;
            }
            return self.lose(request);
        }
        if portal {
            return self.answer_with(request, 200, None, PORTAL.to_owned());
        }
        if self.planted_route(&request) {
            return;
        }
        if self.net.chance(self.plan.net.hang) {
            self.counts.add(Fault::RequestHangs);
            return;
        }
        if self.net.chance(self.plan.net.drop_request) {
            self.counts.add(Fault::RequestDropped);
            return self.lose(request);
        }
        let at = self.now + self.way();
        if self.net.chance(self.plan.net.duplicate) {
            self.counts.add(Fault::Duplicated);
            let again = self.now + self.way();
            self.queue.push(again, Event::Arrive(Rc::clone(&request)));
        }
        if self.net.chance(self.plan.net.replay) {
            self.counts.add(Fault::ReplayedLater);
            let again = self.now + self.net.skewed(MINUTE, 8 * HOUR);
            self.queue.push(again, Event::Arrive(Rc::clone(&request)));
        }
        let request = if self.net.chance(self.plan.net.damage) {
            self.damaged(request)
        } else {
            request
        };
        self.queue.push(at, Event::Arrive(request));
    }

    /// How long a message takes.
    pub(super) fn way(&mut self) -> u64 {
        if self.net.chance(self.plan.net.delay) {
            self.counts.add(Fault::Delayed);
            return self.net.skewed(1_000, DELAY_MS_MAX);
        }
        self.net.skewed(1, self.plan.net.latency_ms + 1)
    }

    /// A connection that breaks: the device hears of that soon.
    fn lose(&mut self, request: Rc<Request>) {
        let at = self.now + self.net.skewed(1, 10_000);
        let outcome = failed(TransportFailure::Network);
        self.queue.push(at, Event::Answer(request, outcome));
    }

    fn answer_with(
        &mut self,
        request: Rc<Request>,
        status: u16,
        retry_after: Option<String>,
        body: String,
    ) {
        let at = self.now + self.way();
        let outcome = RequestOutcome::Answer {
            status,
            retry_after,
            body,
        };
        self.queue.push(at, Event::Answer(request, outcome));
    }

    /// The request with one digit of a value changed.
    fn damaged(&mut self, request: Rc<Request>) -> Rc<Request> {
        let marks = ["\"value\":", "\"set\":"];
        let Some(value) = marks.iter().find_map(|mark| request.text.rfind(mark)) else {
            return request;
        };
        let mut body = request.text.to_string();
        let digit = body[value..].find(|letter: char| letter.is_ascii_digit());
        let hash = body[value..].find("\"hash\"");
        let Some(place) = digit.filter(|digit| hash.is_none_or(|hash| *digit < hash)) else {
            return request;
        };
        let place = value + place;
        let other = if &body[place..=place] == "7" {
            "8"
        } else {
            "7"
        };
        body.replace_range(place..=place, other);
        self.counts.add(Fault::RequestDamaged);
        Rc::new(Request {
            text: body.into(),
            ..(*request).clone()
        })
    }

    /// A request reaches the server, or what stands before it.
    pub(super) fn arrive(&mut self, request: &Rc<Request>) {
        if let Some(refusal) = &self.refusal {
            let reply = refusal.reply(request, &mut self.net);
            if let Some((status, retry_after, body)) = reply {
                self.counts.add(refusal.fault());
                return self.answer_with(Rc::clone(request), status, retry_after, body);
            }
        }
        if request.kind == Kind::Push && self.is_poisoned(request) {
            self.counts.add(Fault::RequestPoisoned);
            let body = r#"{"code":"malformed","message":"refused on the way"}"#.to_owned();
            return self.answer_with(Rc::clone(request), 400, None, body);
        }
        match self.serve(request) {
            Reply::Refused => self.lose(Rc::clone(request)),
            Reply::Died => {
                self.stop_server();
                self.lose(Rc::clone(request));
            }
            Reply::Answer {
                status,
                retry_after,
                body,
            } => self.send_back(request, status, retry_after, body),
        }
    }

    fn serve(&mut self, request: &Rc<Request>) -> Reply {
        let (now, plan, counts) = (self.now, &self.plan.server, &mut self.counts);
        match request.kind {
            Kind::Push => {
                let (reply, handled) = self.cloud.push(now, request, plan, counts);
                if let Some(handled) = handled.as_ref().filter(|it| it.versions.0 < it.versions.1) {
                    self.poke_all(&handled.user);
                }
                let judged = handled.iter().flat_map(|handled| &handled.ops);
                for (_, entry, _) in judged {
                    if entry.verdict == Verdict::Rejected {
                        self.counts.add(Fault::RecordRejected);
                    }
                }
                self.facts.extend(handled.map(|handled| Fact::Handled {
                    request: Rc::clone(request),
                    handled: Rc::new(handled),
                }));
                reply
            }
            Kind::Pull => {
                let (reply, pulled) = self.cloud.pull(now, request, plan, counts);
                self.facts.extend(pulled.map(|pulled| Fact::Pulled {
                    request: Rc::clone(request),
                    pulled: Rc::new(pulled),
                }));
                reply
            }
        }
    }

    /// Something on the way refuses whole requests for one record.
    fn is_poisoned(&self, request: &Request) -> bool {
        request.text.contains(crate::value::POISON)
    }

    fn send_back(
        &mut self,
        request: &Rc<Request>,
        status: u16,
        retry_after: Option<String>,
        mut body: String,
    ) {
        self.trace.text(&body);
        if self.net.chance(self.plan.net.drop_answer) {
            self.counts.add(Fault::AnswerDropped);
            if self.net.once_in(2) {
                self.lose(Rc::clone(request));
            }
            return;
        }
        if self.net.chance(self.plan.net.truncate) {
            self.counts.add(Fault::AnswerTruncated);
            let end = self.net.below(body.len() as u64) as usize;
            let end = (0..=end).rev().find(|end| body.is_char_boundary(*end));
            body.truncate(end.unwrap_or(0));
        }
        let body = planted::of_answer(self.plan.planted, body);
        self.answer_with(Rc::clone(request), status, retry_after, body);
    }

    /// Bugs between the engine and the network. True where the request goes no further.
    fn planted_route(&mut self, request: &Rc<Request>) -> bool {
        let invents = self.plan.planted == Some(Planted::SuccessInvented);
        if invents && request.kind == Kind::Push && self.net.once_in(6) {
            let body = planted::invented_answer(&request.text);
            self.answer_with(Rc::clone(request), 200, None, body);
            return true;
        }
        false
    }
}
