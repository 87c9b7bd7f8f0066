//! Any bytes whatever.
//!
//! Guards against panics, endless loops, and errors whose place is outside the input.

use proptest::prelude::*;
use riverbed::line_protocol::{Dialect, LineWriter, ParseOptions, Parser};
use riverbed::point::{PointTime, Precision};

use crate::bodies::{body, cases};

fn survive(input: &[u8], clock: i64, precision: Precision) {
    for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
        let mut parser =
            Parser::new(input, ParseOptions::new(dialect, PointTime::from_nanos(clock)).precision(precision));
        let mut lines = 0;
        let mut last_line = 1;
        while let Some(point) = parser.next_point() {
            match point {
                Ok(point) => {
                    assert!(!point.fields().is_empty() && !point.measurement().raw().is_empty());
                    assert!(!format!("{point:?}{:?}{}", point.to_point(), point.series_key()).is_empty());
                    for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
                        let mut line = Vec::new();
                        let written = LineWriter::new().dialect(dialect).write_ref(&point, &mut line);
                        assert_eq!(written.is_ok(), !line.is_empty());
                    }
                }
                Err(error) => {
                    let range = error.range();
                    assert!(range.start <= error.offset() && error.offset() <= input.len(), "{error:?}");
                    assert!(range.end <= input.len(), "{error:?}");
                    assert_eq!(error.index(), lines);
                    assert!(error.line() >= last_line);
                    last_line = error.line();
                    assert!(error.to_string().starts_with("unable to parse '"));
                }
            }
            lines += 1;
            assert!(lines <= input.len() as u64);
        }
        assert!(parser.next_point().is_none());
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn bodies_with_holes(
        body in body(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        clock in any::<i64>(),
    ) {
        let mut bytes = body.into_bytes();
        if let Some(hole) = (!bytes.is_empty()).then(|| at.index(bytes.len())) {
            bytes[hole] = byte;
        }
        survive(&bytes, clock, Precision::Seconds);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        survive(&bytes, 0, Precision::Hours);
    }
}

#[test]
fn awkward_ends() {
    for input in [
        "",
        "\\",
        "m\\",
        "m \\",
        "m a=\"\\",
        "m a=\"",
        "m a=\"\\\"",
        "#",
        "\r",
        " ",
        "\n",
        "m,",
        "m,a",
        "m,a=",
        "m a",
        "m a=",
        "-",
    ] {
        survive(input.as_bytes(), i64::MIN, Precision::Nanoseconds);
    }
}
