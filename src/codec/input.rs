//! Reads inputs.

use tidesync_engine::interface::{
    Call, Choice, Chosen, Input, Loaded, LogChunk, LogOp, LogRow, Prepared, PreparedValue,
    RequestOutcome, RowUser, ScanPage, ScanRecord, Slot, StorageError, StoredBatch, StoredHeld,
    Table, Task, TransportFailure,
};
use tidesync_protocol::json::{Found, JsonReader};
use tidesync_protocol::value::ValueError;

/// Reads an input, whose `type` stands first; `bytes` are those that stand beside it.
///
/// # Errors
/// Where the text is no input.
pub(crate) fn read_input(text: &str, bytes: &[u8]) -> Found<Input> {
    let mut json = JsonReader::new(text);
    let mut kind = String::new();
    let mut found = Members::default();
    json.object(&mut |name, json| match name {
        "type" => set(&mut kind, required(json)?),
        _ => found.read(&kind, name, json, bytes),
    })?;
    json.end()?;
    found.input(&kind)
}

/// Reads the names of records: of each its table and its local text form.
///
/// # Errors
/// Where the text is no list of them.
pub(crate) fn read_names(text: &str) -> Found<Vec<(String, String)>> {
    let mut json = JsonReader::new(text);
    let mut texts = list(&mut json, &mut required)?.into_iter();
    json.end()?;
    let mut names = Vec::new();
    while let Some(table) = texts.next() {
        names.push((table, texts.next().ok_or(WRONG)?));
    }
    Ok(names)
}

/// An input that is not of its form is a defect of the shell, which needs no more than to know that.
const WRONG: ValueError = ValueError::NotJson { at: 0 };

/// What the members of an input hold, whichever it is.
#[derive(Default)]
struct Members {
    task: u64,
    call: u64,
    online: bool,
    visible: bool,
    trigger: bool,
    enabled: Option<bool>,
    user: Option<String>,
    row_user: Option<RowUser>,
    table: String,
    op: String,
    lids: Vec<String>,
    choice: Option<Choice>,
    outcome: Option<Outcome>,
}

/// What an effect came to.
enum Outcome {
    Loaded(Result<Loaded, StorageError>),
    LogRead(Result<LogChunk, StorageError>),
    Scanned(Result<ScanPage, StorageError>),
    Prepared(Result<Prepared, StorageError>),
    Committed(Result<(), StorageError>),
    Reserved(Result<u64, StorageError>),
    Request(RequestOutcome),
    Chosen(Result<Chosen, String>),
}

impl Members {
    fn read(
        &mut self,
        kind: &str,
        name: &str,
        json: &mut JsonReader<'_>,
        bytes: &[u8],
    ) -> Found<()> {
        match name {
            "task" => set(&mut self.task, whole(json)?),
            "call" => set(&mut self.call, whole(json)?),
            "online" => set(&mut self.online, json.flag()?),
            "visible" => set(&mut self.visible, json.flag()?),
            "trigger" => set(&mut self.trigger, json.flag()?),
            "enabled" => set(&mut self.enabled, optional_flag(json)?),
            "user" if kind == "captured" => set(&mut self.row_user, Some(row_user(json)?)),
            "user" => set(&mut self.user, json.text()?),
            "table" => set(&mut self.table, required(json)?),
            "op" => set(&mut self.op, required(json)?),
            "lids" => set(&mut self.lids, list(json, &mut required)?),
            "choice" => set(&mut self.choice, Some(choice(json)?)),
            "outcome" => set(&mut self.outcome, Some(outcome(kind, json, bytes)?)),
            _ => Err(WRONG),
        }
    }

    fn input(self, kind: &str) -> Found<Input> {
        let call = Call(self.call);
        Ok(match kind {
            "start" => Input::Start {
                online: self.online,
                visible: self.visible,
                user: self.user,
                enabled: self.enabled,
            },
            "stop" => Input::Stop,
            "timeout" => Input::Timeout,
            "captured" => Input::Captured {
                table: self.table,
                user: self.row_user.ok_or(WRONG)?,
                lids: self.lids,
                trigger: self.trigger,
            },
            "online" => Input::Online {
                online: self.online,
            },
            "visible" => Input::Visible {
                visible: self.visible,
            },
            "userChanged" => Input::UserChanged { user: self.user },
            "setEnabled" => Input::SetEnabled {
                enabled: self.enabled.ok_or(WRONG)?,
            },
            "tokenAvailable" => Input::TokenAvailable,
            "forceSync" => Input::ForceSync { call },
            "backup" => Input::Backup { call },
            "restore" => Input::Restore { call },
            "poked" => Input::Poked,
            "settleHeld" => Input::SettleHeld {
                call,
                op: self.op,
                choice: self.choice.ok_or(WRONG)?,
            },
            _ => return self.answer(kind),
        })
    }

    /// The inputs that answer an effect.
    fn answer(self, kind: &str) -> Found<Input> {
        let task = Task(self.task);
        Ok(match (self.outcome.ok_or(WRONG)?, kind) {
            (Outcome::Loaded(outcome), _) => Input::Loaded { task, outcome },
            (Outcome::LogRead(outcome), _) => Input::LogRead { task, outcome },
            (Outcome::Scanned(outcome), _) => Input::Scanned { task, outcome },
            (Outcome::Prepared(outcome), _) => Input::Prepared { task, outcome },
            (Outcome::Committed(outcome), _) => Input::Committed { task, outcome },
            (Outcome::Reserved(outcome), _) => Input::Reserved { task, outcome },
            (Outcome::Chosen(outcome), _) => Input::ResolverAnswered { task, outcome },
            (Outcome::Request(outcome), "pushed") => Input::Pushed { task, outcome },
            (Outcome::Request(outcome), "pulled") => Input::Pulled { task, outcome },
            (Outcome::Request(outcome), _) => Input::StreamEnded { task, outcome },
        })
    }
}

fn outcome(kind: &str, json: &mut JsonReader<'_>, bytes: &[u8]) -> Found<Outcome> {
    Ok(match kind {
        "loaded" => Outcome::Loaded(stored(json, &mut |json| loaded(json, bytes))?),
        "logRead" => Outcome::LogRead(stored(json, &mut log_chunk)?),
        "scanned" => Outcome::Scanned(stored(json, &mut scan_page)?),
        "prepared" => Outcome::Prepared(stored(json, &mut |json| prepared(json, bytes))?),
        "committed" => Outcome::Committed(stored(json, &mut |json| json.skip())?),
        "reserved" => Outcome::Reserved(stored(json, &mut whole)?),
        "resolverAnswered" => Outcome::Chosen(result(json, &mut chosen, &mut required)?),
        "pushed" | "pulled" | "streamEnded" => Outcome::Request(request_outcome(json)?),
        _ => return Err(WRONG),
    })
}

/// `{"Ok":…}` or `{"Err":…}`
fn result<T, E>(
    json: &mut JsonReader<'_>,
    ok: &mut dyn FnMut(&mut JsonReader<'_>) -> Found<T>,
    err: &mut dyn FnMut(&mut JsonReader<'_>) -> Found<E>,
) -> Found<Result<T, E>> {
    let mut result = None;
    json.object(&mut |name, json| {
        let read = match name {
            "Ok" => Ok(ok(json)?),
            "Err" => Err(err(json)?),
            _ => return Err(WRONG),
        };
        set(&mut result, Some(read))
    })?;
    result.ok_or(WRONG)
}

fn stored<T>(
    json: &mut JsonReader<'_>,
    ok: &mut dyn FnMut(&mut JsonReader<'_>) -> Found<T>,
) -> Found<Result<T, StorageError>> {
    result(json, ok, &mut storage_error)
}

fn storage_error(json: &mut JsonReader<'_>) -> Found<StorageError> {
    let (mut kind, mut error_name) = (String::new(), String::new());
    json.object(&mut |name, json| match name {
        "kind" => set(&mut kind, required(json)?),
        "name" => set(&mut error_name, required(json)?),
        _ => Err(WRONG),
    })?;
    Ok(match kind.as_str() {
        "fenced" => StorageError::Fenced,
        "full" => StorageError::Full,
        "closed" => StorageError::Closed,
        "moved" => StorageError::Moved,
        "newer" => StorageError::Newer,
        "other" => StorageError::Other { name: error_name },
        _ => return Err(WRONG),
    })
}

fn request_outcome(json: &mut JsonReader<'_>) -> Found<RequestOutcome> {
    let mut kind = String::new();
    let (mut status, mut retry_after, mut body) = (0, None, String::new());
    let mut failure = None;
    json.object(&mut |name, json| match name {
        "is" => set(&mut kind, required(json)?),
        "status" => set(&mut status, whole(json)?),
        "retryAfter" => set(&mut retry_after, json.text()?),
        "body" => set(&mut body, required(json)?),
        "failure" => set(&mut failure, Some(transport_failure(&required(json)?)?)),
        _ => Err(WRONG),
    })?;
    match (kind.as_str(), failure) {
        ("answer", _) => Ok(RequestOutcome::Answer {
            status: u16::try_from(status).map_err(|_| WRONG)?,
            retry_after,
            body,
        }),
        ("failed", Some(failure)) => Ok(RequestOutcome::Failed { failure }),
        _ => Err(WRONG),
    }
}

fn transport_failure(name: &str) -> Found<TransportFailure> {
    Ok(match name {
        "network" => TransportFailure::Network,
        "timeout" => TransportFailure::Timeout,
        "no-token" => TransportFailure::NoToken,
        "token-failed" => TransportFailure::TokenFailed,
        "no-batch" => TransportFailure::NoBatch,
        _ => return Err(WRONG),
    })
}

fn chosen(json: &mut JsonReader<'_>) -> Found<Chosen> {
    let mut value = None;
    json.object(&mut |name, json| match name {
        "value" => set(&mut value, json.text()?),
        _ => Err(WRONG),
    })?;
    Ok(Chosen { value })
}

fn choice(json: &mut JsonReader<'_>) -> Found<Choice> {
    let (mut take, mut value) = (String::new(), None);
    json.object(&mut |name, json| match name {
        "take" => set(&mut take, required(json)?),
        "value" => set(&mut value, json.text()?),
        _ => Err(WRONG),
    })?;
    Ok(match take.as_str() {
        "local" => Choice::Local,
        "remote" => Choice::Remote,
        "value" => Choice::Value(Chosen { value }),
        _ => return Err(WRONG),
    })
}

/// `"owner"`, `"nobody"` or `{"user":…}`
fn row_user(json: &mut JsonReader<'_>) -> Found<RowUser> {
    if json.is_object() {
        let mut user = String::new();
        json.object(&mut |_, json| set(&mut user, required(json)?))?;
        return Ok(RowUser::User(user));
    }
    match required(json)?.as_str() {
        "owner" => Ok(RowUser::Owner),
        "nobody" => Ok(RowUser::Nobody),
        _ => Err(WRONG),
    }
}

fn loaded(json: &mut JsonReader<'_>, bytes: &[u8]) -> Found<Loaded> {
    let mut loaded = Loaded {
        fence: 0,
        version: 0,
        meta: None,
        staged: Vec::new(),
        held: Vec::new(),
        tables: Vec::new(),
    };
    json.object(&mut |name, json| match name {
        "fence" => set(&mut loaded.fence, whole(json)?),
        "version" => set(&mut loaded.version, small(json)?),
        "meta" => set(&mut loaded.meta, json.text()?),
        "staged" => set(
            &mut loaded.staged,
            list(json, &mut |json| stored_batch(json, bytes))?,
        ),
        "held" => set(
            &mut loaded.held,
            list(json, &mut |json| stored_held(json, bytes))?,
        ),
        "tables" => set(&mut loaded.tables, list(json, &mut table)?),
        _ => Err(WRONG),
    })?;
    Ok(loaded)
}

fn stored_batch(json: &mut JsonReader<'_>, bytes: &[u8]) -> Found<StoredBatch> {
    let (mut batch, mut state) = (0, Vec::new());
    json.object(&mut |name, json| match name {
        "batch" => set(&mut batch, whole(json)?),
        "state" => set(&mut state, cut(json, bytes)?),
        _ => Err(WRONG),
    })?;
    Ok(StoredBatch { batch, state })
}

fn stored_held(json: &mut JsonReader<'_>, bytes: &[u8]) -> Found<StoredHeld> {
    let (mut op, mut state) = (String::new(), Vec::new());
    json.object(&mut |name, json| match name {
        "op" => set(&mut op, required(json)?),
        "state" => set(&mut state, cut(json, bytes)?),
        _ => Err(WRONG),
    })?;
    Ok(StoredHeld { op, state })
}

fn table(json: &mut JsonReader<'_>) -> Found<Table> {
    let mut table = Table {
        name: String::new(),
        generated_keys: false,
        pending: false,
    };
    json.object(&mut |name, json| match name {
        "name" => set(&mut table.name, required(json)?),
        "generatedKeys" => set(&mut table.generated_keys, json.flag()?),
        "pending" => set(&mut table.pending, json.flag()?),
        _ => Err(WRONG),
    })?;
    Ok(table)
}

fn log_chunk(json: &mut JsonReader<'_>) -> Found<LogChunk> {
    let (mut rows, mut end) = (Vec::new(), false);
    json.object(&mut |name, json| match name {
        "rows" => set(&mut rows, list(json, &mut log_row)?),
        "end" => set(&mut end, json.flag()?),
        _ => Err(WRONG),
    })?;
    Ok(LogChunk { rows, end })
}

fn log_row(json: &mut JsonReader<'_>) -> Found<LogRow> {
    let mut read = LogRow {
        table: String::new(),
        row: 0,
        at_ms: 0,
        user: RowUser::Owner,
        ops: Vec::new(),
    };
    json.object(&mut |name, json| match name {
        "table" => set(&mut read.table, required(json)?),
        "row" => set(&mut read.row, whole(json)?),
        "atMs" => set(&mut read.at_ms, whole(json)?),
        "user" => set(&mut read.user, row_user(json)?),
        "ops" => set(&mut read.ops, list(json, &mut log_op)?),
        _ => Err(WRONG),
    })?;
    Ok(read)
}

fn log_op(json: &mut JsonReader<'_>) -> Found<LogOp> {
    let (mut kind, mut lid) = (String::new(), String::new());
    let (mut slot, mut bytes, mut reference) = (0, 0, false);
    let (mut lower, mut upper) = (None, None);
    let (mut lower_open, mut upper_open) = (false, false);
    json.object(&mut |name, json| match name {
        "kind" => set(&mut kind, required(json)?),
        "lid" => set(&mut lid, required(json)?),
        "slot" => set(&mut slot, small(json)?),
        "bytes" => set(&mut bytes, small(json)?),
        "reference" => set(&mut reference, json.flag()?),
        "lower" => set(&mut lower, json.text()?),
        "upper" => set(&mut upper, json.text()?),
        "lowerOpen" => set(&mut lower_open, json.flag()?),
        "upperOpen" => set(&mut upper_open, json.flag()?),
        _ => Err(WRONG),
    })?;
    Ok(match kind.as_str() {
        "put" => LogOp::Put {
            lid,
            slot: Slot(slot),
            bytes,
            reference,
        },
        "delete" => LogOp::Delete { lid },
        "deleteRange" => LogOp::DeleteRange {
            lower,
            upper,
            lower_open,
            upper_open,
        },
        "clear" => LogOp::Clear,
        _ => return Err(WRONG),
    })
}

fn scan_page(json: &mut JsonReader<'_>) -> Found<ScanPage> {
    let (mut log, mut records) = (None, Vec::new());
    let (mut end, mut total) = (false, 0);
    json.object(&mut |name, json| match name {
        "log" => set(&mut log, Some(log_chunk(json)?)),
        "records" => set(&mut records, list(json, &mut scan_record)?),
        "end" => set(&mut end, json.flag()?),
        "total" => set(&mut total, whole(json)?),
        _ => Err(WRONG),
    })?;
    Ok(ScanPage {
        log: log.ok_or(WRONG)?,
        records,
        end,
        total,
    })
}

fn scan_record(json: &mut JsonReader<'_>) -> Found<ScanRecord> {
    let (mut lid, mut slot, mut bytes) = (String::new(), 0, 0);
    json.object(&mut |name, json| match name {
        "lid" => set(&mut lid, required(json)?),
        "slot" => set(&mut slot, small(json)?),
        "bytes" => set(&mut bytes, small(json)?),
        _ => Err(WRONG),
    })?;
    Ok(ScanRecord {
        lid,
        slot: Slot(slot),
        bytes,
    })
}

fn prepared(json: &mut JsonReader<'_>, beside: &[u8]) -> Found<Prepared> {
    let (mut bytes, mut values, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    json.object(&mut |name, json| match name {
        "bytes" => set(&mut bytes, cut(json, beside)?),
        "values" => set(&mut values, list(json, &mut prepared_value)?),
        "pages" => set(&mut pages, list(json, &mut |json| cut(json, beside))?),
        _ => Err(WRONG),
    })?;
    Ok(Prepared {
        bytes,
        values,
        pages,
    })
}

fn prepared_value(json: &mut JsonReader<'_>) -> Found<PreparedValue> {
    let (mut kind, mut end) = (String::new(), 0);
    let (mut code, mut path) = (String::new(), String::new());
    json.object(&mut |name, json| match name {
        "is" => set(&mut kind, required(json)?),
        "end" => set(&mut end, small(json)?),
        "code" => set(&mut code, required(json)?),
        "path" => set(&mut path, required(json)?),
        _ => Err(WRONG),
    })?;
    Ok(match kind.as_str() {
        "wire" => PreparedValue::Wire { end },
        "gone" => PreparedValue::Gone,
        "unsendable" => PreparedValue::Unsendable { code, path },
        _ => return Err(WRONG),
    })
}

/// Bytes that stand beside the JSON, where this names them.
fn cut(json: &mut JsonReader<'_>, beside: &[u8]) -> Found<Vec<u8>> {
    let place = list(json, &mut small)?;
    let [offset, length] = place.as_slice() else {
        return Err(WRONG);
    };
    let rest = beside.get(*offset as usize..).ok_or(WRONG)?;
    rest.get(..*length as usize)
        .map(<[u8]>::to_vec)
        .ok_or(WRONG)
}

fn set<T>(to: &mut T, value: T) -> Found<()> {
    *to = value;
    Ok(())
}

fn list<T>(
    json: &mut JsonReader<'_>,
    element: &mut dyn FnMut(&mut JsonReader<'_>) -> Found<T>,
) -> Found<Vec<T>> {
    let mut elements = Vec::new();
    json.array(&mut |json| {
        elements.push(element(json)?);
        Ok(())
    })?;
    Ok(elements)
}

fn required(json: &mut JsonReader<'_>) -> Found<String> {
    json.text()?.ok_or(WRONG)
}

fn whole(json: &mut JsonReader<'_>) -> Found<u64> {
    json.whole()?.ok_or(WRONG)
}

fn small(json: &mut JsonReader<'_>) -> Found<u32> {
    u32::try_from(whole(json)?).map_err(|_| WRONG)
}

fn optional_flag(json: &mut JsonReader<'_>) -> Found<Option<bool>> {
    match json.raw()? {
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        "null" => Ok(None),
        _ => Err(WRONG),
    }
}
