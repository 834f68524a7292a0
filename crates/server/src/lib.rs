//! The reference server of Tidesync.
//!
//! Two layers. The core ([`access`], [`push`](mod@push) and [`store`]) reads a push, checks it and applies
//! it on a SQLite connection, and reads what has changed: no HTTP, no clock, no threads, so that tests
//! and simulations drive it directly. The shell ([`writer`], [`readers`], [`http`], [`Server`]) adds the
//! one writer thread with group commit, the readers beside it, bearer tokens, limits, and the routes of
//! `docs/protocol.md`.

pub mod access;
mod clock;
pub mod config;
mod group;
pub mod http;
pub mod hub;
mod keeper;
mod patience;
pub mod push;
mod random;
pub mod readers;
mod serve;
pub mod store;
pub mod writer;

pub use config::Config;
pub use random::{RandomError, random_bytes, random_id};
pub use serve::{ServeError, Server};
