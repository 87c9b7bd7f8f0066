//! Any bytes as line protocol, in every dialect: no panic, places of errors inside the input, and what is
//! read and can be written is read again as the same point.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riverbed::line_protocol::{Dialect, LineWriter, ParseOptions, Parser};
use riverbed::point::PointTime;

fuzz_target!(|input: &[u8]| {
    for dialect in [Dialect::V2Server, Dialect::V2Library, Dialect::V3] {
        let options = ParseOptions::new(dialect, PointTime::from_nanos(946_815_194_123_456_789));
        let mut parser = Parser::new(input, options);
        while let Some(read) = parser.next_point() {
            match read {
                Ok(point) => {
                    // What is copied from the text is what would be written for its meaning.
                    if let Ok(owned) = point.to_point() {
                        let mut canonical = Vec::new();
                        let written = LineWriter::new().write_ref(&point, &mut canonical);
                        assert_eq!(written, LineWriter::new().write(&owned, &mut Vec::new()));
                        if written.is_ok() {
                            assert_eq!(
                                canonical,
                                owned.to_line_protocol().expect("it was written").into_bytes()
                            );
                        }
                    }
                    let writer = LineWriter::new().dialect(dialect);
                    let mut line = Vec::new();
                    if writer.write_ref(&point, &mut line).is_err() {
                        continue;
                    }
                    let mut again = Parser::new(&line, options);
                    let same = again.next_point().expect("a line was written").expect("it can be read");
                    assert_eq!(same.series_key(), point.series_key());
                    assert_eq!(same.time(), point.time());
                    let mut second = Vec::new();
                    writer.write_ref(&same, &mut second).expect("it was written before");
                    assert_eq!(line, second);
                    assert!(again.next_point().is_none());
                }
                Err(error) => {
                    let range = error.range();
                    assert!(range.start <= error.offset() && error.offset() <= input.len());
                    assert!(range.end <= input.len());
                    assert!(error.to_string().starts_with("unable to parse '"));
                }
            }
        }
    }
});
