//! The bindings in a browser: `wasm-pack test --headless --chrome`. What they are called by, the
//! shell, is tested in `tests/browser`.

#![cfg(target_arch = "wasm32")]

mod traces;

use js_sys::{Array, Function};
use serde_json::Value;
use tidesync::{Session, on_panic};
use traces::{put_back, take_out};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const KINDS: &str = include_str!("../crates/engine/traces/kinds.json");
const SCAN: &str = include_str!("../crates/engine/traces/scan.json");
const TRACES: [&str; 7] = [
    KINDS,
    include_str!("../crates/engine/traces/outage.json"),
    include_str!("../crates/engine/traces/put.json"),
    include_str!("../crates/engine/traces/refusals.json"),
    include_str!("../crates/engine/traces/reload.json"),
    SCAN,
    include_str!("../crates/engine/traces/users.json"),
];

/// Plays a golden trace, step by step.
struct Replay {
    session: Session,
    steps: std::vec::IntoIter<Value>,
}

impl Replay {
    fn new(trace: &str) -> Self {
        let mut trace: Value = serde_json::from_str(trace).expect("JSON");
        let session = Session::new(&trace["config"].to_string());
        let steps = trace["steps"].take();
        let steps: Vec<Value> = serde_json::from_value(steps).expect("steps");
        Self {
            session: session.expect("a configuration"),
            steps: steps.into_iter(),
        }
    }

    /// Whether there was a step; it must come out as it was recorded.
    fn step(&mut self) -> bool {
        let Some(step) = self.steps.next() else {
            return false;
        };
        let (mut input, mut bytes) = (step["input"].clone(), Vec::new());
        take_out(&mut input, &mut bytes);
        let now = |clock: &str| step["now"][clock].as_f64().expect("milliseconds");
        let turn = self.session.handle(
            now("monotonic_ms"),
            now("wall_ms"),
            &input.to_string(),
            &bytes,
        );
        let turn = turn.expect("an input");
        let mut turn: Value = serde_json::from_str(&turn).expect("JSON");
        let beside = self.session.take_bytes();
        assert_eq!(turn["bytes"], beside.len());
        put_back(&mut turn["effects"], &beside);
        assert_eq!(turn["effects"], step["effects"]);
        assert_eq!(turn["timeout"], step["timeout"]["at"]);
        true
    }
}

#[wasm_bindgen_test]
fn golden_traces_come_out_as_they_were_recorded() {
    for trace in TRACES {
        let mut replay = Replay::new(trace);
        while replay.step() {}
    }
}

#[wasm_bindgen_test]
fn two_sessions_know_nothing_of_each_other() {
    let (mut one, mut other) = (Replay::new(KINDS), Replay::new(SCAN));
    while one.step() | other.step() {}
}

#[wasm_bindgen_test]
fn the_status_is_given_when_it_is_new() {
    let mut session = Session::new("{}").expect("a configuration");
    let mut turn = |input: &str| -> Value {
        let turn = session.handle(1.0, 2.0, input, &[]);
        serde_json::from_str(&turn.expect("an input")).expect("JSON")
    };
    let start = r#"{"type":"start","online":true,"visible":true,"user":"ann","enabled":null}"#;
    assert_eq!(turn(start)["status"]["userId"], "ann");
    assert_eq!(
        turn(r#"{"type":"online","online":true}"#).get("status"),
        None
    );
    let offline = turn(r#"{"type":"online","online":false}"#);
    assert_eq!(offline["status"]["isOnline"], false);
}

#[wasm_bindgen_test]
fn what_is_no_configuration_and_no_input_is_refused() {
    assert!(Session::new(r#"{"buffer":1}"#).is_err());
    let mut session = Session::new("{}").expect("a configuration");
    assert!(
        session
            .handle(1.0, 2.0, r#"{"type":"other"}"#, &[])
            .is_err()
    );
}

/// The last of this file: an instance that has panicked is at its end.
#[wasm_bindgen_test]
fn a_panic_tells_its_place_and_nothing_else() {
    let told = Array::new();
    let tell = Closure::<dyn FnMut(JsValue)>::new({
        let told = told.clone();
        move |place: JsValue| {
            told.push(&place);
        }
    });
    on_panic(tell.as_ref().clone().unchecked_into());
    let panics = Closure::<dyn FnMut()>::new(|| panic!("secret"));
    let attempt = Function::new_with_args(
        "panics",
        "try { panics() } catch { return true } return false",
    );
    let trapped = attempt.call1(&JsValue::NULL, panics.as_ref());
    assert_eq!(trapped, Ok(JsValue::TRUE));
    assert_eq!(told.length(), 1);
    let place = told.get(0).as_string().expect("a text");
    assert!(
        place.contains("tests/shell.rs") && !place.contains("secret"),
        "{place}"
    );
}
