//! The query of an address, as the server reads it.

use std::collections::BTreeMap;

/// The parts of a query, unescaped.
pub(crate) fn parts(text: &str) -> BTreeMap<String, String> {
    let parts = text.split('&').filter_map(|part| part.split_once('='));
    let parts = parts.map(|(name, value)| (name.to_owned(), unescaped(value)));
    parts.collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = (*first == b'%').then(|| behind.get(..2)).flatten();
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).expect("a query in UTF-8")
}
