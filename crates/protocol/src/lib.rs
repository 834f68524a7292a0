//! What clients and servers of Tidesync say to each other: the push messages, the text form of
//! keys, the typed form of values with its canonical bytes, hashes, the hybrid logical clock, and the
//! rule by which concurrent changes merge.
//! Pure: no clock, no randomness, no input or output.

mod base64url;
pub mod blob;
pub mod canonical;
pub mod check;
mod decimal;
pub mod hash;
pub mod hlc;
pub mod json;
pub mod key;
pub mod merge;
mod number;
mod objects;
mod scan;
pub mod sort;
mod tag;
pub mod value;
pub mod wire;
