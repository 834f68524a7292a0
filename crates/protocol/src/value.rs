//! The wire form of values, and what is wrong with a text that is not one.
//!
//! Plain JSON stands for itself. Everything else is an array whose first element, a string that
//! starts with `~`, says what it is; a plain array that begins so is escaped by `["~array", …]`.
//! Every value has one form, whitespace, key order and the spelling of numbers and strings aside.
//!
//! | form | value |
//! | --- | --- |
//! | `["~undef"]` | undefined |
//! | `["~num", "NaN"]`, `"Infinity"`, `"-Infinity"`, `"-0"` | numbers that JSON lacks |
//! | `["~bigint", "123"]` | a `BigInt`, in decimal |
//! | `["~date", ms]` | a date; `null` for an invalid one |
//! | `["~map", [key, value], …]` | a `Map`, in its order |
//! | `["~set", value, …]` | a `Set`, in its order |
//! | `["~buf", "base64url"]` | an `ArrayBuffer` |
//! | `["~view", "Uint8Array", "base64url"]` | a typed array or a `DataView`, little-endian |
//! | `["~str", unit, …]` | a string with lone surrogates, in UTF-16 units |
//! | `["~sparse", length, [index, value], …, [name, value], …]` | an array with holes or with named properties |
//! | `["~obj", [name, value], …]` | an object with a name that has lone surrogates |
//! | `["~array", "~…", …]` | a plain array whose first element is a string that starts with `~` |
//! | `["~regexp", source, flags]` | a regular expression |
//! | `["~error", name, message, stack]`, `[…, cause]` | an error; `null` for a message or stack that it lacks |
//! | `["~exception", name, message]` | a `DOMException` |
//! | `["~box", value]` | an object that holds a number, string, truth value or `BigInt` |
//! | `["~geometry", "DOMRect", "base64url"]` | a `DOMPoint`, `DOMRect`, `DOMQuad` or `DOMMatrix`, or one that is `ReadOnly`: its numbers as doubles, little-endian |
//! | `["~image", "srgb", width, "base64url"]` | an `ImageData` with four bytes for each point |
//! | `["~blob", type, size, "base64url"]` | a `Blob`, by the SHA-256 of its bytes |
//! | `["~file", name, lastModified, type, size, "base64url"]` | a `File`, likewise |
//! | `["~graph", object, …]` | a value with cycles: the first of the objects |
//! | `["~ref", index]` | within `~graph`: one of its objects |
//!
//! Indexes of arrays ascend; names (strings or `~str` forms) follow them, in the order of their
//! UTF-16 units. A number of JSON must be finite and not −0. Names of an object are unique. Texts of
//! `~regexp`, `~error` and `~exception` may be `~str` forms. The bytes that `~blob` and `~file` name
//! travel in a lane of their own (`blob` module).
//!
//! **Cycles.** A client writes `~graph` for a record that is within a cycle or is no plain object but
//! holds one, and else for each field that holds one, so that the other fields are still fields. Its
//! objects are the value itself and then each object that occurs more than once within it, in the
//! order in which they are met: through the first object, names in the order of their UTF-16 units,
//! then through the second, and so on. There identity is kept, and a long way through is no deep one. A
//! value without a cycle has no `~graph`: an object that occurs twice in it is written twice.

use crate::scan::Scanner;
use crate::tag::FORMS;
use crate::wire::{PUSH_BYTES_MAX, VALUE_DEPTH_MAX, code};

/// Why a text is not the wire form of a value. Offsets are bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not JSON.
    #[error("not JSON at byte {at}")]
    NotJson {
        /// Where.
        at: usize,
    },
    /// A string has an escaped surrogate without its other half; `~str` is for these.
    #[error("a lone surrogate at byte {at}")]
    LoneSurrogate {
        /// Where.
        at: usize,
    },
    /// A number is −0 or beyond what a double can hold; `~num` is for these.
    #[error("a number that is -0 or not finite at byte {at}")]
    Number {
        /// Where.
        at: usize,
    },
    /// A name occurs twice in one object.
    #[error("a name occurs twice in one object")]
    DuplicateName,
    /// Arrays and objects are nested deeper than [`VALUE_DEPTH_MAX`], tagged forms counted.
    #[error("nested deeper than {VALUE_DEPTH_MAX}")]
    TooDeep,
    /// An array begins like a tagged form but is none.
    #[error("not a typed value at byte {at}")]
    Tag {
        /// Where.
        at: usize,
    },
    /// The text is longer than [`PUSH_BYTES_MAX`]: no push could carry it.
    #[error("longer than {PUSH_BYTES_MAX} bytes")]
    TooLong,
}

impl ValueError {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => code::TOO_LARGE,
            Self::NotJson { .. }
            | Self::LoneSurrogate { .. }
            | Self::Number { .. }
            | Self::DuplicateName
            | Self::TooDeep
            | Self::Tag { .. } => code::BAD_VALUE,
        }
    }
}

/// Checks that `json` is the wire form of a value.
///
/// # Errors
/// [`ValueError`] where it is not.
pub fn check_value(json: &[u8]) -> Result<(), ValueError> {
    Scanner::new(json, Vec::new(), FORMS)?.whole().map(drop)
}
