//! Staged batches as the engine keeps them in memory, and the form in which their state is stored.
//! The texts stay in the database.

use crate::bytes::{Reader, Writer};
use crate::interface::RecordName;
use crate::shadow::{Field, Names, read_fields, write_fields};

const VERSION: u64 = 1;

/// Operations that are ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    /// Whose changes these are, by place among the owners.
    pub(crate) owner: u32,
    pub(crate) names: Names,
    pub(crate) ops: Vec<StagedOp>,
    /// Not to be sent before this time (monotonic); the server put it off.
    pub(crate) not_before: u64,
    /// How often the server put it off.
    pub(crate) put_off: u32,
    /// How many operations at the front are known to hold one that the server refuses to read;
    /// 0 where nothing is known.
    pub(crate) suspect: u32,
}

/// One operation that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedOp {
    /// Its id.
    pub(crate) op: String,
    pub(crate) table: String,
    pub(crate) lid: String,
    /// The record's id on the server, where it is not its local one.
    pub(crate) rid: Option<String>,
    pub(crate) delete: bool,
    /// Whether it sets and removes fields; else it replaces or removes the record.
    pub(crate) patch: bool,
    /// The version that it was made on.
    pub(crate) base: u64,
    /// How many changes of the app it stands for.
    pub(crate) changes: u32,
    /// The hashes of what is sent.
    pub(crate) fields: Vec<Field>,
    /// The fields that a patch removes, by place among the batch's names.
    pub(crate) unset: Vec<u32>,
}

impl StagedOp {
    /// Whether it changes nothing, and only asks for the record.
    pub(crate) fn is_empty(&self) -> bool {
        self.patch && self.fields.is_empty() && self.unset.is_empty()
    }
}

impl Batch {
    pub(crate) fn changes(&self) -> u64 {
        self.ops.iter().map(|op| u64::from(op.changes)).sum()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.number(VERSION);
        to.number(u64::from(self.owner));
        self.names.write(&mut to);
        for op in &self.ops {
            to.text(&op.op);
            to.text(&op.table);
            to.text(&op.lid);
            to.flags(&[op.delete, op.rid.is_some(), op.patch]);
            if let Some(rid) = &op.rid {
                to.text(rid);
            }
            to.number(op.base);
            to.number(u64::from(op.changes));
            write_fields(&mut to, &op.fields);
            to.count(op.unset.len());
            op.unset
                .iter()
                .for_each(|place| to.number(u64::from(*place)));
        }
        to.finish()
    }

    /// None where the bytes are not a batch's state.
    pub(crate) fn decode(number: u64, bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        if from.number()? != VERSION {
            return None;
        }
        let owner = from.small()?;
        let names = Names::read(&mut from)?;
        let mut ops = Vec::new();
        while !from.is_at_end() {
            ops.push(read_op(&mut from)?);
        }
        Some(Self {
            number,
            owner,
            names,
            ops,
            not_before: 0,
            put_off: 0,
            suspect: 0,
        })
    }
}

fn read_op(from: &mut Reader<'_>) -> Option<StagedOp> {
    let (op, table, lid) = (from.text()?, from.text()?, from.text()?);
    let flags = from.number()?;
    Some(StagedOp {
        op,
        table,
        lid,
        rid: if flags & 2 != 0 {
            Some(from.text()?)
        } else {
            None
        },
        delete: flags & 1 != 0,
        patch: flags & 4 != 0,
        base: from.number()?,
        changes: from.small()?,
        fields: read_fields(from)?,
        unset: read_places(from)?,
    })
}

fn read_places(from: &mut Reader<'_>) -> Option<Vec<u32>> {
    let count = from.count()?;
    (0..count).map(|_| from.small()).collect()
}

/// An operation that was refused or cannot be sent, as the engine keeps it in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) op: String,
    pub(crate) owner: u32,
    pub(crate) table: String,
    pub(crate) lid: String,
    /// The version that it was made on.
    pub(crate) base: u64,
    /// The server's record that stands against it, as JSON; none where it is no conflict.
    pub(crate) remote: Option<String>,
    /// It is a change that the user may not make in its space.
    pub(crate) barred: bool,
}

impl Held {
    /// The record.
    pub(crate) fn record(&self) -> RecordName {
        RecordName {
            table: self.table.clone(),
            lid: self.lid.clone(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.number(VERSION);
        to.number(u64::from(self.owner));
        to.text(&self.table);
        to.text(&self.lid);
        to.number(self.base);
        to.flags(&[self.remote.is_some(), self.barred]);
        if let Some(remote) = &self.remote {
            to.text(remote);
        }
        to.finish()
    }

    /// None where the bytes are not a held operation's state.
    pub(crate) fn decode(op: String, bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        if from.number()? != VERSION {
            return None;
        }
        let (owner, table, lid) = (from.small()?, from.text()?, from.text()?);
        let (base, flags) = (from.number()?, from.number()?);
        Some(Self {
            op,
            owner,
            table,
            lid,
            base,
            remote: if flags & 1 != 0 {
                Some(from.text()?)
            } else {
                None
            },
            barred: flags & 2 != 0,
        })
    }
}
