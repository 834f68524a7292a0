//! Who listens to which space. What is told is only that something has changed: a listener that is busy
//! hears once of many changes, so that nothing queues up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::access::Grant;

/// Nobody more can listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
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
    /// Who listens as which user, the oldest first.
    users: BTreeMap<String, BTreeSet<u64>>,
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
    /// At most `user_max` listeners of a user, for whom the oldest end, and `max` of all.
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

    /// Listens to the spaces of `grant`. Past the user's limit their oldest listener ends: most often
    /// nobody is behind it any more.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&self, grant: &Grant) -> Result<Listener, ListenError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(ListenError::Closed);
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
        let user_max = state.user_max;
        let of_user = state.users.entry(subject.clone()).or_default();
        of_user.insert(id);
        let surplus = user_max < of_user.len();
        let oldest = if surplus { of_user.pop_first() } else { None };
        if let Some(ear) = oldest.and_then(|oldest| state.listeners.get(&oldest)) {
            ear.end();
        }
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
        if let Some(of_user) = state.users.get_mut(&self.subject) {
            of_user.remove(&self.id);
            if of_user.is_empty() {
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
        let hub = Hub::new(2, 4);
        let listen = |user: &str| hub.listen(&grant(user, &["team"]));
        let first = listen("alice").expect("a place");
        let second = listen("alice").expect("a place");
        let _other = listen("bob").expect("a place");
        let _third = listen("alice").expect("the place of the first");
        assert!(!first.told().await, "it is over");
        assert_eq!(listen("carol").err(), Some(ListenError::Full));
        drop(first);
        hub.tell(["team".to_owned()]);
        assert!(hears(&second).await, "the others go on");
        drop(listen("carol").expect("a place"));
        let state = hub.state();
        assert_eq!(
            (state.listeners.len(), state.spaces.len(), state.users.len()),
            (3, 6, 2),
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
