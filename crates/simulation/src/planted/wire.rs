//! Bugs between the engine and the server. Without a planted one each gives back what it was given.

use serde_json::value::RawValue;
use tidesync_engine::interface::RequestOutcome;
use tidesync_protocol::wire::{PROTOCOL, PushRequest, PushResponse, Verdict, VerdictEntry};

use super::Planted;

/// An answer as it leaves the server.
pub(crate) fn of_answer(planted: Option<Planted>, body: String) -> String {
    let rejected = "\"verdict\":\"rejected\"";
    match planted {
        Some(Planted::RefusalIsSuccess) => {
            body.replace(rejected, "\"verdict\":\"applied\",\"version\":1")
        }
        Some(Planted::RejectedForEver) => body.replace(rejected, "\"verdict\":\"retry\""),
        Some(Planted::NewIdsOnRetry) => with_old_ids(&body),
        _ => body,
    }
}

/// An answer as the engine hears it.
pub(crate) fn of_outcome(planted: Option<Planted>, mut outcome: RequestOutcome) -> RequestOutcome {
    if planted == Some(Planted::RetryAfterIgnored)
        && let RequestOutcome::Answer { retry_after, .. } = &mut outcome
    {
        *retry_after = None;
    }
    outcome
}

/// What a server would say that has done all of it.
pub(crate) fn invented_answer(body: &str) -> String {
    let request: PushRequest = serde_json::from_str(body).expect("a push of the engine's");
    let verdicts = request.ops.iter().map(|op| VerdictEntry {
        op: id(op),
        verdict: Verdict::Applied,
        version: Some(1),
        remote_id: None,
        record: None,
        resolved: Vec::new(),
        code: None,
        message: None,
        retry_after_ms: None,
    });
    let answer = PushResponse {
        protocol: PROTOCOL,
        batch: request.batch,
        epoch: "invented".to_owned(),
        place: None,
        verdicts: verdicts.collect(),
    };
    serde_json::to_string(&answer).expect("an answer in JSON")
}

fn id(op: &RawValue) -> String {
    let op: serde_json::Value = serde_json::from_str(op.get()).expect("an operation");
    op["op"].as_str().unwrap_or_default().to_owned()
}

/// What stands for a retry in the ids of [`Planted::NewIdsOnRetry`].
const AGAIN: &str = "_again_";

/// A body that was sent before, with ids of its own.
pub(crate) fn with_new_ids(body: &str, attempt: u32) -> String {
    let mut renamed = String::new();
    let mut rest = body;
    while let Some(place) = rest.find("{\"op\":\"") {
        let dot = rest[place..]
            .find('.')
            .map_or(rest.len(), |dot| place + dot);
        renamed.push_str(&rest[..dot]);
        renamed.push_str(AGAIN);
        renamed.push_str(&attempt.to_string());
        rest = &rest[dot..];
    }
    renamed.push_str(rest);
    renamed
}

/// The answer with the ids that the engine knows.
fn with_old_ids(body: &str) -> String {
    let mut renamed = String::new();
    let mut rest = body;
    while let Some(place) = rest.find(AGAIN) {
        renamed.push_str(&rest[..place]);
        rest = rest[place + AGAIN.len()..].trim_start_matches(|it: char| it.is_ascii_digit());
    }
    renamed.push_str(rest);
    renamed
}
