//! What TypeScript calls of the engine: it hands over what happens in the page and gets back what
//! the engine asks for. All input and output is the shell's, in `www/src/shell`.
//!
//! ```text
//! shell (TypeScript) ── input, as JSON, and bytes ──▶ Session ── handle_input ──▶ Engine
//!        ▲                                                │  ◀── poll_effect ──────┘
//!        └───────── effects, as JSON, and bytes ◀─────────┘
//! ```

mod codec;
mod session;

pub use session::{PanicListener, Session, on_panic};
