-- Version 1. `space` stands first in every key: it is also the shard key on a distributed database.

-- One row: what this database is.
CREATE TABLE server (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL
) STRICT;

-- One row per start of the server.
CREATE TABLE boots (
    boot TEXT PRIMARY KEY,
    started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The gap-free sequence of each space: the version of its latest change.
CREATE TABLE spaces (
    space TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The first version that each start of the server gave in each space.
CREATE TABLE space_boots (
    space TEXT NOT NULL,
    boot TEXT NOT NULL,
    first_version INTEGER NOT NULL,
    PRIMARY KEY (space, boot)
) STRICT, WITHOUT ROWID;

-- Whose a client is, since its first push.
CREATE TABLE clients (
    client TEXT PRIMARY KEY,
    space TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The records; `doc` is the value's wire form as JSON text, NULL when deleted.
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
    PRIMARY KEY (space, table_name, rid)
) STRICT, WITHOUT ROWID;

-- The outcome of each operation, so that it has its effect once however often it arrives. `space`
-- is the own space of the client's user, whichever space the operation was for.
CREATE TABLE operations (
    space TEXT NOT NULL,
    client TEXT NOT NULL,
    op TEXT NOT NULL,
    hash TEXT NOT NULL,
    verdict TEXT NOT NULL,
    version INTEGER,
    code TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (space, client, op)
) STRICT, WITHOUT ROWID;
