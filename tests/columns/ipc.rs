//! Guards against Arrow IPC that other readers of it cannot read or read as something else, and against input that is no
//! Arrow IPC but panics, or passes for some.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use riverbed::columns::{
    BatchReaderOptions, Columns, Evolution, IpcFormat, IpcOptions, IpcWritten, PutRowsError, RawRecords,
    WriteRowsError,
};
use riverbed::testing::Disk;
use riverbed::{Maintenance, Position, SequenceNumber, ShardId, Store, StreamOptions, Timestamp};

use crate::arrays::{batch_of, batch_of_every_type, plain_batch};

fn columns(shards: u32) -> (tempfile::TempDir, Columns) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let columns = store.create_stream("rows", StreamOptions::new().shards(shards)).unwrap().columns();
    (directory, columns)
}

fn write(columns: &Columns, position: Position, options: IpcOptions) -> (Vec<u8>, IpcWritten) {
    let shard_id = columns.stream().shards()[0].id;
    let mut bytes = Vec::new();
    let mut reader = columns.reader(shard_id, position).unwrap();
    let written = reader.write_ipc(&mut bytes, options).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    (bytes, written)
}

fn read_stream(bytes: &[u8]) -> Vec<RecordBatch> {
    StreamReader::try_new(bytes, None).unwrap().map(Result::unwrap).collect()
}

fn read_file(bytes: &[u8]) -> Vec<RecordBatch> {
    FileReader::try_new(Cursor::new(bytes), None).unwrap().map(Result::unwrap).collect()
}

fn as_stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn as_file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), batches[0].schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

/// Every column of every type, but those with dictionaries, of which a file has one each.
fn without_dictionaries(batch: &RecordBatch) -> RecordBatch {
    let schema = batch.schema();
    let plain = |index: &usize| !schema.field(*index).name().contains("dictionary");
    batch.project(&(0..batch.num_columns()).filter(plain).collect::<Vec<_>>()).unwrap()
}

#[test]
fn streams_and_files_of_every_type_are_copies_of_what_is_stored() {
    let whole = batch_of_every_type(60, true);
    for (format, batch) in
        [(IpcFormat::Stream, whole.clone()), (IpcFormat::File, without_dictionaries(&whole))]
    {
        let (_directory, columns) = columns(1);
        let parts = [batch.slice(0, 11), batch.slice(11, 1), batch.slice(12, 48)];
        columns.put_batches("key", &parts, 0).unwrap();
        let (bytes, written) = write(&columns, Position::TrimHorizon, IpcOptions::new().format(format));
        assert_eq!((written.rows, written.batches, written.copied), (60, 3, 3));
        let read = if format == IpcFormat::Stream { read_stream(&bytes) } else { read_file(&bytes) };
        assert_eq!(read, parts);
        // And back, as a stream or as a file.
        let (_directory, again) = self::columns(1);
        let put = again.put_ipc("key", &*bytes).unwrap();
        assert_eq!((put.rows, put.records), (60, 3));
        assert_eq!(write(&again, Position::TrimHorizon, IpcOptions::new().format(format)).0, bytes);
    }
}

#[test]
fn ranges_begin_and_end_at_rows_and_times() {
    let (_directory, columns) = columns(1);
    let mut puts = Vec::new();
    for n in 0..4 {
        puts.push(columns.put_batch("key", &plain_batch(n * 10, 10)).unwrap().sequence_numbers.unwrap());
    }
    let number = |row: u64| {
        let first = puts[0].0;
        SequenceNumber::try_from(u128::from(first.counter() + row) << 32).unwrap()
    };
    let values = |bytes: &[u8]| -> Vec<i64> {
        let batches = read_stream(bytes);
        let column = |batch: &RecordBatch| {
            batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
        };
        batches.iter().flat_map(column).collect()
    };
    for (from, to, copied) in [(0, 40, 4), (5, 35, 2), (10, 20, 1), (10, 11, 0), (39, 40, 0), (12, 100, 2)] {
        let options = if to == 100 { IpcOptions::new() } else { IpcOptions::new().before(number(to)) };
        let (bytes, written) = write(&columns, Position::AtSequenceNumber(number(from)), options);
        assert_eq!(values(&bytes), (from as i64..to.min(40) as i64).collect::<Vec<_>>());
        assert_eq!((written.rows, written.copied), (to.min(40) - from, copied), "{from} to {to}");
    }
    let none = IpcOptions::new().before_time(Timestamp::EPOCH);
    let (bytes, written) = write(&columns, Position::TrimHorizon, none);
    assert_eq!((written.rows, read_stream(&bytes).len()), (0, 0));
    let schema = StreamReader::try_new(&*bytes, None).unwrap().schema();
    assert_eq!(schema, plain_batch(0, 1).schema());
}

#[test]
fn numbers_times_and_shards_become_columns() {
    let (_directory, columns) = columns(4);
    for n in 0..12 {
        columns.put_batch(&format!("key {n}"), &plain_batch(n * 5, 5)).unwrap();
    }
    let options = BatchReaderOptions::new();
    let mut bytes = Vec::new();
    let mut reader = columns.merged_reader(Position::TrimHorizon, options.clone()).unwrap();
    let written = reader.write_ipc(&mut bytes, IpcOptions::new().sequence_numbers(true)).unwrap();
    assert_eq!((written.rows, written.batches, written.copied), (60, 12, 0));
    let batches = read_stream(&bytes);
    let mut expected = columns.merged_reader(Position::TrimHorizon, options).unwrap();
    for batch in &batches {
        let stored = expected.next().unwrap().unwrap();
        assert_eq!(&batch.project(&[0, 1, 2]).unwrap(), stored.rows());
        let names: Vec<_> = batch.schema().fields()[3..].iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["seq_number", "stream_time", "shard_id"]);
        let numbers = batch.column(3).as_primitive::<UInt64Type>();
        let times = batch.column(4).as_primitive::<TimestampNanosecondType>();
        let shards = batch.column(5).as_primitive::<UInt32Type>();
        for row in 0..batch.num_rows() {
            assert_eq!(numbers.value(row), stored.sequence_number().counter() + row as u64);
            assert_eq!(times.value(row) as u64, stored.arrival_time().as_nanos());
            assert_eq!(shards.value(row), stored.shard_id().as_u32());
        }
    }
    assert!(expected.next().unwrap().is_none());

    // Stored with the rows, they would be there twice.
    let (_directory, again) = self::columns(1);
    again.put_ipc("key", &*bytes).unwrap();
    let mut reader = again.reader(ShardId::new(0), Position::TrimHorizon).unwrap();
    let error = reader.write_ipc(Vec::new(), IpcOptions::new().sequence_numbers(true)).unwrap_err();
    assert!(matches!(error, WriteRowsError::ColumnExists { name: "seq_number" }), "{error:?}");
}

#[test]
fn one_export_has_one_schema() {
    let (_directory, columns) = columns(1);
    let old = plain_batch(0, 3);
    let mut wider: Vec<_> =
        ["f0", "f1", "f2"].map(String::from).into_iter().zip(plain_batch(3, 3).columns().to_vec()).collect();
    wider.push(("f3".into(), Arc::new(StringArray::from(vec!["a", "b", "c"]))));
    let new = batch_of(wider);
    columns.put_batch("key", &old).unwrap();
    let changed = columns.put_batch("key", &new).unwrap().sequence_numbers.unwrap().0;
    let shard_id = changed.shard_id();
    let mut reader = columns.reader(shard_id, Position::TrimHorizon).unwrap();
    let error = reader.write_ipc(Vec::new(), IpcOptions::new()).unwrap_err();
    assert!(matches!(error, WriteRowsError::SchemaChanged { number } if number == changed), "{error:?}");

    let newest = columns.newest_schema().unwrap().unwrap();
    assert_eq!(newest, new.schema());
    columns.stream().put("key", b"bytes").unwrap();
    let options = BatchReaderOptions::new().schema(newest).raw_records(RawRecords::Skip);
    let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
    let mut bytes = Vec::new();
    let written = reader.write_ipc(&mut bytes, IpcOptions::new()).unwrap();
    assert_eq!((written.batches, written.copied), (2, 1));
    let read = read_stream(&bytes);
    assert_eq!(read[0].project(&[0, 1, 2]).unwrap(), old);
    assert_eq!((read[0].column(3).null_count(), &read[1]), (3, &new));
}

#[test]
fn dictionaries_that_stay_are_written_once_and_a_file_takes_no_other() {
    let (_directory, columns) = columns(1);
    let dictionary = |keys: Vec<i16>, values: Vec<&str>| {
        let array = DictionaryArray::<Int16Type>::new(keys.into(), Arc::new(StringArray::from(values)));
        batch_of(vec![("kind".into(), Arc::new(array))])
    };
    let same = [dictionary(vec![0, 1], vec!["a", "b"]), dictionary(vec![1, 1, 0], vec!["a", "b"])];
    let other = dictionary(vec![0], vec!["c"]);
    columns.put_batches("key", &same, 0).unwrap();
    for format in [IpcFormat::Stream, IpcFormat::File] {
        let (bytes, _) = write(&columns, Position::TrimHorizon, IpcOptions::new().format(format));
        let read = if format == IpcFormat::Stream { read_stream(&bytes) } else { read_file(&bytes) };
        assert_eq!(read, same);
    }
    let changed = columns.put_batch("key", &other).unwrap().sequence_numbers.unwrap().0;
    let (bytes, _) = write(&columns, Position::TrimHorizon, IpcOptions::new());
    let read = read_stream(&bytes);
    assert_eq!((&read[..2], &read[2]), (&same[..], &other));
    let mut reader = columns.reader(changed.shard_id(), Position::TrimHorizon).unwrap();
    let error = reader.write_ipc(Vec::new(), IpcOptions::new().format(IpcFormat::File)).unwrap_err();
    assert!(matches!(error, WriteRowsError::DictionaryChanged { number } if number == changed), "{error:?}");
}

#[test]
fn what_arrow_writes_goes_in() {
    let whole = batch_of_every_type(40, true);
    let plain = without_dictionaries(&whole);
    let streams = [
        as_stream(&[whole.slice(0, 25), whole.slice(25, 15)]),
        as_file(&[plain.slice(3, 20), plain.slice(23, 10)]),
    ];
    for (bytes, expected) in streams.iter().zip([whole, plain.slice(3, 30)]) {
        let (_directory, columns) = columns(1);
        let put = columns.put_ipc("key", &**bytes).unwrap();
        assert_eq!(put.rows, expected.num_rows() as u64);
        let mut reader = columns.reader(put.shard_id.unwrap(), Position::TrimHorizon).unwrap();
        let mut row = 0;
        while let Some(batch) = reader.next().unwrap() {
            assert_eq!(batch.rows(), &expected.slice(row, batch.rows().num_rows()));
            row += batch.rows().num_rows();
        }
        assert_eq!(row, expected.num_rows());
    }
}

#[test]
fn input_that_is_cut_off_keeps_the_batches_before_and_says_so() {
    let batches = [plain_batch(0, 5), plain_batch(5, 5)];
    let bytes = as_stream(&batches);
    let (_directory, columns) = columns(1);
    let mut whole = 0;
    for len in 0..bytes.len() {
        match columns.put_ipc("key", &bytes[..len]) {
            // Between two messages, as pyarrow takes it.
            Ok(put) => {
                assert!(put.rows.is_multiple_of(5));
                whole += 1;
            }
            Err(PutRowsError::Malformed { format: "Arrow IPC", put, .. }) => {
                assert!(put.rows <= 10 && put.rows.is_multiple_of(5));
            }
            Err(error) => panic!("{len}: {error}"),
        }
    }
    assert_eq!(whole, 3);
}

#[test]
fn flipped_bits_in_the_input_never_panic() {
    let bytes = as_stream(&[batch_of_every_type(9, true)]);
    let disk = Disk::new();
    let store = Store::options().storage(&disk).maintenance(Maintenance::Manual).open("data").unwrap();
    let stream = store.create_stream("rows", StreamOptions::new()).unwrap();
    let columns = stream.columns().evolution(Evolution::Any);
    let (mut refused, mut taken) = (0, 0);
    for index in (0..bytes.len()).step_by(23) {
        let mut flipped = bytes.clone();
        flipped[index] ^= 1 << (index % 8);
        match columns.put_ipc("key", &*flipped) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50 && taken > 50, "{refused} refused, {taken} taken");
}
