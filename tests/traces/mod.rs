//! The two forms of inputs and effects: with bytes as hex digits, as golden traces have them, and with
//! bytes beside the JSON, as they cross to TypeScript.

use serde_json::Value;

/// Members that are bytes where they are texts, or lists of texts; the state of `meta` is a text.
const BYTES: [&str; 3] = ["bytes", "state", "pages"];

/// Takes the bytes out of `json` and puts their places there.
pub(crate) fn take_out(json: &mut Value, bytes: &mut Vec<u8>) {
    each_bytes(json, &mut |value| {
        if let Some(digits) = value.as_str() {
            let found = decoded(digits);
            *value = serde_json::json!([bytes.len(), found.len()]);
            bytes.extend(found);
        }
    });
}

/// Puts the bytes back.
pub(crate) fn put_back(json: &mut Value, bytes: &[u8]) {
    each_bytes(json, &mut |value| {
        let place = value.as_array().expect("a place");
        let number = |at: usize| place[at].as_u64().expect("a number") as usize;
        let (offset, length) = (number(0), number(1));
        let found = &bytes[offset..offset + length];
        let digits: Vec<String> = found.iter().map(|byte| format!("{byte:02x}")).collect();
        *value = digits.concat().into();
    });
}

fn each_bytes(json: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match json {
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|each| each_bytes(each, change)),
        Value::Object(members) if members.get("type").is_some_and(|kind| kind == "meta") => {}
        Value::Object(members) => {
            for (name, value) in members {
                if name == "pages" && is_pages(value) {
                    let pages = value.as_array_mut().expect("a list");
                    pages.iter_mut().for_each(&mut *change);
                } else if BYTES.contains(&name.as_str()) && is_bytes(value) {
                    change(value);
                } else {
                    each_bytes(value, change);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Hex digits, or a place.
fn is_bytes(value: &Value) -> bool {
    value.is_string() || value.as_array().is_some_and(|place| place.len() == 2)
}

/// The pages that were read, and not those that are asked for.
fn is_pages(value: &Value) -> bool {
    let pages = value.as_array().expect("a list");
    pages.iter().all(is_bytes)
}

fn decoded(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits"))
        .collect()
}
