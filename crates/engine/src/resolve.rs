//! What becomes of a held operation once it is decided: by a strategy, by the app's function, or by
//! a person (DESIGN section 8).

use tidesync_protocol::hash::FieldHasher;
use tidesync_protocol::json::ObjectWriter;

use crate::apply::{Here, Taker, local_values, tails};
use crate::database::{Change, Database};
use crate::interface::{Call, Choice, Chosen, Now, Prepared, RecordValue, Write};
use crate::overlay::{Before, Outcome, Replaced, overlay};
use crate::remote::Remote;
use crate::staged::Held;

/// A decision about a held operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) op: String,
    pub(crate) choice: Choice,
    /// Who decided, for the history.
    pub(crate) by: &'static str,
    /// The server's record that it was about, where no other will do.
    pub(crate) against: Option<String>,
    /// The app's call that is answered.
    pub(crate) call: Option<Call>,
}

impl Decision {
    /// Works out the transaction. The record's page is in memory, and `prepared` has its value.
    /// Tells besides whether the server is to be asked for the record.
    pub(crate) fn change(
        &self,
        held: &Held,
        database: &Database,
        remote: Option<&Remote>,
        prepared: &Prepared,
        now: Now,
    ) -> (Change, bool) {
        let mut change = Change::new(database);
        let mut hasher = FieldHasher::trusting(database.meta.hash_key());
        let record = held.record();
        let local = local_values(std::slice::from_ref(&record), prepared, &mut hasher);
        let here = local.get(&record).unwrap_or(&Here::Gone);
        let mut deciding = Deciding {
            taker: Taker {
                database,
                change: &mut change,
                now,
                restores: false,
                asked: false,
                spaces: "",
            },
            held,
            asks: false,
        };
        match (&self.choice, remote) {
            (Choice::Local, Some(remote)) => deciding.send_local(remote, here, &mut hasher),
            (Choice::Local, None) => deciding.append(matches!(here, Here::Gone)),
            (Choice::Remote, Some(remote)) => deciding.take_remote(remote, here, &mut hasher),
            (Choice::Remote, None) => deciding.discard(),
            (Choice::Value(chosen), remote) => deciding.send_chosen(chosen, remote, &mut hasher),
        }
        let asks = deciding.asks;
        change.released.push(held.op.clone());
        change
            .history
            .extend(remote.map(|remote| self.history((held, database), remote, now)));
        change.tails = tails(database, std::iter::once(held.table.clone()));
        (change, asks)
    }

    fn history(&self, (held, database): (&Held, &Database), remote: &Remote, now: Now) -> String {
        let took = match &self.choice {
            Choice::Local => "local",
            Choice::Remote => "remote",
            Choice::Value(_) => "value",
        };
        let mut entry = ObjectWriter::default();
        entry.whole("at", now.wall_ms);
        entry.text("user", database.meta.user_of(held.owner));
        entry.text("table", &held.table);
        entry.text("lid", &held.lid);
        entry.text("by", self.by);
        entry.whole("base", held.base);
        entry.whole("version", remote.version);
        entry.text("took", took);
        entry.json("remote", remote.value.as_deref().unwrap_or("null"));
        entry.finish()
    }
}

struct Deciding<'a, 'b> {
    taker: Taker<'a, 'b>,
    held: &'a Held,
    /// Whether the server is to be asked for the record.
    asks: bool,
}

impl Deciding<'_, '_> {
    /// A change of the record is sent, on what the server has now.
    fn append(&mut self, delete: bool) {
        let Held {
            owner, table, lid, ..
        } = self.held;
        let (database, now) = (self.taker.database, self.taker.now);
        self.taker
            .change
            .append(database, *owner, table, lid, now, delete);
    }

    fn send_local(&mut self, remote: &Remote, here: &Here<'_>, hasher: &mut FieldHasher) {
        let (outcome, replaced) = self.outcome(remote, here, hasher);
        self.taker.store(remote, &self.held.lid, &outcome);
        self.advance_to(remote, replaced, hasher);
        self.append(matches!(here, Here::Gone));
    }

    /// What the app has written since goes on to stand.
    fn take_remote(&mut self, remote: &Remote, here: &Here<'_>, hasher: &mut FieldHasher) {
        let pending = self.taker.is_pending(&self.held.table, &self.held.lid);
        let (outcome, replaced) = if pending {
            self.outcome(remote, here, hasher)
        } else {
            (Outcome::Remote, None)
        };
        let Held { table, lid, .. } = self.held;
        self.taker.store(remote, lid, &outcome);
        self.taker.outdate(table, lid, replaced.as_deref());
        self.advance_to(remote, replaced, hasher);
    }

    fn advance_to(
        &mut self,
        remote: &Remote,
        replaced: Option<Replaced>,
        hasher: &mut FieldHasher,
    ) {
        let lid = &self.held.lid;
        self.taker
            .advance_to(remote, lid, replaced.as_deref(), hasher);
    }

    /// What becomes of the app's record, and which of its fields are replaced.
    fn outcome(
        &self,
        remote: &Remote,
        here: &Here<'_>,
        hasher: &mut FieldHasher,
    ) -> (Outcome, Option<Replaced>) {
        let database = self.taker.database;
        let id = database.page_id(&self.held.table, &self.held.lid);
        let theirs = remote
            .value
            .as_ref()
            .map(|value| hasher.field_hashes(value.as_bytes()));
        match (here, database.page(&id), theirs) {
            (Here::Value(ours), Some(page), Some(Ok(theirs))) => {
                let before = Before {
                    page,
                    lid: &self.held.lid,
                    all: false,
                    removes: false,
                };
                let (outcome, replaced) = overlay(before, ours, &theirs);
                (outcome, Some(replaced))
            }
            _ => (Outcome::Kept, None),
        }
    }

    fn send_chosen(&mut self, chosen: &Chosen, remote: Option<&Remote>, hasher: &mut FieldHasher) {
        let (table, lid) = (self.held.table.clone(), self.held.lid.clone());
        self.taker.change.records.push(match &chosen.value {
            Some(text) => Write::PutRecord {
                table,
                lid,
                value: RecordValue::Text { text: text.clone() },
            },
            None => Write::DeleteRecord { table, lid },
        });
        if let Some(remote) = remote {
            self.advance_to(remote, None, hasher);
        }
        self.append(chosen.value.is_none());
    }

    /// The change is given up. What the server has is asked for by a patch that changes nothing;
    /// what it never had goes.
    fn discard(&mut self) {
        let Held { table, lid, .. } = self.held;
        let database = self.taker.database;
        let page = database.page(&database.page_id(table, lid));
        let entry = page
            .and_then(|page| page.get(lid))
            .filter(|entry| entry.is_alive());
        match entry {
            Some(_) => self.asks = true,
            None => self.taker.change.records.push(Write::DeleteRecord {
                table: table.clone(),
                lid: lid.clone(),
            }),
        }
    }
}
