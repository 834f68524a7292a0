//! The world: everything that is to happen, in the order of virtual time, in one thread.

mod decide;
mod heal;
mod life;
mod request;
mod shell;
mod spells;
mod stream;
mod wire;
mod writes;

use std::collections::BTreeMap;
use std::rc::Rc;

use tidesync_engine::interface::{Effect, Input, RequestOutcome};

use crate::app::App;
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::device::Device;
use crate::disk::Disk;
use crate::fact::{DeviceId, Fact, Request, TabId};
use crate::faults::{Counts, Fault};
use crate::plan::Plan;
use crate::queue::Queue;
use crate::rng::Rng;
use crate::schema;
use crate::trace::Trace;

pub(crate) use spells::{Refusal, Spell};
use stream::Stream;

/// Something that is to happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// The user does something.
    Act(DeviceId),
    /// An engine is told something.
    Turn(TabId, Input),
    /// A tab's timer comes, if it is still the one that was set for this time.
    Timer(TabId, u64),
    /// A transaction of an engine.
    Storage(TabId, Effect),
    /// A request reaches the server.
    Arrive(Rc<Request>),
    /// An answer reaches the device.
    Answer(Rc<Request>, RequestOutcome),
    /// A stream is asked for at the server, tells of something new, or ends.
    Listen(u64),
    Poke(u64),
    StreamEnds(u64, RequestOutcome),
    /// A tab begins to lead, if none does.
    Lead(DeviceId),
    /// Something begins to happen to a device, and ends.
    Begin(DeviceId, Spell),
    End(DeviceId, Spell),
    /// The same for the server and what stands before it.
    ServerStops,
    ServerStarts,
    ServerForgets,
    RefusalBegins,
    RefusalEnds,
    TokensRevoked,
    LockoutBegins,
    LockoutEnds,
    /// Nothing goes wrong any more.
    Heal,
    /// Everything of a device must have been sent.
    Due(DeviceId),
    /// The users look at every device.
    Look,
    /// Everything has come to rest.
    Rest,
}

/// The world of one seed.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    pub(crate) devices: Vec<Device>,
    pub(crate) cloud: Cloud,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
    pub(crate) facts: Vec<Fact>,
    pub(crate) events: u64,
    /// What answers in the server's place now.
    pub(crate) refusal: Option<Refusal>,
    /// True time from which on nothing goes wrong.
    pub(crate) healed_at: Option<u64>,
    queue: Queue<Event>,
    next_tab: TabId,
    next_request: u64,
    next_call: u64,
    /// Streams that are open, or on their way.
    streams: BTreeMap<u64, Stream>,
    net: Rng,
    life: Rng,
    disk: Rng,
    seeds: Rng,
    ended: bool,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let rng = Rng::new(plan.seed);
        let mut life = rng.fork("life");
        let devices = (0..plan.devices).map(|place| device(place, &plan, &rng, &mut life));
        let mut world = Self {
            now: 0,
            devices: devices.collect(),
            cloud: Cloud::new(&plan.server, plan.planted, rng.fork("cloud")),
            counts: Counts::default(),
            trace: Trace::default(),
            facts: Vec::new(),
            events: 0,
            refusal: None,
            healed_at: None,
            queue: Queue::new(),
            next_tab: 0,
            next_request: 0,
            next_call: 0,
            streams: BTreeMap::new(),
            net: rng.fork("net"),
            life,
            disk: rng.fork("disk"),
            seeds: rng.fork("seeds"),
            ended: false,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        if self.plan.server.clock_skew_ms != 0 {
            self.counts.add(Fault::ServerClockOff);
        }
        if self.plan.life.skew_max_ms != 0 {
            self.counts.add(Fault::ClockOff);
        }
        for device in 0..self.devices.len() {
            let at = self.life.below(5_000);
            self.queue.push(at, Event::Lead(device));
            let at = self.life.below(self.plan.app.pause_ms + 1);
            self.queue.push(at, Event::Act(device));
            self.arrange_spells(device);
        }
        self.arrange_server();
        self.queue.push(self.plan.span_ms, Event::Heal);
    }

    /// Lets the next thing happen. False when nothing is to come.
    pub(crate) fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop().filter(|_| !self.ended) else {
            return false;
        };
        self.now = at;
        self.events += 1;
        self.trace.number(at);
        self.happen(event);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(device) => self.act(device),
            Event::Turn(tab, input) => {
                if let Some((device, input)) = self.reach(tab, input, |it| Event::Turn(tab, it)) {
                    self.turn(device, tab, input);
                }
            }
            Event::Timer(tab, at) => {
                if let Some((device, ())) = self.reach(tab, (), |()| Event::Timer(tab, at)) {
                    self.timer(device, tab, at);
                }
            }
            Event::Storage(tab, effect) => {
                let again = |effect| Event::Storage(tab, effect);
                if let Some((device, effect)) = self.reach(tab, effect, again) {
                    self.storage(device, tab, effect);
                }
            }
            Event::Arrive(request) => self.arrive(&request),
            Event::Answer(request, outcome) => {
                let again = |outcome| Event::Answer(Rc::clone(&request), outcome);
                if let Some((device, outcome)) = self.reach(request.tab, outcome, again) {
                    self.answer(device, &request, outcome);
                }
            }
            Event::Listen(stream) => self.listen(stream),
            Event::Poke(stream) => self.poke(stream),
            Event::StreamEnds(stream, outcome) => self.end_stream(stream, outcome),
            Event::Lead(device) => self.lead(device),
            Event::Begin(device, spell) => self.begin_spell(device, spell),
            Event::End(device, spell) => self.end_spell(device, spell),
            Event::ServerStops => self.server_stops_by_itself(),
            Event::ServerStarts => self.start_server(),
            Event::ServerForgets => self.server_forgets(),
            Event::RefusalBegins => self.begin_refusal(),
            Event::RefusalEnds => self.refusal = None,
            Event::TokensRevoked => self.revoke_tokens(),
            Event::LockoutBegins => self.lock_out(),
            Event::LockoutEnds => self.cloud.locked = false,
            Event::Heal => self.heal(),
            Event::Due(device) => self.facts.push(Fact::Due { device }),
            Event::Look => self.look(),
            Event::Rest => {
                self.facts.push(Fact::Ended);
                self.ended = true;
            }
        }
    }

    /// The device of a tab that is there and awake. What happens to one that sleeps or stands
    /// still happens when it goes on.
    fn reach<T>(
        &mut self,
        tab: TabId,
        what: T,
        again: impl FnOnce(T) -> Event,
    ) -> Option<(DeviceId, T)> {
        let has = |device: &Device| device.tabs.iter().position(|it| it.id == tab);
        let mut places = self.devices.iter().enumerate();
        let (device, place) = places.find_map(|(place, it)| Some((place, has(it)?)))?;
        let device_at = self.devices[device].asleep_until;
        let at = device_at.max(self.devices[device].tabs[place].frozen_until);
        if at > self.now {
            self.queue.push(at, again(what));
            return None;
        }
        Some((device, what))
    }

    /// An event that has happened can be seen by nobody else: whoever watches takes it.
    pub(crate) fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }
}

fn device(place: DeviceId, plan: &Plan, rng: &Rng, life: &mut Rng) -> Device {
    let mut app = App::new(place, rng.fork(&format!("app {place}")));
    let mut disk = Disk::new(&schema::TABLES);
    app.fill(&mut disk, &plan.app);
    let skew = life.below(2 * plan.life.skew_max_ms + 1) as i64 - plan.life.skew_max_ms as i64;
    Device {
        user: format!("user-{}", place % plan.users),
        disk,
        clock: Clock::new(skew),
        app,
        tabs: Vec::new(),
        leading: None,
        token: None,
        enabled: None,
        signed_in: true,
        online: true,
        partitioned: false,
        behind_portal: false,
        visible: true,
        open: true,
        asleep_until: 0,
        told_at: 0,
        asked_until: 0,
        attempts: BTreeMap::new(),
    }
}
