//! Any bytes as a body on its way into a stream: each line is a record or a bad line, a record is one canonical line under
//! the key of its series, and its point becomes the same record again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riverbed::Timestamp;
use riverbed::line_protocol::{Dialect, ParseOptions, Parser};
use riverbed::point::{DefaultTags, PointEncoder, PointOptions, PointTime, Precision, TagPrecedence};
use riverbed::testing::ManualClock;

fuzz_target!(|input: &[u8]| {
    let now = Timestamp::from_millis(946_815_194_123);
    let time = PointTime::try_from(now).expect("a time of points");
    let tags = DefaultTags::new().tag("a", "1").tag("t", "x y");
    for options in [
        PointOptions::new(),
        PointOptions::new().default_tags(tags.clone(), TagPrecedence::Default),
        PointOptions::new().default_tags(tags.clone(), TagPrecedence::Record),
    ] {
        let encoder = PointEncoder::new(options).clock(ManualClock::new(now));
        for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
            let encoded = encoder.encode_lines(input, dialect, Precision::Nanoseconds);
            let mut parser = Parser::new(input, ParseOptions::new(dialect, time));
            let mut lines = 0;
            while parser.next_point().is_some() {
                lines += 1;
            }
            assert_eq!(encoded.records.len() + encoded.bad.len(), lines);
            assert!(encoded.bad.iter().is_sorted_by(|before, after| before.index() < after.index()));
            for record in &encoded.records {
                let options = ParseOptions::new(Dialect::V2Server, PointTime::MIN);
                let mut parser = Parser::new(record.data(), options);
                let point = parser.next_point().expect("a line").expect("a canonical one");
                assert_eq!(point.series_key().partition_key(), record.partition_key());
                assert!((1..=256).contains(&record.partition_key().chars().count()));
                if let Ok(point) = point.to_point() {
                    assert_eq!(&encoder.encode(&point).expect("it was written before"), record);
                }
                assert!(parser.next_point().is_none(), "one line");
            }
        }
    }
});
