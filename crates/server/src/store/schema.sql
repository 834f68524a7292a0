-- Version 3. `space` stands first in every key: it is also the shard key on a distributed database.

-- One row: what this database is. `secret` signs cursors; it goes with every copy of the database, so
-- that a restored copy knows the cursors that it gave before.
CREATE TABLE server (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,
    secret BLOB NOT NULL
) STRICT;

-- One row per start of the server.
CREATE TABLE boots (
    boot TEXT PRIMARY KEY,
    started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The gap-free sequence of each space: the version of its latest change. Of its tombstones those up to
-- `forgotten_version` may be gone; their clocks were all before `forgotten_until`.
CREATE TABLE spaces (
    space TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    forgotten_version INTEGER NOT NULL DEFAULT 0,
    forgotten_until INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The first version that each start of the server gave in each space.
CREATE TABLE space_boots (
    space TEXT NOT NULL,
    first_version INTEGER NOT NULL,
    boot TEXT NOT NULL,
    PRIMARY KEY (space, first_version),
    UNIQUE (space, boot)
) STRICT, WITHOUT ROWID;

-- Whose a client is, since its first push.
CREATE TABLE clients (
    client TEXT PRIMARY KEY,
    space TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Of the operations of a client's incarnation, those up to `forgotten` may have come and be gone from
-- `operations`.
CREATE TABLE incarnations (
    client TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    forgotten INTEGER NOT NULL,
    PRIMARY KEY (client, incarnation)
) STRICT, WITHOUT ROWID;

-- The records; `doc` is the value's wire form as JSON text, NULL when deleted. `hlc` is the latest
-- clock of its changes, `client` made the last one. `fields` says when and by whom each field was last
-- written; NULL where that is the record's own version, hlc and client for all of them.
CREATE TABLE records (
    space TEXT NOT NULL,
    table_name TEXT NOT NULL,
    rid TEXT NOT NULL,
    doc TEXT,
    version INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    hlc TEXT NOT NULL,
    client TEXT NOT NULL,
    fields TEXT,
    PRIMARY KEY (space, table_name, rid)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX records_by_version ON records (space, version);
CREATE INDEX tombstones ON records (updated_at) WHERE deleted;

-- The outcome of each operation, so that it has its effect once however often it arrives. `space`
-- is the own space of the client's user; `target` is the one that the operation was for, by its name on
-- the wire: NULL in rows of version 2.
CREATE TABLE operations (
    space TEXT NOT NULL,
    client TEXT NOT NULL,
    op TEXT NOT NULL,
    hash TEXT NOT NULL,
    verdict TEXT NOT NULL,
    version INTEGER,
    code TEXT,
    at INTEGER NOT NULL,
    target TEXT,
    PRIMARY KEY (space, client, op)
) STRICT, WITHOUT ROWID;

CREATE INDEX operations_by_time ON operations (at);

-- What was resolved without asking, a row for each field ('' for the record as a whole). `n` counts
-- within the space. `local` is what the operation wrote, `remote` what the server had; NULL for none.
CREATE TABLE audit (
    space TEXT NOT NULL,
    n INTEGER NOT NULL,
    at INTEGER NOT NULL,
    table_name TEXT NOT NULL,
    rid TEXT NOT NULL,
    base INTEGER NOT NULL,
    version INTEGER NOT NULL,
    field TEXT NOT NULL,
    strategy TEXT NOT NULL,
    winner TEXT NOT NULL,
    subject TEXT NOT NULL,
    op TEXT NOT NULL,
    client TEXT NOT NULL,
    hlc TEXT NOT NULL,
    local TEXT,
    remote_client TEXT NOT NULL,
    remote_hlc TEXT NOT NULL,
    remote TEXT,
    PRIMARY KEY (space, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_record ON audit (space, table_name, rid);
CREATE INDEX audit_by_time ON audit (at);

-- Large values, by the SHA-256 of their bytes. Bytes are appended to `received`; `complete` once the
-- hash was verified.
CREATE TABLE blobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    space TEXT NOT NULL,
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    received INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (space, hash)
) STRICT;

CREATE INDEX incomplete_blobs ON blobs (updated_at) WHERE NOT complete;

CREATE TABLE blob_chunks (
    blob INTEGER NOT NULL REFERENCES blobs (id),
    start INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (blob, start)
) STRICT;
