//! The model of a device's IndexedDB: the app's stores, their logs, and the engine's stores. A
//! transaction happens wholly or not at all. A copy is cheap: what two copies have in common, they
//! share.

mod app;
mod commit;
mod read;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use tidesync_engine::interface::{HeldNotice, LogOp, PageId, RowUser, Slot};
use tidesync_protocol::key::Key;

use crate::truth::Name;

pub(crate) use app::{AppOp, Bounds, Change, Hint};

/// As which a value counts whose size is not known.
const UNKNOWN_BYTES: u32 = 16 * 1024;

/// One device's database.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Disk {
    pub(crate) tables: Vec<Rc<Table>>,
    pub(crate) staged: Rc<BTreeMap<u64, Staged>>,
    pub(crate) held: Rc<BTreeMap<String, HeldRow>>,
    pub(crate) pages: Rc<BTreeMap<PageId, Rc<[u8]>>>,
    pub(crate) meta: Option<Rc<str>>,
    pub(crate) owner: Option<Rc<str>>,
    pub(crate) history: Rc<VecDeque<String>>,
    pub(crate) fence: u64,
    pub(crate) version: u32,
}

/// A tracked store and its log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) generated: bool,
    pub(crate) records: BTreeMap<Key, Record>,
    pub(crate) log: BTreeMap<u64, LogEntry>,
    /// The last row that the log's key generator gave.
    rows: u64,
    /// The last key that the table's key generator gave.
    keys: u64,
}

/// A record of the app.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) lid: Rc<str>,
    pub(crate) value: Value,
}

/// A value of the app, as its wire form; some values have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Wire(Rc<str>),
    Unsendable(Rc<str>),
}

/// A row that capture wrote.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogEntry {
    pub(crate) user: RowUser,
    pub(crate) at_ms: u64,
    pub(crate) ops: Vec<Logged>,
}

/// One operation of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Logged {
    Put(Rc<str>, Value),
    /// By key alone: the value is read when it is staged.
    PutReference(Rc<str>),
    Delete(Rc<str>),
    DeleteRange(Bounds),
    Clear,
}

/// A staged batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Staged {
    pub(crate) texts: Vec<Rc<str>>,
    pub(crate) state: Vec<u8>,
}

/// A held operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeldRow {
    pub(crate) state: Vec<u8>,
    pub(crate) notice: HeldNotice,
    pub(crate) text: Option<Rc<str>>,
    pub(crate) remote: Option<String>,
}

/// What a tab keeps in memory beside its engine, and loses with it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    slots: BTreeMap<Slot, Kept>,
    next_slot: u32,
    /// The texts of the staged batches, so that a push reads nothing.
    texts: BTreeMap<u64, Vec<Rc<str>>>,
    /// The changes of the last pull.
    pub(crate) pulled: Vec<Pulled>,
}

/// A change of a pull.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pulled {
    pub(crate) table: String,
    pub(crate) rid: String,
    pub(crate) version: u64,
    /// Its wire form; none where it was removed.
    pub(crate) value: Option<Rc<str>>,
}

/// What a slot stands for.
#[derive(Debug, Clone)]
enum Kept {
    Value(Value),
    Record(String, Rc<str>),
}

impl Disk {
    /// A new database with these tables; the second of each says whether keys are generated.
    pub(crate) fn new(tables: &[(&str, bool)]) -> Self {
        let mut tables: Vec<_> = tables
            .iter()
            .map(|(name, generated)| {
                Rc::new(Table {
                    name: (*name).to_owned(),
                    generated: *generated,
                    records: BTreeMap::new(),
                    log: BTreeMap::new(),
                    rows: 0,
                    keys: 0,
                })
            })
            .collect();
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            tables,
            staged: Rc::default(),
            held: Rc::default(),
            pages: Rc::default(),
            meta: None,
            owner: None,
            history: Rc::default(),
            fence: 0,
            version: 1,
        }
    }

    pub(crate) fn table(&self, name: &str) -> &Table {
        let table = self.tables.iter().find(|table| table.name == name);
        table.expect("a table of this name")
    }

    fn table_mut(&mut self, name: &str) -> &mut Table {
        let table = self.tables.iter_mut().find(|table| table.name == name);
        Rc::make_mut(table.expect("a table of this name"))
    }

    pub(crate) fn record(&self, table: &str, lid: &str) -> Option<&Record> {
        self.table(table).records.get(&key(lid))
    }

    /// Adds a row of one operation to a table's log.
    pub(crate) fn log(&mut self, table: &str, user: RowUser, op: Logged) {
        let (at_ms, ops) = (0, vec![op]);
        self.table_mut(table).append(LogEntry { user, at_ms, ops });
    }

    /// The records of what is held.
    pub(crate) fn held_names(&self) -> impl Iterator<Item = Name> {
        self.held.values().map(|row| {
            let table = crate::schema::table(&row.notice.table);
            (table, row.notice.lid.as_str().into())
        })
    }

    /// Whether log and staged are empty.
    pub(crate) fn is_sent(&self) -> bool {
        self.staged.is_empty() && self.tables.iter().all(|table| table.log.is_empty())
    }
}

impl Table {
    fn append(&mut self, entry: LogEntry) -> u64 {
        self.rows += 1;
        self.log.insert(self.rows, entry);
        self.rows
    }
}

impl Value {
    pub(crate) fn wire(&self) -> Option<&Rc<str>> {
        match self {
            Self::Wire(text) => Some(text),
            Self::Unsendable(_) => None,
        }
    }

    fn bytes(&self) -> u32 {
        self.wire().map_or(UNKNOWN_BYTES, |text| text.len() as u32)
    }
}

impl Memory {
    fn slot(&mut self, kept: Kept) -> Slot {
        self.next_slot += 1;
        self.slots.insert(Slot(self.next_slot), kept);
        Slot(self.next_slot)
    }

    /// The place of a record among the changes of the last pull, by its local name.
    pub(crate) fn place_of(&self, table: &str, lid: &str) -> Option<u32> {
        let mut pulled = self.pulled.iter();
        let place = pulled.position(|it| it.table == table && it.rid == lid && it.value.is_some());
        place.and_then(|place| u32::try_from(place).ok())
    }

    /// The texts of a staged batch from `first` on and before `last`, as this tab knows them.
    pub(crate) fn texts(&self, batch: u64, first: u32, last: u32) -> Option<&[Rc<str>]> {
        self.texts.get(&batch)?.get(first as usize..last as usize)
    }
}

/// The key of a record's local text form.
pub(crate) fn key(lid: &str) -> Key {
    Key::of_text(lid).expect("the text form of a key")
}

/// About how many bytes an operation's value has.
fn size(op: &LogOp) -> u32 {
    match op {
        LogOp::Put { bytes, .. } => *bytes,
        LogOp::Delete { .. } | LogOp::DeleteRange { .. } | LogOp::Clear => 0,
    }
}
