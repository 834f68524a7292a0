//! What the engine keeps of itself in the database, as JSON: small, and written with every step.

use tidesync_protocol::json::{Json, ObjectWriter, push_text, read};
use tidesync_protocol::wire::Access;

use crate::remote::{access, said_of};
use crate::rng::Rng;
use crate::sorted::SortedMap;

/// The version of [`Meta`] that this build writes. A higher one is left alone.
pub(crate) const FORMAT: u32 = 1;

/// The engine's own record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) format: u32,
    /// The database's version at the last load; 0 for unknown.
    pub(crate) version: u32,
    /// The key of the field hashes: 32 hex digits.
    pub(crate) key: String,
    /// Everyone whose database this ever was; the shadow and the batches name them by place.
    pub(crate) owners: Vec<Owner>,
    /// Whose it is now, by place.
    pub(crate) owner: Option<u32>,
    /// The hybrid logical clock of the last operation.
    pub(crate) clock: String,
    /// `setAutoSyncEnabled`, as last set.
    pub(crate) enabled: bool,
    /// Wall milliseconds of the last sync that the server confirmed; 0 for never.
    pub(crate) last_sync: u64,
    /// The server's epoch at the last pull; empty before the first.
    pub(crate) epoch: String,
    /// Where the next pull goes on; none where it begins from scratch.
    pub(crate) cursor: Option<String>,
    /// Where the server was after the last push, unless all since was pulled: a server that was
    /// restored from an older copy knows it by that.
    pub(crate) place: Option<String>,
    /// Counts the pulls from scratch: an entry of the shadow with a lower number was not seen by
    /// the last one.
    pub(crate) generation: u32,
    /// Set from the beginning of a pull from scratch until what it did not bring was looked at.
    pub(crate) sweep: Option<Sweep>,
    pub(crate) tables: SortedMap<String, TableMeta>,
    pub(crate) counts: Counts,
}

/// What becomes of records that a pull from scratch did not bring, and how far that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sweep {
    /// The server was restored from an older copy: they are sent again. Else it has removed them,
    /// so long ago that it has forgotten.
    pub(crate) restored: bool,
    /// Whether the pull has come to its end.
    pub(crate) ready: bool,
    /// The table that is under way, by name; empty before the first.
    pub(crate) table: String,
    /// Its next bucket.
    pub(crate) bucket: u32,
    /// The spaces that the pull covered besides the user's own, as JSON; empty where there are none.
    pub(crate) spaces: String,
    /// By space, as JSON, the version up to which what is known here is what a restored server has;
    /// empty where it does not say.
    pub(crate) parted: String,
}

impl Sweep {
    pub(crate) fn new(restored: bool) -> Self {
        Self {
            restored,
            ready: false,
            table: String::new(),
            bucket: 0,
            spaces: String::new(),
            parted: String::new(),
        }
    }

    /// Whether it says anything of the tables of a space: one that was not asked for has lost nothing,
    /// and to one that may not be changed nothing can be sent again.
    pub(crate) fn covers(&self, space: &str) -> bool {
        match access(&self.spaces, space) {
            None => false,
            Some(Access::Read) => !self.restored,
            Some(Access::Write) => true,
        }
    }

    /// The version of a space up to which what is known here is what the restored server has.
    pub(crate) fn parted(&self, space: &str) -> Option<u64> {
        said_of(&self.parted, space)?.parse().ok()
    }

    fn to_json(&self) -> String {
        let mut json = ObjectWriter::default();
        json.flag("restored", self.restored)
            .flag("ready", self.ready)
            .text("table", &self.table)
            .whole("bucket", u64::from(self.bucket));
        if !self.spaces.is_empty() {
            json.json("spaces", &self.spaces);
        }
        if !self.parted.is_empty() {
            json.json("parted", &self.parted);
        }
        json.finish()
    }

    fn of(json: Json<'_>) -> Self {
        Self {
            restored: json.get("restored").flag(),
            ready: json.get("ready").flag(),
            table: json.get("table").text(),
            bucket: json.get("bucket").small(),
            spaces: json.member("spaces").map(Json::raw).unwrap_or_default(),
            parted: json.member("parted").map(Json::raw).unwrap_or_default(),
        }
    }
}

/// A user of this database, with the client that the server knows them by here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: String,
    pub(crate) client: String,
}

/// What is kept of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TableMeta {
    /// Buckets of its shadow; 0 before the first.
    pub(crate) buckets: u32,
    /// Bytes of all its pages.
    pub(crate) bytes: u64,
    /// How far the first scan has come.
    pub(crate) scan: ScanMark,
    /// The space that its records belong to, for good; empty for the user's own.
    pub(crate) space: String,
    /// It was not there, or not tracked, when the database was last loaded: pulls pass it over.
    pub(crate) absent: bool,
}

/// How far a first scan has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ScanMark {
    /// It has not begun.
    #[default]
    New,
    /// It goes on after this record.
    After(String),
    /// It is done, or was not asked for.
    Done,
}

/// The counts as they were when the record was written: the first status after a start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Distinct records of the owner with a change that the server has not confirmed.
    pub(crate) pending: u64,
    /// The owner's changes that are not staged.
    pub(crate) buffered: u64,
    /// Distinct records with a change that waits for another user.
    pub(crate) waiting: u64,
}

impl Meta {
    /// The next pull begins from scratch, and what it does not bring is looked at: sent again where
    /// the server was restored, also where not all of that was looked at before; else removed.
    pub(crate) fn begin_anew(&mut self, restored: bool) {
        let restored = restored || self.sweep.as_ref().is_some_and(|sweep| sweep.restored);
        self.cursor = None;
        self.generation = self.generation.saturating_add(1);
        self.sweep = Some(Sweep::new(restored));
    }

    /// The record of a database that has none yet.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            format: FORMAT,
            key: to_hex(&rng.bits()),
            enabled: true,
            ..Self::default()
        }
    }

    /// The record as it is stored.
    pub(crate) fn to_json(&self) -> String {
        let mut tables = ObjectWriter::default();
        for (name, table) in self.tables.iter() {
            tables.json(name, &table.to_json());
        }
        let owners: Vec<String> = self.owners.iter().map(Owner::to_json).collect();
        let owner = self
            .owner
            .map_or_else(|| "null".to_owned(), |owner| owner.to_string());
        ObjectWriter::default()
            .whole("format", u64::from(self.format))
            .whole("version", u64::from(self.version))
            .text("key", &self.key)
            .json("owners", &["[", &owners.join(","), "]"].concat())
            .json("owner", &owner)
            .text("clock", &self.clock)
            .flag("enabled", self.enabled)
            .whole("lastSync", self.last_sync)
            .text("epoch", &self.epoch)
            .optional("cursor", self.cursor.as_deref())
            .optional("place", self.place.as_deref())
            .whole("generation", u64::from(self.generation))
            .json(
                "sweep",
                &self
                    .sweep
                    .as_ref()
                    .map_or_else(|| "null".to_owned(), Sweep::to_json),
            )
            .json("tables", &tables.finish())
            .json("counts", &self.counts.to_json())
            .finish()
    }

    /// The format of any version's record; none where the text is not one.
    pub(crate) fn format_of(text: &str) -> Option<u32> {
        read(text, 1, |json| json.get("format").optional(Json::small))?
    }

    /// The record that was stored; none where it is damaged.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let meta = read(text, usize::MAX, Self::of)?;
        from_hex(&meta.key)?;
        Some(meta)
    }

    fn of(json: Json<'_>) -> Self {
        let tables = json.get("tables").members();
        let table = |(name, table): (&str, Json<'_>)| (name.to_owned(), TableMeta::of(table));
        Self {
            format: json.get("format").small(),
            version: json.get("version").small(),
            key: json.get("key").text(),
            owners: json.get("owners").elements().map(Owner::of).collect(),
            owner: json.get("owner").optional(Json::small),
            clock: json.get("clock").text(),
            enabled: json.get("enabled").flag(),
            last_sync: json.get("lastSync").whole(),
            epoch: json.get("epoch").text(),
            cursor: json.get("cursor").optional(Json::text),
            place: json.get("place").optional(Json::text),
            generation: json.get("generation").small(),
            sweep: json.get("sweep").optional(Sweep::of),
            tables: tables.map(table).collect(),
            counts: Counts::of(json.get("counts")),
        }
    }

    /// The user whose database this is.
    pub(crate) fn owner_name(&self) -> Option<&str> {
        self.owner_record().map(|owner| owner.user.as_str())
    }

    /// The current owner.
    pub(crate) fn owner_record(&self) -> Option<&Owner> {
        self.owners.get(usize::try_from(self.owner?).ok()?)
    }

    /// The user at a place among the owners.
    pub(crate) fn user_of(&self, owner: u32) -> &str {
        let place = usize::try_from(owner).unwrap_or(usize::MAX);
        self.owners.get(place).map_or("", |owner| &owner.user)
    }

    /// The key of the field hashes.
    pub(crate) fn hash_key(&self) -> [u8; 16] {
        from_hex(&self.key).unwrap_or_default()
    }

    /// The place of `user` among the owners; a new one is appended.
    pub(crate) fn place(&mut self, user: &str, client: impl FnOnce() -> String) -> u32 {
        let known = self.owners.iter().position(|owner| owner.user == user);
        let place = known.unwrap_or_else(|| {
            self.owners.push(Owner {
                user: user.to_owned(),
                client: client(),
            });
            self.owners.len() - 1
        });
        place as u32
    }
}

impl Owner {
    fn to_json(&self) -> String {
        ObjectWriter::default()
            .text("user", &self.user)
            .text("client", &self.client)
            .finish()
    }

    fn of(json: Json<'_>) -> Self {
        Self {
            user: json.get("user").text(),
            client: json.get("client").text(),
        }
    }
}

impl TableMeta {
    fn to_json(&self) -> String {
        let mut scan = String::new();
        match &self.scan {
            ScanMark::New => push_text(&mut scan, "new"),
            ScanMark::After(lid) => scan = ObjectWriter::default().text("after", lid).finish(),
            ScanMark::Done => push_text(&mut scan, "done"),
        }
        let mut json = ObjectWriter::default();
        json.whole("buckets", u64::from(self.buckets))
            .whole("bytes", self.bytes)
            .json("scan", &scan);
        if !self.space.is_empty() {
            json.text("space", &self.space);
        }
        if self.absent {
            json.flag("absent", true);
        }
        json.finish()
    }

    fn of(json: Json<'_>) -> Self {
        let space = json.get("space").optional(Json::text);
        Self {
            buckets: json.get("buckets").small(),
            bytes: json.get("bytes").whole(),
            scan: ScanMark::of(json.get("scan")),
            space: space.unwrap_or_default(),
            absent: json.get("absent").optional(Json::flag).unwrap_or_default(),
        }
    }
}

impl ScanMark {
    fn of(json: Json<'_>) -> Self {
        if json.is_object() {
            return Self::After(json.get("after").text());
        }
        if json.text() == "done" {
            Self::Done
        } else {
            Self::New
        }
    }
}

impl Counts {
    fn to_json(self) -> String {
        ObjectWriter::default()
            .whole("pending", self.pending)
            .whole("buffered", self.buffered)
            .whole("waiting", self.waiting)
            .finish()
    }

    fn of(json: Json<'_>) -> Self {
        Self {
            pending: json.get("pending").whole(),
            buffered: json.get("buffered").whole(),
            waiting: json.get("waiting").whole(),
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
