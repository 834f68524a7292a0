//! The tagged forms of objects beyond the language's collections, and of values with cycles (see the
//! `value` module).

use crate::canonical::{ARRAY, FALSE, NUMBER, OBJECT, STRING, TRUE};
use crate::scan::Scanner;
use crate::value::ValueError;
use crate::wire::BLOB_BYTES_MAX;

/// The flags of a regular expression, in the order in which JavaScript gives them.
const REGEXP_FLAGS: &str = "dgimsuvy";

/// The bytes of a SHA-256.
pub(crate) const SHA256_BYTES: usize = 32;

fn is_regexp_flags(text: &str) -> bool {
    let mut left = REGEXP_FLAGS.bytes();
    text.bytes().all(|flag| left.any(|next| next == flag))
        && !(text.contains('u') && text.contains('v'))
}

fn is_error_name(text: &str) -> bool {
    let kind = text.strip_suffix("Error").unwrap_or("-");
    matches!(
        kind,
        "" | "Eval" | "Range" | "Reference" | "Syntax" | "Type" | "URI"
    )
}

/// The bytes that a geometric object may have: doubles, little-endian.
fn geometry_sizes(name: &str) -> [usize; 2] {
    match name.strip_suffix("ReadOnly").unwrap_or(name) {
        "DOMPoint" | "DOMRect" => [32, 32],
        "DOMMatrix" => [48, 128],
        _ if name == "DOMQuad" => [128, 128],
        _ => [usize::MAX; 2],
    }
}

/// As browsers keep it: visible ASCII and spaces, in lower case.
fn is_blob_type(text: &str) -> bool {
    let kept = |byte: u8| matches!(byte, b' '..=b'~') && !byte.is_ascii_uppercase();
    text.bytes().all(kept)
}

impl Scanner<'_> {
    /// Reads a text that may have lone surrogates, and says whether it is empty.
    fn any_text(&mut self, depth: usize) -> Result<bool, ValueError> {
        self.next()?;
        self.name_units(depth).map(|units| units.is_empty())
    }

    fn any_text_or_null(&mut self, depth: usize) -> Result<(), ValueError> {
        self.next()?;
        if self.peek() == Some(b'n') {
            self.value(depth)
        } else {
            self.name_units(depth).map(drop)
        }
    }

    pub(crate) fn tagged_regexp(&mut self, depth: usize) -> Result<usize, ValueError> {
        // Of the empty one JavaScript says `(?:)`.
        if self.any_text(depth)? {
            return Err(self.bad_tag());
        }
        self.text_where(is_regexp_flags)?;
        self.last(3)
    }

    pub(crate) fn tagged_error(&mut self, depth: usize) -> Result<usize, ValueError> {
        self.text_where(is_error_name)?;
        self.any_text_or_null(depth)?;
        self.any_text_or_null(depth)?;
        if !self.more(b']')? {
            return Ok(4);
        }
        self.value(depth)?;
        self.last(5)
    }

    pub(crate) fn tagged_exception(&mut self, depth: usize) -> Result<usize, ValueError> {
        self.any_text(depth)?;
        self.any_text(depth)?;
        self.last(3)
    }

    pub(crate) fn tagged_box(&mut self, depth: usize) -> Result<usize, ValueError> {
        self.next()?;
        let start = self.written_len();
        self.value(depth)?;
        match self.tag_written(start) {
            (NUMBER | STRING | FALSE | TRUE, _) | (ARRAY, b"~num" | b"~bigint" | b"~str") => {
                self.last(2)
            }
            _ => Err(self.bad_tag()),
        }
    }

    pub(crate) fn tagged_geometry(&mut self) -> Result<usize, ValueError> {
        let name = self.next_text()?;
        let sizes = geometry_sizes(self.text_of(&name));
        self.bytes(|len| sizes.contains(&len))?;
        self.last(3)
    }

    pub(crate) fn tagged_image(&mut self) -> Result<usize, ValueError> {
        self.text_where(|space| matches!(space, "srgb" | "display-p3"))?;
        self.next()?;
        let row = u64::from(self.integer(u32::MAX)?) * 4;
        self.bytes(|len| len > 0 && (len as u64).checked_rem(row) == Some(0))?;
        self.last(4)
    }

    /// Reads the type, size and hash of a blob.
    pub(crate) fn blob(&mut self) -> Result<(), ValueError> {
        self.text_where(is_blob_type)?;
        self.next()?;
        self.integer(BLOB_BYTES_MAX)?;
        self.bytes(|len| len == SHA256_BYTES)
    }

    pub(crate) fn tagged_file(&mut self) -> Result<usize, ValueError> {
        self.next_text()?;
        self.next()?;
        self.date_ms()?;
        self.blob()?;
        self.last(6)
    }

    pub(crate) fn tagged_graph(&mut self, depth: usize) -> Result<usize, ValueError> {
        if self.references.replace(0).is_some() {
            return Err(self.bad_tag());
        }
        let count = self.rest(1, |scanner| {
            let start = scanner.written_len();
            scanner.value(depth)?;
            match scanner.tag_written(start) {
                (ARRAY, b"~undef" | b"~num" | b"~bigint" | b"~str" | b"~ref") => {
                    Err(scanner.bad_tag())
                }
                (ARRAY | OBJECT, _) => Ok(()),
                _ => Err(scanner.bad_tag()),
            }
        })?;
        let highest = self.references.take().unwrap_or_default() as usize;
        if (1..count).contains(&highest) {
            Ok(count)
        } else {
            Err(self.bad_tag())
        }
    }

    pub(crate) fn tagged_reference(&mut self) -> Result<usize, ValueError> {
        self.next()?;
        let node = self.integer(u32::MAX - 1)?;
        match &mut self.references {
            Some(highest) => *highest = node.saturating_add(1).max(*highest),
            None => return Err(self.bad_tag()),
        }
        self.last(2)
    }

    /// The kind of the value that was written from `start` on, and of an array its first element, if
    /// that is a string.
    fn tag_written(&self, start: usize) -> (u8, &[u8]) {
        match self.written(start) {
            [ARRAY, _, _, _, _, STRING, a, b, c, d, rest @ ..] => {
                let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                (ARRAY, rest.get(..length).unwrap_or_default())
            }
            [kind, ..] => (*kind, &[]),
            [] => (0, &[]),
        }
    }
}
