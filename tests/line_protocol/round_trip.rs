//! Points to text and back, in every dialect.
//!
//! Guards against lines that are read as another point than the one that was written, which is worse than any
//! error, and against refusing points that have nothing wrong with them.

use proptest::prelude::*;
use proptest::sample::select;
use riverbed::line_protocol::{Dialect, LineWriter, ParseOptions, Parser, WriteError};
use riverbed::point::{FieldValue, Point, PointTime, Precision};

use crate::bodies::cases;

const DIALECTS: [Dialect; 3] = [Dialect::V2Server, Dialect::V2Library, Dialect::V3];
const CLOCK: PointTime = PointTime::from_nanos(1_657_729_063_000_000_000);

/// Text in which the bytes that mean something are common.
fn odd_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-c]",
        4 => select(&["\\", ",", "=", " ", "\"", "#", "'", "é", "time", "_field", "\\\\"][..]).prop_map(String::from),
        1 => select(&["\n", "\t", "\r", "\0", "\x7f", "\u{85}", "\u{10ffff}"][..]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Text that every dialect can hold as a name: printable, without backslash, not starting with `#`, and not
/// reserved.
fn tame_text() -> impl Strategy<Value = String> {
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

fn point<T: Strategy<Value = String> + 'static>(
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

/// The point without what the writer documents to leave out, at the time that a reader gives it.
fn written(point: &Point) -> Point {
    let mut kept = Point::new(point.measurement()).time(point.timestamp().unwrap_or(CLOCK));
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

fn read(body: &[u8], dialect: Dialect) -> Vec<Point> {
    let mut parser = Parser::new(body, ParseOptions::new(dialect, CLOCK));
    let mut points = Vec::new();
    while let Some(point) = parser.next_point() {
        points.push(point.unwrap().to_point().unwrap());
    }
    points
}

fn check_round_trip(point: &Point, dialect: Dialect) -> Result<(), TestCaseError> {
    let line = match LineWriter::new().dialect(dialect).line(point) {
        Ok(line) => line,
        Err(WriteError::NoFields { .. }) => {
            prop_assert_eq!(written(point).fields().len(), 0);
            return Ok(());
        }
        Err(_) => return Ok(()),
    };
    prop_assert!(!line.is_empty());
    let body = format!("{line}\n{line}\n");
    let expected = written(point);
    prop_assert_eq!(
        read(body.as_bytes(), dialect),
        [expected.clone(), expected.clone()],
        "{:?} {:?}",
        dialect,
        line
    );
    // What was read is written alike again.
    let mut parser = Parser::new(line.as_bytes(), ParseOptions::new(dialect, CLOCK));
    let mut again = Vec::new();
    let read = parser.next_point().unwrap().unwrap();
    LineWriter::new().dialect(dialect).write_ref(&read, &mut again).unwrap();
    prop_assert_eq!(
        String::from_utf8(again).unwrap(),
        LineWriter::new().dialect(dialect).line(&expected).unwrap()
    );
    prop_assert_eq!(read.series_key(), point.series_key());
    Ok(())
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn odd_points_come_back_or_are_refused(point in point(odd_text, odd_text().boxed())) {
        for dialect in DIALECTS {
            check_round_trip(&point, dialect)?;
        }
    }

    #[test]
    fn tame_points_are_never_refused(point in point(tame_text, any::<String>().boxed())) {
        let nanos = point.timestamp().map_or(0, PointTime::as_nanos);
        let in_range = (i64::MIN + 2..i64::MAX).contains(&nanos);
        for dialect in DIALECTS {
            let line = LineWriter::new().dialect(dialect).line(&point);
            if written(&point).fields().len() > 0 && in_range {
                prop_assert!(line.is_ok(), "{:?}", line);
            }
            check_round_trip(&point, dialect)?;
        }
        // Every dialect reads the canonical line alike.
        if let Ok(line) = point.to_line_protocol() {
            for dialect in DIALECTS {
                prop_assert_eq!(read(line.as_bytes(), dialect), [written(&point)]);
            }
            prop_assert!(line.as_bytes().starts_with(point.series_key().as_bytes()));
        }
    }

    #[test]
    fn times_come_back_in_every_precision(seconds in -9_000_000_000_i64..9_000_000_000) {
        use Precision::{Hours, Microseconds, Milliseconds, Minutes, Nanoseconds, Seconds};
        for precision in [Nanoseconds, Microseconds, Milliseconds, Seconds, Minutes, Hours] {
            let time = PointTime::from_nanos(seconds / 3_600 * 3_600_000_000_000);
            let point = Point::new("m").field("f", 1_i64).time(time);
            let line = LineWriter::new().precision(precision).line(&point).unwrap();
            let options = ParseOptions::new(Dialect::V2Server, CLOCK).precision(precision);
            let mut parser = Parser::new(line.as_bytes(), options);
            prop_assert_eq!(parser.next_point().unwrap().unwrap().time(), time);
        }
    }
}
