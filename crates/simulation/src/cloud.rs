//! The server: the core that ships (`tidesync_server::push` and `store`) on a real SQLite database,
//! with what stands around it in `tidesync serve`: tokens, and crashes.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use tidesync_protocol::wire::{Op, PROTOCOL, PullResponse, PushResponse, Verdict, VerdictEntry};
use tidesync_server::access::{Grant, own_space};
use tidesync_server::http::ApiError;
use tidesync_server::push::{CheckedOp, Push, read};
use tidesync_server::store::{self, ApplyError, Identity, PullError, Start, apply_push};

use crate::clock::START_MS;
use crate::fact::{Forgotten, Handled, Pulled, Request, Token};
use crate::faults::{Counts, Fault};
use crate::plan::ServerPlan;
use crate::planted::Planted;
use crate::query::parts;
use crate::rng::Rng;
use crate::schema;

/// Seconds after which a busy server may be asked again.
const BUSY_RETRY_S: u64 = 2;

/// A record as the server's database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerRow {
    pub(crate) version: u64,
    /// None where it was removed.
    pub(crate) doc: Option<String>,
    pub(crate) hlc: String,
}

/// What the server gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        retry_after: Option<String>,
        body: String,
    },
    /// Nobody listens.
    Refused,
    /// It died with the request.
    Died,
}

/// The server and its database.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// The database, which outlives the server's ends.
    connection: Connection,
    identity: Identity,
    up: bool,
    tables: Option<BTreeSet<String>>,
    clock_skew_ms: i64,
    planted: Option<Planted>,
    rng: Rng,
    starts: u64,
    /// Tokens given before are refused.
    pub(crate) revoked_ms: u64,
    /// Every token is refused.
    pub(crate) locked: bool,
}

impl Cloud {
    pub(crate) fn new(plan: &ServerPlan, planted: Option<Planted>, rng: Rng) -> Self {
        let kept = schema::TABLES.iter().map(|(table, _)| (*table).to_owned());
        let kept: BTreeSet<String> = kept.filter(|table| table != schema::SECRETS).collect();
        let opened = store::open_in_memory(&start(0, 0));
        let (connection, identity) = opened.expect("a database in memory");
        // Plans do not depend on what is asked for: no statement is planned anew for each pull.
        let stable = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        stable.expect("a setting of the database");
        Self {
            connection,
            identity,
            up: true,
            tables: plan.knows_tables.then_some(kept),
            clock_skew_ms: plan.clock_skew_ms,
            planted,
            rng,
            starts: 0,
            revoked_ms: 0,
            locked: false,
        }
    }

    pub(crate) fn start(&mut self, now: u64) {
        self.starts += 1;
        let start = start(self.starts, self.wall(now));
        let identity = store::restart(&mut self.connection, &start);
        self.identity = identity.expect("the server starts on its database");
        if self.planted == Some(Planted::DedupeForgotten) {
            let forgotten = self.connection.execute("DELETE FROM operations", []);
            forgotten.expect("the operations are forgotten");
        }
        self.up = true;
    }

    /// The server ends. What was not committed is gone.
    pub(crate) fn stop(&mut self) {
        self.up = false;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    /// The server's clock.
    fn wall(&self, now: u64) -> i64 {
        START_MS as i64 + now as i64 + self.clock_skew_ms
    }

    /// Takes a push.
    pub(crate) fn push(
        &mut self,
        now: u64,
        request: &Request,
        plan: &ServerPlan,
        counts: &mut Counts,
    ) -> (Reply, Option<Handled>) {
        if let Some(reply) = self.turns_away(&request.token, now) {
            return (reply, None);
        }
        let grant = grant(&request.token);
        let push = match read(request.text.as_bytes(), &grant, self.tables.as_ref()) {
            Ok(push) => push,
            Err(error) => return (refusal(&error.into()), None),
        };
        if self.rng.chance(plan.busy) {
            counts.add(Fault::ServerBusy);
            return (refusal(&ApiError::Unavailable), None);
        }
        if let Some(reply) = self.misplaced(&grant, push.place.as_deref()) {
            return (reply, None);
        }
        let fate = if self.rng.chance(plan.crash_before_commit) {
            counts.add(Fault::CrashBeforeCommit);
            Fate::DiesBefore
        } else if self.rng.chance(plan.crash_after_commit) {
            counts.add(Fault::CrashAfterCommit);
            Fate::DiesAfter
        } else {
            Fate::Lives
        };
        self.apply(now, push, fate)
    }

    /// Says what is new.
    pub(crate) fn pull(
        &mut self,
        now: u64,
        request: &Request,
        plan: &ServerPlan,
        counts: &mut Counts,
    ) -> (Reply, Option<Pulled>) {
        if let Some(reply) = self.turns_away(&request.token, now) {
            return (reply, None);
        }
        if self.rng.chance(plan.busy) {
            counts.add(Fault::ServerBusy);
            return (refusal(&ApiError::Unavailable), None);
        }
        let query = parts(&request.text);
        let cursor = query.get("cursor").map(String::as_str);
        let limit = query.get("limit").and_then(|limit| limit.parse().ok());
        let limit = limit.expect("a limit in the query");
        let grant = grant(&request.token);
        if let Some(reply) = self.misplaced(&grant, query.get("place").map(String::as_str)) {
            return (reply, None);
        }
        let answer = match store::pull(&self.connection, &grant, cursor, limit) {
            Ok(answer) => self.tampered(answer),
            Err(error) => return (self.refuse_pull(error), None),
        };
        let pulled = Pulled {
            user: request.token.user.clone(),
            cursor: cursor.map(str::to_owned),
            head: version(&self.connection, &own_space(&request.token.user)),
            answer,
        };
        let reply = Reply::Answer {
            status: 200,
            retry_after: None,
            body: serde_json::to_string(&pulled.answer).expect("an answer in JSON"),
        };
        (reply, Some(pulled))
    }

    /// The refusal of a place that this server cannot have given.
    fn misplaced(&mut self, grant: &Grant, place: Option<&str>) -> Option<Reply> {
        let checked = store::check_place(&self.connection, grant, place?);
        checked.err().map(|error| self.refuse_pull(error))
    }

    fn refuse_pull(&mut self, error: PullError) -> Reply {
        let error = match error {
            PullError::Expired => ApiError::CursorExpired,
            PullError::EpochChanged { epoch, parted } => ApiError::EpochChanged { epoch, parted },
            PullError::Restored { epoch, parted } => {
                let fresh = format!("epoch-after-{}", self.starts);
                let identity = &mut self.identity;
                let renewed = store::renew_epoch(&self.connection, identity, &epoch, &fresh);
                renewed.expect("a new epoch");
                ApiError::EpochChanged {
                    epoch: self.identity.epoch.clone(),
                    parted,
                }
            }
            PullError::Sqlite(error) => panic!("the server's database failed: {error}"),
        };
        refusal(&error)
    }

    /// Bugs of a pull, where they are planted.
    fn tampered(&mut self, mut answer: PullResponse) -> PullResponse {
        let skips = self.planted == Some(Planted::PullSkips) && self.rng.once_in(4);
        if skips && !answer.changes.is_empty() {
            let place = self.rng.below(answer.changes.len() as u64) as usize;
            answer.changes.remove(place);
        }
        answer
    }

    /// Removes at most about `most` things that are older than `retention_ms`; none where there is
    /// none, or the server is down.
    pub(crate) fn forget(&mut self, now: u64, retention_ms: u64, most: usize) -> Option<Forgotten> {
        if !self.up {
            return None;
        }
        let wall_ms = self.wall(now);
        let before = self.past();
        let retention_ms = retention_ms as i64;
        let begun = self.connection.transaction();
        let transaction = begun.expect("a transaction");
        let forgotten = store::forget(&transaction, wall_ms, retention_ms, most);
        let forgotten = forgotten.expect("what is old is removed");
        transaction.commit().expect("a commit");
        if self.planted == Some(Planted::ForgottenUnmarked) {
            let unmarked = "UPDATE spaces SET forgotten_version = 0, forgotten_until = 0";
            let unmarked = self.connection.execute(unmarked, []);
            unmarked.expect("the marks are removed");
        }
        let left = self.past();
        (forgotten > 0).then(|| Forgotten {
            ops: &before.ops - &left.ops,
            tombstones: &before.tombstones - &left.tombstones,
        })
    }

    /// What it can forget.
    fn past(&self) -> Forgotten {
        let tombstones = "SELECT space, table_name, rid FROM records WHERE deleted";
        Forgotten {
            ops: all(&self.connection, "SELECT client, op FROM operations"),
            tombstones: all(&self.connection, tombstones),
        }
    }

    /// Whoever is not let in.
    fn turns_away(&self, token: &Token, now: u64) -> Option<Reply> {
        if !self.up {
            return Some(Reply::Refused);
        }
        (!self.takes(token, now)).then(|| refusal(&ApiError::Unauthorized))
    }

    /// Whether a token holds.
    pub(crate) fn takes(&self, token: &Token, now: u64) -> bool {
        !self.locked && token.until_ms > now && token.since_ms >= self.revoked_ms
    }

    fn apply(&mut self, now: u64, mut push: Push, fate: Fate) -> (Reply, Option<Handled>) {
        let wall_ms = self.wall(now);
        let half = self.planted == Some(Planted::HalfCommitted) && push.ops.len() > 1;
        let cut_off = if half {
            push.ops.split_off(push.ops.len() / 2)
        } else {
            Vec::new()
        };
        let believed = self.planted == Some(Planted::ClockBelieved);
        let clock = if believed { i64::MAX / 4 } else { wall_ms };
        let forgets = self.planted == Some(Planted::AnsweredTooSoon) && self.rng.once_in(4);
        let user = push.grant.subject().to_owned();
        let (client, batch) = (push.client.clone(), push.batch.clone());
        let space = own_space(&user);
        let before = version(&self.connection, &space);
        let ops: Vec<Option<Op>> = push.ops.iter().map(good).collect();
        let connection = &mut self.connection;
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.expect("a transaction");
        let pushed = match apply_push(&transaction, &self.identity, push, clock) {
            Ok(pushed) => pushed,
            Err(ApplyError::ForeignClient) => {
                let error = ApiError::WrongSubject("the client belongs to another user");
                return (refusal(&error), None);
            }
            Err(ApplyError::ForeignSpace) => return (refusal(&ApiError::WrongSpace), None),
            Err(ApplyError::ClientExpired) => return (refusal(&ApiError::ClientExpired), None),
            Err(ApplyError::Sqlite(error)) => panic!("the server's database failed: {error}"),
        };
        let verdicts = pushed.verdicts;
        let committed = fate != Fate::DiesBefore && !forgets;
        if committed {
            transaction.commit().expect("a commit");
        } else {
            transaction.rollback().expect("a rollback");
        }
        let connection = &self.connection;
        let rows = ops.iter().map(|op| row(connection, &space, op.as_ref()?));
        let rows: Vec<Option<ServerRow>> = rows.collect();
        let judged = ops.into_iter().zip(&verdicts).zip(rows);
        let handled = Handled {
            client,
            wall_ms: wall_ms.max(0) as u64,
            committed,
            ops: judged
                .filter_map(|((op, verdict), row)| Some((op?, verdict.clone(), row)))
                .collect(),
            versions: (before, version(connection, &space)),
            user,
        };
        let invented = cut_off.iter().filter_map(good).map(|op| VerdictEntry {
            op: op.op,
            verdict: Verdict::Applied,
            version: Some(before + 1),
            ..verdicts[0].clone()
        });
        let answer = PushResponse {
            protocol: PROTOCOL,
            batch,
            epoch: self.identity.epoch.clone(),
            place: None,
            verdicts: verdicts.iter().cloned().chain(invented).collect(),
        };
        let reply = match fate {
            Fate::Lives => Reply::Answer {
                status: 200,
                retry_after: None,
                body: serde_json::to_string(&answer).expect("an answer in JSON"),
            },
            Fate::DiesBefore | Fate::DiesAfter => Reply::Died,
        };
        (reply, Some(handled))
    }

    /// The live records of a user, by table and rid, with their values; for the final look.
    pub(crate) fn records(&self, user: &str) -> Vec<(String, String, String)> {
        records(&self.connection, user)
    }
}

/// All rows of a query.
fn all<T>(connection: &Connection, sql: &str) -> BTreeSet<T>
where
    T: Ord + for<'row> TryFrom<&'row Row<'row>, Error = rusqlite::Error>,
{
    let mut statement = connection.prepare_cached(sql).expect("a statement");
    let rows = statement.query_map([], |row| T::try_from(row));
    rows.and_then(Iterator::collect).expect("rows")
}

pub(crate) fn records(connection: &Connection, user: &str) -> Vec<(String, String, String)> {
    let sql = "SELECT table_name, rid, doc FROM records WHERE space = ?1 AND deleted = 0";
    let mut statement = connection.prepare_cached(sql).expect("a statement");
    let rows = statement.query_map([own_space(user)], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    rows.and_then(Iterator::collect).expect("records")
}

/// What becomes of the server while it takes a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    DiesBefore,
    DiesAfter,
}

fn good(op: &CheckedOp) -> Option<Op> {
    match op {
        CheckedOp::Good(op, _) | CheckedOp::UnknownTable(op) => Some(op.clone()),
        CheckedOp::Refused(_) => None,
    }
}

fn version(connection: &Connection, space: &str) -> u64 {
    let mut statement = connection
        .prepare_cached("SELECT version FROM spaces WHERE space = ?1")
        .expect("a statement");
    let found = statement.query_row([space], |row| row.get(0)).optional();
    found.expect("a version").unwrap_or(0)
}

fn row(connection: &Connection, space: &str, op: &Op) -> Option<ServerRow> {
    let mut statement = connection
        .prepare_cached(
            "SELECT version, doc, hlc FROM records
             WHERE space = ?1 AND table_name = ?2 AND rid = ?3",
        )
        .expect("a statement");
    let found = statement.query_row((space, &op.table, &op.rid), |row| {
        Ok(ServerRow {
            version: row.get(0)?,
            doc: row.get(1)?,
            hlc: row.get(2)?,
        })
    });
    found.optional().expect("a record")
}

/// A refusal as the HTTP layer gives it.
fn refusal(error: &ApiError) -> Reply {
    let busy = *error == ApiError::Unavailable;
    Reply::Answer {
        status: error.status().as_u16(),
        retry_after: busy.then(|| BUSY_RETRY_S.to_string()),
        body: serde_json::to_string(&error.body()).expect("a refusal in JSON"),
    }
}

/// What a token grants: the user's own space.
fn grant(token: &Token) -> Grant {
    Grant::new(&token.user, BTreeMap::new()).expect("a user's name")
}

/// A start of the server, with names and secrets that are the same in every run of a seed.
pub(crate) fn start(number: u64, now_ms: i64) -> Start {
    Start {
        epoch: "epoch".to_owned(),
        boot: format!("boot-{number}"),
        secret: [7; 32],
        now_ms,
    }
}
