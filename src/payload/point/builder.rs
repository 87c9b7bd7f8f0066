//! A point and how to build one.

use super::{FieldValue, IntoField, PointTime, SeriesKey};
use crate::payload::line_protocol::{LineWriter, WriteError};

/// One point: a measurement, tags, fields, and when it happened. Follows `Point` of InfluxDB's clients.
///
/// ```
/// use riverbed::point::{Point, Precision, PointTime};
///
/// let time = PointTime::new(1_657_729_063, Precision::Seconds)?;
/// let point = Point::new("cpu").tag("core", "0").field("temp", 25.3).time(time);
///
/// assert_eq!(point.to_line_protocol()?, "cpu,core=0 temp=25.3 1657729063000000000");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Tags and fields are kept sorted by key. A key that is set again takes the new value. Nothing is checked
/// until the point is written: see [`LineWriter`] for what becomes of empty tags, infinities and the like.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, FieldValue)>,
    time: Option<PointTime>,
}

impl Point {
    /// A point of this measurement, without tags, fields and time.
    #[must_use]
    pub fn new(measurement: impl Into<String>) -> Self {
        Self { measurement: measurement.into(), tags: Vec::new(), fields: Vec::new(), time: None }
    }

    /// The point with this tag. A tag with an empty key or value is left out when the point is written.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set_tag(key, value);
        self
    }

    /// The point with this field; `None` leaves it as it is.
    #[must_use]
    pub fn field(mut self, key: impl Into<String>, value: impl IntoField) -> Self {
        if let Some(value) = value.into_field() {
            self.set_field(key, value);
        }
        self
    }

    /// The point at this time.
    #[must_use]
    pub const fn time(mut self, time: PointTime) -> Self {
        self.time = Some(time);
        self
    }

    /// Sets a tag.
    pub fn set_tag(&mut self, key: impl Into<String>, value: impl Into<String>) {
        set(&mut self.tags, key.into(), value.into());
    }

    /// Sets a field.
    pub fn set_field(&mut self, key: impl Into<String>, value: impl Into<FieldValue>) {
        set(&mut self.fields, key.into(), value.into());
    }

    /// The measurement.
    #[must_use]
    pub fn measurement(&self) -> &str {
        &self.measurement
    }

    /// The tags, sorted by key.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The fields, sorted by key.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &FieldValue)> {
        self.fields.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of the tag `key`, where the point has it.
    #[must_use]
    pub fn tag_value(&self, key: &str) -> Option<&str> {
        get(&self.tags, key).map(String::as_str)
    }

    /// The value of the field `key`, where the point has it.
    #[must_use]
    pub fn field_value(&self, key: &str) -> Option<&FieldValue> {
        get(&self.fields, key)
    }

    /// When the point happened, where that was set.
    #[must_use]
    pub const fn timestamp(&self) -> Option<PointTime> {
        self.time
    }

    /// The key of the series that the point belongs to: its measurement and its tags, but for those with an
    /// empty key or value.
    #[must_use]
    pub fn series_key(&self) -> SeriesKey {
        let tags = self.tags().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
        SeriesKey::of(self.measurement.as_bytes(), tags)
    }

    /// The point as a line of canonical line protocol: as [`LineWriter::new`] writes it, without a line feed.
    /// A point without a time becomes a line without a timestamp.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the point has no field that can be written, or a name that line protocol cannot
    /// hold.
    pub fn to_line_protocol(&self) -> Result<String, WriteError> {
        LineWriter::new().line(self)
    }
}

/// Sets an entry of a list that is sorted by key.
pub(super) fn set<V>(entries: &mut Vec<(String, V)>, key: String, value: V) {
    match entries.binary_search_by(|(other, _)| other.as_str().cmp(&key)) {
        Ok(at) => {
            if let Some((_, old)) = entries.get_mut(at) {
                *old = value;
            }
        }
        Err(at) => entries.insert(at, (key, value)),
    }
}

fn get<'v, V>(entries: &'v [(String, V)], key: &str) -> Option<&'v V> {
    let at = entries.binary_search_by(|(other, _)| other.as_str().cmp(key)).ok()?;
    entries.get(at).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_the_last_value_counts() {
        let point = Point::new("m")
            .tag("b", "1")
            .tag("a", "2")
            .tag("b", "3")
            .field("y", 1_i64)
            .field("x", 2.5)
            .field("y", true);
        assert_eq!(point.tags().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!(point.fields().map(|(key, _)| key).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(point.field_value("y"), Some(&FieldValue::Boolean(true)));
        assert_eq!((point.tag_value("b"), point.tag_value("c")), (Some("3"), None));
        assert_eq!(point.timestamp(), None);
    }

    #[test]
    fn a_missing_value_is_no_field() {
        let point = Point::new("m").field("x", None::<f64>);
        assert_eq!(point.fields().len(), 0);
    }
}
