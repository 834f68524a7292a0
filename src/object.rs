//! Plain JavaScript objects with known fields.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

/// A new object with these fields; those that are undefined are left out.
pub(crate) fn object(fields: &[(&str, &JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        if !value.is_undefined() {
            set(&object, name, value);
        }
    }
    object.into()
}

/// Sets a field of an object that is ours.
pub(crate) fn set(object: &JsValue, name: &str, value: &JsValue) {
    let done = Reflect::set(object, &name.into(), value);
    assert!(done.is_ok(), "a plain object takes any field");
}

/// A field; undefined where there is none or `object` is not an object.
pub(crate) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}
