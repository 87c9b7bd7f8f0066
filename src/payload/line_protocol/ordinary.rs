//! Lines that every dialect reads alike, read fast.
//!
//! Nearly all lines are ordinary: no control character, quotes only around field values, only the plainest
//! escape sequences, one timestamp at the end. This reader takes such a line in one pass and gives up on
//! anything else, which is then for the reader of the dialect to take or to refuse. It never refuses a line
//! itself.

use super::dialect::Dialect;
use super::escapes::Escapes;
use super::number::{self, Number};
use super::options::ParseOptions;
use super::parts::Parts;
use super::point_ref::{Canonical, FieldRef, FieldValueRef, TagRef};
use super::swar;
use super::text::Text;
use crate::payload::point::{PointTime, Precision};

/// Longer lines are left to the dialects, so that none of their limits on lengths matters here.
const MAX_LINE_LENGTH: usize = 65_000;

/// A line that was read, and the start of the next one.
pub(super) struct Ordinary {
    pub(super) next: usize,
    pub(super) time: PointTime,
}

/// Reads the line of `input` at `start`, if it is an ordinary one.
pub(super) fn read<'a>(
    input: &'a [u8],
    start: usize,
    options: &ParseOptions,
    parts: &mut Parts<'a>,
) -> Option<Ordinary> {
    let line = input.get(start..)?;
    let mut is_key_canonical = true;
    if line.first() == Some(&b'#') {
        return None;
    }
    parts.clear();
    let mut rest = line;
    parts.measurement = take_word(&mut rest, Escapes::Measurement)?;
    while let [b',', after @ ..] = rest {
        rest = after;
        let key = take_word(&mut rest, Escapes::Key)?;
        take_byte(&mut rest, b'=')?;
        let value = take_word(&mut rest, Escapes::Key)?;
        if matches!(key.raw(), b"time" | b"_field" | b"_measurement") {
            if options.dialect == Dialect::V2Server {
                return None;
            }
            is_key_canonical = false;
        }
        parts.tags.push(TagRef { key, value });
    }
    let key = line.get(..line.len() - rest.len())?;
    take_byte(&mut rest, b' ')?;
    take_spaces(&mut rest);
    loop {
        let field = rest;
        let key = take_word(&mut rest, Escapes::Key)?;
        take_byte(&mut rest, b'=')?;
        let (value, is_canonical) = take_value(&mut rest)?;
        let text = if is_canonical { field.get(..field.len() - rest.len())? } else { b"" };
        parts.fields.push(FieldRef { key, value, canonical: Canonical(text) });
        if take_byte(&mut rest, b',').is_none() {
            break;
        }
    }
    let mut timestamp = None;
    if take_byte(&mut rest, b' ').is_some() {
        take_spaces(&mut rest);
        let text = rest;
        timestamp = Some(take_timestamp(&mut rest)?);
        let text = text.get(..text.len() - rest.len())?;
        // Without a sign or zeros in front there is but one way to write it.
        if options.precision == Precision::Nanoseconds && matches!(text, [b'1'..=b'9', ..]) {
            parts.canonical_time = Canonical(text);
        }
        take_spaces(&mut rest);
    }
    let ended = rest.is_empty() || take_byte(&mut rest, b'\n').is_some();
    let length = line.len() - rest.len();
    let is_text = || line.get(..length).is_some_and(|line| std::str::from_utf8(line).is_ok());
    is_key_canonical &= parts.tags_ascend();
    if !ended || length > MAX_LINE_LENGTH || !is_text() || !(is_key_canonical || parts.sort_tags()) {
        return None;
    }
    // The words of an ordinary line hold the escape sequences of the canonical form and no other backslash.
    if is_key_canonical {
        parts.canonical_key = Canonical(key);
    }
    let time = options.time(timestamp).ok()?;
    Some(Ordinary { next: start + length, time })
}

/// Takes a word. Of escape sequences it may hold those that `escapes` knows, unless a backslash stands before
/// them.
// Inlined by force, as are the numbers: a result handed over in memory is read back wider than it was
// written, and waited for.
#[inline(always)]
fn take_word<'a>(rest: &mut &'a [u8], escapes: Escapes) -> Option<Text<'a>> {
    let mut length = swar::word_length(rest);
    let mut found = Escapes::None;
    if rest.get(length) == Some(&b'\\') {
        length = escaped_word_length(rest, length, escapes)?;
        found = escapes;
    }
    let (word, after) = rest.split_at_checked(length)?;
    *rest = after;
    (!word.is_empty()).then_some(Text::known(word, found))
}

/// The length of the word that `text` starts with, whose first backslash is at `length`.
#[inline(never)]
fn escaped_word_length(text: &[u8], mut length: usize, escapes: Escapes) -> Option<usize> {
    while let [b'\\', next, ..] = text.get(length..)? {
        escapes.meaning(*next)?;
        length += 2;
        length += swar::word_length(text.get(length..)?);
    }
    Some(length)
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

/// Takes a value, and tells whether it stands there in the canonical form.
fn take_value<'a>(rest: &mut &'a [u8]) -> Option<(FieldValueRef<'a>, bool)> {
    let (value, length, is_canonical) = match rest.first()? {
        b'-' | b'0'..=b'9' => {
            let Number { value, length, is_canonical } = number::common(rest)?;
            (value, length, is_canonical)
        }
        b'"' => {
            let text = quoted(rest.get(1..)?)?;
            (FieldValueRef::String(text), text.raw().len() + 2, true)
        }
        _ => {
            let length =
                rest.iter().position(|byte| matches!(byte, b',' | b' ' | b'\n')).unwrap_or(rest.len());
            let value = match rest.get(..length)? {
                b"t" | b"T" | b"true" | b"True" | b"TRUE" => true,
                b"f" | b"F" | b"false" | b"False" | b"FALSE" => false,
                _ => return None,
            };
            (FieldValueRef::Boolean(value), length, matches!(rest.get(..length)?, b"true" | b"false"))
        }
    };
    *rest = rest.get(length..)?;
    matches!(rest.first(), None | Some(b',' | b' ' | b'\n')).then_some((value, is_canonical))
}

/// The text before a closing quote. Of escape sequences it may hold `\"` and `\\`.
fn quoted(text: &[u8]) -> Option<Text<'_>> {
    let mut length = 0;
    loop {
        length += memchr::memchr2(b'"', b'\\', text.get(length..)?)?;
        match text.get(length..)? {
            [b'"', ..] => return Some(Text::new(text.get(..length)?, Escapes::Quoted)),
            [_, next, ..] if Escapes::Quoted.meaning(*next).is_some() => length += 2,
            _ => return None,
        }
    }
}

fn take_timestamp(rest: &mut &[u8]) -> Option<i64> {
    let text = rest.strip_prefix(b"-").unwrap_or(rest);
    let (value, count) = swar::digits(text);
    // Eighteen digits fit in 64 bits with a sign; nineteen fit without, and may fit with one.
    let value = i64::try_from(value).ok().filter(|_| (1..=19).contains(&count))?;
    let negative = text.len() < rest.len();
    *rest = text.get(count..)?;
    Some(if negative { -value } else { value })
}
