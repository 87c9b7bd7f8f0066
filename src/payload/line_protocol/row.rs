//! What can be written as a line.

use std::borrow::Cow;

use super::point_ref::{FieldRef, FieldValueRef, PointRef};
use crate::payload::point::{FieldValue, Point, PointTime};

/// A field's value, as bytes where it is a string.
#[derive(Debug, Clone)]
pub(super) enum RowValue<'r> {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(Cow<'r, [u8]>),
}

/// What can be written as a line: tags sorted by key, fields sorted by key and each there once.
pub(super) trait Row {
    fn measurement(&self) -> Cow<'_, [u8]>;
    fn tags(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)>;
    fn fields(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, RowValue<'_>)>;
    fn time(&self) -> Option<PointTime>;
}

impl Row for Point {
    fn measurement(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.measurement().as_bytes())
    }

    fn tags(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        self.tags().map(|(key, value)| (Cow::Borrowed(key.as_bytes()), Cow::Borrowed(value.as_bytes())))
    }

    fn fields(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, RowValue<'_>)> {
        self.fields().map(|(key, value)| {
            let value = match value {
                FieldValue::Float(value) => RowValue::Float(*value),
                FieldValue::Integer(value) => RowValue::Integer(*value),
                FieldValue::Unsigned(value) => RowValue::Unsigned(*value),
                FieldValue::Boolean(value) => RowValue::Boolean(*value),
                FieldValue::String(value) => RowValue::String(Cow::Borrowed(value.as_bytes())),
            };
            (Cow::Borrowed(key.as_bytes()), value)
        })
    }

    fn time(&self) -> Option<PointTime> {
        self.timestamp()
    }
}

impl Row for PointRef<'_, '_> {
    fn measurement(&self) -> Cow<'_, [u8]> {
        self.measurement().to_bytes()
    }

    fn tags(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        PointRef::tags(self).iter().map(|tag| (tag.key.to_bytes(), tag.value.to_bytes()))
    }

    fn fields(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, RowValue<'_>)> {
        let fields = PointRef::fields(self);
        let sorted = fields.is_sorted_by(|left, right| left.key < right.key);
        let mut order: Vec<&FieldRef<'_>> = Vec::new();
        if !sorted {
            order.extend(fields.iter());
            // The sort is stable: of the fields with one key the last in the line comes last, and it counts.
            order.sort_by_key(|field| field.key);
            order.reverse();
            order.dedup_by_key(|field| field.key);
            order.reverse();
        }
        let in_line = fields.iter().filter(move |_| sorted);
        in_line.chain(order).map(|field| {
            let value = match field.value {
                FieldValueRef::Float(value) => RowValue::Float(value),
                FieldValueRef::Integer(value) => RowValue::Integer(value),
                FieldValueRef::Unsigned(value) => RowValue::Unsigned(value),
                FieldValueRef::Boolean(value) => RowValue::Boolean(value),
                FieldValueRef::String(text) => RowValue::String(text.to_bytes()),
            };
            (field.key.to_bytes(), value)
        })
    }

    fn time(&self) -> Option<PointTime> {
        Some(PointRef::time(self))
    }
}
