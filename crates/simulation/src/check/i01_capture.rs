//! I1, with I2 and I3: a transaction of the app and its log rows commit together or not at all, the
//! rows say what it did, and the engine's own transactions leave none.

use std::rc::Rc;

use tidesync_engine::interface::Write;

use super::{Check, Scene, ensure};
use crate::disk::{AppOp, Disk, Logged, Table};
use crate::fact::Fact;

pub(super) struct AtomicCapture;

impl Check for AtomicCapture {
    fn name(&self) -> &'static str {
        "I1 atomic capture"
    }

    fn see(&mut self, fact: &Fact, _: Scene<'_>) -> Result<(), String> {
        match fact {
            Fact::Wrote {
                device,
                aborted: true,
                before,
                after,
                ..
            } => ensure(before == after, || {
                format!("device {device}: an aborted transaction of the app left something behind")
            }),
            Fact::Wrote {
                device,
                ops,
                before,
                after,
                ..
            } => tables(before, after).try_for_each(|(was, is)| {
                captured(was, is, ops).map_err(|wrong| format!("device {device}: {wrong}"))
            }),
            Fact::Stored {
                device,
                outcome: Err(_),
                before,
                after,
                ..
            } => ensure(before == after, || {
                format!("device {device}: a transaction that failed left something behind")
            }),
            Fact::Stored {
                device,
                writes,
                before,
                after,
                ..
            } => tables(before, after).try_for_each(|(was, is)| {
                written(was, is, writes).map_err(|wrong| format!("device {device}: {wrong}"))
            }),
            _ => Ok(()),
        }
    }
}

/// The tables that a transaction has touched, before and after.
fn tables<'a>(before: &'a Disk, after: &'a Disk) -> impl Iterator<Item = (&'a Table, &'a Table)> {
    let pairs = before.tables.iter().zip(&after.tables);
    let changed = pairs.filter(|(was, is)| !Rc::ptr_eq(was, is));
    changed.map(|(was, is)| (&**was, &**is))
}

/// The new rows of a log say what the app did, in order; the others are as they were.
fn captured(was: &Table, is: &Table, ops: &[(String, AppOp)]) -> Result<(), String> {
    let last = was.log.last_key_value().map_or(0, |(row, _)| *row);
    let kept = was.log.iter().eq(is.log.range(..=last));
    ensure(kept, || {
        format!("a write of the app to {} changed older log rows", is.name)
    })?;
    let rows = is.log.range(last + 1..);
    let mut logged = rows.flat_map(|(_, entry)| &entry.ops);
    for (table, op) in ops {
        if *table == is.name && !logged.next().is_some_and(|it| says(it, op)) {
            return Err(format!("the log of {} does not say {op:?}", is.name));
        }
    }
    let more = logged.next();
    ensure(more.is_none(), || {
        format!("the log of {} says too much: {more:?}", is.name)
    })
}

fn says(logged: &Logged, op: &AppOp) -> bool {
    match (logged, op) {
        (Logged::Put(lid, value), AppOp::Put(of, put)) => lid == of && value == put,
        (Logged::Put(_, value), AppOp::Add(put)) => value == put,
        (Logged::PutReference(lid), AppOp::PutLarge(of, _)) => lid == of,
        (Logged::Delete(lid), AppOp::Delete(of)) => lid == of,
        (Logged::DeleteRange(bounds), AppOp::DeleteRange(of)) => bounds == of,
        (Logged::Clear, AppOp::Clear) => true,
        _ => false,
    }
}

/// The engine touches only the records that it names, and makes only the log rows that it names.
fn written(was: &Table, is: &Table, writes: &[Write]) -> Result<(), String> {
    let named = |lid: &str| {
        writes.iter().any(|write| match write {
            Write::PutRecord { table, lid: of, .. } | Write::DeleteRecord { table, lid: of } => {
                *table == is.name && of == lid
            }
            _ => false,
        })
    };
    let mut lids = was.records.values().chain(is.records.values());
    let changed = lids.find(|record| {
        let key = crate::disk::key(&record.lid);
        was.records.get(&key) != is.records.get(&key) && !named(&record.lid)
    });
    ensure(changed.is_none(), || {
        format!(
            "the engine changed {changed:?} of {} without saying so",
            is.name
        )
    })?;
    let appends =
        |write: &&Write| matches!(write, Write::AppendLog { table, .. } if *table == is.name);
    let appended = writes.iter().filter(appends).count();
    let new = is
        .log
        .keys()
        .filter(|row| !was.log.contains_key(row))
        .count();
    ensure(new == appended, || {
        format!(
            "a transaction of the engine left {new} rows in the log of {}",
            is.name
        )
    })
}
