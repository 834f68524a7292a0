//! The database: the app's stores, their logs, and the engine's stores. A transaction happens
//! wholly or not at all.

use std::collections::BTreeMap;
use std::ops::Range;

use tidesync_engine::interface::{
    Effect, HeldNotice, Input, Loaded, LogChunk, LogOp, LogRow, PageId, Prepared, PreparedValue,
    RecordName, RecordValue, RowUser, ScanPage, ScanRecord, Slot, StorageError, StoredBatch,
    StoredHeld, Table, TableRow, Text, Write,
};
use tidesync_protocol::key::Key;
use tidesync_protocol::value::check_value;

/// As which a value counts whose size is not known.
const UNKNOWN_BYTES: u32 = 16 * 1024;

/// What a transaction of the app does to one table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    ops: Vec<Op>,
}

#[derive(Debug, Clone)]
enum Op {
    Put(String, String),
    /// Logged by key: read when staged.
    PutRef(String, String),
    PutOdd(String),
    Delete(String),
    Range(String, String),
    Clear,
}

impl Row {
    pub fn put(mut self, key: &str, value: &str) -> Self {
        self.ops.push(Op::Put(lid(key), value.to_owned()));
        self
    }

    pub fn put_ref(mut self, key: &str, value: &str) -> Self {
        self.ops.push(Op::PutRef(lid(key), value.to_owned()));
        self
    }

    /// A value that has no wire form.
    pub fn put_odd(mut self, key: &str) -> Self {
        self.ops.push(Op::PutOdd(lid(key)));
        self
    }

    pub fn delete(mut self, key: &str) -> Self {
        self.ops.push(Op::Delete(lid(key)));
        self
    }

    pub fn delete_range(mut self, lower: &str, upper: &str) -> Self {
        self.ops.push(Op::Range(lid(lower), lid(upper)));
        self
    }

    pub fn clear(mut self) -> Self {
        self.ops.push(Op::Clear);
        self
    }

    /// What is told of the row; a range has no name.
    pub fn lids(&self) -> Vec<String> {
        let lids = self.ops.iter().map(|op| match op {
            Op::Put(lid, _) | Op::PutRef(lid, _) | Op::PutOdd(lid) | Op::Delete(lid) => lid.clone(),
            Op::Range(..) | Op::Clear => String::new(),
        });
        lids.collect()
    }
}

/// Keys are strings, except that digits alone are a number.
pub fn lid(key: &str) -> String {
    let number = key.bytes().all(|byte| byte.is_ascii_digit());
    format!("{}{key}", if number { 'n' } else { 's' })
}

fn key(lid: &str) -> Key {
    lid.parse().expect("a key")
}

#[derive(Debug, Clone, Default)]
pub struct Store {
    pub generated: bool,
    pub records: BTreeMap<Key, (String, Option<String>)>,
    pub log: BTreeMap<u64, Logged>,
    pub next_key: u64,
    rows: u64,
}

#[derive(Debug, Clone)]
pub struct Logged {
    pub user: RowUser,
    at: u64,
    row: Row,
}

#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub tables: BTreeMap<String, Store>,
    pub staged: BTreeMap<u64, (Vec<String>, Vec<u8>)>,
    pub held: BTreeMap<String, (Vec<u8>, HeldNotice, Option<String>)>,
    pub pages: BTreeMap<PageId, Vec<u8>>,
    /// The most records that one transaction has put.
    pub most_records: usize,
    /// Bytes of pages that were written, and that were read.
    pub page_bytes: usize,
    pub page_bytes_read: usize,
    pub meta: Option<String>,
    pub owner: Option<String>,
    pub fence: u64,
    pub version: u32,
    /// What the engine has put into and removed from the app's stores.
    pub told: Vec<(String, String, Option<String>)>,
    /// What was resolved without asking.
    pub history: Vec<String>,
    /// Records that the app's database does not take.
    pub refused: Vec<String>,
    /// The field that has a unique index in every table.
    pub unique: Option<&'static str>,
    /// The values of the last pull's changes.
    pub pulled: Vec<String>,
    /// How many records of a scanned page have a key without a text.
    pub nameless: u64,
    /// How many of the next pages of a scan come back empty without being the end.
    pub empty_pages: u32,
    slots: BTreeMap<Slot, Held>,
    next_slot: u32,
}

/// What a slot stands for.
#[derive(Debug, Clone)]
enum Held {
    Value(String),
    Record(String, String),
    Odd,
}

impl Disk {
    pub fn new(tables: &[&str]) -> Self {
        let tables = tables.iter().map(|name| {
            let generated = name.ends_with('+');
            (
                (*name).to_owned(),
                Store {
                    generated,
                    ..Store::default()
                },
            )
        });
        Self {
            tables: tables.collect(),
            version: 1,
            ..Self::default()
        }
    }

    pub fn write(&mut self, table: &str, user: RowUser, at: u64, row: Row) {
        self.change(table, &row);
        let store = self.tables.get_mut(table).expect("a table");
        store.rows += 1;
        store.log.insert(store.rows, Logged { user, at, row });
    }

    /// A write that nothing captured.
    pub fn change(&mut self, table: &str, row: &Row) {
        let store = self.tables.get_mut(table).expect("a table");
        for op in &row.ops {
            match op {
                Op::Put(lid, value) | Op::PutRef(lid, value) => {
                    store
                        .records
                        .insert(key(lid), (lid.clone(), Some(value.clone())));
                }
                Op::PutOdd(lid) => {
                    store.records.insert(key(lid), (lid.clone(), None));
                }
                Op::Delete(lid) => {
                    store.records.remove(&key(lid));
                }
                Op::Range(lower, upper) => {
                    let range = key(lower)..=key(upper);
                    store.records.retain(|key, _| !range.contains(key));
                }
                Op::Clear => store.records.clear(),
            }
        }
    }

    /// Rows in the log, and staged batches.
    pub fn left(&self) -> (usize, usize) {
        (
            self.tables.values().map(|store| store.log.len()).sum(),
            self.staged.len(),
        )
    }

    /// The values of a table: by key, or only the values where keys are generated.
    pub fn values(&self, table: &str) -> Vec<(String, String)> {
        let store = &self.tables[table];
        let records = store.records.values().filter_map(|(lid, value)| {
            let name = if store.generated {
                String::new()
            } else {
                lid.clone()
            };
            // Members may stand in another order on the server.
            let value: serde_json::Value = serde_json::from_str(value.as_ref()?).expect("JSON");
            Some((name, value.to_string()))
        });
        let mut values: Vec<_> = records.collect();
        values.sort();
        values
    }

    pub fn texts(&self, batch: u64, range: Range<u32>) -> Option<Vec<String>> {
        let (texts, _) = self.staged.get(&batch)?;
        Some(
            texts
                .get(range.start as usize..range.end as usize)?
                .to_vec(),
        )
    }

    pub fn perform(&mut self, effect: Effect, fault: Option<StorageError>) -> Input {
        fn answer<T>(
            fault: Option<StorageError>,
            value: impl FnOnce() -> T,
        ) -> Result<T, StorageError> {
            fault.map_or_else(|| Ok(value()), Err)
        }
        match effect {
            Effect::Load { task } => Input::Loaded {
                task,
                outcome: answer(fault, || self.load()),
            },
            Effect::ReadLog {
                task,
                after,
                bytes_max,
                ops_max,
                values,
            } => {
                let read = || self.read_log(&after, bytes_max, ops_max, values);
                Input::LogRead {
                    task,
                    outcome: answer(fault, read),
                }
            }
            Effect::Scan {
                task,
                table,
                after,
                records_max,
                bytes_max,
            } => {
                let scan = || self.scan(&table, after, records_max, bytes_max);
                Input::Scanned {
                    task,
                    outcome: answer(fault, scan),
                }
            }
            Effect::Prepare {
                task,
                slots,
                records,
                pages,
            } => Input::Prepared {
                task,
                outcome: answer(fault, || self.prepare(&slots, &records, &pages)),
            },
            Effect::Reserve {
                task,
                fence,
                table,
                count,
            } => {
                let fault = fault.or_else(|| (fence != self.fence).then_some(StorageError::Fenced));
                Input::Reserved {
                    task,
                    outcome: answer(fault, || self.reserve(&table, count)),
                }
            }
            Effect::Commit {
                task,
                fence,
                tails,
                writes,
            } => {
                let fault = fault.or_else(|| (fence != self.fence).then_some(StorageError::Fenced));
                let fault =
                    fault.or_else(|| self.moved(&tails, &writes).then_some(StorageError::Moved));
                let fault = fault.or_else(|| self.refuses(&writes));
                Input::Committed {
                    task,
                    outcome: answer(fault, || self.commit(writes)),
                }
            }
            other => panic!("not a storage effect: {other:?}"),
        }
    }

    fn load(&mut self) -> Loaded {
        self.fence += 1;
        let tables = self.tables.iter().map(|(name, store)| Table {
            name: name.clone(),
            generated_keys: store.generated,
            pending: !store.log.is_empty(),
        });
        let staged = self.staged.iter().map(|(batch, (_, state))| StoredBatch {
            batch: *batch,
            state: state.clone(),
        });
        let held = self.held.iter().map(|(op, (state, ..))| StoredHeld {
            op: op.clone(),
            state: state.clone(),
        });
        Loaded {
            fence: self.fence,
            version: self.version,
            meta: self.meta.clone(),
            staged: staged.collect(),
            held: held.collect(),
            tables: tables.collect(),
        }
    }

    fn slot(&mut self, held: Held) -> Slot {
        self.next_slot += 1;
        self.slots.insert(Slot(self.next_slot), held);
        Slot(self.next_slot)
    }

    fn read_log(
        &mut self,
        after: &[TableRow],
        bytes_max: u32,
        ops_max: u32,
        values: bool,
    ) -> LogChunk {
        let kept = (!values).then(|| (self.slots.clone(), self.next_slot));
        let (mut bytes, mut ops, mut end) = (0, 0, true);
        let mut rows = Vec::new();
        for TableRow { table, row } in after {
            let behind: Vec<(u64, Logged)> = self.tables[table]
                .log
                .range(row + 1..)
                .map(|(row, logged)| (*row, logged.clone()))
                .collect();
            for (row, logged) in behind {
                if bytes >= bytes_max || ops >= ops_max {
                    end = false;
                    break;
                }
                let row = self.log_row(table, row, logged);
                ops += row.ops.len() as u32;
                bytes += row.ops.iter().map(size).sum::<u32>();
                rows.push(row);
            }
        }
        if let Some((slots, next_slot)) = kept {
            (self.slots, self.next_slot) = (slots, next_slot);
        }
        LogChunk { rows, end }
    }

    fn log_row(&mut self, table: &str, row: u64, logged: Logged) -> LogRow {
        let ops = logged.row.ops.into_iter().map(|op| match op {
            Op::Put(lid, value) => {
                let bytes = value.len() as u32;
                LogOp::Put {
                    lid,
                    slot: self.slot(Held::Value(value)),
                    bytes,
                    reference: false,
                }
            }
            Op::PutRef(lid, _) => {
                let slot = self.slot(Held::Record(table.to_owned(), lid.clone()));
                LogOp::Put {
                    lid,
                    slot,
                    bytes: UNKNOWN_BYTES,
                    reference: true,
                }
            }
            Op::PutOdd(lid) => LogOp::Put {
                lid,
                slot: self.slot(Held::Odd),
                bytes: UNKNOWN_BYTES,
                reference: false,
            },
            Op::Delete(lid) => LogOp::Delete { lid },
            Op::Range(lower, upper) => LogOp::DeleteRange {
                lower: Some(lower),
                upper: Some(upper),
                lower_open: false,
                upper_open: false,
            },
            Op::Clear => LogOp::Clear,
        });
        let ops = ops.collect();
        LogRow {
            table: table.to_owned(),
            row,
            at_ms: logged.at,
            user: logged.user,
            ops,
        }
    }

    fn scan(&mut self, table: &str, after: Option<String>, max: u32, bytes_max: u32) -> ScanPage {
        let after = after.map(|lid| key(&lid));
        let store = &self.tables[table];
        let total = store.records.len() as u64;
        let behind: Vec<(String, Option<String>)> = store
            .records
            .iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after))
            .map(|(_, record)| record.clone())
            .collect();
        let empty = self.empty_pages > 0;
        self.empty_pages = self.empty_pages.saturating_sub(1);
        let most = if empty { 0 } else { max as usize };
        let page = behind.iter().take(most).cloned();
        let records: Vec<ScanRecord> = page
            .map(|(lid, value)| {
                let bytes = value.as_ref().map_or(UNKNOWN_BYTES, |it| it.len() as u32);
                ScanRecord {
                    lid,
                    slot: self.slot(value.map_or(Held::Odd, Held::Value)),
                    bytes,
                }
            })
            .collect();
        let end = !empty && records.len() == behind.len();
        let from = [TableRow {
            table: table.to_owned(),
            row: 0,
        }];
        ScanPage {
            log: self.read_log(&from, bytes_max, max, false),
            records,
            end,
            total,
            left_out: self.nameless,
        }
    }

    fn record(&self, table: &str, lid: &str) -> Option<Option<String>> {
        let found = self.tables[table].records.get(&key(lid));
        found.map(|(_, value)| value.clone())
    }

    fn prepare(&mut self, slots: &[Slot], records: &[RecordName], pages: &[PageId]) -> Prepared {
        let mut bytes = Vec::new();
        let mut values = Vec::new();
        let slotted =
            slots.iter().map(
                |slot| match self.slots.get(slot).expect("a slot that is known") {
                    Held::Value(value) => Some(Some(value.clone())),
                    Held::Record(table, lid) => self.record(table, lid),
                    Held::Odd => Some(None),
                },
            );
        let named = records
            .iter()
            .map(|name| self.record(&name.table, &name.lid));
        for value in slotted.chain(named) {
            values.push(match value {
                None => PreparedValue::Gone,
                Some(None) => PreparedValue::Unsendable {
                    code: "unsupported-type".to_owned(),
                    path: "$.photo: Blob".to_owned(),
                },
                Some(Some(value)) => {
                    bytes.extend_from_slice(value.as_bytes());
                    PreparedValue::Wire {
                        end: bytes.len() as u32,
                    }
                }
            });
        }
        let kept: BTreeMap<Slot, Held> = slots
            .iter()
            .map(|slot| {
                let held = self.slots.remove(slot).expect("a slot that is known");
                // A record read by reference is sent as it was read.
                let held = match held {
                    Held::Record(table, lid) => {
                        let record = self.tables[&table].records.get(&key(&lid));
                        record
                            .and_then(|(_, value)| value.clone())
                            .map_or(Held::Odd, Held::Value)
                    }
                    held => held,
                };
                (*slot, held)
            })
            .collect();
        self.slots = kept;
        let pages = pages
            .iter()
            .map(|page| self.pages.get(page).cloned().unwrap_or_default());
        let pages: Vec<Vec<u8>> = pages.collect();
        self.page_bytes_read += pages.iter().map(Vec::len).sum::<usize>();
        Prepared {
            bytes,
            values,
            pages,
        }
    }

    /// A rule of the app's database against a record, or a value that cannot be made.
    fn refuses(&self, writes: &[Write]) -> Option<StorageError> {
        let refused = |write: &Write| match write {
            Write::PutRecord { lid, .. } => self.refused.contains(lid),
            _ => false,
        };
        let unreadable = |write: &Write| match write {
            Write::PutRecord { value, .. } => check_value(self.value(value).as_bytes()).is_err(),
            _ => false,
        };
        let name = if writes.iter().any(unreadable) {
            "bad-value"
        } else if writes.iter().any(refused) || self.is_doubled(writes) {
            "ConstraintError"
        } else {
            return None;
        };
        Some(StorageError::Other {
            name: name.to_owned(),
        })
    }

    /// The wire form of a value that is stored for the app.
    fn value(&self, value: &RecordValue) -> String {
        match value {
            RecordValue::Text { text } => text.clone(),
            RecordValue::Pulled { index } => self.pulled[*index as usize].clone(),
        }
    }

    /// Whether a record gets a unique value while another has it.
    fn is_doubled(&self, writes: &[Write]) -> bool {
        let Some(field) = self.unique else {
            return false;
        };
        let of = |text: &str| {
            let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
            value.get(field).map(ToString::to_string)
        };
        let mut after = self.tables.clone();
        writes.iter().any(|write| match write {
            Write::PutRecord { table, lid, value } => {
                let text = self.value(value);
                let store = after.get_mut(table).expect("a table");
                store
                    .records
                    .insert(key(lid), (lid.clone(), Some(text.clone())));
                let value = of(&text);
                let texts = store.records.values().filter_map(|(_, it)| it.as_deref());
                value.is_some() && texts.filter(|it| of(it) == value).count() > 1
            }
            Write::DeleteRecord { table, lid } => {
                let store = after.get_mut(table).expect("a table");
                store.records.remove(&key(lid));
                false
            }
            _ => false,
        })
    }

    /// Whether a row behind `tails` touches a record that `writes` touch, or may.
    fn moved(&self, tails: &[TableRow], writes: &[Write]) -> bool {
        tails.iter().any(|tail| {
            let new = self.tables[&tail.table].log.range(tail.row + 1..);
            let mut ops = new.flat_map(|(_, logged)| &logged.row.ops);
            ops.any(|op| match op {
                Op::Put(lid, _) | Op::PutRef(lid, _) | Op::PutOdd(lid) | Op::Delete(lid) => {
                    writes.iter().any(|write| match write {
                        Write::PutRecord { table, lid: of, .. }
                        | Write::DeleteRecord { table, lid: of } => {
                            *table == tail.table && of == lid
                        }
                        _ => false,
                    })
                }
                Op::Range(..) | Op::Clear => true,
            })
        })
    }

    fn reserve(&mut self, table: &str, count: u32) -> u64 {
        let store = self.tables.get_mut(table).expect("a table");
        let first = store.next_key.max(1);
        store.next_key = first + u64::from(count);
        first
    }

    fn commit(&mut self, writes: Vec<Write>) {
        let puts = |write: &&Write| matches!(write, Write::PutRecord { .. });
        self.most_records = self.most_records.max(writes.iter().filter(puts).count());
        for write in writes {
            self.write_one(write);
        }
    }

    fn text(&self, text: Text) -> String {
        match text {
            Text::Whole { text } => text,
            Text::Kept { batch, index } => self.staged[&batch].0[index as usize].clone(),
            Text::Spliced { head, slot } => match &self.slots[&slot] {
                Held::Value(value) => format!("{head}{value}}}"),
                other => panic!("no value in the slot: {other:?}"),
            },
        }
    }

    fn write_one(&mut self, write: Write) {
        match write {
            Write::Meta { state, owner } => {
                self.meta = Some(state);
                self.owner = owner;
            }
            Write::PutStaged {
                batch,
                state,
                texts,
            } => {
                let texts = texts.into_iter().map(|text| self.text(text)).collect();
                self.staged.insert(batch, (texts, state));
            }
            Write::DeleteStaged { batch } => {
                self.staged.remove(&batch).expect("a batch that is there");
            }
            Write::PutHeld {
                op,
                state,
                notice,
                text,
                ..
            } => {
                let text = text.map(|text| self.text(text));
                self.held.insert(op, (state, notice, text));
            }
            Write::DeleteHeld { op } => {
                self.held
                    .remove(&op)
                    .expect("a held operation that is there");
            }
            Write::PutPage { page, whole, bytes } => {
                self.page_bytes += bytes.len();
                let parts = self.pages.entry(page).or_default();
                if whole {
                    parts.clear();
                }
                parts.extend(bytes);
            }
            Write::ConsumeLog { table, first, last } => {
                let store = self.tables.get_mut(&table).expect("a table");
                store.log.retain(|row, _| !(first..=last).contains(row));
            }
            Write::SignLog {
                table,
                user,
                adopts,
            } => {
                let user = user.map_or(RowUser::Nobody, RowUser::User);
                let store = self.tables.get_mut(&table).expect("a table");
                let meant =
                    |user: &RowUser| *user == RowUser::Owner || adopts && *user == RowUser::Nobody;
                for logged in store.log.values_mut().filter(|it| meant(&it.user)) {
                    logged.user = user.clone();
                }
            }
            Write::RenewHeld {
                op, state, message, ..
            } => {
                let held = self.held.get_mut(&op).expect("a held operation");
                held.0 = state;
                if let Some(message) = message {
                    held.1.message = message;
                }
            }
            Write::PutRecord { table, lid, value } => {
                let value = self.value(&value);
                self.told
                    .push((table.clone(), lid.clone(), Some(value.clone())));
                let store = self.tables.get_mut(&table).expect("a table");
                store.records.insert(key(&lid), (lid, Some(value)));
            }
            Write::DeleteRecord { table, lid } => {
                self.told.push((table.clone(), lid.clone(), None));
                let store = self.tables.get_mut(&table).expect("a table");
                store.records.remove(&key(&lid));
            }
            Write::AppendLog {
                table,
                lid,
                user,
                at_ms,
                delete,
            } => {
                let store = self.tables.get_mut(&table).expect("a table");
                let op = if delete {
                    Op::Delete(lid)
                } else {
                    Op::PutRef(lid, String::new())
                };
                store.rows += 1;
                let logged = Logged {
                    user: RowUser::User(user),
                    at: at_ms,
                    row: Row { ops: vec![op] },
                };
                store.log.insert(store.rows, logged);
            }
            Write::PutHistory { entry } => self.history.push(entry),
        }
    }
}

fn size(op: &LogOp) -> u32 {
    match op {
        LogOp::Put { bytes, .. } => *bytes,
        LogOp::Delete { .. } | LogOp::DeleteRange { .. } | LogOp::Clear => 0,
    }
}
