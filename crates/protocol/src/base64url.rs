//! Base64 with the URL alphabet and without padding (RFC 4648 section 5), in its only form: bits
//! that carry nothing are zero.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Appends the text of `bytes`.
pub(crate) fn encode(bytes: &[u8], to: &mut String) {
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let digit = bits >> (18 - 6 * place) & 63;
            to.extend(ALPHABET.get(digit as usize).copied().map(char::from));
        }
    }
}

/// The bytes of a text; none where it is not in its only form.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        let bits = chunk
            .iter()
            .try_fold(0_u32, |bits, digit| Some(bits << 6 | value(*digit)?))?;
        let bits = bits << (6 * (4 - chunk.len()));
        let [_, first, second, third] = bits.to_be_bytes();
        match (chunk.len(), second, third) {
            (4, ..) => bytes.extend([first, second, third]),
            (3, _, 0) => bytes.extend([first, second]),
            (2, 0, 0) => bytes.push(first),
            _ => return None,
        }
    }
    Some(bytes)
}

/// How many bytes a text stands for; none where it is not in its only form.
pub(crate) fn decoded_len(text: &[u8]) -> Option<usize> {
    let all_digits = text.iter().all(|digit| value(*digit).is_some());
    let tail = text.chunks(4).next_back().unwrap_or_default();
    let whole = (text.len() - tail.len()) / 4 * 3;
    all_digits.then_some(())?;
    decode(tail).map(|bytes| whole + bytes.len())
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes, &mut text);
        text
    }

    #[test]
    fn encodes_the_rfc_vectors_with_the_url_alphabet() {
        assert_eq!(text(b""), "");
        assert_eq!(text(b"f"), "Zg");
        assert_eq!(text(b"fo"), "Zm8");
        assert_eq!(text(b"foobar"), "Zm9vYmFy");
        assert_eq!(text(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn refuses_what_is_not_the_only_form() {
        for bad in ["A", "Zh", "Zm9", "Zg==", "Zm+v", "Zm 8", "AAAAA"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
            assert_eq!(decoded_len(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(bytes: Vec<u8>) {
            let text = text(&bytes);
            prop_assert_eq!(decoded_len(text.as_bytes()), Some(bytes.len()));
            prop_assert_eq!(decode(text.as_bytes()), Some(bytes));
        }
    }
}
