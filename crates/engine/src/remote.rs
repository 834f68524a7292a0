//! Records as the server has them: changes of a pull, and what stands against an operation.

use tidesync_protocol::json::{Found, JsonReader};
use tidesync_protocol::value::ValueError;

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
        let mut json = JsonReader::new(text);
        let record = Self::next(&mut json).ok()?;
        json.end().ok()?;
        record
    }

    /// Reads the next record; none where it is incomplete.
    pub(crate) fn next(json: &mut JsonReader<'_>) -> Found<Option<Self>> {
        let text = json.raw()?;
        let mut space = None;
        let (mut table, mut rid, mut version) = (None, None, None);
        let (mut deleted, mut value) = (false, None);
        let mut members = JsonReader::new(text);
        members.object(&mut |name, json| {
            match name {
                "space" => space = json.text()?,
                "table" => table = json.text()?,
                "rid" => rid = json.text()?,
                "version" => version = json.whole()?,
                "deleted" => deleted = json.flag()?,
                "value" => value = Some(json.raw()?.to_owned()),
                _ => json.skip()?,
            }
            Ok(())
        })?;
        let (Some(table), Some(rid), Some(version)) = (table, rid, version) else {
            return Ok(None);
        };
        // A record is either removed or has a value.
        let complete = deleted != value.is_some() && version > 0;
        Ok(complete.then(|| Self {
            space: space.unwrap_or_default(),
            table,
            rid,
            version,
            value,
            place: None,
            json: text.to_owned(),
        }))
    }
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
        let mut answer = Self::default();
        let (mut spoken, mut complete) = (None, true);
        let mut json = JsonReader::new(body);
        let read = json.object(&mut |name, json| {
            match name {
                "protocol" => spoken = json.whole()?,
                "epoch" => answer.epoch = json.text()?.unwrap_or_default(),
                "cursor" => answer.cursor = json.text()?.unwrap_or_default(),
                "more" => answer.more = json.flag()?,
                "spaces" => answer.spaces = json.raw()?.to_owned(),
                "remaining" => answer.remaining = json.whole()?.unwrap_or_default(),
                "changes" => json.array(&mut |json| {
                    let place = u32::try_from(answer.changes.len()).ok();
                    match Remote::next(json)? {
                        Some(change) => answer.changes.push(Remote { place, ..change }),
                        None => complete = false,
                    }
                    Ok(())
                })?,
                _ => json.skip()?,
            }
            Ok::<(), ValueError>(())
        });
        read.ok()?;
        json.end().ok()?;
        let said = !answer.epoch.is_empty() && !answer.cursor.is_empty();
        (complete && said && spoken == Some(u64::from(protocol))).then_some(answer)
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
