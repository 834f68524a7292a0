//! The engine's transactions.

use std::rc::Rc;

use tidesync_engine::interface::{RecordValue, RowUser, StorageError, TableRow, Text, Write};

use crate::fact::PutPulled;

use super::{Disk, HeldRow, Kept, LogEntry, Logged, Memory, Staged, Value, key};

/// Entries of the history that are kept.
const HISTORY_MAX: usize = 1_000;

/// More new rows than these are read by the engine, not within its transaction.
const TAIL_ROWS: usize = 32;

impl Disk {
    /// Does all of `writes`, or nothing.
    pub(crate) fn commit(
        &mut self,
        memory: &mut Memory,
        fence: u64,
        tails: &[TableRow],
        writes: &[Write],
    ) -> Result<(), StorageError> {
        if fence != self.fence {
            return Err(StorageError::Fenced);
        }
        if tails.iter().any(|tail| self.has_moved(tail, writes)) {
            return Err(StorageError::Moved);
        }
        for write in writes {
            self.write_one(memory, write);
        }
        Ok(())
    }

    /// Whether the app has written, behind the row, a record that these writes touch.
    fn has_moved(&self, tail: &TableRow, writes: &[Write]) -> bool {
        let touched = |lid: &str| {
            writes.iter().any(|write| match write {
                Write::PutRecord { table, lid: of, .. }
                | Write::DeleteRecord { table, lid: of } => *table == tail.table && of == lid,
                _ => false,
            })
        };
        let mut rows = self.table(&tail.table).log.range(tail.row + 1..);
        rows.clone().count() >= TAIL_ROWS
            || rows.any(|(_, entry)| {
                let mut ops = entry.ops.iter();
                ops.any(|op| op.lid().is_none_or(|lid| touched(lid)))
            })
    }

    /// Advances a table's key generator; gives the first of the keys.
    pub(crate) fn reserve(
        &mut self,
        fence: u64,
        table: &str,
        count: u32,
    ) -> Result<u64, StorageError> {
        if fence != self.fence {
            return Err(StorageError::Fenced);
        }
        let table = self.table_mut(table);
        table.keys += u64::from(count);
        Ok(table.keys + 1 - u64::from(count))
    }

    fn write_one(&mut self, memory: &mut Memory, write: &Write) {
        match write {
            Write::Meta { state, owner } => {
                self.meta = Some(state.as_str().into());
                self.owner = owner.as_deref().map(Into::into);
            }
            Write::PutStaged {
                batch,
                state,
                texts,
            } => {
                let texts: Vec<Rc<str>> = texts.iter().map(|text| memory.text(text)).collect();
                memory.texts.insert(*batch, texts.clone());
                let staged = Staged {
                    texts,
                    state: state.clone(),
                };
                Rc::make_mut(&mut self.staged).insert(*batch, staged);
            }
            Write::DeleteStaged { batch } => {
                memory.texts.remove(batch);
                Rc::make_mut(&mut self.staged).remove(batch);
            }
            Write::PutHeld {
                op,
                state,
                notice,
                text,
                remote,
                ..
            } => {
                let held = HeldRow {
                    state: state.clone(),
                    notice: notice.clone(),
                    text: text.as_ref().map(|text| memory.text(text)),
                    remote: remote.clone(),
                };
                Rc::make_mut(&mut self.held).insert(op.clone(), held);
            }
            Write::RenewHeld {
                op,
                state,
                remote,
                message,
            } => {
                if let Some(held) = Rc::make_mut(&mut self.held).get_mut(op) {
                    held.state.clone_from(state);
                    held.remote.clone_from(remote);
                    if let Some(message) = message {
                        held.notice.message.clone_from(message);
                    }
                }
            }
            Write::DeleteHeld { op } => {
                Rc::make_mut(&mut self.held).remove(op);
            }
            Write::PutPage { page, whole, bytes } => {
                let parts = Rc::make_mut(&mut self.pages).entry(page.clone());
                let parts = parts.or_default();
                let kept = if *whole { &[][..] } else { &parts[..] };
                *parts = [kept, bytes.as_slice()].concat().into();
            }
            Write::ConsumeLog { table, first, last } => {
                let gone = |row: &u64| (*first..=*last).contains(row);
                self.table_mut(table).log.retain(|row, _| !gone(row));
            }
            Write::PutRecord { table, lid, value } => {
                let text = match value {
                    RecordValue::Pulled { index } => memory.pulled[*index as usize]
                        .value
                        .clone()
                        .expect("a change that has a value"),
                    RecordValue::Text { text } => text.as_str().into(),
                };
                self.table_mut(table)
                    .put(&lid.as_str().into(), &Value::Wire(text));
            }
            Write::DeleteRecord { table, lid } => {
                self.table_mut(table).records.remove(&key(lid));
            }
            Write::AppendLog {
                table,
                lid,
                user,
                at_ms,
                delete,
            } => {
                let lid: Rc<str> = lid.as_str().into();
                let op = if *delete {
                    Logged::Delete(lid)
                } else {
                    Logged::PutReference(lid)
                };
                self.table_mut(table).append(LogEntry {
                    user: RowUser::User(user.clone()),
                    at_ms: *at_ms,
                    ops: vec![op],
                });
            }
            Write::PutHistory { entry } => {
                let history = Rc::make_mut(&mut self.history);
                history.push_back(entry.clone());
                let more = history.len().saturating_sub(HISTORY_MAX);
                history.drain(..more);
            }
            Write::SignLog {
                table,
                user,
                adopts,
            } => {
                let named = user.clone().map_or(RowUser::Nobody, RowUser::User);
                let log = &mut self.table_mut(table).log;
                let meant =
                    |user: &RowUser| *user == RowUser::Owner || *adopts && *user == RowUser::Nobody;
                for entry in log.values_mut().filter(|entry| meant(&entry.user)) {
                    entry.user = named.clone();
                }
            }
        }
    }
}

impl Memory {
    /// The records that these writes take over as the last pull brought them.
    pub(crate) fn put_pulled(&self, writes: &[Write]) -> Vec<PutPulled> {
        let pulled = writes.iter().filter_map(|write| match write {
            Write::PutRecord {
                table,
                lid,
                value: RecordValue::Pulled { index },
            } => {
                let change = self.pulled.get(*index as usize)?;
                Some(PutPulled {
                    table: table.clone(),
                    lid: lid.clone(),
                    rid: change.rid.clone(),
                    version: change.version,
                })
            }
            _ => None,
        });
        pulled.collect()
    }

    fn text(&self, text: &Text) -> Rc<str> {
        match text {
            Text::Whole { text } => text.as_str().into(),
            Text::Kept { batch, index } => {
                let texts = self
                    .texts
                    .get(batch)
                    .expect("a batch that is kept is stored");
                Rc::clone(&texts[*index as usize])
            }
            Text::Spliced { head, slot } => match self.slots.get(slot) {
                Some(Kept::Value(Value::Wire(value))) => format!("{head}{value}}}").into(),
                other => panic!("no wire form in the slot: {other:?}"),
            },
        }
    }
}
