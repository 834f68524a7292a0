//! What the engine keeps of itself in the database, as JSON: small, and written with every step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// The version of [`Meta`] that this build writes. A higher one is left alone.
pub(crate) const FORMAT: u32 = 1;

/// The engine's own record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    pub(crate) format: u32,
    /// The key of the field hashes: 32 hex digits.
    pub(crate) key: String,
    /// Everyone whose database this ever was; the shadow and the batches name them by place.
    pub(crate) owners: Vec<Owner>,
    /// Whose it is now, by place.
    pub(crate) owner: Option<u32>,
    /// The hybrid logical clock of the last operation.
    pub(crate) clock: String,
    /// `setAutoSyncEnabled`, as last set.
    pub(crate) enabled: bool,
    /// Wall milliseconds of the last sync that the server confirmed; 0 for never.
    pub(crate) last_sync: u64,
    pub(crate) tables: BTreeMap<String, TableMeta>,
    pub(crate) counts: Counts,
}

/// A user of this database, with the client that the server knows them by here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) user: String,
    pub(crate) client: String,
}

/// What is kept of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableMeta {
    /// Buckets of its shadow; 0 before the first.
    pub(crate) buckets: u32,
    /// Bytes of all its pages.
    pub(crate) bytes: u64,
    /// How far the first scan has come.
    pub(crate) scan: ScanMark,
}

/// How far a first scan has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ScanMark {
    /// It has not begun.
    #[default]
    New,
    /// It goes on after this record.
    After(String),
    /// It is done, or was not asked for.
    Done,
}

/// The counts as they were when the record was written: the first status after a start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Distinct records of the owner with a change that the server has not confirmed.
    pub(crate) pending: u64,
    /// The owner's changes that are not staged.
    pub(crate) buffered: u64,
    /// Distinct records with a change that waits for another user.
    pub(crate) waiting: u64,
}

impl Meta {
    /// The record of a database that has none yet.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            format: FORMAT,
            key: to_hex(&rng.bits()),
            owners: Vec::new(),
            owner: None,
            clock: String::new(),
            enabled: true,
            last_sync: 0,
            tables: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// The user whose database this is.
    pub(crate) fn owner_name(&self) -> Option<&str> {
        self.owner_record().map(|owner| owner.user.as_str())
    }

    /// The current owner.
    pub(crate) fn owner_record(&self) -> Option<&Owner> {
        self.owners.get(usize::try_from(self.owner?).ok()?)
    }

    /// The key of the field hashes.
    pub(crate) fn hash_key(&self) -> [u8; 16] {
        from_hex(&self.key).unwrap_or_default()
    }

    /// The place of `user` among the owners; a new one is appended.
    pub(crate) fn place(&mut self, user: &str, client: impl FnOnce() -> String) -> u32 {
        let known = self.owners.iter().position(|owner| owner.user == user);
        let place = known.unwrap_or_else(|| {
            self.owners.push(Owner {
                user: user.to_owned(),
                client: client(),
            });
            self.owners.len() - 1
        });
        place as u32
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
