//! Who may do what: a user and the spaces that their token grants.

use std::collections::BTreeMap;

pub use tidesync_protocol::wire::Access;
use tidesync_protocol::wire::{NAME_BYTES_MAX, OWN_SPACE};

/// Most bytes of a user's id.
const SUBJECT_BYTES_MAX: usize = 256;

/// Most spaces of one token, the own one not counted.
pub const SPACES_MAX: usize = 64;

/// A user, and the spaces that are theirs besides their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    subject: String,
    spaces: BTreeMap<String, Access>,
}

/// A user or space has a name that none may have, or there are more than [`SPACES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the user or a space has a name that none may have, or the spaces are too many")]
pub struct GrantError;

/// A space that is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// Its name on the wire; [`OWN_SPACE`] for the user's own.
    pub name: String,
    /// The name under which it is stored.
    pub stored: String,
    /// What is granted.
    pub access: Access,
}

/// The name under which a user's own space is stored. No shared space has such a name.
#[must_use]
pub fn own_space(subject: &str) -> String {
    format!("{OWN_SPACE}{subject}")
}

impl Grant {
    /// `spaces` besides the own one, by name.
    ///
    /// # Errors
    /// [`GrantError`]: a name is empty, too long, or a space's begins like one that is a user's own.
    pub fn new(subject: &str, spaces: BTreeMap<String, Access>) -> Result<Self, GrantError> {
        let good_space = |name: &String| {
            (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.starts_with(OWN_SPACE)
        };
        let good_subject = (1..=SUBJECT_BYTES_MAX).contains(&subject.len());
        if !good_subject || spaces.len() > SPACES_MAX || !spaces.keys().all(good_space) {
            return Err(GrantError);
        }
        let subject = subject.to_owned();
        Ok(Self { subject, spaces })
    }

    /// The user.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The space that is named `name` on the wire; none where it is not granted.
    #[must_use]
    pub fn space(&self, name: &str) -> Option<Space> {
        let (stored, access) = if name == OWN_SPACE {
            (own_space(&self.subject), Access::Write)
        } else {
            (name.to_owned(), *self.spaces.get(name)?)
        };
        Some(Space {
            name: name.to_owned(),
            stored,
            access,
        })
    }

    /// What is granted besides the own one, by name.
    #[must_use]
    pub fn shared(&self) -> &BTreeMap<String, Access> {
        &self.spaces
    }

    /// All that are granted, the own one first.
    pub fn spaces(&self) -> impl Iterator<Item = Space> {
        std::iter::once(OWN_SPACE)
            .chain(self.spaces.keys().map(String::as_str))
            .filter_map(|name| self.space(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(subject: &str, spaces: &[&str]) -> Result<Grant, GrantError> {
        let spaces = spaces.iter().map(|&name| (name.to_owned(), Access::Read));
        Grant::new(subject, spaces.collect())
    }

    #[test]
    fn no_shared_space_is_a_users_own() {
        assert!(grant("alice", &["team", "a~"]).is_ok());
        let long = "x".repeat(257);
        for (subject, space) in [
            ("", "team"),
            (&long[..], "team"),
            ("alice", ""),
            ("alice", "~"),
            ("alice", "~bob"),
            ("alice", &long),
        ] {
            assert_eq!(
                grant(subject, &[space]),
                Err(GrantError),
                "{subject} {space}"
            );
        }
    }

    #[test]
    fn the_own_space_is_first_and_can_be_written_to() {
        let grant = grant("bob", &["z", "a"]).expect("good names");
        let spaces: Vec<_> = grant
            .spaces()
            .map(|space| (space.name, space.stored, space.access))
            .collect();
        let expected = [
            ("~", "~bob", Access::Write),
            ("a", "a", Access::Read),
            ("z", "z", Access::Read),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, stored, access)| (name.to_owned(), stored.to_owned(), access))
            .collect();
        assert_eq!(spaces, expected);
        assert_eq!(grant.space("team"), None);
        assert_eq!(grant.space("~bob"), None);
    }
}
