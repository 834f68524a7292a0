//! Hashes: of the fields of a record, and of the content of an operation. SipHash-2-4, 64 bits.
//!
//! A field has two hashes over its canonical bytes (`canonical` module): one under the database's
//! own random key, which the shadow keeps, and one under [`PUBLIC_KEY`], its digest. Operations
//! are hashed from digests, so that one pass over a value serves the shadow, a whole put and a
//! patch of some of its fields.
//!
//! The hash of an operation is SipHash-2-4 under [`PUBLIC_KEY`] over these bytes; counts and
//! lengths are 32 bits, little-endian:
//!
//! | part | bytes |
//! | --- | --- |
//! | table, then rid | for each: length in bytes, UTF-8 |
//! | kind | `01` put, `02` patch, `03` delete |
//! | base | 64 bits, little-endian |
//! | put of an object with at most [`FIELDS_MAX`] fields | `01`, fields |
//! | put of any other value | `02`, the digest of the whole |
//! | patch | the fields set, then the fields removed: count, and for each length, UTF-8 |
//!
//! Fields: count, and for each, in the order of the names' UTF-8 bytes: length of the name in
//! bytes, UTF-8, digest (64 bits, little-endian).

use std::borrow::Cow;

use siphasher::sip::SipHasher24;

use crate::scan::{Forms, Scanner};
use crate::sort;
use crate::tag::FORMS;
use crate::value::ValueError;
use crate::wire::OpKind;

/// The key of digests and of the hashes of operations.
pub const PUBLIC_KEY: [u8; 16] = [0; 16];

/// Most fields of an object that are hashed one by one.
pub const FIELDS_MAX: usize = 256;

/// The hashes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields<'a> {
    /// Of the top-level fields of a plain object, in the order of their names' UTF-8 bytes.
    Each(Vec<Field<'a>>),
    /// Of anything else, and of an object with more than [`FIELDS_MAX`] fields.
    Whole(Hashes),
}

/// A top-level field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value's wire form, as it stands in the text.
    pub value: &'a str,
    /// The hashes of its value.
    pub hashes: Hashes,
}

/// The two hashes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashes {
    /// Under the hasher's key.
    pub keyed: u64,
    /// Under [`PUBLIC_KEY`].
    pub digest: u64,
}

/// Hashes values under one key. Keeps its buffer, so use one for many values.
#[derive(Debug, Clone)]
pub struct FieldHasher {
    key: [u8; 16],
    forms: Option<Forms>,
    buffer: Vec<u8>,
}

impl FieldHasher {
    /// Hashes under `key`: 128 random bits of the database, or [`PUBLIC_KEY`].
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            forms: FORMS,
            ..Self::trusting(key)
        }
    }

    /// The same for values of whose tagged forms another makes sure: one that is none is hashed as the
    /// array that it is. A page downloads what checks them once, in the decoder that makes the values.
    #[must_use]
    pub fn trusting(key: [u8; 16]) -> Self {
        Self {
            key,
            forms: None,
            buffer: Vec::new(),
        }
    }

    /// Checks that `json` is the wire form of a value, and hashes it, in one pass.
    ///
    /// # Errors
    /// [`ValueError`] where it is not.
    pub fn field_hashes<'a>(&mut self, json: &'a [u8]) -> Result<Fields<'a>, ValueError> {
        let mut scanner = Scanner::new(json, std::mem::take(&mut self.buffer), self.forms)?;
        if scanner.peek() == Some(b'{')
            && let Some(fields) = self.each(&mut scanner)?
        {
            self.buffer = scanner.finish()?;
            return sorted(fields).map(Fields::Each);
        }
        self.buffer = Scanner::new(json, Vec::new(), self.forms)?.whole()?;
        Ok(Fields::Whole(self.hashes(&self.buffer)))
    }

    /// Checks that `json` is the wire form of a value within a record, and returns its digest.
    ///
    /// # Errors
    /// [`ValueError`] where it is not.
    pub fn field_digest(&mut self, json: &[u8]) -> Result<u64, ValueError> {
        let mut scanner = Scanner::new(json, std::mem::take(&mut self.buffer), self.forms)?;
        scanner.value(1)?;
        self.buffer = scanner.finish()?;
        Ok(digest(&self.buffer))
    }

    /// Reads an object; none where it has too many fields.
    fn each<'a>(&self, scanner: &mut Scanner<'a>) -> Result<Option<Vec<Field<'a>>>, ValueError> {
        let mut fields = Vec::new();
        if scanner.open(b'{', b'}')? {
            return Ok(Some(fields));
        }
        loop {
            if fields.len() == FIELDS_MAX {
                return Ok(None);
            }
            let name = scanner.member_name()?;
            scanner.peek();
            let start = scanner.at();
            scanner.value(1)?;
            let hashes = self.hashes(scanner.written(0));
            fields.push(Field {
                name,
                value: scanner.read_since(start),
                hashes,
            });
            scanner.forget();
            if !scanner.more(b'}')? {
                return Ok(Some(fields));
            }
        }
    }

    fn hashes(&self, canonical: &[u8]) -> Hashes {
        let digest = digest(canonical);
        let keyed = if self.key == PUBLIC_KEY {
            digest
        } else {
            SipHasher24::new_with_key(&self.key).hash(canonical)
        };
        Hashes { keyed, digest }
    }
}

fn sorted(mut fields: Vec<Field<'_>>) -> Result<Vec<Field<'_>>, ValueError> {
    let ascending = |fields: &[Field<'_>]| fields.is_sorted_by(|one, next| one.name < next.name);
    if !ascending(&fields) {
        let name = |place: usize| fields.get(place).map(|field| &field.name);
        let order = sort::order(fields.len(), &|one, other| name(one).cmp(&name(other)));
        fields = sort::arranged(fields, &order);
        if !ascending(&fields) {
            return Err(ValueError::DuplicateName);
        }
    }
    Ok(fields)
}

/// What an operation does, for its hash.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// The whole value.
    Put(&'a Fields<'a>),
    /// Some fields. Both lists are in the order of the names' UTF-8 bytes.
    Patch {
        /// The fields set, each with its digest.
        set: &'a [(&'a str, u64)],
        /// The fields removed.
        unset: &'a [&'a str],
    },
    /// No value.
    Delete,
}

impl Content<'_> {
    /// The kind of the operation.
    #[must_use]
    pub fn kind(&self) -> OpKind {
        match self {
            Self::Put(_) => OpKind::Put,
            Self::Patch { .. } => OpKind::Patch,
            Self::Delete => OpKind::Delete,
        }
    }
}

/// The hash of an operation's content.
#[must_use]
pub fn op_hash(table: &str, rid: &str, base: u64, content: Content<'_>) -> u64 {
    let mut bytes = Vec::with_capacity(256);
    text(&mut bytes, table);
    text(&mut bytes, rid);
    bytes.push(match content.kind() {
        OpKind::Put => 1,
        OpKind::Patch => 2,
        OpKind::Delete => 3,
    });
    bytes.extend_from_slice(&base.to_le_bytes());
    match content {
        Content::Put(Fields::Each(fields)) => {
            bytes.push(1);
            let digests = fields
                .iter()
                .map(|field| (field.name.as_ref(), field.hashes.digest));
            set(&mut bytes, digests);
        }
        Content::Put(Fields::Whole(hashes)) => {
            bytes.push(2);
            bytes.extend_from_slice(&hashes.digest.to_le_bytes());
        }
        Content::Patch { set: fields, unset } => {
            set(&mut bytes, fields.iter().copied());
            length(&mut bytes, unset.len());
            for name in unset {
                text(&mut bytes, name);
            }
        }
        Content::Delete => {}
    }
    digest(&bytes)
}

fn digest(bytes: &[u8]) -> u64 {
    SipHasher24::new_with_key(&PUBLIC_KEY).hash(bytes)
}

fn set<'a>(to: &mut Vec<u8>, fields: impl ExactSizeIterator<Item = (&'a str, u64)>) {
    length(to, fields.len());
    for (name, digest) in fields {
        text(to, name);
        to.extend_from_slice(&digest.to_le_bytes());
    }
}

fn text(to: &mut Vec<u8>, text: &str) {
    length(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

fn length(to: &mut Vec<u8>, length: usize) {
    to.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// A hash as it stands on the wire: 16 lower-case hex digits.
#[must_use]
pub fn hash_text(hash: u64) -> String {
    let digits = (0..16).map(|place| (hash >> (60 - 4 * place)) as u32 & 15);
    digits
        .filter_map(|digit| char::from_digit(digit, 16))
        .collect()
}
