//! Deciding what becomes of held operations: by the table's strategy, by the app's function, or as
//! the app says.

use tidesync_protocol::wire::Access;

use crate::config::{Config, Strategy};
use crate::database::{Change, Database};
use crate::index::Waiting;
use crate::interface::{
    Call, Choice, Chosen, Conflict, Effect, LogLevel, PageId, Prepared, PreparedValue, Task,
};
use crate::references::{self, Reference};
use crate::remote::{Remote, access};
use crate::resolve::Decision;
use crate::schedule;
use crate::sorted::SortedMap;
use crate::stage::{Makers, ask_for};
use crate::staged::Held;

use super::storage::damaged;
use super::{Engine, Step};

/// A held operation whose record is fetched: to decide about it, or to ask the app's function.
#[derive(Debug, Clone)]
pub(super) struct Deciding {
    op: String,
    decision: Option<Decision>,
    pages: Vec<PageId>,
}

/// What was asked of the app's function, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The conflicts that wait for its answer, each with what it was asked about.
    waiting: Vec<(Task, String, Option<String>)>,
    /// The conflicts that it failed to decide: how often, and when it is asked again. A person can
    /// decide at any time.
    failed: SortedMap<String, (u32, u64)>,
    /// What was decided by itself and broke a rule of the app's database. It is not tried again before
    /// the server's record changes or the app writes to the table.
    refused: Vec<Held>,
    /// The conflicts that wait for a pull: the server's record names parents that are not here yet.
    pub(super) postponed: Vec<String>,
}

impl Engine {
    /// The app decides.
    pub(super) fn settle_held(&mut self, call: Call, op: &str, choice: Choice) {
        self.decisions.push(Decision {
            op: op.to_owned(),
            choice,
            by: "user",
            against: None,
            call: Some(call),
        });
    }

    /// What was held for want of a right is sent again, once, when a pull's answer says that the right is
    /// there.
    pub(super) fn grant(&mut self, spaces: &str) {
        if self.granted == spaces {
            return;
        }
        spaces.clone_into(&mut self.granted);
        let mut again = Vec::new();
        for held in self.own_held().filter(|held| held.barred) {
            let space = self.config.shared_space(&held.table);
            if space.and_then(|space| access(spaces, space)) == Some(Access::Write) {
                again.push(Decision {
                    op: held.op.clone(),
                    choice: Choice::Local,
                    by: "grant",
                    against: None,
                    call: None,
                });
            }
        }
        self.decisions.append(&mut again);
    }

    /// What nobody decides any more is answered.
    pub(super) fn refuse_decisions(&mut self) {
        for decision in std::mem::take(&mut self.decisions) {
            self.refuse_decision(decision);
        }
    }

    fn refuse_decision(&mut self, decision: Decision) {
        if let Some(call) = decision.call {
            self.resolve(call, false);
        }
    }

    /// A step is given up: a decision that it would have carried out is answered.
    pub(super) fn drop_step(&mut self, step: Step) {
        let decision = decision_of(step);
        decision.into_iter().for_each(|it| self.refuse_decision(it));
    }

    /// A step failed: a decision that it would have carried out is tried again.
    pub(super) fn retry_step(&mut self, step: Step) {
        self.decisions.extend(decision_of(step));
    }

    fn held(&self, op: &str) -> Option<Held> {
        self.own_held().find(|held| held.op == op).cloned()
    }

    /// Begins the next decision; false where none is due.
    pub(super) fn decide_next(&mut self) -> bool {
        while !self.decisions.is_empty() {
            let decision = self.decisions.remove(0);
            if let Some(held) = self.held(&decision.op) {
                return self.fetch_for(&held, Some(decision));
            }
            self.refuse_decision(decision);
        }
        match self.next_automatic_decision() {
            Some((held, decision)) => self.fetch_for(&held, decision),
            None => false,
        }
    }

    /// A conflict that nobody has to be asked about, or only the app's function.
    fn next_automatic_decision(&self) -> Option<(Held, Option<Decision>)> {
        self.session.user.as_ref()?;
        let conflicts = self.own_held().filter(|held| held.remote.is_some());
        let mut due = conflicts.filter_map(|held| {
            let strategy = self.config.strategy(&held.table);
            let choice = match strategy {
                _ if self.asked.postponed.contains(&held.op)
                    || self.asked.refused.contains(held) =>
                {
                    return None;
                }
                Strategy::ClientPriority => Choice::Local,
                Strategy::ServerPriority => Choice::Remote,
                Strategy::Custom if self.is_captured(held) => return None,
                Strategy::Custom if self.asked.knows(&held.op, self.now.monotonic_ms) => {
                    return None;
                }
                Strategy::Custom => return Some((held.clone(), None)),
                Strategy::LastWriteWins | Strategy::Merge | Strategy::Manual => return None,
            };
            let decision = Decision {
                op: held.op.clone(),
                choice,
                by: strategy.name(),
                against: None,
                call: None,
            };
            Some((held.clone(), Some(decision)))
        });
        due.next()
    }

    /// Whether the app has written the record since.
    fn is_captured(&self, held: &Held) -> bool {
        self.database.as_ref().is_some_and(|database| {
            let id = database.id(&held.table, &held.lid);
            database.own.progress(id) == Waiting::Captured
        })
    }

    fn fetch_for(&mut self, held: &Held, decision: Option<Decision>) -> bool {
        let Some(database) = &self.database else {
            return false;
        };
        let page = database.page_id(&held.table, &held.lid);
        let parents = parents(&self.config, database, held).into_iter();
        let names = parents.map(|it| database.alias_page(&it.table, &it.parent));
        let own = held.remote.as_deref().and_then(Remote::read);
        let own = own.map(|remote| database.alias_page(&held.table, &remote.rid));
        let names = names.chain(own);
        let pages = database.missing_pages(names.chain([page]).collect());
        let record = held.record();
        let deciding = Deciding {
            op: held.op.clone(),
            decision,
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

    pub(super) fn fetched_for(&mut self, mut deciding: Deciding, prepared: &Prepared) {
        let pages = std::mem::take(&mut deciding.pages);
        let kept = self
            .database
            .as_mut()
            .is_some_and(|database| database.keep_pages(pages, &prepared.pages));
        if !kept {
            self.retry_step(Step::Decide(deciding));
            return self.storage_failed(&damaged());
        }
        let Deciding { op, decision, .. } = deciding;
        let Some(held) = self.held(&op) else {
            return decision.into_iter().for_each(|it| self.refuse_decision(it));
        };
        let Some(remote) = self.remote_of(&held) else {
            self.asked.postponed.push(op);
            self.schedule.poked = true;
            return decision.into_iter().for_each(|it| self.refuse_decision(it));
        };
        match decision {
            Some(decision) => self.decide(&held, decision, (remote, prepared)),
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
        held: &Held,
        decision: Decision,
        (remote, prepared): (Option<Remote>, &Prepared),
    ) {
        let outdated = decision.against.is_some() && decision.against != held.remote;
        let replaces = match decision.choice {
            Choice::Value(_) => true,
            Choice::Remote => held.remote.is_none(),
            Choice::Local => false,
        };
        if outdated || (replaces && self.is_captured(held)) {
            // It was about something else: what the app has written since goes its own way.
            return self.refuse_decision(decision);
        }
        let Some(database) = self.database.as_mut() else {
            return;
        };
        let (mut change, asks) =
            decision.change(held, database, remote.as_ref(), prepared, self.now);
        if asks {
            let mut makers = Makers {
                config: &self.config,
                ids: &mut self.ids,
                now: self.now,
            };
            ask_for(database, &mut change, &held.record(), &mut makers);
        }
        change.decided = Some(decision);
        self.schedule.want(self.now.monotonic_ms);
        self.commit(change);
    }

    /// The app's database does not take what was decided, by a rule of its own: the operation stays
    /// held, and says so.
    pub(super) fn decision_broke(&mut self, decision: Decision, rule: &str) {
        let held = self.held(&decision.op);
        let by_itself = decision.call.is_none();
        self.refuse_decision(decision);
        let (Some(held), Some(database)) = (held, &self.database) else {
            return;
        };
        let message = ["the app's database refuses what was decided: ", rule].concat();
        let mut change = Change::new(database);
        change.renewed.push((held.clone(), Some(message.clone())));
        let parts = ["Decision refused (table ", &held.table, "): ", &message];
        self.log(LogLevel::Warn, parts.concat());
        if by_itself {
            self.asked.refused.push(held);
        }
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
        let question = (task, held.op.clone(), held.remote.clone());
        self.asked.waiting.push(question);
        self.effects
            .push_back(Effect::AskResolver { task, conflict });
    }

    pub(super) fn app_answered(&mut self, task: Task, outcome: Result<Chosen, String>) {
        let mut waiting = self.asked.waiting.iter();
        let Some(at) = waiting.position(|(of, ..)| *of == task) else {
            return;
        };
        let (_, op, against) = self.asked.waiting.remove(at);
        match outcome {
            Ok(chosen) => {
                self.asked.failed.remove(&op);
                self.decisions.push(Decision {
                    op,
                    choice: Choice::Value(chosen),
                    by: Strategy::Custom.name(),
                    against,
                    call: None,
                });
            }
            Err(_) => {
                // What it said is the app's and may quote its data.
                let (failures, again_at) = self.asked.failed.get_or_default(op);
                *failures = failures.saturating_add(1);
                let wait = schedule::backoff(&self.config, *failures, &mut self.rng);
                *again_at = self.now.monotonic_ms.saturating_add(wait);
                let message = "the app's function failed to resolve a conflict; it stays held";
                self.log(LogLevel::Warn, message.to_owned());
            }
        }
    }
}

/// The decision that a step is about to carry out.
fn decision_of(step: Step) -> Option<Decision> {
    if let Step::Decide(deciding) = step {
        return deciding.decision;
    }
    if let Step::Commit(change) = step {
        return change.decided;
    }
    None
}

/// The parents that the server's record of a held operation names.
fn parents(config: &Config, database: &Database, held: &Held) -> Vec<Reference> {
    let remote = held.remote.as_deref().and_then(Remote::read);
    let value = remote.and_then(|remote| remote.value).unwrap_or_default();
    references::incoming(config, database, &held.table, &value)
}

impl Asked {
    /// The app has written to a table: what its store refused, it may take now.
    pub(super) fn captured(&mut self, table: &str) {
        self.refused.retain(|held| held.table != table);
    }

    /// A person is there: what failed is asked again.
    pub(super) fn retry(&mut self) {
        self.failed.clear();
    }

    /// Whether the app's function has been asked, and is not to be asked again yet.
    fn knows(&self, op: &str, now_ms: u64) -> bool {
        let mut waiting = self.waiting.iter();
        let failed = self.failed.get(op);
        waiting.any(|(_, of, _)| of == op) || failed.is_some_and(|(_, again_at)| *again_at > now_ms)
    }
}
