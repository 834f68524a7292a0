//! Reading what has changed since a cursor: in one snapshot, without holding up the writer.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use tidesync_protocol::wire::{PROTOCOL, PullResponse, Record};

use super::cursor::{Cursor, CursorError, Place};
use super::records::raw;
use super::spaces::Head;
use crate::access::{Grant, SPACES_MAX, Space};

/// Most changes of one page.
pub const LIMIT_MAX: usize = 1_000;

/// About the most bytes of one page; a single change may be larger.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// About the bytes of a change besides its value and its names.
const CHANGE_BYTES: usize = 160;

/// Up to which version of a space what a reader knows of it is what is here, by its name on the wire, as
/// far as that can be told.
pub type Parted = BTreeMap<String, u64>;

/// Nothing is pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Tombstones that the cursor's reader never saw are gone, or it is another user's.
    #[error("the cursor is too old")]
    Expired,
    /// The cursor is of another epoch than `epoch`, the database's, or of no server like this one.
    #[error("the server was restored from an older copy")]
    EpochChanged {
        /// The database's epoch.
        epoch: String,
        /// Where the histories part.
        parted: Parted,
    },
    /// The cursor is of this epoch, and yet this database never gave it: it was restored from an older
    /// copy, and needs a new epoch ([`super::renew_epoch`]).
    #[error("the server was restored from an older copy just now")]
    Restored {
        /// The epoch that is over.
        epoch: String,
        /// Where the histories part.
        parted: Parted,
    },
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// The next changes after `cursor`, or from the start without one, in the spaces of `grant`: each
/// record once, as it is now, in the order of versions within a space. At most `limit` of them, and
/// at most [`LIMIT_MAX`].
///
/// # Errors
/// [`PullError`].
pub fn pull(
    connection: &Connection,
    grant: &Grant,
    cursor: Option<&str>,
    limit: usize,
) -> Result<PullResponse, PullError> {
    let snapshot = Snapshot::open(connection)?;
    let Readers {
        mut readers,
        withdrawn,
        left,
    } = snapshot.readers(grant, cursor)?;
    let mut page = Page {
        changes: Vec::new(),
        limit: limit.clamp(1, LIMIT_MAX),
        bytes: 0,
        more: false,
    };
    for Reader { space, head, place } in &mut readers {
        snapshot.read(space, *head, place, &mut page)?;
    }
    let left = match left {
        _ if !page.more => None,
        // Those that a reader begins with are counted once: for each page it would be slow.
        Some(left) => Some(left.saturating_sub(page.changes.len() as u64).max(1)),
        None => Some(snapshot.count(&readers)?),
    };
    Ok(PullResponse {
        protocol: PROTOCOL,
        spaces: grant.shared().clone(),
        changes: page.changes,
        cursor: snapshot.cursor(grant, readers, withdrawn, left)?,
        epoch: snapshot.epoch,
        more: page.more,
        remaining: left.unwrap_or(0),
    })
}

/// The cursor that a reader has who has read everything, and who had `cursor` before.
///
/// # Errors
/// [`PullError`], as a pull with `cursor` has it.
pub fn head(
    connection: &Connection,
    grant: &Grant,
    cursor: Option<&str>,
) -> Result<String, PullError> {
    let snapshot = Snapshot::open(connection)?;
    let Readers {
        mut readers,
        withdrawn,
        ..
    } = snapshot.readers(grant, cursor)?;
    for Reader { space, head, place } in &mut readers {
        snapshot.advance(space, place, head.version)?;
    }
    snapshot.cursor(grant, readers, withdrawn, None)
}

/// That this database gave `place`, or has a cursor that it gave: else it was restored from an older
/// copy. What was forgotten since does not matter.
///
/// # Errors
/// [`PullError`], none of them [`PullError::Expired`].
pub fn check_place(connection: &Connection, grant: &Grant, place: &str) -> Result<(), PullError> {
    let snapshot = Snapshot::open(connection)?;
    match snapshot.genuine(place, grant) {
        Ok(_) => Ok(()),
        // Nobody knows from where it is: as good as of another history.
        Err(PullError::Expired) => Err(snapshot.unknown()),
        Err(error) => Err(error),
    }
}

/// The start of the server that gave a version of the space that is stored as `space`.
pub(super) fn boot(connection: &Connection, space: &str, version: u64) -> rusqlite::Result<String> {
    let boot = connection
        .prepare_cached(
            "SELECT boot FROM space_boots WHERE space = ?1 AND first_version <= ?2
             ORDER BY first_version DESC LIMIT 1",
        )?
        .query_row((space, version), |row| row.get(0))
        .optional()?;
    Ok(boot.unwrap_or_default())
}

/// The database at one instant.
struct Snapshot<'a> {
    transaction: Transaction<'a>,
    epoch: String,
    secret: Vec<u8>,
}

/// Where a reader is in a space, and where the space is.
struct Reader {
    space: Space,
    head: Head,
    place: Place,
}

/// Where a reader is in all of its spaces.
struct Readers {
    readers: Vec<Reader>,
    /// Where it was in those that are not granted any more. They may be again: then it goes on from there.
    withdrawn: BTreeMap<String, Place>,
    /// How many changes its cursor says are left, where it knows all of its spaces.
    left: Option<u64>,
}

struct Page {
    changes: Vec<Record>,
    limit: usize,
    bytes: usize,
    /// Whether there was more than it takes.
    more: bool,
}

impl Page {
    /// Takes a change, unless the page is full.
    fn take(&mut self, change: &Change) -> rusqlite::Result<bool> {
        let bytes = change.bytes();
        let is_first = self.changes.is_empty();
        if self.changes.len() == self.limit || !is_first && PAGE_BYTES_MAX < self.bytes + bytes {
            return Ok(false);
        }
        self.bytes += bytes;
        self.changes.push(change.on_wire()?);
        Ok(true)
    }
}

impl<'a> Snapshot<'a> {
    fn open(connection: &'a Connection) -> Result<Self, PullError> {
        let transaction = connection.unchecked_transaction()?;
        let (epoch, secret) = transaction
            .prepare_cached("SELECT epoch, secret FROM server WHERE id = 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self {
            transaction,
            epoch,
            secret,
        })
    }

    /// Where the reader is in each space, at its start in those that the cursor does not know.
    fn readers(&self, grant: &Grant, cursor: Option<&str>) -> Result<Readers, PullError> {
        let mut cursor = match cursor {
            None => Cursor::default(),
            Some(text) => self.genuine(text, grant)?,
        };
        let mut readers = Vec::new();
        let mut left = cursor.left;
        for space in grant.spaces() {
            let head = Head::load(&self.transaction, &space.stored)?;
            let place = match cursor.places.remove(&space.name) {
                Some(place) if place.known() < head.forgotten_version => {
                    return Err(PullError::Expired);
                }
                Some(place) => place,
                None => {
                    left = None;
                    Place {
                        seen: 0,
                        began: head.version,
                        boot: self.boot(&space, head.version)?,
                    }
                }
            };
            readers.push(Reader { space, head, place });
        }
        Ok(Readers {
            readers,
            withdrawn: cursor.places,
            left,
        })
    }

    /// Reads a cursor or place that this database gave.
    fn genuine(&self, text: &str, grant: &Grant) -> Result<Cursor, PullError> {
        let cursor = match Cursor::from_text(text, &self.secret, grant.subject()) {
            Ok(cursor) => cursor,
            Err(CursorError::Foreign { epoch }) if epoch == self.epoch => {
                return Err(PullError::Expired);
            }
            Err(CursorError::Foreign { .. } | CursorError::Malformed) => return Err(self.unknown()),
        };
        if cursor.epoch != self.epoch {
            return Err(PullError::EpochChanged {
                epoch: self.epoch.clone(),
                parted: self.parted(grant, &cursor)?,
            });
        }
        for (name, place) in &cursor.places {
            let space = grant.space(name);
            if space.map_or(Ok(true), |space| self.is_possible(&space, place))? {
                continue;
            }
            return Err(PullError::Restored {
                epoch: self.epoch.clone(),
                parted: self.parted(grant, &cursor)?,
            });
        }
        Ok(cursor)
    }

    /// What is said of a cursor that is none of this database's.
    fn unknown(&self) -> PullError {
        PullError::EpochChanged {
            epoch: self.epoch.clone(),
            parted: Parted::new(),
        }
    }

    /// Whether this database gave the place.
    fn is_possible(&self, space: &Space, place: &Place) -> rusqlite::Result<bool> {
        let known = place.known();
        let head = Head::load(&self.transaction, &space.stored)?;
        Ok(known <= head.version && self.boot(space, known)? == place.boot)
    }

    /// Where what the cursor's reader knows and what is here part: a start of the server goes one way,
    /// and a copy has the beginning of it. Nothing is said of a space where that start gave nothing.
    fn parted(&self, grant: &Grant, cursor: &Cursor) -> rusqlite::Result<Parted> {
        let mut parted = Parted::new();
        for (name, place) in &cursor.places {
            let Some(space) = grant.space(name) else {
                continue;
            };
            let last: Option<u64> = self
                .transaction
                .prepare_cached(
                    "SELECT coalesce(
                         (SELECT min(later.first_version) - 1 FROM space_boots AS later
                          WHERE later.space = its.space AND later.first_version > its.first_version),
                         (SELECT version FROM spaces WHERE space = its.space))
                     FROM space_boots AS its WHERE its.space = ?1 AND its.boot = ?2",
                )?
                .query_row((&space.stored, &place.boot), |row| row.get(0))
                .optional()?;
            parted.extend(last.map(|last| (name.clone(), last)));
        }
        Ok(parted)
    }

    /// The start of the server that gave a version.
    fn boot(&self, space: &Space, version: u64) -> rusqlite::Result<String> {
        boot(&self.transaction, &space.stored, version)
    }

    fn read(
        &self,
        space: &Space,
        head: Head,
        place: &mut Place,
        page: &mut Page,
    ) -> rusqlite::Result<()> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT table_name, rid, version, hlc, client, doc FROM records
             WHERE space = ?1 AND version > ?2 ORDER BY version",
        )?;
        let mut rows = statement.query((&space.stored, place.seen))?;
        let mut seen = place.seen;
        while let Some(row) = rows.next()? {
            let change = Change::read(&space.name, row)?;
            if !page.take(&change)? {
                page.more = true;
                return self.advance(space, place, seen);
            }
            seen = change.version;
        }
        self.advance(space, place, head.version)
    }

    /// How many changes the readers have not had yet.
    fn count(&self, readers: &[Reader]) -> rusqlite::Result<u64> {
        let mut statement = self
            .transaction
            .prepare_cached("SELECT count(*) FROM records WHERE space = ?1 AND version > ?2")?;
        let mut sum = 0;
        for Reader { space, place, .. } in readers {
            let count: u64 = statement.query_row((&space.stored, place.seen), |row| row.get(0))?;
            sum += count;
        }
        Ok(sum)
    }

    fn advance(&self, space: &Space, place: &mut Place, seen: u64) -> rusqlite::Result<()> {
        if place.known() < seen {
            place.boot = self.boot(space, seen)?;
        }
        place.seen = seen;
        Ok(())
    }

    fn cursor(
        &self,
        grant: &Grant,
        readers: Vec<Reader>,
        withdrawn: BTreeMap<String, Place>,
        left: Option<u64>,
    ) -> Result<String, PullError> {
        // No more than a token can name, and the own one.
        let room = (SPACES_MAX + 1).saturating_sub(readers.len());
        let places = readers
            .into_iter()
            .map(|reader| (reader.space.name, reader.place));
        let cursor = Cursor {
            epoch: self.epoch.clone(),
            places: places.chain(withdrawn.into_iter().take(room)).collect(),
            left,
        };
        let text = cursor.to_text(&self.secret, grant.subject());
        text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)).into())
    }
}

/// A row of a page.
struct Change {
    space: String,
    table: String,
    rid: String,
    version: u64,
    hlc: String,
    client: String,
    doc: Option<String>,
}

impl Change {
    fn read(space: &str, row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            space: space.to_owned(),
            table: row.get(0)?,
            rid: row.get(1)?,
            version: row.get(2)?,
            hlc: row.get(3)?,
            client: row.get(4)?,
            doc: row.get(5)?,
        })
    }

    fn bytes(&self) -> usize {
        let names = self.space.len() + self.table.len() + self.rid.len();
        CHANGE_BYTES + names + self.doc.as_ref().map_or(0, String::len)
    }

    fn on_wire(&self) -> rusqlite::Result<Record> {
        Ok(Record {
            space: self.space.clone(),
            table: self.table.clone(),
            rid: self.rid.clone(),
            version: self.version,
            hlc: self.hlc.clone(),
            client: self.client.clone(),
            deleted: self.doc.is_none(),
            value: self.doc.clone().map(|doc| raw(5, doc)).transpose()?,
        })
    }
}
