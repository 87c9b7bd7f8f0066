//! Lines as InfluxDB v3 reads them: the Rust crate `influxdb_line_protocol`, as shipped in influxdb3.
//!
//! The body is split into lines first, by rules of the v2 server, and each line is then read by a grammar of
//! its own, which knows `\\` as an escape sequence, wants digits on both sides of a decimal point, and lets
//! commas into keys and `=` into tag values.

mod value;

use super::escapes::Escapes;
use super::limits::MAX_STRING_LENGTH;
use super::number::{IntegerFault, integer};
use super::options::ParseOptions;
use super::parts::{Fault, Line, Parts, Step};
use super::point_ref::{FieldRef, TagRef};
use super::reason::Reason;
use super::split;
use super::text::Text;
use crate::payload::point::PointTime;

/// An escape sequence may start at the last byte of the input.
const PLAIN_TAIL: usize = 0;

/// Reads one line of `input` from `start` on.
pub(super) fn read<'a>(input: &'a [u8], start: usize, options: &ParseOptions, parts: &mut Parts<'a>) -> Step {
    if start >= input.len() {
        return Step::End;
    }
    let end = split::line_end(input, start, PLAIN_TAIL);
    let next = end + 1;
    let block = input.get(start..end).unwrap_or_default();
    let indent = leading_length(block);
    let Some(line) = block.get(indent..).filter(|line| !line.is_empty()) else { return Step::Skip { next } };
    let start = start + indent;
    parts.clear();
    let mut reader = Reader { line, at: 0 };
    let outcome = match std::str::from_utf8(line) {
        Ok(_) => reader.point(options, parts),
        Err(error) => Err(Fault::new(error.valid_up_to(), Reason::InvalidUtf8)),
    };
    let outcome = outcome.map_err(|fault| Fault { at: start + fault.at, ..fault });
    Step::Line(Line { start, end, next, outcome })
}

/// How many bytes of white space and comments `block` starts with. It can hold line feeds, in what looked
/// like quotes.
fn leading_length(block: &[u8]) -> usize {
    let mut rest = block;
    loop {
        rest = rest.get(rest.iter().take_while(|&&byte| is_boundary(byte)).count()..).unwrap_or_default();
        if rest.first() != Some(&b'#') {
            return block.len() - rest.len();
        }
        let comment = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        rest = rest.get(comment..).unwrap_or_default();
    }
}

/// White space that ends every key and value without quotes.
const fn is_boundary(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

const fn ends_measurement(byte: u8) -> bool {
    is_boundary(byte) || matches!(byte, 0 | b',')
}

const fn ends_key(byte: u8) -> bool {
    is_boundary(byte) || byte == b'='
}

const fn ends_tag_value(byte: u8) -> bool {
    is_boundary(byte) || byte == b','
}

struct Reader<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn fault<T>(&self, reason: Reason) -> Result<T, Fault> {
        Err(Fault::new(self.at, reason))
    }

    fn point(&mut self, options: &ParseOptions, parts: &mut Parts<'a>) -> Result<PointTime, Fault> {
        let Some(measurement) = self.text(ends_measurement, Escapes::V3Measurement)? else {
            return self.fault(Reason::MissingMeasurement);
        };
        parts.measurement = measurement;
        self.tags(parts)?;
        if self.spaces() == 0 {
            let reason = match self.peek().filter(|&byte| !is_boundary(byte)) {
                Some(byte) => Reason::InvalidCharacter { byte },
                None => Reason::MissingFields,
            };
            return self.fault(reason);
        }
        self.fields(parts)?;
        let after_fields = self.at;
        let timestamp = self.timestamp()?;
        if self.at < self.line.len() {
            return self.fault(self.trailing_reason(timestamp.is_some()));
        }
        if !parts.sort_tags() {
            return Err(Fault::new(0, Reason::DuplicateTags));
        }
        options.time(timestamp).map_err(|reason| Fault::new(after_fields, reason))
    }

    fn tags(&mut self, parts: &mut Parts<'a>) -> Result<(), Fault> {
        while self.peek() == Some(b',') {
            self.at += 1;
            let Some(key) = self.text(ends_key, Escapes::V3Key)? else {
                return self.fault(Reason::MissingTagKey);
            };
            if self.peek() != Some(b'=') {
                return self.fault(Reason::MissingTagValue);
            }
            self.at += 1;
            let Some(value) = self.text(ends_tag_value, Escapes::V3Key)? else {
                return self.fault(Reason::MissingTagValue);
            };
            parts.tags.push(TagRef { key, value });
        }
        Ok(())
    }

    /// Reads the fields. What is no field ends them, and is found to be left over later; only a first field
    /// is a must.
    fn fields(&mut self, parts: &mut Parts<'a>) -> Result<(), Fault> {
        let start = self.at;
        if !self.field(parts)? {
            let reason = match self.peek() {
                None if self.at == start => Reason::MissingFields,
                Some(b'=') if self.at == start => Reason::MissingFieldKey,
                _ if !self.line.get(start..self.at).is_some_and(|key| key.ends_with(b"=")) => {
                    Reason::InvalidFieldFormat
                }
                Some(b'"') => Reason::UnbalancedQuotes,
                None | Some(b' ' | b',') => Reason::MissingFieldValue,
                Some(b'-' | b'.') => Reason::InvalidNumber,
                Some(_) => Reason::InvalidBoolean,
            };
            return self.fault(reason);
        }
        let mut first = true;
        while self.peek() == Some(b',') {
            let comma = self.at;
            self.at += 1;
            let start = self.at;
            if !self.field(parts)? {
                // The comma after the first field is lost together with the field that should follow it,
                // later ones are not.
                self.at = if first { start } else { comma };
                break;
            }
            first = false;
        }
        Ok(())
    }

    /// Reads one field, and reports whether there was one; where there was none, the reader stands where it
    /// went wrong.
    fn field(&mut self, parts: &mut Parts<'a>) -> Result<bool, Fault> {
        let Some(key) = self.text(ends_key, Escapes::V3Key)? else { return Ok(false) };
        if self.peek() != Some(b'=') {
            return Ok(false);
        }
        self.at += 1;
        let read = value::read(self.rest()).map_err(|reason| Fault::new(self.at, reason))?;
        let Some((value, length)) = read else { return Ok(false) };
        self.at += length;
        parts.fields.push(FieldRef::new(key, value));
        Ok(true)
    }

    /// The number after the fields, if spaces and a number are what follows them.
    fn timestamp(&mut self) -> Result<Option<i64>, Fault> {
        let start = self.at;
        let spaces = self.spaces();
        let rest = self.rest();
        let sign = usize::from(rest.first() == Some(&b'-'));
        let length = sign + rest.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
        if spaces == 0 || length == sign {
            self.at = start;
            return Ok(None);
        }
        let digits = rest.get(..length).unwrap_or_default();
        let timestamp = integer(digits).or_else(|fault| {
            let digits = String::from_utf8_lossy(digits).into_owned();
            self.fault(match fault {
                IntegerFault::Syntax => Reason::TimestampSyntax { digits },
                IntegerFault::Range => Reason::TimestampOverflow { digits },
            })
        })?;
        self.at += length;
        self.spaces();
        Ok(Some(timestamp))
    }

    /// Why a line is wrong that goes on where it should end.
    fn trailing_reason(&self, after_timestamp: bool) -> Reason {
        let before = self.at.checked_sub(1).and_then(|at| self.line.get(at)).copied();
        match (self.peek(), before) {
            _ if after_timestamp => Reason::InvalidPoint,
            (Some(b' '), _) => Reason::BadTimestamp,
            (Some(b','), _) | (_, Some(b',')) => Reason::InvalidFieldFormat,
            (Some(b'"'), Some(b'"')) => Reason::UnbalancedQuotes,
            (_, Some(b'0'..=b'9' | b'i' | b'u')) => Reason::InvalidNumber,
            (_, Some(b'"')) => Reason::InvalidFieldFormat,
            _ => Reason::InvalidBoolean,
        }
    }

    /// Takes spaces, and counts them.
    fn spaces(&mut self) -> usize {
        let count = self.rest().iter().take_while(|&&byte| byte == b' ').count();
        self.at += count;
        count
    }

    /// Takes text up to the first byte that `ends` it and does not follow a backslash.
    fn text(&mut self, ends: impl Fn(u8) -> bool, escapes: Escapes) -> Result<Option<Text<'a>>, Fault> {
        let rest = self.rest();
        let mut length = 0;
        let mut sequences = 0;
        let mut last = 0;
        while let Some(&byte) = rest.get(length) {
            if byte == b'\\' {
                let next = rest.get(length + 1).copied();
                sequences += usize::from(next.is_some_and(|next| escapes.meaning(next).is_some()));
                last = next.unwrap_or(byte);
                length += 2;
            } else if ends(byte) {
                break;
            } else {
                last = byte;
                length += 1;
            }
        }
        let length = length.min(rest.len());
        if length == 0 {
            return Ok(None);
        }
        if last == b'\\' {
            return self.fault(Reason::TrailingBackslash);
        }
        if length - sequences > MAX_STRING_LENGTH {
            return self.fault(Reason::StringTooLong { length: length - sequences });
        }
        self.at += length;
        Ok(Some(Text::new(rest.get(..length).unwrap_or_default(), escapes)))
    }
}
