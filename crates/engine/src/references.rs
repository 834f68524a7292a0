//! Fields that hold a generated key of another table's record (DESIGN section 6). A generated key
//! means something on one device only: on the wire the parent's id takes its place.

use tidesync_protocol::json::{push_text, read};
use tidesync_protocol::key::is_random_rid;

use crate::config::Config;
use crate::database::Database;

/// A reference of a value: the parent's table, and its key or id as it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) table: String,
    /// The parent, by its local name on the way out, by its id on the way in.
    pub(crate) parent: String,
}

/// Whether records of a table refer to records with generated keys.
pub(crate) fn has_any(config: &Config, database: &Database, table: &str) -> bool {
    declared(config, database, table).next().is_some()
}

fn declared<'a>(
    config: &'a Config,
    database: &'a Database,
    table: &str,
) -> impl Iterator<Item = &'a (String, String)> {
    let table = config.table(table);
    let references = table.into_iter().flat_map(|table| &table.references);
    references.filter(|(_, parent)| database.has_generated_keys(parent))
}

/// The parents that a value of the app's names by their local keys.
pub(crate) fn outgoing(
    config: &Config,
    database: &Database,
    table: &str,
    value: &str,
) -> Vec<Reference> {
    let mut found = Vec::new();
    rewrite(config, database, table, value, &mut |parent, text| {
        let parent = local(text).map(|parent_lid| Reference {
            table: parent.to_owned(),
            parent: parent_lid,
        });
        found.extend(parent);
        None
    });
    found
}

/// The parents that a value of the server's names by their ids.
pub(crate) fn incoming(
    config: &Config,
    database: &Database,
    table: &str,
    value: &str,
) -> Vec<Reference> {
    let mut found = Vec::new();
    rewrite(config, database, table, value, &mut |parent, text| {
        let parent = id(text).map(|rid| Reference {
            table: parent.to_owned(),
            parent: rid,
        });
        found.extend(parent);
        None
    });
    found
}

/// The value with its parents' ids in place of their keys; none where nothing changes.
pub(crate) fn to_wire(
    config: &Config,
    database: &Database,
    table: &str,
    value: &str,
    rid_of: &mut dyn FnMut(&str, &str) -> Option<String>,
) -> Option<String> {
    rewrite(config, database, table, value, &mut |parent, text| {
        let rid = rid_of(parent, &local(text)?)?;
        let mut text = String::new();
        push_text(&mut text, &rid);
        Some(text)
    })
}

/// The value with its parents' keys in place of their ids; none where nothing changes.
pub(crate) fn to_local(
    config: &Config,
    database: &Database,
    table: &str,
    value: &str,
    lid_of: &mut dyn FnMut(&str, &str) -> Option<String>,
) -> Option<String> {
    rewrite(config, database, table, value, &mut |parent, text| {
        let lid = lid_of(parent, &id(text)?)?;
        lid.strip_prefix('n').map(str::to_owned)
    })
}

/// The local name of a generated key: a whole number.
fn local(text: &str) -> Option<String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| ["n", text].concat())
}

fn id(text: &str) -> Option<String> {
    let id = read(text, 0, |json| json.text())?;
    is_random_rid(&id).then_some(id)
}

/// Writes an object anew with what `replace` gives for the declared fields; none where it gives
/// nothing, or where the value is no object.
fn rewrite(
    config: &Config,
    database: &Database,
    table: &str,
    value: &str,
    replace: &mut dyn FnMut(&str, &str) -> Option<String>,
) -> Option<String> {
    if !has_any(config, database, table) {
        return None;
    }
    let mut text = "{".to_owned();
    let mut changed = false;
    let members = read(value, 1, |json| {
        json.members().for_each(|(name, value)| {
            let value = &value.raw();
            let parent = declared(config, database, table).find(|(field, _)| field == name);
            let new = parent.and_then(|(_, parent)| replace(parent, value));
            changed |= new.is_some();
            if text.len() > 1 {
                text.push(',');
            }
            push_text(&mut text, name);
            text.push(':');
            text.push_str(new.as_deref().unwrap_or(value));
        })
    });
    text.push('}');
    members.filter(|()| changed).map(|()| text)
}
