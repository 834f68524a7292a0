//! Reads inputs.

use tidesync_engine::interface::{
    Call, Choice, Chosen, Input, Loaded, LogChunk, LogOp, LogRow, Prepared, PreparedValue,
    RequestOutcome, RowUser, ScanPage, ScanRecord, Slot, StorageError, StoredBatch, StoredHeld,
    Table, Task, TransportFailure,
};
use tidesync_protocol::json::{Json, read};

/// Reads an input; `beside` are the bytes that stand beside it. None where the text is no input.
pub(crate) fn read_input(text: &str, beside: &[u8]) -> Option<Input> {
    read(text, usize::MAX, |json| input(json, beside))?
}

/// Reads the names of records: of each its table and its local text form. None where the text is no
/// list of them.
pub(crate) fn read_names(text: &str) -> Option<Vec<(String, String)>> {
    let texts = read(text, 1, texts)?;
    let mut texts = texts.into_iter();
    let mut names = Vec::new();
    while let Some(table) = texts.next() {
        names.push((table, texts.next()?));
    }
    Some(names)
}

fn input(json: Json<'_>, beside: &[u8]) -> Option<Input> {
    let outcome = json.get("outcome");
    Some(match json.get("type").text().as_str() {
        "start" => Input::Start {
            online: json.get("online").flag(),
            visible: json.get("visible").flag(),
            user: json.get("user").optional(Json::text),
            enabled: json.get("enabled").optional(Json::flag),
        },
        "stop" => Input::Stop,
        "timeout" => Input::Timeout,
        "captured" => Input::Captured {
            table: json.get("table").text(),
            user: row_user(json.get("user")),
            lids: texts(json.get("lids")),
            trigger: json.get("trigger").flag(),
        },
        "online" => Input::Online {
            online: json.get("online").flag(),
        },
        "visible" => Input::Visible {
            visible: json.get("visible").flag(),
        },
        "userChanged" => Input::UserChanged {
            user: json.get("user").optional(Json::text),
        },
        "setEnabled" => Input::SetEnabled {
            enabled: json.get("enabled").flag(),
        },
        "tokenAvailable" => Input::TokenAvailable,
        "forceSync" => Input::ForceSync { call: call(json) },
        "backup" => Input::Backup { call: call(json) },
        "restore" => Input::Restore { call: call(json) },
        "poked" => Input::Poked,
        "settleHeld" => Input::SettleHeld {
            call: call(json),
            op: json.get("op").text(),
            choice: choice(json.get("choice")),
        },
        "loaded" => Input::Loaded {
            task: task(json),
            outcome: stored(outcome, |json| loaded(json, beside)),
        },
        "logRead" => Input::LogRead {
            task: task(json),
            outcome: stored(outcome, log_chunk),
        },
        "scanned" => Input::Scanned {
            task: task(json),
            outcome: stored(outcome, scan_page),
        },
        "prepared" => Input::Prepared {
            task: task(json),
            outcome: stored(outcome, |json| prepared(json, beside)),
        },
        "committed" => Input::Committed {
            task: task(json),
            outcome: stored(outcome, |_| ()),
        },
        "reserved" => Input::Reserved {
            task: task(json),
            outcome: stored(outcome, Json::whole),
        },
        "resolverAnswered" => Input::ResolverAnswered {
            task: task(json),
            outcome: result(outcome, chosen, Json::text),
        },
        "pushed" => Input::Pushed {
            task: task(json),
            outcome: request_outcome(outcome),
        },
        "pulled" => Input::Pulled {
            task: task(json),
            outcome: request_outcome(outcome),
        },
        "streamEnded" => Input::StreamEnded {
            task: task(json),
            outcome: request_outcome(outcome),
        },
        _ => return None,
    })
}

fn call(json: Json<'_>) -> Call {
    Call(json.get("call").whole())
}

fn task(json: Json<'_>) -> Task {
    Task(json.get("task").whole())
}

/// `{"Ok":…}` or `{"Err":…}`
fn result<'a, T, E>(
    json: Json<'a>,
    ok: impl FnOnce(Json<'a>) -> T,
    err: impl FnOnce(Json<'a>) -> E,
) -> Result<T, E> {
    match json.members().next() {
        Some(("Ok", found)) => Ok(ok(found)),
        Some(("Err", failure)) => Err(err(failure)),
        _ => Err(json.refuse(err(json))),
    }
}

fn stored<'a, T>(json: Json<'a>, found: impl FnOnce(Json<'a>) -> T) -> Result<T, StorageError> {
    result(json, found, storage_error)
}

fn storage_error(json: Json<'_>) -> StorageError {
    match json.get("kind").text().as_str() {
        "fenced" => StorageError::Fenced,
        "full" => StorageError::Full,
        "closed" => StorageError::Closed,
        "moved" => StorageError::Moved,
        "newer" => StorageError::Newer,
        "other" => StorageError::Other {
            name: json.get("name").text(),
        },
        _ => json.refuse(StorageError::Closed),
    }
}

fn request_outcome(json: Json<'_>) -> RequestOutcome {
    match json.get("is").text().as_str() {
        "answer" => RequestOutcome::Answer {
            status: u16::try_from(json.get("status").whole()).unwrap_or_else(|_| json.refuse(0)),
            retry_after: json.get("retryAfter").optional(Json::text),
            body: json.get("body").text(),
        },
        "failed" => RequestOutcome::Failed {
            failure: json.get("failure").one_of(&[
                ("network", TransportFailure::Network),
                ("timeout", TransportFailure::Timeout),
                ("no-token", TransportFailure::NoToken),
                ("token-failed", TransportFailure::TokenFailed),
                ("no-batch", TransportFailure::NoBatch),
            ]),
        },
        _ => json.refuse(RequestOutcome::Failed {
            failure: TransportFailure::Network,
        }),
    }
}

fn chosen(json: Json<'_>) -> Chosen {
    Chosen {
        value: json.get("value").optional(Json::text),
    }
}

fn choice(json: Json<'_>) -> Choice {
    match json.get("take").text().as_str() {
        "local" => Choice::Local,
        "remote" => Choice::Remote,
        "value" => Choice::Value(chosen(json)),
        _ => json.refuse(Choice::Local),
    }
}

/// `"owner"`, `"nobody"` or `{"user":…}`
fn row_user(json: Json<'_>) -> RowUser {
    if json.is_object() {
        return RowUser::User(json.get("user").text());
    }
    match json.text().as_str() {
        "owner" => RowUser::Owner,
        "nobody" => RowUser::Nobody,
        _ => json.refuse(RowUser::Nobody),
    }
}

fn loaded(json: Json<'_>, beside: &[u8]) -> Loaded {
    Loaded {
        fence: json.get("fence").whole(),
        version: json.get("version").small(),
        meta: json.get("meta").optional(Json::text),
        staged: list(json.get("staged"), |json| StoredBatch {
            batch: json.get("batch").whole(),
            state: cut(json.get("state"), beside),
        }),
        held: list(json.get("held"), |json| StoredHeld {
            op: json.get("op").text(),
            state: cut(json.get("state"), beside),
        }),
        tables: list(json.get("tables"), |json| Table {
            name: json.get("name").text(),
            generated_keys: json.get("generatedKeys").flag(),
            pending: json.get("pending").flag(),
        }),
    }
}

fn log_chunk(json: Json<'_>) -> LogChunk {
    LogChunk {
        rows: list(json.get("rows"), log_row),
        end: json.get("end").flag(),
    }
}

fn log_row(json: Json<'_>) -> LogRow {
    LogRow {
        table: json.get("table").text(),
        row: json.get("row").whole(),
        at_ms: json.get("atMs").whole(),
        user: row_user(json.get("user")),
        ops: list(json.get("ops"), log_op),
    }
}

fn log_op(json: Json<'_>) -> LogOp {
    match json.get("kind").text().as_str() {
        "put" => LogOp::Put {
            lid: json.get("lid").text(),
            slot: slot(json),
            bytes: json.get("bytes").small(),
            reference: json.get("reference").flag(),
        },
        "delete" => LogOp::Delete {
            lid: json.get("lid").text(),
        },
        "deleteRange" => LogOp::DeleteRange {
            lower: json.get("lower").optional(Json::text),
            upper: json.get("upper").optional(Json::text),
            lower_open: json.get("lowerOpen").flag(),
            upper_open: json.get("upperOpen").flag(),
        },
        "clear" => LogOp::Clear,
        _ => json.refuse(LogOp::Clear),
    }
}

fn slot(json: Json<'_>) -> Slot {
    Slot(json.get("slot").small())
}

fn scan_page(json: Json<'_>) -> ScanPage {
    ScanPage {
        log: log_chunk(json.get("log")),
        records: list(json.get("records"), |json| ScanRecord {
            lid: json.get("lid").text(),
            slot: slot(json),
            bytes: json.get("bytes").small(),
        }),
        end: json.get("end").flag(),
        total: json.get("total").whole(),
        left_out: json.get("leftOut").whole(),
    }
}

fn prepared(json: Json<'_>, beside: &[u8]) -> Prepared {
    Prepared {
        bytes: cut(json.get("bytes"), beside),
        values: list(json.get("values"), prepared_value),
        pages: list(json.get("pages"), |page| cut(page, beside)),
    }
}

fn prepared_value(json: Json<'_>) -> PreparedValue {
    match json.get("is").text().as_str() {
        "wire" => PreparedValue::Wire {
            end: json.get("end").small(),
        },
        "gone" => PreparedValue::Gone,
        "unsendable" => PreparedValue::Unsendable {
            code: json.get("code").text(),
            path: json.get("path").text(),
        },
        _ => json.refuse(PreparedValue::Gone),
    }
}

/// Bytes that stand beside the JSON, where `[offset,length]` names them.
fn cut(json: Json<'_>, beside: &[u8]) -> Vec<u8> {
    let place = list(json, |json| json.small() as usize);
    let bytes = match place.as_slice() {
        [offset, length] => beside.get(*offset..).and_then(|rest| rest.get(..*length)),
        _ => None,
    };
    bytes.unwrap_or_else(|| json.refuse(&[])).to_vec()
}

fn texts(json: Json<'_>) -> Vec<String> {
    list(json, Json::text)
}

fn list<'a, T>(json: Json<'a>, element: impl Fn(Json<'a>) -> T) -> Vec<T> {
    json.elements().map(element).collect()
}
