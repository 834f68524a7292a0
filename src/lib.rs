//! The browser shell of Tidesync: drives the engine with what happens in the page and does what the
//! engine asks for. It decides nothing.
//!
//! ```text
//! TypeScript ── Session ──▶ Shell ── handle_input ──▶ Engine
//!      ▲                      │  ◀── poll_effect ──────┘
//!      └──────── Host ◀───────┤
//!                             ├──▶ Stores, Reader (rexie)
//!                             └──▶ Transport (fetch)
//! ```
//!
//! Values stay in JavaScript: the shell passes them on by slot, and sees their bytes only when the
//! engine asks to hash them.

mod clock;
mod connection;
mod host;
mod object;
mod reader;
mod session;
mod shell;
mod stores;
mod transport;

pub use session::{Session, on_panic};
