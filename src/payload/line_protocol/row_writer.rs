//! One row to one line.

use super::dialect::Dialect;
use super::escapes::Escapes;
use super::float_text::{self, append};
use super::limits::{
    FIELD_SEPARATOR_LENGTH, MAX_KEY_LENGTH, MAX_STRING_LENGTH, MAX_TIME, MIN_TIME, RESERVED_TAG_KEYS,
};
use super::line_writer::{LineWriter, NonFinite, Skipped};
use super::options::ParseOptions;
use super::parser::Parser;
use super::point_ref::{Canonical, FieldRef, FieldValueRef, PointRef, TagRef};
use super::row::Row;
use super::text::Text;
use super::write_error::WriteError;
use crate::payload::point::{PointTime, Precision};

/// What was written of a row.
pub(crate) struct WrittenRow {
    pub(crate) skipped: Skipped,
    /// Bytes of measurement and tags.
    pub(crate) key_length: usize,
}

/// Writes one row at the end of a buffer, from `start` on.
pub(super) struct RowWriter {
    pub(super) options: LineWriter,
    pub(super) start: usize,
}

impl RowWriter {
    /// Writes `row`; after an error, part of it.
    pub(super) fn write(&self, row: &impl Row, out: &mut Vec<u8>) -> Result<WrittenRow, WriteError> {
        let mut skipped = Skipped::default();
        let mut odd = self.write_key(row, &mut skipped, out)?;
        let key_length = out.len() - self.start;
        odd |= self.write_fields(row, &mut skipped, out)?;
        if let Some(time) = row.time() {
            if self.options.dialect == Dialect::V2Server && !(MIN_TIME..=MAX_TIME).contains(&time) {
                return Err(WriteError::TimeOutOfRange);
            }
            out.push(b' ');
            match row.canonical_time() {
                text if !text.is_empty() && self.options.precision == Precision::Nanoseconds => {
                    out.extend_from_slice(text);
                }
                _ => append(out, format_args!("{}", time.to_precision(self.options.precision))),
            }
        }
        let line = out.get(self.start..).unwrap_or_default();
        if odd && !self.reads_back(row, line) {
            return Err(WriteError::Unreadable { line: lossy(line), dialect: self.options.dialect });
        }
        Ok(WrittenRow { skipped, key_length })
    }

    /// Writes measurement and tags, and reports whether a name holds a byte that may not survive.
    fn write_key(
        &self,
        row: &impl Row,
        skipped: &mut Skipped,
        out: &mut Vec<u8>,
    ) -> Result<bool, WriteError> {
        if self.options.dialect == Dialect::V2Server && !row.canonical_key().is_empty() {
            out.extend_from_slice(row.canonical_key());
            self.check_key_length(out.len() - self.start)?;
            return Ok(false);
        }
        let [measurement_escapes, key_escapes, ..] = self.escapes();
        let measurement = row.measurement();
        if measurement.is_empty() {
            return Err(WriteError::EmptyMeasurement);
        }
        let mut odd =
            self.write_name(measurement, measurement_escapes, out)? || measurement.raw().starts_with(b"#");
        for TagRef { key, value } in row.tags() {
            if key.is_empty() || value.is_empty() {
                skipped.tags += 1;
                continue;
            }
            // None of these is ever written with a backslash.
            if self.options.dialect == Dialect::V2Server && RESERVED_TAG_KEYS.contains(&key.raw()) {
                return Err(WriteError::ReservedTagKey { key: key.raw().escape_ascii().to_string() });
            }
            out.push(b',');
            odd |= self.write_name(key, key_escapes, out)?;
            out.push(b'=');
            odd |= self.write_name(value, key_escapes, out)?;
        }
        self.check_key_length(out.len() - self.start)?;
        Ok(odd)
    }

    /// Writes the fields, and reports whether a name holds a byte that may not survive.
    fn write_fields(
        &self,
        row: &impl Row,
        skipped: &mut Skipped,
        out: &mut Vec<u8>,
    ) -> Result<bool, WriteError> {
        let [_, _, escapes, _] = self.escapes();
        let key_length = out.len() - self.start;
        let mut separator = b' ';
        let mut odd = false;
        for FieldRef { key, value, canonical: Canonical(text) } in row.fields() {
            if self.options.dialect == Dialect::V2Server
                && !text.is_empty()
                && key_length + FIELD_SEPARATOR_LENGTH + text.len() <= MAX_KEY_LENGTH
            {
                out.push(separator);
                separator = b',';
                out.extend_from_slice(text);
                continue;
            }
            if let FieldValueRef::Float(value) = value
                && !value.is_finite()
            {
                skipped.fields += 1;
                if self.options.non_finite == NonFinite::Refuse {
                    return Err(WriteError::NonFinite { key: key.to_string(), value });
                }
                continue;
            }
            if key.is_empty() {
                return Err(WriteError::EmptyFieldKey { measurement: row.measurement().to_string() });
            }
            out.push(separator);
            separator = b',';
            let start = out.len();
            odd |= self.write_name(key, escapes, out)?;
            self.check_key_length(key_length + FIELD_SEPARATOR_LENGTH + out.len() - start)?;
            out.push(b'=');
            self.write_value(value, out)?;
        }
        if separator == b' ' {
            return Err(WriteError::NoFields {
                measurement: row.measurement().to_string(),
                skipped: skipped.fields,
            });
        }
        Ok(odd)
    }

    /// What needs a backslash in measurements, tags, field keys and strings.
    const fn escapes(&self) -> [Escapes; 4] {
        match self.options.dialect {
            Dialect::V2Server => {
                [Escapes::Measurement, Escapes::Key, Escapes::ServerFieldKey, Escapes::Quoted]
            }
            Dialect::V2Library => [Escapes::Measurement, Escapes::Key, Escapes::Key, Escapes::LibraryQuoted],
            Dialect::V3 => [Escapes::V3Measurement, Escapes::V3Key, Escapes::V3Key, Escapes::Quoted],
        }
    }

    /// Writes a measurement, key or tag value, and reports whether it holds a byte that may not survive.
    fn write_name(&self, name: Text<'_>, escapes: Escapes, out: &mut Vec<u8>) -> Result<bool, WriteError> {
        let name = name.to_bytes();
        self.check_text(&name)?;
        escapes.write(&name, out);
        Ok(name.iter().any(|&byte| byte == b'\\' || byte < b' ' || byte == 0x7f))
    }

    fn write_value(&self, value: FieldValueRef<'_>, out: &mut Vec<u8>) -> Result<(), WriteError> {
        match value {
            FieldValueRef::Float(value) => float_text::write(value, self.options.dialect, out),
            FieldValueRef::Integer(value) => append(out, format_args!("{value}i")),
            FieldValueRef::Unsigned(value) => append(out, format_args!("{value}u")),
            FieldValueRef::Boolean(value) => append(out, format_args!("{value}")),
            FieldValueRef::String(text) => {
                let text = text.to_bytes();
                self.check_text(&text)?;
                let [.., quoted] = self.escapes();
                out.push(b'"');
                quoted.write(&text, out);
                out.push(b'"');
            }
        }
        Ok(())
    }

    fn check_text(&self, text: &[u8]) -> Result<(), WriteError> {
        if self.options.dialect == Dialect::V3 && text.len() > MAX_STRING_LENGTH {
            return Err(WriteError::StringTooLong { length: text.len() });
        }
        if self.options.dialect != Dialect::V2Server && std::str::from_utf8(text).is_err() {
            return Err(WriteError::InvalidUtf8 { text: lossy(text), dialect: self.options.dialect });
        }
        Ok(())
    }

    fn check_key_length(&self, length: usize) -> Result<(), WriteError> {
        if self.options.dialect == Dialect::V2Server && length > MAX_KEY_LENGTH {
            return Err(WriteError::KeyTooLong { length });
        }
        Ok(())
    }

    /// Whether `line`, with another one after it, is read as `row`. Backslashes and control characters in
    /// names come out right or wrong by rules so different from dialect to dialect that only reading tells.
    fn reads_back(&self, row: &impl Row, line: &[u8]) -> bool {
        let body = [line, b"\nm f=1 0"].concat();
        let options = ParseOptions::new(self.options.dialect, PointTime::from_nanos(0));
        let mut parser = Parser::new(&body, options.precision(self.options.precision));
        matches!(parser.next_point(), Some(Ok(point)) if is_same(&point, row))
            && matches!(parser.next_point(), Some(Ok(point)) if point.measurement() == "m")
    }
}

/// Whether `point` has the names and tags that are written of `row`.
fn is_same(point: &PointRef<'_, '_>, row: &impl Row) -> bool {
    let is_finite = |value| !matches!(value, FieldValueRef::Float(value) if !value.is_finite());
    let tags = row.tags().filter(|tag| !tag.key.is_empty() && !tag.value.is_empty());
    let keys = row.fields().filter(|field| is_finite(field.value)).map(|field| field.key);
    point.measurement() == row.measurement()
        && Row::tags(point).eq(tags)
        && Row::fields(point).map(|field| field.key).eq(keys)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
