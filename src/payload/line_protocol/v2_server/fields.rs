//! The fields: checked in one pass, taken apart in another.

use std::ops::Range;

use super::super::escapes::Escapes;
use super::super::number as decimal;
use super::super::parts::{Fault, Parts};
use super::super::point_ref::{FieldRef, FieldValueRef};
use super::super::reason::Reason;
use super::super::text::Text;
use super::number;

/// Checks the fields of `line` from `start` on, and returns the place of the space after them, or the end of
/// the line.
pub(super) fn check(line: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start;
    let mut quoted = false;
    let mut equals = 0_usize;
    let mut commas = 0_usize;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'\\' if at + 1 < line.len() => at += 1,
            b'"' if equals > commas => quoted = !quoted,
            b'=' if !quoted => {
                equals += 1;
                if let Some(end) = check_value(line, at)? {
                    at = end;
                    continue;
                }
            }
            b',' if !quoted => commas += 1,
            b' ' if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    if quoted {
        return Err(Fault::new(at, Reason::UnbalancedQuotes));
    }
    if equals == 0 || commas != equals - 1 {
        return Err(Fault::new(at, Reason::InvalidFieldFormat));
    }
    Ok(at)
}

/// Checks what stands around the `=` at `equals`, and returns the end of the value unless it is quoted.
fn check_value(line: &[u8], equals: usize) -> Result<Option<usize>, Fault> {
    let before = |distance: usize| equals.checked_sub(distance).and_then(|at| line.get(at));
    if matches!(before(1), Some(b' ' | b',')) && before(2) != Some(&b'\\') {
        return Err(Fault::new(equals, Reason::MissingFieldKey));
    }
    let value = equals + 1;
    match line.get(value) {
        None | Some(b',' | b' ') => Err(Fault::new(equals, Reason::MissingFieldValue)),
        Some(b'0'..=b'9' | b'.' | b'-' | b'N' | b'n') => number::check(line, value).map(Some),
        Some(b'"') => Ok(None),
        Some(_) => {
            let rest = line.get(value..).unwrap_or_default();
            let length = rest.iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(rest.len());
            match boolean(rest.get(..length).unwrap_or_default()) {
                Some(_) => Ok(Some(value + length)),
                None => Err(Fault::new(value, Reason::InvalidBoolean)),
            }
        }
    }
}

/// Takes the checked fields in `range` of `line` apart. Each key, as it stands in the line, is shown to
/// `check_key` first.
///
/// The server takes some fields here that it cannot store, and drops them later without a word, or fails the
/// whole write. Such a field is the fault in the result.
pub(super) fn read<'a>(
    line: &'a [u8],
    range: Range<usize>,
    parts: &mut Parts<'a>,
    check_key: impl Fn(usize, &[u8]) -> Result<(), Fault>,
) -> Result<Option<Fault>, Fault> {
    let Range { mut start, end } = range;
    let mut unstorable = None;
    while start < end {
        let rest = line.get(start..end).unwrap_or_default();
        let equals = key_length(rest);
        let key = rest.get(..equals).unwrap_or_default();
        if equals + 2 > rest.len() {
            let key = String::from_utf8_lossy(key).into_owned();
            return Err(Fault::new(start, Reason::InvalidFieldValue { key }));
        }
        check_key(start, key)?;
        let after = rest.get(equals + 1..).unwrap_or_default();
        let length = value_length(after);
        let at = start + equals + 1;
        match value(after.get(..length).unwrap_or_default()) {
            // Only after a tab or NUL is the key empty.
            Ok(_) if key.is_empty() => {
                unstorable = unstorable.or(Some(Fault::new(start, Reason::MissingFieldKey)));
            }
            Ok(value) => parts.fields.push(FieldRef::new(Text::new(key, Escapes::ServerFieldKey), value)),
            Err(reason) => unstorable = unstorable.or(Some(Fault::new(at, reason))),
        }
        start = at + length + 1;
    }
    Ok(unstorable)
}

/// The place of the first `=` that does not follow a backslash.
fn key_length(text: &[u8]) -> usize {
    let mut before = 0;
    let is_end = |&byte: &u8| std::mem::replace(&mut before, byte) != b'\\' && byte == b'=';
    text.iter().position(is_end).unwrap_or(text.len())
}

/// The place of the first comma outside double quotes.
fn value_length(text: &[u8]) -> usize {
    let mut at = 0;
    let mut quoted = false;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if matches!(text.get(at + 1), Some(b'"' | b'\\')) => at += 1,
            b'"' => quoted = !quoted,
            b',' if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    at.min(text.len())
}

fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(true),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// The value that `text` is. The kind is decided by the first and the last byte alone.
fn value(text: &[u8]) -> Result<FieldValueRef<'_>, Reason> {
    match text {
        [] => Err(Reason::MissingFieldValue),
        [b'"', inner @ .., _] => Ok(FieldValueRef::String(Text::new(inner, Escapes::Quoted))),
        [b'"'] => Err(Reason::UnbalancedQuotes),
        [b'0'..=b'9' | b'-' | b'.', digits @ ..] => {
            let value = match digits {
                [.., b'i'] => {
                    decimal::integer(text.strip_suffix(b"i").unwrap_or(text)).ok().map(FieldValueRef::Integer)
                }
                [.., b'u'] => decimal::unsigned(text.strip_suffix(b"u").unwrap_or(text))
                    .ok()
                    .map(FieldValueRef::Unsigned),
                _ => decimal::float(text).filter(|value| value.is_finite()).map(FieldValueRef::Float),
            };
            value.ok_or(Reason::InvalidNumber)
        }
        _ => boolean(text).map(FieldValueRef::Boolean).ok_or(Reason::InvalidBoolean),
    }
}
