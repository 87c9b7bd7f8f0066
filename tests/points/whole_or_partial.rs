//! A body goes in as a whole, or what is good of it does.
//!
//! Guards against bodies that go in by halves unasked, and against bad lines that are lost without being reported or
//! reported in the wrong place.

use riverbed::line_protocol::{Dialect, Reason};
use riverbed::point::{LineOptions, PutLineError, WriteLinesError};

use crate::support::{sorted_lines, stored, stream};

const BODY: &str = "\
# two good lines, three bad ones
m,t=a f=1 1
m,t=b f= 2

m,t=c f=3i 3
m,t=d f=x 4
m f=1 9999999999999999999
";

#[test]
fn a_bad_line_keeps_the_others_back() {
    let stream = stream();
    let error = stream.write_line_protocol(BODY, &LineOptions::new(Dialect::V2Server)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unable to parse 'm,t=b f= 2': missing field value\n\
         unable to parse 'm,t=d f=x 4': invalid boolean\n\
         unable to parse 'm f=1 9999999999999999999': \
         strconv.ParseInt: parsing \"9999999999999999999\": value out of range"
    );
    let WriteLinesError::Refused { lines } = error else { panic!("{error:?}") };
    let places: Vec<_> = lines.iter().map(|line| (line.index(), line.line(), line.range())).collect();
    assert_eq!(places, [(1, 3, 45..55), (3, 6, 70..81), (4, 7, 82..107)]);
    assert_eq!(stored(&stream), []);
}

#[test]
fn the_good_lines_go_in_where_that_was_asked_for() {
    let stream = stream();
    let options = LineOptions::new(Dialect::V3).accept_partial(true);
    let error = stream.write_line_protocol(BODY, &options).unwrap_err();
    let WriteLinesError::Partial { results } = &error else { panic!("{error:?}") };
    assert_eq!(sorted_lines(&stream), ["m,t=a f=1 1", "m,t=c f=3i 3"]);
    assert_eq!(
        results.results().iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, true, false, false]
    );
    let failed: Vec<_> = results
        .failed()
        .map(|(index, error)| match error {
            PutLineError::Parse(error) => {
                assert_eq!(error.index(), index as u64);
                (index, error.offset(), error.reason().clone())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let digits = String::from("9999999999999999999");
    assert_eq!(
        failed,
        [
            (1, 53, Reason::MissingFieldValue),
            (3, 78, Reason::InvalidBoolean),
            (4, 88, Reason::TimestampOverflow { digits })
        ]
    );
    assert_eq!(
        error.to_string(),
        "partial write of line protocol: 3 of 5 lines were not put; the first is number 1: \
         unable to parse 'm,t=b f= 2': missing field value"
    );
}

#[test]
fn a_body_without_bad_lines_says_where_each_line_went() {
    for partial in [false, true] {
        let stream = stream();
        let options = LineOptions::new(Dialect::V2Server).accept_partial(partial);
        let puts = stream.write_line_protocol("\n# nothing\nm,t=a f=1 1\nm,t=b f=2 2", &options).unwrap();
        assert_eq!(puts.len(), 2);
        for (put, key) in puts.iter().zip(["m,t=a", "m,t=b"]) {
            assert_eq!(Some(put.shard_id), stream.shard_for_key(key));
        }
        assert_eq!(stream.write_line_protocol("", &options).unwrap(), []);
        assert_eq!(stream.write_line_protocol("# nothing\n\n", &options).unwrap(), []);
    }
}

#[test]
fn lines_that_cannot_be_stored_are_bad_lines() {
    let long = format!("m f=\"{}\" 1", "x".repeat(11 << 20));
    for (dialect, line, why) in [
        (
            Dialect::V2Server,
            long.as_str(),
            "key and data take 11534345 bytes, a record at most 10485760: split the data, or store it elsewhere and \
             put a reference to it",
        ),
        // v3 reads infinity here; it must not be lost from the point without a word.
        (Dialect::V3, "m f=1e999,g=1 1", "+/-Inf is an unsupported value for field f"),
        (Dialect::V2Library, "m,time=x f=1 1", "cannot use reserved tag key \"time\""),
        (
            Dialect::V3,
            "m f=1 9223372036854775807",
            "time outside range -9223372036854775806 - 9223372036854775806",
        ),
    ] {
        let body = format!("m f=1 1\n\n{line}\nm f=2 2\n");
        let stream = stream();
        let error = stream.write_line_protocol(&body, &LineOptions::new(dialect)).unwrap_err();
        assert!(error.to_string() == format!("unable to parse '{line}': {why}"), "{dialect:?}: {why}");
        let WriteLinesError::Refused { lines } = error else { panic!("{error:?}") };
        assert_eq!((lines[0].index(), lines[0].line(), lines[0].offset()), (1, 3, 9));
        assert_eq!(lines[0].range(), 9..9 + line.len());
        assert_eq!(stored(&stream), []);
        let partial = LineOptions::new(dialect).accept_partial(true);
        stream.write_line_protocol(&body, &partial).unwrap_err();
        assert_eq!(sorted_lines(&stream), ["m f=1 1", "m f=2 2"]);
    }
}
