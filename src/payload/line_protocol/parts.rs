//! The pieces of the line that is being read.

use super::point_ref::{Canonical, FieldRef, PointRef, TagRef};
use super::reason::Reason;
use super::text::Text;
use crate::payload::point::PointTime;

/// The pieces of one line, in buffers that serve line after line.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) measurement: Text<'a>,
    pub(super) tags: Vec<TagRef<'a>>,
    pub(super) fields: Vec<FieldRef<'a>>,
    /// Measurement and tags as they stand in the line, if that is how they are written canonically.
    pub(super) canonical_key: Canonical<'a>,
    /// The timestamp as it stands in the line, if it counts nanoseconds and is written canonically.
    pub(super) canonical_time: Canonical<'a>,
}

/// What is wrong, and where: a byte offset in the input.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) reason: Reason,
}

impl Fault {
    pub(super) const fn new(at: usize, reason: Reason) -> Self {
        Self { at, reason }
    }
}

/// One line as a dialect read it.
#[derive(Debug)]
pub(super) enum Step {
    /// A blank line or a comment; the next line starts at `next`.
    Skip { next: usize },
    /// A line that is a point, or should have been one.
    Line(Line),
    /// Nothing is left.
    End,
}

/// A line that is a point, or should have been one: it stands at `start..end`, and the next one starts at
/// `next`.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) next: usize,
    pub(super) outcome: Result<PointTime, Fault>,
}

impl<'a> Parts<'a> {
    pub(super) const fn new() -> Self {
        Self {
            measurement: Text::plain(b""),
            tags: Vec::new(),
            fields: Vec::new(),
            canonical_key: Canonical(b""),
            canonical_time: Canonical(b""),
        }
    }

    /// Empty parts for another input, in the same buffers.
    pub(super) fn reuse<'b>(mut self) -> Parts<'b> {
        self.clear();
        // The vectors are empty: collecting them in place changes the lifetime and keeps the allocation.
        let tags = self
            .tags
            .into_iter()
            .map(|_| TagRef { key: Text::plain(b""), value: Text::plain(b"") })
            .collect();
        let empty = |_| FieldRef::new(Text::plain(b""), super::FieldValueRef::Boolean(false));
        let fields = self.fields.into_iter().map(empty).collect();
        Parts { tags, fields, ..Parts::new() }
    }

    pub(super) fn clear(&mut self) {
        self.tags.clear();
        self.fields.clear();
        self.canonical_key = Canonical(b"");
        self.canonical_time = Canonical(b"");
    }

    pub(super) fn point(&self, time: PointTime) -> PointRef<'_, 'a> {
        PointRef {
            measurement: self.measurement,
            tags: &self.tags,
            fields: &self.fields,
            time,
            canonical_key: self.canonical_key,
            canonical_time: self.canonical_time,
        }
    }

    /// Whether the tags are sorted by key, and every key is there once.
    pub(super) fn tags_ascend(&self) -> bool {
        let ascending = |pair: &[TagRef<'_>]| matches!(pair, [left, right] if left.key < right.key);
        self.tags.windows(2).all(ascending)
    }

    /// Sorts the fields by key. Of those with one key, the last in the line stays.
    pub(super) fn sort_fields(&mut self) {
        if !fields_ascend(&self.fields) {
            sort_fields(&mut self.fields);
        }
    }

    /// Sorts the tags by key and reports whether every key is there once.
    pub(super) fn sort_tags(&mut self) -> bool {
        if self.tags_ascend() {
            return true;
        }
        self.tags.sort_by_key(|tag| tag.key);
        self.tags_ascend()
    }
}

/// Whether fields are sorted by key, and every key is there once.
pub(super) fn fields_ascend(fields: &[FieldRef<'_>]) -> bool {
    fields.is_sorted_by(|left, right| left.key < right.key)
}

/// Sorts fields by key. Of those with one key, the last stays: it counts.
pub(super) fn sort_fields(fields: &mut Vec<FieldRef<'_>>) {
    // The sort keeps the order of equal keys.
    fields.sort_by_key(|field| field.key);
    fields.dedup_by(|later, earlier| {
        let repeated = later.key == earlier.key;
        if repeated {
            *earlier = *later;
        }
        repeated
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sorted_and_repeats_found() {
        let tag = |key: &'static [u8]| TagRef { key: Text::plain(key), value: Text::plain(b"v") };
        let mut parts = Parts { tags: vec![tag(b"b"), tag(b"a")], ..Parts::new() };
        assert!(parts.sort_tags());
        assert_eq!(parts.tags, [tag(b"a"), tag(b"b")]);
        parts.tags.push(tag(b"a"));
        assert!(!parts.sort_tags());
    }

    #[test]
    fn buffers_outlive_their_input() {
        let mut parts = Parts::new();
        let input = String::from("key");
        parts.tags.push(TagRef { key: Text::plain(input.as_bytes()), value: Text::plain(b"v") });
        let capacity = parts.tags.capacity();
        let reused: Parts<'static> = parts.reuse();
        assert!(reused.tags.is_empty());
        assert_eq!(reused.tags.capacity(), capacity);
    }
}
