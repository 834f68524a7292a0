//! Deciding what becomes of held operations: by the table's strategy, by the app's function, or as
//! the app says.

use crate::config::{Config, Strategy};
use crate::database::Database;
use crate::interface::{
    Call, Choice, Chosen, Conflict, Effect, LogLevel, PageId, Prepared, PreparedValue, RecordName,
    Task,
};
use crate::references::{self, Reference};
use crate::remote::Remote;
use crate::resolve::Decision;
use crate::stage::{Makers, ask_for};
use crate::staged::Held;

use super::storage::damaged;
use super::{Engine, Step};

/// A decision under way.
#[derive(Debug, Clone)]
pub(super) struct Deciding {
    decision: Option<Decision>,
    held: Held,
    /// The app's call that is answered.
    call: Option<Call>,
    pages: Vec<PageId>,
}

/// What was asked of the app's function, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The conflicts that wait for its answer.
    waiting: Vec<(Task, String)>,
    /// The conflicts that it failed to decide; a person can.
    failed: Vec<String>,
    /// The conflicts that wait for a pull: the server's record names parents that are not here yet.
    pub(super) postponed: Vec<String>,
}

impl Engine {
    /// The app decides.
    pub(super) fn settle_held(&mut self, call: Call, op: &str, choice: Choice) {
        let held = self.own_held().find(|held| held.op == op).cloned();
        match held {
            Some(held) => self.decisions.push((
                Decision {
                    held,
                    choice,
                    by: "user",
                },
                Some(call),
            )),
            None => self.resolve(call, false),
        }
    }

    /// Begins the next decision; false where none is due.
    pub(super) fn decide_next(&mut self) -> bool {
        if self.session.user.is_none() {
            return false;
        }
        if !self.decisions.is_empty() {
            let (decision, call) = self.decisions.remove(0);
            let held = decision.held.clone();
            return self.fetch_for(held, Some(decision), call);
        }
        let Some((held, decision)) = self.next_automatic_decision() else {
            return false;
        };
        self.fetch_for(held, decision, None)
    }

    /// A conflict that nobody has to be asked about, or only the app's function.
    fn next_automatic_decision(&self) -> Option<(Held, Option<Decision>)> {
        let conflicts = self.own_held().filter(|held| held.remote.is_some());
        let mut due = conflicts.filter_map(|held| {
            if self.asked.postponed.contains(&held.op) {
                return None;
            }
            let strategy = self.config.strategy(&held.table);
            let choice = match strategy {
                Strategy::ClientPriority => Choice::Local,
                Strategy::ServerPriority => Choice::Remote,
                Strategy::Custom if self.asked.knows(&held.op) => return None,
                Strategy::Custom => return Some((held.clone(), None)),
                Strategy::LastWriteWins | Strategy::Merge | Strategy::Manual => return None,
            };
            let decision = Decision {
                held: held.clone(),
                choice,
                by: strategy.name(),
            };
            Some((held.clone(), Some(decision)))
        });
        due.next()
    }

    fn fetch_for(&mut self, held: Held, decision: Option<Decision>, call: Option<Call>) -> bool {
        let Some(database) = &self.database else {
            return false;
        };
        let page = database.page_id(&held.table, &held.lid);
        let parents = parents(&self.config, database, &held).into_iter();
        let names = parents.map(|it| database.alias_page(&it.table, &it.parent));
        let pages = database.missing_pages(names.chain([page]).collect());
        let record = RecordName {
            table: held.table.clone(),
            lid: held.lid.clone(),
        };
        let deciding = Deciding {
            decision,
            held,
            call,
            pages: pages.clone(),
        };
        self.ask(Step::Decide(deciding), |task| Effect::Prepare {
            task,
            slots: Vec::new(),
            records: vec![record],
            pages,
        });
        true
    }

    pub(super) fn fetched_for(&mut self, deciding: Deciding, prepared: &Prepared) {
        let Deciding {
            decision,
            held,
            call,
            pages,
        } = deciding;
        let kept = self
            .database
            .as_mut()
            .is_some_and(|database| database.keep_pages(pages, &prepared.pages));
        if !kept {
            return self.storage_failed(&damaged());
        }
        let Some(remote) = self.remote_of(&held) else {
            self.asked.postponed.push(held.op);
            self.schedule.poked = true;
            call.into_iter().for_each(|call| self.resolve(call, false));
            return;
        };
        match decision {
            Some(decision) => self.decide(&decision, call, (remote, prepared)),
            None => self.ask_app(&held, (remote, prepared)),
        }
    }

    /// What stands against a held operation, as the app would have it; none where it names parents
    /// that are not known here yet.
    fn remote_of(&self, held: &Held) -> Option<Option<Remote>> {
        let database = self.database.as_ref()?;
        let Some(mut remote) = held.remote.as_deref().and_then(Remote::read) else {
            return Some(None);
        };
        let parents = parents(&self.config, database, held);
        let known = |it: &Reference| database.alias(&it.table, &it.parent).is_some();
        if !parents.iter().all(known) {
            return None;
        }
        let mut lid_of = |table: &str, rid: &str| database.alias(table, rid);
        let value = remote.value.as_deref().unwrap_or_default();
        let local = references::to_local(&self.config, database, &held.table, value, &mut lid_of);
        remote.value = local.or(remote.value);
        Some(Some(remote))
    }

    fn decide(
        &mut self,
        decision: &Decision,
        call: Option<Call>,
        (remote, prepared): (Option<Remote>, &Prepared),
    ) {
        let Some(database) = self.database.as_mut() else {
            return;
        };
        let (mut change, asks) = decision.change(database, remote.as_ref(), prepared, self.now);
        if asks {
            let mut makers = Makers {
                config: &self.config,
                ids: &mut self.ids,
                now: self.now,
            };
            ask_for(database, &mut change, &decision.record(), &mut makers);
        }
        change.decided = Some((decision.clone(), call));
        self.schedule.want(self.now.monotonic_ms);
        self.commit(change);
    }

    fn ask_app(&mut self, held: &Held, (remote, prepared): (Option<Remote>, &Prepared)) {
        let local = match prepared.values.first() {
            Some(PreparedValue::Wire { end }) => prepared
                .bytes
                .get(..*end as usize)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .map(str::to_owned),
            Some(PreparedValue::Gone | PreparedValue::Unsendable { .. }) | None => None,
        };
        let conflict = Conflict {
            table: held.table.clone(),
            lid: held.lid.clone(),
            base: held.base,
            local,
            remote: remote.and_then(|remote| remote.value),
        };
        let task = self.task();
        self.asked.waiting.push((task, held.op.clone()));
        self.effects
            .push_back(Effect::AskResolver { task, conflict });
    }

    pub(super) fn app_answered(&mut self, task: Task, outcome: Result<Chosen, String>) {
        let Some(at) = self.asked.waiting.iter().position(|(of, _)| *of == task) else {
            return;
        };
        let (_, op) = self.asked.waiting.remove(at);
        let held = self.own_held().find(|held| held.op == op).cloned();
        match (held, outcome) {
            (Some(held), Ok(chosen)) => {
                let decision = Decision {
                    held,
                    choice: Choice::Value(chosen),
                    by: Strategy::Custom.name(),
                };
                self.decisions.push((decision, None));
            }
            (_, Ok(_)) => {}
            (_, Err(_)) => {
                // What it said is the app's and may quote its data.
                self.asked.failed.push(op);
                let message = "the app's function failed to resolve a conflict; it stays held";
                self.log(LogLevel::Warn, message.to_owned());
            }
        }
    }
}

/// The parents that the server's record of a held operation names.
fn parents(config: &Config, database: &Database, held: &Held) -> Vec<Reference> {
    let remote = held.remote.as_deref().and_then(Remote::read);
    let value = remote.and_then(|remote| remote.value).unwrap_or_default();
    references::incoming(config, database, &held.table, &value)
}

impl Asked {
    fn knows(&self, op: &str) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|(_, of)| of == op) || self.failed.iter().any(|of| of == op)
    }
}
