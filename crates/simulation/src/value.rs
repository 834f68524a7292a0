//! The app's values: every one that is written is different, so that it can be followed.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::value::RawValue;

/// The largest value that an operation may carry in these worlds, in bytes.
pub(crate) const VALUE_BYTES_MAX: u32 = 2_000;

/// What marks a record that something on the way refuses with the whole request.
pub(crate) const POISON: &str = "poison";

/// Names of fields.
const FIELDS: [&str; 6] = ["a", "b", "c", "name", "size", "é\u{1f30a}"];

/// The top-level fields of a plain object, with their wire forms.
pub(crate) type Doc = BTreeMap<String, Box<RawValue>>;

/// The fields of a wire form; none where it is not a plain object.
pub(crate) fn fields(wire: &str) -> Option<Doc> {
    serde_json::from_str(wire).ok()
}

/// The parts of a value that are followed one by one: its fields, or itself under no name.
pub(crate) fn parts(wire: &str) -> Vec<(String, String)> {
    match fields(wire) {
        Some(doc) => doc
            .into_iter()
            .map(|(name, value)| (name, value.get().to_owned()))
            .collect(),
        None => vec![(String::new(), wire.to_owned())],
    }
}

/// The wire form of an object with these fields.
pub(crate) fn object(doc: &Doc) -> Rc<str> {
    let text = serde_json::to_string(doc);
    text.expect("an object of wire forms").into()
}

/// A text that equal values share, whatever the order of their fields.
pub(crate) fn canonical(wire: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(wire);
    // Maps of serde_json are sorted by key.
    value.map_or_else(|_| wire.to_owned(), |value| value.to_string())
}

/// Makes values and field values.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    device: usize,
    made: u64,
}

impl Maker {
    pub(crate) fn new(device: usize) -> Self {
        Self { device, made: 0 }
    }

    fn token(&mut self, mark: &str) -> String {
        self.made += 1;
        format!("{mark}{}.{}", self.device, self.made)
    }

    /// A field's value that was never there before, in one of several shapes.
    pub(crate) fn field(&mut self, shape: u64, mark: &str) -> Box<RawValue> {
        let token = self.token(mark);
        let text = match shape % 5 {
            0 | 1 => format!("\"{token}\""),
            2 => format!("{{\"in\":\"{token}\"}}"),
            3 => format!("[\"{token}\",1.5,null]"),
            _ => format!("[\"~date\",{}]", 1_000_000 * self.device as u64 + self.made),
        };
        RawValue::from_string(text).expect("JSON")
    }

    /// A value that was never there before: most often an object.
    pub(crate) fn value(&mut self, shape: u64, mark: &str) -> Rc<str> {
        if shape % 23 == 7 && mark.is_empty() {
            return format!("[\"{}\"]", self.token(mark)).into();
        }
        let fields = 1 + (shape % FIELDS.len() as u64) as usize;
        let name = |name: &&str| (*name).to_owned();
        let mut doc: Doc = FIELDS[..fields]
            .iter()
            .map(|field| (name(field), self.field(shape / 7, "")))
            .collect();
        doc.insert(FIELDS[0].to_owned(), self.field(0, mark));
        object(&doc)
    }

    /// The value with one field changed, whatever it was.
    pub(crate) fn edited(&mut self, wire: &str, shape: u64) -> Rc<str> {
        let Some(mut doc) = fields(wire) else {
            return self.value(shape, "");
        };
        let field = FIELDS[(shape % FIELDS.len() as u64) as usize];
        // Now and then a field goes.
        if shape % 11 == 3 && doc.len() > 1 {
            doc.remove(field);
        } else {
            let value = self.field(shape / 7, "");
            doc.insert(field.to_owned(), value);
        }
        object(&doc)
    }

    /// One that no operation may carry.
    pub(crate) fn too_large(&mut self) -> Rc<str> {
        let token = self.token("");
        let padding = "x".repeat(VALUE_BYTES_MAX as usize);
        format!("{{\"a\":\"{token}\",\"text\":\"{padding}\"}}").into()
    }

    /// What stands for a value that has no wire form.
    pub(crate) fn unsendable(&mut self) -> Rc<str> {
        self.token("odd").into()
    }
}
