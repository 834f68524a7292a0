//! `npm run simulate`: runs seeds for so many simulated device-hours, or one seed, or plants bugs.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use tidesync_simulation::{Case, Counts, Fault, Listener, Outcome, Planted, run};

const USAGE: &str = "\
usage: npm run simulate -- [--hours N] [--seed S [--log]] [--jobs N]
       npm run simulate -- --planted [NAME] [--seed S]

  --hours N     run seeds from S on until N device-hours are simulated (default 1000)
  --seed S      alone: run this seed twice, and compare; else the first seed (default 1)
  --jobs N      worlds at a time (default 1)
  --log         with one seed: tell everything that happens
  --planted     plant each bug, or the one that is named, and say how soon it is caught";

/// Seeds for which a planted bug is looked for.
const PLANTED_SEEDS_MAX: u64 = 2_000;

#[derive(Debug, Default)]
struct Options {
    hours: Option<f64>,
    seed: Option<u64>,
    jobs: usize,
    log: bool,
    planted: Option<Vec<Planted>>,
}

fn main() -> ExitCode {
    // A panic is told as a violation, with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match options(std::env::args().skip(1)) {
        Err(wrong) => say(&format!("error: {wrong}\n\n{USAGE}")).map(|()| false),
        Ok(options) => start(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn options(args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        jobs: 1,
        ..Options::default()
    };
    let mut args = args.peekable();
    while let Some(name) = args.next() {
        if name == "--log" {
            options.log = true;
            continue;
        }
        if name == "--planted" {
            let named = args.next_if(|it| !it.starts_with("--"));
            options.planted = Some(match named {
                None => Planted::ALL.to_vec(),
                Some(name) => {
                    let bug = Planted::named(&name);
                    vec![bug.ok_or_else(|| format!("there is no planted bug {name}"))?]
                }
            });
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        let wrong = || format!("{name} does not take {value}");
        match name.as_str() {
            "--hours" => options.hours = Some(value.parse().map_err(|_| wrong())?),
            "--seed" => options.seed = Some(value.parse().map_err(|_| wrong())?),
            "--jobs" => options.jobs = value.parse().map_err(|_| wrong())?,
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok(options)
}

/// True where all is well.
fn start(options: &Options) -> io::Result<bool> {
    match (&options.planted, options.hours, options.seed) {
        (Some(bugs), _, Some(seed)) if options.log => {
            let planted = bugs.first().copied();
            tell(&run(planted_in(seed, planted), Some(told))).map(|()| false)
        }
        (Some(bugs), _, seed) => planted(bugs, seed.unwrap_or(1)),
        (None, None, Some(seed)) => one(seed, options.log),
        (None, hours, seed) => many(hours.unwrap_or(1_000.0), seed.unwrap_or(1), options.jobs),
    }
}

/// One seed, twice.
fn one(seed: u64, log: bool) -> io::Result<bool> {
    let first = run(Case::of(seed), log.then_some(told as Listener));
    tell(&first)?;
    let again = run(Case::of(seed), None);
    let same = first == again;
    if !same {
        say(&format!(
            "seed {seed} went another way the second time (I31)"
        ))?;
    }
    say(&format!(
        "trace {:016x}, {} events",
        first.trace, first.events
    ))?;
    Ok(same && first.violation.is_none())
}

/// Seeds from `from` on, until so many device-hours are simulated.
fn many(hours: f64, from: u64, jobs: usize) -> io::Result<bool> {
    let started = Instant::now();
    let (next, done) = (AtomicU64::new(from), AtomicBool::new(false));
    let (sender, outcomes) = mpsc::channel::<Outcome>();
    let mut total = Total::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let sender = sender.clone();
            let (next, done) = (&next, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if sender.send(run(Case::of(seed), None)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for outcome in outcomes {
            tell(&outcome)?;
            total.add(&outcome);
            if total.device_hours >= hours {
                done.store(true, Ordering::Relaxed);
            }
        }
        io::Result::Ok(())
    })?;
    total.tell(from, started.elapsed().as_secs_f64())?;
    Ok(total.violations == 0)
}

/// Plants each bug and looks for a seed that shows it.
fn planted(bugs: &[Planted], from: u64) -> io::Result<bool> {
    let mut caught = 0;
    for bug in bugs {
        let started = Instant::now();
        let mut device_hours = 0.0;
        let found = (from..from + PLANTED_SEEDS_MAX).find_map(|seed| {
            let outcome = run(planted_in(seed, Some(*bug)), None);
            device_hours += outcome.device_hours();
            let violation = outcome.violation?;
            // What is wrong in this world anyway shows nothing of the bug.
            let is_its = run(planted_in(seed, None), None).violation.is_none();
            is_its.then_some((seed, violation))
        });
        let seconds = started.elapsed().as_secs_f64();
        let (name, what) = (bug.name(), bug.what());
        say(&match &found {
            Some((seed, violation)) => format!(
                "{name:<18} caught after {device_hours:6.1} device-hours, {seconds:5.2} s, by seed {seed}: {}\n  {what}\n  {}",
                violation.invariant, violation.message
            ),
            None => format!("{name:<18} NOT CAUGHT in {seconds:.2} s\n  {what}"),
        })?;
        caught += usize::from(found.is_some());
    }
    say(&format!("{caught} of {} planted bugs caught", bugs.len()))?;
    Ok(caught == bugs.len())
}

/// A planted bug shows within hours, or not at all.
fn planted_in(seed: u64, planted: Option<Planted>) -> Case {
    Case {
        seed,
        brief: true,
        planted,
    }
}

/// Says what a run has found.
fn tell(outcome: &Outcome) -> io::Result<()> {
    let Some(violation) = &outcome.violation else {
        return Ok(());
    };
    say(&format!(
        "VIOLATION of {}: {}\n  at {} ms, event {}\n  replay: npm run simulate -- --seed {}",
        violation.invariant, violation.message, violation.at_ms, violation.event, outcome.seed
    ))
}

/// Many runs together.
#[derive(Default)]
struct Total {
    device_hours: f64,
    events: u64,
    pushes: u64,
    seeds: u64,
    violations: u64,
    faults: Counts,
}

impl Total {
    fn add(&mut self, outcome: &Outcome) {
        self.device_hours += outcome.device_hours();
        self.events += outcome.events;
        self.pushes += outcome.pushes;
        self.seeds += 1;
        self.violations += u64::from(outcome.violation.is_some());
        self.faults.merge(&outcome.faults);
    }

    fn tell(&self, from: u64, seconds: f64) -> io::Result<()> {
        let per_second = |count: f64| count / seconds.max(0.001);
        say(&format!(
            "{:.0} simulated device-hours in {seconds:.1} s ({:.0} a second), {} worlds, seeds {from} on",
            self.device_hours,
            per_second(self.device_hours),
            self.seeds
        ))?;
        say(&format!(
            "{} events ({:.0} a second), {} pushes that the server took",
            self.events,
            per_second(self.events as f64),
            self.pushes
        ))?;
        say("faults injected:")?;
        for fault in Fault::ALL {
            say(&format!(
                "  {:>10}  {}",
                self.faults.of(*fault),
                fault.name()
            ))?;
        }
        say(&format!("violations: {}", self.violations))
    }
}

fn told(line: &str) {
    // A reader that has gone away, as `head` does, is told no more.
    drop(say(line));
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}
