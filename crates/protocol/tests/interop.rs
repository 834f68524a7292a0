//! What JavaScript and Rust read in the same texts (SEC28): every text that Rust takes means the same
//! in JavaScript. The TypeScript tests read the same vectors.

use serde::Deserialize;
use tidesync_protocol::canonical::canonical_bytes;

#[derive(Deserialize)]
struct Vectors {
    same: Vec<Same>,
    refused: Vec<Refused>,
    numbers: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Same {
    name: String,
    text: String,
    canonical: String,
}

/// Bytes as they stand, or a text so many times.
#[derive(Deserialize)]
struct Refused {
    name: String,
    #[serde(default)]
    hex: String,
    repeat: Option<(String, usize)>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/interop.json")).expect("vectors")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn takes_what_javascript_takes_for_the_same_value() {
    for Same {
        name,
        text,
        canonical,
    } in vectors().same
    {
        let read = canonical_bytes(text.as_bytes()).map(|bytes| hex(&bytes));
        assert_eq!(read, Ok(canonical), "{name}");
    }
}

#[test]
fn reads_numbers_as_javascript_does() {
    for (text, bits) in vectors().numbers {
        let read = canonical_bytes(text.as_bytes()).map(|bytes| hex(&bytes));
        assert_eq!(read, Ok(format!("04{bits}")), "{text}");
    }
}

#[test]
fn refuses_what_could_be_read_in_two_ways() {
    for Refused { name, hex, repeat } in vectors().refused {
        let bytes = repeat.map_or_else(
            || bytes(&hex),
            |(text, count)| text.repeat(count).into_bytes(),
        );
        assert!(canonical_bytes(&bytes).is_err(), "{name}");
    }
}
