//! Keys of IndexedDB in their text form, and their order.
//!
//! The text is injective and canonical: equal keys have equal texts, and a text that is not the
//! text of its key is refused.
//!
//! | key | text |
//! | --- | --- |
//! | number | `n` and the number as JavaScript writes it; `n0` for −0 |
//! | date | `d` and its milliseconds since 1970-01-01 UTC |
//! | string | `s` and the string with `%` as `%25`, U+0000 as `%00`, a lone surrogate as `%uD800` |
//! | binary | `b` and its bytes in base64url without padding |
//! | array | `a` and for each element the length of its text in UTF-16 units, `:`, its text |

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::base64url;
use crate::number;
use crate::wire::RID_BYTES_MAX;

/// Deepest nesting of arrays in a key.
pub const KEY_DEPTH_MAX: usize = 64;

/// The largest distance of a date from 1970-01-01 UTC, in milliseconds (ECMAScript `TimeClip`).
pub(crate) const DATE_MS_MAX: i64 = 8_640_000_000_000_000;

/// A key. Its order is that of IndexedDB: numbers, dates, strings, binary keys, arrays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A number.
    Number(KeyNumber),
    /// A date, in milliseconds since 1970-01-01 UTC.
    Date(i64),
    /// A string, in UTF-16 units: a string of JavaScript may hold lone surrogates.
    String(Vec<u16>),
    /// An `ArrayBuffer` or a view of one.
    Binary(Vec<u8>),
    /// An array of keys.
    Array(Vec<Self>),
}

/// A number that can be a key: not NaN, and one zero.
#[derive(Debug, Clone, Copy)]
pub struct KeyNumber(f64);

impl KeyNumber {
    /// The number as a key; none for NaN. −0 becomes 0: IndexedDB does not tell them apart.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        (!number.is_nan()).then_some(Self(number + 0.0))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for KeyNumber {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for KeyNumber {}

impl PartialOrd for KeyNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Why a text is not a key or a record id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not the text form of any key.
    #[error("the text is not a key")]
    NotAKey,
    /// Arrays are nested deeper than [`KEY_DEPTH_MAX`].
    #[error("the key is nested deeper than {KEY_DEPTH_MAX} arrays")]
    TooDeep,
    /// The record id is longer than [`RID_BYTES_MAX`].
    #[error("the record id is longer than {RID_BYTES_MAX} bytes")]
    TooLong,
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = Self::of_text(text)?;
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(KeyError::NotAKey)
        }
    }
}

impl Key {
    /// The key of a text that is known to be a key's: other spellings of it are not refused.
    ///
    /// # Errors
    /// [`KeyError`] where the text is like no key's.
    pub fn of_text(text: &str) -> Result<Self, KeyError> {
        parse(text, 0)
    }
}

fn parse(text: &str, depth: usize) -> Result<Key, KeyError> {
    let (kind, rest) = text.split_at_checked(1).ok_or(KeyError::NotAKey)?;
    let key = match kind {
        "n" => number::from_js_text(rest)
            .and_then(KeyNumber::new)
            .map(Key::Number),
        "d" => rest.parse().ok().filter(is_date).map(Key::Date),
        "s" => unescape(rest).map(Key::String),
        "b" => base64url::decode(rest.as_bytes()).map(Key::Binary),
        "a" => return parse_array(rest, depth),
        _ => None,
    };
    key.ok_or(KeyError::NotAKey)
}

fn is_date(ms: &i64) -> bool {
    (-DATE_MS_MAX..=DATE_MS_MAX).contains(ms)
}

fn parse_array(mut text: &str, depth: usize) -> Result<Key, KeyError> {
    if depth == KEY_DEPTH_MAX {
        return Err(KeyError::TooDeep);
    }
    let mut elements = Vec::new();
    while !text.is_empty() {
        let (length, rest) = text.split_once(':').ok_or(KeyError::NotAKey)?;
        let length = length.parse().map_err(|_| KeyError::NotAKey)?;
        let (element, rest) = split_utf16(rest, length).ok_or(KeyError::NotAKey)?;
        elements.push(parse(element, depth + 1)?);
        text = rest;
    }
    Ok(Key::Array(elements))
}

/// Splits after `units` UTF-16 units.
fn split_utf16(text: &str, units: usize) -> Option<(&str, &str)> {
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return text.split_at_checked(at);
        }
        left = left.checked_sub(character.len_utf16())?;
    }
    (left == 0).then_some((text, ""))
}

fn unescape(text: &str) -> Option<Vec<u16>> {
    let mut parts = text.split('%');
    let mut units: Vec<u16> = parts.next()?.encode_utf16().collect();
    for part in parts {
        let (unit, rest) = match part.strip_prefix('u') {
            Some(rest) => rest.split_at_checked(4)?,
            None => part.split_at_checked(2)?,
        };
        units.push(u16::from_str_radix(unit, 16).ok()?);
        units.extend(rest.encode_utf16());
    }
    Some(units)
}

impl fmt::Display for Key {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_key(self, &mut text);
        to.write_str(&text)
    }
}

fn write_key(key: &Key, to: &mut String) {
    match key {
        Key::Number(number) => {
            to.push('n');
            to.push_str(&number::to_js_text(number.get()));
        }
        Key::Date(ms) => {
            to.push('d');
            to.push_str(&ms.to_string());
        }
        Key::String(units) => {
            to.push('s');
            write_escaped(units, to);
        }
        Key::Binary(bytes) => {
            to.push('b');
            base64url::encode(bytes, to);
        }
        Key::Array(elements) => {
            to.push('a');
            for element in elements {
                let text = element.to_string();
                to.push_str(&text.encode_utf16().count().to_string());
                to.push(':');
                to.push_str(&text);
            }
        }
    }
}

fn write_escaped(units: &[u16], to: &mut String) {
    for character in char::decode_utf16(units.iter().copied()) {
        match character {
            Ok('%') => to.push_str("%25"),
            Ok('\0') => to.push_str("%00"),
            Ok(character) => to.push(character),
            Err(lone) => to.push_str(&format!("%u{:04X}", lone.unpaired_surrogate())),
        }
    }
}

/// Checks a record id: a key in its text form, or `r` and 128 random bits in base64url.
///
/// # Errors
/// [`KeyError`] where the text is neither, or longer than [`RID_BYTES_MAX`] bytes.
pub fn check_rid(rid: &str) -> Result<(), KeyError> {
    if rid.len() > RID_BYTES_MAX {
        return Err(KeyError::TooLong);
    }
    if is_random_rid(rid) {
        return Ok(());
    }
    rid.parse::<Key>().map(drop)
}

/// Whether a text is the id of a record whose key was generated: `r` and 128 random bits in
/// base64url.
#[must_use]
pub fn is_random_rid(text: &str) -> bool {
    let random = text.strip_prefix('r').map(str::as_bytes);
    random.and_then(base64url::decoded_len) == Some(16)
}

/// The record id made of 128 random bits, for stores whose keys are generated.
#[must_use]
pub fn random_rid(bits: &[u8; 16]) -> String {
    let mut rid = "r".to_owned();
    base64url::encode(bits, &mut rid);
    rid
}
