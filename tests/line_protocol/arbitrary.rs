//! Arbitrary points.

use proptest::prelude::*;
use proptest::sample::select;
use riverbed::point::{FieldValue, Point, PointTime};

/// Text in which the bytes that mean something are common.
pub(crate) fn odd_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-c]",
        4 => select(&["\\", ",", "=", " ", "\"", "#", "'", "é", "time", "_field", "\\\\"][..]).prop_map(String::from),
        1 => select(&["\n", "\t", "\r", "\0", "\x7f", "\u{85}", "\u{10ffff}"][..]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Text that every dialect can hold as a name: printable, without backslash, not starting with `#`, and not
/// reserved.
pub(crate) fn tame_text() -> impl Strategy<Value = String> {
    "[a-zA-Zé][a-z0-9 ,=\"'#_.é-]{0,8}".prop_filter("reserved", |text| text != "time")
}

fn field_value(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<FieldValue> {
    prop_oneof![
        any::<f64>().prop_map(FieldValue::Float),
        (-1_000_000_i32..1_000_000).prop_map(|value| FieldValue::Float(f64::from(value) / 1_000.0)),
        any::<i64>().prop_map(FieldValue::Integer),
        any::<u64>().prop_map(FieldValue::Unsigned),
        any::<bool>().prop_map(FieldValue::Boolean),
        text.prop_map(FieldValue::String),
    ]
    .boxed()
}

pub(crate) fn point<T: Strategy<Value = String> + 'static>(
    text: fn() -> T,
    strings: BoxedStrategy<String>,
) -> BoxedStrategy<Point> {
    let tags = prop::collection::vec((text(), text()), 0..4);
    let fields = prop::collection::vec((text(), field_value(strings)), 0..4);
    let time = prop::option::of(any::<i64>().prop_map(PointTime::from_nanos));
    (text(), tags, fields, time)
        .prop_map(|(measurement, tags, fields, time)| {
            let mut point = Point::new(measurement);
            tags.into_iter().for_each(|(key, value)| point.set_tag(key, value));
            fields.into_iter().for_each(|(key, value)| point.set_field(key, value));
            time.into_iter().fold(point, Point::time)
        })
        .boxed()
}

/// The point without what the writer documents to leave out, at `clock` if it has no time.
pub(crate) fn written(point: &Point, clock: PointTime) -> Point {
    let mut kept = Point::new(point.measurement()).time(point.timestamp().unwrap_or(clock));
    point
        .tags()
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .for_each(|(key, value)| kept.set_tag(key, value));
    for (key, value) in point.fields() {
        if !matches!(value, FieldValue::Float(value) if !value.is_finite()) {
            kept.set_field(key, value.clone());
        }
    }
    kept
}
