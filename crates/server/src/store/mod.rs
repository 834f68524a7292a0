//! The SQLite store: opening it, and what is done with it: applying pushes ([`apply_push`]) and reading
//! what has changed ([`pull`](fn@pull)). Nothing here knows HTTP, a clock or threads: time is a
//! parameter, and whoever calls holds the connection.

mod apply;
mod audit;
mod blobs;
mod cursor;
mod document;
mod fields;
mod marks;
mod operations;
mod pull;
mod records;
mod resolve;
mod retention;
mod spaces;

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

pub use apply::{ApplyError, Pushed, apply_push};
pub use audit::{AUDIT_LIMIT_MAX, AuditEntry, AuditError, AuditFilter, AuditPage, audit};
pub use blobs::{
    Appended, BlobError, BlobLimits, BlobPart, BlobProgress, CHUNK_BYTES_MAX, Chunk, append_blob,
    blob_digest, blob_progress, finish_blob, read_blob,
};
pub use pull::{LIMIT_MAX, PAGE_BYTES_MAX, Parted, PullError, check_place, head, pull};
pub use retention::forget;

use crate::random::{RandomError, random_bytes, random_id};

/// The oldest SQLite that keeps every committed write in WAL mode (F44).
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// The version of [`SCHEMA`], kept in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 3;
const SCHEMA: &str = include_str!("schema.sql");

/// What makes a database of version 2 one of version 3.
const FROM_2: &str = "ALTER TABLE operations ADD COLUMN target TEXT";

/// Prepared statements that are kept: more than the store has.
const STATEMENTS_MAX: usize = 64;

/// What a server is, in its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Changes when the database was restored from an older copy.
    pub epoch: String,
    /// This start of the server.
    pub boot: String,
}

/// What a start of the server brings along: random texts and bytes, and the time.
#[derive(Debug, Clone)]
pub struct Start {
    /// Names the database's history, if it is new.
    pub epoch: String,
    /// Names this start.
    pub boot: String,
    /// Signs cursors, if the database is new.
    pub secret: [u8; 32],
    /// The wall clock, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Start {
    /// With random names.
    ///
    /// # Errors
    /// [`RandomError`] when the operating system has no random bytes.
    pub fn random(now_ms: i64) -> Result<Self, RandomError> {
        Ok(Self {
            epoch: random_id()?,
            boot: random_id()?,
            secret: random_bytes()?,
            now_ms,
        })
    }
}

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The linked SQLite is older than [`SQLITE_VERSION_MIN`].
    #[error("SQLite {found} may lose committed writes; {SQLITE_VERSION_MIN} or later is needed")]
    OldSqlite {
        /// What is linked.
        found: i32,
    },
    /// The database was written by a later version of the server.
    #[error("the database has format {found}; this server knows formats up to {SCHEMA_VERSION}")]
    NewerSchema {
        /// The database's format.
        found: i64,
    },
    /// The database was written before the first release.
    #[error("the database has format {found}, of before the first release; begin with a new one")]
    OldSchema {
        /// The database's format.
        found: i64,
    },
    /// The database does not take the write-ahead log, for example on a network file system.
    #[error("the database cannot use a write-ahead log (journal mode: {mode})")]
    NoWal {
        /// The journal mode that it has.
        mode: String,
    },
    /// SQLite refused.
    #[error("the database cannot be opened: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Opens the database at `path`, makes it if there is none, and records this start.
///
/// # Errors
/// [`OpenError`] says what is wrong with the database or the SQLite library.
pub fn open(
    path: &Path,
    busy_timeout: Duration,
    start: &Start,
) -> Result<(Connection, Identity), OpenError> {
    check_version(rusqlite::version_number())?;
    let mut connection = Connection::open(path)?;
    prepare(&connection, busy_timeout)?;
    let identity = restart(&mut connection, start)?;
    Ok((connection, identity))
}

/// Opens a further connection to the database at `path`, which reads only.
///
/// # Errors
/// SQLite refused.
pub fn open_reader(path: &Path, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(busy_timeout)?;
    keep_statements(&connection)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Makes a database in memory, for simulations and tests.
///
/// # Errors
/// SQLite refused.
pub fn open_in_memory(start: &Start) -> Result<(Connection, Identity), OpenError> {
    let mut connection = Connection::open_in_memory()?;
    keep_statements(&connection)?;
    let identity = restart(&mut connection, start)?;
    Ok((connection, identity))
}

fn check_version(found: i32) -> Result<(), OpenError> {
    if found < SQLITE_VERSION_MIN {
        return Err(OpenError::OldSqlite { found });
    }
    Ok(())
}

/// An answer promises that the write survives a power loss, hence `synchronous=FULL` (F43).
fn prepare(connection: &Connection, busy_timeout: Duration) -> Result<(), OpenError> {
    connection.busy_timeout(busy_timeout)?;
    keep_statements(connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::NoWal { mode });
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(())
}

/// Statements are kept with their plans, which without the option are made anew where a bound value
/// is another: <https://sqlite.org/queryplanner-ng.html#qpstab>.
fn keep_statements(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Begins a start of the server on a database that is open: every start names itself, so that a
/// cursor tells by whom it was given.
///
/// # Errors
/// The database is of another format, or SQLite refused.
pub fn restart(connection: &mut Connection, start: &Start) -> Result<Identity, OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => transaction.execute_batch(SCHEMA)?,
        2 => transaction.execute_batch(FROM_2)?,
        SCHEMA_VERSION => {}
        found if found < SCHEMA_VERSION => return Err(OpenError::OldSchema { found }),
        found => return Err(OpenError::NewerSchema { found }),
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    let known: Option<String> = transaction
        .query_row("SELECT epoch FROM server WHERE id = 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    let epoch = if let Some(known) = known {
        known
    } else {
        transaction.execute(
            "INSERT INTO server (id, epoch, secret) VALUES (1, ?1, ?2)",
            (&start.epoch, start.secret),
        )?;
        start.epoch.clone()
    };
    transaction.execute(
        "INSERT INTO boots (boot, started_at) VALUES (?1, ?2)",
        (&start.boot, start.now_ms),
    )?;
    transaction.commit()?;
    Ok(Identity {
        epoch,
        boot: start.boot.clone(),
    })
}

/// Gives the database the epoch `fresh` in place of `seen`, which a restore has ended. Nothing happens
/// when that was done already.
///
/// # Errors
/// SQLite refused; nothing was done.
pub fn renew_epoch(
    connection: &Connection,
    identity: &mut Identity,
    seen: &str,
    fresh: &str,
) -> rusqlite::Result<()> {
    let changed = connection.execute(
        "UPDATE server SET epoch = ?2 WHERE id = 1 AND epoch = ?1",
        (seen, fresh),
    )?;
    if changed > 0 {
        fresh.clone_into(&mut identity.epoch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_sqlite_is_new_enough_and_an_older_one_is_refused() {
        assert!(check_version(rusqlite::version_number()).is_ok());
        assert!(matches!(
            check_version(SQLITE_VERSION_MIN - 1),
            Err(OpenError::OldSqlite { found: 3_051_002 })
        ));
    }

    fn start(epoch: &str, boot: &str) -> Start {
        Start {
            epoch: epoch.to_owned(),
            boot: boot.to_owned(),
            secret: [7; 32],
            now_ms: 1,
        }
    }

    #[test]
    fn the_epoch_stays_and_each_start_is_recorded() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.db");
        let (_, first) = open(&path, Duration::ZERO, &start("e1", "b1"))?;
        let (connection, second) = open(&path, Duration::ZERO, &start("e2", "b2"))?;
        assert_eq!((first.epoch.as_str(), first.boot.as_str()), ("e1", "b1"));
        assert_eq!((second.epoch.as_str(), second.boot.as_str()), ("e1", "b2"));
        let boots: i64 =
            connection.query_row("SELECT count(*) FROM boots", [], |row| row.get(0))?;
        assert_eq!(boots, 2);
        Ok(())
    }

    #[test]
    fn a_database_of_the_format_before_is_brought_up_to_date()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.db");
        let (connection, _) = open(&path, Duration::ZERO, &start("e1", "b1"))?;
        let columns = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
            let mut statement =
                connection.prepare("SELECT name FROM pragma_table_info('operations')")?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect()
        };
        let now = columns(&connection)?;
        connection.execute_batch("ALTER TABLE operations DROP COLUMN target")?;
        connection.pragma_update(None, "user_version", 2)?;
        for boot in ["b2", "b3"] {
            let (connection, identity) = open(&path, Duration::ZERO, &start("e2", boot))?;
            assert_eq!(
                (identity.epoch.as_str(), columns(&connection)?),
                ("e1", now.clone())
            );
        }
        Ok(())
    }

    #[test]
    fn a_database_of_another_format_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.db");
        let (connection, _) = open(&path, Duration::ZERO, &start("e1", "b1"))?;
        let open_as = |format: i64| -> Result<_, OpenError> {
            connection.pragma_update(None, "user_version", format)?;
            open(&path, Duration::ZERO, &start("e1", "b2"))
        };
        assert!(matches!(
            open_as(99),
            Err(OpenError::NewerSchema { found: 99 })
        ));
        assert!(matches!(open_as(1), Err(OpenError::OldSchema { found: 1 })));
        assert!(open_as(SCHEMA_VERSION).is_ok());
        Ok(())
    }
}
