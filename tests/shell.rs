//! The browser shell over a real IndexedDB: `wasm-pack test --headless --chrome`.

#![cfg(target_arch = "wasm32")]

use js_sys::{Array, Promise, Reflect};
use rexie::{ObjectStore, Rexie, TransactionMode};
use tidesync::Session;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/tests/host.js")]
extern "C" {
    #[wasm_bindgen(js_name = makeHost)]
    fn make_host(token: JsValue) -> JsValue;
    #[wasm_bindgen(js_name = untilNeedsAuth)]
    fn until_needs_auth(host: &JsValue) -> Promise;
    #[wasm_bindgen(js_name = untilInitialized)]
    fn until_initialized(host: &JsValue) -> Promise;
    #[wasm_bindgen(js_name = untilClosed)]
    fn until_closed(host: &JsValue) -> Promise;
    #[wasm_bindgen(js_name = firstOutcome)]
    fn first_outcome(host: &JsValue) -> Promise;
    #[wasm_bindgen(js_name = lastErrorCode)]
    fn last_error_code(host: &JsValue) -> JsValue;
}

/// Nothing listens on the discard port.
const NO_SERVER: &str = "http://127.0.0.1:9";

const LOG: &str = "tidesync.log.notes";
const STAGED: &str = "tidesync.staged";
const META: &str = "tidesync.meta";

/// A database as `installTidesync` leaves it, with one captured change of user `ann`.
async fn database(name: &str) -> Rexie {
    Rexie::delete(name).await.expect("deleted");
    let rexie = Rexie::builder(name)
        .version(1)
        .add_object_store(ObjectStore::new("notes"))
        .add_object_store(ObjectStore::new(LOG).key_path("row").auto_increment(true))
        .add_object_store(ObjectStore::new(STAGED))
        .add_object_store(ObjectStore::new("tidesync.held"))
        .add_object_store(ObjectStore::new("tidesync.shadow"))
        .add_object_store(ObjectStore::new(META))
        .build()
        .await
        .expect("opened");
    let row = js_sys::JSON::parse(
        r#"{"v":1,"at":5,"user":"ann","inc":"page","ops":[0,"a",7],"json":"{\"n\":1}"}"#,
    )
    .expect("valid JSON");
    let transaction = rexie
        .transaction(&[LOG], TransactionMode::ReadWrite)
        .expect("begun");
    transaction
        .store(LOG)
        .expect("there")
        .put(&row, None)
        .await
        .expect("put");
    transaction.commit().await.expect("committed");
    rexie
}

async fn all(rexie: &Rexie, store: &str) -> Vec<JsValue> {
    let transaction = rexie
        .transaction(&[store], TransactionMode::ReadOnly)
        .expect("begun");
    transaction
        .store(store)
        .expect("there")
        .get_all(None, None)
        .await
        .expect("read")
}

fn session(name: &str, host: &JsValue) -> Session {
    let host = host.clone().unchecked_into();
    Session::new(name.to_owned(), NO_SERVER, "{}", host).expect("a configuration")
}

fn start(session: &Session) {
    session.start(true, true, Some("ann".to_owned()), None);
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).expect("an object")
}

async fn wait(promise: Promise) -> JsValue {
    JsFuture::from(promise).await.expect("resolved")
}

#[wasm_bindgen_test]
async fn a_captured_change_is_staged_in_the_transaction_that_consumes_its_log_row() {
    let rexie = database("staging").await;
    let host = make_host(JsValue::NULL);
    let session = session("staging", &host);
    start(&session);
    session.force_sync(1.0);
    assert_eq!(wait(first_outcome(&host)).await, JsValue::FALSE);
    wait(until_needs_auth(&host)).await;
    assert!(all(&rexie, LOG).await.is_empty());
    let staged = all(&rexie, STAGED).await;
    assert_eq!(staged.len(), 1);
    let texts: Array = field(&staged[0], "texts").unchecked_into();
    let text = texts.get(0).as_string().expect("a text");
    assert!(text.contains(r#""rid":"sa""#), "{text}");
    assert!(text.ends_with(r#""value":{"n":1}}"#), "{text}");
    session.stop();
    rexie.close();
}

#[wasm_bindgen_test]
async fn a_late_leader_writes_nothing() {
    let rexie = database("fencing").await;
    let late_host = make_host(JsValue::NULL);
    let late = session("fencing", &late_host);
    start(&late);
    wait(until_initialized(&late_host)).await;

    let host = make_host(JsValue::NULL);
    let leader = session("fencing", &host);
    start(&leader);
    wait(until_initialized(&host)).await;
    let fence = field(&all(&rexie, META).await[0], "fence");

    late.force_sync(1.0);
    wait(until_closed(&late_host)).await;
    assert_eq!(
        all(&rexie, LOG).await.len(),
        1,
        "the late leader consumed the log"
    );
    assert!(all(&rexie, STAGED).await.is_empty());
    assert_eq!(field(&all(&rexie, META).await[0], "fence"), fence);
    leader.stop();
    rexie.close();
}

#[wasm_bindgen_test]
async fn what_a_failed_push_leaves_is_sent_as_it_was_by_the_next_leader() {
    let rexie = database("resending").await;
    let host = make_host("token".into());
    let first = session("resending", &host);
    start(&first);
    first.force_sync(1.0);
    assert_eq!(wait(first_outcome(&host)).await, JsValue::FALSE);
    let staged = js_sys::JSON::stringify(&all(&rexie, STAGED).await[0]).expect("a text");
    first.stop();

    let host = make_host("token".into());
    let next = session("resending", &host);
    start(&next);
    next.force_sync(1.0);
    assert_eq!(wait(first_outcome(&host)).await, JsValue::FALSE);
    let again = js_sys::JSON::stringify(&all(&rexie, STAGED).await[0]).expect("a text");
    assert_eq!(again, staged);
    assert_eq!(last_error_code(&host), "network");
    next.stop();
    rexie.close();
}

#[wasm_bindgen_test]
async fn a_closed_connection_blocks_no_upgrade() {
    let rexie = database("upgrading").await;
    let host = make_host(JsValue::NULL);
    let session = session("upgrading", &host);
    start(&session);
    wait(until_initialized(&host)).await;
    session.stop();
    rexie.close();
    let upgraded = Rexie::builder("upgrading")
        .version(2)
        .build()
        .await
        .expect("upgraded");
    assert_eq!(upgraded.version().expect("a version"), 2);
    upgraded.close();
}

#[wasm_bindgen_test]
fn a_configuration_that_is_not_one_is_refused() {
    let host = make_host(JsValue::NULL).unchecked_into();
    assert!(Session::new("x".to_owned(), NO_SERVER, r#"{"buffer":1}"#, host).is_err());
}
