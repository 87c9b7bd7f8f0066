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

/// A number, and how it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number<'a> {
    pub(super) value: FieldValueRef<'a>,
    /// The bytes that it takes.
    pub(super) length: usize,
    /// Whether it is certain that the same digits would be written for it in the canonical form.
    pub(super) is_canonical: bool,
}

/// Up to this many digits, a decimal number is the shortest one for its float, if it does not end with a zero: no two
/// of them are the same float.
const DISTINCT: u64 = 1_000_000_000_000_000;

/// The number that `text` starts with, if it is one that every dialect reads alike: `-?[0-9]+i`, `[0-9]+u` or a finite `-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?`.
#[inline(always)]
pub(super) fn common<'a>(text: &'a [u8]) -> Option<Number<'a>> {
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
    let plain_start = whole == 1 || digits.first() != Some(&b'0');
    let mut fraction = 0;
    match after.first() {
        Some(b'i') => {
            // Nineteen digits may be beyond 64 bits with a sign, but not beyond 64 bits.
            let value = i64::try_from(mantissa).ok().filter(|_| whole <= 19)?;
            let value = if negative { -value } else { value };
            let is_canonical = plain_start && !(negative && value == 0);
            return Some(Number {
                value: FieldValueRef::Integer(value),
                length: sign + whole + 1,
                is_canonical,
            });
        }
        Some(b'u') if !negative => {
            let value = FieldValueRef::Unsigned(unsigned(text.get(..whole)?).ok()?);
            return Some(Number { value, length: whole + 1, is_canonical: plain_start });
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
    let is_canonical = plain_start
        && exponent == 0
        && whole + fraction <= 19
        && mantissa < DISTINCT
        && (fraction == 0 || number.last() != Some(&b'0'));
    Some(Number { value: FieldValueRef::Float(value), length: number.len(), is_canonical })
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
    use proptest::prelude::*;

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

    /// What is written for a number.
    fn written(value: FieldValueRef<'_>) -> String {
        match value {
            FieldValueRef::Float(value) => value.to_string(),
            FieldValueRef::Integer(value) => format!("{value}i"),
            FieldValueRef::Unsigned(value) => format!("{value}u"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ordinary_numbers_are_known_to_be_canonical_and_others_are_not() {
        let known =
            ["0", "-0", "0.5", "-12.25", "100", "123456789012345", "0.00000000000001", "7i", "-7i", "0u"];
        let unknown = [
            "00",
            "-0i",
            "1.0",
            "0.50",
            "01.5",
            "007i",
            "00u",
            "1e5",
            "1234567890123456",
            "0.1234567890123456",
        ];
        for (texts, expected) in [(&known, true), (&unknown, false)] {
            for text in texts {
                assert_eq!(common(text.as_bytes()).unwrap().is_canonical, expected, "{text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_called_canonical_is_what_would_be_written(
            text in "-?(0{0,3}[0-9]{1,20}|[0-9]{1,16}|9{14,16})(\\.(0{0,12}[0-9]{1,20}|[0-9]{1,6}))?(i|u|e1)?"
        ) {
            if let Some(number) = common(text.as_bytes()).filter(|number| number.is_canonical) {
                prop_assert_eq!(written(number.value), &text[..number.length]);
            }
        }
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
            let number = common(text.as_bytes()).unwrap();
            assert_eq!((number.value, number.length), (expected, text.len()), "{text}");
        }
        let found = |text: &'static str| common(text.as_bytes()).map(|number| (number.value, number.length));
        assert_eq!(found("-12i,"), Some((FieldValueRef::Integer(-12), 4)));
        assert_eq!(found("18446744073709551615u"), Some((FieldValueRef::Unsigned(u64::MAX), 21)));
        for other in ["1.", ".5", "-", "-1u", "1e", "1e999", "9223372036854775808i", "i"] {
            assert!(common(other.as_bytes()).is_none_or(|number| number.length < other.len()), "{other}");
        }
    }
}
