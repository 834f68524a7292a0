//! Decimal text to the nearest double, ties to even, in few instructions and without tables: the
//! standard library's is fast and a large part of what a page would download.

use std::cmp::Ordering;

/// Digits that can matter: beyond them only whether anything but zeros follows.
const DIGITS_MAX: usize = 800;

/// Bits of a double's significand, and the exponent of its lowest bit at the smallest.
const SIGNIFICAND_BITS: i32 = 53;
const EXPONENT_MIN: i32 = -1074;
const EXPONENT_BIAS: i32 = 1075;
const EXPONENT_INFINITE: i32 = 2047;

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
    let (mut number, mut taken, mut exponent, mut seen) = (Big::default(), 0, 0_i32, 0);
    let mut rest = text;
    let mut in_fraction = false;
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'0'..=b'9' => {
                seen += 1;
                if taken < DIGITS_MAX {
                    number.multiply_add(10, u32::from(byte - b'0'));
                    taken += usize::from(!number.is_zero());
                    exponent -= i32::from(in_fraction);
                } else {
                    // A digit that is not zero makes the number more than it seems.
                    number.set_lowest(*byte != b'0');
                    exponent += i32::from(!in_fraction);
                }
            }
            b'.' if !in_fraction && seen > 0 => in_fraction = true,
            b'e' | b'E' if seen > 0 => {
                exponent = exponent.saturating_add(scale(after)?);
                break;
            }
            _ => return None,
        }
        rest = after;
    }
    (seen > 0).then(|| nearest(number, taken, exponent))
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

/// The double nearest to `number` × 10^`exponent`, where `number` has `digits` digits.
fn nearest(number: Big, digits: usize, exponent: i32) -> f64 {
    let places = i32::try_from(digits).unwrap_or(i32::MAX);
    let magnitude = exponent.saturating_add(places);
    if number.is_zero() || magnitude < -330 {
        return 0.0;
    }
    if magnitude > 310 {
        return f64::INFINITY;
    }
    let (mut above, mut below) = (number, Big::one());
    if exponent < 0 {
        below.raise(exponent.unsigned_abs());
    } else {
        above.raise(exponent.unsigned_abs());
    }
    let mut binary = (above.bits() - below.bits() - SIGNIFICAND_BITS).max(EXPONENT_MIN);
    loop {
        let (quotient, up) = divide(&above, &below, binary);
        if quotient >> SIGNIFICAND_BITS == 0 {
            return assemble(quotient + u64::from(up), binary);
        }
        binary += 1;
    }
}

/// `above` / (`below` × 2^`binary`): whole, and whether to round up.
fn divide(above: &Big, below: &Big, binary: i32) -> (u64, bool) {
    let (mut rest, mut by) = (above.clone(), below.clone());
    if binary < 0 {
        rest.shift_left(binary.unsigned_abs());
    } else {
        by.shift_left(binary.unsigned_abs());
    }
    let mut quotient = 0_u64;
    for bit in (0..=SIGNIFICAND_BITS.unsigned_abs()).rev() {
        let mut part = by.clone();
        part.shift_left(bit);
        if rest.compare(&part) != Ordering::Less {
            rest.subtract(&part);
            quotient |= 1 << bit;
        }
    }
    rest.shift_left(1);
    let up = match rest.compare(&by) {
        Ordering::Less => false,
        Ordering::Equal => quotient & 1 == 1,
        Ordering::Greater => true,
    };
    (quotient, up)
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

/// A whole number of any size, lowest part first, without zeros at the end.
#[derive(Clone, Default)]
struct Big(Vec<u32>);

impl Big {
    fn one() -> Self {
        Self(vec![1])
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> i32 {
        let last = self.0.last().map_or(0, |part| 32 - part.leading_zeros());
        let below = self.0.len().saturating_sub(1) * 32;
        i32::try_from(below).unwrap_or(i32::MAX) + last.cast_signed()
    }

    fn set_lowest(&mut self, set: bool) {
        if let Some(part) = self.0.first_mut() {
            *part |= u32::from(set);
        }
    }

    fn multiply_add(&mut self, by: u32, add: u32) {
        let mut carry = u64::from(add);
        for part in &mut self.0 {
            let sum = u64::from(*part) * u64::from(by) + carry;
            *part = low(sum);
            carry = sum >> 32;
        }
        if carry > 0 {
            self.0.push(low(carry));
        }
    }

    /// Multiplies by 10^`power`.
    fn raise(&mut self, power: u32) {
        for _ in 0..power {
            self.multiply_add(10, 0);
        }
    }

    fn shift_left(&mut self, bits: u32) {
        if self.is_zero() {
            return;
        }
        self.multiply_add(1 << (bits % 32), 0);
        let whole = (bits / 32) as usize;
        self.0.splice(0..0, std::iter::repeat_n(0, whole));
    }

    fn compare(&self, other: &Self) -> Ordering {
        let lengths = self.0.len().cmp(&other.0.len());
        lengths.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// Takes away what is not more.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (at, part) in self.0.iter_mut().enumerate() {
            let less = other.0.get(at).copied().unwrap_or(0);
            let (once, first) = part.overflowing_sub(less);
            let (twice, second) = once.overflowing_sub(u32::from(borrow));
            *part = twice;
            borrow = first || second;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

/// The low half.
fn low(number: u64) -> u32 {
    (number & u64::from(u32::MAX)) as u32
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
