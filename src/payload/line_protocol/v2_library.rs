//! Lines as the Go library influxdata/line-protocol v2 reads them.
//!
//! One pass from the left: a line ends where its grammar says, not at a line feed found beforehand. Control
//! characters end keys and are welcome nowhere but in quoted values; text must be UTF-8.

use super::escapes::Escapes;
use super::go_float;
use super::number::{self, IntegerFault};
use super::options::ParseOptions;
use super::parts::{Fault, Line, Parts, Step};
use super::point_ref::{FieldRef, FieldValueRef, TagRef};
use super::reason::Reason;
use super::text::Text;
use crate::payload::point::PointTime;

/// Reads one line of `input` from `start` on.
pub(super) fn read<'a>(input: &'a [u8], start: usize, options: &ParseOptions, parts: &mut Parts<'a>) -> Step {
    let mut reader = Reader { input, at: start, ended: false };
    match reader.skip_line() {
        Skipped::Line => return Step::Skip { next: reader.at },
        Skipped::Nothing if reader.at >= input.len() => return Step::End,
        Skipped::Nothing => {}
    }
    let start = reader.at;
    parts.clear();
    let outcome = reader.point(options, parts);
    let next = reader.recover();
    Step::Line(Line { start, end: line_end(input, start, next), next, outcome })
}

/// The end of the line at `start` whose successor starts at `next`, without what separates the two.
fn line_end(input: &[u8], start: usize, next: usize) -> usize {
    let line = input.get(start..next).unwrap_or_default();
    let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
    start + line.len()
}

const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

const fn ends_measurement(byte: u8) -> bool {
    matches!(byte, b',' | b' ') || is_control(byte)
}

const fn ends_key(byte: u8) -> bool {
    matches!(byte, b',' | b'=' | b' ') || is_control(byte)
}

const fn ends_quoted(byte: u8) -> bool {
    byte == b'"'
}

const fn ends_bare_value(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\r' | b'\n')
}

enum Skipped {
    Line,
    Nothing,
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    /// Whether the line's end has been consumed.
    ended: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn fault<T>(&self, at: usize, reason: Reason) -> Result<T, Fault> {
        Err(Fault::new(at, reason))
    }

    /// Skips a blank line, or a comment of printable characters; otherwise the spaces before a point.
    fn skip_line(&mut self) -> Skipped {
        let start = self.at;
        self.take(|byte| byte != b' ');
        if self.peek() == Some(b'#') {
            self.take(is_control);
            if self.line_end() {
                return Skipped::Line;
            }
            // A comment with a control character is read, and refused, as a measurement.
            self.at = start;
            return Skipped::Nothing;
        }
        if self.peek().is_some() && self.line_end() { Skipped::Line } else { Skipped::Nothing }
    }

    fn point(&mut self, options: &ParseOptions, parts: &mut Parts<'a>) -> Result<PointTime, Fault> {
        let start = self.at;
        parts.measurement = self.measurement()?;
        self.tags(parts)?;
        let unique = parts.sort_tags();
        // Read to the end all the same: only so is it known where the line ends.
        let time = self.fields_and_time(options, parts);
        if unique { time } else { self.fault(start, Reason::DuplicateTags) }
    }

    fn fields_and_time(&mut self, options: &ParseOptions, parts: &mut Parts<'a>) -> Result<PointTime, Fault> {
        while self.field(parts)? {}
        let start = self.at;
        let timestamp = if self.ended { None } else { self.timestamp()? };
        options.time(timestamp).or_else(|reason| self.fault(start, reason))
    }

    fn measurement(&mut self) -> Result<Text<'a>, Fault> {
        let start = self.at;
        let text = self.text(ends_measurement, Escapes::Measurement)?;
        match text.raw().first() {
            Some(b'#') => {
                let byte = self.peek().unwrap_or(b'#');
                self.fault(start, Reason::InvalidCharacter { byte })
            }
            Some(_) => Ok(text),
            None if self.peek() == Some(b',') => self.fault(start, Reason::MissingMeasurement),
            None => self.fault(start, Reason::InvalidCharacter { byte: self.peek().unwrap_or(0) }),
        }
    }

    fn tags(&mut self, parts: &mut Parts<'a>) -> Result<(), Fault> {
        loop {
            let after_comma = self.peek() == Some(b',');
            if after_comma {
                self.at += 1;
                if matches!(self.peek(), None | Some(b' ' | b'\r' | b'\n')) {
                    return self.fault(self.at, Reason::MissingTagKey);
                }
            } else if self.peek() == Some(b' ') {
                self.take(|byte| byte != b' ');
                return Ok(());
            } else if self.peek().is_none() && !parts.tags.is_empty() {
                return self.fault(self.at, Reason::MissingFields);
            }
            let tag = self.tag(after_comma)?;
            parts.tags.push(tag);
        }
    }

    fn tag(&mut self, after_comma: bool) -> Result<TagRef<'a>, Fault> {
        let start = self.at;
        let key = self.text(ends_key, Escapes::Key)?;
        match (self.peek(), key.raw().is_empty()) {
            (Some(b'='), false) => {}
            (None, true) => return self.fault(start, Reason::MissingFields),
            (Some(b',' | b'='), true) if after_comma => return self.fault(start, Reason::MissingTagKey),
            (Some(b'='), true) => return self.fault(start, Reason::InvalidTagFormat),
            (Some(b'\r' | b'\n'), true) => return self.fault(start, Reason::MissingFields),
            (Some(byte), _) if is_control(byte) && byte != b'\r' && byte != b'\n' => {
                return self.fault(start, Reason::InvalidCharacter { byte });
            }
            _ => return self.fault(start, Reason::MissingTagValue),
        }
        self.at += 1;
        let start = self.at;
        let value = self.text(ends_key, Escapes::Key)?;
        if value.raw().is_empty() {
            return self.fault(start, Reason::MissingTagValue);
        }
        Ok(TagRef { key, value })
    }

    /// Reads one field, and reports whether a comma follows it.
    fn field(&mut self, parts: &mut Parts<'a>) -> Result<bool, Fault> {
        let start = self.at;
        let key = self.text(ends_key, Escapes::Key)?;
        if key.raw().is_empty() {
            let reason = match self.peek() {
                Some(b'=' | b',' | b' ') => Reason::MissingFieldKey,
                None | Some(b'\r' | b'\n') if parts.fields.is_empty() => Reason::MissingFields,
                None | Some(b'\r' | b'\n') => Reason::MissingFieldKey,
                Some(byte) => Reason::InvalidCharacter { byte },
            };
            return self.fault(start, reason);
        }
        if self.peek() != Some(b'=') {
            let reason = match self.peek() {
                Some(byte) if is_control(byte) && byte != b'\r' && byte != b'\n' => {
                    Reason::InvalidCharacter { byte }
                }
                _ => Reason::InvalidFieldFormat,
            };
            return self.fault(self.at, reason);
        }
        self.at += 1;
        let start = self.at;
        let raw = self.raw_value()?;
        let more = self.after_value()?;
        let value = raw.value().map_err(|reason| Fault::new(start, reason))?;
        parts.fields.push(FieldRef::new(key, value));
        Ok(more)
    }

    fn raw_value(&mut self) -> Result<RawValue<'a>, Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let text = self.text(ends_quoted, Escapes::LibraryQuoted)?;
                if self.peek().is_none() {
                    return self.fault(start, Reason::UnbalancedQuotes);
                }
                self.at += 1;
                Ok(RawValue::String(text))
            }
            Some(b't' | b'T' | b'f' | b'F') => Ok(RawValue::Boolean(self.take(ends_bare_value))),
            Some(b'-' | b'0'..=b'9' | b'.') => Ok(RawValue::Number(self.take(ends_bare_value))),
            None | Some(b',' | b' ' | b'\r' | b'\n') => self.fault(start, Reason::MissingFieldValue),
            Some(_) => self.fault(start, Reason::InvalidBoolean),
        }
    }

    /// Consumes what follows a field's value, and reports whether it was a comma.
    fn after_value(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            None => self.ended = true,
            Some(b',') => {
                self.at += 1;
                return Ok(true);
            }
            Some(b' ' | b'\r' | b'\n') => {
                self.take(|byte| byte != b' ');
                self.ended = self.line_end();
            }
            Some(b'"') => return self.fault(self.at, Reason::UnbalancedQuotes),
            Some(_) => return self.fault(self.at, Reason::InvalidFieldFormat),
        }
        Ok(false)
    }

    fn timestamp(&mut self) -> Result<Option<i64>, Fault> {
        let start = self.at;
        let digits = self.take(|byte| !matches!(byte, b'-' | b'0'..=b'9'));
        match self.peek() {
            None => self.ended = true,
            Some(b' ' | b'\r' | b'\n') => {
                self.take(|byte| byte != b' ');
                self.ended = self.line_end();
                if !self.ended {
                    return self.fault(self.at, Reason::InvalidPoint);
                }
            }
            Some(_) => return self.fault(start, Reason::BadTimestamp),
        }
        if digits.is_empty() {
            return Ok(None);
        }
        let text = || String::from_utf8_lossy(digits).into_owned();
        number::integer(digits).map(Some).map_err(|fault| {
            let reason = match fault {
                IntegerFault::Syntax => Reason::TimestampSyntax { digits: text() },
                IntegerFault::Range => Reason::TimestampOverflow { digits: text() },
            };
            Fault::new(start, reason)
        })
    }

    /// Consumes the end of the line, or of the input, where that is next.
    fn line_end(&mut self) -> bool {
        let length = match self.rest() {
            [] => 0,
            [b'\n', ..] | [b'\r'] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return false,
        };
        self.at += length;
        true
    }

    /// The start of the next line; after an error, that of the line after the error.
    fn recover(&mut self) -> usize {
        if !self.ended {
            let rest = self.rest();
            self.at += memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        }
        self.at
    }

    /// Takes the bytes before the first one that `ends` says ends them.
    fn take(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Takes text up to the first byte that `ends` it and is not part of an escape sequence.
    fn text(&mut self, ends: impl Fn(u8) -> bool, escapes: Escapes) -> Result<Text<'a>, Fault> {
        let rest = self.rest();
        let mut length = 0;
        while let Some(&byte) = rest.get(length) {
            if byte == b'\\' && rest.get(length + 1).is_some_and(|&next| escapes.meaning(next).is_some()) {
                length += 2;
            } else if byte != b'\\' && ends(byte) {
                break;
            } else {
                length += 1;
            }
        }
        let raw = rest.get(..length).unwrap_or_default();
        let start = self.at;
        self.at += length;
        if std::str::from_utf8(raw).is_err() {
            return self.fault(start, Reason::InvalidUtf8);
        }
        Ok(Text::new(raw, escapes))
    }
}

/// A value whose kind is known and whose text is not yet checked.
enum RawValue<'a> {
    String(Text<'a>),
    Boolean(&'a [u8]),
    Number(&'a [u8]),
}

impl<'a> RawValue<'a> {
    fn value(self) -> Result<FieldValueRef<'a>, Reason> {
        match self {
            Self::String(text) => Ok(FieldValueRef::String(text)),
            Self::Boolean(b"t" | b"T" | b"true" | b"True" | b"TRUE") => Ok(FieldValueRef::Boolean(true)),
            Self::Boolean(b"f" | b"F" | b"false" | b"False" | b"FALSE") => Ok(FieldValueRef::Boolean(false)),
            Self::Boolean(_) => Err(Reason::InvalidBoolean),
            Self::Number([digits @ .., b'i']) => match number::integer(digits) {
                Ok(value) => Ok(FieldValueRef::Integer(value)),
                Err(IntegerFault::Syntax) => Err(Reason::InvalidNumber),
                Err(IntegerFault::Range) => Err(Reason::IntegerOutOfRange { digits: lossy(digits) }),
            },
            Self::Number([digits @ .., b'u']) => match number::unsigned(digits) {
                Ok(value) => Ok(FieldValueRef::Unsigned(value)),
                Err(IntegerFault::Syntax) => Err(Reason::InvalidNumber),
                Err(IntegerFault::Range) => Err(Reason::UnsignedOutOfRange { digits: lossy(digits) }),
            },
            Self::Number(text) => match go_float::float(text) {
                Some(value) if value.is_finite() => Ok(FieldValueRef::Float(value)),
                Some(_) => Err(Reason::InvalidFloat),
                None => Err(Reason::InvalidNumber),
            },
        }
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
