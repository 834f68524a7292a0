//! The blobs that a value names: their bytes travel in a lane of their own.

use crate::canonical::{ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE, canonical_bytes};
use crate::value::ValueError;

/// A blob, by what its bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedBlob {
    /// The SHA-256 of its bytes, as 43 base64url characters.
    pub hash: String,
    /// How many bytes it has, at most [`crate::wire::BLOB_BYTES_MAX`].
    pub size: u64,
}

/// The blobs and files that a value names, each once, in the order of their hashes.
///
/// # Errors
/// [`ValueError`] where `json` is no wire form.
pub fn named_blobs(json: &[u8]) -> Result<Vec<NamedBlob>, ValueError> {
    // The tag's first character, as it stands or escaped. Most values have neither.
    if !json.iter().any(|byte| matches!(byte, b'~' | b'\\')) {
        return Ok(Vec::new());
    }
    let bytes = canonical_bytes(json)?;
    let mut walk = Walk {
        rest: &bytes,
        found: Vec::new(),
    };
    // Canonical bytes end where their value ends.
    let _ = walk.value();
    let mut found = walk.found;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Goes through canonical bytes; none where they end too early.
struct Walk<'a> {
    rest: &'a [u8],
    found: Vec<NamedBlob>,
}

/// What the search looks at.
#[derive(Debug, Clone, Copy)]
enum Seen<'a> {
    Text(&'a [u8]),
    Number(f64),
    Other,
}

impl<'a> Walk<'a> {
    fn value(&mut self) -> Option<Seen<'a>> {
        match self.take(1)? {
            [NULL | FALSE | TRUE] => Some(Seen::Other),
            [NUMBER] => {
                let bits = self.take(8)?.try_into().ok()?;
                Some(Seen::Number(f64::from_le_bytes(bits)))
            }
            [STRING] => self.text().map(Seen::Text),
            [ARRAY] => self.array(),
            [OBJECT] => {
                for _ in 0..self.count()? {
                    self.text()?;
                    self.value()?;
                }
                Some(Seen::Other)
            }
            _ => None,
        }
    }

    fn array(&mut self) -> Option<Seen<'a>> {
        let elements = (0..self.count()?)
            .map(|_| self.value())
            .collect::<Option<Vec<_>>>()?;
        let blob = match elements.as_slice() {
            [
                Seen::Text(b"~blob"),
                _,
                Seen::Number(size),
                Seen::Text(hash),
            ]
            | [
                Seen::Text(b"~file"),
                _,
                _,
                _,
                Seen::Number(size),
                Seen::Text(hash),
            ] => Some((size, hash)),
            _ => None,
        };
        if let Some((size, hash)) = blob {
            self.found.push(NamedBlob {
                hash: String::from_utf8_lossy(hash).into_owned(),
                size: *size as u64,
            });
        }
        Some(Seen::Other)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        self.take(length)
    }

    fn count(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}
