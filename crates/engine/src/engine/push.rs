//! Sending staged batches, and what to do with what comes back.

use tidesync_protocol::json::push_text;
use tidesync_protocol::wire::PROTOCOL;

use crate::classify::{Action, Expected, Reason, classify};
use crate::database::{Change, Database};
use crate::interface::{Effect, LogLevel, RequestOutcome, StorageError, TokenReason};
use crate::schedule;
use crate::settle::{Fate, Settling, fates};

use super::pull::Page;
use super::run::Failure;
use super::{Engine, Step};

impl Engine {
    /// Sends the next batch that may go; false where there is none.
    pub(super) fn push_next(&mut self) -> bool {
        let now = self.now.monotonic_ms;
        let Some(database) = &self.database else {
            return false;
        };
        let next = database.own_batches().find(|batch| batch.not_before <= now);
        let Some((number, len, suspect)) =
            next.map(|batch| (batch.number, batch.ops.len() as u32, batch.suspect))
        else {
            return false;
        };
        let ops_max = self.run.as_ref().map_or(u32::MAX, |run| run.ops_max);
        let count = match suspect {
            0 => len.min(ops_max),
            1 => 1,
            more => (more / 2).min(ops_max),
        };
        self.announce();
        self.push(number, count, TokenReason::Request);
        true
    }

    /// The line that says how much this sync has to do, once.
    fn announce(&mut self) {
        let now = self.now.monotonic_ms;
        let (Some(run), Some(database)) = (&mut self.run, &self.database) else {
            return;
        };
        if std::mem::replace(&mut run.announced, true) {
            return;
        }
        let ready = database
            .own_batches()
            .filter(|batch| batch.not_before <= now);
        let staged: u64 = ready.map(|batch| batch.changes()).sum();
        let changes = staged + database.own.changes();
        let mut message = "Auto-sync service: Syncing ".to_owned();
        message.push_str(&changes.to_string());
        message.push_str(" changes to cloud...");
        self.log(LogLevel::Info, message);
    }

    fn push(&mut self, batch: u64, count: u32, token: TokenReason) {
        let Some(database) = &self.database else {
            return;
        };
        let Some((name, envelope, subject)) = address(database, batch, count) else {
            return;
        };
        let timeout_ms = self.config.request_timeout_ms;
        let refreshed = token == TokenReason::Expired;
        self.ask(
            Step::Push {
                batch,
                count,
                name,
                refreshed,
            },
            |task| Effect::Push {
                task,
                batch,
                first: 0,
                last: count,
                envelope,
                subject,
                token,
                timeout_ms,
            },
        );
    }

    pub(super) fn pushed(&mut self, step: Step, outcome: RequestOutcome) {
        let Step::Push {
            batch,
            count,
            name,
            refreshed,
        } = step
        else {
            return;
        };
        let (expected, online) = (Expected::Push(&name), self.session.online);
        match classify(outcome, expected, online) {
            Action::Settle(answer) => {
                self.server_answered();
                let ops = self.database.as_ref().and_then(|it| it.staged.get(&batch));
                let ops = ops.and_then(|batch| batch.ops.get(..count as usize));
                let place = answer.place.clone();
                let fates = fates(ops.unwrap_or_default(), answer);
                self.begin_settle(batch, fates, place);
            }
            Action::RefreshToken if !refreshed => self.push(batch, count, TokenReason::Expired),
            Action::RefreshToken => {
                self.wait_for_sign_in(Reason::new("unauthorized", "the server refused the token"))
            }
            Action::WaitForSignIn(reason) => self.wait_for_sign_in(reason),
            Action::Halve(reason) if count > 1 => {
                self.note_error(&reason);
                if let Some(run) = &mut self.run {
                    run.ops_max = count / 2;
                }
            }
            Action::Halve(reason) => {
                if let Some(run) = &mut self.run {
                    run.ops_max = u32::MAX;
                }
                self.hold_first(batch, reason);
            }
            Action::Bisect(_) if count > 1 => self.suspect(batch, count),
            Action::Bisect(reason) => self.hold_first(batch, reason),
            Action::Wait { reason, after_ms } => {
                self.fail_run(&reason, Failure::Soft { after_ms });
            }
            Action::WaitLong(reason) => {
                let after_ms = Some(self.config.retry_after_max_ms);
                self.fail_run(&reason, Failure::Soft { after_ms });
            }
            Action::Fail { reason, after_ms } => {
                self.fail_run(&reason, Failure::Hard { after_ms });
            }
            Action::NewClient => self.renew_client(),
            Action::Restart { epoch, parted } => {
                self.server_answered();
                self.restart(epoch, parted);
            }
            Action::Take(_) | Action::NotOffered => {}
            Action::Reload => {
                self.storage_failed(&StorageError::Other {
                    name: "NoBatch".to_owned(),
                });
            }
        }
    }

    pub(super) fn wait_for_sign_in(&mut self, reason: Reason) {
        self.needs_sign_in = true;
        self.fail_run(&reason, Failure::SignIn);
    }

    /// One of the first `count` operations cannot be read by the server.
    fn suspect(&mut self, batch: u64, count: u32) {
        let staged = self
            .database
            .as_mut()
            .and_then(|it| it.staged.get_mut(&batch));
        if let Some(batch) = staged {
            batch.suspect = count;
        }
    }

    fn hold_first(&mut self, batch: u64, reason: Reason) {
        let fate = Fate::Hold {
            code: reason.code,
            message: reason.message,
            remote: None,
        };
        self.begin_settle(batch, vec![fate], None);
    }

    fn begin_settle(&mut self, batch: u64, fates: Vec<Fate>, place: Option<String>) {
        let Some(database) = &self.database else {
            return;
        };
        let settling = Settling::new(database, batch, fates, place);
        if let Some(run) = &mut self.run {
            run.held += settling.held() as u64;
            run.put_off |= settling.put_off_ms().is_some();
        }
        if settling.pages.is_empty() {
            return self.settle(settling);
        }
        let pages = settling.pages.clone();
        let step = Step::Pages(settling);
        self.ask(step, |task| Effect::Prepare {
            task,
            slots: Vec::new(),
            records: Vec::new(),
            pages,
        });
    }

    /// Makes verdicts durable; the records that came with some of them in the same transaction.
    pub(super) fn settle(&mut self, settling: Settling) {
        if settling.merged().is_empty() {
            if let Some(change) = self.settled(settling) {
                self.commit(change);
            }
        } else if let Some(run) = &mut self.run {
            run.page = Some(Page::merged(settling));
        }
    }

    pub(super) fn settled(&mut self, settling: Settling) -> Option<Change> {
        let put_off_ms = settling.put_off_ms();
        let put_off = self
            .database
            .as_ref()
            .and_then(|it| it.staged.get(&settling.batch));
        let attempt = put_off.map_or(0, |batch| batch.put_off) + 1;
        let wait = match put_off_ms {
            Some(asked) => schedule::backoff(&self.config, attempt, &mut self.rng)
                .max(asked.min(self.config.retry_after_max_ms)),
            None => 0,
        };
        let done = settling
            .fates
            .iter()
            .any(|fate| matches!(fate, Fate::Done { .. } | Fate::Merged { .. }));
        let database = self.database.as_mut()?;
        let not_before = self.now.monotonic_ms.saturating_add(wait);
        let mut change = settling.change(database, self.now, not_before);
        if done {
            change.meta.last_sync = change.meta.last_sync.max(self.now.wall_ms);
        }
        Some(change)
    }
}

/// The batch's name, its envelope, and the subject. The name follows from the operations, so that
/// sending the same again sends the same bytes.
fn address(database: &Database, batch: u64, count: u32) -> Option<(String, String, String)> {
    let ops = &database.staged.get(&batch)?.ops;
    let owner = database.meta.owner_record()?;
    let last = usize::try_from(count).ok()?.checked_sub(1)?;
    let mut name = ops.first()?.op.clone();
    name.push('-');
    name.push_str(&ops.get(last)?.op);
    let mut envelope = "{\"protocol\":".to_owned();
    envelope.push_str(&PROTOCOL.to_string());
    // Who has pulled all since the last push knows the server by the cursor.
    let place = database.meta.place.as_ref();
    let place = place.or(database.meta.cursor.as_ref());
    let fields = [
        ("client", Some(&owner.client)),
        ("subject", Some(&owner.user)),
        ("batch", Some(&name)),
        ("place", place),
    ];
    for (field, text) in fields {
        let Some(text) = text else { continue };
        envelope.push_str(",\"");
        envelope.push_str(field);
        envelope.push_str("\":");
        push_text(&mut envelope, text);
    }
    envelope.push_str(",\"ops\":[");
    Some((name, envelope, owner.user.clone()))
}
