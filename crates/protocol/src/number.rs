//! Numbers as JavaScript writes them (ECMAScript `Number::toString`, radix 10).

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
    let digits = mantissa.replace('.', "");
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", place_point(&digits, point))
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

/// The number that has exactly this text; none for `NaN` and for every other spelling.
pub(crate) fn from_js_text(text: &str) -> Option<f64> {
    let number = match text {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => text.parse::<f64>().ok()?,
    };
    (!number.is_nan() && to_js_text(number) == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            assert_eq!(from_js_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(number in any::<f64>().prop_filter("a key", |n| !n.is_nan())) {
            prop_assert_eq!(from_js_text(&to_js_text(number)), Some(number));
        }
    }
}
