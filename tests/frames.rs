//! Guards against frames that come back as something else: other types, zeros for nulls, rows lost between two reads or in an
//! iterator, which the original that this follows does.
#![cfg(feature = "frames")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, NullArray, RecordBatch,
    StringArray, TimestampMillisecondArray, record_batch,
};
use riverbed::columns::{BatchReaderOptions, PutBatchError};
use riverbed::frames::{
    Client, CreateOptions, CreateTableError, Frame, FrameError, IfExists, PutArgs, PutRecordError,
    ReadFramesError, Seek, TableError, WriteFramesError,
};
use riverbed::testing::ManualClock;
use riverbed::{CreateStreamError, Position, ShardId, Store, StreamError, Timestamp};

const SHARD: ShardId = ShardId::new(0);

fn client() -> (tempfile::TempDir, Store, Client) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let client = Client::new(&store);
    (directory, store, client)
}

fn table(client: &Client, shards: u32) -> &'static str {
    client.create("mystream", &CreateOptions::new().shards(shards)).unwrap();
    "mystream"
}

/// The four frames of the original's first example.
fn four() -> Vec<RecordBatch> {
    [("A", 1, true), ("B", 2, false), ("C", 3, true), ("D", 4, false)]
        .map(|(col1, col2, col3)| {
            record_batch!(("col1", Utf8, [col1]), ("col2", Int64, [col2]), ("col3", Boolean, [col3])).unwrap()
        })
        .to_vec()
}

fn read(client: &Client, seek: Seek, max_rows: usize) -> Vec<Frame> {
    client.read("mystream", seek, SHARD, max_rows).unwrap().map(Result::unwrap).collect()
}

/// What was written, of a frame that was read.
fn data(frame: &Frame) -> RecordBatch {
    let columns: Vec<_> = (1..frame.rows().num_columns() - 1).collect();
    frame.rows().project(&columns).unwrap()
}

fn numbers(frame: &Frame) -> Vec<u64> {
    assert_eq!(frame.index(), ["seq_number"]);
    frame.rows().column(0).as_primitive::<UInt64Type>().values().to_vec()
}

#[test]
fn one_frame_a_list_and_an_iterator_are_written() {
    let (_directory, _store, client) = client();
    let table = table(&client, 1);
    let frames = four();
    let written = client.write(table, &frames[0], 0).unwrap();
    assert_eq!((written.frames.len(), written.rows), (1, 1));
    client.write(table, frames[1].clone(), 0).unwrap();
    client.write(table, Frame::new(frames[2].clone()), 0).unwrap();
    let list = client.write(table, &frames, 0).unwrap();
    assert_eq!((list.frames.len(), list.rows), (4, 4));
    let iterator = client.write(table, frames.iter().map(|frame| Frame::from(frame.clone())), 0).unwrap();
    assert_eq!(iterator.rows, 4);
    client.write(table, four(), 0).unwrap();
    let nothing = client.write(table, Vec::<RecordBatch>::new(), 0).unwrap();
    assert_eq!((nothing.frames.len(), nothing.rows), (0, 0));
    let nothing = client.write(table, frames[0].slice(0, 0), 0).unwrap();
    assert_eq!((nothing.frames.len(), nothing.rows), (1, 0));

    let read = read(&client, Seek::Earliest, 1024);
    assert_eq!(read.len(), 1, "rows of the same columns make one frame");
    let texts: Vec<_> =
        data(&read[0]).column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
    assert_eq!(texts.concat(), "ABCABCDABCDABCD");
    let first = list.frames[0].sequence_numbers.unwrap().0.counter();
    assert_eq!(numbers(&read[0])[3], first, "the numbers are those that writing said");
}

#[test]
fn frames_have_as_many_rows_as_asked_for_whatever_records_they_lie_in() {
    let (_directory, _store, client) = client();
    let table = table(&client, 1);
    let row = |first: i32, count: i32| {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(first..first + count));
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    };
    let written = client.write(table, [row(0, 10), row(10, 1), row(11, 30)], 8).unwrap();
    let records: Vec<_> = written.frames.iter().map(|put| put.records).collect();
    assert_eq!(records, [2, 1, 4], "max_rows_in_msg rows to a record at most");
    for max_rows in [1, 7, 8, 41, 1000] {
        let frames = read(&client, Seek::Earliest, max_rows);
        assert!(frames.iter().rev().skip(1).all(|frame| frame.num_rows() == max_rows), "{max_rows}");
        assert_eq!(frames.len(), 41_usize.div_ceil(max_rows));
        let rows: Vec<_> = frames.iter().map(data).collect();
        assert_eq!(arrow_select::concat::concat_batches(rows[0].schema_ref(), &rows).unwrap(), row(0, 41));
        let numbers: Vec<_> = frames.iter().flat_map(numbers).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    }
    let sizes: Vec<_> = read(&client, Seek::Earliest, 0).iter().map(Frame::num_rows).collect();
    assert_eq!(sizes, [8, 2, 1, 8, 8, 8, 6], "with 0, as they are stored");
}

#[test]
fn frames_go_to_the_shards_in_turn_and_stay_together() {
    let (_directory, _store, client) = client();
    let table = table(&client, 4);
    let written = client.write(table, [four(), four(), four()].concat(), 0).unwrap();
    let shards: Vec<_> = written.frames.iter().map(|put| put.shard_id.unwrap().as_u32()).collect();
    assert_eq!(shards, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
    for (shard, frame) in (0..4).zip(four()) {
        let mut frames = client.read(table, Seek::Earliest, ShardId::new(shard), 1).unwrap();
        assert_eq!(data(&frames.next().unwrap().unwrap()), frame);
        assert_eq!(frames.count(), 2);
    }
    let put = |args: PutArgs<'_>| client.put(table, &args).unwrap().shard_id;
    assert_ne!(put(PutArgs::new("a")), put(PutArgs::new("a")));
    let keyed = PutArgs::new("a").partition_key("user-42");
    assert_eq!(put(keyed), put(keyed));
    assert_eq!(Some(put(keyed)), client.stream(table).unwrap().shard_for_key("user-42"));
}

#[test]
fn types_and_nulls_are_exact_and_index_columns_are_columns() {
    let (_directory, _store, client) = client();
    let table = table(&client, 1);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("driver_id", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(-1)]))),
        ("date", Arc::new(TimestampMillisecondArray::from(vec![Some(1_561_939_200_000), None, Some(1)]))),
        ("km", Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(-0.0)]))),
        ("name", Arc::new(StringArray::from(vec![Some(""), None, Some("<&>")]))),
        ("paid", Arc::new(BooleanArray::from(vec![Some(false), None, Some(true)]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\xff"[..]), None, Some(b"")]))),
        ("nothing", Arc::new(NullArray::new(3))),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let frame = Frame::new(rows.clone()).with_index(["driver_id", "date"]).unwrap();
    assert_eq!((frame.num_rows(), frame.columns().unwrap().num_columns()), (3, 5));
    client.write(table, &frame, 0).unwrap();
    let read = read(&client, Seek::Earliest, 1024);
    assert_eq!(format!("{:?}", data(&read[0])), format!("{rows:?}"), "NaN too");
    assert_eq!(read[0].index(), ["seq_number"]);
    assert_eq!(read[0].rows().schema().fields().last().unwrap().name(), "stream_time");
    assert_eq!(
        frame.with_index(["nobody"]).unwrap_err(),
        FrameError::NoSuchColumn { name: "nobody".to_owned() }
    );
}

#[test]
fn seeking_finds_the_first_row_the_next_one_a_number_and_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_millis(1_000));
    let store = Store::options().clock(clock.clone()).open(directory.path().join("data")).unwrap();
    let client = Client::new(&store);
    let table = table(&client, 1);
    let mut firsts = Vec::new();
    for frame in four() {
        let written = client.write(table, [&frame, &frame], 0).unwrap();
        firsts.push(written.frames[0].sequence_numbers.unwrap().0.counter());
        clock.advance(Duration::from_secs(1));
    }
    let letters = |seek| -> String {
        let frames = read(&client, seek, 1024);
        frames
            .iter()
            .flat_map(|frame| {
                data(frame)
                    .column(0)
                    .as_string::<i32>()
                    .iter()
                    .flatten()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    assert_eq!(letters(Seek::Earliest), "AABBCCDD");
    assert_eq!(letters(Seek::Latest), "");
    assert_eq!(letters(Seek::Sequence(firsts[2])), "CCDD");
    assert_eq!(letters(Seek::Sequence(firsts[2] + 1)), "CDD", "in the middle of what was written at once");
    assert_eq!(letters(Seek::Time(Timestamp::from_millis(2_500))), "CCDD");
    assert_eq!(letters(Seek::Time(Timestamp::from_millis(4_500))), "", "nothing is later");
    assert_eq!(letters(Seek::Time(Timestamp::from_millis(9_000_000))), "", "in the future");
    let times: Vec<_> = read(&client, Seek::Earliest, 1024)
        .iter()
        .flat_map(|frame| {
            frame
                .rows()
                .column_by_name("stream_time")
                .unwrap()
                .as_primitive::<TimestampNanosecondType>()
                .values()
                .to_vec()
        })
        .map(|nanos| nanos / 1_000_000)
        .collect();
    assert_eq!(times, [1000, 1000, 2000, 2000, 3000, 3000, 4000, 4000]);

    let mut latest = client.read(table, Seek::Latest, SHARD, 0).unwrap();
    client.write(table, &four()[0], 0).unwrap();
    assert_eq!(latest.next().unwrap().unwrap().num_rows(), 1);
    let future = client.read(table, Seek::Sequence(u64::MAX), SHARD, 0).unwrap_err();
    assert!(matches!(&future, ReadFramesError::Read(error) if error.to_string().contains("not")), "{future}");
    let other = client.read(table, Seek::Earliest, ShardId::new(7), 0).unwrap_err();
    assert!(matches!(other, ReadFramesError::Read(_)), "{other}");
}

#[test]
fn records_of_bytes_are_rows_of_raw_data_and_different_columns_are_different_frames() {
    let (_directory, _store, client) = client();
    let table = table(&client, 1);
    let put = client.put(table, &PutArgs::new("{\"a\": 1}").client_info("me").partition_key("k")).unwrap();
    client.put(table, &PutArgs::new(b"\xff\xfe")).unwrap();
    client.write(table, &four()[0], 0).unwrap();
    client.put(table, &PutArgs::new("")).unwrap();
    client.write(table, record_batch!(("other", Int32, [1])).unwrap(), 0).unwrap();
    let frames = read(&client, Seek::Earliest, 1024);
    let names: Vec<_> = frames.iter().map(|frame| frame.rows().schema().field(1).name().clone()).collect();
    assert_eq!(names, ["raw_data", "col1", "raw_data", "other"]);
    let raw: Vec<_> =
        data(&frames[0]).column(0).as_binary::<i32>().iter().flatten().map(<[u8]>::to_vec).collect();
    assert_eq!(raw, [&b"{\"a\": 1}"[..], b"\xff\xfe"]);
    assert_eq!(data(&frames[2]).column(0).as_binary::<i32>().value(0), b"");
    assert_eq!(numbers(&frames[0])[0], put.sequence_number.counter());

    let stream = client.stream(table).unwrap();
    let mut reader = stream.reader(SHARD, Position::TrimHorizon).unwrap();
    let record = reader.next().unwrap().unwrap();
    assert_eq!((record.partition_key().unwrap(), record.metadata()), ("k", &b"me"[..]));
}

#[test]
fn the_original_types_are_there_for_who_asks() {
    let (_directory, _store, exact) = client();
    let table = table(&exact, 1);
    let original = exact.clone().original_types(true);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int32Array::from(vec![Some(7), None]))),
        ("x", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.5)]))),
        ("t", Arc::new(TimestampMillisecondArray::from(vec![Some(1_561_939_200_500), None]))),
        ("s", Arc::new(StringArray::from(vec![None, Some("s")]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    original.write(table, &rows, 0).unwrap();
    exact.write(table, &rows, 0).unwrap();

    let stored = data(&read(&exact, Seek::Earliest, 2)[0]);
    assert_eq!(stored.column(0).as_ref(), &Int32Array::from(vec![7, 0]));
    assert_eq!(stored.column(1).as_ref(), &Float64Array::from(vec![0.0, 1.5]));
    assert_eq!(stored.column(2).as_ref(), &TimestampMillisecondArray::from(vec![1_561_939_200_500, 0]));
    assert_eq!(stored.column(3).as_ref(), &StringArray::from(vec!["", "s"]));
    assert_eq!(stored.column(4).as_ref(), &BooleanArray::from(vec![true, false]));

    let frames = read(&original, Seek::Earliest, 1024);
    assert_eq!(frames.len(), 1);
    let first: Vec<i64> = frames[0].rows().column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(first.len(), 4);
    let seen = data(&frames[0]);
    assert_eq!(seen.column(0).as_ref(), &Float64Array::from(vec![7.0, 0.0, 7.0, 0.0]));
    assert_eq!(seen.column(1).as_primitive::<Float64Type>().values(), &[0.0, 1.5, 0.0, 1.5]);
    let times = ["2019-07-01T00:00:00.5Z", "1970-01-01T00:00:00Z"].repeat(2);
    assert_eq!(seen.column(2).as_ref(), &StringArray::from(times));
    assert_eq!(seen.column(3).as_ref(), &StringArray::from(["", "s"].repeat(2)));
    assert_eq!(seen.column(4).as_ref(), &BooleanArray::from([true, false].repeat(2)));

    for kind in [
        record_batch!(("d", Binary, [&b"1"[..]])).unwrap(),
        RecordBatch::try_from_iter([("d", Arc::new(NullArray::new(1)) as ArrayRef)]).unwrap(),
    ] {
        let refused = original.write(table, &kind, 0).unwrap_err();
        assert!(
            matches!(&refused, WriteFramesError::Frame { source: FrameError::NotInOriginal { name, .. }, .. } if name == "d"),
            "{refused}"
        );
    }
}

#[test]
fn json_objects_become_columns_where_the_original_types_are_asked_for() {
    let (_directory, _store, client) = client();
    let client = client.original_types(true);
    let table = table(&client, 1);
    for data in [
        r#"{"b":1,"a":"x","c":true}"#,
        r#"{"a":"y","b":2.5,"c":false}"#,
        "text",
        "[1]",
        r#"{"a":null}"#,
        "{}",
        r#"{"seq_number":1}"#,
    ] {
        client.put(table, &PutArgs::new(data)).unwrap();
    }
    let frames = read(&client, Seek::Earliest, 1024);
    assert_eq!(frames.len(), 2);
    let members = data(&frames[0]);
    assert_eq!(
        members.schema().fields().iter().map(|field| field.name().as_str()).collect::<String>(),
        "abc"
    );
    assert_eq!(members.column(0).as_ref(), &StringArray::from(vec!["x", "y"]));
    assert_eq!(members.column(1).as_ref(), &Float64Array::from(vec![1.0, 2.5]));
    assert_eq!(members.column(2).as_ref(), &BooleanArray::from(vec![true, false]));
    let raw: Vec<_> =
        data(&frames[1]).column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
    assert_eq!(raw, ["text", "[1]", r#"{"a":null}"#, "{}", r#"{"seq_number":1}"#]);
}

#[test]
fn creating_and_deleting_say_what_they_cannot_do() {
    let (_directory, store, client) = client();
    let options = CreateOptions::new().shards(3).retention_hours(48);
    client.create("/taxi_streams/rides/", &options).unwrap();
    let stream = client.stream("taxi_streams/rides").unwrap();
    assert_eq!((stream.name(), stream.shards().len()), ("taxi_streams..rides", 3));
    assert_eq!(stream.retention().age(), Some(Duration::from_secs(48 * 3600)));
    client.create("plain", &CreateOptions::new()).unwrap();
    let plain = client.stream("plain").unwrap();
    assert_eq!((plain.shards().len(), plain.retention().age()), (1, Some(Duration::from_secs(86_400))));

    let again = client.create("taxi_streams/rides", &options).unwrap_err();
    assert!(matches!(again, CreateTableError::Stream(CreateStreamError::Exists { .. })), "{again}");
    client.create("taxi_streams/rides", &options.if_exists(IfExists::Ignore)).unwrap();
    let zero = client.create("zero", &CreateOptions::new().shards(0)).unwrap_err();
    assert!(matches!(zero, CreateTableError::Stream(CreateStreamError::ShardCount { shards: 0 })), "{zero}");
    let zero = client.create("zero", &CreateOptions::new().retention_hours(0)).unwrap_err();
    assert!(matches!(zero, CreateTableError::Retention), "{zero}");
    let path = client.create("../escape", &CreateOptions::new()).unwrap_err();
    assert!(matches!(path, CreateTableError::Table(TableError::Path { .. })), "{path}");

    client.delete("/taxi_streams/rides").unwrap();
    assert_eq!(store.list_streams(), ["plain"]);
    let missing = |error: &TableError| matches!(error, TableError::Stream(StreamError::NotFound { .. }));
    assert!(missing(&client.delete("/taxi_streams/rides").unwrap_err()));
    let write = client.write("taxi_streams/rides", four(), 0).unwrap_err();
    assert!(matches!(&write, WriteFramesError::Table(error) if missing(error)) && write.written().is_none());
    let read = client.read("taxi_streams/rides", Seek::Earliest, SHARD, 0).unwrap_err();
    assert!(matches!(&read, ReadFramesError::Table(error) if missing(error)));
    let put = client.put("taxi_streams/rides", &PutArgs::new("")).unwrap_err();
    assert!(matches!(&put, PutRecordError::Table(error) if missing(error)));
}

#[test]
fn what_was_written_before_a_frame_that_cannot_be_is_told() {
    let (_directory, _store, client) = client();
    let table = table(&client, 1);
    let reserved = record_batch!(("stream_time", Int32, [1])).unwrap();
    let twice = record_batch!(("a", Int32, [1]), ("a", Int32, [1])).unwrap();
    for (bad, name) in [(reserved.clone(), "stream_time"), (twice, "a")] {
        let error = client.write(table, four().into_iter().chain([bad]), 0).unwrap_err();
        assert!(error.to_string().contains(&format!("'{name}'")), "{error}");
        assert_eq!(error.written().unwrap().rows, 4);
        assert!(matches!(error, WriteFramesError::Frame { .. }));
    }
    let long = "x".repeat(11 << 20);
    let long = record_batch!(("s", Utf8, ["short", long.as_str()])).unwrap();
    let error = client.write(table, [four()[0].clone(), long], 1).unwrap_err();
    assert!(
        matches!(&error, WriteFramesError::Put { frame: 1, source, written }
            if matches!(**source, PutBatchError::RowTooLarge { row: 1, .. }) && written.rows == 1),
        "{error}"
    );

    // Rows that others have put, with a column where reading adds one.
    client
        .stream(table)
        .unwrap()
        .columns()
        .evolution(riverbed::columns::Evolution::Any)
        .put_batch("k", &reserved)
        .unwrap();
    let mut frames = client.read(table, Seek::Earliest, SHARD, 1024).unwrap();
    assert_eq!(frames.next().unwrap().unwrap().num_rows(), 9, "what lies before it is shown");
    let error = frames.next().unwrap().unwrap_err();
    assert!(
        matches!(&error, ReadFramesError::Frame { source: FrameError::ReservedColumn { .. }, .. }),
        "{error}"
    );
    assert!(frames.next().is_none());
}

#[test]
fn tables_are_streams_of_columns_for_everybody_else() {
    let (_directory, _store, client) = client();
    let table = table(&client, 1);
    client.write(table, four(), 0).unwrap();
    let columns = client.stream(table).unwrap().columns();
    let mut reader = columns.reader_with(SHARD, Position::TrimHorizon, BatchReaderOptions::new()).unwrap();
    for frame in four() {
        assert_eq!(reader.next().unwrap().unwrap().into_rows(), frame);
    }
}
