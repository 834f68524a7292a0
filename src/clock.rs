//! The one place where the shell reads clocks.

use tidesync_engine::interface::Now;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// Both clocks, now.
pub(crate) fn now() -> Now {
    Now {
        monotonic_ms: whole(performance_now()),
        wall_ms: whole(js_sys::Date::now()),
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
