//! What a server says, as the engine reads it: only the parts that it goes by.

use tidesync_protocol::json::{Found, JsonReader};
use tidesync_protocol::wire::Verdict;

use crate::classify::Reason;
use crate::remote::Remote;

/// The answer to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) protocol: u64,
    pub(crate) batch: String,
    /// Where the server is since, where it says.
    pub(crate) place: Option<String>,
    pub(crate) verdicts: Vec<Judged>,
}

/// What became of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) op: String,
    pub(crate) verdict: Verdict,
    pub(crate) version: Option<u64>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) retry_after_ms: Option<u64>,
    /// The server's record.
    pub(crate) record: Option<Remote>,
    /// What was resolved without asking, as JSON.
    pub(crate) resolved: Option<String>,
}

/// An object's members, as far as they were found.
#[derive(Default)]
struct Members {
    protocol: Option<u64>,
    batch: Option<String>,
    epoch: Option<String>,
    place: Option<String>,
    op: Option<String>,
    verdict: Option<String>,
    version: Option<u64>,
    code: Option<String>,
    message: Option<String>,
    retry_after_ms: Option<u64>,
    record: Option<Remote>,
    resolved: Option<String>,
    verdicts: Option<Vec<Option<Judged>>>,
}

impl Answer {
    /// None where the body is not an answer to a push.
    pub(crate) fn read(body: &str) -> Option<Self> {
        let found = members_of(body)?;
        found.epoch?;
        Some(Self {
            protocol: found.protocol?,
            batch: found.batch?,
            place: found.place,
            verdicts: found.verdicts?.into_iter().collect::<Option<_>>()?,
        })
    }
}

/// The reason that the body of a refusal gives; none where it is not the server's.
pub(crate) fn refusal(body: &str) -> Option<Reason> {
    let found = members_of(body)?;
    Some(Reason {
        code: found.code?,
        message: found.message?,
    })
}

/// The epoch that a body names.
pub(crate) fn epoch(body: &str) -> Option<String> {
    members_of(body)?.epoch
}

fn members_of(body: &str) -> Option<Members> {
    let mut json = JsonReader::new(body);
    let found = members(&mut json, true).ok()?;
    json.end().ok()?;
    Some(found)
}

/// Reads an answer, or one of its verdicts: those hold no further ones, whatever is sent.
fn members(json: &mut JsonReader<'_>, is_answer: bool) -> Found<Members> {
    let mut found = Members::default();
    json.object(&mut |name, json| {
        match name {
            "protocol" => found.protocol = json.whole()?,
            "batch" => found.batch = json.text()?,
            "epoch" => found.epoch = json.text()?,
            "place" => found.place = json.text()?,
            "op" => found.op = json.text()?,
            "verdict" => found.verdict = json.text()?,
            "version" => found.version = json.whole()?,
            "code" => found.code = json.text()?,
            "message" => found.message = json.text()?,
            "retryAfterMs" => found.retry_after_ms = json.whole()?,
            "record" => found.record = Remote::next(json)?,
            "resolved" => found.resolved = Some(json.raw()?.to_owned()),
            "verdicts" if is_answer => {
                let verdicts = found.verdicts.insert(Vec::new());
                json.array(&mut |json| {
                    verdicts.push(judged(members(json, false)?));
                    Ok(())
                })?;
            }
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(found)
}

fn judged(found: Members) -> Option<Judged> {
    Some(Judged {
        op: found.op?,
        verdict: Verdict::named(&found.verdict?)?,
        version: found.version,
        code: found.code,
        message: found.message,
        retry_after_ms: found.retry_after_ms,
        record: found.record,
        resolved: found.resolved,
    })
}
