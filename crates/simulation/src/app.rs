//! What a user does: writes of every kind, in bursts and pauses, some on objects read long ago.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::disk::{AppOp, Bounds, Disk, Value};
use crate::faults::{Counts, Fault};
use crate::plan::AppPlan;
use crate::rng::Rng;
use crate::schema::{self, CHECKPOINTS, DRAFTS, ITEMS, NOTES, SECRETS};
use crate::value::{Maker, POISON};

/// A device's user.
#[derive(Debug)]
pub(crate) struct App {
    rng: Rng,
    maker: Maker,
    /// Objects as the app read them last, which may be a while ago.
    read: BTreeMap<(&'static str, Rc<str>), Rc<str>>,
    burst_left: u64,
}

/// What is done at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    /// One transaction.
    pub(crate) ops: Vec<(String, AppOp)>,
    pub(crate) aborted: bool,
    /// How many log rows a table gets at most.
    pub(crate) rows: usize,
    /// Whether it is a reason to sync, as far as the app's predicate says.
    pub(crate) trigger: bool,
    /// Time to the next act.
    pub(crate) pause_ms: u64,
}

impl App {
    pub(crate) fn new(device: usize, rng: Rng) -> Self {
        Self {
            rng,
            maker: Maker::new(device),
            read: BTreeMap::new(),
            burst_left: 0,
        }
    }

    /// Records that were there before anything was captured.
    pub(crate) fn fill(&mut self, disk: &mut Disk, plan: &AppPlan) {
        for _ in 0..self.rng.below(plan.before + 1) {
            let table = self.table(plan);
            let shape = self.rng.next();
            let value = Value::Wire(self.maker.value(shape, ""));
            let op = self.put(table, value, plan);
            disk.seed(table, &op);
        }
    }

    /// The next thing that the user does.
    pub(crate) fn act(&mut self, disk: &Disk, plan: &AppPlan, counts: &mut Counts) -> Act {
        if self.burst_left == 0 && self.rng.chance(plan.burst) {
            counts.add(Fault::Burst);
            self.burst_left = self.rng.between(2, plan.burst_max);
        }
        let mut ops = Vec::new();
        let most = if self.rng.once_in(4) {
            self.rng.skewed(1, 30)
        } else {
            1
        };
        for _ in 0..most {
            let table = self.table(plan);
            let op = self.op(disk, table, plan, counts);
            ops.push((table.to_owned(), op));
        }
        let aborted = self.rng.chance(plan.aborted);
        Act {
            ops,
            aborted,
            rows: self.rng.between(1, 3) as usize,
            trigger: !self.rng.once_in(20),
            pause_ms: self.pause(plan),
        }
    }

    /// Notes what a committed transaction has shown to the app: its own objects, and now and then
    /// everything.
    pub(crate) fn look(&mut self, disk: &Disk) {
        for table in &disk.tables {
            for record in table.records.values() {
                if let Value::Wire(wire) = &record.value
                    && self.rng.once_in(3)
                {
                    let name = (schema::table(&table.name), Rc::clone(&record.lid));
                    self.read.insert(name, Rc::clone(wire));
                }
            }
        }
    }

    fn pause(&mut self, plan: &AppPlan) -> u64 {
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return self.rng.skewed(1, 500);
        }
        // Short pauses most of the time, and long ones that make up the mean.
        if self.rng.below(10) < 8 {
            self.rng.skewed(10, plan.pause_ms.clamp(11, 20_000))
        } else {
            self.rng.below(10 * plan.pause_ms) + 1
        }
    }

    fn table(&mut self, plan: &AppPlan) -> &'static str {
        if self.rng.chance(plan.rejected) {
            return SECRETS;
        }
        let tables = [
            NOTES,
            NOTES,
            NOTES,
            ITEMS,
            ITEMS,
            DRAFTS,
            DRAFTS,
            CHECKPOINTS,
        ];
        self.rng.pick::<&'static str>(&tables)
    }

    fn lid(&mut self, table: &str, plan: &AppPlan) -> Rc<str> {
        let key = self.rng.below(plan.keys);
        match table {
            NOTES => format!("sk{key}").into(),
            _ => format!("n{}", key + 1).into(),
        }
    }

    /// A key that is in the table, more often than not.
    fn known_lid(&mut self, disk: &Disk, table: &str, plan: &AppPlan) -> Rc<str> {
        let records = &disk.table(table).records;
        if records.is_empty() || self.rng.once_in(8) {
            return self.lid(table, plan);
        }
        let place = self.rng.below(records.len() as u64) as usize;
        let record = records.values().nth(place);
        record.map_or_else(|| self.lid(table, plan), |record| Rc::clone(&record.lid))
    }

    fn put(&mut self, table: &str, value: Value, plan: &AppPlan) -> AppOp {
        if schema::is_generated(table) {
            return AppOp::Add(value);
        }
        let lid = self.lid(table, plan);
        if self.rng.chance(plan.large) {
            AppOp::PutLarge(lid, value)
        } else {
            AppOp::Put(lid, value)
        }
    }

    fn op(
        &mut self,
        disk: &Disk,
        table: &'static str,
        plan: &AppPlan,
        counts: &mut Counts,
    ) -> AppOp {
        if self.rng.chance(plan.clear) {
            counts.add(Fault::Clear);
            return AppOp::Clear;
        }
        if self.rng.chance(plan.delete_range) {
            counts.add(Fault::DeleteRange);
            let (one, other) = (self.lid(table, plan), self.lid(table, plan));
            let ordered = crate::disk::key(&one) <= crate::disk::key(&other);
            let (lower, upper) = if ordered { (one, other) } else { (other, one) };
            return AppOp::DeleteRange(Bounds { lower, upper });
        }
        if self.rng.chance(plan.delete) {
            return AppOp::Delete(self.known_lid(disk, table, plan));
        }
        if self.rng.once_in(2) {
            return self.save(disk, table, plan, counts);
        }
        let value = self.value(plan, counts);
        let op = self.put(table, value, plan);
        if matches!(op, AppOp::PutLarge(..)) {
            counts.add(Fault::LargeValue);
        }
        op
    }

    /// Reads an object, changes a field and saves the whole: what apps do.
    fn save(
        &mut self,
        disk: &Disk,
        table: &'static str,
        plan: &AppPlan,
        counts: &mut Counts,
    ) -> AppOp {
        let lid = self.known_lid(disk, table, plan);
        let now = disk
            .record(table, &lid)
            .and_then(|it| it.value.wire().cloned());
        let before = self.read.get(&(table, Rc::clone(&lid))).cloned();
        let stale = before.is_some() && before != now && self.rng.chance(plan.stale);
        if stale {
            counts.add(Fault::StaleSave);
        }
        let shape = self.rng.next();
        let value = match if stale { before } else { now } {
            Some(wire) => self.maker.edited(&wire, shape),
            None => self.maker.value(shape, ""),
        };
        AppOp::Put(lid, Value::Wire(value))
    }

    fn value(&mut self, plan: &AppPlan, counts: &mut Counts) -> Value {
        let shape = self.rng.next();
        if self.rng.chance(plan.unsendable) {
            counts.add(Fault::ValueUnsendable);
            return Value::Unsendable(self.maker.unsendable());
        }
        if self.rng.chance(plan.too_large) {
            counts.add(Fault::ValueTooLarge);
            return Value::Wire(self.maker.too_large());
        }
        let mark = if self.rng.chance(plan.poisoned) {
            POISON
        } else {
            ""
        };
        Value::Wire(self.maker.value(shape, mark))
    }
}
