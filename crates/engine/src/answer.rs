//! What a server says, as the engine reads it: only the parts that it goes by.

use tidesync_protocol::json::{Json, read};
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

impl Answer {
    /// None where the body is not an answer to a push.
    pub(crate) fn read(body: &str) -> Option<Self> {
        read(body, 4, |json| {
            json.get("epoch").optional(Json::text)?;
            Some(Self {
                protocol: json.get("protocol").optional(Json::whole)?,
                batch: json.get("batch").optional(Json::text)?,
                place: json.get("place").optional(Json::text),
                verdicts: json
                    .get("verdicts")
                    .elements()
                    .map(Judged::of)
                    .collect::<Option<_>>()?,
            })
        })?
    }
}

impl Judged {
    /// None where it is incomplete.
    fn of(json: Json<'_>) -> Option<Self> {
        Some(Self {
            op: json.get("op").optional(Json::text)?,
            verdict: Verdict::named(&json.get("verdict").optional(Json::text)?)?,
            version: json.get("version").optional(Json::whole),
            code: json.get("code").optional(Json::text),
            message: json.get("message").optional(Json::text),
            retry_after_ms: json.get("retryAfterMs").optional(Json::whole),
            record: json.get("record").optional(Remote::of).flatten(),
            resolved: json.member("resolved").map(Json::raw),
        })
    }
}

/// The reason that the body of a refusal gives; none where it is not the server's.
pub(crate) fn refusal(body: &str) -> Option<Reason> {
    read(body, 1, |json| {
        Some(Reason {
            code: json.get("code").optional(Json::text)?,
            message: json.get("message").optional(Json::text)?,
        })
    })?
}

/// The epoch that a body names.
pub(crate) fn epoch(body: &str) -> Option<String> {
    read(body, 1, |json| json.get("epoch").optional(Json::text))?
}
