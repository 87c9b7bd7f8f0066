//! Floats as Go's `strconv.ParseFloat` reads them: also in hexadecimal, and with underscores between digits.

use super::number;

/// The float that `text` is; infinite when it is beyond the range of `f64`. The names of infinities and
/// not-a-number are not floats here: no dialect takes them.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    let hexadecimal = matches!(digits, [b'0', b'x' | b'X', ..]);
    if !hexadecimal && !digits.contains(&b'_') {
        return number::float(text);
    }
    if digits.starts_with(b"-") || !underscores_separate_digits(digits, hexadecimal) {
        return None;
    }
    let digits: Vec<u8> = digits.iter().copied().filter(|&byte| byte != b'_').collect();
    let value = if hexadecimal { hexadecimal_float(digits.get(2..)?)? } else { number::float(&digits)? };
    Some(if negative { -value } else { value })
}

/// Whether each underscore stands between two digits, or between the prefix `0x` and a digit.
fn underscores_separate_digits(digits: &[u8], hexadecimal: bool) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (hexadecimal && byte.is_ascii_hexdigit());
    digits.iter().enumerate().filter(|(_, byte)| **byte == b'_').all(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| digits.get(before));
        let after_prefix = hexadecimal && at == 2;
        before.is_some_and(|byte| is_digit(byte) || after_prefix) && digits.get(at + 1).is_some_and(is_digit)
    })
}

/// A hexadecimal float without sign and prefix: hexadecimal digits with at most one point, then a binary
/// exponent.
fn hexadecimal_float(text: &[u8]) -> Option<f64> {
    let split = text.iter().position(|byte| matches!(byte, b'p' | b'P'))?;
    let (mantissa, exponent) = (text.get(..split)?, text.get(split + 1..)?);
    let mut bits: u64 = 0;
    let mut exponent = binary_exponent(exponent)?;
    let mut point = false;
    let mut any = false;
    for byte in mantissa {
        let Some(digit) = char::from(*byte).to_digit(16) else {
            if *byte != b'.' || point {
                return None;
            }
            point = true;
            continue;
        };
        any = true;
        if bits >> 60 == 0 {
            bits = bits << 4 | u64::from(digit);
            exponent -= if point { 4 } else { 0 };
        } else {
            // Past 60 bits a digit decides only whether the value lies above a tie.
            bits |= u64::from(digit != 0);
            exponent += if point { 0 } else { 4 };
        }
    }
    any.then(|| scale(bits, exponent))
}

/// The exponent `[+-]?[0-9]+`, cut to a range that is far beyond what `f64` holds.
fn binary_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, text),
    };
    let value = match number::unsigned(digits) {
        Ok(value) => i64::try_from(value).unwrap_or(i64::MAX).min(1 << 40),
        Err(number::IntegerFault::Range) => 1 << 40,
        Err(number::IntegerFault::Syntax) => return None,
    };
    Some(if negative { -value } else { value })
}

/// `bits × 2^exponent`, rounded once, to the nearest float and ties to even.
fn scale(bits: u64, exponent: i64) -> f64 {
    const MANTISSA_BITS: i64 = 53;
    const LEAST_EXPONENT: i64 = -1074;
    if bits == 0 {
        return 0.0;
    }
    let width = 64 - i64::from(bits.leading_zeros());
    // The exponent of the last bit that the result can hold: less precise among subnormals.
    let last = (exponent + width - MANTISSA_BITS).max(LEAST_EXPONENT);
    let shift = last - exponent;
    let kept = match u32::try_from(shift) {
        Err(_) => bits,
        Ok(shift) => round_off(bits, shift),
    };
    let exponent = if shift > 0 { last } else { exponent };
    // `kept` has at most 53 bits, so that each step is exact until the value leaves the range of `f64` for
    // good.
    let mut value = kept as f64;
    let mut left = exponent.clamp(-2200, 2200);
    while left != 0 {
        let step = left.clamp(-1000, 1000);
        value *= 2.0_f64.powi(i32::try_from(step).unwrap_or(0));
        left -= step;
    }
    value
}

/// `bits` without its last `shift` bits, rounded to the nearest and ties to even.
fn round_off(bits: u64, shift: u32) -> u64 {
    let kept = bits.checked_shr(shift).unwrap_or(0);
    let Some(half) = shift.checked_sub(1).and_then(|shift| 1_u64.checked_shl(shift)) else {
        // Nothing to round, or less than half a unit is left.
        return if shift == 0 { bits } else { 0 };
    };
    let rest = if shift == 64 { bits } else { bits & ((half << 1) - 1) };
    kept + u64::from(rest > half || (rest == half && kept & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_stand_between_digits() {
        assert_eq!(float(b"1_23.50_0_0e+1_2"), Some(1.235e14));
        assert_eq!(float(b"-1_0"), Some(-10.0));
        assert_eq!(float(b".5_0"), Some(0.5));
        for bad in
            ["1__2", "123_.5", "123._5", "123.5_e1", "123.5e_1", "123.5e1_", "_1", "-_1", "--1_0", "+1_0"]
        {
            assert_eq!(float(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn hexadecimal_floats() {
        for (text, expected) in [
            ("0x1p0", 1.0),
            ("-0x1.8P+1", -3.0),
            ("0x.8p1", 1.0),
            ("0x_1_2.3_4_5p+1_2", 74565.0),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1.fffffffffffffp+1023", f64::MAX),
            ("0x1p1024", f64::INFINITY),
            ("0x1p-1076", 0.0),
            ("0x0p999999999999999999999", 0.0),
        ] {
            assert_eq!(float(text.as_bytes()), Some(expected), "{text}");
        }
        for bad in ["0x", "0x1", "0xp1", "0x1p", "0x1p+", "0x1.2.3p1", "0xg p1", "0x-1p1"] {
            assert_eq!(float(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn hexadecimal_floats_are_rounded_once_and_to_even() {
        assert_eq!(float(b"0x1.00000000000008p0"), Some(1.0));
        assert_eq!(float(b"0x1.00000000000018p0"), Some(1.0 + 2.0 * f64::EPSILON));
        assert_eq!(float(b"0x1.000000000000080000000000001p0"), Some(1.0 + f64::EPSILON));
        assert_eq!(float(b"0x3p-1075"), Some(f64::from_bits(2)));
        assert_eq!(float(b"0x1p-1075"), Some(0.0));
        assert_eq!(float(b"0x1.8p-1075"), Some(f64::from_bits(1)));
        assert_eq!(float(b"0x1.fffffffffffff8p1023"), Some(f64::INFINITY));
    }
}
