//! When the writer forgets: in small steps while nobody waits, and all the same where somebody always
//! does.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use crate::clock::now_ms;
use crate::store::forget;

/// Most rows of one step: what bounds how long a push waits for it.
const STEP_ROWS: usize = 200;

/// Between two steps.
const STEP_PAUSE: Duration = Duration::from_millis(50);

/// After the last step, before it looks again.
const LOOK_PAUSE: Duration = Duration::from_secs(600);

/// A step that is due for so long does not wait for silence any more.
const LATE: Duration = Duration::from_secs(60);

/// Keeps the database from growing for ever.
#[derive(Debug)]
pub(crate) struct Keeper {
    retention_ms: i64,
    due: Instant,
}

impl Keeper {
    pub(crate) fn new(retention: Duration) -> Self {
        Self {
            retention_ms: i64::try_from(retention.as_millis()).unwrap_or(i64::MAX),
            due: Instant::now() + STEP_PAUSE,
        }
    }

    /// How long until the next step.
    pub(crate) fn wait(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    pub(crate) fn is_late(&self) -> bool {
        self.due + LATE < Instant::now()
    }

    /// Does a step.
    pub(crate) fn step(&mut self, connection: &mut Connection) {
        let pause = match self.forget(connection) {
            Ok(0) => LOOK_PAUSE,
            Ok(_) => STEP_PAUSE,
            Err(error) => {
                let error = crate::group::describe(&error);
                tracing::warn!(error, "what is old could not be removed");
                LOOK_PAUSE
            }
        };
        self.due = Instant::now() + pause;
    }

    fn forget(&self, connection: &mut Connection) -> rusqlite::Result<usize> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let forgotten = forget(&transaction, now_ms(), self.retention_ms, STEP_ROWS)?;
        transaction.commit()?;
        Ok(forgotten)
    }
}
