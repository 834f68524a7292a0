//! The sync engine: a deterministic state machine without input or output.
//!
//! One rule drives it: after every [`Engine::handle_input`], drain [`Engine::poll_effect`] until it
//! is empty, then arm exactly one timer for [`Engine::poll_timeout`]. The same configuration, seed
//! and inputs give the same effects, byte for byte.

pub mod interface;
