//! Lines that every dialect reads alike, read fast.
//!
//! Nearly all lines are ordinary: no backslash, no control character, quotes only around field values, one timestamp at the end.
//! This reader takes such a line in one pass and gives up on anything else, which is then for the reader of the dialect to take
//! or to refuse. It never refuses a line itself.

use super::dialect::Dialect;
use super::number;
use super::options::ParseOptions;
use super::parts::Parts;
use super::point_ref::{FieldRef, FieldValueRef, TagRef};
use super::text::Text;
use crate::payload::point::Timestamp;

/// Longer lines are left to the dialects, so that none of their limits on lengths matters here.
const MAX_LINE_LENGTH: usize = 65_000;

/// A line that was read, and the start of the next one.
pub(super) struct Ordinary {
    pub(super) next: usize,
    pub(super) time: Timestamp,
}

/// Reads the line of `input` at `start`, if it is an ordinary one.
pub(super) fn read<'a>(
    input: &'a [u8],
    start: usize,
    options: &ParseOptions,
    parts: &mut Parts<'a>,
) -> Option<Ordinary> {
    let line = input.get(start..)?;
    if line.first() == Some(&b'#') {
        return None;
    }
    parts.clear();
    let mut rest = line;
    parts.measurement = take_word(&mut rest)?;
    while let [b',', after @ ..] = rest {
        rest = after;
        let key = take_word(&mut rest)?;
        take_byte(&mut rest, b'=')?;
        let value = take_word(&mut rest)?;
        if options.dialect == Dialect::V2Server && matches!(key.raw(), b"time" | b"_field" | b"_measurement") {
            return None;
        }
        parts.tags.push(TagRef { key, value });
    }
    take_byte(&mut rest, b' ')?;
    take_spaces(&mut rest);
    loop {
        let key = take_word(&mut rest)?;
        take_byte(&mut rest, b'=')?;
        let value = take_value(&mut rest)?;
        parts.fields.push(FieldRef { key, value });
        if take_byte(&mut rest, b',').is_none() {
            break;
        }
    }
    let mut timestamp = None;
    if take_byte(&mut rest, b' ').is_some() {
        take_spaces(&mut rest);
        timestamp = Some(take_timestamp(&mut rest)?);
        take_spaces(&mut rest);
    }
    let ended = rest.is_empty() || take_byte(&mut rest, b'\n').is_some();
    let length = line.len() - rest.len();
    let is_text = || line.get(..length).is_some_and(|line| std::str::from_utf8(line).is_ok());
    if !ended || length > MAX_LINE_LENGTH || !is_text() || !parts.sort_tags() {
        return None;
    }
    let time = options.time(timestamp).ok()?;
    Some(Ordinary { next: start + length, time })
}

/// Whether a byte may stand in an ordinary word. Bytes beyond ASCII may; the line is checked to be UTF-8 as a whole.
const fn in_word(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b',' | b'=' | b'"' | b'\\' | 0x7f)
}

fn take_word<'a>(rest: &mut &'a [u8]) -> Option<Text<'a>> {
    let length = rest.iter().position(|&byte| !in_word(byte)).unwrap_or(rest.len());
    let (word, after) = rest.split_at_checked(length)?;
    *rest = after;
    (!word.is_empty()).then_some(Text::plain(word))
}

fn take_byte(rest: &mut &[u8], byte: u8) -> Option<()> {
    let (first, after) = rest.split_first()?;
    (*first == byte).then(|| *rest = after)
}

fn take_spaces(rest: &mut &[u8]) {
    while let [b' ', after @ ..] = *rest {
        *rest = after;
    }
}

fn take_value<'a>(rest: &mut &'a [u8]) -> Option<FieldValueRef<'a>> {
    let (value, length) = match rest.first()? {
        b'-' | b'0'..=b'9' => number::common(rest)?,
        b'"' => {
            let inner = rest.get(1..)?;
            let end = memchr::memchr2(b'"', b'\\', inner)?;
            let text = inner.get(..end).filter(|_| inner.get(end) == Some(&b'"'))?;
            (FieldValueRef::String(Text::plain(text)), end + 2)
        }
        _ => {
            let length = rest.iter().position(|byte| matches!(byte, b',' | b' ' | b'\n')).unwrap_or(rest.len());
            let value = match rest.get(..length)? {
                b"t" | b"T" | b"true" | b"True" | b"TRUE" => true,
                b"f" | b"F" | b"false" | b"False" | b"FALSE" => false,
                _ => return None,
            };
            (FieldValueRef::Boolean(value), length)
        }
    };
    *rest = rest.get(length..)?;
    matches!(rest.first(), None | Some(b',' | b' ' | b'\n')).then_some(value)
}

fn take_timestamp(rest: &mut &[u8]) -> Option<i64> {
    let length = rest.iter().position(|byte| matches!(byte, b' ' | b'\n')).unwrap_or(rest.len());
    let (digits, after) = rest.split_at_checked(length)?;
    *rest = after;
    number::integer(digits).ok()
}
