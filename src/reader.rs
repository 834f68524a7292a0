//! What the engine reads of the app's changes: chunks of the log, pages of a table, and the values
//! and shadow pages that a stage needs.

use js_sys::Array;
use rexie::{KeyRange, Store, Transaction};
use tidesync_engine::interface::{
    LogChunk, LogOp, LogRow, PageId, Prepared, PreparedValue, RowUser, ScanPage, ScanRecord, Slot,
    StorageError, TableRow,
};
use wasm_bindgen::JsValue;

use crate::{
    connection::{Connection, SHADOW, log_of, storage_error},
    host::{Host, WalkedRows, WireForms, host_error},
    object::get,
    stores::{as_number, bytes, idb_error, page_key, store, whole},
};

/// Rows or records of the first read of a store, before their size is known.
const FIRST_READ: u32 = 4;

/// Most rows or records of one read.
const READ_MAX: u32 = 1_000;

/// How the log is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    budget: Budget,
    values: bool,
}

impl Reading {
    /// A reading of about this much, with the values or without them.
    pub(crate) fn new(bytes: u32, items: u32, values: bool) -> Self {
        Self {
            budget: Budget { bytes, items },
            values,
        }
    }
}

/// How much a read may still take.
#[derive(Clone, Copy)]
struct Budget {
    bytes: u32,
    items: u32,
}

impl Budget {
    fn take(&mut self, bytes: u32, items: u32) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.items = self.items.saturating_sub(items);
    }

    fn spent(self) -> bool {
        self.bytes == 0 || self.items == 0
    }

    /// How many rows to read next, when the last `rows` rows had `bytes` bytes: at most twice as
    /// many, for the next ones may be much larger.
    fn next_read(self, rows: u32, bytes: u32) -> u32 {
        let average = (bytes / rows.max(1)).max(1);
        let most = rows.saturating_mul(2).clamp(1, READ_MAX);
        (self.bytes / average).clamp(1, most)
    }
}

/// Reads log rows of `after`'s tables (`Effect::ReadLog`).
pub(crate) async fn read_log(
    connection: &Connection,
    host: &Host,
    after: &[TableRow],
    mut reading: Reading,
) -> Result<LogChunk, StorageError> {
    if after.is_empty() {
        return Ok(LogChunk {
            rows: Vec::new(),
            end: true,
        });
    }
    let logs: Vec<String> = after.iter().map(|log| log_of(&log.table)).collect();
    let transaction = connection.read(&logs)?;
    let mut chunk = LogChunk {
        rows: Vec::new(),
        end: true,
    };
    for log in after {
        if reading.budget.spent() {
            chunk.end = false;
            break;
        }
        let end = read_rows(&transaction, host, log, &mut reading, &mut chunk.rows).await?;
        chunk.end &= end;
    }
    Ok(chunk)
}

/// Reads rows of one log until the budget is spent; tells whether the log ended first.
async fn read_rows(
    transaction: &Transaction,
    host: &Host,
    log: &TableRow,
    reading: &mut Reading,
    rows: &mut Vec<LogRow>,
) -> Result<bool, StorageError> {
    let Reading { budget, values } = reading;
    let from = store(transaction, &log_of(&log.table))?;
    let mut after = log.row;
    let mut limit = FIRST_READ;
    loop {
        let found = next_values(&from, &as_number(after).into(), limit).await?;
        let count = found.length();
        if count == 0 {
            return Ok(true);
        }
        let walked = walk(host, &log.table, &found, *values)?;
        let mut bytes = 0;
        for row in walked {
            if budget.spent() {
                return Ok(false);
            }
            let size = row_bytes(&row);
            bytes += size;
            after = row.row;
            budget.take(size, u32::try_from(row.ops.len()).unwrap_or(u32::MAX));
            rows.push(row);
        }
        if count < limit {
            return Ok(true);
        }
        if budget.spent() {
            return Ok(false);
        }
        limit = budget.next_read(count, bytes);
    }
}

fn row_bytes(row: &LogRow) -> u32 {
    row.ops.iter().map(op_bytes).sum()
}

/// An operation costs its value and about as much as its key and head.
fn op_bytes(op: &LogOp) -> u32 {
    const OVERHEAD: u32 = 64;
    match op {
        LogOp::Put { bytes, .. } => OVERHEAD + bytes,
        LogOp::Delete { .. } | LogOp::DeleteRange { .. } | LogOp::Clear => OVERHEAD,
    }
}

async fn next_values(from: &Store, after: &JsValue, limit: u32) -> Result<Array, StorageError> {
    let range = KeyRange::lower_bound(after, Some(true)).map_err(idb_error)?;
    let found = from
        .get_all(Some(range), Some(limit))
        .await
        .map_err(storage_error)?;
    Ok(found.into_iter().collect())
}

/// Turns rows as they are stored into rows as the engine sees them.
fn walk(host: &Host, table: &str, rows: &Array, values: bool) -> Result<Vec<LogRow>, StorageError> {
    let walked = host.walk(table, rows, values).map_err(host_error)?;
    let lids = walked.lids();
    let users = walked.users();
    let mut ops = ops(&walked, lids.split('\0'));
    let numbers = walked.rows().into_iter().zip(walked.at());
    let counted = numbers.zip(walked.counts()).zip(users.split('\0'));
    let rows = counted.map(|(((row, at), count), user)| LogRow {
        table: table.to_owned(),
        row: whole(&row.into()),
        at_ms: whole(&at.into()),
        user: row_user(user),
        ops: ops.by_ref().take(count as usize).collect(),
    });
    Ok(rows.collect())
}

fn row_user(text: &str) -> RowUser {
    match text.strip_prefix('u') {
        Some(user) => RowUser::User(user.to_owned()),
        None if text == "n" => RowUser::Nobody,
        None => RowUser::Owner,
    }
}

fn ops<'a>(
    walked: &WalkedRows,
    mut lids: std::str::Split<'a, char>,
) -> impl Iterator<Item = LogOp> + use<'a> {
    let mut slot = walked.first_slot();
    let shapes = walked.kinds().into_iter().zip(walked.numbers());
    let mut lid = move || lids.next().unwrap_or_default().to_owned();
    shapes.map(move |(kind, number)| match kind {
        0 | 4 => {
            let put = LogOp::Put {
                lid: lid(),
                slot: Slot(slot),
                bytes: number,
                reference: kind == 4,
            };
            slot += 1;
            put
        }
        1 => LogOp::Delete { lid: lid() },
        2 => {
            let (lower, upper) = (lid(), lid());
            delete_range(number, lower, upper)
        }
        _ => LogOp::Clear,
    })
}

/// `shape` has a bit each for: a lower bound, an upper bound, lower open, upper open.
fn delete_range(shape: u32, lower: String, upper: String) -> LogOp {
    LogOp::DeleteRange {
        lower: (shape & 1 != 0).then_some(lower),
        upper: (shape & 2 != 0).then_some(upper),
        lower_open: shape & 4 != 0,
        upper_open: shape & 8 != 0,
    }
}

/// Reads a page of a table and the table's log (`Effect::Scan`).
pub(crate) async fn scan(
    connection: &Connection,
    host: &Host,
    table: &str,
    after: Option<&str>,
    records_max: u32,
    bytes_max: u32,
) -> Result<ScanPage, StorageError> {
    let log = log_of(table);
    if !connection.store_names().iter().any(|name| name == table) {
        let log = LogChunk {
            rows: Vec::new(),
            end: true,
        };
        return Ok(ScanPage {
            log,
            records: Vec::new(),
            end: true,
            total: 0,
        });
    }
    let transaction = connection.read(&[table.to_owned(), log])?;
    let mut reading = Reading::new(bytes_max, records_max, false);
    let budget = reading.budget;
    let mut rows = Vec::new();
    let start = TableRow {
        table: table.to_owned(),
        row: 0,
    };
    let log_ended = read_rows(&transaction, host, &start, &mut reading, &mut rows).await?;
    let log = LogChunk {
        rows,
        end: log_ended,
    };
    let from = store(&transaction, table)?;
    let total = u64::from(from.count(None).await.map_err(storage_error)?);
    // A log longer than its budget leaves the records theirs: the engine reads its rest.
    let (records, end) = read_records(&from, host, table, after, budget).await?;
    Ok(ScanPage {
        log,
        records,
        end,
        total,
    })
}

async fn read_records(
    from: &Store,
    host: &Host,
    table: &str,
    after: Option<&str>,
    mut budget: Budget,
) -> Result<(Vec<ScanRecord>, bool), StorageError> {
    let key = |lid| host.key(lid).map_err(host_error);
    let mut after = after.map(key).transpose()?;
    let mut limit = FIRST_READ;
    let mut records = Vec::new();
    loop {
        let keys = from.get_all_keys(above(after.as_ref())?, Some(limit)).await;
        let keys: Array = keys.map_err(storage_error)?.into_iter().collect();
        let values = from.get_all(above(after.as_ref())?, Some(limit)).await;
        let values: Array = values.map_err(storage_error)?.into_iter().collect();
        let count = keys.length();
        if count == 0 {
            return Ok((records, true));
        }
        let scanned = host.scan(table, &keys, &values).map_err(host_error)?;
        let numbers = scanned.numbers();
        let bytes: u32 = numbers.iter().sum();
        let slots = scanned.first_slot()..;
        let lids = scanned.lids();
        let found = lids.split('\0').zip(numbers).zip(slots);
        records.extend(found.map(|((lid, bytes), slot)| ScanRecord {
            lid: lid.to_owned(),
            slot: Slot(slot),
            bytes,
        }));
        budget.take(bytes, count);
        if count < limit {
            return Ok((records, true));
        }
        if budget.spent() {
            return Ok((records, false));
        }
        after = Some(keys.get(count - 1));
        limit = budget.next_read(count, bytes).min(budget.items);
    }
}

fn above(key: Option<&JsValue>) -> Result<Option<KeyRange>, StorageError> {
    key.map(|key| KeyRange::lower_bound(key, Some(true)))
        .transpose()
        .map_err(idb_error)
}

/// Fetches wire forms and pages of the shadow (`Effect::Prepare`).
pub(crate) async fn prepare(
    connection: &Connection,
    host: &Host,
    slots: &[Slot],
    pages: &[PageId],
) -> Result<Prepared, StorageError> {
    let slots: Vec<u32> = slots.iter().map(|slot| slot.0).collect();
    read_references(connection, host, &slots).await?;
    let pages = read_pages(connection, pages).await?;
    let forms = host.prepare(&slots).map_err(host_error)?;
    Ok(Prepared {
        bytes: forms.bytes().to_vec(),
        values: prepared_values(&forms)?,
        pages,
    })
}

fn prepared_values(forms: &WireForms) -> Result<Vec<PreparedValue>, StorageError> {
    const GONE: f64 = -1.0;
    const MISSING: f64 = -3.0;
    let ends = forms.ends();
    if ends.contains(&MISSING) {
        return Err(StorageError::Other {
            name: "ValueMissing".to_owned(),
        });
    }
    let refusals = forms.refusals();
    let mut refusals = refusals.split('\0').map(str::to_owned);
    let mut next = move || refusals.next().unwrap_or_default();
    let values = ends.into_iter().map(|end| {
        if end >= 0.0 {
            PreparedValue::Wire { end: offset(end) }
        } else if end == GONE {
            PreparedValue::Gone
        } else {
            PreparedValue::Unsendable {
                code: next(),
                path: next(),
            }
        }
    });
    Ok(values.collect())
}

fn offset(end: f64) -> u32 {
    u32::try_from(whole(&end.into())).unwrap_or(u32::MAX)
}

/// Reads the records that were logged by their key only.
async fn read_references(
    connection: &Connection,
    host: &Host,
    slots: &[u32],
) -> Result<(), StorageError> {
    let references = host.references(slots).map_err(host_error)?;
    if references.length() == 0 {
        return Ok(());
    }
    let existing = connection.store_names();
    for reference in references {
        let table = get(&reference, "table").as_string().unwrap_or_default();
        let value = if existing.contains(&table) {
            let transaction = connection.read(std::slice::from_ref(&table))?;
            let from = store(&transaction, &table)?;
            from.get(get(&reference, "key"))
                .await
                .map_err(storage_error)?
        } else {
            None
        };
        let slot = offset(get(&reference, "slot").as_f64().unwrap_or_default());
        host.supply(slot, &value.unwrap_or(JsValue::UNDEFINED))
            .map_err(host_error)?;
    }
    Ok(())
}

async fn read_pages(
    connection: &Connection,
    pages: &[PageId],
) -> Result<Vec<Vec<u8>>, StorageError> {
    if pages.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = connection.read(&[SHADOW.to_owned()])?;
    let from = store(&transaction, SHADOW)?;
    let reads = pages.iter().map(|page| from.get(page_key(page)));
    let found = futures_util::future::try_join_all(reads)
        .await
        .map_err(storage_error)?;
    Ok(found
        .into_iter()
        .map(|page| page.as_ref().map(bytes).unwrap_or_default())
        .collect())
}
