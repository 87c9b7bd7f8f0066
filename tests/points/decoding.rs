//! Records that are no points.
//!
//! Guards against bytes that somebody put being read as points that nobody wrote, against errors that do not say which
//! record they mean, and against one bad record that ends the reading.

use riverbed::line_protocol::Reason;
use riverbed::point::{DecodePointError, Point, PointDecoder, PointTime};
use riverbed::{Position, StreamOptions};

use crate::support::{NOW, options};
use riverbed::testing::Disk;

#[test]
fn records_that_are_no_points_are_errors_that_name_them() {
    let store = options(&Disk::new()).open("data").unwrap();
    let stream = store.create_stream("metrics", StreamOptions::new()).unwrap();
    let wide = (0..50).fold(Point::new("m").field("f", 1.5), |point, tag| point.tag(format!("t{tag}"), "v"));
    let mut numbers = Vec::new();
    for data in ["{\"f\": 1}", "", "# m f=1 1", "m f=1 1\nm f=2 2", "m f=1 1\n\n", "m f=1 1\n", "m f=2"] {
        stream.put_point(&wide).unwrap();
        numbers.push(stream.put("m", data).unwrap().sequence_number);
    }
    stream.put_point(&Point::new("last").field("f", "é").time(PointTime::from_nanos(7))).unwrap();

    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let mut decoder = PointDecoder::new();
    let mut outcomes = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let owned = record.to_owned();
        let outcome = decoder.decode(&record).map(|stored| {
            assert_eq!(stored.sequence_number(), record.sequence_number());
            assert_eq!(stored.arrival_time(), NOW);
            stored.point().to_point().unwrap()
        });
        let from_owned = decoder.decode_owned(&owned).map(|stored| stored.point().to_point().unwrap());
        assert_eq!(outcome, from_owned);
        outcomes.push(outcome);
    }
    assert_eq!(outcomes.len(), 15);
    let clock = PointTime::try_from(NOW).unwrap();
    for stored in outcomes.iter().take(14).step_by(2) {
        assert_eq!(stored.as_ref(), Ok(&wide.clone().time(clock)));
    }
    let last = Point::new("last").field("f", "é").time(PointTime::from_nanos(7));
    assert_eq!(outcomes[14], Ok(last));

    let by_hand: Vec<_> = outcomes.iter().skip(1).step_by(2).collect();
    match by_hand[0] {
        Err(error @ DecodePointError::NotAPoint { error: why, .. }) => {
            assert_eq!(error.sequence_number(), numbers[0]);
            assert_eq!(why.reason(), &Reason::InvalidFieldFormat);
            assert!(error.to_string().starts_with(&format!("record {} is no point", numbers[0])));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(by_hand[1], &Err(DecodePointError::NoPoint { number: numbers[1] }));
    assert_eq!(by_hand[2], &Err(DecodePointError::NoPoint { number: numbers[2] }));
    assert_eq!(by_hand[3], &Err(DecodePointError::MoreThanOneLine { number: numbers[3] }));
    assert_eq!(by_hand[4], &Err(DecodePointError::MoreThanOneLine { number: numbers[4] }));
    // The line feed at the end of a line is part of it; a line without a timestamp happened when it arrived.
    let point = Point::new("m").field("f", 1.0);
    assert_eq!(by_hand[5], &Ok(point.time(PointTime::from_nanos(1))));
    assert_eq!(by_hand[6], &Ok(Point::new("m").field("f", 2.0).time(clock)));
}
