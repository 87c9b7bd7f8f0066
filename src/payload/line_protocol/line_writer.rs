//! Points to text.

use super::dialect::Dialect;
use super::point_ref::PointRef;
use super::row::Row;
use super::row_writer::{RowWriter, WrittenRow};
use super::write_error::WriteError;
use crate::payload::point::{Point, Precision};

/// Writes points as lines of line protocol.
///
/// A new writer writes the canonical form: the v2 server's dialect, tags and fields sorted by key, timestamps
/// in nanoseconds. Points that are equal have the same canonical line, and all three dialects read it alike
/// unless a name holds a backslash.
///
/// What cannot be written is handled as InfluxDB's clients do, except that no point vanishes or changes
/// unnoticed:
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
    pub(super) dialect: Dialect,
    pub(super) precision: Precision,
    pub(super) non_finite: NonFinite,
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
        Ok(self.write_row(point, out)?.skipped)
    }

    /// Appends a point that was read from text to `out`, without a line feed, and reports what was left out.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; `out` is then as it was.
    pub fn write_ref(&self, point: &PointRef<'_, '_>, out: &mut Vec<u8>) -> Result<Skipped, WriteError> {
        Ok(self.write_row(point, out)?.skipped)
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

    /// Appends a row to `out`, without a line feed; after an error, nothing.
    pub(crate) fn write_row(&self, row: &impl Row, out: &mut Vec<u8>) -> Result<WrittenRow, WriteError> {
        let start = out.len();
        let written = RowWriter { options: *self, start }.write(row, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }
}
