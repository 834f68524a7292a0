//! The sync engine: a deterministic state machine without input or output.
//!
//! One rule drives it: after every [`Engine::handle_input`], drain [`Engine::poll_effect`] until it
//! is empty, then arm exactly one timer for [`Engine::poll_timeout`]. The same configuration, seed
//! and inputs give the same effects, byte for byte.
//!
//! A change's way: the log (written by capture) → staged (operations with their ids, immutable) →
//! the server → the shadow, or held. Each arrow is one transaction; memory follows when it is
//! durable. One step is under way at a time.

mod answer;
mod apply;
mod batch;
mod breaker;
mod bytes;
mod classify;
mod config;
mod database;
mod engine;
mod fold;
mod index;
pub mod interface;
mod meta;
mod overlay;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties;
mod references;
mod remote;
mod resolve;
mod rng;
mod schedule;
mod settle;
mod shadow;
mod sorted;
mod stage;
mod staged;
mod status;

pub use config::{Config, ConfigError, Initial, StaleFields, Strategy, TableConfig};
pub use engine::Engine;
pub use schedule::TimerReason;
pub use status::{
    Direction, DisabledReason, LastError, Phase, Progress, RecordState, Status, Storage,
};
