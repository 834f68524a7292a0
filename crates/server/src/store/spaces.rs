//! The spaces: their gap-free sequence of versions, and whose a client is.

use rusqlite::{Connection, OptionalExtension};

use super::Identity;

/// The name under which a user's own space is stored.
#[must_use]
pub fn own_space(subject: &str) -> String {
    format!("~{subject}")
}

/// Binds `client` to `space` at its first use. False when it is another user's (SEC7).
pub(super) fn claim_client(
    connection: &Connection,
    client: &str,
    space: &str,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let owner: Option<String> = connection
        .prepare_cached("SELECT space FROM clients WHERE client = ?1")?
        .query_row([client], |row| row.get(0))
        .optional()?;
    if let Some(owner) = owner {
        return Ok(owner == space);
    }
    connection
        .prepare_cached("INSERT INTO clients (client, space, created_at) VALUES (?1, ?2, ?3)")?
        .execute((client, space, now_ms))?;
    Ok(true)
}

/// The sequence of one space while a push is applied. The caller holds the write transaction, so
/// that nobody else can give a version in between.
pub(super) struct Sequence<'a> {
    space: &'a str,
    before: u64,
    latest: u64,
}

impl<'a> Sequence<'a> {
    /// Reads the latest version of `space`; 0 when it has none.
    pub(super) fn load(connection: &Connection, space: &'a str) -> rusqlite::Result<Self> {
        let before = connection
            .prepare_cached("SELECT version FROM spaces WHERE space = ?1")?
            .query_row([space], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        Ok(Self {
            space,
            before,
            latest: before,
        })
    }

    /// The next version.
    pub(super) fn next(&mut self) -> u64 {
        self.latest += 1;
        self.latest
    }

    /// Writes the latest version, and the first one that this start of the server gave.
    pub(super) fn store(
        self,
        connection: &Connection,
        identity: &Identity,
    ) -> rusqlite::Result<()> {
        if self.latest == self.before {
            return Ok(());
        }
        connection
            .prepare_cached(
                "INSERT INTO space_boots (space, boot, first_version) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
            )?
            .execute((self.space, &identity.boot, self.before + 1))?;
        connection
            .prepare_cached(
                "INSERT INTO spaces (space, version) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET version = excluded.version",
            )?
            .execute((self.space, self.latest))?;
        Ok(())
    }
}
