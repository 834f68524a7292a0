//! Reading a push: from the bytes of a body to operations that are known to be of the protocol's
//! form. Pure; what needs the database is [`crate::store::apply_push`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tidesync_protocol::blob::{NamedBlob, named_blobs};
use tidesync_protocol::check::OpError;
use tidesync_protocol::wire::{
    NAME_BYTES_MAX, Op, PROTOCOL, PUSH_OPS_MAX, Verdict, VerdictEntry, code,
};

use crate::access::Grant;

/// Length of a client id: 128 bits in base64url.
const CLIENT_CHARS: usize = 22;

/// Length of an operation's hash: 64 bits in hexadecimal.
const HASH_CHARS: usize = 16;

/// A push that is of the protocol's form.
#[derive(Debug)]
pub struct Push {
    /// The user, and the spaces that are theirs.
    pub grant: Grant,
    /// The client.
    pub client: String,
    /// The request's name, for the answer.
    pub batch: String,
    /// Where the client knows the server to have been.
    pub place: Option<String>,
    /// The operations, in the order in which they came.
    pub ops: Vec<CheckedOp>,
}

/// An operation that was looked at.
#[derive(Debug)]
pub enum CheckedOp {
    /// Good to apply, once the server has the blobs that it names.
    Good(Op, Vec<NamedBlob>),
    /// Of the protocol's form, for a table that is not kept. Refused, and recorded as refused, so
    /// that a late copy is not applied after the table was added.
    UnknownTable(Op),
    /// Refused for its form, or for its space. Not recorded: the same form is refused again, its hash is
    /// not known to be that of its content, and a space that is not granted may be later.
    Refused(VerdictEntry),
}

/// Why a push is refused as a whole. Nothing of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Not a push (400).
    #[error("{0}")]
    Malformed(&'static str),
    /// More operations than a push may have (413).
    #[error("a push has at most {PUSH_OPS_MAX} operations")]
    TooManyOps,
    /// An older protocol than this server speaks (426).
    #[error("this server speaks protocol {PROTOCOL}; the client is too old")]
    ProtocolTooOld,
    /// Another subject than the token's (403).
    #[error("the push names another user than its token")]
    WrongSubject,
}

/// Reads the body of a push by a user, with the spaces that are granted to them. `tables` are those
/// that are kept, `None` for all.
///
/// # Errors
/// [`PushError`] refuses the whole; a single bad operation becomes [`CheckedOp::Refused`].
pub fn read(
    body: &[u8],
    grant: &Grant,
    tables: Option<&BTreeSet<String>>,
) -> Result<Push, PushError> {
    let request = parse(body)?;
    if request.subject != grant.subject() {
        return Err(PushError::WrongSubject);
    }
    if !is_client_id(&request.client) {
        return Err(PushError::Malformed(
            "`client` is not 22 base64url characters",
        ));
    }
    if !(1..=NAME_BYTES_MAX).contains(&request.batch.len()) {
        return Err(PushError::Malformed("`batch` is not 1 to 256 bytes long"));
    }
    let RawOps::Few(raw) = request.ops else {
        return Err(PushError::TooManyOps);
    };
    let ops = raw
        .into_iter()
        .map(|raw| read_op(raw, grant, tables))
        .collect::<Result<Vec<_>, _>>()?;
    check_ids_differ(&ops)?;
    Ok(Push {
        grant: grant.clone(),
        client: request.client,
        batch: request.batch,
        place: request.place,
        ops,
    })
}

fn parse(body: &[u8]) -> Result<Request<'_>, PushError> {
    let parsed = serde_json::from_slice::<Request<'_>>(body);
    // Another version may have another form: its number is looked for before the form is blamed.
    let protocol = match &parsed {
        Ok(request) => Some(request.protocol),
        Err(_) => serde_json::from_slice::<Versioned>(body)
            .ok()
            .map(|found| found.protocol),
    };
    match (protocol, parsed) {
        (Some(PROTOCOL), Ok(request)) => Ok(request),
        (Some(protocol), _) if protocol < PROTOCOL => Err(PushError::ProtocolTooOld),
        (Some(protocol), _) if PROTOCOL < protocol => Err(PushError::Malformed(
            "this server does not speak so late a protocol yet",
        )),
        _ => Err(PushError::Malformed(
            "the body is not a push of this protocol",
        )),
    }
}

/// [`tidesync_protocol::wire::PushRequest`] without copies.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    protocol: u32,
    client: String,
    subject: String,
    batch: String,
    place: Option<String>,
    #[serde(borrow)]
    ops: RawOps<'a>,
}

/// Operations that are not looked into yet.
enum RawOps<'a> {
    Few(Vec<&'a RawValue>),
    /// More than [`PUSH_OPS_MAX`]. They are not kept: millions of tiny ones would take many times
    /// the memory of their body.
    TooMany,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawOps<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OpsVisitor;
        impl<'de> Visitor<'de> for OpsVisitor {
            type Value = RawOps<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array of operations")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut ops: A) -> Result<Self::Value, A::Error> {
                let mut few = Vec::new();
                while let Some(op) = ops.next_element()? {
                    if few.len() == PUSH_OPS_MAX {
                        while ops.next_element::<IgnoredAny>()?.is_some() {}
                        return Ok(RawOps::TooMany);
                    }
                    few.push(op);
                }
                Ok(RawOps::Few(few))
            }
        }
        deserializer.deserialize_seq(OpsVisitor)
    }
}

/// Any version's request.
#[derive(Deserialize)]
struct Versioned {
    protocol: u32,
}

/// Anything that names an operation.
#[derive(Deserialize)]
struct Named {
    op: String,
}

fn read_op(
    raw: &RawValue,
    grant: &Grant,
    tables: Option<&BTreeSet<String>>,
) -> Result<CheckedOp, PushError> {
    let Ok(op) = serde_json::from_str::<Op>(raw.get()) else {
        let named: Named = serde_json::from_str(raw.get())
            .map_err(|_| PushError::Malformed("an operation has no `op` id"))?;
        let message = "the operation is not of the protocol's form";
        return Ok(CheckedOp::Refused(rejected(
            named.op,
            code::MALFORMED,
            message,
        )));
    };
    if grant.space(&op.space).is_none() {
        let message = "the token does not grant the space";
        return Ok(CheckedOp::Refused(rejected(
            op.op,
            code::WRONG_SPACE,
            message,
        )));
    }
    if !is_hash(&op.hash) {
        let message = "`hash` is not 16 lower-case hex digits";
        return Ok(CheckedOp::Refused(rejected(
            op.op,
            code::MALFORMED,
            message,
        )));
    }
    Ok(match op.check() {
        Err(error) => CheckedOp::Refused(refused(op.op, error)),
        Ok(()) if tables.is_some_and(|kept| !kept.contains(&op.table)) => {
            CheckedOp::UnknownTable(op)
        }
        Ok(()) => {
            let blobs = blobs(&op);
            CheckedOp::Good(op, blobs)
        }
    })
}

/// The blobs that an operation's values name. They were checked, so that each has the wire form.
fn blobs(op: &Op) -> Vec<NamedBlob> {
    let values = op
        .value
        .iter()
        .chain(op.set.iter().flat_map(BTreeMap::values));
    let texts = values.map(|value| value.get()).filter(may_name_blobs);
    let named = texts.map(|text| named_blobs(text.as_bytes()).unwrap_or_default());
    let mut blobs: Vec<NamedBlob> = named.flatten().collect();
    blobs.sort_unstable();
    blobs.dedup();
    blobs
}

/// Whether a value has one of the tags as it stands, or escapes that could hide it. Most have neither
/// and need not be read again.
fn may_name_blobs(text: &&str) -> bool {
    ["~blob", "~file", "\\u00"]
        .iter()
        .any(|part| text.contains(part))
}

/// Damage on the way does not happen twice the same: only then the same again may be good.
fn refused(op: String, error: OpError) -> VerdictEntry {
    let entry = rejected(op, error.code(), &error.to_string());
    match error {
        OpError::Hash => VerdictEntry {
            verdict: Verdict::Retry,
            ..entry
        },
        OpError::Id
        | OpError::Name(_)
        | OpError::Rid(_)
        | OpError::Hlc(_)
        | OpError::NoValue
        | OpError::Part(_)
        | OpError::Patch
        | OpError::FieldName
        | OpError::Value(_) => entry,
    }
}

/// A verdict must name one operation.
fn check_ids_differ(ops: &[CheckedOp]) -> Result<(), PushError> {
    let mut seen = BTreeSet::new();
    for op in ops {
        let id = match op {
            CheckedOp::Good(op, _) | CheckedOp::UnknownTable(op) => &op.op,
            CheckedOp::Refused(entry) => &entry.op,
        };
        if !seen.insert(id) {
            return Err(PushError::Malformed("two operations have the same `op` id"));
        }
    }
    Ok(())
}

/// Whether `text` has the form of a client's id.
pub(crate) fn is_client_id(text: &str) -> bool {
    text.len() == CLIENT_CHARS
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH_CHARS
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A verdict with nothing but its name.
pub(crate) fn entry(op: String, verdict: Verdict) -> VerdictEntry {
    VerdictEntry {
        op,
        verdict,
        version: None,
        remote_id: None,
        record: None,
        resolved: Vec::new(),
        code: None,
        message: None,
        retry_after_ms: None,
    }
}

/// A `rejected` verdict.
pub(crate) fn rejected(op: String, code: &str, message: &str) -> VerdictEntry {
    VerdictEntry {
        code: Some(code.to_owned()),
        message: Some(message.to_owned()),
        ..entry(op, Verdict::Rejected)
    }
}

#[cfg(test)]
mod tests {
    use tidesync_protocol::wire::PushRequest;

    use super::*;

    #[test]
    fn what_a_client_writes_is_read_whole() -> Result<(), Box<dyn std::error::Error>> {
        let request = PushRequest {
            protocol: PROTOCOL,
            client: "c".repeat(CLIENT_CHARS),
            subject: "\u{e9}\n".to_owned(),
            batch: "b".to_owned(),
            place: Some("p".to_owned()),
            ops: vec![RawValue::from_string(r#"{"op":"i.1"}"#.to_owned())?],
        };
        let grant = Grant::new(&request.subject, BTreeMap::new())?;
        let push = read(&serde_json::to_vec(&request)?, &grant, None)?;
        assert_eq!((push.client, push.batch), (request.client, request.batch));
        assert_eq!(push.place, request.place);
        assert!(matches!(&push.ops[..], [CheckedOp::Refused(entry)] if entry.op == "i.1"));
        Ok(())
    }
}
