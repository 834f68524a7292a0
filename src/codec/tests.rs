//! What is written by hand against what is derived: every input and effect of the golden traces, and
//! one of each that they do not have.

use std::{fs, path::Path};

use serde_json::Value;
use tidesync_engine::interface::{
    Call, Choice, Chosen, Conflict, Effect, HeldNotice, Input, Loaded, LogChunk, LogLevel, LogOp,
    LogRow, PageId, Prepared, PreparedValue, RecordName, RecordValue, RequestOutcome, RowUser,
    Slot, StorageError, StoredBatch, StoredHeld, Table, TableRow, Task, Text, TokenReason,
    TransportFailure, Write,
};

use super::{Effects, read_input, read_names};
use traces::{put_back, take_out};

#[path = "../../tests/traces/mod.rs"]
mod traces;

const TASK: Task = Task(7);
const CALL: Call = Call(3);
const ODD: &str = "\u{1}a \"quoted\" \\ name\n\u{7f}é😀\u{2028}\0";

/// Reads what serde wrote.
fn assert_reads(input: &Input) {
    let mut json = serde_json::to_value(input).expect("an input");
    let mut bytes = Vec::new();
    take_out(&mut json, &mut bytes);
    let text = json.to_string();
    let read = read_input(&text, &bytes);
    assert_eq!(read.as_ref(), Some(input), "{text}");
}

/// Writes what serde writes.
fn assert_writes(list: &[Effect]) {
    let mut effects = Effects::default();
    for effect in list {
        effects.push(effect);
    }
    let (json, bytes) = effects.finish();
    let mut written: Value = serde_json::from_str(&json).expect("JSON");
    put_back(&mut written, &bytes);
    assert_eq!(written, serde_json::to_value(list).expect("effects"));
}

#[test]
fn agrees_with_the_golden_traces() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/engine/traces");
    let (mut inputs, mut effects) = (0, 0);
    for entry in fs::read_dir(folder).expect("traces") {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("a trace");
        let trace: Value = serde_json::from_str(&text).expect("JSON");
        for step in trace["steps"].as_array().expect("steps") {
            assert_reads(&serde_json::from_value(step["input"].clone()).expect("an input"));
            let list: Vec<Effect> =
                serde_json::from_value(step["effects"].clone()).expect("effects");
            assert_writes(&list);
            inputs += 1;
            effects += list.len();
        }
    }
    assert!(inputs > 200 && effects > 200, "{inputs} {effects}");
}

#[test]
fn reads_every_input() {
    let samples = inputs();
    let mut seen = [false; 24];
    for input in &samples {
        assert_reads(input);
        seen[place_of_input(input)] = true;
    }
    assert_eq!(seen, [true; 24]);
}

#[test]
fn writes_every_effect_and_every_write() {
    let (samples, written) = (effects(), writes());
    let mut seen = ([false; 15], [false; 13]);
    for effect in &samples {
        seen.0[place_of_effect(effect)] = true;
    }
    for write in &written {
        seen.1[place_of_write(write)] = true;
    }
    assert_eq!(seen, ([true; 15], [true; 13]));
    assert_writes(&samples);
    assert_writes(&[Effect::Commit {
        task: TASK,
        fence: 1,
        tails: Vec::new(),
        writes: written,
    }]);
    assert_writes(&[]);
}

#[test]
fn refuses_what_is_no_input() {
    for text in [
        "",
        "{}",
        r#"{"type":"other"}"#,
        r#"{"type":"stop"} "#.repeat(2).as_str(),
        r#"{"type":"setEnabled","enabled":null}"#,
        r#"{"type":"settleHeld","call":1,"op":"a"}"#,
        r#"{"type":"committed","task":1}"#,
        r#"{"type":"committed","task":1,"outcome":{}}"#,
        r#"{"type":"committed","task":1,"outcome":{"Err":{"kind":"lost"}}}"#,
        r#"{"type":"pushed","task":1,"outcome":{"is":"failed"}}"#,
        r#"{"type":"pushed","task":1,"outcome":{"is":"answer","status":65536,"body":""}}"#,
        r#"{"type":"start","online":true,"colour":"red"}"#,
        r#"{"type":"prepared","task":1,"outcome":{"Ok":{"bytes":[0,9],"values":[],"pages":[]}}}"#,
        r#"{"type":"prepared","task":1,"outcome":{"Ok":{"bytes":[9,0],"values":[],"pages":[]}}}"#,
    ] {
        assert!(read_input(text, b"12345678").is_none(), "{text}");
    }
}

#[test]
fn reads_names_of_records() {
    assert_eq!(read_names("[]"), Some(Vec::new()));
    let names = vec![(name(), "n1".to_owned()), ("b".to_owned(), String::new())];
    let texts: Vec<&str> = names
        .iter()
        .flat_map(|(table, lid)| [&**table, lid])
        .collect();
    assert_eq!(read_names(&Value::from(texts).to_string()), Some(names));
    for text in ["", "{}", r#"["a"]"#, r#"["a",1]"#, r#"["a","b"]]"#] {
        assert!(read_names(text).is_none(), "{text}");
    }
}

fn place_of_input(input: &Input) -> usize {
    match input {
        Input::Start { .. } => 0,
        Input::Stop => 1,
        Input::Timeout => 2,
        Input::Captured { .. } => 3,
        Input::Online { .. } => 4,
        Input::Visible { .. } => 5,
        Input::UserChanged { .. } => 6,
        Input::SetEnabled { .. } => 7,
        Input::TokenAvailable => 8,
        Input::ForceSync { .. } => 9,
        Input::Backup { .. } => 10,
        Input::Loaded { .. } => 11,
        Input::LogRead { .. } => 12,
        Input::Scanned { .. } => 13,
        Input::Prepared { .. } => 14,
        Input::Committed { .. } => 15,
        Input::Pushed { .. } => 16,
        Input::Pulled { .. } => 17,
        Input::Reserved { .. } => 18,
        Input::Poked => 19,
        Input::StreamEnded { .. } => 20,
        Input::ResolverAnswered { .. } => 21,
        Input::SettleHeld { .. } => 22,
        Input::Restore { .. } => 23,
    }
}

fn place_of_effect(effect: &Effect) -> usize {
    match effect {
        Effect::Load { .. } => 0,
        Effect::ReadLog { .. } => 1,
        Effect::Scan { .. } => 2,
        Effect::Prepare { .. } => 3,
        Effect::Commit { .. } => 4,
        Effect::Push { .. } => 5,
        Effect::AbortRequest => 6,
        Effect::Pull { .. } => 7,
        Effect::Reserve { .. } => 8,
        Effect::OpenStream { .. } => 9,
        Effect::CloseStream => 10,
        Effect::AskResolver { .. } => 11,
        Effect::Resolve { .. } => 12,
        Effect::Log { .. } => 13,
        Effect::Closed => 14,
    }
}

fn place_of_write(write: &Write) -> usize {
    match write {
        Write::Meta { .. } => 0,
        Write::PutStaged { .. } => 1,
        Write::DeleteStaged { .. } => 2,
        Write::PutHeld { .. } => 3,
        Write::RenewHeld { .. } => 4,
        Write::DeleteHeld { .. } => 5,
        Write::PutPage { .. } => 6,
        Write::ConsumeLog { .. } => 7,
        Write::PutRecord { .. } => 8,
        Write::DeleteRecord { .. } => 9,
        Write::AppendLog { .. } => 10,
        Write::PutHistory { .. } => 11,
        Write::SignLog { .. } => 12,
    }
}

fn inputs() -> Vec<Input> {
    let mut inputs = vec![
        Input::Start {
            online: true,
            visible: false,
            user: None,
            enabled: Some(true),
        },
        Input::Start {
            online: false,
            visible: true,
            user: Some(ODD.to_owned()),
            enabled: None,
        },
        Input::Stop,
        Input::Timeout,
        Input::Online { online: true },
        Input::Visible { visible: true },
        Input::UserChanged { user: None },
        Input::SetEnabled { enabled: false },
        Input::TokenAvailable,
        Input::ForceSync { call: CALL },
        Input::Backup { call: CALL },
        Input::Restore { call: CALL },
        Input::Poked,
    ];
    inputs.extend(
        [RowUser::Owner, RowUser::Nobody, RowUser::User(name())].map(|user| Input::Captured {
            table: name(),
            user,
            lids: vec![name(), String::new()],
            trigger: true,
        }),
    );
    inputs.extend(
        [
            Choice::Local,
            Choice::Remote,
            Choice::Value(Chosen { value: None }),
            Choice::Value(Chosen {
                value: Some(name()),
            }),
        ]
        .map(|choice| Input::SettleHeld {
            call: CALL,
            op: name(),
            choice,
        }),
    );
    inputs.extend(errors().into_iter().map(|error| Input::Committed {
        task: TASK,
        outcome: Err(error),
    }));
    inputs.extend(stored());
    inputs.extend(outcomes().into_iter().flat_map(|outcome| {
        [
            Input::Pushed {
                task: TASK,
                outcome: outcome.clone(),
            },
            Input::Pulled {
                task: TASK,
                outcome: outcome.clone(),
            },
            Input::StreamEnded {
                task: TASK,
                outcome,
            },
        ]
    }));
    inputs
}

/// Answers of storage, and of the app's function.
fn stored() -> Vec<Input> {
    vec![
        Input::Loaded {
            task: TASK,
            outcome: Ok(Loaded {
                fence: 1 << 53,
                version: u32::MAX,
                meta: Some(name()),
                staged: vec![StoredBatch {
                    batch: 4,
                    state: vec![0, 255, 1],
                }],
                held: vec![StoredHeld {
                    op: name(),
                    state: vec![9],
                }],
                tables: vec![Table {
                    name: name(),
                    generated_keys: true,
                    pending: true,
                }],
            }),
        },
        Input::LogRead {
            task: TASK,
            outcome: Ok(LogChunk {
                rows: vec![LogRow {
                    table: name(),
                    row: 5,
                    at_ms: 1,
                    user: RowUser::Nobody,
                    ops: log_ops(),
                }],
                end: true,
            }),
        },
        Input::Scanned {
            task: TASK,
            outcome: Err(StorageError::Closed),
        },
        Input::Prepared {
            task: TASK,
            outcome: Ok(Prepared {
                bytes: name().into_bytes(),
                values: vec![
                    PreparedValue::Wire { end: 3 },
                    PreparedValue::Gone,
                    PreparedValue::Unsendable {
                        code: name(),
                        path: name(),
                    },
                ],
                pages: vec![Vec::new(), vec![1, 2], vec![3]],
            }),
        },
        Input::Committed {
            task: TASK,
            outcome: Ok(()),
        },
        Input::Reserved {
            task: TASK,
            outcome: Ok(12),
        },
        Input::ResolverAnswered {
            task: TASK,
            outcome: Ok(Chosen {
                value: Some(name()),
            }),
        },
        Input::ResolverAnswered {
            task: TASK,
            outcome: Ok(Chosen { value: None }),
        },
        Input::ResolverAnswered {
            task: TASK,
            outcome: Err(name()),
        },
    ]
}

fn log_ops() -> Vec<LogOp> {
    vec![
        LogOp::Put {
            lid: name(),
            slot: Slot(8),
            bytes: 9,
            reference: true,
        },
        LogOp::Delete { lid: name() },
        LogOp::DeleteRange {
            lower: Some(name()),
            upper: None,
            lower_open: true,
            upper_open: false,
        },
        LogOp::DeleteRange {
            lower: None,
            upper: Some(name()),
            lower_open: false,
            upper_open: true,
        },
        LogOp::Clear,
    ]
}

fn errors() -> [StorageError; 6] {
    [
        StorageError::Fenced,
        StorageError::Full,
        StorageError::Closed,
        StorageError::Moved,
        StorageError::Newer,
        StorageError::Other { name: name() },
    ]
}

fn outcomes() -> Vec<RequestOutcome> {
    let failures = [
        TransportFailure::Network,
        TransportFailure::Timeout,
        TransportFailure::NoToken,
        TransportFailure::TokenFailed,
        TransportFailure::NoBatch,
    ];
    let mut outcomes: Vec<RequestOutcome> = failures
        .map(|failure| RequestOutcome::Failed { failure })
        .into();
    outcomes.extend(
        [None, Some(name())].map(|retry_after| RequestOutcome::Answer {
            status: 503,
            retry_after,
            body: name(),
        }),
    );
    outcomes
}

fn effects() -> Vec<Effect> {
    vec![
        Effect::Load { task: TASK },
        Effect::ReadLog {
            task: TASK,
            after: vec![tail(), tail()],
            bytes_max: 1,
            ops_max: 2,
            values: true,
        },
        Effect::Scan {
            task: TASK,
            table: name(),
            after: Some(name()),
            records_max: 1,
            bytes_max: 2,
        },
        Effect::Prepare {
            task: TASK,
            slots: vec![Slot(1), Slot(2)],
            records: vec![RecordName {
                table: name(),
                lid: name(),
            }],
            pages: vec![page()],
        },
        Effect::Commit {
            task: TASK,
            fence: 1 << 53,
            tails: vec![tail()],
            writes: Vec::new(),
        },
        Effect::Push {
            task: TASK,
            batch: 1,
            first: 2,
            last: 3,
            envelope: name(),
            subject: name(),
            token: TokenReason::Expired,
            timeout_ms: 4,
        },
        Effect::AbortRequest,
        Effect::Pull {
            task: TASK,
            query: name(),
            subject: name(),
            token: TokenReason::Request,
            timeout_ms: 4,
        },
        Effect::Reserve {
            task: TASK,
            fence: 1,
            table: name(),
            count: 2,
        },
        Effect::OpenStream {
            task: TASK,
            subject: name(),
            token: TokenReason::Expired,
        },
        Effect::CloseStream,
        Effect::AskResolver {
            task: TASK,
            conflict: Conflict {
                table: name(),
                lid: name(),
                base: 1,
                local: None,
                remote: Some(name()),
            },
        },
        Effect::Resolve {
            call: CALL,
            ok: true,
        },
        log(LogLevel::Debug),
        log(LogLevel::Info),
        log(LogLevel::Warn),
        log(LogLevel::Error),
        Effect::Closed,
    ]
}

fn writes() -> Vec<Write> {
    vec![
        Write::Meta {
            state: name(),
            owner: None,
        },
        Write::PutStaged {
            batch: 1,
            state: vec![1, 2, 3],
            texts: texts(),
        },
        Write::DeleteStaged { batch: 2 },
        put_held(None, None),
        put_held(texts().pop(), Some(name())),
        Write::RenewHeld {
            op: name(),
            state: vec![4],
            remote: Some(name()),
            message: None,
        },
        Write::RenewHeld {
            op: name(),
            state: vec![4],
            remote: None,
            message: Some(name()),
        },
        Write::DeleteHeld { op: name() },
        Write::PutPage {
            page: page(),
            whole: true,
            bytes: vec![5; 300],
        },
        Write::ConsumeLog {
            table: name(),
            first: 1,
            last: 2,
        },
        Write::PutRecord {
            table: name(),
            lid: name(),
            value: RecordValue::Pulled { index: 1 },
        },
        Write::PutRecord {
            table: name(),
            lid: name(),
            value: RecordValue::Text { text: name() },
        },
        Write::DeleteRecord {
            table: name(),
            lid: name(),
        },
        Write::AppendLog {
            table: name(),
            lid: name(),
            user: name(),
            at_ms: 5,
            delete: true,
        },
        Write::PutHistory { entry: name() },
        Write::SignLog {
            table: name(),
            user: Some(name()),
            adopts: true,
        },
    ]
}

fn put_held(text: Option<Text>, remote: Option<String>) -> Write {
    Write::PutHeld {
        op: name(),
        state: vec![7, 7],
        notice: HeldNotice {
            table: name(),
            lid: name(),
            code: name(),
            message: name(),
            at_ms: 8,
        },
        user: name(),
        base: 9,
        text,
        remote,
    }
}

fn texts() -> Vec<Text> {
    vec![
        Text::Spliced {
            head: name(),
            slot: Slot(1),
        },
        Text::Whole { text: name() },
        Text::Kept { batch: 1, index: 2 },
    ]
}

fn log(level: LogLevel) -> Effect {
    Effect::Log {
        level,
        message: name(),
    }
}

fn tail() -> TableRow {
    TableRow {
        table: name(),
        row: 1 << 53,
    }
}

fn page() -> PageId {
    PageId {
        table: name(),
        bucket: 6,
    }
}

fn name() -> String {
    ODD.to_owned()
}
