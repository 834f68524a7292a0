//! Everything that can happen to the engine ([`Input`]) and everything it can ask for ([`Effect`]).
//!
//! Every effect that has an answer carries a [`Task`] number, and its answer repeats it. An answer
//! to a task that the engine has given up is ignored.

use serde::{Deserialize, Serialize};

/// Both clocks of the shell, read together with every input.
///
/// Waits are counted on `monotonic_ms` only. `wall_ms` dates changes and decides nothing but which
/// of two concurrent edits of one field wins (I25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds since some start; never goes back.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970-01-01 UTC, as the device believes.
    pub wall_ms: u64,
}

/// Matches an answer to the effect that asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Task(pub u64);

/// Identifies a call of the app (`forceSync`, `triggerBackup`) until [`Effect::Resolve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Call(pub u64);

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Input {
    /// This tab leads from now on. The first input.
    Start {
        /// What the browser says of the network: a hint.
        online: bool,
        /// Whether any of the app's pages is visible.
        visible: bool,
        /// The user who is signed in.
        user: Option<String>,
        /// The app's own setting, where it gave one; else what was stored last.
        enabled: Option<bool>,
    },
    /// This tab no longer leads, or its database is closing.
    Stop,
    /// The time of [`crate::Engine::poll_timeout`] has come.
    Timeout,
    /// A transaction with tracked changes of one table has committed, in any tab. A hint for the
    /// schedule and the counts: the log is the truth.
    Captured {
        /// The table.
        table: String,
        /// Under whom, as in the log row.
        user: RowUser,
        /// The records, in their local text form, one for each change.
        lids: Vec<String>,
        /// False where a predicate of the app says that this change is no reason to sync.
        trigger: bool,
    },
    /// The browser says that the network came or went: a hint.
    Online {
        /// Whether it came.
        online: bool,
    },
    /// Some page of the app became visible, or the last visible one was hidden.
    Visible {
        /// Whether one is visible.
        visible: bool,
    },
    /// Another user signed in, or the user signed out.
    UserChanged {
        /// The user; none after signing out.
        user: Option<String>,
    },
    /// `setAutoSyncEnabled`.
    SetEnabled {
        /// On or off.
        enabled: bool,
    },
    /// The app says that a token can be had again.
    TokenAvailable,
    /// `forceSync`.
    ForceSync {
        /// To be resolved.
        call: Call,
    },
    /// `triggerBackup`.
    Backup {
        /// To be resolved.
        call: Call,
    },
    /// `restore`: everything is asked for anew, and what is missing here is put back.
    Restore {
        /// To be resolved.
        call: Call,
    },
    /// Answers [`Effect::Load`].
    Loaded {
        /// The effect.
        task: Task,
        /// What was found.
        outcome: Result<Loaded, StorageError>,
    },
    /// Answers [`Effect::ReadLog`].
    LogRead {
        /// The effect.
        task: Task,
        /// What was found.
        outcome: Result<LogChunk, StorageError>,
    },
    /// Answers [`Effect::Scan`].
    Scanned {
        /// The effect.
        task: Task,
        /// What was found.
        outcome: Result<ScanPage, StorageError>,
    },
    /// Answers [`Effect::Prepare`].
    Prepared {
        /// The effect.
        task: Task,
        /// What was found.
        outcome: Result<Prepared, StorageError>,
    },
    /// Answers [`Effect::Commit`].
    Committed {
        /// The effect.
        task: Task,
        /// Whether all of the transaction is durable, or nothing of it.
        outcome: Result<(), StorageError>,
    },
    /// Answers [`Effect::Push`].
    Pushed {
        /// The effect.
        task: Task,
        /// What came back.
        outcome: RequestOutcome,
    },
    /// Answers [`Effect::Pull`].
    Pulled {
        /// The effect.
        task: Task,
        /// What came back.
        outcome: RequestOutcome,
    },
    /// Answers [`Effect::Reserve`].
    Reserved {
        /// The effect.
        task: Task,
        /// The first of the keys; the others follow one by one.
        outcome: Result<u64, StorageError>,
    },
    /// The stream says that the server has something new: a hint.
    Poked,
    /// The stream of [`Effect::OpenStream`] has ended, or could not be opened.
    StreamEnded {
        /// The effect.
        task: Task,
        /// What the server answered at last; an answer of 200 is a stream that was closed.
        outcome: RequestOutcome,
    },
    /// Answers [`Effect::AskResolver`].
    ResolverAnswered {
        /// The effect.
        task: Task,
        /// What the app's function gave, or why it failed.
        outcome: Result<Chosen, String>,
    },
    /// The app, or its user, decides what becomes of a held operation.
    SettleHeld {
        /// To be resolved.
        call: Call,
        /// The operation.
        op: String,
        /// What becomes of it.
        choice: Choice,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Effect {
    /// Raise the fence in the meta store by one in a transaction of its own, and read everything
    /// that [`Loaded`] names.
    Load {
        /// To be answered by [`Input::Loaded`].
        task: Task,
    },
    /// Read log rows of every table in one read-only transaction: for each table, rows above
    /// `after`, in row order, whole rows only, until the chunk has `bytes_max` bytes or `ops_max`
    /// operations.
    ReadLog {
        /// To be answered by [`Input::LogRead`].
        task: Task,
        /// The tables to read, each with the last row that is already known (0 for none).
        after: Vec<TableRow>,
        /// Stop after the row that reaches this many bytes of values.
        bytes_max: u32,
        /// Stop after the row that reaches this many operations.
        ops_max: u32,
        /// Whether the values are to be kept; else the slots mean nothing.
        values: bool,
    },
    /// Read one page of a table's records, in key order, and the table's whole log up to the
    /// limits of a chunk, in one read-only transaction. Each has the limits to itself. A page
    /// without records that is not the end is asked for again.
    Scan {
        /// To be answered by [`Input::Scanned`].
        task: Task,
        /// The table.
        table: String,
        /// The last record of the page before, in its local text form.
        after: Option<String>,
        /// Stop after this many records.
        records_max: u32,
        /// Stop after the record that reaches this many bytes.
        bytes_max: u32,
    },
    /// Fetch the wire form of the values behind `slots` (reading the records of those that are
    /// logged by reference), of `records` as they are now, and pages of the shadow. Then forget
    /// every other slot.
    Prepare {
        /// To be answered by [`Input::Prepared`].
        task: Task,
        /// The values.
        slots: Vec<Slot>,
        /// The records; their values follow those of the slots.
        records: Vec<RecordName>,
        /// The pages.
        pages: Vec<PageId>,
    },
    /// Do all of `writes` in one transaction that first compares the fence and looks at the ends of
    /// logs, or nothing.
    Commit {
        /// To be answered by [`Input::Committed`].
        task: Task,
        /// The fence this engine was given by [`Loaded`].
        fence: u64,
        /// Logs as far as they are known. Where a row above the one given touches a record that
        /// `writes` put or remove, or removes a range: [`StorageError::Moved`].
        tails: Vec<TableRow>,
        /// The writes, in order.
        writes: Vec<Write>,
    },
    /// Send operations of one staged batch: the envelope, then the texts `first..last` of the batch
    /// joined by commas, then `]}`.
    Push {
        /// To be answered by [`Input::Pushed`].
        task: Task,
        /// The staged batch.
        batch: u64,
        /// The first operation of the batch to be sent.
        first: u32,
        /// The first operation of the batch that is not sent any more.
        last: u32,
        /// The text before the operations.
        envelope: String,
        /// The subject the envelope names: the token must be this user's.
        subject: String,
        /// Whether the token at hand was refused and must be a new one.
        token: TokenReason,
        /// Give up after this many milliseconds.
        timeout_ms: u32,
    },
    /// Give up the push or pull that is under way; it is not answered any more.
    AbortRequest,
    /// Ask the server for what is new. The shell keeps the changes of the last answer by place
    /// until the next pull, and has fetched the blobs that they name before it answers.
    Pull {
        /// To be answered by [`Input::Pulled`].
        task: Task,
        /// The query of the address, from `limit` on.
        query: String,
        /// The token must be this user's.
        subject: String,
        /// Whether the token at hand was refused and must be a new one.
        token: TokenReason,
        /// Give up after this many milliseconds.
        timeout_ms: u32,
    },
    /// Advance the key generator of a table by `count` in a transaction of its own that first
    /// compares the fence, leaving no record behind: the keys are this engine's to use.
    Reserve {
        /// To be answered by [`Input::Reserved`].
        task: Task,
        /// The fence this engine was given by [`Loaded`].
        fence: u64,
        /// The table.
        table: String,
        /// How many.
        count: u32,
    },
    /// Open the stream of pokes. Every poke is an [`Input::Poked`].
    OpenStream {
        /// To be answered by [`Input::StreamEnded`], once.
        task: Task,
        /// The token must be this user's.
        subject: String,
        /// Whether the token at hand was refused and must be a new one.
        token: TokenReason,
    },
    /// Close the stream; it is not answered any more.
    CloseStream,
    /// Ask the app's function for the outcome of a conflict.
    AskResolver {
        /// To be answered by [`Input::ResolverAnswered`].
        task: Task,
        /// What is in conflict.
        conflict: Conflict,
    },
    /// A call of the app is done.
    Resolve {
        /// The call.
        call: Call,
        /// What the app's promise resolves to.
        ok: bool,
    },
    /// One line for the app's logger. Carries no user data.
    Log {
        /// How important it is.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// The fence was raised by another tab, or the engine stopped: it asks for nothing any more.
    Closed,
}

/// A record, by its local name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordName {
    /// The table.
    pub table: String,
    /// The record, in its local text form.
    pub lid: String,
}

/// Two changes of one record that stand against each other. Values are wire forms; none where the
/// record was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The table.
    pub table: String,
    /// The record, in its local text form.
    pub lid: String,
    /// The version that the local change was made on.
    pub base: u64,
    /// The record as it is here.
    pub local: Option<String>,
    /// The record as the server has it.
    pub remote: Option<String>,
}

/// The outcome of a conflict: a wire form, or none where the record is to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// The value.
    pub value: Option<String>,
}

/// What becomes of a held operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "take", rename_all = "kebab-case")]
pub enum Choice {
    /// The record as it is here is sent again, on what the server has now.
    Local,
    /// The record becomes what the server has.
    Remote,
    /// The record becomes this, here and on the server.
    Value(Chosen),
}

/// Levels of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For developers of Tidesync.
    Debug,
    /// The course of things.
    Info,
    /// Something that recovers by itself.
    Warn,
    /// Something that needs a person.
    Error,
}

/// Why a token is asked for; the app's `getToken({reason})` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenReason {
    /// A request needs one; a cached one will do.
    Request,
    /// The server refused the last one.
    Expired,
}

/// Under whom a log row was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowUser {
    /// Before this page knew who owns the database: its owner.
    Owner,
    /// Nobody was signed in.
    Nobody,
    /// A user.
    User(String),
}

/// A table and a row of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// The table.
    pub table: String,
    /// The row; 0 for none.
    pub row: u64,
}

/// Names a value that the shell holds while a stage is being prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u32);

/// What the database held when this tab began to lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    /// This engine's fence: higher than every one before.
    pub fence: u64,
    /// The database's version: an upgrade by the app may have written what nothing captured.
    pub version: u32,
    /// What [`Write::Meta`] stored last.
    pub meta: Option<String>,
    /// The staged batches, in the order of their numbers.
    pub staged: Vec<StoredBatch>,
    /// The held operations.
    pub held: Vec<StoredHeld>,
    /// The tracked tables.
    pub tables: Vec<Table>,
}

/// A tracked table, as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// The object store's name.
    pub name: String,
    /// Whether the database generates its keys.
    pub generated_keys: bool,
    /// Whether its log has rows.
    pub pending: bool,
}

/// A staged batch as it was stored by [`Write::PutStaged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredBatch {
    /// Its number.
    pub batch: u64,
    /// The engine's own record of it.
    #[serde(with = "hex_bytes")]
    pub state: Vec<u8>,
}

/// A held operation as it was stored by [`Write::PutHeld`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredHeld {
    /// Its operation id.
    pub op: String,
    /// The engine's own record of it.
    #[serde(with = "hex_bytes")]
    pub state: Vec<u8>,
}

/// A chunk of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogChunk {
    /// The rows: of each table in row order.
    pub rows: Vec<LogRow>,
    /// Whether nothing is left behind them in any of the tables.
    pub end: bool,
}

/// One log row: what one transaction wrote to one table, or a part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRow {
    /// The table.
    pub table: String,
    /// The row's number, above 0.
    pub row: u64,
    /// When it was written, by the device's wall clock.
    pub at_ms: u64,
    /// Under whom.
    pub user: RowUser,
    /// The operations, in the order in which they were made.
    pub ops: Vec<LogOp>,
}

/// One operation of a log row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum LogOp {
    /// The record was stored.
    Put {
        /// The record, in its local text form.
        lid: String,
        /// Its value.
        slot: Slot,
        /// About how many bytes its wire form has; a guess where that is not known yet.
        bytes: u32,
        /// Whether only its key was logged: the value is read from the record when it is staged.
        reference: bool,
    },
    /// The record was removed.
    Delete {
        /// The record, in its local text form.
        lid: String,
    },
    /// All records within the range were removed. Bounds are keys in their text form.
    DeleteRange {
        /// The lower bound, where there is one.
        lower: Option<String>,
        /// The upper bound, where there is one.
        upper: Option<String>,
        /// Whether the lower bound itself is left out.
        lower_open: bool,
        /// Whether the upper bound itself is left out.
        upper_open: bool,
    },
    /// All records were removed.
    Clear,
}

/// A page of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanPage {
    /// The table's log at the same instant.
    pub log: LogChunk,
    /// The records, in key order.
    pub records: Vec<ScanRecord>,
    /// Whether the table ends with this page.
    pub end: bool,
    /// How many records the table has.
    pub total: u64,
    /// How many of the page's records are left out, since their keys have no text.
    pub left_out: u64,
}

/// A record that a scan found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanRecord {
    /// The record, in its local text form.
    pub lid: String,
    /// Its value.
    pub slot: Slot,
    /// About how many bytes its wire form has.
    pub bytes: u32,
}

/// The values and pages of [`Effect::Prepare`], in the order asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The values' wire forms, one after the other, as UTF-8.
    #[serde(with = "hex_bytes")]
    pub bytes: Vec<u8>,
    /// For each slot, then for each record, what became of it.
    pub values: Vec<PreparedValue>,
    /// The pages, each with its parts one after the other; empty where there is none yet.
    #[serde(with = "hex_pages")]
    pub pages: Vec<Vec<u8>>,
}

/// What became of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum PreparedValue {
    /// Its wire form ends at this offset of [`Prepared::bytes`] (and begins where the last ended).
    Wire {
        /// The offset.
        end: u32,
    },
    /// The record is gone.
    Gone,
    /// It has no wire form.
    Unsendable {
        /// Why, for programs, e.g. `unsupported-type`.
        code: String,
        /// Where in the value and what, e.g. `$.photo: Blob`. Field names, no values.
        path: String,
    },
}

/// A page of the shadow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PageId {
    /// The table.
    pub table: String,
    /// The bucket's number within the table.
    pub bucket: u32,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Write {
    /// Replaces the engine's meta record; `owner` also where capture finds it.
    Meta {
        /// The engine's own record.
        state: String,
        /// The user whose database this is.
        owner: Option<String>,
    },
    /// Stores a batch.
    PutStaged {
        /// Its number. A batch that is there already is replaced.
        batch: u64,
        /// The engine's own record of it.
        #[serde(with = "hex_bytes")]
        state: Vec<u8>,
        /// The operations' texts.
        texts: Vec<Text>,
    },
    /// Removes a batch.
    DeleteStaged {
        /// Its number.
        batch: u64,
    },
    /// Stores a held operation.
    PutHeld {
        /// The operation.
        op: String,
        /// The engine's own record of it.
        #[serde(with = "hex_bytes")]
        state: Vec<u8>,
        /// For people and for `exportPending`: table, record, code and message.
        notice: HeldNotice,
        /// Whose change it is.
        user: String,
        /// The version that it was made on; 0 for none.
        base: u64,
        /// The operation's text, where it has one.
        text: Option<Text>,
        /// The server's record, where that stands against it, as JSON.
        remote: Option<String>,
    },
    /// Replaces the state of a held operation that is stored, and what stands against it.
    RenewHeld {
        /// The operation.
        op: String,
        /// The engine's own record of it.
        #[serde(with = "hex_bytes")]
        state: Vec<u8>,
        /// The server's record, as JSON.
        remote: Option<String>,
        /// What is told of it from now on; none where that stays.
        message: Option<String>,
    },
    /// Removes a held operation.
    DeleteHeld {
        /// The operation.
        op: String,
    },
    /// Stores a part of a page of the shadow behind the page's other parts.
    PutPage {
        /// The page.
        page: PageId,
        /// Whether it takes the place of all other parts.
        whole: bool,
        /// Its content.
        #[serde(with = "hex_bytes")]
        bytes: Vec<u8>,
    },
    /// Removes log rows.
    ConsumeLog {
        /// The table.
        table: String,
        /// The first row.
        first: u64,
        /// The last row.
        last: u64,
    },
    /// Stores a record of the app. Capture does not see it.
    PutRecord {
        /// The table.
        table: String,
        /// The record, in its local text form.
        lid: String,
        /// Its value.
        value: RecordValue,
    },
    /// Removes a record of the app. Capture does not see it.
    DeleteRecord {
        /// The table.
        table: String,
        /// The record, in its local text form.
        lid: String,
    },
    /// Appends a log row as capture would have for a change of the record: put by reference, or
    /// removed.
    AppendLog {
        /// The table.
        table: String,
        /// The record, in its local text form.
        lid: String,
        /// Under whom.
        user: String,
        /// When, by the device's wall clock.
        at_ms: u64,
        /// Whether it was removed.
        delete: bool,
    },
    /// Appends to the history of what was resolved without asking; the oldest entries go.
    PutHistory {
        /// JSON.
        entry: String,
    },
    /// Names the user of log rows that do not name one.
    SignLog {
        /// The table.
        table: String,
        /// The user; none for nobody.
        user: Option<String>,
        /// Whether nobody's rows become theirs, too.
        adopts: bool,
    },
}

/// The value of a record that is stored for the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum RecordValue {
    /// That of a change of the last pull.
    Pulled {
        /// Its place among the changes.
        index: u32,
    },
    /// This wire form.
    Text {
        /// The wire form.
        text: String,
    },
}

/// The text of one operation, as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Text {
    /// `head`, the wire form behind the slot, then `}`.
    Spliced {
        /// The operation's JSON up to the value.
        head: String,
        /// The value.
        slot: Slot,
    },
    /// The whole text.
    Whole {
        /// The operation's JSON.
        text: String,
    },
    /// A text of a batch that is stored already, unchanged.
    Kept {
        /// The batch.
        batch: u64,
        /// The text's place in it.
        index: u32,
    },
}

/// What is told of a held operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldNotice {
    /// The table.
    pub table: String,
    /// The record, in its local text form.
    pub lid: String,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// When, by the device's wall clock.
    pub at_ms: u64,
}

/// Why storage did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum StorageError {
    /// Another tab raised the fence.
    #[error("another tab leads now")]
    Fenced,
    /// The disk or the origin's quota is full.
    #[error("storage is full")]
    Full,
    /// The connection is closed or closing, or could not be opened.
    #[error("the database connection is closed")]
    Closed,
    /// A log has more rows than [`Effect::Commit`] expected.
    #[error("the app has written since")]
    Moved,
    /// A newer version of the package wrote this database.
    #[error("the database was written by a newer version")]
    Newer,
    /// Anything else, by the browser's name for it.
    #[error("storage failed: {name}")]
    Other {
        /// The `DOMException`'s name.
        name: String,
    },
}

/// What came back from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum RequestOutcome {
    /// The server, or something in between, answered.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header: seconds, also where it gave a date.
        retry_after: Option<String>,
        /// The body.
        body: String,
    },
    /// No answer.
    Failed {
        /// Why.
        failure: TransportFailure,
    },
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportFailure {
    /// The request failed below HTTP.
    Network,
    /// The time was up.
    Timeout,
    /// `getToken` gave none: nobody is signed in.
    NoToken,
    /// `getToken` failed.
    TokenFailed,
    /// The body could not be made: the batch is not in the store.
    NoBatch,
}

/// Bytes as hex text in traces.
mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn encode(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
        let digits = text.as_bytes();
        digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => {
                    let high = char::from(*high).to_digit(16)?;
                    let low = char::from(*low).to_digit(16)?;
                    u8::try_from(high * 16 + low).ok()
                }
                _ => None,
            })
            .collect()
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        decode(&String::deserialize(from)?).ok_or_else(|| D::Error::custom("not hex digits"))
    }
}

/// Lists of bytes as hex texts in traces.
mod hex_pages {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::hex_bytes;

    pub(super) fn serialize<S: Serializer>(pages: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = pages.iter().map(|page| hex_bytes::encode(page)).collect();
        texts.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        Vec::<String>::deserialize(from)?
            .iter()
            .map(|text| hex_bytes::decode(text).ok_or_else(|| D::Error::custom("not hex digits")))
            .collect()
    }
}
