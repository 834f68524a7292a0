//! A world in one thread: several devices that run the engine as it ships over a model of their
//! IndexedDB, a network that loses, delays and repeats, and the server's own core on SQLite. One
//! seed decides everything; time is virtual. First everything goes wrong and every event is
//! checked; then everything heals, and must come to rest in time.
//!
//! `npm run simulate -- --hours 1000` runs seeds; `--seed N` runs one.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a check looks at the few facts and writes that it is about"
)]

mod app;
mod check;
mod clock;
mod cloud;
mod device;
mod disk;
mod fact;
mod faults;
mod log;
mod plan;
mod planted;
mod query;
mod queue;
mod replay;
mod rng;
mod schema;
mod sim;
mod trace;
mod truth;
mod value;
mod world;

pub use faults::{Counts, Fault};
pub use planted::Planted;
pub use sim::{Case, Listener, Outcome, Violation, run};
