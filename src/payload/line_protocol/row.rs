//! What can be written as a line.

use super::parts::{fields_ascend, sort_fields};
use super::point_ref::{FieldRef, FieldValueRef, PointRef, TagRef};
use super::text::Text;
use crate::payload::point::{FieldValue, Point, PointTime};

/// What can be written as a line: tags sorted by key, fields sorted by key and each there once.
pub(crate) trait Row {
    fn measurement(&self) -> Text<'_>;
    fn tags(&self) -> impl Iterator<Item = TagRef<'_>>;
    fn fields(&self) -> impl Iterator<Item = FieldRef<'_>>;
    fn time(&self) -> Option<PointTime>;

    /// Measurement and tags as they are written canonically, if that is known; else nothing.
    fn canonical_key(&self) -> &[u8] {
        b""
    }

    /// The timestamp in nanoseconds as it is written canonically, if that is known; else nothing.
    fn canonical_time(&self) -> &[u8] {
        b""
    }
}

impl Row for Point {
    fn measurement(&self) -> Text<'_> {
        Text::plain(self.measurement().as_bytes())
    }

    fn tags(&self) -> impl Iterator<Item = TagRef<'_>> {
        self.tags().map(|(key, value)| TagRef {
            key: Text::plain(key.as_bytes()),
            value: Text::plain(value.as_bytes()),
        })
    }

    fn fields(&self) -> impl Iterator<Item = FieldRef<'_>> {
        self.fields().map(|(key, value)| {
            let value = match value {
                FieldValue::Float(value) => FieldValueRef::Float(*value),
                FieldValue::Integer(value) => FieldValueRef::Integer(*value),
                FieldValue::Unsigned(value) => FieldValueRef::Unsigned(*value),
                FieldValue::Boolean(value) => FieldValueRef::Boolean(*value),
                FieldValue::String(value) => FieldValueRef::String(Text::plain(value.as_bytes())),
            };
            FieldRef::new(Text::plain(key.as_bytes()), value)
        })
    }

    fn time(&self) -> Option<PointTime> {
        self.timestamp()
    }
}

impl Row for PointRef<'_, '_> {
    fn measurement(&self) -> Text<'_> {
        self.measurement()
    }

    fn tags(&self) -> impl Iterator<Item = TagRef<'_>> {
        PointRef::tags(self).iter().copied()
    }

    fn fields(&self) -> impl Iterator<Item = FieldRef<'_>> {
        let fields = PointRef::fields(self);
        let sorted = fields_ascend(fields);
        let mut order: Vec<FieldRef<'_>> = Vec::new();
        if !sorted {
            order.extend(fields);
            sort_fields(&mut order);
        }
        let in_line = fields.iter().filter(move |_| sorted).copied();
        in_line.chain(order)
    }

    fn time(&self) -> Option<PointTime> {
        Some(PointRef::time(self))
    }

    fn canonical_key(&self) -> &[u8] {
        self.canonical_key.0
    }

    fn canonical_time(&self) -> &[u8] {
        self.canonical_time.0
    }
}
