//! The canonical bytes of a value: equal for equal values, different for different ones.
//!
//! They follow the wire form as JSON; tagged forms are encoded as the arrays that they are.
//! Lengths and counts are 32 bits, numbers 64, little-endian.
//!
//! | JSON | bytes |
//! | --- | --- |
//! | null, false, true | `01`, `02`, `03` |
//! | number | `04`, the double's bits |
//! | string | `05`, length in bytes, UTF-8 |
//! | array | `06`, count, the elements |
//! | object | `07`, count, then for each name, in the order of their UTF-8 bytes: length, UTF-8, the value |

use crate::scan::Scanner;
use crate::tag::FORMS;
use crate::value::ValueError;

pub(crate) const NULL: u8 = 1;
pub(crate) const FALSE: u8 = 2;
pub(crate) const TRUE: u8 = 3;
pub(crate) const NUMBER: u8 = 4;
pub(crate) const STRING: u8 = 5;
pub(crate) const ARRAY: u8 = 6;
pub(crate) const OBJECT: u8 = 7;

/// The canonical bytes of the value whose wire form is `json`.
///
/// # Errors
/// [`ValueError`] where `json` is no wire form.
pub fn canonical_bytes(json: &[u8]) -> Result<Vec<u8>, ValueError> {
    Scanner::new(json, Vec::new(), FORMS)?.whole()
}
