//! The server: checks every operation as the real one does, dedupes, and can be made to fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tidesync_engine::interface::{RequestOutcome, TokenReason, TransportFailure};
use tidesync_protocol::wire::{
    Access, OWN_SPACE, OnConflict, Op, OpKind, PROTOCOL, PullResponse, PushRequest, PushResponse,
    Record, Verdict, VerdictEntry,
};

/// How a push goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It does not.
    None,
    /// The request is lost.
    Network,
    /// Done, and the answer is lost.
    AnswerLost,
    /// Never answered.
    Hang,
    /// Something in between answers.
    Answer {
        status: u16,
        retry_after: Option<&'static str>,
        body: &'static str,
    },
    /// The server's own error with this status and code.
    Refuse { status: u16, code: &'static str },
    /// No operation gets a verdict.
    NoVerdicts,
}

pub fn status(status: u16) -> Fault {
    Fault::Answer {
        status,
        retry_after: None,
        body: "<html>",
    }
}

/// A record: its value unless it was deleted, and the version of each field's last change.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    pub version: u64,
    pub value: Option<Value>,
    fields: BTreeMap<String, (u64, String)>,
}

/// The records, by user (or the name of a shared space after [`SHARED`]), table and rid.
type Records = BTreeMap<(String, String, String), Stored>;

/// What the name of a shared space begins with where a user's may stand.
pub const SHARED: &str = "#";

#[derive(Debug, Default)]
pub struct Server {
    pub records: Records,
    /// The name of its data; empty for `e`.
    pub epoch: String,
    /// Cursors below it are too old.
    pub oldest_cursor: u64,
    /// How often it was asked for changes.
    pub pulls: u32,
    /// It takes pushes only.
    pub push_only: bool,
    /// How often each operation was applied, by client and id.
    pub applied: BTreeMap<(String, String), u32>,
    verdicts: BTreeMap<(String, String), (String, VerdictEntry)>,
    /// Faults of the next pushes, then `fault`.
    pub script: VecDeque<Fault>,
    pub fault: Option<Fault>,
    /// Records that make the server refuse the whole request.
    pub poison: BTreeSet<String>,
    /// Records that are rejected.
    pub rejects: BTreeSet<String>,
    /// Records that are put off: how often, and for how long.
    pub puts_off: BTreeMap<String, (u32, u64)>,
    /// Records that conflict.
    pub conflicts: BTreeSet<String>,
    /// Records that stay as another client has made them, whatever was made on what was before.
    pub stays: BTreeSet<String>,
    /// Most operations and bytes of a request.
    pub ops_max: Option<usize>,
    pub bytes_max: Option<usize>,
    /// The token at hand does not hold any more.
    pub expired: bool,
    /// Nor does a new one.
    pub locked_out: bool,
    /// For each time that it was restored, up to which version what it gave before still holds.
    restored: Vec<u64>,
    /// It gives no changes for now.
    pub pulls_fail: bool,
    /// It takes no changes of shared spaces, whatever tokens grant.
    pub contradicts: bool,
    clock: u64,
    /// What tokens grant.
    spaces: BTreeMap<String, Access>,
    /// Of those, what no pull has covered since they were granted.
    fresh: BTreeSet<String>,
}

impl Server {
    /// How it is, to be restored later.
    pub fn copy(&self) -> (Records, u64) {
        (self.records.clone(), self.clock)
    }

    /// What it has done since the copy is lost, and nobody knows.
    pub fn restore(&mut self, (records, clock): (Records, u64)) {
        self.records = records;
        self.clock = clock;
        self.restored.push(clock);
        self.verdicts.clear();
    }

    fn place(&self) -> String {
        format!("{}.{}", self.restored.len(), self.clock)
    }

    /// Refuses a place that it cannot have given, and takes a new epoch. A cursor is always one.
    fn misplaced(&mut self, place: Option<&str>) -> Option<RequestOutcome> {
        let (before, version) = place?.split_once('.')?;
        let before: usize = before.parse().expect("a place");
        let kept = *self.restored.iter().skip(before).min()?;
        if kept >= version.parse().expect("a place") {
            return None;
        }
        self.epoch = format!("e{}", self.restored.len());
        let body = format!(
            r#"{{"code":"epoch-changed","message":"restored","epoch":"{}","parted":{{"~":{kept}}}}}"#,
            self.epoch
        );
        Some(answer(410, None, body))
    }

    /// From now on tokens grant this and nothing else.
    pub fn grant(&mut self, spaces: &[(&str, Access)]) {
        let named = |(name, access): &(&str, Access)| ((*name).to_owned(), *access);
        let before = std::mem::replace(&mut self.spaces, spaces.iter().map(named).collect());
        let new = self.spaces.keys().filter(|it| !before.contains_key(*it));
        self.fresh = new.map(|it| [SHARED, it].concat()).collect();
    }

    pub fn values(&self, user: &str, table: &str) -> Vec<(String, String)> {
        let records = self
            .records
            .iter()
            .filter(|((of, name, _), _)| of == user && name == table);
        let mut values: Vec<(String, String)> = records
            .filter_map(|((.., rid), stored)| {
                let name = if rid.starts_with('r') {
                    String::new()
                } else {
                    rid.clone()
                };
                Some((name, stored.value.as_ref()?.to_string()))
            })
            .collect();
        values.sort();
        values
    }

    /// Another client's change.
    pub fn change(&mut self, user: &str, table: &str, rid: &str, value: Option<&str>) {
        let value = value.map(|text| serde_json::from_str(text).expect("a value"));
        self.clock += 1;
        let name = (user.to_owned(), table.to_owned(), rid.to_owned());
        self.write(name, value, "other");
    }

    fn write(&mut self, name: (String, String, String), value: Option<Value>, client: &str) {
        let stored = self.records.entry(name).or_default();
        let none = Value::Object(Map::new());
        let before = fields(stored.value.as_ref().unwrap_or(&none));
        let after = fields(value.as_ref().unwrap_or(&none));
        for (field, now) in &after {
            if before.get(field) != Some(now) {
                let mark = (self.clock, client.to_owned());
                stored.fields.insert(field.clone(), mark);
            }
        }
        for field in before.keys().filter(|field| !after.contains_key(*field)) {
            let mark = (self.clock, client.to_owned());
            stored.fields.insert(field.clone(), mark);
        }
        stored.version = self.clock;
        stored.value = value;
    }

    /// Answers a pull: `limit` and `cursor` are all it reads of the query.
    pub fn pull(
        &mut self,
        subject: &str,
        query: &str,
        token: TokenReason,
    ) -> (RequestOutcome, Vec<String>) {
        if let Some(outcome) = self.refuses(token) {
            return (outcome, Vec::new());
        }
        if self.pulls_fail {
            return (answer(503, None, String::new()), Vec::new());
        }
        let mut parts = query.split('&');
        let place = parts.find_map(|part| part.strip_prefix("place="));
        if let Some(outcome) = self.misplaced(place) {
            return (outcome, Vec::new());
        }
        if self.push_only {
            return (answer(404, None, String::new()), Vec::new());
        }
        self.pulls += 1;
        let part = |name: &str| {
            let mut parts = query.split('&');
            parts.find_map(|part| part.strip_prefix(name)?.parse::<u64>().ok())
        };
        let (limit, cursor) = (part("limit=").expect("a limit"), part("cursor="));
        if cursor.is_some_and(|cursor| cursor < self.oldest_cursor) {
            return (refuse(410, "cursor-expired"), Vec::new());
        }
        let after = cursor.unwrap_or(0);
        let mut due: Vec<_> = self
            .records
            .iter()
            .filter(|((of, ..), stored)| match of.strip_prefix(SHARED) {
                None => of == subject && stored.version > after,
                Some(space) => {
                    let is_new = stored.version > after || self.fresh.contains(of);
                    self.spaces.contains_key(space) && is_new
                }
            })
            .collect();
        due.sort_by_key(|(_, stored)| stored.version);
        let remaining = due.len().saturating_sub(limit as usize);
        due.truncate(limit as usize);
        let changes: Vec<Record> = due
            .iter()
            .map(|(name, stored)| record(name, stored))
            .collect();
        let last = changes.last().map_or(after, |last| last.version.max(after));
        let values = changes.iter().map(|change| {
            change
                .value
                .as_ref()
                .map_or_else(String::new, |value| value.get().to_owned())
        });
        let values = values.collect();
        self.fresh.clear();
        let response = PullResponse {
            protocol: PROTOCOL,
            epoch: self.epoch(),
            spaces: self.spaces.clone(),
            changes,
            cursor: last.to_string(),
            more: remaining > 0,
            remaining: remaining as u64,
        };
        let body = serde_json::to_string(&response).expect("an answer");
        (answer(200, None, body), values)
    }

    fn epoch(&self) -> String {
        if self.epoch.is_empty() {
            "e".to_owned()
        } else {
            self.epoch.clone()
        }
    }

    fn refuses(&mut self, token: TokenReason) -> Option<RequestOutcome> {
        if token == TokenReason::Expired {
            self.expired = false;
        }
        (self.expired || self.locked_out).then(|| refuse(401, "unauthorized"))
    }

    pub fn push(&mut self, subject: &str, body: &str, token: TokenReason) -> RequestOutcome {
        let fault = self
            .script
            .pop_front()
            .or_else(|| self.fault.clone())
            .unwrap_or(Fault::None);
        match fault {
            Fault::Network => return failed(TransportFailure::Network),
            Fault::Hang => return failed(TransportFailure::Timeout),
            Fault::Answer {
                status,
                retry_after,
                body,
            } => {
                return answer(status, retry_after.map(str::to_owned), body.to_owned());
            }
            Fault::Refuse { status, code } => return refuse(status, code),
            Fault::None | Fault::AnswerLost | Fault::NoVerdicts => {}
        }
        if let Some(outcome) = self.refuses(token) {
            return outcome;
        }
        let request: PushRequest = serde_json::from_str(body).expect("a push");
        assert_eq!(request.subject, subject);
        if let Some(outcome) = self.misplaced(request.place.as_deref()) {
            return outcome;
        }
        let too_many = self.ops_max.is_some_and(|max| request.ops.len() > max);
        if too_many || self.bytes_max.is_some_and(|max| body.len() > max) {
            return refuse(413, "too-large");
        }
        let ops: Vec<Op> = request
            .ops
            .iter()
            .map(|raw| serde_json::from_str(raw.get()).expect("an operation"))
            .collect();
        if ops.iter().any(|op| self.poison.contains(&op.rid)) {
            return refuse(400, "malformed");
        }
        let verdicts = ops
            .iter()
            .map(|op| self.apply(subject, &request.client, op))
            .collect();
        if fault == Fault::AnswerLost {
            return failed(TransportFailure::Network);
        }
        let response = PushResponse {
            protocol: PROTOCOL,
            batch: request.batch,
            epoch: self.epoch(),
            place: Some(self.place()),
            verdicts: if fault == Fault::NoVerdicts {
                Vec::new()
            } else {
                verdicts
            },
        };
        answer(
            200,
            None,
            serde_json::to_string(&response).expect("an answer"),
        )
    }

    fn apply(&mut self, subject: &str, client: &str, op: &Op) -> VerdictEntry {
        op.check().expect("an operation that holds");
        let mut entry = VerdictEntry {
            op: op.op.clone(),
            verdict: Verdict::Applied,
            version: None,
            remote_id: None,
            record: None,
            resolved: Vec::new(),
            code: None,
            message: None,
            retry_after_ms: None,
        };
        if let Some(code) = self.forbids(op) {
            entry.verdict = Verdict::Rejected;
            entry.code = Some(code.to_owned());
            return entry;
        }
        let owner = match op.space.as_str() {
            OWN_SPACE => subject.to_owned(),
            space => [SHARED, space].concat(),
        };
        let subject = owner.as_str();
        if self.rejects.contains(&op.rid) {
            entry.verdict = Verdict::Rejected;
            entry.code = Some("bad-value".to_owned());
            return entry;
        }
        if self.conflicts.contains(&op.rid) {
            let name = (subject.to_owned(), op.table.clone(), op.rid.clone());
            let stored = self.records.get(&name).cloned().unwrap_or_else(|| Stored {
                version: 1,
                ..Stored::default()
            });
            entry.verdict = Verdict::Conflict;
            entry.record = Some(record(&name, &stored));
            return entry;
        }
        if let Some((times, wait)) = self.puts_off.get_mut(&op.rid).filter(|it| it.0 > 0) {
            *times -= 1;
            entry.verdict = Verdict::Retry;
            entry.retry_after_ms = Some(*wait);
            return entry;
        }
        let id = (client.to_owned(), op.op.clone());
        if let Some((hash, before)) = self.verdicts.get(&id) {
            assert_eq!(*hash, op.hash, "an id came again with another content");
            return VerdictEntry {
                verdict: Verdict::Duplicate,
                ..before.clone()
            };
        }
        let name = (subject.to_owned(), op.table.clone(), op.rid.clone());
        let stored = self.records.get(&name).cloned().unwrap_or_default();
        if op.kind == OpKind::Patch && stored.value.is_none() {
            entry.verdict = Verdict::NeedFull;
            return entry;
        }
        let moved = stored.version != op.base;
        let conflicts = moved && self.conflicts_with(&stored, client, op);
        if conflicts && op.on_conflict == OnConflict::Ask {
            entry.verdict = Verdict::Conflict;
            entry.version = Some(stored.version);
            entry.record = Some(record(&name, &stored));
            return entry;
        }
        *self.applied.entry(id.clone()).or_default() += 1;
        let after = if moved && self.stays.contains(&op.rid) {
            stored.value.clone()
        } else {
            outcome(stored.value.clone(), op)
        };
        if after != stored.value || !moved {
            self.clock += 1;
            self.write(name.clone(), after, client);
        }
        let stored = &self.records[&name];
        entry.version = Some(stored.version);
        if moved {
            entry.verdict = Verdict::Merged;
            entry.record = Some(record(&name, stored));
        }
        self.verdicts.insert(id, (op.hash.clone(), entry.clone()));
        entry
    }

    /// Why an operation may not be done in its space; none where it may.
    fn forbids(&self, op: &Op) -> Option<&'static str> {
        let asks = op.set.iter().flatten().count() + op.unset.iter().flatten().count() == 0;
        match self.spaces.get(&op.space) {
            _ if op.space == OWN_SPACE => None,
            None => Some("wrong-space"),
            Some(Access::Write) if self.contradicts => Some("read-only"),
            Some(Access::Read) if op.kind != OpKind::Patch || !asks => Some("read-only"),
            Some(_) => None,
        }
    }

    /// Whether another client has changed a field of the operation's since its base. Whoever comes
    /// later wins here: clocks are for the real server.
    fn conflicts_with(&self, stored: &Stored, client: &str, op: &Op) -> bool {
        let none = Value::Object(Map::new());
        let before = fields(stored.value.as_ref().unwrap_or(&none));
        let after = outcome(stored.value.clone(), op).unwrap_or(none);
        let after = fields(&after);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        names.into_iter().any(|name| {
            let theirs = stored.fields.get(name);
            let newer = theirs.is_some_and(|(version, by)| *version > op.base && by != client);
            newer && before.get(name) != after.get(name)
        })
    }
}

fn record((of, table, rid): &(String, String, String), stored: &Stored) -> Record {
    let raw = |value: &Value| RawValue::from_string(value.to_string()).expect("a value");
    Record {
        space: of.strip_prefix(SHARED).unwrap_or(OWN_SPACE).to_owned(),
        table: table.clone(),
        rid: rid.clone(),
        version: stored.version,
        hlc: "0000000000000000".to_owned(),
        client: "c".to_owned(),
        deleted: stored.value.is_none(),
        value: stored.value.as_ref().map(raw),
    }
}

/// The fields of a value; one without a name where it is no object.
fn fields(value: &Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields.clone(),
        other => Map::from_iter([(String::new(), other.clone())]),
    }
}

/// What an operation makes of a record.
fn outcome(before: Option<Value>, op: &Op) -> Option<Value> {
    let parse = |raw: &RawValue| serde_json::from_str(raw.get()).expect("a value");
    match op.kind {
        OpKind::Put => op.value.as_deref().map(parse),
        OpKind::Delete => None,
        OpKind::Patch => {
            let mut fields = fields(&before.expect("a record"));
            for name in op.unset.iter().flatten() {
                fields.remove(name);
            }
            for (name, value) in op.set.iter().flatten() {
                fields.insert(name.clone(), parse(value));
            }
            Some(Value::Object(fields))
        }
    }
}

/// What a request meets that the server does not take up.
pub fn failing(fault: &Fault) -> RequestOutcome {
    match fault {
        Fault::Hang => failed(TransportFailure::Timeout),
        Fault::Answer {
            status,
            retry_after,
            body,
        } => answer(*status, retry_after.map(str::to_owned), (*body).to_owned()),
        Fault::Refuse { status, code } => refuse(*status, code),
        Fault::None | Fault::Network | Fault::AnswerLost | Fault::NoVerdicts => {
            failed(TransportFailure::Network)
        }
    }
}

fn failed(failure: TransportFailure) -> RequestOutcome {
    RequestOutcome::Failed { failure }
}

fn answer(status: u16, retry_after: Option<String>, body: String) -> RequestOutcome {
    RequestOutcome::Answer {
        status,
        retry_after,
        body,
    }
}

fn refuse(status: u16, code: &str) -> RequestOutcome {
    answer(
        status,
        None,
        format!(r#"{{"code":"{code}","message":"refused"}}"#),
    )
}
