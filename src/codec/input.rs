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
    let (mut kind, mut name) = (String::new(), String::new());
    members(
        json,
        &mut [("kind", To::Text(&mut kind)), ("name", To::Text(&mut name))],
    )?;
    Ok(match kind.as_str() {
        "fenced" => StorageError::Fenced,
        "full" => StorageError::Full,
        "closed" => StorageError::Closed,
        "moved" => StorageError::Moved,
        "newer" => StorageError::Newer,
        "other" => StorageError::Other { name },
        _ => return Err(WRONG),
    })
}

fn request_outcome(json: &mut JsonReader<'_>) -> Found<RequestOutcome> {
    let mut kind = String::new();
    let (mut status, mut retry_after, mut body) = (0, None, String::new());
    let mut failure = String::new();
    members(
        json,
        &mut [
            ("is", To::Text(&mut kind)),
            ("status", To::Small(&mut status)),
            ("retryAfter", To::TextOrNull(&mut retry_after)),
            ("body", To::Text(&mut body)),
            ("failure", To::Text(&mut failure)),
        ],
    )?;
    Ok(match kind.as_str() {
        "answer" => RequestOutcome::Answer {
            status: u16::try_from(status).map_err(|_| WRONG)?,
            retry_after,
            body,
        },
        "failed" => RequestOutcome::Failed {
            failure: transport_failure(&failure)?,
        },
        _ => return Err(WRONG),
    })
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
    members(json, &mut [("value", To::TextOrNull(&mut value))])?;
    Ok(Chosen { value })
}

fn choice(json: &mut JsonReader<'_>) -> Found<Choice> {
    let (mut take, mut value) = (String::new(), None);
    members(
        json,
        &mut [
            ("take", To::Text(&mut take)),
            ("value", To::TextOrNull(&mut value)),
        ],
    )?;
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
    members(
        json,
        &mut [
            ("fence", To::Whole(&mut loaded.fence)),
            ("version", To::Small(&mut loaded.version)),
            ("meta", To::TextOrNull(&mut loaded.meta)),
            (
                "staged",
                To::Each(&mut |json| push(&mut loaded.staged, stored_batch(json, bytes)?)),
            ),
            (
                "held",
                To::Each(&mut |json| push(&mut loaded.held, stored_held(json, bytes)?)),
            ),
            (
                "tables",
                To::Each(&mut |json| push(&mut loaded.tables, table(json)?)),
            ),
        ],
    )?;
    Ok(loaded)
}

fn stored_batch(json: &mut JsonReader<'_>, bytes: &[u8]) -> Found<StoredBatch> {
    let (mut batch, mut state) = (0, Vec::new());
    members(
        json,
        &mut [
            ("batch", To::Whole(&mut batch)),
            ("state", To::Cut(&mut state, bytes)),
        ],
    )?;
    Ok(StoredBatch { batch, state })
}

fn stored_held(json: &mut JsonReader<'_>, bytes: &[u8]) -> Found<StoredHeld> {
    let (mut op, mut state) = (String::new(), Vec::new());
    members(
        json,
        &mut [
            ("op", To::Text(&mut op)),
            ("state", To::Cut(&mut state, bytes)),
        ],
    )?;
    Ok(StoredHeld { op, state })
}

fn table(json: &mut JsonReader<'_>) -> Found<Table> {
    let mut table = Table {
        name: String::new(),
        generated_keys: false,
        pending: false,
    };
    members(
        json,
        &mut [
            ("name", To::Text(&mut table.name)),
            ("generatedKeys", To::Flag(&mut table.generated_keys)),
            ("pending", To::Flag(&mut table.pending)),
        ],
    )?;
    Ok(table)
}

fn log_chunk(json: &mut JsonReader<'_>) -> Found<LogChunk> {
    let (mut rows, mut end) = (Vec::new(), false);
    members(
        json,
        &mut [
            (
                "rows",
                To::Each(&mut |json| push(&mut rows, log_row(json)?)),
            ),
            ("end", To::Flag(&mut end)),
        ],
    )?;
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
    members(
        json,
        &mut [
            ("table", To::Text(&mut read.table)),
            ("row", To::Whole(&mut read.row)),
            ("atMs", To::Whole(&mut read.at_ms)),
            ("user", To::User(&mut read.user)),
            (
                "ops",
                To::Each(&mut |json| push(&mut read.ops, log_op(json)?)),
            ),
        ],
    )?;
    Ok(read)
}

fn log_op(json: &mut JsonReader<'_>) -> Found<LogOp> {
    let (mut kind, mut lid) = (String::new(), String::new());
    let (mut slot, mut bytes, mut reference) = (0, 0, false);
    let (mut lower, mut upper) = (None, None);
    let (mut lower_open, mut upper_open) = (false, false);
    members(
        json,
        &mut [
            ("kind", To::Text(&mut kind)),
            ("lid", To::Text(&mut lid)),
            ("slot", To::Small(&mut slot)),
            ("bytes", To::Small(&mut bytes)),
            ("reference", To::Flag(&mut reference)),
            ("lower", To::TextOrNull(&mut lower)),
            ("upper", To::TextOrNull(&mut upper)),
            ("lowerOpen", To::Flag(&mut lower_open)),
            ("upperOpen", To::Flag(&mut upper_open)),
        ],
    )?;
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
    members(
        json,
        &mut [
            ("log", To::Log(&mut log)),
            (
                "records",
                To::Each(&mut |json| push(&mut records, scan_record(json)?)),
            ),
            ("end", To::Flag(&mut end)),
            ("total", To::Whole(&mut total)),
        ],
    )?;
    Ok(ScanPage {
        log: log.ok_or(WRONG)?,
        records,
        end,
        total,
    })
}

fn scan_record(json: &mut JsonReader<'_>) -> Found<ScanRecord> {
    let (mut lid, mut slot, mut bytes) = (String::new(), 0, 0);
    members(
        json,
        &mut [
            ("lid", To::Text(&mut lid)),
            ("slot", To::Small(&mut slot)),
            ("bytes", To::Small(&mut bytes)),
        ],
    )?;
    Ok(ScanRecord {
        lid,
        slot: Slot(slot),
        bytes,
    })
}

fn prepared(json: &mut JsonReader<'_>, beside: &[u8]) -> Found<Prepared> {
    let (mut bytes, mut values, mut pages) = (Vec::new(), Vec::new(), Vec::new());
    members(
        json,
        &mut [
            ("bytes", To::Cut(&mut bytes, beside)),
            (
                "values",
                To::Each(&mut |json| push(&mut values, prepared_value(json)?)),
            ),
            (
                "pages",
                To::Each(&mut |json| push(&mut pages, cut(json, beside)?)),
            ),
        ],
    )?;
    Ok(Prepared {
        bytes,
        values,
        pages,
    })
}

fn prepared_value(json: &mut JsonReader<'_>) -> Found<PreparedValue> {
    let (mut kind, mut end) = (String::new(), 0);
    let (mut code, mut path) = (String::new(), String::new());
    members(
        json,
        &mut [
            ("is", To::Text(&mut kind)),
            ("end", To::Small(&mut end)),
            ("code", To::Text(&mut code)),
            ("path", To::Text(&mut path)),
        ],
    )?;
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

/// Where the value of a member goes: data, since code for each member of each object would be most of
/// this module's.
enum To<'t> {
    Text(&'t mut String),
    TextOrNull(&'t mut Option<String>),
    Whole(&'t mut u64),
    Small(&'t mut u32),
    Flag(&'t mut bool),
    User(&'t mut RowUser),
    Log(&'t mut Option<LogChunk>),
    /// Bytes, and what they are cut from.
    Cut(&'t mut Vec<u8>, &'t [u8]),
    /// The elements of an array, one by one.
    Each(&'t mut dyn FnMut(&mut JsonReader<'_>) -> Found<()>),
}

impl To<'_> {
    fn read(&mut self, json: &mut JsonReader<'_>) -> Found<()> {
        match self {
            To::Text(to) => **to = required(json)?,
            To::TextOrNull(to) => **to = json.text()?,
            To::Whole(to) => **to = whole(json)?,
            To::Small(to) => **to = small(json)?,
            To::Flag(to) => **to = json.flag()?,
            To::User(to) => **to = row_user(json)?,
            To::Log(to) => **to = Some(log_chunk(json)?),
            To::Cut(to, beside) => **to = cut(json, beside)?,
            To::Each(element) => json.array(element)?,
        }
        Ok(())
    }
}

/// Reads an object that has no members but these.
fn members(json: &mut JsonReader<'_>, known: &mut [(&str, To<'_>)]) -> Found<()> {
    json.object(&mut |name, json| {
        let known = known.iter_mut().find(|(known, _)| *known == name);
        known.ok_or(WRONG)?.1.read(json)
    })
}

fn push<T>(to: &mut Vec<T>, value: T) -> Found<()> {
    to.push(value);
    Ok(())
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
