//! What the shell asks of TypeScript: the loops over records, the token, and news for the app.
//!
//! Lists cross in one piece: texts joined by U+0000, which no key text contains; numbers as typed
//! arrays. A callback that throws counts as a failure of storage: the engine loads anew.

use js_sys::{Array, Promise, Uint8Array};
use tidesync_engine::interface::StorageError;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// What the engine is told of a callback that threw. What was thrown may quote user data.
pub(crate) fn host_error(_: JsValue) -> StorageError {
    StorageError::Other {
        name: "HostFailed".to_owned(),
    }
}

#[wasm_bindgen]
extern "C" {
    /// Implemented by `www/src/host.ts`.
    pub type Host;

    /// The bearer token of `subject`, or null when nobody is signed in.
    #[wasm_bindgen(method)]
    pub(crate) fn token(this: &Host, reason: &str, subject: &str) -> Promise;

    /// One line for the app's logger.
    #[wasm_bindgen(method)]
    pub(crate) fn log(this: &Host, level: &str, message: &str);

    /// The status changed; `status` is its JSON.
    #[wasm_bindgen(method)]
    pub(crate) fn status(this: &Host, status: &str);

    /// A call of the app is done.
    #[wasm_bindgen(method)]
    pub(crate) fn resolve(this: &Host, call: f64, ok: bool);

    /// The engine stopped: another tab leads.
    #[wasm_bindgen(method)]
    pub(crate) fn closed(this: &Host);

    /// Turns log rows into operations; keeps their values by slot where `keep` says so.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn walk(
        this: &Host,
        table: &str,
        rows: &Array,
        keep: bool,
    ) -> Result<WalkedRows, JsValue>;

    /// The same for a page of a table's records.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn scan(
        this: &Host,
        table: &str,
        keys: &Array,
        values: &Array,
    ) -> Result<ScannedRecords, JsValue>;

    /// The key that a text stands for.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn key(this: &Host, text: &str) -> Result<JsValue, JsValue>;

    /// Forgets every value but those of `slots`, and gives back which of these are to be read from
    /// the app's stores: `[{slot, table, key}]`.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn references(this: &Host, slots: &[u32]) -> Result<Array, JsValue>;

    /// Gives a value that `references` asked for; undefined when the record is gone.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn supply(this: &Host, slot: u32, value: &JsValue) -> Result<(), JsValue>;

    /// The wire forms of the values.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn prepare(this: &Host, slots: &[u32]) -> Result<WireForms, JsValue>;

    /// Texts of operations: each head (joined by U+0000), the wire form behind its slot, `}`.
    #[wasm_bindgen(method, catch)]
    pub(crate) fn splice(this: &Host, heads: &str, slots: &[u32]) -> Result<Array, JsValue>;

    /// The body of a push, compressed where that pays: a promise of `{body, encoding?}`.
    #[wasm_bindgen(method)]
    pub(crate) fn body(
        this: &Host,
        envelope: &str,
        texts: &Array,
        first: u32,
        last: u32,
    ) -> Promise;

    /// Operations of log rows.
    pub(crate) type WalkedRows;

    /// The rows' numbers.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn rows(this: &WalkedRows) -> Vec<f64>;

    /// When the rows were written, in ms of the wall clock.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn at(this: &WalkedRows) -> Vec<f64>;

    /// Under whom: `o` the owner, `n` nobody, `u<id>` a user.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn users(this: &WalkedRows) -> String;

    /// How many operations each row has.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn counts(this: &WalkedRows) -> Vec<u32>;

    /// What the operations are: 0 put, 1 delete, 2 delete a range, 3 clear, 4 put by reference.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn kinds(this: &WalkedRows) -> Vec<u8>;

    /// The operations' key texts; those of a range are its lower and upper bound.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn lids(this: &WalkedRows) -> String;

    /// For a put about the size of its wire form; for a range its shape, see `reader`.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn numbers(this: &WalkedRows) -> Vec<u32>;

    /// The slot of the first put; the others follow one by one.
    #[wasm_bindgen(method, getter, js_name = firstSlot)]
    pub(crate) fn first_slot(this: &WalkedRows) -> u32;

    /// Records of a page.
    pub(crate) type ScannedRecords;

    /// Their key texts.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn lids(this: &ScannedRecords) -> String;

    /// The sizes of their wire forms.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn numbers(this: &ScannedRecords) -> Vec<u32>;

    /// The slot of the first; the others follow one by one.
    #[wasm_bindgen(method, getter, js_name = firstSlot)]
    pub(crate) fn first_slot(this: &ScannedRecords) -> u32;

    /// Wire forms, one after the other.
    pub(crate) type WireForms;

    /// Their bytes.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn bytes(this: &WireForms) -> Uint8Array;

    /// Where each ends; -1 for a record that is gone, -2 for a value that has no wire
    /// form, -3 for a slot that is not known.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn ends(this: &WireForms) -> Vec<f64>;

    /// Code and path of each value that has no wire form.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn refusals(this: &WireForms) -> String;
}
