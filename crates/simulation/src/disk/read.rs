//! What the engine reads: everything at its start, chunks of the log, pages of a scan, values.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidesync_engine::interface::{
    Loaded, LogChunk, LogOp, LogRow, PageId, Prepared, PreparedValue, RecordName, ScanPage,
    ScanRecord, Slot, StoredBatch, StoredHeld, Table as TableInfo, TableRow,
};

use super::{Disk, Kept, LogEntry, Logged, Memory, UNKNOWN_BYTES, Value, key, size};

impl Disk {
    pub(crate) fn load(&mut self, memory: &mut Memory) -> Loaded {
        self.fence += 1;
        memory.texts = self
            .staged
            .iter()
            .map(|(batch, staged)| (*batch, staged.texts.clone()))
            .collect();
        let tables = self.tables.iter().map(|table| TableInfo {
            name: table.name.clone(),
            generated_keys: table.generated,
            pending: !table.log.is_empty(),
        });
        let staged = self.staged.iter().map(|(batch, staged)| StoredBatch {
            batch: *batch,
            state: staged.state.clone(),
        });
        let held = self.held.iter().map(|(op, held)| StoredHeld {
            op: op.clone(),
            state: held.state.clone(),
        });
        Loaded {
            fence: self.fence,
            version: self.version,
            meta: self.meta.as_deref().map(str::to_owned),
            staged: staged.collect(),
            held: held.collect(),
            tables: tables.collect(),
        }
    }

    pub(crate) fn read_log(
        &self,
        memory: &mut Memory,
        after: &[TableRow],
        bytes_max: u32,
        ops_max: u32,
        values: bool,
    ) -> LogChunk {
        let kept = (!values).then(|| (memory.slots.clone(), memory.next_slot));
        let (mut bytes, mut ops, mut end) = (0_u32, 0_u32, true);
        let mut rows = Vec::new();
        for TableRow { table, row } in after {
            for (row, entry) in self.table(table).log.range(row + 1..) {
                if bytes >= bytes_max || ops >= ops_max {
                    end = false;
                    break;
                }
                let row = log_row(memory, table, *row, entry);
                ops += row.ops.len() as u32;
                bytes = bytes.saturating_add(row.ops.iter().map(size).sum());
                rows.push(row);
            }
        }
        if let Some((slots, next_slot)) = kept {
            (memory.slots, memory.next_slot) = (slots, next_slot);
        }
        LogChunk { rows, end }
    }

    pub(crate) fn scan(
        &self,
        memory: &mut Memory,
        table: &str,
        after: Option<&str>,
        records_max: u32,
        bytes_max: u32,
    ) -> ScanPage {
        let after = after.map(key);
        let all = &self.table(table).records;
        let behind = all
            .iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
        let mut behind = behind.map(|(_, record)| record).peekable();
        let (mut records, mut bytes) = (Vec::new(), 0_u32);
        while records.len() < records_max as usize
            && bytes < bytes_max
            && let Some(record) = behind.next()
        {
            bytes = bytes.saturating_add(record.value.bytes());
            records.push(ScanRecord {
                lid: record.lid.to_string(),
                bytes: record.value.bytes(),
                slot: memory.slot(Kept::Value(record.value.clone())),
            });
        }
        let from = [TableRow {
            table: table.to_owned(),
            row: 0,
        }];
        ScanPage {
            end: behind.peek().is_none(),
            log: self.read_log(memory, &from, bytes_max, records_max, false),
            records,
            total: all.len() as u64,
            left_out: 0,
        }
    }

    pub(crate) fn prepare(
        &self,
        memory: &mut Memory,
        slots: &[Slot],
        records: &[RecordName],
        pages: &[PageId],
    ) -> Prepared {
        let mut bytes = Vec::new();
        let mut values = Vec::new();
        let mut kept = BTreeMap::new();
        for slot in slots {
            let value = match memory.slots.get(slot).expect("a slot that is known") {
                Kept::Value(value) => Some(value.clone()),
                Kept::Record(table, lid) => {
                    self.record(table, lid).map(|record| record.value.clone())
                }
            };
            values.push(prepared(value.as_ref(), &mut bytes));
            // A record that was read by reference is sent as it was read.
            kept.extend(value.map(|value| (*slot, Kept::Value(value))));
        }
        for RecordName { table, lid } in records {
            let value = self.record(table, lid).map(|record| &record.value);
            values.push(prepared(value, &mut bytes));
        }
        memory.slots = kept;
        let pages = pages.iter().map(|page| self.pages.get(page));
        Prepared {
            bytes,
            values,
            pages: pages
                .map(|page| page.map_or_else(Vec::new, |bytes| bytes.to_vec()))
                .collect(),
        }
    }
}

fn prepared(value: Option<&Value>, bytes: &mut Vec<u8>) -> PreparedValue {
    match value {
        None => PreparedValue::Gone,
        Some(Value::Unsendable(_)) => PreparedValue::Unsendable {
            code: "unsupported-type".to_owned(),
            path: "$.photo: CryptoKey".to_owned(),
        },
        Some(Value::Wire(text)) => {
            bytes.extend_from_slice(text.as_bytes());
            PreparedValue::Wire {
                end: bytes.len() as u32,
            }
        }
    }
}

fn log_row(memory: &mut Memory, table: &str, row: u64, entry: &LogEntry) -> LogRow {
    let ops = entry.ops.iter().map(|op| match op {
        Logged::Put(lid, value) => LogOp::Put {
            lid: lid.to_string(),
            bytes: value.bytes(),
            slot: memory.slot(Kept::Value(value.clone())),
            reference: false,
        },
        Logged::PutReference(lid) => LogOp::Put {
            lid: lid.to_string(),
            slot: memory.slot(Kept::Record(table.to_owned(), Rc::clone(lid))),
            bytes: UNKNOWN_BYTES,
            reference: true,
        },
        Logged::Delete(lid) => LogOp::Delete {
            lid: lid.to_string(),
        },
        Logged::DeleteRange(bounds) => LogOp::DeleteRange {
            lower: Some(bounds.lower.to_string()),
            upper: Some(bounds.upper.to_string()),
            lower_open: false,
            upper_open: false,
        },
        Logged::Clear => LogOp::Clear,
    });
    LogRow {
        table: table.to_owned(),
        row,
        at_ms: entry.at_ms,
        user: entry.user.clone(),
        ops: ops.collect(),
    }
}
