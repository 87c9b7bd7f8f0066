//! The values of fields.

use super::super::escapes::Escapes;
use super::super::limits::MAX_STRING_LENGTH;
use super::super::number::{IntegerFault, integer, unsigned};
use super::super::point_ref::FieldValueRef;
use super::super::reason::Reason;
use super::super::text::Text;

/// The value that `rest` starts with, and its length; `None` if it starts with none.
pub(super) fn read(rest: &[u8]) -> Result<Option<(FieldValueRef<'_>, usize)>, Reason> {
    match rest.first() {
        Some(b'-' | b'0'..=b'9') => number(rest),
        Some(b'"') => string(rest),
        _ => Ok(boolean(rest)),
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn number(rest: &[u8]) -> Result<Option<(FieldValueRef<'_>, usize)>, Reason> {
    let sign = usize::from(rest.first() == Some(&b'-'));
    let count = digits(rest.get(sign..).unwrap_or_default());
    if count == 0 {
        return Ok(None);
    }
    let whole = sign + count;
    let text = rest.get(..whole).unwrap_or_default();
    let digits = || String::from_utf8_lossy(text).into_owned();
    match rest.get(whole) {
        Some(b'i') => match integer(text) {
            Ok(value) => Ok(Some((FieldValueRef::Integer(value), whole + 1))),
            Err(IntegerFault::Syntax) => Ok(None),
            Err(IntegerFault::Range) => Err(Reason::IntegerOutOfRange { digits: digits() }),
        },
        Some(b'u') if sign == 0 => match unsigned(text) {
            Ok(value) => Ok(Some((FieldValueRef::Unsigned(value), whole + 1))),
            Err(IntegerFault::Syntax) => Ok(None),
            Err(IntegerFault::Range) => Err(Reason::UnsignedOutOfRange { digits: digits() }),
        },
        _ => {
            let length = float_length(rest, whole);
            let text = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok());
            // Beyond the range of `f64` this is infinity, as it is in v3.
            Ok(text.and_then(|text| text.parse().ok()).map(|value| (FieldValueRef::Float(value), length)))
        }
    }
}

/// The length of the float whose digits before the point take `whole` bytes. Half a fraction or exponent is
/// not part of it.
fn float_length(rest: &[u8], whole: usize) -> usize {
    let fraction = match rest.get(whole..) {
        Some([b'.', after @ ..]) if digits(after) > 0 => 1 + digits(after),
        _ => 0,
    };
    let length = whole + fraction;
    let exponent = match rest.get(length..) {
        Some([b'e' | b'E', b'+' | b'-', after @ ..]) if digits(after) > 0 => 2 + digits(after),
        Some([b'e' | b'E', after @ ..]) if digits(after) > 0 => 1 + digits(after),
        _ => 0,
    };
    length + exponent
}

fn string(rest: &[u8]) -> Result<Option<(FieldValueRef<'_>, usize)>, Reason> {
    let mut at = 1;
    let mut sequences = 0;
    loop {
        match rest.get(at) {
            None => return Ok(None),
            Some(b'\\') if matches!(rest.get(at + 1), Some(b'"' | b'\\')) => {
                sequences += 1;
                at += 2;
            }
            Some(b'"') => break,
            Some(_) => at += 1,
        }
    }
    let raw = rest.get(1..at).unwrap_or_default();
    let length = raw.len() - sequences;
    if length > MAX_STRING_LENGTH {
        return Err(Reason::StringTooLong { length });
    }
    Ok(Some((FieldValueRef::String(Text::new(raw, Escapes::Quoted)), at + 1)))
}

fn boolean(rest: &[u8]) -> Option<(FieldValueRef<'_>, usize)> {
    let starts = |words: [&[u8]; 5]| words.into_iter().find(|word| rest.starts_with(word)).map(<[u8]>::len);
    if let Some(length) = starts([b"true", b"True", b"TRUE", b"t", b"T"]) {
        return Some((FieldValueRef::Boolean(true), length));
    }
    let length = starts([b"false", b"False", b"FALSE", b"f", b"F"])?;
    Some((FieldValueRef::Boolean(false), length))
}
