//! Points to text and back, in every dialect.
//!
//! Guards against lines that are read as another point than the one that was written, which is worse than any
//! error, and against refusing points that have nothing wrong with them.

use proptest::prelude::*;
use riverbed::line_protocol::{Dialect, LineWriter, ParseOptions, Parser, WriteError};
use riverbed::point::{Point, PointTime, Precision};

use crate::arbitrary::{odd_text, point, tame_text, written as written_at};
use crate::bodies::cases;

const DIALECTS: [Dialect; 3] = [Dialect::V2Server, Dialect::V2Library, Dialect::V3];
const CLOCK: PointTime = PointTime::from_nanos(1_657_729_063_000_000_000);

fn written(point: &Point) -> Point {
    written_at(point, CLOCK)
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
