//! Floats as text.

use std::io::Write;

use super::dialect::Dialect;

/// Appends the shortest decimal number that reads back as `value`, which is finite.
///
/// The v2 server and v3 never write an exponent. The v2 library writes one from a million on and below a
/// ten-thousandth, with a sign and at least two digits: `6.632243e+06`.
pub(super) fn write(value: f64, dialect: Dialect, out: &mut Vec<u8>) {
    if dialect != Dialect::V2Library || value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
        append(out, format_args!("{value}"));
        return;
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    append(out, format_args!("{mantissa}e{sign}{digits:0>2}"));
}

/// Appends formatted text. Writing to a vector cannot fail.
pub(super) fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a vector failed");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64, dialect: Dialect) -> String {
        let mut out = Vec::new();
        write(value, dialect, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_server_writes_no_exponent() {
        assert_eq!(text(25.3, Dialect::V2Server), "25.3");
        assert_eq!(text(11.0, Dialect::V2Server), "11");
        assert_eq!(text(6_632_243.0, Dialect::V2Server), "6632243");
        assert_eq!(text(-0.0, Dialect::V3), "-0");
        assert_eq!(text(1e21, Dialect::V3), "1000000000000000000000");
    }

    #[test]
    fn the_library_writes_large_and_small_numbers_with_an_exponent() {
        assert_eq!(text(999_999.5, Dialect::V2Library), "999999.5");
        assert_eq!(text(1e6, Dialect::V2Library), "1e+06");
        assert_eq!(text(6_632_243.0, Dialect::V2Library), "6.632243e+06");
        assert_eq!(text(f64::MAX, Dialect::V2Library), "1.7976931348623157e+308");
        assert_eq!(text(-5e-324, Dialect::V2Library), "-5e-324");
        assert_eq!(text(0.0001, Dialect::V2Library), "0.0001");
        assert_eq!(text(0.00001, Dialect::V2Library), "1e-05");
    }
}
