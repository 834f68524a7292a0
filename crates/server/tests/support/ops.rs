//! Operations and pushes as a client makes them.

use serde_json::{Value, json};
use tidesync_protocol::hash::{Content, FieldHasher, PUBLIC_KEY, hash_text, op_hash};
use tidesync_protocol::hlc::Hlc;
use tidesync_protocol::wire::{OpKind, PROTOCOL};

/// A client id made of one letter.
pub(crate) fn client(letter: char) -> String {
    std::iter::repeat_n(letter, 22).collect()
}

/// A put in the table `files`.
pub(crate) fn put(op: &str, rid: &str, value: &Value) -> Value {
    sealed(json!({ "op": op, "table": "files", "rid": rid, "kind": "put", "value": value }))
}

/// A patch in the table `files`.
pub(crate) fn patch(op: &str, rid: &str, set: &Value, unset: &[&str]) -> Value {
    sealed(json!({
        "op": op, "table": "files", "rid": rid, "kind": "patch", "set": set, "unset": unset
    }))
}

/// A delete in the table `files`.
pub(crate) fn delete(op: &str, rid: &str) -> Value {
    sealed(json!({ "op": op, "table": "files", "rid": rid, "kind": "delete" }))
}

/// The same operation on a version of its record, at a time in milliseconds since 1970.
pub(crate) fn on(base: u64, at_ms: u64, mut op: Value) -> Value {
    op["base"] = json!(base);
    op["hlc"] = json!(Hlc::at(at_ms).to_string());
    sealed(op)
}

/// The same operation, resolved in this way where it meets a conflict.
pub(crate) fn resolved_by(on_conflict: &str, mut op: Value) -> Value {
    op["onConflict"] = json!(on_conflict);
    op
}

/// `op` with what it lacks of the common parts, and with the hash of its content.
pub(crate) fn sealed(mut op: Value) -> Value {
    let common = json!({ "space": "~", "base": 0, "hlc": "0190000000000000" });
    for (name, value) in common.as_object().expect("an object") {
        if op.get(name).is_none() {
            op[name] = value.clone();
        }
    }
    op["hash"] = Value::from(hash_text(hash(&op)));
    op
}

fn hash(op: &Value) -> u64 {
    let text = |name: &str| op[name].as_str().expect("a string");
    let base = op["base"].as_u64().expect("a version");
    let kind: OpKind = serde_json::from_value(op["kind"].clone()).expect("a kind");
    let mut hasher = FieldHasher::new(PUBLIC_KEY);
    match kind {
        OpKind::Put => {
            let value = op["value"].to_string();
            let fields = hasher.field_hashes(value.as_bytes()).expect("a wire value");
            op_hash(text("table"), text("rid"), base, Content::Put(&fields))
        }
        OpKind::Patch => {
            let set: Vec<(String, u64)> = op["set"]
                .as_object()
                .expect("an object")
                .iter()
                .map(|(name, value)| {
                    let digest = hasher.field_digest(value.to_string().as_bytes());
                    (name.clone(), digest.expect("a wire value"))
                })
                .collect();
            let mut set: Vec<(&str, u64)> = set
                .iter()
                .map(|(name, digest)| (name.as_str(), *digest))
                .collect();
            set.sort_unstable();
            let unset: Vec<String> =
                serde_json::from_value(op["unset"].clone()).expect("field names");
            let mut unset: Vec<&str> = unset.iter().map(String::as_str).collect();
            unset.sort_unstable();
            let content = Content::Patch {
                set: &set,
                unset: &unset,
            };
            op_hash(text("table"), text("rid"), base, content)
        }
        OpKind::Delete => op_hash(text("table"), text("rid"), base, Content::Delete),
    }
}

/// The body of a push.
pub(crate) fn push(client: &str, subject: &str, batch: &str, ops: &[Value]) -> Vec<u8> {
    let push = json!({
        "protocol": PROTOCOL, "client": client, "subject": subject, "batch": batch, "ops": ops
    });
    push.to_string().into_bytes()
}
