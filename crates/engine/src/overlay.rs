//! Lays what the app has changed over what the server has: a pull never hides, reverts or flickers
//! a local change (I23).

use tidesync_protocol::hash::{Field, Fields};
use tidesync_protocol::json::push_text;

use crate::shadow::{ABSENT, Page};

/// The fields of the app's record that are replaced, and the hashes of what they were.
pub(crate) type Replaced = Vec<(String, u64)>;

/// What becomes of the app's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It stays as it is.
    Kept,
    /// It becomes what the server has.
    Remote,
    /// It becomes this.
    Mixed(String),
}

/// What the app's record is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before<'a> {
    /// The page of the shadow, from before the server's record.
    pub(crate) page: &'a Page,
    pub(crate) lid: &'a str,
    /// Every field that differs counts as changed: the server has lost what it knew.
    pub(crate) all: bool,
    /// Then also one that is not here: what the server has is from before, and nobody has added it since.
    pub(crate) removes: bool,
}

/// Lays the changes of `local` since `before` over `remote`.
pub(crate) fn overlay(
    before: Before<'_>,
    local: &Fields<'_>,
    remote: &Fields<'_>,
) -> (Outcome, Replaced) {
    let outcome = match (local, remote) {
        (Fields::Each(local), Fields::Each(remote)) => return each(before, local, remote),
        (Fields::Whole(local), Fields::Whole(remote)) if local.keyed == remote.keyed => {
            Outcome::Kept
        }
        _ if before.is_changed(local) => Outcome::Kept,
        _ => Outcome::Remote,
    };
    (outcome, Replaced::new())
}

impl Before<'_> {
    /// Whether the value as a whole is not what the server was known to have.
    pub(crate) fn is_changed(self, local: &Fields<'_>) -> bool {
        let Some(entry) = self.page.get(self.lid).filter(|_| !self.all) else {
            return true;
        };
        match local {
            Fields::Whole(hashes) => !entry.fields.iter().any(|field| field.1 == hashes.keyed),
            Fields::Each(fields) => {
                fields.len() != entry.fields.len()
                    || fields
                        .iter()
                        .any(|field| self.is_dirty(&field.name, field.hashes.keyed))
            }
        }
    }

    /// Whether the app has changed a field to what it is now.
    fn is_dirty(self, name: &str, hash: u64) -> bool {
        let Some(entry) = self.page.get(self.lid).filter(|_| !self.all) else {
            return true;
        };
        let known = self.page.find(&entry.fields, name) == Some(hash);
        let echo = self.page.find(&entry.stale, name) == Some(hash);
        !known && !echo
    }

    /// Whether the app has removed a field that it does not have.
    fn is_removed(self, name: &str) -> bool {
        let Some(entry) = self.page.get(self.lid).filter(|_| !self.all) else {
            return self.all && self.removes;
        };
        let known = self.page.find(&entry.fields, name).is_some();
        let echo = self.page.find(&entry.stale, name) == Some(ABSENT);
        known && !echo
    }
}

/// What is replaced where all of `local` becomes `remote`.
pub(crate) fn replaced(local: Option<&Fields<'_>>, remote: Option<&Fields<'_>>) -> Replaced {
    let (Some(Fields::Each(local)), Some(Fields::Each(remote))) = (local, remote) else {
        return Replaced::new();
    };
    let names = local.iter().chain(remote).map(|field| field.name.as_ref());
    let hash = |fields: &[Field<'_>], name: &str| {
        find(fields, name).map_or(ABSENT, |field| field.hashes.keyed)
    };
    let mut replaced = Replaced::new();
    for name in names {
        let ours = hash(local, name);
        let is_new = !replaced.iter().any(|(known, _)| known == name);
        if ours != hash(remote, name) && is_new {
            replaced.push((name.to_owned(), ours));
        }
    }
    replaced
}

fn each(before: Before<'_>, local: &[Field<'_>], remote: &[Field<'_>]) -> (Outcome, Replaced) {
    let mut kept = 0;
    let mut replaced = Replaced::new();
    let mut members: Vec<(&str, &str)> = Vec::new();
    for theirs in remote {
        let ours = find(local, &theirs.name);
        let hash = ours.map_or(ABSENT, |ours| ours.hashes.keyed);
        match ours {
            Some(ours) if hash == theirs.hashes.keyed => members.push((&ours.name, ours.value)),
            Some(ours) if before.is_dirty(&ours.name, hash) => {
                kept += 1;
                members.push((&ours.name, ours.value));
            }
            None if before.is_removed(&theirs.name) => kept += 1,
            _ => {
                replaced.push((theirs.name.clone().into_owned(), hash));
                members.push((&theirs.name, theirs.value));
            }
        }
    }
    let only_ours = local
        .iter()
        .filter(|ours| find(remote, &ours.name).is_none());
    for ours in only_ours {
        if before.is_dirty(&ours.name, ours.hashes.keyed) {
            kept += 1;
            members.push((&ours.name, ours.value));
        } else {
            replaced.push((ours.name.clone().into_owned(), ours.hashes.keyed));
        }
    }
    let outcome = match (kept, replaced.len()) {
        (_, 0) => Outcome::Kept,
        (0, _) => Outcome::Remote,
        _ => Outcome::Mixed(object(&members)),
    };
    (outcome, replaced)
}

fn find<'a, 'b>(fields: &'b [Field<'a>], name: &str) -> Option<&'b Field<'a>> {
    let place = fields.binary_search_by(|field| field.name.as_ref().cmp(name));
    fields.get(place.ok()?)
}

fn object(members: &[(&str, &str)]) -> String {
    let mut text = "{".to_owned();
    for (place, (name, value)) in members.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        push_text(&mut text, name);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    text
}
