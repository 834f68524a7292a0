//! One run: a world, what is known of it for sure, and the checks that look at everything that
//! happens.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check::{self, Check, Scene};
use crate::clock::HOUR;
use crate::fact::Fact;
use crate::faults::Counts;
use crate::plan::Plan;
use crate::planted::Planted;
use crate::truth::Truth;
use crate::world::World;

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Decides everything.
    pub seed: u64,
    /// Hours at most instead of weeks.
    pub brief: bool,
    /// A bug that must be caught.
    pub planted: Option<Planted>,
}

impl Case {
    /// The world of a seed as it is.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self {
            seed,
            brief: false,
            planted: None,
        }
    }
}

/// What one run has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Simulated hours of all its devices, in milliseconds.
    pub device_ms: u64,
    /// Events.
    pub events: u64,
    /// Requests that reached the server and were taken.
    pub pushes: u64,
    /// What went wrong on purpose.
    pub faults: Counts,
    /// The trace as one number: the same for every run of the seed.
    pub trace: u64,
    /// What went wrong against the invariants.
    pub violation: Option<Violation>,
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's number and name.
    pub invariant: String,
    /// What is wrong.
    pub message: String,
    /// True time since the start of the world, in milliseconds.
    pub at_ms: u64,
    /// Events until then.
    pub event: u64,
}

impl Outcome {
    /// Simulated hours of all its devices.
    #[must_use]
    pub fn device_hours(&self) -> f64 {
        self.device_ms as f64 / HOUR as f64
    }
}

/// Runs a world to its end, or to the first violation, and tells `listener` everything that happens,
/// line by line.
#[must_use]
pub fn run(case: Case, listener: Option<Listener>) -> Outcome {
    let mut run = Run::new(Plan::new(case), listener);
    // A panic of the engine or the server is a finding, not the end of the search.
    let panicked = catch_unwind(AssertUnwindSafe(|| run.go_on())).err();
    let panicked = panicked.map(|cause| Violation {
        invariant: "I30 no panic".to_owned(),
        message: message_of(&*cause),
        at_ms: run.world.now,
        event: run.world.events,
    });
    run.outcome(panicked)
}

fn message_of(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

struct Run {
    seed: u64,
    world: World,
    truth: Truth,
    checks: Vec<Box<dyn Check>>,
    pushes: u64,
    violation: Option<Violation>,
    listener: Option<Listener>,
}

/// Hears everything that happens, line by line.
pub type Listener = fn(&str);

impl Run {
    fn new(plan: Plan, listener: Option<Listener>) -> Self {
        Self {
            listener,
            seed: plan.seed,
            truth: Truth::new(plan.devices),
            world: World::new(plan),
            checks: check::all(),
            pushes: 0,
            violation: None,
        }
    }

    fn go_on(&mut self) {
        while self.violation.is_none() && self.world.step() {
            for fact in self.world.take_facts() {
                self.look_at(&fact);
                if self.violation.is_some() {
                    return;
                }
            }
        }
    }

    fn look_at(&mut self, fact: &Fact) {
        if let Some(listener) = self.listener
            && let Some(line) = crate::log::line(fact)
        {
            listener(&format!("{:>12} {line}", self.world.now));
        }
        self.pushes += u64::from(matches!(fact, Fact::Handled { .. }));
        self.truth.note(fact, self.world.now);
        let scene = Scene {
            world: &self.world,
            truth: &self.truth,
        };
        for check in &mut self.checks {
            if let Err(message) = check.see(fact, scene) {
                self.violation = Some(Violation {
                    invariant: check.name().to_owned(),
                    message,
                    at_ms: self.world.now,
                    event: self.world.events,
                });
                return;
            }
        }
    }

    fn outcome(mut self, panicked: Option<Violation>) -> Outcome {
        for device in &self.world.devices {
            for table in &device.disk.tables {
                for record in table.records.values() {
                    self.world.trace.text(&record.lid);
                    let wire = record.value.wire();
                    self.world.trace.text(wire.map_or("", |wire| &**wire));
                }
            }
        }
        Outcome {
            seed: self.seed,
            device_ms: self.world.now * self.world.devices.len() as u64,
            events: self.world.events,
            pushes: self.pushes,
            faults: self.world.counts,
            trace: self.world.trace.hash(),
            violation: self.violation.or(panicked),
        }
    }
}
