//! Points and bodies of line protocol through a writer: the records are those that the stream's own methods put.

use std::sync::Arc;

use riverbed::line_protocol::Dialect;
use riverbed::point::{
    DefaultTags, LineOptions, Point, PointDecoder, PointEncoder, PointOptions, PointTime, Precision,
    TagPrecedence,
};
use riverbed::testing::ManualClock;
use riverbed::write::{BatchWriter, WriteOptions};
use riverbed::{Durability, OwnedRecord, Position, Store, Stream, StreamOptions, Timestamp};

use super::support::SECOND;

fn records(stream: &Stream) -> Vec<OwnedRecord> {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    std::iter::from_fn(|| reader.next().unwrap().map(|record| record.to_owned())).collect()
}

fn texts(stream: &Stream) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    records(stream)
        .iter()
        .map(|record| (record.partition_key().unwrap().to_owned(), text(record.data())))
        .collect()
}

fn options() -> PointOptions {
    let tags = DefaultTags::new().tag("host", "a").tag("region", "eu");
    PointOptions::new().default_tags(tags, TagPrecedence::Default).durability(Durability::Immediate)
}

const BODY: &str =
    "cpu,host=b temp=1 1657729063\n\n# no point\ncpu,core=1,a=x load=2i\nbad\ncpu temp=1e400 1\ncpu temp=3 2";

#[test]
fn the_records_are_those_that_the_stream_puts_itself() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_millis(5_000));
    let store = Store::options().clock(clock.clone()).open(directory.path().join("data")).unwrap();
    let long = Point::new("m".repeat(300)).field("f", 1.5);
    let point = Point::new("cpu").tag("host", "b").tag("core", "0").field("temp", 25.3);

    let direct = store.create_stream("direct", StreamOptions::new()).unwrap();
    assert_eq!(direct.put_points([&point, &long], &options()).failed_record_count(), 0);
    let lines = LineOptions::new(Dialect::V2Server)
        .precision(Precision::Seconds)
        .accept_partial(true)
        .points(options());
    let refused = direct.write_line_protocol(BODY, &lines).unwrap_err();

    let stream = store.create_stream("writer", StreamOptions::new()).unwrap();
    let writer = BatchWriter::builder(stream.clone()).start_manual(clock.clone());
    let encoder = PointEncoder::new(options()).clock(clock);
    for point in [&point, &long] {
        writer.write(encoder.encode(point).unwrap()).unwrap();
    }
    let encoded = encoder.encode_lines(BODY, Dialect::V2Server, Precision::Seconds);
    for record in encoded.records {
        writer.write(record).unwrap();
    }
    writer.close().unwrap();

    assert_eq!(texts(&stream), texts(&direct));
    assert_eq!(texts(&stream).len(), 5);
    assert_eq!(texts(&stream)[0].1, "cpu,core=0,host=a,region=eu temp=25.3 5000000000");
    let riverbed::point::WriteLinesError::Partial { results } = refused else { panic!("{refused:?}") };
    let expected: Vec<_> = results.failed().map(|(_, error)| error.to_string()).collect();
    let bad: Vec<_> = encoded.bad.iter().map(ToString::to_string).collect();
    assert_eq!(bad, expected);
    assert_eq!(bad.len(), 2);
}

/// A point without a time happened when it was written, not when its batch was sent; durability is the options'.
#[test]
fn time_and_durability_are_those_of_the_encoder() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_millis(1_000));
    let store = Store::options()
        .clock(clock.clone())
        .durability(Durability::Buffered)
        .open(directory.path().join("data"))
        .unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let writer = BatchWriter::builder(stream.clone())
        .options(WriteOptions::new().flush_interval(SECOND * 10))
        .start_manual(clock.clone());
    let encoder = PointEncoder::new(options()).clock(clock.clone());
    writer.write(encoder.encode(&Point::new("m").field("f", true)).unwrap()).unwrap();
    clock.advance(SECOND * 10);
    writer.run_due();
    let records = records(&stream);
    let mut decoder = PointDecoder::new();
    let stored = decoder.decode_owned(&records[0]).unwrap();
    assert_eq!(stored.point().time(), PointTime::from_nanos(1_000_000_000));
    assert_eq!(stored.arrival_time(), Timestamp::from_millis(11_000));
    assert_eq!(stream.stats().shards[0].unsynced, 0);
}

#[test]
fn points_that_cannot_be_written_are_refused_before_the_writer() {
    let encoder = PointEncoder::new(PointOptions::new());
    assert!(encoder.encode(&Point::new("m")).is_err());
    assert!(encoder.encode(&Point::new("m").field("f", f64::NAN)).is_err());
}

/// Many threads share one encoder and one writer; the points of each series stay in order.
#[test]
fn series_stay_in_order() {
    const EACH: i64 = 500;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(4)).unwrap();
    let options = WriteOptions::new().batch_size(64).max_items(300);
    let writer = BatchWriter::builder(stream.clone()).options(options).start().unwrap();
    let encoder = Arc::new(PointEncoder::new(PointOptions::new()));
    std::thread::scope(|scope| {
        for host in 0..4 {
            let (writer, encoder) = (&writer, Arc::clone(&encoder));
            scope.spawn(move || {
                for number in 0..EACH {
                    let point = Point::new("m").tag("host", host.to_string()).field("number", number);
                    writer.write(encoder.encode(&point).unwrap()).unwrap();
                }
            });
        }
    });
    writer.close().unwrap();
    let mut next = std::collections::BTreeMap::new();
    let mut decoder = PointDecoder::new();
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let stored = decoder.decode(&record).unwrap();
            let riverbed::line_protocol::FieldValueRef::Integer(number) =
                stored.point().field("number").unwrap()
            else {
                panic!("{record:?}")
            };
            let expected = next.entry(record.key().to_vec()).or_insert(0);
            assert_eq!(number, *expected);
            *expected += 1;
        }
    }
    assert_eq!(next.into_values().collect::<Vec<_>>(), [EACH; 4]);
}
