//! The SQLite store: opening it, and applying pushes ([`apply_push`]).

mod apply;
mod operations;
mod patch;
mod records;
mod spaces;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

pub use apply::{ApplyError, apply_push};
pub use spaces::own_space;

/// The oldest SQLite that keeps every committed write in WAL mode (F44).
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// The version of [`SCHEMA`], kept in `PRAGMA user_version`.
const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");

/// Prepared statements that are kept: more than the store has.
const STATEMENTS_MAX: usize = 32;

/// What a server is, in its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Changes when the database was restored from an older copy.
    pub epoch: String,
    /// This start of the server.
    pub boot: String,
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

/// Opens the database at `path`, makes it if there is none, and records this start as `boot`.
/// `epoch` names the database if it is new. `now_ms` is the wall clock.
///
/// # Errors
/// [`OpenError`] says what is wrong with the database or the SQLite library.
pub fn open(
    path: &Path,
    busy_timeout: Duration,
    epoch: &str,
    boot: &str,
    now_ms: i64,
) -> Result<(Connection, Identity), OpenError> {
    check_version(rusqlite::version_number())?;
    let mut connection = Connection::open(path)?;
    prepare(&connection, busy_timeout)?;
    let identity = identify(&mut connection, epoch, boot, now_ms)?;
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
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
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

fn identify(
    connection: &mut Connection,
    epoch: &str,
    boot: &str,
    now_ms: i64,
) -> Result<Identity, OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        SCHEMA_VERSION => {}
        found => return Err(OpenError::NewerSchema { found }),
    }
    let known: Option<String> = transaction
        .query_row("SELECT epoch FROM server WHERE id = 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    let epoch = if let Some(known) = known {
        known
    } else {
        transaction.execute("INSERT INTO server (id, epoch) VALUES (1, ?1)", [epoch])?;
        epoch.to_owned()
    };
    transaction.execute(
        "INSERT INTO boots (boot, started_at) VALUES (?1, ?2)",
        (boot, now_ms),
    )?;
    transaction.commit()?;
    Ok(Identity {
        epoch,
        boot: boot.to_owned(),
    })
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

    #[test]
    fn the_epoch_stays_and_each_start_is_recorded() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.db");
        let (_, first) = open(&path, Duration::ZERO, "e1", "b1", 1)?;
        let (connection, second) = open(&path, Duration::ZERO, "e2", "b2", 2)?;
        assert_eq!((first.epoch.as_str(), first.boot.as_str()), ("e1", "b1"));
        assert_eq!((second.epoch.as_str(), second.boot.as_str()), ("e1", "b2"));
        let boots: i64 =
            connection.query_row("SELECT count(*) FROM boots", [], |row| row.get(0))?;
        assert_eq!(boots, 2);
        Ok(())
    }

    #[test]
    fn a_database_of_a_later_format_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.db");
        let (connection, _) = open(&path, Duration::ZERO, "e1", "b1", 1)?;
        connection.pragma_update(None, "user_version", 99)?;
        drop(connection);
        let again = open(&path, Duration::ZERO, "e1", "b2", 2);
        assert!(matches!(again, Err(OpenError::NewerSchema { found: 99 })));
        Ok(())
    }
}
