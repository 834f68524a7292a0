//! The engine's own connection to the app's database, and the names of its stores.

use std::cell::{Cell, RefCell};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use gloo_timers::future::TimeoutFuture;
use rexie::{Rexie, Transaction, TransactionMode};
use tidesync_engine::interface::StorageError;
use wasm_bindgen_futures::spawn_local;

pub(crate) const META: &str = "tidesync.meta";
pub(crate) const STAGED: &str = "tidesync.staged";
pub(crate) const HELD: &str = "tidesync.held";
pub(crate) const SHADOW: &str = "tidesync.shadow";
const LOG_PREFIX: &str = "tidesync.log.";

/// Some browsers now and then never answer an open (F6).
const OPEN_TIMEOUT_MS: u32 = 4_000;

/// The log store of a table.
pub(crate) fn log_of(table: &str) -> String {
    [LOG_PREFIX, table].concat()
}

/// The table of a log store.
pub(crate) fn table_of(store: &str) -> Option<&str> {
    store.strip_prefix(LOG_PREFIX)
}

/// A connection that is opened when it is first needed and closed at once when it must be.
pub(crate) struct Connection {
    database: String,
    open: RefCell<Option<Rexie>>,
    /// Counts up with every close: what was being opened before is not used any more.
    generation: Cell<u64>,
}

impl Connection {
    pub(crate) fn new(database: String) -> Self {
        Self {
            database,
            open: RefCell::new(None),
            generation: Cell::new(0),
        }
    }

    /// Opens the database anew.
    pub(crate) async fn reopen(&self) -> Result<(), StorageError> {
        self.close();
        let generation = self.generation.get();
        let opening = Rexie::builder(&self.database).build().boxed_local();
        match select(opening, TimeoutFuture::new(OPEN_TIMEOUT_MS)).await {
            Either::Left((opened, _)) => {
                let opened = opened.map_err(storage_error)?;
                if self.generation.get() != generation {
                    opened.close();
                    return Err(StorageError::Closed);
                }
                self.open.replace(Some(opened));
                Ok(())
            }
            Either::Right((_, opening)) => {
                // A connection that comes late would block every upgrade, held by nobody.
                spawn_local(opening.map(|opened| {
                    if let Ok(late) = opened {
                        late.close();
                    }
                }));
                Err(StorageError::Closed)
            }
        }
    }

    /// Closes now: transactions that run are finished, new ones fail.
    pub(crate) fn close(&self) {
        self.generation.set(self.generation.get() + 1);
        if let Some(rexie) = self.open.take() {
            rexie.close();
        }
    }

    /// The database's version; 0 where it is not open.
    pub(crate) fn version(&self) -> u32 {
        let open = self.open.borrow();
        let version = open.as_ref().map(Rexie::version);
        version.and_then(Result::ok).unwrap_or_default()
    }

    /// The names of all stores, ours and the app's.
    pub(crate) fn store_names(&self) -> Vec<String> {
        self.open
            .borrow()
            .as_ref()
            .map(Rexie::store_names)
            .unwrap_or_default()
    }

    pub(crate) fn read(&self, stores: &[String]) -> Result<Transaction, StorageError> {
        self.transaction(stores, TransactionMode::ReadOnly)
    }

    pub(crate) fn write(&self, stores: &[String]) -> Result<Transaction, StorageError> {
        self.transaction(stores, TransactionMode::ReadWrite)
    }

    fn transaction(
        &self,
        stores: &[String],
        mode: TransactionMode,
    ) -> Result<Transaction, StorageError> {
        match self.open.borrow().as_ref() {
            Some(rexie) => rexie
                .transaction(stores, mode)
                .map_err(|_| StorageError::Closed),
            None => Err(StorageError::Closed),
        }
    }
}

/// Waits until all of a transaction is durable.
///
/// A full disk lets every request succeed and then aborts at commit, without an error event
/// (RELIABILITY 0.3); the library gives no reason for that abort, and there is no other one then.
pub(crate) async fn commit(transaction: Transaction) -> Result<(), StorageError> {
    transaction.commit().await.map_err(|error| {
        if matches!(error, rexie::Error::TransactioncommitFailed) {
            StorageError::Full
        } else {
            storage_error(error)
        }
    })
}

/// The engine's word for what the browser said.
pub(crate) fn storage_error(error: rexie::Error) -> StorageError {
    if let rexie::Error::IdbError(idb::Error::DomException(exception)) = error {
        named(exception.name())
    } else {
        named("AbortError".to_owned())
    }
}

fn named(name: String) -> StorageError {
    match name.as_str() {
        "QuotaExceededError" => StorageError::Full,
        "InvalidStateError" => StorageError::Closed,
        _ => StorageError::Other { name },
    }
}
