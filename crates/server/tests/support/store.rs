//! A store that is driven without HTTP, threads or a clock.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value, json};
use tidesync_protocol::wire::{PullResponse, VerdictEntry};
use tidesync_server::access::Grant;
use tidesync_server::push::read;
use tidesync_server::store::{
    ApplyError, Identity, PullError, Start, apply_push, open_in_memory, pull,
};

use super::ops::{client, push};

/// A store with one user, alice.
pub(crate) struct Store {
    pub(crate) connection: Connection,
    pub(crate) identity: Identity,
    /// The wall clock.
    pub(crate) now_ms: i64,
}

impl Store {
    pub(crate) fn new() -> Self {
        let start = Start {
            epoch: "epoch".to_owned(),
            boot: "boot".to_owned(),
            secret: [1; 32],
            now_ms: 1,
        };
        let (connection, identity) = open_in_memory(&start).expect("a store");
        Self {
            connection,
            identity,
            now_ms: 1_000,
        }
    }

    pub(crate) fn grant(&self) -> Grant {
        Grant::new("alice", BTreeMap::new()).expect("a good name")
    }

    pub(crate) fn try_push(
        &self,
        letter: char,
        ops: &[Value],
    ) -> Result<Vec<VerdictEntry>, ApplyError> {
        self.try_push_as(&self.grant(), letter, ops)
    }

    fn try_push_as(
        &self,
        grant: &Grant,
        letter: char,
        ops: &[Value],
    ) -> Result<Vec<VerdictEntry>, ApplyError> {
        let body = push(&client(letter), "alice", "b", ops);
        let push = read(&body, grant, None).expect("a push");
        let transaction = self.connection.unchecked_transaction()?;
        let pushed = apply_push(&transaction, &self.identity, push, self.now_ms)?;
        transaction.commit()?;
        Ok(pushed.verdicts)
    }

    /// Pushes with what `grant` grants besides.
    pub(crate) fn push_as(&self, grant: &Grant, letter: char, ops: &[Value]) -> Vec<VerdictEntry> {
        self.try_push_as(grant, letter, ops).expect("applied")
    }

    pub(crate) fn push(&self, letter: char, ops: &[Value]) -> Vec<VerdictEntry> {
        self.try_push(letter, ops).expect("applied")
    }

    /// The verdict on one operation: its name and the record that comes with it, null for a tombstone.
    pub(crate) fn said(&self, letter: char, op: Value) -> Value {
        let verdicts = self.push(letter, &[op]);
        let entry = serde_json::to_value(&verdicts[0]).expect("JSON");
        match entry.get("record") {
            Some(record) => json!([entry["verdict"], record["value"]]),
            None => entry["verdict"].clone(),
        }
    }

    pub(crate) fn pull(
        &self,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<PullResponse, PullError> {
        pull(&self.connection, &self.grant(), cursor, limit)
    }

    pub(crate) fn count(&self, table: &str) -> u64 {
        let query = format!("SELECT count(*) FROM {table}");
        let counted = self.connection.query_row(&query, [], |row| row.get(0));
        counted.expect("a count")
    }
}
