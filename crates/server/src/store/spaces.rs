//! The spaces: their gap-free sequence of versions, and whose a client is.

use rusqlite::{Connection, OptionalExtension};
use tidesync_protocol::hlc::Hlc;

use super::Identity;
use super::cursor::Place;
use super::marks::{Mark, Marks};
use super::pull::boot;
use super::resolve::Stored;
use crate::access::Space;

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

/// Where a space stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The version of its latest change; 0 when it has none.
    pub(super) version: u64,
    /// Tombstones up to this version may be gone.
    pub(super) forgotten_version: u64,
    /// Their clocks were all before this time, in milliseconds since 1970.
    pub(super) forgotten_until: u64,
}

impl Head {
    pub(super) fn load(connection: &Connection, space: &str) -> rusqlite::Result<Self> {
        let head = connection
            .prepare_cached(
                "SELECT version, forgotten_version, forgotten_until FROM spaces WHERE space = ?1",
            )?
            .query_row([space], |row| {
                Ok(Self {
                    version: row.get(0)?,
                    forgotten_version: row.get(1)?,
                    forgotten_until: row.get(2)?,
                })
            })
            .optional()?;
        Ok(head.unwrap_or_default())
    }

    /// What stands for a record that a client had at `base` and that is not there: a tombstone that
    /// was forgotten, made as late as it can have been.
    pub(super) fn forgotten(&self, base: u64) -> Option<Stored> {
        let mark = Mark {
            version: self.forgotten_version,
            clock: Hlc::at(self.forgotten_until),
            client: String::new(),
        };
        (0 < base && base <= self.forgotten_version).then(|| Stored {
            doc: None,
            version: mark.version,
            clock: mark.clock,
            client: mark.client.clone(),
            marks: Marks::whole(mark),
        })
    }
}

/// A space while a push is applied. The caller holds the write transaction, so that nobody else can
/// give a version in between.
pub(super) struct Writing {
    pub(super) space: Space,
    pub(super) head: Head,
    before: u64,
}

impl Writing {
    pub(super) fn load(connection: &Connection, space: Space) -> rusqlite::Result<Self> {
        let head = Head::load(connection, &space.stored)?;
        Ok(Self {
            space,
            head,
            before: head.version,
        })
    }

    /// Where the space is after the push.
    pub(super) fn place(
        &self,
        connection: &Connection,
        identity: &Identity,
    ) -> rusqlite::Result<Place> {
        let version = self.head.version;
        let boot = if self.before < version {
            identity.boot.clone()
        } else {
            boot(connection, &self.space.stored, version)?
        };
        Ok(Place {
            seen: version,
            began: version,
            boot,
        })
    }

    /// Writes the latest version, and the first one that this start of the server gave. The space's
    /// name where it has changed.
    pub(super) fn store(
        self,
        connection: &Connection,
        identity: &Identity,
    ) -> rusqlite::Result<Option<String>> {
        let (space, latest) = (self.space.stored, self.head.version);
        if latest == self.before {
            return Ok(None);
        }
        connection
            .prepare_cached(
                "INSERT INTO space_boots (space, boot, first_version) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
            )?
            .execute((&space, &identity.boot, self.before + 1))?;
        connection
            .prepare_cached(
                "INSERT INTO spaces (space, version) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET version = excluded.version",
            )?
            .execute((&space, latest))?;
        Ok(Some(space))
    }
}
