//! Points to text.

use super::dialect::Dialect;
use super::escapes::Escapes;
use super::float_text::{self, append};
use super::options::ParseOptions;
use super::parser::Parser;
use super::point_ref::PointRef;
use super::reason::{MAX_TIME, MIN_TIME};
use super::row::{Row, RowValue};
use super::v3::MAX_STRING_LENGTH;
use super::write_error::WriteError;
use crate::payload::point::{Point, Precision, Timestamp};

/// Writes points as lines of line protocol.
///
/// A new writer writes the canonical form: the v2 server's dialect, tags and fields sorted by key, timestamps in nanoseconds.
/// Points that are equal have the same canonical line, and all three dialects read it alike unless a name holds a backslash.
///
/// What cannot be written is handled as InfluxDB's clients do, except that no point vanishes or changes unnoticed:
///
/// | in the point | in the line |
/// |---|---|
/// | tag with an empty key or value | left out, and counted in [`Skipped`] |
/// | infinite field, or not a number | left out and counted, or [`WriteError::NonFinite`] with [`NonFinite::Refuse`] |
/// | no field, or none left | [`WriteError::NoFields`]; the clients write an empty line |
/// | no time | no timestamp |
/// | name that the dialect cannot hold, such as one ending with `\` | [`WriteError::Unreadable`]; the clients append a space |
///
/// ```
/// use riverbed::line_protocol::{LineWriter, Skipped, WriteError};
/// use riverbed::point::Point;
///
/// let writer = LineWriter::new();
/// let mut line = Vec::new();
/// let point = Point::new("cpu").tag("core", "").field("temp", 25.3).field("load", f64::NAN);
/// assert_eq!(writer.write(&point, &mut line)?, Skipped { tags: 1, fields: 1 });
/// assert_eq!(line, b"cpu temp=25.3");
///
/// let empty = Point::new("cpu").field("load", f64::NAN);
/// assert!(matches!(writer.write(&empty, &mut line), Err(WriteError::NoFields { skipped: 1, .. })));
/// # Ok::<(), WriteError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct LineWriter {
    dialect: Dialect,
    precision: Precision,
    non_finite: NonFinite,
}

/// What to do with a field that is infinite or not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NonFinite {
    /// Leave the field out, as InfluxDB's clients do.
    #[default]
    Skip,
    /// Refuse the point, as the v2 server does when it is handed one.
    Refuse,
}

/// What was left out of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// Tags with an empty key or value.
    pub tags: usize,
    /// Fields that are infinite or not a number.
    pub fields: usize,
}

impl LineWriter {
    /// A writer of the canonical form.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes this dialect.
    #[must_use]
    pub const fn dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// Writes timestamps in this unit, cut towards 1970.
    #[must_use]
    pub const fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Does this with fields that are infinite or not a number.
    #[must_use]
    pub const fn non_finite(self, non_finite: NonFinite) -> Self {
        Self { non_finite, ..self }
    }

    /// Appends `point` to `out`, without a line feed, and reports what was left out.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; `out` is then as it was.
    pub fn write(&self, point: &Point, out: &mut Vec<u8>) -> Result<Skipped, WriteError> {
        self.write_row(point, out)
    }

    /// Appends a point that was read from text to `out`, without a line feed, and reports what was left out.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; `out` is then as it was.
    pub fn write_ref(&self, point: &PointRef<'_, '_>, out: &mut Vec<u8>) -> Result<Skipped, WriteError> {
        self.write_row(point, out)
    }

    /// `point` as a line, without a line feed.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the point cannot be written.
    pub fn line(&self, point: &Point) -> Result<String, WriteError> {
        let mut out = Vec::new();
        self.write(point, &mut out)?;
        // A point's text is UTF-8, and so is what is written around it.
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    fn write_row(&self, row: &impl Row, out: &mut Vec<u8>) -> Result<Skipped, WriteError> {
        let start = out.len();
        let written = self.try_write(row, start, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn try_write(&self, row: &impl Row, start: usize, out: &mut Vec<u8>) -> Result<Skipped, WriteError> {
        let [measurement_escapes, key_escapes, field_escapes, _] = self.escapes();
        let measurement = row.measurement();
        if measurement.is_empty() {
            return Err(WriteError::EmptyMeasurement);
        }
        let mut skipped = Skipped::default();
        let mut odd = self.write_name(&measurement, measurement_escapes, out)? || measurement.starts_with(b"#");
        for (key, value) in row.tags() {
            if key.is_empty() || value.is_empty() {
                skipped.tags += 1;
                continue;
            }
            let is_reserved = || matches!(&*key, b"time" | b"_field" | b"_measurement" | b"\0" | b"\xff");
            if self.dialect == Dialect::V2Server && is_reserved() {
                return Err(WriteError::ReservedTagKey { key: key.escape_ascii().to_string() });
            }
            out.push(b',');
            odd |= self.write_name(&key, key_escapes, out)?;
            out.push(b'=');
            odd |= self.write_name(&value, key_escapes, out)?;
        }
        let key_length = out.len() - start;
        self.check_key_length(key_length)?;
        let mut separator = b' ';
        for (key, value) in row.fields() {
            if let RowValue::Float(value) = value
                && !value.is_finite()
            {
                skipped.fields += 1;
                if self.non_finite == NonFinite::Refuse {
                    return Err(WriteError::NonFinite { key: lossy(&key), value });
                }
                continue;
            }
            if key.is_empty() {
                return Err(WriteError::EmptyFieldKey { measurement: lossy(&measurement) });
            }
            out.push(separator);
            separator = b',';
            let key_start = out.len();
            odd |= self.write_name(&key, field_escapes, out)?;
            // The server counts four bytes between the key of the series and that of the field.
            self.check_key_length(key_length + 4 + out.len() - key_start)?;
            out.push(b'=');
            self.write_value(value, out)?;
        }
        if separator == b' ' {
            return Err(WriteError::NoFields { measurement: lossy(&measurement), skipped: skipped.fields });
        }
        if let Some(time) = row.time() {
            if self.dialect == Dialect::V2Server && !(MIN_TIME..=MAX_TIME).contains(&time) {
                return Err(WriteError::TimeOutOfRange);
            }
            append(out, format_args!(" {}", time.to_precision(self.precision)));
        }
        if odd && !self.reads_back(row, out.get(start..).unwrap_or_default()) {
            let line = lossy(out.get(start..).unwrap_or_default());
            return Err(WriteError::Unreadable { line, dialect: self.dialect });
        }
        Ok(skipped)
    }

    /// What needs a backslash in measurements, tags, field keys and strings.
    const fn escapes(&self) -> [Escapes; 4] {
        match self.dialect {
            Dialect::V2Server => [Escapes::Measurement, Escapes::Key, Escapes::ServerFieldKey, Escapes::Quoted],
            Dialect::V2Library => [Escapes::Measurement, Escapes::Key, Escapes::Key, Escapes::LibraryQuoted],
            Dialect::V3 => [Escapes::V3Measurement, Escapes::V3Key, Escapes::V3Key, Escapes::Quoted],
        }
    }

    /// Writes a measurement, key or tag value, and reports whether it holds a byte that may not survive.
    fn write_name(&self, name: &[u8], escapes: Escapes, out: &mut Vec<u8>) -> Result<bool, WriteError> {
        self.check_text(name)?;
        escapes.write(name, out);
        Ok(name.iter().any(|&byte| byte == b'\\' || byte < b' ' || byte == 0x7f))
    }

    fn write_value(&self, value: RowValue<'_>, out: &mut Vec<u8>) -> Result<(), WriteError> {
        match value {
            RowValue::Float(value) => float_text::write(value, self.dialect, out),
            RowValue::Integer(value) => append(out, format_args!("{value}i")),
            RowValue::Unsigned(value) => append(out, format_args!("{value}u")),
            RowValue::Boolean(value) => append(out, format_args!("{value}")),
            RowValue::String(text) => {
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
        if self.dialect == Dialect::V3 && text.len() > MAX_STRING_LENGTH {
            return Err(WriteError::StringTooLong { length: text.len() });
        }
        if self.dialect != Dialect::V2Server && std::str::from_utf8(text).is_err() {
            return Err(WriteError::InvalidUtf8 { text: lossy(text), dialect: self.dialect });
        }
        Ok(())
    }

    fn check_key_length(&self, length: usize) -> Result<(), WriteError> {
        if self.dialect == Dialect::V2Server && length > 65_535 {
            return Err(WriteError::KeyTooLong { length });
        }
        Ok(())
    }

    /// Whether `line`, with another one after it, is read as `row`. Backslashes and control characters in names come out right
    /// or wrong by rules so different from dialect to dialect that only reading tells.
    fn reads_back(&self, row: &impl Row, line: &[u8]) -> bool {
        let body = [line, b"\nm f=1 0"].concat();
        let options = ParseOptions::new(self.dialect, Timestamp::from_nanos(0)).precision(self.precision);
        let mut parser = Parser::new(&body, options);
        let Some(Ok(point)) = parser.next_point() else { return false };
        let same = point.measurement().to_bytes() == row.measurement()
            && Row::tags(&point).eq(row.tags().filter(|(key, value)| !key.is_empty() && !value.is_empty()))
            && Row::fields(&point).map(|(key, _)| key).eq(row
                .fields()
                .filter(|(_, value)| !matches!(value, RowValue::Float(value) if !value.is_finite()))
                .map(|(key, _)| key));
        same && matches!(parser.next_point(), Some(Ok(point)) if point.measurement() == "m")
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
