//! Who listens to which space. What is told is only that something has changed: a listener that is busy
//! hears once of many changes, so that nothing queues up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::access::Grant;

/// Nobody more can listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The user listens as often as they may.
    #[error("the user has too many streams")]
    UserFull,
    /// As many listen as may.
    #[error("the server has too many streams")]
    Full,
    /// The server is stopping.
    #[error("the server is stopping")]
    Closed,
}

/// Tells listeners of commits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    user_max: usize,
    max: usize,
    is_closed: bool,
    next: u64,
    listeners: BTreeMap<u64, Arc<Ear>>,
    /// By space, as it is stored, and listener.
    spaces: BTreeMap<(String, u64), Arc<Ear>>,
    users: BTreeMap<String, usize>,
}

#[derive(Debug, Default)]
struct Ear {
    told: Notify,
    is_over: AtomicBool,
}

impl Ear {
    fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.told.notify_one();
    }
}

impl Hub {
    /// At most `user_max` listeners of a user, and `max` of all.
    #[must_use]
    pub fn new(user_max: usize, max: usize) -> Self {
        let state = State {
            user_max,
            max,
            is_closed: false,
            next: 0,
            listeners: BTreeMap::new(),
            spaces: BTreeMap::new(),
            users: BTreeMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Listens to the spaces of `grant`.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&self, grant: &Grant) -> Result<Listener, ListenError> {
        let mut state = self.state();
        let of_user = state.users.get(grant.subject()).copied().unwrap_or(0);
        if state.is_closed {
            return Err(ListenError::Closed);
        }
        if state.user_max <= of_user {
            return Err(ListenError::UserFull);
        }
        if state.max <= state.listeners.len() {
            return Err(ListenError::Full);
        }
        let id = state.next;
        state.next += 1;
        let ear = Arc::new(Ear::default());
        let spaces: Vec<String> = grant.spaces().map(|space| space.stored).collect();
        for space in &spaces {
            state.spaces.insert((space.clone(), id), Arc::clone(&ear));
        }
        state.listeners.insert(id, Arc::clone(&ear));
        let subject = grant.subject().to_owned();
        state.users.insert(subject.clone(), of_user + 1);
        Ok(Listener {
            hub: self.clone(),
            id,
            subject,
            spaces,
            ear,
        })
    }

    /// Tells those who listen to any of `spaces`, as they are stored, of a commit.
    pub fn tell(&self, spaces: impl IntoIterator<Item = String>) {
        let state = self.state();
        for space in spaces {
            let of_space = state.spaces.range((space.clone(), 0)..=(space, u64::MAX));
            of_space.for_each(|(_, ear)| ear.told.notify_one());
        }
    }

    /// Ends all listening: what was told is of another epoch.
    pub fn end_all(&self) {
        self.state().listeners.values().for_each(|ear| ear.end());
    }

    /// Ends all listening for good.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.end_all();
    }

    // A panic elsewhere cannot leave it half changed in a way that matters: at worst a listener is told
    // for nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who listens, until dropped.
#[derive(Debug)]
pub struct Listener {
    hub: Hub,
    id: u64,
    subject: String,
    spaces: Vec<String>,
    ear: Arc<Ear>,
}

impl Listener {
    /// Waits for a commit since the last call. False when listening is over.
    pub async fn told(&self) -> bool {
        if !self.is_over() {
            self.ear.told.notified().await;
        }
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.ear.is_over.load(Ordering::Acquire)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.listeners.remove(&self.id);
        for space in std::mem::take(&mut self.spaces) {
            state.spaces.remove(&(space, self.id));
        }
        if let Some(count) = state.users.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                state.users.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;
    use crate::access::Access;

    fn grant(user: &str, spaces: &[&str]) -> Grant {
        let spaces = spaces.iter().map(|&name| (name.to_owned(), Access::Read));
        Grant::new(user, spaces.collect()).expect("good names")
    }

    async fn hears(listener: &Listener) -> bool {
        let told = timeout(Duration::ZERO, listener.told()).await;
        told.is_ok_and(|goes_on| goes_on)
    }

    #[tokio::test]
    async fn a_listener_hears_of_its_spaces_once_for_many_changes() {
        let hub = Hub::new(9, 9);
        let alice = hub.listen(&grant("alice", &["team"])).expect("a place");
        let bob = hub.listen(&grant("bob", &[])).expect("a place");
        assert!(!hears(&alice).await);
        for _ in 0..1_000_000 {
            hub.tell(["team".to_owned()]);
        }
        assert!(hears(&alice).await);
        assert!(!hears(&alice).await, "once");
        assert!(!hears(&bob).await);
        hub.tell(["~bob".to_owned(), "nobody's".to_owned()]);
        assert!(!hears(&alice).await);
        assert!(hears(&bob).await);
    }

    #[tokio::test]
    async fn places_are_limited_and_given_back() {
        let hub = Hub::new(2, 3);
        let listen = |user: &str| hub.listen(&grant(user, &["team"]));
        let first = listen("alice").expect("a place");
        let _second = listen("alice").expect("a place");
        assert_eq!(listen("alice").err(), Some(ListenError::UserFull));
        let _third = listen("bob").expect("a place");
        assert_eq!(listen("carol").err(), Some(ListenError::Full));
        drop(first);
        drop(listen("alice").expect("a place"));
        drop(listen("carol").expect("a place"));
        let state = hub.state();
        assert_eq!(
            (state.listeners.len(), state.spaces.len(), state.users.len()),
            (2, 4, 2),
            "nothing is left behind"
        );
    }

    #[tokio::test]
    async fn listening_ends_for_all() {
        let hub = Hub::new(9, 9);
        let early = hub.listen(&grant("alice", &[])).expect("a place");
        hub.tell(["~alice".to_owned()]);
        hub.end_all();
        assert!(!early.told().await);
        assert!(!early.told().await, "and stays over");
        assert!(hub.listen(&grant("alice", &[])).is_ok());
        hub.close();
        assert_eq!(
            hub.listen(&grant("alice", &[])).err(),
            Some(ListenError::Closed)
        );
    }
}
