//! What clients and servers of Tidesync say to each other: the push messages, the text form of
//! keys, the typed form of values with its canonical bytes, hashes, and the hybrid logical clock.
//! Pure: no clock, no randomness, no input or output.

pub mod wire;
