//! Inputs and effects as they cross to TypeScript: JSON in the form of the golden traces
//! (`crates/engine/traces`), written by hand since a page downloads this code.
//!
//! Bytes travel beside the JSON in one piece. Where a trace has hex digits, the JSON has
//! `[offset,length]`.

mod effect;
mod input;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

pub(crate) use effect::Effects;
pub(crate) use input::{read_input, read_names};
