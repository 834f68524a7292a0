//! Says what Rust makes of texts, for tests that compare it with a browser. Texts come on standard
//! input, U+0000 after each.
//!
//! ```text
//! judge keys     of each two keys one letter: L, E or G for less, equal, greater; X for no key
//! judge values   of each text a line: its canonical bytes in hex, or nothing where it is refused
//! ```

use std::cmp::Ordering;
use std::error::Error;
use std::io::{BufWriter, Read, Write};

use tidesync_protocol::canonical::canonical_bytes;
use tidesync_protocol::key::Key;

fn main() -> Result<(), Box<dyn Error>> {
    let what = std::env::args().nth(1);
    let mut input = Vec::new();
    std::io::stdin().lock().read_to_end(&mut input)?;
    let texts: Vec<&[u8]> = input.split_inclusive(|byte| *byte == 0).collect();
    let texts = texts.iter().filter_map(|text| text.strip_suffix(&[0]));
    let mut out = BufWriter::new(std::io::stdout().lock());
    match what.as_deref() {
        Some("keys") => {
            let texts: Vec<&[u8]> = texts.collect();
            for pair in texts.chunks_exact(2) {
                out.write_all(&[judge_keys(pair)])?;
            }
        }
        Some("values") => {
            for text in texts {
                for byte in canonical_bytes(text).unwrap_or_default() {
                    write!(out, "{byte:02x}")?;
                }
                writeln!(out)?;
            }
        }
        _ => return Err("usage: judge keys|values".into()),
    }
    out.flush()?;
    Ok(())
}

fn judge_keys(pair: &[&[u8]]) -> u8 {
    let keys: Option<Vec<Key>> = pair
        .iter()
        .map(|text| std::str::from_utf8(text).ok()?.parse().ok())
        .collect();
    match keys.as_deref() {
        Some([one, other]) => match one.cmp(other) {
            Ordering::Less => b'L',
            Ordering::Equal => b'E',
            Ordering::Greater => b'G',
        },
        _ => b'X',
    }
}
