//! What the writer makes of points that line protocol has no line for.
//!
//! Guards against empty lines, and against values that vanish or change without a word.

use riverbed::line_protocol::{Dialect, LineWriter, NonFinite, ParseOptions, Parser, Skipped, WriteError};
use riverbed::point::{Point, PointTime, Precision};

fn point() -> Point {
    Point::new("m").field("f", 1_i64)
}

#[test]
fn what_cannot_be_written_is_left_out_and_counted() {
    let point =
        point().tag("a", "").tag("", "b").tag("c", "d").field("x", f64::NAN).field("y", f64::INFINITY);
    let mut out = b"before ".to_vec();
    assert_eq!(LineWriter::new().write(&point, &mut out), Ok(Skipped { tags: 2, fields: 2 }));
    assert_eq!(out, b"before m,c=d f=1i");
}

#[test]
fn nothing_is_written_after_an_error() {
    let mut out = b"before".to_vec();
    let writer = LineWriter::new();
    let empty = writer.write(&Point::new("m").tag("t", "v").field("x", f64::NAN), &mut out).unwrap_err();
    assert_eq!(empty, WriteError::NoFields { measurement: "m".into(), skipped: 1 });
    assert_eq!(writer.write(&Point::new("").field("f", 1_i64), &mut out), Err(WriteError::EmptyMeasurement));
    let unnamed = writer.write(&Point::new("m").field("", 1_i64), &mut out).unwrap_err();
    assert_eq!(unnamed, WriteError::EmptyFieldKey { measurement: "m".into() });
    let refused =
        writer.non_finite(NonFinite::Refuse).write(&point().field("x", f64::NEG_INFINITY), &mut out);
    assert_eq!(refused.unwrap_err().to_string(), "+/-Inf is an unsupported value for field x");
    assert_eq!(out, b"before");
}

#[test]
fn names_that_would_read_back_differently_are_refused() {
    for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
        let writer = LineWriter::new().dialect(dialect);
        for odd in [
            point().tag("t", "ends with \\"),
            Point::new("#m").field("f", 1_i64),
            point().tag("line\nfeed", "v"),
        ] {
            let refused = writer.line(&odd);
            assert!(matches!(refused, Err(WriteError::Unreadable { .. })), "{dialect:?} {refused:?}");
        }
        assert!(writer.line(&point().tag("path", r"C:\Program Files\x")).is_ok(), "{dialect:?}");
    }
}

#[test]
fn limits_of_each_implementation() {
    let long = |length: usize| "x".repeat(length);
    let server = LineWriter::new();
    let v3 = server.dialect(Dialect::V3);
    let library = server.dialect(Dialect::V2Library);

    let reserved = server.line(&point().tag("time", "v")).unwrap_err();
    assert_eq!(reserved.to_string(), r#"cannot use reserved tag key "time""#);
    assert!(v3.line(&point().tag("time", "v")).is_ok());

    // The measurement, `,t=` and the value; then the separator and the field's key.
    let key_of = |length: usize| point().tag("t", long(length - 4));
    assert!(server.line(&key_of(65_535 - 5)).is_ok());
    let too_long = server.line(&key_of(65_536 - 5)).unwrap_err();
    assert_eq!(too_long.to_string(), "max key length exceeded: 65536 > 65535");
    assert!(library.line(&key_of(70_000)).is_ok());

    assert!(v3.line(&point().field("s", long(65_536))).is_ok());
    assert_eq!(v3.line(&point().field("s", long(65_537))), Err(WriteError::StringTooLong { length: 65_537 }));
    assert!(server.line(&point().field("s", long(100_000))).is_ok());

    let last = point().time(PointTime::MAX);
    assert_eq!(server.line(&last), Err(WriteError::TimeOutOfRange));
    assert_eq!(v3.line(&last).unwrap(), "m f=1i 9223372036854775807");
}

#[test]
fn lines_at_the_limits_are_read_back() {
    let at_limit =
        Point::new("m").tag("t", "x".repeat(65_535 - 9)).field("f", 1_i64).time(PointTime::from_nanos(1));
    let line = at_limit.to_line_protocol().unwrap();
    let mut parser = Parser::new(line.as_bytes(), ParseOptions::new(Dialect::V2Server, PointTime::MIN));
    assert_eq!(parser.next_point().unwrap().unwrap().to_point().unwrap(), at_limit);
    let beyond = line.replace(" f=", "y f=");
    let mut parser = parser.reuse(beyond.as_bytes());
    let error = parser.next_point().unwrap().unwrap_err();
    assert!(error.to_string().ends_with("max key length exceeded: 65536 > 65535"));
}

#[test]
fn text_that_is_not_utf8_stays_with_the_server() {
    let mut parser = Parser::new(b"m s=\"\xff\" 1", ParseOptions::new(Dialect::V2Server, PointTime::MIN));
    let point = parser.next_point().unwrap().unwrap();
    assert!(point.to_point().is_err());
    let mut out = Vec::new();
    assert!(LineWriter::new().write_ref(&point, &mut out).is_ok());
    assert_eq!(out, b"m s=\"\xff\" 1");
    let refused = LineWriter::new().dialect(Dialect::V3).write_ref(&point, &mut out);
    assert!(matches!(refused, Err(WriteError::InvalidUtf8 { .. })));
}

#[test]
fn repeated_fields_keep_the_last_value() {
    let mut parser = Parser::new(b"m b=1,a=2,b=3 1", ParseOptions::new(Dialect::V2Server, PointTime::MIN));
    let point = parser.next_point().unwrap().unwrap();
    let mut out = Vec::new();
    assert!(LineWriter::new().precision(Precision::Nanoseconds).write_ref(&point, &mut out).is_ok());
    assert_eq!(out, b"m a=2,b=3 1");
    assert_eq!(point.to_point().unwrap().to_line_protocol().unwrap().as_bytes(), out);
}
