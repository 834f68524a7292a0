//! The database: reading it at the start, transactions, and what to do when storage fails.

use crate::classify::Reason;
use crate::database::{Change, Database, Signed};
use crate::interface::{Effect, Loaded, LogLevel, StorageError, Table, Task};
use crate::meta::{FORMAT, Meta, ScanMark};
use crate::schedule;
use crate::staged::{Batch, Held};
use crate::status::{LastError, Storage};
use crate::{Config, Initial};

use super::{Engine, Life, Step};

/// How often the database is opened anew before it counts as failed.
const REOPENS_MAX: u32 = 3;

impl Engine {
    /// Takes the step that a storage answer is for, with what was found. Handles failures.
    pub(super) fn answered<T>(
        &mut self,
        task: Task,
        outcome: Result<T, StorageError>,
    ) -> Option<(Step, T)> {
        let mut step = self.take_step(task)?;
        match outcome {
            Ok(found) => Some((step, found)),
            Err(error) => {
                if self.take_apart(&mut step, &error) {
                    return None;
                }
                self.retry_step(step);
                self.storage_failed(&error);
                None
            }
        }
    }

    pub(super) fn load(&mut self) {
        self.storage_at = None;
        self.ask(Step::Load, |task| Effect::Load { task });
    }

    pub(super) fn loaded(&mut self, loaded: Loaded) {
        let meta = match read_meta(loaded.meta.as_deref(), || Meta::new(&mut self.rng)) {
            Ok(meta) => meta,
            Err(error) => return self.storage_failed(&error),
        };
        let staged = loaded
            .staged
            .iter()
            .map(|it| Batch::decode(it.batch, &it.state));
        let held = loaded
            .held
            .into_iter()
            .map(|it| Held::decode(it.op, &it.state));
        let (Some(staged), Some(held)) = (staged.collect(), held.collect()) else {
            return self.storage_failed(&damaged());
        };
        let meta = upgraded(meta, loaded.version);
        let meta = match with_tables(meta, &loaded.tables, &self.config) {
            Ok(meta) => meta,
            Err(moved) => return self.refuse_space(&moved.name),
        };
        let mut database = Database::new(loaded.fence, meta, loaded.tables, staged, held);
        if std::mem::take(&mut self.session.captured) {
            database.indexed = false;
        }
        let now = self.now;
        let since = now.wall_ms.saturating_sub(database.meta.last_sync);
        let throttle = self.config.throttle_ms;
        let throttled = now.monotonic_ms + throttle - since.min(throttle);
        self.schedule.throttle_until = self.schedule.throttle_until.max(throttled);
        self.schedule
            .want(now.monotonic_ms.saturating_add(self.config.buffer_ms));
        self.schedule.periodic_at = Some(now.monotonic_ms.saturating_add(self.config.periodic_ms));
        if !self.session.online {
            let at = now.monotonic_ms.saturating_add(self.config.recovery_ms);
            self.schedule.recovery_at = Some(at);
        }
        let first = self.database.replace(database).is_none();
        self.life = Life::Running;
        if self.storage == Storage::Blocked {
            self.storage = Storage::Ok;
        }
        if first {
            let message = "Auto-sync service: Event listeners set up".to_owned();
            self.log(LogLevel::Info, message);
        }
    }

    /// A table's records never go to another space than the one they came from or went to before.
    fn refuse_space(&mut self, table: &str) {
        let message = ["another space is configured for table ", table].concat();
        self.log(LogLevel::Error, message.clone());
        self.note_error(&Reason {
            code: "space-changed".to_owned(),
            message,
        });
        self.life = Life::Unusable;
    }

    /// Asks for a transaction. With nothing to write there is nothing to wait for.
    pub(super) fn commit(&mut self, mut change: Change) {
        let Some(database) = &self.database else {
            return;
        };
        if let Some(enabled) = self.session.enabled {
            change.meta.enabled = enabled;
        }
        let fence = database.fence;
        let writes = change.writes(database);
        let tails = std::mem::take(&mut change.tails);
        let step = Step::Commit(Box::new(change));
        self.ask(step, |task| Effect::Commit {
            task,
            fence,
            tails,
            writes,
        });
    }

    pub(super) fn committed(&mut self, step: Step) {
        let (Step::Commit(change), Some(database)) = (step, self.database.as_mut()) else {
            return;
        };
        let mut change = change;
        for (_, notice, _) in &change.held {
            let parts = ["Change held (table ", &notice.table, "): ", &notice.code];
            let message = parts.concat();
            self.effects.push_back(Effect::Log {
                level: LogLevel::Warn,
                message,
            });
        }
        if !change.appended.is_empty() {
            // What went back to the log is to be sent like any other change.
            self.schedule.want(self.now.monotonic_ms);
            if let Some(run) = &mut self.run {
                run.drained = false;
            }
        }
        let takes_over = change.takes_over;
        let decided = change.decided.take();
        change.apply(database);
        if takes_over {
            self.taken_over();
        }
        if !self.settles()
            && let Some(database) = &mut self.database
        {
            database.trim_pages();
        }
        if let Some(call) = decided.and_then(|decision| decision.call) {
            self.resolve(call, true);
        }
        self.storage = Storage::Ok;
        self.storage_failures = 0;
    }

    /// Whether what is stored of the engine itself is behind: the owner, or the user's setting.
    pub(super) fn catch_up_meta(&self) -> Option<Change> {
        let database = self.database.as_ref()?;
        let user = self.session.user.as_ref();
        if user.is_some_and(|user| database.meta.owner_name() != Some(user)) {
            return None;
        }
        let behind = self
            .session
            .enabled
            .is_some_and(|on| on != database.meta.enabled);
        let told_late = self.confirmed_ms > database.meta.last_sync;
        (behind || told_late).then(|| {
            let mut change = Change::new(database);
            change.meta.last_sync = change.meta.last_sync.max(self.confirmed_ms);
            change
        })
    }

    /// Makes the user who is signed in the owner. Rows that name no user were written under the
    /// owner before. Where there was none they were written before anybody signed in, and wait,
    /// unless the first owner adopts them.
    pub(super) fn sign(&mut self) -> Option<Change> {
        let database = self.database.as_ref()?;
        let user = self.session.user.clone()?;
        let before = database.meta.owner_name().map(str::to_owned);
        if before.as_ref() == Some(&user) {
            return None;
        }
        let adopts = before.is_none() && self.config.adopt_anonymous;
        let mut change = Change::new(database);
        let rng = &mut self.rng;
        let client = || tidesync_protocol::key::random_rid(&rng.bits()).split_off(1);
        change.meta.owner = Some(change.meta.place(&user, client));
        if before.is_some() {
            // Where the last pull ended says nothing to another user: all of theirs is compared.
            change.meta.cursor = None;
            change.meta.place = None;
            change.meta.sweep = None;
            change.meta.generation = change.meta.generation.saturating_add(1);
        }
        let user = if adopts { Some(user) } else { before };
        change.signed = Some(Signed { user, adopts });
        Some(change)
    }

    pub(super) fn storage_failed(&mut self, error: &StorageError) {
        match error {
            StorageError::Fenced => return self.close(),
            StorageError::Moved => return self.moved(),
            StorageError::Full
            | StorageError::Closed
            | StorageError::Newer
            | StorageError::Other { .. } => {}
        }
        self.end_run_unfinished();
        self.storage_failures = self.storage_failures.saturating_add(1);
        self.last_error = Some(LastError {
            code: code_of(error).to_owned(),
            message: error.to_string(),
            at: self.now.wall_ms,
        });
        let wait = schedule::backoff(&self.config, self.storage_failures, &mut self.rng);
        self.storage_at = Some(self.now.monotonic_ms.saturating_add(wait));
        self.storage = Storage::Blocked;
        let full = *error == StorageError::Full && self.life == Life::Running;
        let damaged = *error == damaged();
        if full {
            self.storage = Storage::Full;
        } else if damaged {
            self.storage = Storage::Corrupt;
        }
        if damaged || *error == StorageError::Newer {
            self.life = Life::Unusable;
        } else if self.storage_failures > REOPENS_MAX && !full {
            self.life = Life::Failed;
        } else if !full {
            self.life = Life::Loading;
        }
        self.log(LogLevel::Error, error.to_string());
        if matches!(self.life, Life::Failed | Life::Unusable) {
            self.storage_at = None;
        }
    }

    /// A person is there, or the world changed: failed storage is tried again.
    pub(super) fn revive(&mut self) {
        if self.life == Life::Failed {
            self.life = Life::Loading;
            self.storage_failures = 0;
        }
        if matches!(self.life, Life::Loading | Life::Running) {
            self.storage_at = None;
        }
    }
}

/// The name under which damaged content counts as a failure of storage.
const DAMAGED: &str = "DataDamaged";

pub(super) fn damaged() -> StorageError {
    StorageError::Other {
        name: DAMAGED.to_owned(),
    }
}

fn code_of(error: &StorageError) -> &'static str {
    match error {
        StorageError::Fenced => "fenced",
        StorageError::Full => "storage-full",
        StorageError::Closed => "storage-closed",
        StorageError::Moved => "moved",
        StorageError::Newer => "newer-version",
        StorageError::Other { .. } => "storage-failed",
    }
}

fn read_meta(state: Option<&str>, fresh: impl FnOnce() -> Meta) -> Result<Meta, StorageError> {
    let Some(state) = state else {
        return Ok(fresh());
    };
    match Meta::format_of(state) {
        Some(FORMAT) => Meta::read(state).ok_or_else(damaged),
        Some(newer) if newer > FORMAT => Err(StorageError::Newer),
        _ => Err(damaged()),
    }
}

/// After an upgrade by the app all tables are scanned anew: nothing captured what it wrote before
/// the stores were installed. Where others have been here, it may be theirs, and stays.
fn upgraded(mut meta: Meta, version: u32) -> Meta {
    let known = std::mem::replace(&mut meta.version, version);
    if known != 0 && known != version && meta.owners.len() <= 1 {
        meta.tables
            .iter_mut()
            .for_each(|(_, table)| table.scan = ScanMark::New);
    }
    meta
}

/// Adds tables that are new, or back: what the server has of them was passed over by the pulls before, so
/// all of it is asked for again. Only what the first owner finds is uploaded without having changed. Refused is
/// a table that is configured for another space than it was synced in: before the first owner none was.
fn with_tables<'a>(
    mut meta: Meta,
    tables: &'a [Table],
    config: &Config,
) -> Result<Meta, &'a Table> {
    let ignore = config.initial == Initial::Ignore;
    let mut grows = tables
        .iter()
        .any(|table| !meta.tables.contains_key(&table.name));
    for (name, known) in meta.tables.iter_mut() {
        let was_absent = known.absent;
        known.absent = !tables.iter().any(|table| table.name == *name);
        grows |= was_absent && !known.absent;
    }
    if grows && meta.cursor.is_some() {
        meta.begin_anew(false);
    }
    for table in tables {
        let space = config.shared_space(&table.name).unwrap_or_default();
        let is_new = meta.owner.is_none() || !meta.tables.contains_key(&table.name);
        let known = meta.tables.get_or_default(table.name.clone());
        if is_new {
            space.clone_into(&mut known.space);
        } else if known.space != space {
            return Err(table);
        }
        if ignore && known.scan == ScanMark::New {
            known.scan = ScanMark::Done;
        }
    }
    Ok(meta)
}
