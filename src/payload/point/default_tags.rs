//! Tags that every point gets.

use super::{Point, builder};

/// Tags that every point gets: the default tags of InfluxDB's clients.
///
/// ```
/// use riverbed::point::{DefaultTags, Point, TagPrecedence};
///
/// let defaults = DefaultTags::new().tag("host", "a").tag("region", "eu");
/// let mut point = Point::new("cpu").tag("host", "b").field("temp", 25.3);
///
/// defaults.apply(&mut point, TagPrecedence::Record);
/// assert_eq!(point.to_line_protocol()?, "cpu,host=b,region=eu temp=25.3");
/// defaults.apply(&mut point, TagPrecedence::Default);
/// assert_eq!(point.to_line_protocol()?, "cpu,host=a,region=eu temp=25.3");
/// # Ok::<(), riverbed::line_protocol::WriteError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultTags {
    /// Sorted by key.
    tags: Vec<(String, String)>,
}

/// Which tag wins where a default tag and a tag of the point have the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TagPrecedence {
    /// The default tag replaces the point's: what InfluxDB's Python client does with points and dictionaries.
    #[default]
    Default,
    /// The point's tag stays: what it does with the columns of a data frame.
    Record,
}

impl DefaultTags {
    /// No tags.
    #[must_use]
    pub const fn new() -> Self {
        Self { tags: Vec::new() }
    }

    /// These tags and one more; a key that is set again takes the new value. A tag with an empty value is set
    /// all the same, and left out when the point is written.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        builder::set(&mut self.tags, key.into(), value.into());
        self
    }

    /// Whether there is no tag.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The tags, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Gives `point` the tags.
    pub fn apply(&self, point: &mut Point, precedence: TagPrecedence) {
        for (key, value) in &self.tags {
            if precedence == TagPrecedence::Default || point.tag_value(key).is_none() {
                point.set_tag(key.as_str(), value.as_str());
            }
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for DefaultTags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(tags: I) -> Self {
        tags.into_iter().fold(Self::new(), |defaults, (key, value)| defaults.tag(key, value))
    }
}
