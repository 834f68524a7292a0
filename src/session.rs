//! An engine that TypeScript drives.

use std::panic;

use tidesync_engine::{Config, Engine, RecordState, interface::Now};
use tidesync_protocol::json::ObjectWriter;
use wasm_bindgen::{JsError, prelude::wasm_bindgen};

use crate::codec::{Effects, read_input, read_names};

#[wasm_bindgen]
extern "C" {
    /// What is told of a panic.
    #[wasm_bindgen(typescript_type = "(place: string) => void")]
    pub type PanicListener;

    #[wasm_bindgen(method)]
    fn call(this: &PanicListener, receiver: &PanicListener, place: &str);
}

/// Sets what is called when the engine panics, with the place in the source: the instance and all
/// its sessions are dead from then on.
///
/// The place and nothing of what was there: a panic's message might quote user data.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(listener: PanicListener) {
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        listener.call(&listener, &place);
    }));
}

/// A running engine for one database.
#[wasm_bindgen]
pub struct Session {
    engine: Engine,
    /// What stands beside the effects of the last turn.
    bytes: Vec<u8>,
    /// The status that was given last.
    status: String,
}

#[wasm_bindgen]
impl Session {
    /// An engine that has not started.
    ///
    /// `config` is the engine's configuration as JSON.
    ///
    /// # Errors
    /// When the configuration is not of its form; the message names the field.
    #[wasm_bindgen(constructor)]
    pub fn new(config: &str) -> Result<Self, JsError> {
        let config = Config::from_json(config).map_err(|error| JsError::new(&error.to_string()))?;
        Ok(Self {
            engine: Engine::new(config),
            bytes: Vec::new(),
            status: String::new(),
        })
    }

    /// Hands over an input, with the bytes that stand beside it, and gives what is to be done:
    /// `{"effects":[…],"bytes":<how many stand beside them>,"timeout":<when, on the monotonic clock,
    /// or null>,"status":{…}}`. The status is left out while it is the same as before.
    ///
    /// # Errors
    /// When the input is not of its form, which is a defect of the caller.
    pub fn handle(
        &mut self,
        monotonic_ms: f64,
        wall_ms: f64,
        input: &str,
        bytes: &[u8],
    ) -> Result<String, JsError> {
        let input = read_input(input, bytes).ok_or_else(|| JsError::new("not an input"))?;
        let now = Now {
            monotonic_ms: whole(monotonic_ms),
            wall_ms: whole(wall_ms),
        };
        self.engine.handle_input(now, input);
        let mut effects = Effects::default();
        while let Some(effect) = self.engine.poll_effect() {
            effects.push(&effect);
        }
        let (effects, bytes) = effects.finish();
        self.bytes = bytes;
        Ok(self.turn(now, &effects))
    }

    /// The bytes that stand beside the last turn's effects; they are given once.
    #[wasm_bindgen(js_name = takeBytes)]
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// How far records are on their way: `["<table>","<local text form>",…]` in, and out a word for
    /// each, with commas between them; no word before the database was read.
    ///
    /// # Errors
    /// When `names` is not of its form, which is a defect of the caller.
    #[wasm_bindgen(js_name = recordStates)]
    pub fn record_states(&self, names: &str) -> Result<String, JsError> {
        let names = read_names(names).ok_or_else(|| JsError::new("not names of records"))?;
        let mut states = String::new();
        for (at, (table, lid)) in names.iter().enumerate() {
            if at > 0 {
                states.push(',');
            }
            let state = self.engine.record_state(table, lid);
            states.push_str(state.map_or("", RecordState::name));
        }
        Ok(states)
    }

    fn turn(&mut self, now: Now, effects: &str) -> String {
        let mut turn = ObjectWriter::default();
        turn.json("effects", effects);
        turn.whole("bytes", self.bytes.len() as u64);
        match self.engine.poll_timeout() {
            Some((at_ms, _)) => turn.whole("timeout", at_ms),
            None => turn.optional("timeout", None),
        };
        let status = self.engine.status(now).to_json();
        if status != self.status {
            turn.json("status", &status);
            self.status = status;
        }
        turn.finish()
    }
}

/// Milliseconds are far below 2^53 and never negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits"
)]
fn whole(ms: f64) -> u64 {
    ms.max(0.0) as u64
}
