//! The readers: connections that see the last commit and hold nobody up, each used by one request at a
//! time, on a thread that may be kept busy.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::store::{OpenError, open_reader};

/// What was to be read was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a defect of the server")]
pub struct ReadError;

/// Hands out read connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    /// Opens `count` connections to the database at `path`.
    ///
    /// # Errors
    /// SQLite refused.
    pub fn open(path: &Path, busy_timeout: Duration, count: usize) -> Result<Self, OpenError> {
        let connections = (0..count)
            .map(|_| open_reader(path, busy_timeout))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            idle: Arc::new(Mutex::new(connections)),
            places: Arc::new(Semaphore::new(count)),
        })
    }

    /// Does `read` as soon as a connection is free.
    ///
    /// # Errors
    /// [`ReadError`] when `read` panics.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| ReadError)?;
        let idle = Arc::clone(&self.idle);
        let reading = tokio::task::spawn_blocking(move || {
            let lent = Lent::take(idle)?;
            let read = lent.connection.as_ref().map(read);
            drop(lent);
            drop(place);
            read
        });
        reading.await.ok().flatten().ok_or(ReadError)
    }
}

/// A connection that goes back when it is dropped, by a panic too.
struct Lent {
    idle: Arc<Mutex<Vec<Connection>>>,
    connection: Option<Connection>,
}

impl Lent {
    fn take(idle: Arc<Mutex<Vec<Connection>>>) -> Option<Self> {
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        connection.is_some().then_some(Self { idle, connection })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Start, open};

    #[tokio::test]
    async fn a_panic_takes_no_connection_away() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.db");
        let (_writer, _) = open(&path, Duration::ZERO, &Start::random(1)?)?;
        let readers = Readers::open(&path, Duration::ZERO, 1)?;
        for _ in 0..3 {
            assert!(
                readers
                    .read(|_| panic!("planted"))
                    .await
                    .map(|()| 0)
                    .is_err()
            );
        }
        let written = readers
            .read(|connection| connection.execute("DELETE FROM records", []).is_ok())
            .await?;
        assert!(!written, "readers only read");
        Ok(())
    }
}
