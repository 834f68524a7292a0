//! Decimal text to the nearest double, ties to even, in few instructions and without tables: the
//! standard library's is fast and a large part of what a page would download.

/// Digits that can matter: beyond them only whether anything but zeros follows.
const DIGITS_MAX: usize = 800;

/// Bits of a double's significand, and the exponent of its lowest bit at the smallest.
const SIGNIFICAND_BITS: i32 = 53;
const EXPONENT_MIN: i32 = -1074;
const EXPONENT_BIAS: i32 = 1075;
const EXPONENT_INFINITE: i32 = 2047;

/// How many powers of two are taken at once while the number is far away: what is not less than 2^63 or
/// less than 1 is not taken too far by it.
const STRIDE: i32 = 10;

/// Whole numbers of as many digits are less than 2^64.
const WHOLE_DIGITS_MAX: i32 = 19;

/// The double nearest to a text of JSON's number grammar; infinite where it is too large. None for
/// every other text.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let magnitude = magnitude(digits.as_bytes())?;
    Some(if negative { -magnitude } else { magnitude })
}

fn magnitude(text: &[u8]) -> Option<f64> {
    let mut number = Decimal::default();
    let (mut in_fraction, mut seen) = (false, false);
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                number.push(byte - b'0', in_fraction);
            }
            b'.' if !in_fraction && seen => in_fraction = true,
            b'e' | b'E' if seen => {
                number.point = number.point.saturating_add(scale(after)?);
                break;
            }
            _ => return None,
        }
        rest = after;
    }
    seen.then(|| number.nearest())
}

/// The number behind `e`.
fn scale(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let mut scale = 0_i32;
    for byte in digits {
        let digit = char::from(*byte).to_digit(10)?;
        scale = scale.saturating_mul(10).saturating_add(digit.cast_signed());
    }
    (!digits.is_empty()).then_some(if negative { -scale } else { scale })
}

fn assemble(significand: u64, binary: i32) -> f64 {
    let hidden = 1_u64 << (SIGNIFICAND_BITS - 1);
    if significand < hidden {
        return f64::from_bits(significand);
    }
    // Rounding up to the next power of two carries into the exponent by itself.
    let exponent = binary + EXPONENT_BIAS;
    if exponent + i32::from(significand >> SIGNIFICAND_BITS != 0) >= EXPONENT_INFINITE {
        return f64::INFINITY;
    }
    f64::from_bits((u64::from(exponent.unsigned_abs()) << 52) + (significand - hidden))
}

/// 0.`digits` × 10^`point`. The first digit is not zero.
#[derive(Default)]
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    /// Appends a digit as the text has it.
    fn push(&mut self, digit: u8, in_fraction: bool) {
        if self.digits.is_empty() && digit == 0 {
            self.point -= i32::from(in_fraction);
            return;
        }
        self.point += i32::from(!in_fraction);
        if self.digits.len() < DIGITS_MAX {
            self.digits.push(digit);
        } else if let Some(last) = self.digits.last_mut() {
            // A digit that is not zero makes the number more than it seems.
            *last |= u8::from(digit != 0);
        }
    }

    /// The nearest double.
    fn nearest(mut self) -> f64 {
        if self.digits.is_empty() || self.point < -330 {
            return 0.0;
        }
        if self.point > 310 {
            return f64::INFINITY;
        }
        let mut binary = 0;
        loop {
            while self.digits.last() == Some(&0) {
                self.digits.pop();
            }
            let whole = self.whole();
            if whole >> SIGNIFICAND_BITS != 0 {
                let bits = if whole == u64::MAX { STRIDE } else { 1 };
                self.divide(1 << bits);
                binary += bits;
            } else if whole >> (SIGNIFICAND_BITS - 1) == 0 && binary > EXPONENT_MIN {
                let far = whole == 0 && binary > EXPONENT_MIN + STRIDE;
                let bits = if far { STRIDE } else { 1 };
                self.multiply(1 << bits);
                binary -= bits;
            } else {
                return assemble(whole + u64::from(self.rounds_up(whole)), binary);
            }
        }
    }

    /// The digit that counts 10^-`place`, from the point on.
    fn digit(&self, place: i32) -> u8 {
        let place = usize::try_from(self.point + place).ok();
        place.map_or(0, |place| self.digits.get(place).copied().unwrap_or(0))
    }

    /// The whole part; the largest number where it is too large to matter.
    fn whole(&self) -> u64 {
        if self.point > WHOLE_DIGITS_MAX {
            return u64::MAX;
        }
        (-self.point.max(0)..0).fold(0, |whole, place| whole * 10 + u64::from(self.digit(place)))
    }

    /// Whether what is behind the whole part rounds it up: ties go to the even one.
    fn rounds_up(&self, whole: u64) -> bool {
        let more = self.digits.len() as i32 > self.point + 1;
        match self.digit(0) {
            5 => more || whole & 1 == 1,
            digit => digit > 5,
        }
    }

    fn multiply(&mut self, by: u32) {
        let mut carry = 0;
        for digit in self.digits.iter_mut().rev() {
            let product = u32::from(*digit) * by + carry;
            (carry, *digit) = (product / 10, (product % 10) as u8);
        }
        while carry > 0 {
            self.digits.insert(0, (carry % 10) as u8);
            self.point += 1;
            carry /= 10;
        }
    }

    /// Divides by a power of two: the digits come to an end.
    fn divide(&mut self, by: u32) {
        let mut rest = 0;
        for digit in &mut self.digits {
            let part = rest * 10 + u32::from(*digit);
            (rest, *digit) = (part % by, (part / by) as u8);
        }
        while rest > 0 {
            self.digits.push((rest * 10 / by) as u8);
            rest = rest * 10 % by;
        }
        while self.digits.first() == Some(&0) {
            self.digits.remove(0);
            self.point -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    #[track_caller]
    fn same_as_the_standard_library(text: &str) {
        let expected: f64 = text.parse().expect("a number");
        assert_eq!(
            parse(text).map(f64::to_bits),
            Some(expected.to_bits()),
            "{text}"
        );
    }

    #[test]
    fn ends_of_the_range_and_ties_are_exact() {
        for text in [
            "0",
            "-0",
            "0.0",
            "1",
            "10",
            "0.1",
            "123456789012345678901234567890",
            "5e-324",
            "2.4703282292062327e-324",
            "2.4703282292062328e-324",
            "2.2250738585072011e-308",
            "2.2250738585072014e-308",
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "1e400",
            "1e-400",
            "9007199254740993",
            "9007199254740992.5",
            "9007199254740993.0000000000000000000000001",
            "4503599627370496.50",
            "4503599627370497.500",
            "9223372036854775807",
            "18446744073709551615",
            "1e22",
            "1e23",
            "8.5e-9",
            "0.000001e6",
        ] {
            same_as_the_standard_library(text);
        }
        let long = ["1.", &"0".repeat(900), "1"].concat();
        same_as_the_standard_library(&long);
        let tie = ["9007199254740993.", &"0".repeat(900), "1"].concat();
        same_as_the_standard_library(&tie);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", ".5", "1.2.3", "1e", "1e+", "e5", "0x1", "NaN", "1 ", "+1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_double_is_read_back(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = format!("{number:e}");
            prop_assert_eq!(parse(&text).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn any_decimal_is_the_nearest(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?(e[+-]?[0-9]{1,3})?") {
            same_as_the_standard_library(&text);
        }
    }
}
