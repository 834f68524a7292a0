//! Large values' bytes, by their SHA-256, kept for each space. They arrive in chunks, one behind the
//! other; a blob counts as soon as it is whole and has the hash that it is named by. Nothing removes one
//! that no record names any more.

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

/// Most bytes of a chunk.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// How large blobs may be.
#[derive(Debug, Clone, Copy)]
pub struct BlobLimits {
    /// Most bytes of a blob.
    pub blob_bytes_max: u64,
    /// Most bytes of all blobs of a space, the incomplete ones with the size that they will have.
    pub space_bytes_max: u64,
}

/// How much of a blob is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobProgress {
    /// Its first bytes that are there.
    pub received: u64,
    /// Whether it is whole, and its hash was verified.
    pub complete: bool,
}

/// A chunk was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// This much is there.
    Progress(BlobProgress),
    /// All is there, and to be verified: [`blob_digest`] and then [`finish_blob`] with this number.
    Whole(i64),
}

/// A chunk was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The blob goes on at another place.
    #[error("the blob goes on at byte {received}")]
    WrongOffset {
        /// At which.
        received: u64,
    },
    /// The chunk is too long, or longer than what is left of the blob.
    #[error("the chunk is longer than what is left of the blob")]
    TooLong,
    /// The blob is larger than a blob may be.
    #[error("the blob is too large")]
    BlobTooLarge,
    /// The space has no room for it.
    #[error("the space has no room for the blob")]
    SpaceFull,
    /// The same bytes cannot have two sizes.
    #[error("the blob has another size")]
    OtherSize,
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// A chunk of a blob.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The space, as it is stored.
    pub space: String,
    /// The blob: the SHA-256 of its bytes, as 43 base64url characters.
    pub hash: String,
    /// How many bytes the blob has.
    pub size: u64,
    /// Where in the blob the chunk begins.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

struct Row {
    id: i64,
    size: u64,
    received: u64,
    complete: bool,
}

impl Row {
    fn find(connection: &Connection, space: &str, hash: &str) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(
                "SELECT id, size, received, complete FROM blobs WHERE space = ?1 AND hash = ?2",
            )?
            .query_row((space, hash), |row| {
                Ok(Self {
                    id: row.get(0)?,
                    size: row.get(1)?,
                    received: row.get(2)?,
                    complete: row.get(3)?,
                })
            })
            .optional()
    }

    fn progress(&self) -> BlobProgress {
        BlobProgress {
            received: self.received,
            complete: self.complete,
        }
    }
}

/// How much of a blob is there in the space that is stored as `space`.
///
/// # Errors
/// SQLite refused.
pub fn blob_progress(
    connection: &Connection,
    space: &str,
    hash: &str,
) -> rusqlite::Result<BlobProgress> {
    let row = Row::find(connection, space, hash)?;
    let nothing = BlobProgress {
        received: 0,
        complete: false,
    };
    Ok(row.map_or(nothing, |row| row.progress()))
}

/// The size of a blob that is complete; none where it is not.
pub(super) fn complete_size(
    connection: &Connection,
    space: &str,
    hash: &str,
) -> rusqlite::Result<Option<u64>> {
    let row = Row::find(connection, space, hash)?;
    Ok(row.filter(|row| row.complete).map(|row| row.size))
}

/// Takes a chunk. The caller holds a write transaction. `now_ms` is the wall clock.
///
/// # Errors
/// [`BlobError`]; nothing was done.
pub fn append_blob(
    connection: &Connection,
    chunk: &Chunk,
    limits: BlobLimits,
    now_ms: i64,
) -> Result<Appended, BlobError> {
    let row = match Row::find(connection, &chunk.space, &chunk.hash)? {
        None => begin(connection, chunk, limits, now_ms)?,
        Some(row) if row.size == chunk.size => row,
        Some(row) if row.complete => return Err(BlobError::OtherSize),
        // Whoever began it said something else; neither is known to be right.
        Some(row) if chunk.offset == 0 => {
            remove(connection, row.id)?;
            begin(connection, chunk, limits, now_ms)?
        }
        // What is there is of the other size, and no beginning of this one.
        Some(_) => return Err(BlobError::WrongOffset { received: 0 }),
    };
    if row.complete {
        return Ok(Appended::Progress(row.progress()));
    }
    if row.received != chunk.offset {
        let received = row.received;
        return Err(BlobError::WrongOffset { received });
    }
    write(connection, &row, chunk, now_ms)
}

fn begin(
    connection: &Connection,
    chunk: &Chunk,
    limits: BlobLimits,
    now_ms: i64,
) -> Result<Row, BlobError> {
    if chunk.offset != 0 {
        return Err(BlobError::WrongOffset { received: 0 });
    }
    if limits.blob_bytes_max < chunk.size {
        return Err(BlobError::BlobTooLarge);
    }
    let taken: u64 = connection
        .prepare_cached("SELECT coalesce(sum(size), 0) FROM blobs WHERE space = ?1")?
        .query_row([&chunk.space], |row| row.get(0))?;
    if limits.space_bytes_max < taken.saturating_add(chunk.size) {
        return Err(BlobError::SpaceFull);
    }
    connection
        .prepare_cached(
            "INSERT INTO blobs (space, hash, size, received, complete, updated_at)
             VALUES (?1, ?2, ?3, 0, 0, ?4)",
        )?
        .execute((&chunk.space, &chunk.hash, chunk.size, now_ms))?;
    Ok(Row {
        id: connection.last_insert_rowid(),
        size: chunk.size,
        received: 0,
        complete: false,
    })
}

fn write(
    connection: &Connection,
    row: &Row,
    chunk: &Chunk,
    now_ms: i64,
) -> Result<Appended, BlobError> {
    let length = u64::try_from(chunk.bytes.len()).map_err(|_| BlobError::TooLong)?;
    let received = row.received + length;
    if CHUNK_BYTES_MAX < chunk.bytes.len() || row.size < received {
        return Err(BlobError::TooLong);
    }
    if length > 0 {
        connection
            .prepare_cached("INSERT INTO blob_chunks (blob, start, bytes) VALUES (?1, ?2, ?3)")?
            .execute((row.id, row.received, &chunk.bytes))?;
        connection
            .prepare_cached("UPDATE blobs SET received = ?2, updated_at = ?3 WHERE id = ?1")?
            .execute((row.id, received, now_ms))?;
    }
    if received == row.size {
        return Ok(Appended::Whole(row.id));
    }
    Ok(Appended::Progress(BlobProgress {
        received,
        complete: false,
    }))
}

/// The SHA-256 of a blob's bytes. Bytes that are there never change, so that it may be taken beside the
/// writer.
///
/// # Errors
/// SQLite refused.
pub fn blob_digest(connection: &Connection, id: i64) -> rusqlite::Result<[u8; 32]> {
    let mut statement = connection
        .prepare_cached("SELECT bytes FROM blob_chunks WHERE blob = ?1 ORDER BY start")?;
    let mut rows = statement.query([id])?;
    let mut digest = Sha256::new();
    while let Some(row) = rows.next()? {
        digest.update(row.get_ref(0)?.as_blob()?);
    }
    Ok(digest.finalize().into())
}

/// Makes a blob complete, or removes one whose hash is not its own. False where it is not there any more.
///
/// # Errors
/// SQLite refused.
pub fn finish_blob(connection: &Connection, id: i64, is_good: bool) -> rusqlite::Result<bool> {
    if !is_good {
        remove(connection, id)?;
        return Ok(false);
    }
    let changed = connection
        .prepare_cached("UPDATE blobs SET complete = 1 WHERE id = ?1 AND received = size")?
        .execute([id])?;
    Ok(changed > 0)
}

pub(super) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM blob_chunks WHERE blob = ?1")?
        .execute([id])?;
    connection
        .prepare_cached("DELETE FROM blobs WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// A part of a blob.
#[derive(Debug)]
pub struct BlobPart {
    /// How many bytes the blob has.
    pub size: u64,
    /// Its bytes from the offset, at most [`CHUNK_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

/// Reads a complete blob from `offset`; none where there is none.
///
/// # Errors
/// SQLite refused.
pub fn read_blob(
    connection: &Connection,
    space: &str,
    hash: &str,
    offset: u64,
) -> rusqlite::Result<Option<BlobPart>> {
    let snapshot = connection.unchecked_transaction()?;
    let row = Row::find(&snapshot, space, hash)?;
    let Some(row) = row.filter(|row| row.complete) else {
        return Ok(None);
    };
    let most = u64::try_from(CHUNK_BYTES_MAX).unwrap_or(u64::MAX);
    let end = row.size.min(offset.saturating_add(most));
    let mut statement = snapshot.prepare_cached(
        "SELECT start, bytes FROM blob_chunks
         WHERE blob = ?1 AND start > ?2 AND start < ?3 ORDER BY start",
    )?;
    // No chunk is longer: those that begin earlier end before the offset.
    let earliest = i64::try_from(offset).unwrap_or(i64::MAX) - CHUNK_BYTES_MAX as i64;
    let mut rows = statement.query((row.id, earliest, end))?;
    let mut bytes = Vec::new();
    while let Some(found) = rows.next()? {
        let start: u64 = found.get(0)?;
        let chunk = found.get_ref(1)?.as_blob()?;
        let place = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
        let (from, to) = (place(offset).min(chunk.len()), place(end).min(chunk.len()));
        bytes.extend_from_slice(chunk.get(from..to).unwrap_or_default());
    }
    Ok(Some(BlobPart {
        size: row.size,
        bytes,
    }))
}
