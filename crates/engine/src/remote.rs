//! Records as the server has them: changes of a pull, and what stands against an operation.

use tidesync_protocol::json::{Json, read};
use tidesync_protocol::wire::{Access, OWN_SPACE};

/// A record as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) space: String,
    pub(crate) table: String,
    pub(crate) rid: String,
    pub(crate) version: u64,
    /// Its wire form; none where it was removed.
    pub(crate) value: Option<String>,
    /// Its place among the changes of the last pull, where the shell has it at hand.
    pub(crate) place: Option<u32>,
    /// The record's JSON, for what is told of a conflict.
    pub(crate) json: String,
}

impl Remote {
    /// None where the text is not a record.
    pub(crate) fn read(text: &str) -> Option<Self> {
        read(text, 1, Self::of)?
    }

    /// None where it is incomplete.
    pub(crate) fn of(json: Json<'_>) -> Option<Self> {
        let deleted = json.get("deleted").optional(Json::flag);
        let record = Self {
            space: json.get("space").optional(Json::text).unwrap_or_default(),
            table: json.get("table").optional(Json::text)?,
            rid: json.get("rid").optional(Json::text)?,
            version: json.get("version").optional(Json::whole)?,
            value: json.member("value").map(Json::raw),
            place: None,
            json: json.raw(),
        };
        // A record is either removed or has a value.
        let complete = deleted.unwrap_or_default() != record.value.is_some();
        (complete && record.version > 0).then_some(record)
    }
}

/// What may be done in a space, by what a pull's answer says of those that it covers; none where it does
/// not cover the space.
pub(crate) fn access(spaces: &str, space: &str) -> Option<Access> {
    if space == OWN_SPACE {
        return Some(Access::Write);
    }
    Some(if said_of(spaces, space)? == "\"rw\"" {
        Access::Write
    } else {
        Access::Read
    })
}

/// A member of an object in JSON, as it stands.
pub(crate) fn said_of(object: &str, name: &str) -> Option<String> {
    read(object, 1, |json| json.member(name).map(Json::raw))?
}

/// The answer to a pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PullAnswer {
    pub(crate) epoch: String,
    pub(crate) changes: Vec<Remote>,
    pub(crate) cursor: String,
    pub(crate) more: bool,
    /// About how many changes are left, where the server says.
    pub(crate) remaining: u64,
    /// The spaces that it covers besides the user's own, as JSON; empty where it names none.
    pub(crate) spaces: String,
}

impl PullAnswer {
    /// None where the body is not an answer of this protocol to a pull.
    pub(crate) fn read(body: &str, protocol: u32) -> Option<Self> {
        let (answer, spoken) = read(body, 3, |json| {
            (Self::of(json), json.get("protocol").whole())
        })?;
        let answer = answer?;
        let said = !answer.epoch.is_empty() && !answer.cursor.is_empty();
        (said && spoken == u64::from(protocol)).then_some(answer)
    }

    /// None where a change is incomplete.
    fn of(json: Json<'_>) -> Option<Self> {
        let changes = json.member("changes").map(Json::elements);
        let changes = changes.into_iter().flatten().zip(0..);
        let changes = changes.map(|(change, place)| {
            let change = Remote::of(change)?;
            Some(Remote {
                place: Some(place),
                ..change
            })
        });
        Some(Self {
            changes: changes.collect::<Option<_>>()?,
            epoch: json.get("epoch").optional(Json::text).unwrap_or_default(),
            cursor: json.get("cursor").optional(Json::text).unwrap_or_default(),
            more: json.get("more").optional(Json::flag).unwrap_or_default(),
            remaining: json
                .get("remaining")
                .optional(Json::whole)
                .unwrap_or_default(),
            spaces: json.member("spaces").map(Json::raw).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"space":"~","table":"t","rid":"n1","version":3,"hlc":"0","client":"c","value":{"a":[1]}}"#;

    #[test]
    fn reads_what_a_server_says() {
        let body = format!(
            r#"{{"protocol":1,"epoch":"e","changes":[{RECORD},{{"table":"t","rid":"n2","version":4,"deleted":true}}],"cursor":"c","more":true}}"#
        );
        let answer = PullAnswer::read(&body, 1).expect("an answer");
        assert_eq!(answer.changes[0].value.as_deref(), Some(r#"{"a":[1]}"#));
        assert_eq!(answer.changes[0].json, RECORD);
        assert_eq!(answer.changes[1].value, None);
        assert_eq!(answer.changes[1].place, Some(1));
        assert!(answer.more);
        assert_eq!(PullAnswer::read(&body, 2), None);
    }

    #[test]
    fn refuses_what_is_not_an_answer() {
        for body in [
            "<html>",
            "{}",
            r#"{"protocol":1,"epoch":"e","changes":[{}],"cursor":"c","more":false}"#,
            r#"{"protocol":1,"epoch":"e","changes":[{"table":"t","rid":"n2","version":4}],"cursor":"c","more":false}"#,
            r#"{"protocol":1,"epoch":"e","changes":[],"more":false}"#,
        ] {
            assert_eq!(PullAnswer::read(body, 1), None, "{body}");
        }
    }
}
