//! What tells series apart.

use std::fmt;

use crate::payload::measures::encoding::series_bytes;
use crate::payload::measures::record::Dimension;

/// A series: a set of dimensions and a measure name. With a time it names a data point.
///
/// ```
/// use riverbed::measures::Series;
///
/// let load = Series::new([("host", "a"), ("region", "eu")], "load");
/// assert_eq!(load, Series::new([("region", "eu"), ("host", "a")], "load"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Series {
    bytes: Vec<u8>,
}

impl Series {
    /// The series with these dimensions, in whatever order, and this measure name.
    #[must_use]
    pub fn new<'a>(dimensions: impl IntoIterator<Item = (&'a str, &'a str)>, measure_name: &str) -> Self {
        let dimension = |(name, value)| Dimension { name, value };
        let mut dimensions: Vec<_> = dimensions.into_iter().map(dimension).collect();
        dimensions.sort_unstable();
        Self { bytes: series_bytes(&dimensions, measure_name) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Series({})", self.bytes.escape_ascii())
    }
}
