//! Numbers, as the server checks them.

use super::super::number::{IntegerFault, float, integer, unsigned};
use super::super::parts::Fault;
use super::super::reason::Reason;

/// Checks the number that starts at `start`, and returns the place of the comma or space after it, or the end
/// of the line.
pub(super) fn check(line: &[u8], start: usize) -> Result<usize, Fault> {
    let rest = line.get(start..).unwrap_or_default();
    let length = rest.iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(rest.len());
    let text = rest.get(..length).unwrap_or_default();
    match reason(text) {
        Some(reason) => Err(Fault::new(start, reason)),
        None => Ok(start + length),
    }
}

/// Why `text` is no number, if it is none.
fn reason(text: &[u8]) -> Option<Reason> {
    let digits = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
    match text {
        [number @ .., b'i'] => match integer(number) {
            Ok(_) => None,
            Err(IntegerFault::Syntax) => Some(Reason::InvalidNumber),
            Err(IntegerFault::Range) => Some(Reason::IntegerOutOfRange { digits: digits(number) }),
        },
        [number @ .., b'u'] => match unsigned(number) {
            Ok(_) => None,
            Err(IntegerFault::Syntax) => Some(Reason::InvalidNumber),
            Err(IntegerFault::Range) => Some(Reason::UnsignedOutOfRange { digits: digits(number) }),
        },
        _ => match float(text) {
            Some(value) if value.is_finite() => None,
            Some(_) => Some(Reason::InvalidFloat),
            // With an exponent, only the number as a whole is found to be wrong.
            None if is_scientific(text) => Some(Reason::InvalidFloat),
            None => Some(Reason::InvalidNumber),
        },
    }
}

/// Whether `text` is made of the right bytes for a float with an exponent, signs only after an `e` and at
/// most one point.
fn is_scientific(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut before = 0;
    let mut points = 0;
    // The first byte of the text cannot be an `e`; after a minus sign it can.
    let right = |&byte: &u8| {
        let previous = std::mem::replace(&mut before, byte);
        points += u32::from(byte == b'.');
        match byte {
            b'0'..=b'9' | b'e' | b'E' => true,
            b'.' => points == 1,
            b'+' | b'-' => matches!(previous, b'e' | b'E'),
            _ => false,
        }
    };
    unsigned.iter().all(right) && unsigned.iter().any(|byte| matches!(byte, b'e' | b'E'))
}
