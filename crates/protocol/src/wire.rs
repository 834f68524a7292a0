//! The messages of `POST /api/sync/push` (DESIGN section 8), version [`PROTOCOL`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The protocol version this build speaks. A server that no longer speaks it answers 426.
pub const PROTOCOL: u32 = 1;

/// The space that every user has alone. A server reads it as the space of the request's subject.
pub const OWN_SPACE: &str = "~";

/// Most operations of one push.
pub const PUSH_OPS_MAX: usize = 1_000;

/// Most bytes of one push body before compression.
pub const PUSH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Deepest nesting of arrays and objects in a value.
pub const VALUE_DEPTH_MAX: usize = 64;

/// Most bytes of a blob that a value names.
pub const BLOB_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// Most bytes of a record id in its text form.
pub const RID_BYTES_MAX: usize = 1_024;

/// Most bytes of the name of a table or space.
pub const NAME_BYTES_MAX: usize = 256;

/// Most bytes of the name of a field that a patch names. A record with longer ones goes whole.
pub const FIELD_NAME_BYTES_MAX: usize = 1_024;

/// Most bytes of an operation's id.
pub const OP_ID_BYTES_MAX: usize = 64;

/// The body of a push, as a server reads it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// The protocol version, [`PROTOCOL`].
    pub protocol: u32,
    /// The client: one user in one database, 128 random bits as 22 base64url characters.
    pub client: String,
    /// The user whose changes these are. Must be the subject of the bearer token, else 403.
    pub subject: String,
    /// Names this request; the answer repeats it, which tells a server from a captive portal.
    pub batch: String,
    /// Where the client knows the server to have been: the `place` of an answer, or a cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The operations, at most [`PUSH_OPS_MAX`], in the order in which they were made. Each is
    /// parsed on its own ([`Op`]), so that one malformed operation is refused alone.
    pub ops: Vec<Box<RawValue>>,
}

/// One change of one record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Op {
    /// The operation's id within its client: `<incarnation>.<n>`. Unique for ever with the client.
    pub op: String,
    /// The space; [`OWN_SPACE`] for the subject's own.
    pub space: String,
    /// The table: the object store's name.
    pub table: String,
    /// The record id: a key in its text form (`key` module), or 128 random bits for stores whose
    /// keys are generated.
    pub rid: String,
    /// What is done.
    pub kind: OpKind,
    /// The version of the record that the change was made on; 0 when the client knows of none.
    pub base: u64,
    /// The hybrid logical clock of the change, in its text form.
    pub hlc: String,
    /// `patch`: the top-level fields that got a new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<BTreeMap<String, Box<RawValue>>>,
    /// `patch`: the top-level fields that were removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unset: Option<Vec<String>>,
    /// `put`: the whole value, in its wire form. `null` is a value.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<Box<RawValue>>,
    /// The content hash of the operation, 16 lower-case hex digits; covers table, rid, kind, base
    /// and the canonical value. An id that comes again with another hash is refused.
    pub hash: String,
    /// What is done where another client has changed the same since `base`. The hash does not cover
    /// it.
    #[serde(default, skip_serializing_if = "OnConflict::is_default")]
    pub on_conflict: OnConflict,
}

/// What a server does with an operation against which another client's change stands (Z05).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// For each field the later clock wins; so it is for update against delete.
    #[default]
    LastWriteWins,
    /// For each field the later clock wins; an update wins against a delete.
    Merge,
    /// Nothing: the verdict is `conflict`, and the client decides.
    Ask,
}

impl OnConflict {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A record as the server has it: a change of a pull, or what stands against an operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The space; [`OWN_SPACE`] for the reader's own.
    pub space: String,
    /// The table.
    pub table: String,
    /// The record id.
    pub rid: String,
    /// Its version.
    pub version: u64,
    /// The clock of the last change.
    pub hlc: String,
    /// Whose the last change was.
    pub client: String,
    /// Whether it was removed; then it has no value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Its value, in its wire form.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<Box<RawValue>>,
}

/// What a user may do in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// See what is there.
    #[serde(rename = "r")]
    Read,
    /// See and change it.
    #[serde(rename = "rw")]
    Write,
}

/// The answer to `GET /api/sync/pull`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullResponse {
    /// The protocol version, [`PROTOCOL`].
    pub protocol: u32,
    /// The server's epoch.
    pub epoch: String,
    /// The spaces that it covers besides the user's own: those that the token grants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spaces: BTreeMap<String, Access>,
    /// Records that have changed, in the order of their versions, each as it is now.
    pub changes: Vec<Record>,
    /// Where the next pull goes on. Opaque to clients.
    pub cursor: String,
    /// Whether there are more changes already.
    pub more: bool,
    /// How many they are; 0 where the server does not count them.
    #[serde(default)]
    pub remaining: u64,
}

/// Who of two was kept in a field that both had changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Winner {
    /// The operation.
    Local,
    /// What the server had.
    Remote,
}

/// A field that was resolved without asking.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resolved {
    /// The field; empty for the record as a whole.
    pub field: String,
    /// Who was kept.
    pub winner: Winner,
    /// The operation's value; none where it removed it.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub local: Option<Box<RawValue>>,
    /// The server's value; none where it had none.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub remote: Option<Box<RawValue>>,
}

/// Reads a member that is there: unlike an `Option`'s own, `null` does not count as absent.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// What an operation does to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpKind {
    /// Replaces the whole record by `value`.
    Put,
    /// Sets and removes top-level fields.
    Patch,
    /// Removes the record.
    Delete,
}

/// The answer to a push: one verdict for each operation, matched by `op`, never by position.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushResponse {
    /// The protocol version, [`PROTOCOL`].
    pub protocol: u32,
    /// The request's `batch`, repeated.
    pub batch: String,
    /// The server's epoch: changes when the server was restored from an older copy.
    pub epoch: String,
    /// Where the server was after this push, in the form of a cursor: for the next push and pull, by
    /// which a server that was restored from an older copy knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The verdicts.
    pub verdicts: Vec<VerdictEntry>,
}

/// What became of one operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerdictEntry {
    /// The operation.
    pub op: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The record's version after the operation, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The id under which a backend that mints its own keeps the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// `merged`, `conflict`: the server's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// `merged`: what was resolved without asking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<Resolved>,
    /// `rejected`, `retry`, `blocked`: why, for programs. See [`code`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, for people. Carries no user data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `retry`: the shortest wait before the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// The verdicts of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Done, durably.
    Applied,
    /// Done before, durably: an earlier answer was lost.
    Duplicate,
    /// Done together with another client's change; `record` is the outcome.
    Merged,
    /// Not done: another client changed the same thing; `record` is what the server has.
    Conflict,
    /// Not done: a patch met no record; send the whole.
    NeedFull,
    /// Not done, and the same again would not be either; `code` says why.
    Rejected,
    /// Not done now; the same again may be.
    Retry,
    /// Not done: its parent was not.
    Blocked,
}

impl Verdict {
    /// The verdict of this name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let verdict = match name {
            "applied" => Self::Applied,
            "duplicate" => Self::Duplicate,
            "merged" => Self::Merged,
            "conflict" => Self::Conflict,
            "need-full" => Self::NeedFull,
            "rejected" => Self::Rejected,
            "retry" => Self::Retry,
            "blocked" => Self::Blocked,
            _ => return None,
        };
        Some(verdict)
    }
}

/// The error body of a whole-request refusal (400, 401, 403, 404, 405, 409, 410, 413, 422, 426, 429,
/// 500, 503).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why, for programs: see [`code`].
    pub code: String,
    /// Why and what to do, for people. Carries no user data.
    pub message: String,
    /// [`code::EPOCH_CHANGED`]: the server's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// [`code::EPOCH_CHANGED`]: by space, the version up to which what the client knows is what the
    /// server has, as far as the server can tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parted: BTreeMap<String, u64>,
    /// [`code::WRONG_OFFSET`]: where the blob goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
}

/// The codes of refusals, of operations and of whole requests.
pub mod code {
    /// The operation or request is not of the protocol's form.
    pub const MALFORMED: &str = "malformed";
    /// The server keeps no such table.
    pub const UNKNOWN_TABLE: &str = "unknown-table";
    /// The record id is missing, empty, too long or not a key.
    pub const BAD_KEY: &str = "bad-key";
    /// The value is missing, too deep, too large or not in the wire form.
    pub const BAD_VALUE: &str = "bad-value";
    /// The same operation id came before with another content.
    pub const ID_REUSED: &str = "id-reused";
    /// The content does not have the hash it names: damaged on its way.
    pub const HASH_MISMATCH: &str = "hash-mismatch";
    /// The space is not one that the token grants.
    pub const WRONG_SPACE: &str = "wrong-space";
    /// The space may be read and not changed.
    pub const READ_ONLY: &str = "read-only";
    /// The subject is not the token's, or the client belongs to another user.
    pub const WRONG_SUBJECT: &str = "wrong-subject";
    /// No token, or one that does not hold.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// More than the limit allows; the message names it.
    pub const TOO_LARGE: &str = "too-large";
    /// Too many requests for now.
    pub const RATE_LIMITED: &str = "rate-limited";
    /// The server does not have all of a blob that the value names.
    pub const BLOB_MISSING: &str = "blob-missing";
    /// A blob goes on at another place than the one that was sent.
    pub const WRONG_OFFSET: &str = "wrong-offset";
    /// The place that a cursor names is gone: pull from scratch.
    pub const CURSOR_EXPIRED: &str = "cursor-expired";
    /// The server was restored from an older copy: pull from scratch, and compare.
    pub const EPOCH_CHANGED: &str = "epoch-changed";
    /// What the client has sent before is forgotten: it needs a new id.
    pub const CLIENT_EXPIRED: &str = "client-expired";
    /// The client's protocol version is no longer spoken.
    pub const PROTOCOL_TOO_OLD: &str = "protocol-too-old";
    /// The server cannot take it now.
    pub const UNAVAILABLE: &str = "unavailable";
    /// The server failed; nothing of the request was done.
    pub const INTERNAL: &str = "internal";
}
