//! The engine's stores: what it loads when it begins, and the transactions it commits.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use js_sys::{Array, Uint8Array};
use rexie::{KeyRange, Store, Transaction};
use tidesync_engine::interface::{
    HeldNotice, Loaded, PageId, StorageError, StoredBatch, StoredHeld, Table, Text, Write,
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{
    connection::{Connection, HELD, META, SHADOW, STAGED, commit, log_of, storage_error, table_of},
    host::{Host, host_error},
    object::{get, object, set},
};

/// The format of the stores that this build reads and writes.
const FORMAT: f64 = 1.0;

/// The only key of the meta store.
const META_KEY: &str = "meta";

/// Log rows that are signed in one go.
const SIGN_ROWS: u32 = 64;

/// The engine's stores.
#[derive(Default)]
pub(crate) struct Stores {
    /// The texts of the staged batches, so that a push reads nothing.
    texts: RefCell<Texts>,
}

impl Stores {
    /// Raises the fence and reads what the engine begins with (`Effect::Load`).
    pub(crate) async fn load(&self, connection: &Connection) -> Result<Loaded, StorageError> {
        connection.reopen().await?;
        let (fence, state) = claim(connection).await?;
        let tables = tables(connection).await?;
        let names = [STAGED.to_owned(), HELD.to_owned()];
        let transaction = connection.read(&names)?;
        let staged = self.staged(&transaction).await?;
        let held = held(&transaction).await?;
        Ok(Loaded {
            fence,
            version: connection.version(),
            meta: state,
            staged,
            held,
            tables,
        })
    }

    async fn staged(&self, transaction: &Transaction) -> Result<Vec<StoredBatch>, StorageError> {
        let mut texts = Texts::default();
        let mut batches = Vec::new();
        for (key, value) in entries(transaction, STAGED).await? {
            let batch = whole(&key);
            texts.insert(batch, get(&value, "texts").unchecked_into());
            batches.push(StoredBatch {
                batch,
                state: bytes(&get(&value, "state")),
            });
        }
        self.texts.replace(texts);
        Ok(batches)
    }

    /// The texts of a staged batch.
    pub(crate) fn texts(&self, batch: u64) -> Option<Array> {
        self.texts.borrow().get(batch).cloned()
    }

    /// Does all of `writes`, or nothing (`Effect::Commit`).
    pub(crate) async fn commit(
        &self,
        connection: &Connection,
        host: &Host,
        fence: u64,
        writes: &[Write],
    ) -> Result<(), StorageError> {
        let transaction = connection.write(&scope(writes))?;
        let written = self.write(&transaction, host, fence, writes).await;
        let texts = conclude(transaction, written).await?;
        self.texts.replace(texts);
        Ok(())
    }

    /// Issues all of `writes` and gives the texts as they are after them.
    ///
    /// Should this tab's code end while requests are under way, the browser commits what was
    /// issued: so everything is issued in one go, and what removes comes last.
    async fn write(
        &self,
        transaction: &Transaction,
        host: &Host,
        fence: u64,
        writes: &[Write],
    ) -> Result<Texts, StorageError> {
        let meta = read_meta(transaction).await?;
        if number(&get(&meta, "fence")) != as_number(fence) {
            return Err(StorageError::Fenced);
        }
        for write in writes {
            if let Write::SignLog { table, user } = write {
                sign(&store(transaction, &log_of(table))?, user.as_deref()).await?;
            }
        }
        let mut batch = Batch::new(meta);
        let mut texts = self.texts.borrow().clone();
        for write in writes {
            batch.add(host, write, &mut texts)?;
        }
        batch.issue(transaction).await?;
        Ok(texts)
    }
}

/// The texts of the staged batches. There are few at a time.
#[derive(Clone, Default)]
struct Texts(Vec<(u64, Array)>);

impl Texts {
    fn get(&self, batch: u64) -> Option<&Array> {
        self.0
            .iter()
            .find(|(number, _)| *number == batch)
            .map(|(_, texts)| texts)
    }

    fn insert(&mut self, batch: u64, texts: Array) {
        self.remove(batch);
        self.0.push((batch, texts));
    }

    fn remove(&mut self, batch: u64) {
        self.0.retain(|(number, _)| *number != batch);
    }
}

/// A value and its key.
type Put = (JsValue, Option<JsValue>);

/// The requests of one transaction, gathered so that all are issued in one go.
struct Batch {
    meta: JsValue,
    puts: [(&'static str, Vec<Put>); 4],
    deletes: Vec<(String, JsValue)>,
}

impl Batch {
    fn new(meta: JsValue) -> Self {
        Self {
            meta,
            puts: [STAGED, HELD, SHADOW, META].map(|store| (store, Vec::new())),
            deletes: Vec::new(),
        }
    }

    fn push(&mut self, store: &'static str, key: JsValue, value: JsValue) {
        if let Some((_, puts)) = self.puts.iter_mut().find(|(name, _)| *name == store) {
            puts.push((value, Some(key)));
        }
    }

    fn delete(&mut self, store: &str, key: JsValue) {
        self.deletes.push((store.to_owned(), key));
    }

    fn add(&mut self, host: &Host, write: &Write, texts: &mut Texts) -> Result<(), StorageError> {
        match write {
            Write::Meta { state, owner } => {
                let owner = owner.as_deref().map_or(JsValue::NULL, JsValue::from);
                set(&self.meta, "state", &state.into());
                set(&self.meta, "owner", &owner);
            }
            Write::PutStaged {
                batch,
                state,
                texts: parts,
            } => {
                let spliced = splice(host, parts, texts)?;
                let row = staged_row(&spliced, state);
                self.push(STAGED, as_number(*batch).into(), row);
                texts.insert(*batch, spliced);
            }
            Write::DeleteStaged { batch } => {
                self.delete(STAGED, as_number(*batch).into());
                texts.remove(*batch);
            }
            Write::PutHeld {
                op,
                state,
                notice,
                text,
                ..
            } => {
                let text = text
                    .as_ref()
                    .map(|part| splice(host, std::slice::from_ref(part), texts))
                    .transpose()?;
                self.push(HELD, op.into(), held_row(state, notice, text.as_ref()));
            }
            Write::DeleteHeld { op } => self.delete(HELD, op.into()),
            Write::PutPage { page, bytes } => {
                let bytes = Uint8Array::from(bytes.as_slice());
                self.push(SHADOW, page_key(page), bytes.into());
            }
            Write::ConsumeLog { table, first, last } => {
                let range = rows_between(*first, *last)?;
                self.delete(&log_of(table), range.into());
            }
            _ => {}
        }
        Ok(())
    }

    async fn issue(mut self, transaction: &Transaction) -> Result<(), StorageError> {
        let meta = self.meta.clone();
        self.push(META, META_KEY.into(), meta);
        let filled = self.puts.into_iter().filter(|(_, puts)| !puts.is_empty());
        let puts = filled.map(|(name, puts)| (name.to_owned(), Request::Put(puts)));
        let deletes = self.deletes.into_iter();
        let deletes = deletes.map(|(name, key)| (name, Request::Delete(key)));
        let failed = Cell::new(false);
        let requests = puts.chain(deletes);
        let issued = requests.map(|(name, request)| issue(transaction, name, request, &failed));
        // All are issued when they are first polled, and each is heard to its end.
        join_all(issued).await.into_iter().collect()
    }
}

/// What a store is asked for.
enum Request {
    Put(Vec<Put>),
    Delete(JsValue),
}

/// Issues a request, unless one before it `failed`.
async fn issue(
    transaction: &Transaction,
    name: String,
    request: Request,
    failed: &Cell<bool>,
) -> Result<(), StorageError> {
    if failed.get() {
        return Ok(());
    }
    let outcome = match (store(transaction, &name), request) {
        (Ok(store), Request::Put(puts)) => store.put_all(puts.into_iter()).await,
        (Ok(store), Request::Delete(key)) => store.delete(key).await,
        (Err(error), _) => return Err(error),
    };
    if outcome.is_err() {
        failed.set(true);
    }
    outcome.map_err(storage_error)
}

/// Makes a transaction durable, or undoes what it has done so far: nothing else does.
async fn conclude<T>(
    transaction: Transaction,
    outcome: Result<T, StorageError>,
) -> Result<T, StorageError> {
    match outcome {
        Ok(done) => commit(transaction).await.map(|()| done),
        Err(error) => {
            // It has ended already where a request failed; the first error is the one to tell.
            let _ = transaction.abort().await;
            Err(error)
        }
    }
}

/// The stores that these writes touch.
fn scope(writes: &[Write]) -> Vec<String> {
    let mut names: Vec<String> = vec![META.to_owned()];
    for write in writes {
        let name = match write {
            Write::Meta { .. } => continue,
            Write::PutStaged { .. } | Write::DeleteStaged { .. } => STAGED.to_owned(),
            Write::PutHeld { .. } | Write::DeleteHeld { .. } => HELD.to_owned(),
            Write::PutPage { .. } => SHADOW.to_owned(),
            Write::ConsumeLog { table, .. } | Write::SignLog { table, .. } => log_of(table),
            _ => continue,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Raises the fence by one and gives it back with the engine's record.
async fn claim(connection: &Connection) -> Result<(u64, Option<String>), StorageError> {
    let transaction = connection.write(&[META.to_owned()])?;
    let claimed = raise_fence(&transaction).await;
    conclude(transaction, claimed).await
}

async fn raise_fence(transaction: &Transaction) -> Result<(u64, Option<String>), StorageError> {
    let meta = read_meta(transaction).await?;
    if number(&get(&meta, "format")) > FORMAT {
        return Err(StorageError::Newer);
    }
    let fence = number(&get(&meta, "fence")).max(0.0) + 1.0;
    set(&meta, "format", &FORMAT.into());
    set(&meta, "fence", &fence.into());
    store(transaction, META)?
        .put(&meta, Some(&META_KEY.into()))
        .await
        .map_err(storage_error)?;
    Ok((whole(&fence.into()), get(&meta, "state").as_string()))
}

/// The meta record, or an empty one.
async fn read_meta(transaction: &Transaction) -> Result<JsValue, StorageError> {
    let found = store(transaction, META)?
        .get(META_KEY.into())
        .await
        .map_err(storage_error)?;
    Ok(found.unwrap_or_else(|| object(&[])))
}

/// The tracked tables: those that have a log.
async fn tables(connection: &Connection) -> Result<Vec<Table>, StorageError> {
    let stores = connection.store_names();
    let tracked: Vec<&str> = stores.iter().filter_map(|name| table_of(name)).collect();
    if tracked.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = connection.read(&stores)?;
    let mut tables = Vec::with_capacity(tracked.len());
    for name in tracked {
        let log = store(&transaction, &log_of(name))?;
        let first = log
            .get_all_keys(None, Some(1))
            .await
            .map_err(storage_error)?;
        // The log of a store that the app has removed is kept until it is sent.
        let exists = stores.iter().any(|store| store == name);
        tables.push(Table {
            name: name.to_owned(),
            generated_keys: exists && store(&transaction, name)?.auto_increment(),
            pending: !first.is_empty(),
        });
    }
    Ok(tables)
}

async fn held(transaction: &Transaction) -> Result<Vec<StoredHeld>, StorageError> {
    let found = entries(transaction, HELD).await?;
    let held = found.into_iter().map(|(key, value)| StoredHeld {
        op: key.as_string().unwrap_or_default(),
        state: bytes(&get(&value, "state")),
    });
    Ok(held.collect())
}

/// Names the user of the rows that name none, a few at a time.
async fn sign(log: &Store, user: Option<&str>) -> Result<(), StorageError> {
    let user = user.map_or(JsValue::NULL, JsValue::from);
    let mut after = 0.0;
    loop {
        let range = KeyRange::lower_bound(&after.into(), Some(true)).map_err(idb_error)?;
        let rows = log
            .get_all(Some(range), Some(SIGN_ROWS))
            .await
            .map_err(storage_error)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = number(&get(last, "row"));
        let unsigned = rows
            .into_iter()
            .filter(|row| get(row, "user").is_undefined());
        let signed = unsigned.map(|row| {
            set(&row, "user", &user);
            (row, None)
        });
        log.put_all(signed).await.map_err(storage_error)?;
    }
}

/// The texts of operations, in order.
fn splice(host: &Host, parts: &[Text], texts: &Texts) -> Result<Array, StorageError> {
    let mut heads = String::new();
    let mut slots = Vec::new();
    for part in parts {
        if let Text::Spliced { head, slot } = part {
            if !slots.is_empty() {
                heads.push('\0');
            }
            heads.push_str(head);
            slots.push(slot.0);
        }
    }
    let spliced = if slots.is_empty() {
        Array::new()
    } else {
        host.splice(&heads, &slots).map_err(host_error)?
    };
    if spliced.length() as usize == parts.len() {
        return Ok(spliced);
    }
    let mut next = spliced.values().into_iter();
    let whole = parts.iter().map(|part| whole_text(part, &mut next, texts));
    Ok(whole.collect())
}

fn whole_text(part: &Text, spliced: &mut js_sys::IntoIter, texts: &Texts) -> JsValue {
    match part {
        Text::Spliced { .. } => spliced
            .next()
            .and_then(Result::ok)
            .expect("a text for each head"),
        Text::Whole { text } => text.into(),
        Text::Kept { batch, index } => texts
            .get(*batch)
            .expect("a batch that is kept is stored")
            .get(*index),
    }
}

fn staged_row(texts: &Array, state: &[u8]) -> JsValue {
    object(&[
        ("texts", texts.as_ref()),
        ("state", &Uint8Array::from(state).into()),
    ])
}

fn held_row(state: &[u8], notice: &HeldNotice, text: Option<&Array>) -> JsValue {
    let text = text.map_or(JsValue::UNDEFINED, |texts| texts.get(0));
    object(&[
        ("state", &Uint8Array::from(state).into()),
        ("table", &JsValue::from(&notice.table)),
        ("lid", &JsValue::from(&notice.lid)),
        ("code", &JsValue::from(&notice.code)),
        ("message", &JsValue::from(&notice.message)),
        ("at", &as_number(notice.at_ms).into()),
        ("text", &text),
    ])
}

/// The key of a page of the shadow.
pub(crate) fn page_key(page: &PageId) -> JsValue {
    Array::of2(&JsValue::from(&page.table), &page.bucket.into()).into()
}

/// Log rows from `first` to `last`, both included.
fn rows_between(first: u64, last: u64) -> Result<KeyRange, StorageError> {
    let (first, last) = (as_number(first).into(), as_number(last).into());
    KeyRange::bound(&first, &last, None, None).map_err(idb_error)
}

/// The keys and values of one of our stores.
async fn entries(
    transaction: &Transaction,
    name: &str,
) -> Result<Vec<(JsValue, JsValue)>, StorageError> {
    let store = store(transaction, name)?;
    let keys = store
        .get_all_keys(None, None)
        .await
        .map_err(storage_error)?;
    let values = store.get_all(None, None).await.map_err(storage_error)?;
    Ok(keys.into_iter().zip(values).collect())
}

/// A store of a transaction.
pub(crate) fn store(transaction: &Transaction, name: &str) -> Result<Store, StorageError> {
    transaction.store(name).map_err(storage_error)
}

/// An error of the key range calls.
pub(crate) fn idb_error(error: idb::Error) -> StorageError {
    storage_error(error.into())
}

/// The bytes of a `Uint8Array` that we stored.
pub(crate) fn bytes(value: &JsValue) -> Vec<u8> {
    value
        .dyn_ref::<Uint8Array>()
        .map(Uint8Array::to_vec)
        .unwrap_or_default()
}

fn number(value: &JsValue) -> f64 {
    value.as_f64().unwrap_or_default()
}

/// Row numbers, batches and fences stay below 2^53: a key generator ends there.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits"
)]
pub(crate) fn whole(value: &JsValue) -> u64 {
    number(value).max(0.0) as u64
}

/// The same the other way.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(crate) fn as_number(value: u64) -> f64 {
    value as f64
}
