//! The v3 dialect beside the crate that InfluxDB v3 publishes its parser as, version 2.0.0.
//!
//! Guards against reading anything differently from it. Only repeated tag keys are: the published crate lets
//! them through.

use influxdb_line_protocol as peer;
use proptest::prelude::*;
use riverbed::line_protocol::{Dialect, FieldValueRef, ParseOptions, Parser, PointRef, Reason};
use riverbed::point::PointTime;

use crate::bodies::{body, cases};

const NO_TIME: i64 = -7_777_777;

fn assert_same(ours: &PointRef<'_, '_>, theirs: &peer::ParsedLine<'_>, body: &str) {
    assert_eq!(ours.measurement(), theirs.series.measurement.as_str(), "{body:?}");
    let mut tags: Vec<_> =
        theirs.series.tag_set.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    tags.sort_by_key(|(key, _)| *key);
    assert_eq!(ours.tags().len(), tags.len(), "{body:?}");
    for (ours, (key, value)) in ours.tags().iter().zip(tags) {
        assert!(ours.key == key && ours.value == value, "{body:?}");
    }
    assert_eq!(ours.fields().len(), theirs.field_set.len(), "{body:?}");
    for (ours, (key, value)) in ours.fields().iter().zip(&theirs.field_set) {
        assert_eq!(ours.key, key.as_str(), "{body:?}");
        let same = match (ours.value, value) {
            (FieldValueRef::Float(ours), peer::FieldValue::F64(theirs)) => ours.to_bits() == theirs.to_bits(),
            (FieldValueRef::Integer(ours), peer::FieldValue::I64(theirs)) => ours == *theirs,
            (FieldValueRef::Unsigned(ours), peer::FieldValue::U64(theirs)) => ours == *theirs,
            (FieldValueRef::Boolean(ours), peer::FieldValue::Boolean(theirs)) => ours == *theirs,
            (FieldValueRef::String(ours), peer::FieldValue::String(theirs)) => ours == theirs.as_str(),
            _ => false,
        };
        assert!(same, "{:?} for {value:?} in {body:?}", ours.value);
    }
    assert_eq!(ours.time().as_nanos(), theirs.timestamp.unwrap_or(NO_TIME), "{body:?}");
}

fn compare(body: &str) {
    let options = ParseOptions::new(Dialect::V3, PointTime::from_nanos(NO_TIME));
    let mut parser = Parser::new(body.as_bytes(), options);
    for theirs in peer::parse_lines(body) {
        let ours = parser.next_point().unwrap_or_else(|| panic!("a line is missing: {theirs:?} in {body:?}"));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert_same(&ours, &theirs, body),
            (Err(_), Err(_)) => {}
            (Err(ours), Ok(_)) => assert_eq!(ours.reason(), &Reason::DuplicateTags, "{body:?}"),
            (Ok(ours), Err(theirs)) => panic!("{ours:?} for {theirs} in {body:?}"),
        }
    }
    assert!(parser.next_point().is_none(), "a line too many in {body:?}");
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn bodies_are_read_alike(body in body()) {
        compare(&body);
    }
}

#[test]
fn known_oddities_are_read_alike() {
    for body in [
        // A comma after the first field is lost, a later one is an error.
        "m a=1,",
        "m a=1, 5",
        "m a=1,b=2,",
        "m a=1,b=2, 5",
        // Commas in keys and `=` in tag values.
        "m,a,b=c d,e=1",
        "m,a=b=c d=1",
        "m a=1,,b=2",
        // Spaces without a timestamp behind them.
        "m a=1 ",
        "m a=1 5 ",
        "m a=1 5 6",
        // Comments inside what the splitter takes for quotes.
        "# a=\"\nm v=1\n\"",
        "#\n#\nm v=1",
        // Backslashes.
        "m\\\\,a\\\\=b\\\\\\ c d=1",
        "m\\",
        "m,a\\=b",
        "m\\\n x=1",
        "m a\\b=1",
        "m v=1e999",
        "m v=1.",
        "m v=.5",
        "m\0 v=1",
        "m,a=\0 v=1",
    ] {
        compare(body);
    }
}
