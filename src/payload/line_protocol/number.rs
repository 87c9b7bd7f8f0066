//! Decimal numbers.

use super::point_ref::FieldValueRef;
use super::swar;

/// Why text is no integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntegerFault {
    /// Something other than digits, after a minus sign where one is allowed.
    Syntax,
    /// More than 64 bits.
    Range,
}

/// An integer: `-?[0-9]+`.
pub(super) fn integer(text: &[u8]) -> Result<i64, IntegerFault> {
    let Some(digits) = text.strip_prefix(b"-") else {
        return i64::try_from(unsigned(text)?).map_err(|_| IntegerFault::Range);
    };
    0_i64.checked_sub_unsigned(unsigned(digits)?).ok_or(IntegerFault::Range)
}

/// An unsigned integer: `[0-9]+`.
pub(super) fn unsigned(digits: &[u8]) -> Result<u64, IntegerFault> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(IntegerFault::Syntax);
    }
    let add = |value: u64, digit: &u8| value.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    digits.iter().try_fold(0, add).ok_or(IntegerFault::Range)
}

/// A float: `-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?`, infinite when it is beyond the range of
/// `f64`.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let starts_well = unsigned.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    let allowed = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    if !starts_well || !unsigned.iter().all(allowed) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The powers of ten below 2^64.
const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut rest: &mut [u64] = &mut powers;
    let mut power = 1;
    while let Some((first, after)) = rest.split_first_mut() {
        *first = power;
        power = power.wrapping_mul(10);
        rest = after;
    }
    powers
};

/// The powers of ten that `f64` holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The number that `text` starts with, and the bytes that it takes, if it is one that every dialect reads
/// alike: `-?[0-9]+i`, `[0-9]+u` or a finite `-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?`.
#[inline(always)]
pub(super) fn common<'a>(text: &'a [u8]) -> Option<(FieldValueRef<'a>, usize)> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let sign = usize::from(negative);
    let (mut mantissa, whole) = swar::digits(digits);
    if whole == 0 {
        return None;
    }
    let after = digits.get(whole..)?;
    let mut fraction = 0;
    match after.first() {
        Some(b'i') => {
            // Nineteen digits may be beyond 64 bits with a sign, but not beyond 64 bits.
            let value = i64::try_from(mantissa).ok().filter(|_| whole <= 19)?;
            let value = if negative { -value } else { value };
            return Some((FieldValueRef::Integer(value), sign + whole + 1));
        }
        Some(b'u') if !negative => {
            return Some((FieldValueRef::Unsigned(unsigned(text.get(..whole)?).ok()?), whole + 1));
        }
        Some(b'.') => {
            let (digits, count) = swar::digits(after.get(1..)?);
            if count == 0 {
                return None;
            }
            fraction = count;
            mantissa = mantissa.wrapping_mul(POWERS.get(count).copied().unwrap_or(0)).wrapping_add(digits);
        }
        _ => {}
    }
    let length = sign + whole + if fraction == 0 { 0 } else { fraction + 1 };
    let exponent = exponent_length(text.get(length..)?)?;
    let number = text.get(..length + exponent)?;
    let value = match (exponent, EXACT_POWERS.get(fraction)) {
        // Both are exact, so that their quotient is the nearest float.
        (0, Some(power)) if whole + fraction <= 19 && mantissa <= 1 << 53 => {
            let value = mantissa as f64 / power;
            if negative { -value } else { value }
        }
        _ => std::str::from_utf8(number).ok()?.parse().ok().filter(|value: &f64| value.is_finite())?,
    };
    Some((FieldValueRef::Float(value), number.len()))
}

/// How many bytes of an exponent `text` starts with, perhaps none; `None` for half an exponent.
fn exponent_length(text: &[u8]) -> Option<usize> {
    let Some((b'e' | b'E', rest)) = text.split_first() else { return Some(0) };
    let digits = rest.strip_prefix(b"-").or(rest.strip_prefix(b"+")).unwrap_or(rest);
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| text.len() - digits.len() + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_exact_bounds() {
        assert_eq!(integer(b"9223372036854775807"), Ok(i64::MAX));
        assert_eq!(integer(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer(b"-0009223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer(b"9223372036854775808"), Err(IntegerFault::Range));
        assert_eq!(integer(b"-9223372036854775809"), Err(IntegerFault::Range));
        assert_eq!(unsigned(b"18446744073709551616"), Err(IntegerFault::Range));
        for bad in ["", "-", "--1", "+1", "1.0", "1 ", "0x1"] {
            assert_eq!(integer(bad.as_bytes()), Err(IntegerFault::Syntax), "{bad}");
        }
    }

    #[test]
    fn floats_follow_the_grammar() {
        for good in ["1", "1.", ".5", "-1.5", "1e5", "1.e5", ".5E-3", "00.10e+01"] {
            assert_eq!(float(good.as_bytes()), good.parse().ok(), "{good}");
        }
        for bad in
            ["", "-", ".", "-.", "e5", ".e5", "1e", "1e+", "1.1.1", "+1", "--1", "inf", "nan", "1_0", "0x1p1"]
        {
            assert_eq!(float(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(float(b"-1e400"), Some(f64::NEG_INFINITY));
    }

    #[test]
    fn common_numbers_are_those_of_the_exact_readers() {
        for text in [
            "0",
            "-0",
            "25.3",
            "0.1",
            "-17.25",
            "9007199254740993",
            "1e22",
            "3.14159265358979323846264338327950288",
        ] {
            let expected = FieldValueRef::Float(text.parse().unwrap());
            assert_eq!(common(text.as_bytes()), Some((expected, text.len())), "{text}");
        }
        assert_eq!(common(b"-12i,"), Some((FieldValueRef::Integer(-12), 4)));
        assert_eq!(common(b"18446744073709551615u"), Some((FieldValueRef::Unsigned(u64::MAX), 21)));
        for other in ["1.", ".5", "-", "-1u", "1e", "1e999", "9223372036854775808i", "i"] {
            assert!(
                !matches!(common(other.as_bytes()), Some((_, length)) if length == other.len()),
                "{other}"
            );
        }
    }
}
