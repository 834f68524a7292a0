//! A group: the pushes that share a transaction, each in a savepoint of its own.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::clock::now_ms;
use crate::push::Push;
use crate::store::{ApplyError, Identity, Pushed, apply_push};
use crate::writer::{Answer, Applied, WriteError};

/// Most operations that share a transaction: what bounds, with the bytes, how long the first of them
/// waits.
const GROUP_OPS_MAX: usize = 4_000;

/// Bytes of records, read, written and told, at which a group ends.
const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Something else than a push that is to be written, in transactions of its own.
pub(crate) type Task = Box<dyn FnOnce(&mut Connection, &mut Identity) + Send>;

/// What waits for the writer.
pub(crate) enum Job {
    Push(PushJob),
    Task(Task),
}

/// What is given back once a job is done: the memory that its request holds.
pub(crate) type Held = Box<dyn Send>;

pub(crate) struct PushJob {
    pub(crate) push: Push,
    pub(crate) held: Held,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// The pushes of one transaction, with their answers once they are known.
#[derive(Default)]
pub(crate) struct Group {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    ops: usize,
    bytes: usize,
    /// The spaces in which something has changed, as they are stored.
    pub(crate) changed: BTreeSet<String>,
    /// What comes next.
    pub(crate) after: Option<Task>,
}

impl Group {
    /// Applies `first` and what waits behind it, and commits. On an error nothing was done.
    pub(crate) fn apply(
        &mut self,
        connection: &mut Connection,
        identity: &Identity,
        first: PushJob,
        jobs: &Receiver<Job>,
    ) -> rusqlite::Result<()> {
        let mut next = Some(first);
        let mut transaction = match begin(connection) {
            Ok(transaction) => transaction,
            Err(error) => {
                self.answers
                    .extend(next.map(|job| (job.reply, Err(WriteError::Unavailable))));
                return Err(error);
            }
        };
        while let Some(PushJob { push, held, reply }) = next {
            // Empty ones are work too.
            self.ops += push.ops.len().max(1);
            let pushed = apply_one(&mut transaction, identity, push);
            drop(held);
            let answer = pushed.map(|pushed| {
                self.bytes += pushed.work_bytes + pushed.told_bytes;
                self.changed.extend(pushed.changed);
                Applied {
                    verdicts: pushed.verdicts,
                    epoch: identity.epoch.clone(),
                    place: pushed.place,
                }
            });
            self.answers.push((reply, answer));
            // A full disk can roll the whole transaction back.
            if transaction.is_autocommit() {
                return Err(rusqlite::Error::InvalidQuery);
            }
            next = self.next(jobs);
        }
        transaction.commit()
    }

    /// The push that waits; none where a task comes before it, or the group is large enough.
    fn next(&mut self, jobs: &Receiver<Job>) -> Option<PushJob> {
        if GROUP_OPS_MAX <= self.ops || GROUP_BYTES_MAX <= self.bytes {
            return None;
        }
        match jobs.try_recv().ok()? {
            Job::Push(job) => Some(job),
            Job::Task(task) => {
                self.after = Some(task);
                None
            }
        }
    }

    pub(crate) fn refuse_all(&mut self) {
        for (_, answer) in &mut self.answers {
            if answer.is_ok() {
                *answer = Err(WriteError::Unavailable);
            }
        }
    }

    pub(crate) fn answer_all(self) {
        for (reply, answer) in self.answers {
            // Whoever asked may be gone; the outcome is recorded for their next attempt.
            drop(reply.send(answer));
        }
    }
}

pub(crate) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
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
pub(crate) fn guarded<T>(apply: impl FnOnce() -> Result<T, ApplyError>) -> Result<T, WriteError> {
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
    use std::collections::BTreeMap;
    use std::sync::mpsc::sync_channel;

    use tidesync_protocol::hash::{Content, FieldHasher, PUBLIC_KEY, hash_text, op_hash};

    use super::*;
    use crate::access::Grant;
    use crate::push::read;
    use crate::store::{Start, open_in_memory};

    fn store() -> (Connection, Identity) {
        let start = Start {
            epoch: "epoch".to_owned(),
            boot: "boot".to_owned(),
            secret: [1; 32],
            now_ms: 1,
        };
        open_in_memory(&start).expect("a store")
    }

    fn job(ops: &str) -> PushJob {
        let body = format!(
            r#"{{"protocol":1,"client":"{}","subject":"alice","batch":"b","ops":[{ops}]}}"#,
            "c".repeat(22)
        );
        let grant = Grant::new("alice", BTreeMap::new()).expect("a good name");
        let push = read(body.as_bytes(), &grant, None).expect("a push");
        let (reply, _) = oneshot::channel();
        let held = Box::new(());
        PushJob { push, held, reply }
    }

    /// How many pushes `group` takes of three that wait.
    fn taken(mut group: Group, ops: &str) -> usize {
        let (mut connection, identity) = store();
        let (queue, jobs) = sync_channel(2);
        for _ in 0..2 {
            drop(queue.send(Job::Push(job(""))));
        }
        let done = group.apply(&mut connection, &identity, job(ops), &jobs);
        done.expect("a commit");
        group.answers.len()
    }

    #[test]
    fn a_group_ends_with_enough_work() {
        let value = "x".repeat(50);
        let text = format!("\"{value}\"");
        let fields = FieldHasher::new(PUBLIC_KEY).field_hashes(text.as_bytes());
        let hash = op_hash("t", "n1", 0, Content::Put(&fields.expect("a value")));
        let put = format!(
            r#"{{"op":"i.1","space":"~","table":"t","rid":"n1","kind":"put","base":0,"hlc":"{:016}","value":"{value}","hash":"{}"}}"#,
            0,
            hash_text(hash)
        );
        let nearly_full = || Group {
            bytes: GROUP_BYTES_MAX - 40,
            ..Group::default()
        };
        assert_eq!(taken(Group::default(), &put), 3);
        assert_eq!(taken(nearly_full(), &put), 1);
        assert_eq!(taken(nearly_full(), ""), 3);
    }

    #[test]
    fn empty_pushes_end_a_group_too() {
        let group = Group {
            ops: GROUP_OPS_MAX - 2,
            ..Group::default()
        };
        assert_eq!(taken(group, ""), 2);
    }

    #[test]
    fn a_panic_refuses_one_push_and_ends_nothing() {
        assert_eq!(
            guarded::<()>(|| panic!("planted")).err(),
            Some(WriteError::Failed)
        );
        assert!(guarded(|| Ok(())).is_ok());
    }
}
