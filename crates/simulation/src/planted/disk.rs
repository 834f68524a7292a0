//! Bugs of the database, of capture, and of the shell's transactions. Without a planted one each gives
//! back what it was given.

use std::rc::Rc;

use tidesync_engine::interface::{Effect, Input, RecordValue, RowUser, StorageError, Write};

use super::Planted;
use crate::disk::{Disk, Logged, Memory, Table, Value};
use crate::rng::Rng;

/// A transaction of the engine, as the database is asked for it.
pub(crate) fn of_storage(
    planted: Option<Planted>,
    effect: Effect,
    fence: u64,
    memory: &Memory,
) -> Effect {
    let Effect::Commit {
        task,
        fence: own,
        tails,
        mut writes,
    } = effect
    else {
        return effect;
    };
    match planted {
        Some(Planted::HeldForgotten) => {
            writes.retain(|write| !matches!(write, Write::PutHeld { .. }));
        }
        Some(Planted::PulledOverPending) => {
            writes
                .iter_mut()
                .for_each(|write| put_as_pulled(write, memory));
        }
        _ => {}
    }
    let ignores = planted == Some(Planted::FenceIgnored);
    Effect::Commit {
        task,
        fence: if ignores { fence } else { own },
        tails,
        writes,
    }
}

/// What was laid over the server's record is left out.
fn put_as_pulled(write: &mut Write, memory: &Memory) {
    if let Write::PutRecord { table, lid, value } = write
        && let Some(index) = memory.place_of(table, lid)
    {
        *value = RecordValue::Pulled { index };
    }
}

/// What a transaction of the engine leaves behind. True where the tab dies of it.
pub(crate) fn after_storage(
    planted: Option<Planted>,
    disk: &mut Disk,
    before: &Disk,
    (effect, answer): (&Effect, &mut Input),
    rng: &mut Rng,
) -> bool {
    let (Effect::Commit { writes, .. }, Input::Committed { outcome, .. }) = (effect, answer) else {
        return false;
    };
    if planted == Some(Planted::QuotaIgnored) && *outcome == Err(StorageError::Full) {
        *outcome = Ok(());
    }
    if *outcome != Ok(()) {
        return false;
    }
    let takes_log = writes
        .iter()
        .any(|write| matches!(write, Write::ConsumeLog { .. }));
    let puts = writes
        .iter()
        .any(|write| matches!(write, Write::PutRecord { .. }));
    match planted {
        Some(Planted::LogTakenFirst) if takes_log && rng.once_in(10) => {
            undo_all_but_log(disk, before);
            true
        }
        Some(Planted::CursorFirst) if puts && rng.once_in(6) => {
            let after = std::mem::replace(disk, before.clone());
            disk.meta = after.meta;
            true
        }
        Some(Planted::EchoCaptured) => {
            capture_echo(disk, writes);
            false
        }
        _ => false,
    }
}

/// Only the log is as the transaction left it.
fn undo_all_but_log(disk: &mut Disk, before: &Disk) {
    let after = std::mem::replace(disk, before.clone());
    for (table, after) in disk.tables.iter_mut().zip(&after.tables) {
        Rc::make_mut(table).log = after.log.clone();
    }
}

/// What the engine put is logged as if the app had put it.
fn capture_echo(disk: &mut Disk, writes: &[Write]) {
    for write in writes {
        if let Write::PutRecord { table, lid, .. } = write {
            let user = RowUser::Owner;
            let op = Logged::PutReference(lid.as_str().into());
            disk.log(table, user, op);
        }
    }
}

/// A transaction of the app, as capture wrote it.
pub(crate) fn of_write(planted: Option<Planted>, disk: &mut Disk, before: &Disk, rng: &mut Rng) {
    let Some(planted) = planted else { return };
    let lost = planted == Planted::LogRowLost && rng.once_in(20);
    let wrong = planted == Planted::WrongValueLogged;
    for (table, before) in disk.tables.iter_mut().zip(&before.tables) {
        if Rc::ptr_eq(table, before) {
            continue;
        }
        let table = Rc::make_mut(table);
        if lost {
            table.log = before.log.clone();
        }
        if wrong {
            log_what_was(table, before);
        }
    }
}

fn log_what_was(table: &mut Table, before: &Table) {
    let known = before.log.last_key_value().map_or(0, |(row, _)| *row);
    for (_, entry) in table.log.range_mut(known + 1..) {
        for op in &mut entry.ops {
            if let Logged::Put(lid, value @ Value::Wire(_)) = op
                && let Some(record) = before.records.get(&crate::disk::key(lid))
            {
                *value = record.value.clone();
            }
        }
    }
}

/// A transaction of the app aborts.
pub(crate) fn abort(planted: Option<Planted>, disk: &mut Disk, before: &Disk) {
    if planted == Some(Planted::AbortLogged) {
        undo_all_but_log(disk, before);
    } else {
        *disk = before.clone();
    }
}
