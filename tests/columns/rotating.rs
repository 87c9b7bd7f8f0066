//! Guards against rows that are in no file where one reader writes several, one after the other.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{RecordBatch, StringArray, record_batch};
use arrow_ipc::reader::StreamReader;
use riverbed::columns::{BatchReader, BatchReaderOptions, Columns, IpcOptions, RawRecords, WriteRowsError};
use riverbed::testing::{Disk, ManualClock};
use riverbed::{Maintenance, Position, SequenceNumber, Store, StreamOptions, Timestamp};

use crate::arrays::{batch_of, plain_batch};

/// A stream of three batches with ten rows each, which arrived at 10, 20 and 30 seconds.
fn columns() -> Columns {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let store = Store::options().storage(&Disk::new()).clock(clock.clone()).maintenance(Maintenance::Manual);
    let stream = store.open("data").unwrap().create_stream("rows", StreamOptions::new()).unwrap();
    let columns = stream.columns();
    for first in [0, 10, 20] {
        clock.advance(Duration::from_secs(10));
        columns.put_batch("key", &plain_batch(first, 10)).unwrap();
    }
    columns
}

fn reader(columns: &Columns, options: BatchReaderOptions) -> BatchReader {
    let shard_id = columns.stream().shards()[0].id;
    columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap()
}

fn number(columns: &Columns, counter: u64) -> SequenceNumber {
    let first = reader(columns, BatchReaderOptions::new()).next().unwrap().unwrap().sequence_number();
    SequenceNumber::try_from(u128::from(first.counter() + counter) << 32).unwrap()
}

fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// The numbers that an export has.
fn export(reader: &mut BatchReader, options: IpcOptions) -> Vec<i64> {
    let mut bytes = Vec::new();
    let written = reader.write_ipc(&mut bytes, options).unwrap();
    let batches = StreamReader::try_new(&*bytes, None).unwrap();
    let numbers: Vec<_> = batches.flat_map(|batch| numbers(&batch.unwrap())).collect();
    assert_eq!(written.rows, numbers.len() as u64);
    numbers
}

#[test]
fn an_export_goes_on_at_the_time_at_which_the_last_one_ended() {
    let columns = columns();
    let mut reader = reader(&columns, BatchReaderOptions::new());
    let until = |seconds: u64| IpcOptions::new().before_time(Timestamp::from_millis(seconds * 1000));
    assert_eq!(export(&mut reader, until(5)), Vec::from_iter(0..0));
    assert_eq!(export(&mut reader, until(15)), Vec::from_iter(0..10));
    // Again up to the same end: there is nothing more before it, and nothing is lost.
    assert_eq!(export(&mut reader, until(15)), Vec::from_iter(0..0));
    assert!(reader.wait(Duration::ZERO).unwrap(), "what the export left is there to read");
    assert_eq!(export(&mut reader, until(30)), Vec::from_iter(10..20));
    assert_eq!(export(&mut reader, IpcOptions::new()), Vec::from_iter(20..30));
    assert_eq!(export(&mut reader, IpcOptions::new()), Vec::from_iter(0..0));
}

#[test]
fn an_export_goes_on_at_the_row_before_which_the_last_one_ended() {
    let columns = columns();
    let mut reader = reader(&columns, BatchReaderOptions::new());
    let before = |counter| IpcOptions::new().before(number(&columns, counter));
    for (from, to) in [(0, 4), (4, 7), (7, 10), (10, 23)] {
        assert_eq!(export(&mut reader, before(to as u64)), Vec::from_iter(from..to));
    }
    let rest = reader.next().unwrap().unwrap();
    assert_eq!(numbers(rest.rows()), Vec::from_iter(23..30));
    assert_eq!(rest.sequence_number(), number(&columns, 23));
    assert_eq!(rest.last_sequence_number(), number(&columns, 29));
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn a_batch_of_another_schema_is_the_first_of_the_next_export() {
    let columns = columns();
    let mut wider: Vec<_> =
        ["f0", "f1", "f2"].map(String::from).into_iter().zip(plain_batch(30, 2).columns().to_vec()).collect();
    wider.push(("f3".into(), Arc::new(StringArray::from(vec!["a", "b"]))));
    let wider = batch_of(wider);
    columns.put_batch("key", &wider).unwrap();
    let mut reader = reader(&columns, BatchReaderOptions::new());
    let error = reader.write_ipc(Vec::new(), IpcOptions::new()).unwrap_err();
    let changed = number(&columns, 30);
    assert!(matches!(error, WriteRowsError::SchemaChanged { number } if number == changed), "{error:?}");
    assert_eq!(export(&mut reader, IpcOptions::new().before(changed)), Vec::from_iter(0..0));
    let next = reader.next().unwrap().unwrap();
    assert_eq!((next.rows(), next.sequence_number()), (&wider, changed));
}

#[test]
fn a_column_in_the_way_of_the_numbers_takes_no_batch_away() {
    let columns = columns();
    let stream = columns.stream().clone();
    stream.put("key", b"bytes").unwrap();
    let taken = record_batch!(("seq_number", Int64, [7])).unwrap();
    columns.evolution(riverbed::columns::Evolution::Any).put_batch("key", &taken).unwrap();
    let options = BatchReaderOptions::new().raw_records(RawRecords::Skip);
    let mut reader = reader(&stream.columns(), options);
    for _ in 0..3 {
        reader.next().unwrap();
    }
    let error = reader.write_ipc(Vec::new(), IpcOptions::new().sequence_numbers(true)).unwrap_err();
    assert!(matches!(error, WriteRowsError::ColumnExists { name: "seq_number" }), "{error:?}");
    assert_eq!(export(&mut reader, IpcOptions::new()), [7]);
}
