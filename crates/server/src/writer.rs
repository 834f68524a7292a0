//! The one writer: a thread that owns the database's write connection and applies pushes in
//! groups (`group.rs`); answers leave only after their commit (I17).

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tidesync_protocol::wire::VerdictEntry;
use tokio::sync::oneshot;

use crate::clock::now_ms;
use crate::group::{Group, Held, Job, PushJob, Task, begin, describe, guarded};
use crate::hub::Hub;
use crate::keeper::Keeper;
use crate::push::Push;
use crate::store::{
    Appended, BlobError, BlobLimits, Chunk, Identity, append_blob, finish_blob, renew_epoch,
};

/// Why a push was not applied. Nothing of it was done, save perhaps where the writer gave no answer
/// ([`WriteError::Unavailable`]).
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
    /// The database cannot be written to for now: it is locked, full or read-only. Or the writer has
    /// died, nobody knows when: the same again is always right.
    #[error("the database cannot be written to now")]
    Unavailable,
    /// A defect of the server.
    #[error("the server failed")]
    Failed,
}

/// A push was applied.
#[derive(Debug)]
pub struct Applied {
    /// The verdicts on it.
    pub verdicts: Vec<VerdictEntry>,
    /// The epoch in which they were given.
    pub epoch: String,
    /// Where the server is since.
    pub place: Option<String>,
}

pub(crate) type Answer = Result<Applied, WriteError>;

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
    /// were given. `held` is dropped as soon as the push is, though nobody waits any more.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of the push was done.
    pub async fn apply(
        &self,
        push: Push,
        held: impl Send + 'static,
    ) -> Result<Applied, WriteError> {
        let (reply, answer) = oneshot::channel();
        let held: Held = Box::new(held);
        self.queue(Job::Push(PushJob { push, held, reply }))?;
        answer.await.unwrap_or(Err(WriteError::Unavailable))
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

    /// Takes a chunk of a blob. `held` is dropped as soon as the chunk is, though nobody waits any more.
    ///
    /// # Errors
    /// [`WriteError`], and within it why the chunk was not taken; nothing was done.
    pub async fn append_blob(
        &self,
        chunk: Chunk,
        limits: BlobLimits,
        held: impl Send + 'static,
    ) -> Result<Result<Appended, BlobError>, WriteError> {
        self.perform(move |connection, _| {
            let transaction = begin(connection)?;
            let appended = append_blob(&transaction, &chunk, limits, now_ms());
            if appended.is_ok() {
                transaction.commit()?;
            }
            drop((chunk, held));
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
        answer.await.unwrap_or(Err(WriteError::Unavailable))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::access::Grant;

    #[tokio::test]
    async fn a_writer_that_dies_may_have_done_what_it_had() {
        let (queue, jobs) = sync_channel(1);
        let hub = Hub::new(1, 1);
        let writer = Writer { queue, hub };
        let dies = std::thread::spawn(move || drop(jobs.recv()));
        let push = Push {
            grant: Grant::new("alice", BTreeMap::new()).expect("a good name"),
            client: "c".repeat(22),
            batch: "b".to_owned(),
            place: None,
            ops: Vec::new(),
        };
        let answer = writer.apply(push, ()).await;
        assert_eq!(answer.err(), Some(WriteError::Unavailable));
        assert!(dies.join().is_ok());
    }
}
