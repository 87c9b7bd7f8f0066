//! Points into a stream and out of it.
//!
//! Guards against points that come back as others, in another order within their series, or under another key, and
//! against text and points being stored differently.

use proptest::prelude::*;
use riverbed::line_protocol::Dialect;
use riverbed::point::{LineOptions, Point, PointOptions, PointTime, PutPointError};

use crate::arbitrary::{odd_text, point, tame_text, written};
use crate::bodies::cases;
use crate::support::{NOW, points, stored, stream};

fn clock() -> PointTime {
    NOW.try_into().unwrap()
}

/// The points of each series, in order.
fn by_series(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by_key(Point::series_key);
    points
}

fn check(points_in: &[Point]) -> Result<(), TestCaseError> {
    let from_points = stream();
    let results = from_points.put_points(points_in, &PointOptions::new());
    let mut expected = Vec::new();
    let mut body = String::new();
    for (point, result) in points_in.iter().zip(results.results()) {
        match result {
            Ok(_) => {
                expected.push(written(point, clock()));
                body.push_str(&point.to_line_protocol().unwrap());
                body.push('\n');
            }
            Err(PutPointError::Write(error)) => {
                match point.clone().time(point.timestamp().unwrap_or(clock())).to_line_protocol() {
                    Err(as_text) => prop_assert_eq!(&as_text, error),
                    Ok(line) => return Err(TestCaseError::fail(line)),
                }
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
    prop_assert_eq!(by_series(&points(&from_points)), by_series(&expected));

    let from_text = stream();
    let puts = from_text.write_line_protocol(&body, &LineOptions::new(Dialect::V2Server)).unwrap();
    prop_assert_eq!(puts.len(), expected.len());
    prop_assert_eq!(stored(&from_text), stored(&from_points));
    for (put, point) in puts.iter().zip(&expected) {
        let key = point.series_key();
        let key = key.partition_key();
        prop_assert_eq!(Some(put.shard_id), from_text.shard_for_key(&*key));
    }
    // What is stored is canonical: written to a stream again, it is stored alike.
    let lines: Vec<_> = stored(&from_text).into_iter().map(|stored| stored.line).collect();
    let again = stream();
    again.write_line_protocol(lines.join(&b'\n'), &LineOptions::new(Dialect::V2Server)).unwrap();
    prop_assert_eq!(stored(&again), stored(&from_text));
    Ok(())
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn odd_points_come_back_or_are_refused(
        points in prop::collection::vec(point(odd_text, odd_text().boxed()), 0..20)
    ) {
        check(&points)?;
    }

    #[test]
    fn tame_points_come_back(points in prop::collection::vec(point(tame_text, any::<String>().boxed()), 0..20)) {
        check(&points)?;
    }

    #[test]
    fn whatever_a_dialect_reads_is_stored_as_the_point_that_it_read(body in crate::bodies::body()) {
        use riverbed::line_protocol::{LineWriter, ParseOptions, Parser};
        for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
            let stream = stream();
            let options = LineOptions::new(dialect).accept_partial(true);
            let outcome = stream.write_line_protocol(&body, &options);
            let mut expected = Vec::new();
            let mut bad = 0;
            let mut parser = Parser::new(body.as_bytes(), ParseOptions::new(dialect, clock()));
            let writer = LineWriter::new().non_finite(riverbed::line_protocol::NonFinite::Refuse);
            while let Some(point) = parser.next_point() {
                // Written from the values alone, not from how they stood in the text.
                let Ok(point) = point.map(|point| point.to_point().unwrap()) else {
                    bad += 1;
                    continue;
                };
                match writer.line(&point) {
                    Ok(line) => {
                        expected.push((point.series_key().partition_key().into_owned(), line.into_bytes()));
                    }
                    Err(_) => bad += 1,
                }
            }
            prop_assert_eq!(outcome.is_ok(), bad == 0);
            let mut found: Vec<_> = stored(&stream).into_iter().map(|stored| (stored.key, stored.line)).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected, "{:?}", dialect);
        }
    }
}
