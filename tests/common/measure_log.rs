//! What a stream of measures holds, read past its table.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;

use riverbed::measures::{MeasureRef, MeasureTable, ReadMeasureError, Series, ValueRef};
use riverbed::{Position, ShardFilter, Stream, Timestamp};

/// Host and time in milliseconds.
pub(crate) type Point = (String, u64);

/// The versions of each data point and their values, in the order of the stream.
pub(crate) type Versions = BTreeMap<Point, Vec<(i64, i64)>>;

fn point(measure: &MeasureRef<'_>) -> Point {
    let host = measure.dimensions().next().unwrap().value.to_owned();
    (host, measure.time().as_millis())
}

/// Reads the whole stream. Versions of a data point must rise: one that does not was accepted although it was stale.
pub(crate) fn read_versions(stream: &Stream) -> Versions {
    let mut found = Versions::new();
    for shard in stream.list_shards(ShardFilter::All) {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let measure = MeasureRef::decode(record.data()).unwrap();
            let value = match measure.value() {
                ValueRef::Double(value) => {
                    (0..100).find(|number| f64::from(*number) == value).unwrap().into()
                }
                ValueRef::BigInt(value) => value,
                other => panic!("{other:?}"),
            };
            let versions = found.entry(point(&measure)).or_default();
            if let Some((before, _)) = versions.last() {
                assert!(*before < measure.version(), "{:?}: {before} then {measure:?}", point(&measure));
            }
            versions.push((measure.version(), value));
        }
    }
    found
}

/// Whether a table gives exactly these data points at these versions, one by one and together.
pub(crate) fn check_table(
    table: &MeasureTable,
    latest: &BTreeMap<Point, i64>,
) -> Result<(), ReadMeasureError> {
    let mut scanned = BTreeMap::new();
    for stored in table.scan(..) {
        let stored = stored?;
        let earlier = scanned.insert(point(&stored.measure()), stored.measure().version());
        assert_eq!(earlier, None, "{stored:?} came twice");
    }
    assert_eq!(scanned, *latest);
    for ((host, time), version) in latest {
        let stored = table.current(&Series::new([("host", &**host)], "m"), Timestamp::from_millis(*time))?;
        assert_eq!(stored.map(|stored| stored.measure().version()), Some(*version));
    }
    Ok(())
}
