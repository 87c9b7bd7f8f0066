//! The identity of a series.

use std::borrow::Cow;
use std::fmt;

use crate::payload::line_protocol::Escapes;
use crate::payload::partition_key::partition_key;

/// The identity of a series: a measurement and its tags, sorted, as they start a line of canonical line
/// protocol.
///
/// Points with the same series key belong together and stay in order when the key is their partition key. It
/// is the series key of the InfluxDB v2 server, except that tags are sorted by what their keys mean and not
/// by how they are escaped.
///
/// ```
/// use riverbed::point::Point;
///
/// let point = Point::new("my cpu").tag("host", "b").tag("core", "0").field("temp", 25.3);
/// assert_eq!(point.series_key().as_bytes(), br"my\ cpu,core=0,host=b");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey(Vec<u8>);

impl SeriesKey {
    /// The key of a measurement with these tags, which come sorted; those with an empty key or value do not
    /// count.
    pub(crate) fn of(
        measurement: &[u8],
        tags: impl IntoIterator<Item = (impl AsRef<[u8]>, impl AsRef<[u8]>)>,
    ) -> Self {
        let mut key = Vec::with_capacity(64);
        Escapes::Measurement.write(measurement, &mut key);
        for (tag, value) in tags {
            let (tag, value) = (tag.as_ref(), value.as_ref());
            if !tag.is_empty() && !value.is_empty() {
                key.push(b',');
                Escapes::Key.write(tag, &mut key);
                key.push(b'=');
                Escapes::Key.write(value, &mut key);
            }
        }
        Self(key)
    }

    /// The key as text of canonical line protocol. UTF-8, unless a v2 body brought text that is not.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The partition key of the series' points in a stream: this key, where it is UTF-8 of at most 256 characters. Of
    /// any other it is the first 223 characters, `#`, and the MD5 of the whole key in hexadecimal: the points of a series
    /// have the same one all the same, and stay in order.
    ///
    /// ```
    /// use riverbed::point::Point;
    ///
    /// assert_eq!(Point::new("cpu").tag("core", "0").series_key().partition_key(), "cpu,core=0");
    /// ```
    #[must_use]
    pub fn partition_key(&self) -> Cow<'_, str> {
        partition_key(&self.0)
    }

    /// The key's bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for SeriesKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SeriesKey {
    /// The key as text; bytes that are not UTF-8 become U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesKey({self})")
    }
}
