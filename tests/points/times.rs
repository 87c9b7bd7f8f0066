//! When a point happened, where its line does not say.
//!
//! Guards against times of the machine's clock instead of the store's, against different times within one body, and
//! against times that wrap.

use riverbed::line_protocol::Dialect;
use riverbed::point::{LineOptions, Point, PointOptions, PointTime, Precision};
use riverbed::testing::{Disk, ManualClock};
use riverbed::{Maintenance, Store, StreamOptions, Timestamp};

use crate::support::{sorted_lines, stored, stream};

#[test]
fn a_missing_time_is_that_of_the_stores_clock() {
    let stream = stream();
    stream.put_point(&Point::new("a").field("f", 1.0)).unwrap();
    stream.put_points([Point::new("b").field("f", 1.0)], &PointOptions::new()).all().unwrap();
    let options = LineOptions::new(Dialect::V2Server);
    stream.write_line_protocol("c f=1\nd f=1 5\n", &options).unwrap();
    for (measurement, precision) in [("e", Precision::Milliseconds), ("f", Precision::Seconds)] {
        stream
            .write_line_protocol(format!("{measurement} f=1"), &options.clone().precision(precision))
            .unwrap();
    }
    assert_eq!(
        sorted_lines(&stream),
        [
            "a f=1 1657729063123456789",
            "b f=1 1657729063123456789",
            "c f=1 1657729063123456789",
            "d f=1 5",
            "e f=1 1657729063123000000",
            "f f=1 1657729063000000000",
        ]
    );
}

#[test]
fn times_are_stored_in_nanoseconds_whatever_their_unit() {
    let stream = stream();
    let options = LineOptions::new(Dialect::V3);
    for (unit, precision) in [
        ("s", Precision::Seconds),
        ("ms", Precision::Milliseconds),
        ("us", Precision::Microseconds),
        ("h", Precision::Hours),
    ] {
        stream.write_line_protocol(format!("{unit} f=1 -2"), &options.clone().precision(precision)).unwrap();
    }
    assert_eq!(
        sorted_lines(&stream),
        ["h f=1 -7200000000000", "ms f=1 -2000000", "s f=1 -2000000000", "us f=1 -2000"]
    );
}

#[test]
fn a_clock_past_the_last_time_of_a_point_is_an_error() {
    let clock = ManualClock::new(Timestamp::MAX);
    let store =
        Store::options().storage(&Disk::new()).clock(clock).maintenance(Maintenance::Manual).open("data");
    let stream = store.unwrap().create_stream("metrics", StreamOptions::new()).unwrap();
    let point = Point::new("m").field("f", 1.0);
    let range = "time outside range -9223372036854775806 - 9223372036854775806";
    assert_eq!(stream.put_point(&point).unwrap_err().to_string(), range);
    for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
        let error = stream.write_line_protocol("m f=1", &LineOptions::new(dialect)).unwrap_err();
        assert_eq!(error.to_string(), format!("unable to parse 'm f=1': {range}"));
    }
    stream.put_point(&point.time(PointTime::from_nanos(1))).unwrap();
    assert_eq!(stored(&stream)[0].text(), "m f=1 1");
}
