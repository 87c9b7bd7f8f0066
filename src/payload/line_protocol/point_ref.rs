//! A point as it stands in a line.

use std::fmt;
use std::str::Utf8Error;

use super::text::Text;
use crate::payload::point::{FieldValue, Point, PointTime, SeriesKey};

/// One tag of a [`PointRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagRef<'a> {
    /// The tag's key, never empty.
    pub key: Text<'a>,
    /// The tag's value, never empty.
    pub value: Text<'a>,
}

/// One field of a [`PointRef`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldRef<'a> {
    /// The field's key, never empty.
    pub key: Text<'a>,
    /// The field's value.
    pub value: FieldValueRef<'a>,
    /// `key=value` as it stands in the line, if that is how it is written canonically.
    pub(super) canonical: Canonical<'a>,
}

/// A piece of a line that need not be written again, because it stands there in the canonical form; empty where that
/// is not known. It adds nothing to what the piece means, and so does not count in comparisons.
#[derive(Clone, Copy, Default)]
pub(super) struct Canonical<'a>(pub(super) &'a [u8]);

impl PartialEq for Canonical<'_> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Canonical<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl<'a> FieldRef<'a> {
    pub(super) const fn new(key: Text<'a>, value: FieldValueRef<'a>) -> Self {
        Self { key, value, canonical: Canonical(b"") }
    }
}

/// The value of a field, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldValueRef<'a> {
    /// `25.3`: 64-bit floating point. Finite, but for [`Dialect::V3`](super::Dialect::V3), which reads
    /// `1e999` as infinity.
    Float(f64),
    /// `-3i`: 64-bit signed integer.
    Integer(i64),
    /// `3u`: 64-bit unsigned integer.
    Unsigned(u64),
    /// `t`, `T`, `true`, `True`, `TRUE`, `f`, `F`, `false`, `False` or `FALSE`.
    Boolean(bool),
    /// `"text"`
    String(Text<'a>),
}

impl FieldValueRef<'_> {
    /// The value, copied out of its line.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] for a string that is not UTF-8, which only
    /// [`Dialect::V2Server`](super::Dialect::V2Server) lets through.
    pub fn to_value(&self) -> Result<FieldValue, Utf8Error> {
        Ok(match *self {
            Self::Float(value) => FieldValue::Float(value),
            Self::Integer(value) => FieldValue::Integer(value),
            Self::Unsigned(value) => FieldValue::Unsigned(value),
            Self::Boolean(value) => FieldValue::Boolean(value),
            Self::String(text) => FieldValue::String(text.to_str()?.into_owned()),
        })
    }
}

/// A point as it stands in a line: everything borrowed from the text, until the next call of the
/// [`Parser`](super::Parser) that read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointRef<'p, 'a> {
    pub(super) measurement: Text<'a>,
    pub(super) tags: &'p [TagRef<'a>],
    pub(super) fields: &'p [FieldRef<'a>],
    pub(super) time: PointTime,
    /// Measurement and tags as they start the line, if that is how they are written canonically.
    pub(super) canonical_key: Canonical<'a>,
    /// The timestamp as it ends the line, if it counts nanoseconds and is written canonically.
    pub(super) canonical_time: Canonical<'a>,
}

impl<'p, 'a> PointRef<'p, 'a> {
    /// The measurement, never empty.
    #[must_use]
    pub const fn measurement(&self) -> Text<'a> {
        self.measurement
    }

    /// The tags, sorted by key, each key once.
    #[must_use]
    pub const fn tags(&self) -> &'p [TagRef<'a>] {
        self.tags
    }

    /// The fields in the order of the line, at least one. A key that the line repeats stands here as often;
    /// the last counts.
    #[must_use]
    pub const fn fields(&self) -> &'p [FieldRef<'a>] {
        self.fields
    }

    /// When: the line's timestamp scaled to nanoseconds, or the clock of the
    /// [`ParseOptions`](super::ParseOptions).
    #[must_use]
    pub const fn time(&self) -> PointTime {
        self.time
    }

    /// The value of the tag `key`, where the point has it.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<Text<'a>> {
        self.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value)
    }

    /// The value of the field `key`, where the point has it; the last one, where the line repeats it.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<FieldValueRef<'a>> {
        self.fields.iter().rfind(|field| field.key == key).map(|field| field.value)
    }

    /// The key of the series that the point belongs to: its measurement and sorted tags.
    #[must_use]
    pub fn series_key(&self) -> SeriesKey {
        let tags = self.tags.iter().map(|tag| (tag.key.to_bytes(), tag.value.to_bytes()));
        SeriesKey::of(&self.measurement.to_bytes(), tags)
    }

    /// The point, copied out of its line.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] for text that is not UTF-8, which only [`Dialect::V2Server`](super::Dialect::V2Server)
    /// lets through.
    pub fn to_point(&self) -> Result<Point, Utf8Error> {
        let mut point = Point::new(self.measurement.to_str()?).time(self.time);
        for tag in self.tags {
            point.set_tag(tag.key.to_str()?, tag.value.to_str()?);
        }
        for field in self.fields {
            point.set_field(field.key.to_str()?, field.value.to_value()?);
        }
        Ok(point)
    }
}
