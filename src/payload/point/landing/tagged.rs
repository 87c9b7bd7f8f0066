//! A row with what it gets on its way into a stream.

use std::iter;

use super::options::PointOptions;
use crate::payload::line_protocol::{FieldRef, Row, TagRef, Text};
use crate::payload::point::{PointTime, TagPrecedence};

/// A row with default tags, and with the clock's time where it has none.
pub(super) struct Tagged<'r, R> {
    pub(super) row: &'r R,
    pub(super) options: &'r PointOptions,
    pub(super) clock: PointTime,
}

impl<R: Row> Row for Tagged<'_, R> {
    fn measurement(&self) -> Text<'_> {
        self.row.measurement()
    }

    fn tags(&self) -> impl Iterator<Item = TagRef<'_>> {
        let mut own = self.row.tags().peekable();
        let mut defaults = self.options.default_tags.iter().map(tag).peekable();
        iter::from_fn(move || {
            let (Some(tag), Some(default)) = (own.peek(), defaults.peek()) else {
                return own.next().or_else(|| defaults.next());
            };
            match tag.key.cmp(&default.key) {
                std::cmp::Ordering::Less => own.next(),
                std::cmp::Ordering::Greater => defaults.next(),
                std::cmp::Ordering::Equal => {
                    let both = (own.next(), defaults.next());
                    if self.options.precedence == TagPrecedence::Default { both.1 } else { both.0 }
                }
            }
        })
    }

    fn fields(&self) -> impl Iterator<Item = FieldRef<'_>> {
        self.row.fields()
    }

    fn time(&self) -> Option<PointTime> {
        self.row.time().or(Some(self.clock))
    }

    fn canonical_key(&self) -> &[u8] {
        if self.options.default_tags.is_empty() { self.row.canonical_key() } else { b"" }
    }

    fn canonical_time(&self) -> &[u8] {
        self.row.canonical_time()
    }
}

fn tag<'t>((key, value): (&'t str, &'t str)) -> TagRef<'t> {
    TagRef { key: Text::plain(key.as_bytes()), value: Text::plain(value.as_bytes()) }
}
