//! Asking the server for what is new, and taking it over.

use tidesync_protocol::key::random_rid;
use tidesync_protocol::wire::PROTOCOL;

use crate::apply::{Applying, Mark};
use crate::classify::{Action, Expected, Reason, classify};
use crate::database::{Change, Database};
use crate::index::Waiting;
use crate::interface::{
    Effect, LogLevel, PageId, Prepared, RecordName, RequestOutcome, StorageError, TokenReason,
};
use crate::remote::{PullAnswer, Remote};
use crate::settle::Settling;
use crate::staged::Batch;

use super::run::Failure;
use super::storage::damaged;
use super::{Engine, Step};

/// Most changes of one pull while the first download runs: nobody looks at what is not there yet.
const FIRST_LIMIT: u32 = 1_000;

/// Most records that are taken over in one transaction while the app writes: its next write waits
/// for that.
const SHORT: usize = 50;

/// For how long after a write the app counts as writing.
const WRITING_MS: u64 = 500;

/// Records that wait to be taken over.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    changes: Vec<Remote>,
    mark: Option<Mark>,
    /// The verdicts that brought them: both are durable together, or the same is sent again.
    settling: Option<Settling>,
    /// One by one: the app's database does not take one of them.
    apart: bool,
    /// How many it has refused once; they stand at the end, since what comes before may let them in.
    refused: usize,
    /// How many of them are being taken over.
    taking: usize,
    /// What the app has written of them was staged, as far as it could be.
    checked: bool,
}

/// What must be done before records are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// No records wait.
    Clear,
    /// Nothing.
    Ready,
    /// What the app has written of them is staged, against what the server was known to have.
    Stage,
    /// The app has removed a range: which records that were is known only against the shadow from
    /// before, so it goes first.
    Push,
}

impl Page {
    /// The records that the server has merged with operations of ours.
    pub(super) fn merged(settling: Settling) -> Self {
        Self {
            changes: settling.merged(),
            mark: None,
            settling: Some(settling),
            apart: false,
            refused: 0,
            taking: 0,
            checked: true,
        }
    }
}

impl Engine {
    /// Asks for the next page; false where there is none.
    pub(super) fn pull_next(&mut self) -> bool {
        if self.run.as_ref().is_none_or(|run| run.pulled) {
            return false;
        }
        self.pull(TokenReason::Request)
    }

    fn pull(&mut self, token: TokenReason) -> bool {
        let Some(database) = &self.database else {
            return false;
        };
        let Some(owner) = database.meta.owner_record() else {
            return false;
        };
        let subject = owner.user.clone();
        let from_scratch = self.run.as_ref().is_some_and(|run| run.from_scratch);
        let cursor = database.meta.cursor.as_deref().filter(|_| !from_scratch);
        let downloads = self.run.as_ref().is_some_and(|run| run.download > 0);
        let limit = if (cursor.is_none() || downloads) && !self.app_writes() {
            FIRST_LIMIT
        } else {
            self.config.pull_limit
        };
        let query = query(limit, &owner.client, cursor, database.meta.place.as_deref());
        let timeout_ms = self.config.request_timeout_ms;
        // What is poked of from here on is not surely in the answer.
        self.schedule.poked = false;
        let refreshed = token == TokenReason::Expired;
        self.ask(Step::Pull { refreshed }, |task| Effect::Pull {
            task,
            query,
            subject,
            token,
            timeout_ms,
        });
        true
    }

    pub(super) fn pulled(&mut self, step: Step, outcome: RequestOutcome) {
        let Step::Pull { refreshed } = step else {
            return;
        };
        let online = self.session.online;
        match classify(outcome, Expected::Pull, online) {
            Action::Take(answer) => {
                self.server_answered();
                self.take_answer(answer);
            }
            Action::NotOffered if self.has_pulled() => {
                let reason = Reason::new("not-the-server", "the server has no changes to give");
                self.fail_run(&reason, Failure::Hard { after_ms: None });
            }
            Action::NotOffered => self.end_pull(),
            Action::Restart { epoch, parted } => {
                self.server_answered();
                self.restart(epoch, parted);
            }
            Action::RefreshToken if !refreshed => {
                self.pull(TokenReason::Expired);
            }
            Action::RefreshToken => {
                self.wait_for_sign_in(Reason::new("unauthorized", "the server refused the token"));
            }
            Action::WaitForSignIn(reason) => self.wait_for_sign_in(reason),
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
            Action::Halve(reason) | Action::Bisect(reason) => {
                self.fail_run(&reason, Failure::Soft { after_ms: None });
            }
            Action::NewClient => self.renew_client(),
            Action::Settle(_) | Action::Reload => {}
        }
    }

    fn take_answer(&mut self, answer: PullAnswer) {
        let Some(database) = &self.database else {
            return;
        };
        let known = &database.meta.epoch;
        if !known.is_empty() && *known != answer.epoch {
            return self.restart(Some(answer.epoch), None);
        }
        self.grant(&answer.spaces);
        let (Some(database), Some(run)) = (&self.database, &mut self.run) else {
            return;
        };
        let is_first = std::mem::take(&mut run.from_scratch) || database.meta.cursor.is_none();
        run.downloaded += answer.changes.len() as u64;
        if is_first || run.download > 0 {
            run.download = run.downloaded + answer.remaining;
        }
        let unchanged =
            !is_first && database.meta.cursor.as_deref() == Some(answer.cursor.as_str());
        if answer.changes.is_empty() && unchanged {
            if answer.more {
                let reason = Reason::new("not-the-server", "the server's answer leads nowhere");
                return self.fail_run(&reason, Failure::Hard { after_ms: None });
            }
            return self.end_pull();
        }
        run.page = Some(Page {
            changes: answer.changes,
            mark: Some(Mark {
                epoch: answer.epoch,
                cursor: answer.cursor,
                place: database.meta.place.clone(),
                more: answer.more,
                spaces: answer.spaces,
            }),
            settling: None,
            apart: false,
            refused: 0,
            taking: 0,
            checked: false,
        });
    }

    /// Whether the app is writing: what is done in one go must be short.
    pub(super) fn app_writes(&self) -> bool {
        let now = self.now.monotonic_ms;
        self.written_at.is_some_and(|at| at + WRITING_MS > now)
    }

    /// Whether this server has ever given changes.
    fn has_pulled(&self) -> bool {
        let meta = self.database.as_ref().map(|database| &database.meta);
        meta.is_some_and(|meta| !meta.epoch.is_empty())
    }

    /// Whether verdicts wait for the records that came with them: the pages that they need stay.
    pub(super) fn settles(&self) -> bool {
        let page = self.run.as_ref().and_then(|run| run.page.as_ref());
        page.is_some_and(|page| page.settling.is_some())
    }

    /// There is nothing more to pull in this sync.
    fn end_pull(&mut self) {
        if let Some(run) = &mut self.run {
            run.pulled = true;
        }
    }

    /// Begins anew at the server's word; one that says so again and again is not to be followed.
    pub(super) fn restart(&mut self, epoch: Option<String>, parted: Option<String>) {
        if self.may_begin_anew() {
            self.pull_from_scratch(epoch, parted);
        }
    }

    fn may_begin_anew(&mut self) -> bool {
        let Some(run) = &mut self.run else {
            return false;
        };
        if std::mem::replace(&mut run.renewed, true) {
            let reason = Reason::new(
                "begin-anew",
                "the server asks to begin anew again and again",
            );
            self.fail_run(&reason, Failure::Hard { after_ms: None });
            return false;
        }
        true
    }

    /// The server has lost the place where the last pull ended, or is not what it was: all of it is
    /// compared, and nothing wiped (F46, F47).
    fn pull_from_scratch(&mut self, epoch: Option<String>, parted: Option<String>) {
        let Some(database) = &self.database else {
            return;
        };
        let mut change = Change::new(database);
        change.meta.begin_anew(epoch.is_some());
        if let Some(epoch) = epoch {
            change.meta.epoch = epoch;
            change.meta.place = None;
        }
        if let (Some(sweep), Some(parted)) = (&mut change.meta.sweep, parted) {
            sweep.parted = parted;
        }
        self.commit(change);
    }

    /// The server has forgotten what was sent before: what is staged goes back to the log, to be sent
    /// under a new client, and everything is compared.
    pub(super) fn renew_client(&mut self) {
        if !self.may_begin_anew() {
            return;
        }
        let Some(database) = &self.database else {
            return;
        };
        let mut change = Change::new(database);
        let client = random_rid(&self.rng.bits()).split_off(1);
        let place = change
            .meta
            .owner
            .and_then(|owner| usize::try_from(owner).ok());
        if let Some(owner) = place.and_then(|place| change.meta.owners.get_mut(place)) {
            owner.client = client;
        }
        let batches: Vec<Batch> = database.own_batches().cloned().collect();
        for batch in batches {
            for op in &batch.ops {
                change.append(database, batch.owner, &op.table, &op.lid, self.now, false);
            }
            change.dropped.push(batch.number);
        }
        change.meta.begin_anew(false);
        self.commit(change);
        if let Some(run) = &mut self.run {
            run.drained = false;
        }
    }

    /// What must be done before the records that wait are taken over.
    pub(super) fn ground(&mut self) -> Ground {
        let (Some(run), Some(database)) = (&mut self.run, &self.database) else {
            return Ground::Clear;
        };
        let Some(page) = &mut run.page else {
            return Ground::Clear;
        };
        if run.must_stage {
            return Ground::Stage;
        }
        let captured = |id| database.own.progress(id) == Waiting::Captured;
        let ranges = |change: &Remote| {
            captured(database.wide_id(&change.table)) && is_news(database, change)
        };
        if page.changes.iter().any(ranges) {
            if page.settling.is_none() {
                return Ground::Push;
            }
            // The verdicts stand by themselves; the next pull brings the records.
            page.changes.clear();
        }
        if std::mem::replace(&mut page.checked, true) {
            return Ground::Ready;
        }
        let written = |change: &Remote| {
            // What is called otherwise here is looked up later: any change may be of it.
            let other = database.has_generated_keys(&change.table);
            let may_be = other && database.own.changes() > 0;
            (may_be || captured(database.id(&change.table, &change.rid)))
                && is_news(database, change)
        };
        if page.changes.iter().any(written) {
            run.must_stage = true;
            run.drained = false;
            return Ground::Stage;
        }
        Ground::Ready
    }

    /// Sends what must go before the records that wait are taken over. Where that cannot go now,
    /// they are asked for again by a later sync.
    pub(super) fn push_before_page(&mut self) {
        if let Some(run) = &mut self.run {
            run.pull_only = false;
        }
        let pushes = self.push_next();
        let Some(run) = &mut self.run else { return };
        if pushes {
            run.drained = false;
        } else if run.drained {
            run.page = None;
            run.pulled = true;
        } else {
            self.begin_stage();
        }
    }

    /// Begins to take over what waits for it; false where nothing does.
    pub(super) fn take_over(&mut self) -> bool {
        let writes = self.app_writes();
        let Some(run) = &mut self.run else {
            return false;
        };
        let Some(page) = &mut run.page else {
            return false;
        };
        let Some(database) = &self.database else {
            return false;
        };
        let most = match page {
            Page { apart: true, .. } => 1,
            Page { settling: None, .. } if writes => SHORT,
            _ => usize::MAX,
        };
        page.taking = page.changes.len().min(most);
        let changes = page.changes.iter().take(page.taking).cloned().collect();
        // The cursor moves with the last of them: what is here by then is known when it comes again.
        let is_last = page.taking == page.changes.len();
        let mark = page.mark.clone().filter(|_| is_last);
        let asked = page.settling.is_some();
        let spaces = page.mark.as_ref().map(|mark| mark.spaces.clone());
        let spaces = spaces.unwrap_or_default();
        let mut applying = Applying::new(changes, mark, &self.config, database);
        applying.restores = run.restores;
        applying.asked = asked;
        applying.spaces = spaces;
        self.name_records(applying);
        true
    }

    fn prepare_pages(&mut self, step: Step, pages: Vec<PageId>, records: Vec<RecordName>) {
        self.ask(step, |task| Effect::Prepare {
            task,
            slots: Vec::new(),
            records,
            pages,
        });
    }

    /// Records of generated keys that are new here get keys of their own.
    fn name_records(&mut self, mut applying: Applying) {
        let Some(database) = &self.database else {
            return;
        };
        let pages = applying.name_pages(database);
        if !pages.is_empty() {
            applying.pages = pages.clone();
            return self.prepare_pages(Step::Names(applying), pages, Vec::new());
        }
        let Some((table, count)) = applying.nameless(database) else {
            return self.fetch_local(applying);
        };
        let fence = database.fence;
        let step = Step::Reserve(applying, table.clone());
        self.ask(step, |task| Effect::Reserve {
            task,
            fence,
            table,
            count,
        });
    }

    pub(super) fn reserved(&mut self, step: Step, first: u64) {
        let (Step::Reserve(mut applying, table), Some(database)) = (step, &self.database) else {
            return;
        };
        applying.name(database, &table, first);
        self.name_records(applying);
    }

    pub(super) fn named(&mut self, mut applying: Applying, prepared: &Prepared) {
        let ids = std::mem::take(&mut applying.pages);
        let kept = self
            .database
            .as_mut()
            .is_some_and(|database| database.keep_pages(ids, &prepared.pages));
        if kept {
            self.name_records(applying);
        } else {
            self.storage_failed(&damaged());
        }
    }

    fn fetch_local(&mut self, mut applying: Applying) {
        // Whether a record was changed here is told by pages that may not be there yet.
        let Some(database) = &self.database else {
            return;
        };
        let records = applying.ask(&self.config, database);
        let pages = applying.pages.clone();
        if pages.is_empty() && records.is_empty() {
            return self.take_records(applying, &Prepared::default());
        }
        if pages.is_empty() {
            return self.prepare_pages(Step::Local(applying), pages, records);
        }
        self.prepare_pages(Step::Names(applying), pages, Vec::new());
    }

    pub(super) fn take_records(&mut self, applying: Applying, prepared: &Prepared) {
        let settling = self
            .run
            .as_ref()
            .and_then(|run| run.page.as_ref())
            .and_then(|page| page.settling.clone());
        let change = settling.and_then(|settling| self.settled(settling));
        let Some(database) = &self.database else {
            return;
        };
        let mut change = change.unwrap_or_else(|| Change::new(database));
        applying.add_to(&mut change, database, prepared, self.now);
        change.takes_over = true;
        self.commit(change);
    }

    /// What was taken over is durable.
    pub(super) fn taken_over(&mut self) {
        self.asked.postponed.clear();
        let Some(run) = &mut self.run else { return };
        if let Some(page) = &mut run.page
            && page.taking < page.changes.len()
        {
            page.changes.drain(..page.taking);
            return;
        }
        let mark = run.page.take().and_then(|page| page.mark);
        if let Some(mark) = mark {
            run.pulled = !mark.more;
        }
    }

    /// The app's database did not take a record, by a rule of its own (a unique index, say), or this
    /// browser cannot make its value. What was decided so is refused; of what is taken over, all go
    /// one by one, and what is refused once more behind the others is left out and told of. False
    /// where the failure is another.
    pub(super) fn take_apart(&mut self, step: &mut Step, error: &StorageError) -> bool {
        let (Some(rule), Step::Commit(change)) = (rule_of(error), step) else {
            return false;
        };
        if let Some(decision) = change.decided.take() {
            self.decision_broke(decision, rule);
            return true;
        }
        change.takes_over && self.leave_out(rule)
    }

    fn leave_out(&mut self, rule: &str) -> bool {
        let Some(page) = self.run.as_mut().and_then(|run| run.page.as_mut()) else {
            return false;
        };
        if page.settling.is_some() {
            // The verdicts stand by themselves; the next pull brings the records.
            page.changes.clear();
            return true;
        }
        if !page.apart && page.changes.len() > 1 {
            page.apart = true;
            return true;
        }
        let all_refused = page.refused >= page.changes.len();
        let Some(change) = page.changes.first_mut() else {
            return false;
        };
        if all_refused {
            // No value: its record stays as it is, and counts as one that came.
            change.value = Some(String::new());
            change.place = None;
            let parts = ["Record left out (table ", &change.table, "): ", rule];
            let message = parts.concat();
            self.log(LogLevel::Error, message);
        } else {
            page.changes.rotate_left(1);
            page.refused += 1;
        }
        true
    }

    /// The app has written since the log was read: that is staged first, against what the server
    /// was known to have when it was written.
    pub(super) fn moved(&mut self) {
        self.moved = true;
        if let Some(run) = &mut self.run {
            run.drained = false;
            run.must_stage = run.page.is_some();
        }
    }
}

/// The rule that a record broke; none where it was the database that failed.
fn rule_of(error: &StorageError) -> Option<&str> {
    let StorageError::Other { name } = error else {
        return None;
    };
    let is_rule = matches!(
        name.as_str(),
        "ConstraintError"
            | "DataError"
            | "DataCloneError"
            | "HostFailed"
            | "unsupported-type"
            | "bad-value"
            | "bad-key"
            | "key-changed"
            | "blob-missing"
            | "insecure-context"
    );
    is_rule.then_some(name)
}

/// Whether a record is not known to be here already, as one's own changes are.
fn is_news(database: &Database, change: &Remote) -> bool {
    let lid = if database.has_generated_keys(&change.table) {
        database.alias(&change.table, &change.rid)
    } else {
        Some(change.rid.clone())
    };
    let known = lid.and_then(|lid| {
        let page = database.page(&database.page_id(&change.table, &lid))?;
        Some(page.get(&lid)?.version)
    });
    known.is_none_or(|known| known < change.version)
}

/// What follows the address of a pull.
fn query(limit: u32, client: &str, cursor: Option<&str>, place: Option<&str>) -> String {
    let mut query = "protocol=".to_owned();
    query.push_str(&PROTOCOL.to_string());
    query.push_str("&limit=");
    query.push_str(&limit.to_string());
    query.push_str("&client=");
    query.push_str(client);
    for (name, text) in [("&cursor=", cursor), ("&place=", place)] {
        if let Some(text) = text {
            query.push_str(name);
            push_escaped(&mut query, text);
        }
    }
    query
}

/// RFC 3986: what is not unreserved is escaped.
fn push_escaped(to: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            to.push(char::from(byte));
        } else {
            to.push('%');
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16);
                to.extend(digit.map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
}
