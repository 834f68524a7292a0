//! The server: checks every operation as the real one does, dedupes, and can be made to fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidesync_engine::interface::{RequestOutcome, TokenReason, TransportFailure};
use tidesync_protocol::wire::{
    Op, OpKind, PROTOCOL, PushRequest, PushResponse, Verdict, VerdictEntry,
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

/// A record, by user, table and rid: its version, and its value unless deleted.
type Records = BTreeMap<(String, String, String), (u64, Option<String>)>;

#[derive(Debug, Default)]
pub struct Server {
    pub records: Records,
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
    /// Most operations and bytes of a request.
    pub ops_max: Option<usize>,
    pub bytes_max: Option<usize>,
    /// The token at hand does not hold any more.
    pub expired: bool,
    /// Nor does a new one.
    pub locked_out: bool,
    clock: u64,
}

impl Server {
    pub fn values(&self, user: &str, table: &str) -> Vec<(String, String)> {
        let records = self
            .records
            .iter()
            .filter(|((of, name, _), _)| of == user && name == table);
        let mut values: Vec<(String, String)> = records
            .filter_map(|((.., rid), (_, value))| {
                let name = if rid.starts_with('r') {
                    String::new()
                } else {
                    rid.clone()
                };
                Some((name, value.clone()?))
            })
            .collect();
        values.sort();
        values
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
        if token == TokenReason::Expired {
            self.expired = false;
        }
        if self.expired || self.locked_out {
            return refuse(401, "unauthorized");
        }
        let request: PushRequest = serde_json::from_str(body).expect("a push");
        assert_eq!(request.subject, subject);
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
            epoch: "e".to_owned(),
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
        if self.rejects.contains(&op.rid) {
            entry.verdict = Verdict::Rejected;
            entry.code = Some("bad-value".to_owned());
            return entry;
        }
        if self.conflicts.contains(&op.rid) {
            entry.verdict = Verdict::Conflict;
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
        *self.applied.entry(id.clone()).or_default() += 1;
        self.clock += 1;
        entry.version = Some(self.clock);
        let record = (subject.to_owned(), op.table.clone(), op.rid.clone());
        let known = self.records.get(&record).map_or(0, |(version, _)| *version);
        assert_eq!(op.base, known, "the base of {} {}", op.table, op.rid);
        let value = match op.kind {
            OpKind::Put => op.value.as_ref().map(|value| value.get().to_owned()),
            OpKind::Patch | OpKind::Delete => None,
        };
        self.records.insert(record, (self.clock, value));
        self.verdicts.insert(id, (op.hash.clone(), entry.clone()));
        entry
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
