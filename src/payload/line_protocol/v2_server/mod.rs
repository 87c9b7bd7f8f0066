//! Lines as the InfluxDB v2 server reads them: `models/points.go`.
//!
//! It looks at every line several times: once to find its end, once to check key, fields and timestamp, and
//! once more to take the fields apart. The passes do not agree about every quote and backslash, so that odd
//! lines come out oddly; we follow it there too, so that a body means the same in both places.

mod fields;
mod key;
mod number;

use super::limits::{FIELD_SEPARATOR_LENGTH, MAX_KEY_LENGTH};
use super::number::{IntegerFault, integer};
use super::options::ParseOptions;
use super::parts::{Fault, Line, Parts, Step};
use super::reason::Reason;
use super::split;
use crate::payload::point::PointTime;

/// The server never takes the last two bytes of its input for an escape sequence.
const PLAIN_TAIL: usize = 2;

/// Reads one line of `input` from `start` on.
pub(super) fn read<'a>(input: &'a [u8], start: usize, options: &ParseOptions, parts: &mut Parts<'a>) -> Step {
    if start >= input.len() {
        return Step::End;
    }
    let end = split::line_end(input, start, PLAIN_TAIL);
    let next = end + 1;
    let block = input.get(start..end).unwrap_or_default();
    let indent = blank_length(block);
    let line = block.get(indent..).unwrap_or_default();
    if matches!(line.first(), None | Some(b'#')) {
        return Step::Skip { next };
    }
    // Only an escaped line feed can be left here.
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let start = start + indent;
    parts.clear();
    let outcome = point(line, options, parts).map_err(|fault| Fault { at: start + fault.at, ..fault });
    Step::Line(Line { start, end: start + line.len(), next, outcome })
}

fn point<'a>(line: &'a [u8], options: &ParseOptions, parts: &mut Parts<'a>) -> Result<PointTime, Fault> {
    let key_length = key::read(line, parts)?;
    check_length(0, key_length)?;
    let start = key_length + blank_length(line.get(key_length..).unwrap_or_default());
    let end = fields::check(line, start)?;
    let unstorable = fields::read(line, start..end, parts, |at, key| {
        check_length(at, key_length + FIELD_SEPARATOR_LENGTH + key.len())
    })?;
    let time = time(line, end, options)?;
    unstorable.map_or(Ok(time), Err)
}

fn check_length(at: usize, length: usize) -> Result<(), Fault> {
    if length > MAX_KEY_LENGTH {
        Err(Fault::new(at, Reason::MaxKeyLengthExceeded { length }))
    } else {
        Ok(())
    }
}

/// How many bytes of `text` are blank to this server: spaces, tabs and NULs.
fn blank_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | 0)).count()
}

/// The timestamp after the fields.
fn time(line: &[u8], at: usize, options: &ParseOptions) -> Result<PointTime, Fault> {
    let start = at + blank_length(line.get(at..).unwrap_or_default());
    let rest = line.get(start..).unwrap_or_default();
    let length = rest.iter().position(|byte| matches!(byte, b'\n' | b' ')).unwrap_or(rest.len());
    let (digits, after) = rest.split_at_checked(length).unwrap_or((rest, b""));
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    if let Some(bad) = unsigned.iter().position(|byte| !byte.is_ascii_digit()) {
        return Err(Fault::new(start + digits.len() - unsigned.len() + bad, Reason::BadTimestamp));
    }
    if digits.is_empty() {
        return options.time(None).map_err(|reason| Fault::new(start, reason));
    }
    let text = || String::from_utf8_lossy(digits).into_owned();
    let timestamp = integer(digits).map_err(|fault| match fault {
        IntegerFault::Syntax => Reason::TimestampSyntax { digits: text() },
        IntegerFault::Range => Reason::TimestampOverflow { digits: text() },
    });
    let time = timestamp.and_then(|timestamp| options.time(Some(timestamp)));
    let time = time.map_err(|reason| Fault::new(start, reason))?;
    match after.iter().position(|&byte| byte != b' ') {
        Some(junk) => Err(Fault::new(start + length + junk, Reason::InvalidPoint)),
        None => Ok(time),
    }
}
