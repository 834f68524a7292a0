//! Numbers: as decimal texts, and as JavaScript writes them (ECMAScript `Number::toString`, radix 10).

use crate::decimal;

/// Most digits of an integer that a double holds whatever they are.
const EXACT_DIGITS: u32 = 15;

/// Powers of ten up to this one are doubles.
const EXACT_POWER: i32 = 22;

/// The number that a decimal text says, rounded to the nearest. The text is JSON's form of a number
/// or is checked against the number's own text: what else is read here may differ by platform.
pub(crate) fn read(text: &str) -> Option<f64> {
    short(text).or_else(|| long(text))
}

/// Reads any text: where it is downloaded by the smaller way, elsewhere by the faster one.
fn long(text: &str) -> Option<f64> {
    if cfg!(target_arch = "wasm32") {
        decimal::parse(text)
    } else {
        text.parse().ok()
    }
}

/// Reads a text of few digits, for which one exact step is right. None says nothing.
fn short(text: &str) -> Option<f64> {
    let (mut digits, mut count, mut places, mut in_fraction) = (0_u64, 0, 0_i32, false);
    let mut bytes = text.bytes();
    for byte in bytes.by_ref() {
        match byte {
            b'0'..=b'9' if count < EXACT_DIGITS => {
                digits = digits * 10 + u64::from(byte - b'0');
                count += u32::from(digits > 0);
                places += i32::from(in_fraction);
            }
            b'.' if !in_fraction => in_fraction = true,
            _ => return None,
        }
    }
    if count == 0 && digits == 0 && !text.starts_with('0') || places > EXACT_POWER {
        return None;
    }
    let power = (0..places).fold(1.0, |power, _| power * 10.0);
    Some(digits as f64 / power)
}

/// The text of a number. `-0` is `0`, as in JavaScript.
pub(crate) fn to_js_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = even_digits(number, mantissa.replace('.', ""));
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", place_point(&digits, point))
}

/// Fewer digits than this tell every number of so many digits apart.
const TIED_DIGITS: usize = 15;

/// The most digits that a double has.
const DIGITS_MAX: usize = 767;

/// Of two shortest texts that are as near, JavaScript takes the even one, and Rust the greater.
fn even_digits(number: f64, digits: String) -> String {
    let Some((rest, last @ (b'1' | b'3' | b'5' | b'7' | b'9'))) = digits
        .split_at_checked(digits.len().saturating_sub(1))
        .and_then(|(rest, last)| Some((rest, *last.as_bytes().first()?)))
    else {
        return digits;
    };
    if digits.len() < TIED_DIGITS {
        return digits;
    }
    let lesser = format!("{rest}{}", char::from(last - 1));
    let exact = format!("{:.*e}", DIGITS_MAX - 1, number.abs()).replace('.', "");
    let (exact, _) = exact.split_once('e').unwrap_or((&exact, ""));
    let tie = exact.strip_prefix(&lesser);
    let is_tie = tie.is_some_and(|rest| rest.trim_end_matches('0') == "5");
    if is_tie { lesser } else { digits }
}

/// Writes `digits` with the decimal point after the first `point` of them.
fn place_point(digits: &str, point: i32) -> String {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    match point {
        _ if count <= point && point <= 21 => format!("{digits}{}", zeros(point - count)),
        1..=21 => {
            let (whole, rest) = digits.split_at(usize::try_from(point).unwrap_or_default());
            format!("{whole}.{rest}")
        }
        -5..=0 => format!("0.{}{digits}", zeros(-point)),
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{first}{dot}{rest}e{:+}", point - 1)
        }
    }
}

/// The number that has this text; other spellings of it are for the caller to refuse.
pub(crate) fn from_js_text(text: &str) -> Option<f64> {
    let number = match text {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => read(text)?,
    };
    (!number.is_nan()).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::Key;

    #[test]
    fn writes_numbers_as_javascript_does() {
        let cases = [
            (1.0, "1"),
            (-1.5, "-1.5"),
            (123_456_789.125, "123456789.125"),
            (1e20, "100000000000000000000"),
            (123e18, "123000000000000000000"),
            (1e21, "1e+21"),
            (1.25e21, "1.25e+21"),
            (0.000_001, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NEG_INFINITY, "-Infinity"),
            (8_265_333_167_053_421.0 / 4.0, "2066333291763355.2"),
            (-8_265_333_167_053_423.0 / 4.0, "-2066333291763355.8"),
            (1_125_899_906_842_623.5, "1125899906842623.5"),
        ];
        for (number, text) in cases {
            assert_eq!(to_js_text(number), text);
        }
    }

    #[test]
    fn reads_no_other_spelling() {
        for text in [
            "", "+1", "01", "1.0", "-0", "1e21", "1E+21", "inf", "NaN", "infinity", " 1",
        ] {
            let key = ["n", text].concat();
            assert!(key.parse::<Key>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(number in any::<f64>().prop_filter("a key", |n| !n.is_nan())) {
            prop_assert_eq!(from_js_text(&to_js_text(number)), Some(number));
        }

        #[test]
        fn reads_decimals_exactly(text in "(0|[1-9][0-9]{0,17})(\\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?") {
            prop_assert_eq!(read(&text), text.parse().ok());
        }
    }
}
