//! The one writer: a thread that owns the database's write connection and applies pushes in
//! groups. Several pushes share one transaction, each in a savepoint of its own; answers leave
//! only after its commit (I17).

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tidesync_protocol::wire::VerdictEntry;
use tokio::sync::oneshot;

use crate::clock::now_ms;
use crate::hub::Hub;
use crate::keeper::Keeper;
use crate::push::Push;
use crate::store::{
    Appended, ApplyError, BlobError, BlobLimits, Chunk, Identity, Pushed, append_blob, apply_push,
    finish_blob, renew_epoch,
};

/// Most operations that share a transaction: what bounds how long the first of them waits.
const GROUP_OPS_MAX: usize = 4_000;

/// Why a push was not applied. Nothing of it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// As many pushes wait as may.
    #[error("too many pushes wait")]
    QueueFull,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
    /// The client belongs to another user.
    #[error("the client belongs to another user")]
    ForeignClient,
    /// What the client has sent before is forgotten.
    #[error("what the client has sent before is forgotten")]
    ClientExpired,
    /// The database cannot be written to for now: it is locked, full or read-only.
    #[error("the database cannot be written to now")]
    Unavailable,
    /// A defect of the server.
    #[error("the server failed")]
    Failed,
}

/// The verdicts on a push, and the epoch in which they were given.
type Answer = Result<(Vec<VerdictEntry>, String), WriteError>;

/// Something else that is to be written, in transactions of its own.
type Task = Box<dyn FnOnce(&mut Connection, &mut Identity) + Send>;

enum Job {
    Push(PushJob),
    Task(Task),
}

struct PushJob {
    push: Push,
    reply: oneshot::Sender<Answer>,
}

/// Hands pushes to the writer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: SyncSender<Job>,
    hub: Hub,
}

impl Writer {
    /// Starts the writer's thread, which owns `connection` and ends, after what is queued, when
    /// the last [`Writer`] is dropped. `hub` is told of what was committed. At most `queue_max` jobs
    /// wait. What is older than `retention` is forgotten when nobody does.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn start(
        connection: Connection,
        identity: Identity,
        hub: Hub,
        (queue_max, retention): (usize, Duration),
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = sync_channel(queue_max);
        let thread = std::thread::Builder::new()
            .name("tidesync-writer".to_owned())
            .spawn({
                let hub = hub.clone();
                move || run(connection, identity, &hub, &jobs, Keeper::new(retention))
            })?;
        Ok((Self { queue, hub }, thread))
    }

    /// Applies `push` and returns its verdicts once they are durable, with the epoch in which they
    /// were given.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of the push was done.
    pub async fn apply(&self, push: Push) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.queue(Job::Push(PushJob { push, reply }))?;
        answer.await.unwrap_or(Err(WriteError::Failed))
    }

    /// Ends the epoch `seen`, unless that was done: the database was restored from an older copy.
    /// Returns the epoch since.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was done.
    pub async fn renew_epoch(&self, seen: String, fresh: String) -> Result<String, WriteError> {
        let epoch = self.perform(move |connection, identity| {
            renew_epoch(connection, identity, &seen, &fresh)?;
            Ok(identity.epoch.clone())
        });
        let epoch = epoch.await?;
        self.hub.end_all();
        Ok(epoch)
    }

    /// Takes a chunk of a blob.
    ///
    /// # Errors
    /// [`WriteError`], and within it why the chunk was not taken; nothing was done.
    pub async fn append_blob(
        &self,
        chunk: Chunk,
        limits: BlobLimits,
    ) -> Result<Result<Appended, BlobError>, WriteError> {
        self.perform(move |connection, _| {
            let transaction = begin(connection)?;
            let appended = append_blob(&transaction, &chunk, limits, now_ms());
            if appended.is_ok() {
                transaction.commit()?;
            }
            Ok(appended)
        })
        .await
    }

    /// Makes a blob complete, or removes one whose hash is not its own. False where it is not there any
    /// more.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was done.
    pub async fn finish_blob(&self, id: i64, is_good: bool) -> Result<bool, WriteError> {
        self.perform(move |connection, _| {
            let transaction = begin(connection)?;
            let complete = finish_blob(&transaction, id, is_good)?;
            transaction.commit()?;
            Ok(complete)
        })
        .await
    }

    /// Does `task` between the pushes.
    async fn perform<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Connection, &mut Identity) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.queue(Job::Task(Box::new(move |connection, identity| {
            let done = guarded(|| Ok(task(connection, identity)?));
            // Whoever asked may be gone.
            drop(reply.send(done));
        })))?;
        answer.await.unwrap_or(Err(WriteError::Failed))
    }

    fn queue(&self, job: Job) -> Result<(), WriteError> {
        self.queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => WriteError::QueueFull,
            TrySendError::Disconnected(_) => WriteError::Stopped,
        })
    }
}

fn run(
    mut connection: Connection,
    mut identity: Identity,
    hub: &Hub,
    jobs: &Receiver<Job>,
    mut keeper: Keeper,
) {
    let mut next = wait(&mut connection, jobs, &mut keeper);
    while let Some(job) = next {
        let after = match job {
            Job::Push(first) => push(&mut connection, &identity, hub, first, jobs),
            Job::Task(task) => {
                task(&mut connection, &mut identity);
                None
            }
        };
        if keeper.is_late() {
            keeper.step(&mut connection);
        }
        next = match after {
            Some(task) => Some(Job::Task(task)),
            None => wait(&mut connection, jobs, &mut keeper),
        };
    }
    if let Err((_, error)) = connection.close() {
        tracing::error!(error = describe(&error), "the database did not close");
    }
}

/// The next job; none at the end.
fn wait(connection: &mut Connection, jobs: &Receiver<Job>, keeper: &mut Keeper) -> Option<Job> {
    loop {
        match jobs.recv_timeout(keeper.wait()) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Timeout) => keeper.step(connection),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Applies `first` and what waits behind it, as far as a task that waits too.
fn push(
    connection: &mut Connection,
    identity: &Identity,
    hub: &Hub,
    first: PushJob,
    jobs: &Receiver<Job>,
) -> Option<Task> {
    let mut group = Group::default();
    match group.apply(connection, identity, first, jobs) {
        Ok(()) => hub.tell(std::mem::take(&mut group.changed)),
        Err(error) => {
            tracing::error!(error = describe(&error), "a transaction failed");
            group.refuse_all();
        }
    }
    let after = group.after.take();
    group.answer_all();
    after
}

/// The pushes of one transaction, with their answers once they are known.
#[derive(Default)]
struct Group {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// The spaces in which something has changed, as they are stored.
    changed: BTreeSet<String>,
    /// What comes next.
    after: Option<Task>,
}

impl Group {
    /// Applies `first` and what waits behind it, and commits. On an error nothing was done.
    fn apply(
        &mut self,
        connection: &mut Connection,
        identity: &Identity,
        first: PushJob,
        jobs: &Receiver<Job>,
    ) -> rusqlite::Result<()> {
        let mut next = Some(first);
        let mut ops = 0;
        let mut transaction = match begin(connection) {
            Ok(transaction) => transaction,
            Err(error) => {
                self.answers
                    .extend(next.map(|job| (job.reply, Err(WriteError::Unavailable))));
                return Err(error);
            }
        };
        while let Some(PushJob { push, reply }) = next {
            ops += push.ops.len();
            let pushed = apply_one(&mut transaction, identity, push);
            let answer = pushed.map(|pushed| {
                self.changed.extend(pushed.changed);
                (pushed.verdicts, identity.epoch.clone())
            });
            self.answers.push((reply, answer));
            // A full disk can roll the whole transaction back.
            if transaction.is_autocommit() {
                return Err(rusqlite::Error::InvalidQuery);
            }
            next = if ops < GROUP_OPS_MAX {
                self.next(jobs)
            } else {
                None
            };
        }
        transaction.commit()
    }

    /// The push that waits; none where a task comes before it.
    fn next(&mut self, jobs: &Receiver<Job>) -> Option<PushJob> {
        match jobs.try_recv().ok()? {
            Job::Push(job) => Some(job),
            Job::Task(task) => {
                self.after = Some(task);
                None
            }
        }
    }

    fn refuse_all(&mut self) {
        for (_, answer) in &mut self.answers {
            if answer.is_ok() {
                *answer = Err(WriteError::Unavailable);
            }
        }
    }

    fn answer_all(self) {
        for (reply, answer) in self.answers {
            // Whoever asked may be gone; the outcome is recorded for their next attempt.
            drop(reply.send(answer));
        }
    }
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Applies one push in a savepoint, which an error or a panic rolls back.
fn apply_one(
    transaction: &mut Transaction<'_>,
    identity: &Identity,
    push: Push,
) -> Result<Pushed, WriteError> {
    guarded(|| {
        let savepoint = transaction.savepoint()?;
        let pushed = apply_push(&savepoint, identity, push, now_ms())?;
        savepoint.commit()?;
        Ok(pushed)
    })
}

/// One push that makes the server panic must not end the writer for all.
fn guarded<T>(apply: impl FnOnce() -> Result<T, ApplyError>) -> Result<T, WriteError> {
    match catch_unwind(AssertUnwindSafe(apply)) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(ApplyError::ForeignClient)) => Err(WriteError::ForeignClient),
        Ok(Err(ApplyError::ClientExpired)) => Err(WriteError::ClientExpired),
        Ok(Err(ApplyError::ForeignSpace)) => Err(WriteError::Failed),
        Ok(Err(ApplyError::Sqlite(error))) => {
            tracing::error!(error = describe(&error), "writing failed");
            Err(WriteError::Unavailable)
        }
        Err(_) => {
            tracing::error!("what was to be written made the server panic");
            Err(WriteError::Failed)
        }
    }
}

/// What went wrong, without SQL text or values (SEC19).
pub(crate) fn describe(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(error) => format!("{error}"),
        None => "the database and the server disagree".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_refuses_one_push_and_ends_nothing() {
        assert_eq!(
            guarded::<()>(|| panic!("planted")).err(),
            Some(WriteError::Failed)
        );
        assert!(guarded(|| Ok(())).is_ok());
    }
}
