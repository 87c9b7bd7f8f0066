//! Guards against rows that cannot be found by their number, against positions that repeat or skip rows, against batches that
//! die with their segment, and against damage that passes for columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array, StringArray};
use riverbed::columns::{BatchReaderOptions, Columns, RawRecords, ReadBatchError, SchemaError};
use riverbed::{Position, ReadError, Retention, SequenceNumber, ShardId, Store, StreamOptions};

use crate::arrays::{batch_of, plain_batch};

fn columns(directory: &tempfile::TempDir, options: StreamOptions) -> Columns {
    let store = Store::open(directory.path().join("data")).unwrap();
    store.create_stream("rows", options).unwrap().columns()
}

/// The numbers in column `f0` of all batches from a position on.
fn values(columns: &Columns, shard_id: ShardId, position: Position) -> Vec<i64> {
    let mut reader = columns.reader(shard_id, position).unwrap();
    let mut all = Vec::new();
    while let Some(batch) = reader.next().unwrap() {
        let column = batch.rows().column_by_name("f0").unwrap().as_primitive::<Int64Type>();
        for row in 0..batch.rows().num_rows() {
            let number = batch.sequence_numbers().start().counter() + row as u64;
            let number = SequenceNumber::try_from(u128::from(number) << 32).unwrap();
            assert_eq!(batch.row_of(number), Some(row));
            all.push(column.value(row));
        }
    }
    all
}

#[test]
fn rows_are_found_by_their_numbers_across_records_and_segments() {
    let directory = tempfile::tempdir().unwrap();
    let columns = columns(&directory, StreamOptions::new());
    let mut numbers = Vec::new();
    let mut first = 0;
    // Some megabytes: several segments.
    for n in 0..300 {
        let rows = 1 + (n * 7) % 997;
        let put = columns.put_batch("key", &plain_batch(first, rows)).unwrap();
        let (start, end) = put.sequence_numbers.unwrap();
        numbers.push((first, start, end));
        first += rows as i64;
    }
    let shard_id = numbers[0].1.shard_id();
    let stats = columns.stream().shard_stats(shard_id).unwrap();
    assert!(stats.segments >= 3, "{}", stats.segments);
    assert_eq!(stats.newest.unwrap().0, numbers.last().unwrap().2);
    for &(value, start, end) in numbers.iter().step_by(37) {
        let total: Vec<_> = (value..first).collect();
        assert_eq!(values(&columns, shard_id, Position::AtSequenceNumber(start)), total);
        assert_eq!(values(&columns, shard_id, Position::AfterSequenceNumber(start)), total[1..]);
        let rows = end.counter() - start.counter();
        assert_eq!(values(&columns, shard_id, Position::AtSequenceNumber(end)), total[rows as usize..]);
        assert_eq!(
            values(&columns, shard_id, Position::AfterSequenceNumber(end)),
            total[rows as usize + 1..]
        );

        // A reader of records finds the record of a row, and what comes after it.
        let mut reader = columns.stream().reader(shard_id, Position::AtSequenceNumber(end)).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().sequence_number(), start);
        let mut reader = columns.stream().reader(shard_id, Position::AfterSequenceNumber(start)).unwrap();
        let next = reader.next().unwrap().map(|record| record.sequence_number().counter());
        assert!(next.is_none_or(|next| next == end.counter() + 1), "{next:?}");
    }
    let last = numbers.last().unwrap().2;
    assert_eq!(values(&columns, shard_id, Position::AfterSequenceNumber(last)), [0_i64; 0]);
    let beyond = SequenceNumber::try_from(u128::from(last.counter() + 1) << 32).unwrap();
    let future = columns.reader(shard_id, Position::AtSequenceNumber(beyond));
    assert!(matches!(future, Err(ReadBatchError::Read(ReadError::PositionInFuture { .. }))), "{future:?}");
}

#[test]
fn a_batch_outlives_its_segment_and_its_store() {
    let directory = tempfile::tempdir().unwrap();
    let columns = columns(&directory, StreamOptions::new());
    let kept = plain_batch(0, 1000);
    let put = columns.put_batch("key", &kept).unwrap();
    let shard_id = put.shard_id.unwrap();
    let read = columns.reader(shard_id, Position::TrimHorizon).unwrap().next().unwrap().unwrap();
    for n in 0..200 {
        columns.put_batch("key", &plain_batch(n * 1000, 1000)).unwrap();
    }
    columns.stream().set_retention(Retention::of_bytes(1 << 20)).unwrap();
    let mut reader = columns.stream().reader(shard_id, Position::TrimHorizon).unwrap();
    let oldest = reader.next().unwrap().unwrap().sequence_number();
    assert!(oldest > read.last_sequence_number());
    let stats = columns.stream().shard_stats(shard_id).unwrap();
    assert!(stats.pinned_bytes > 0);
    assert_eq!(read.rows(), &kept);
    let column = Arc::clone(read.rows().column(1));
    drop((reader, read, columns));
    assert_eq!(&column, kept.column(1));
}

#[test]
fn one_schema_for_all_rows_with_nulls_for_what_older_rows_lack() {
    let directory = tempfile::tempdir().unwrap();
    let columns = columns(&directory, StreamOptions::new());
    let old = batch_of(vec![("id".into(), Arc::new(Int64Array::from(vec![1, 2])))]);
    let new = batch_of(vec![
        ("name".into(), Arc::new(StringArray::from(vec!["three"]))),
        ("id".into(), Arc::new(Int64Array::from(vec![3]))),
    ]);
    let shard_id = columns.put_batch("key", &old).unwrap().shard_id.unwrap();
    columns.put_batch("key", &new).unwrap();
    let options = BatchReaderOptions::new().schema(new.schema());
    let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
    let first = reader.next().unwrap().unwrap();
    assert_eq!(first.rows().schema(), new.schema());
    assert_eq!(first.rows().column(0).null_count(), 2);
    assert_eq!(first.rows().column(1), old.column(0));
    assert_eq!(reader.next().unwrap().unwrap().rows(), &new);
    assert!(reader.next().unwrap().is_none());

    let wrong = batch_of(vec![("id".into(), Arc::new(StringArray::from(vec!["x"])))]).schema();
    let options = BatchReaderOptions::new().schema(wrong);
    let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
    match reader.next() {
        Err(ReadBatchError::Schema(SchemaError::Incompatible { field, expected, found })) => {
            assert_eq!((&*field, &*expected, &*found), ("id", "Utf8 (may be null)", "Int64 (may be null)"));
        }
        other => panic!("{other:?}"),
    }
    let options = BatchReaderOptions::new().columns(["name"]);
    let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
    assert!(matches!(reader.next(), Err(ReadBatchError::Schema(SchemaError::NoSuchColumn { .. }))));
    assert_eq!(reader.next().unwrap().unwrap().rows().num_columns(), 1);
}

#[test]
fn records_of_bytes_are_refused_left_out_or_shown() {
    let directory = tempfile::tempdir().unwrap();
    let columns = columns(&directory, StreamOptions::new());
    let shard_id = columns.put_batch("key", &plain_batch(0, 5)).unwrap().shard_id.unwrap();
    let bytes = columns.stream().put("key", b"bytes").unwrap().sequence_number;
    columns.put_batch("key", &plain_batch(5, 5)).unwrap();
    let read = |raw| {
        let options = BatchReaderOptions::new().raw_records(raw);
        let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
        let mut rows = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(batch)) => rows.push(batch.rows().num_rows()),
                Ok(None) => return rows,
                Err(ReadBatchError::NotABatch { number }) => {
                    assert_eq!(number, bytes);
                    rows.push(0);
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    assert_eq!(read(RawRecords::Refuse), [5, 0, 5]);
    assert_eq!(read(RawRecords::Skip), [5, 5]);
    assert_eq!(read(RawRecords::AsColumn), [5, 1, 5]);
}

#[test]
fn all_shards_are_read_by_arrival() {
    let directory = tempfile::tempdir().unwrap();
    let columns = columns(&directory, StreamOptions::new().shards(4));
    for n in 0..20 {
        columns.put_batch(&format!("key {n}"), &plain_batch(n, 1)).unwrap();
    }
    let mut reader = columns.merged_reader(Position::TrimHorizon, BatchReaderOptions::new()).unwrap();
    let mut seen = Vec::new();
    while let Some(batch) = reader.next().unwrap() {
        seen.push(batch.rows().column(0).as_primitive::<Int64Type>().value(0));
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[test]
fn flipped_bits_in_a_batch_or_a_schema_are_told_and_the_rest_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let columns = columns(&directory, StreamOptions::new());
    let shard_id = columns.put_batch("key", &plain_batch(0, 100)).unwrap().shard_id.unwrap();
    columns.put_batch("key", &plain_batch(100, 100)).unwrap();
    columns.stream().sync().unwrap();
    drop(columns);
    let segment = path.join("streams/rows/shard-000000/00000000000000000000.segment");
    let schema = path.join("streams/rows/schemas/0000000001.schema");
    let (segment_bytes, schema_bytes) = (std::fs::read(&segment).unwrap(), std::fs::read(&schema).unwrap());
    let reopen = || Store::open(&path).unwrap().open_stream("rows").unwrap().columns();

    // Somewhere in the first batch's values.
    let mut flipped = segment_bytes.clone();
    flipped[8192 + 600] ^= 4;
    std::fs::write(&segment, &flipped).unwrap();
    for verify in [true, false] {
        let options = BatchReaderOptions::new().read(riverbed::ReaderOptions::new().verify(verify));
        let columns = reopen();
        let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
        match reader.next() {
            Err(ReadBatchError::Read(ReadError::Corrupt { .. })) if verify => reader.skip_damage().unwrap(),
            Err(ReadBatchError::Corrupt { .. }) if !verify => {}
            other => panic!("verify {verify}: {other:?}"),
        }
        assert_eq!(reader.next().unwrap().unwrap().rows(), &plain_batch(100, 100));
    }

    std::fs::write(&segment, &segment_bytes).unwrap();
    let mut flipped = schema_bytes.clone();
    flipped[100] ^= 1;
    std::fs::write(&schema, &flipped).unwrap();
    let report = Store::verify(&path).unwrap();
    let damage: Vec<_> = report.damage().map(|fault| (fault.kind, fault.path.clone())).collect();
    assert_eq!(damage, [(riverbed::FaultKind::Schema, schema.clone())]);
    let columns = reopen();
    let mut reader = columns.reader(shard_id, Position::TrimHorizon).unwrap();
    let read = reader.next();
    assert!(matches!(&read, Err(ReadBatchError::Schema(SchemaError::Damaged { .. }))), "{read:?}");
    // Its id is not given to another schema.
    columns.put_batch("key", &plain_batch(0, 1)).unwrap();
    assert!(path.join("streams/rows/schemas/0000000002.schema").exists());
    drop((reader, columns));

    std::fs::write(&schema, &schema_bytes).unwrap();
    assert!(!Store::verify(&path).unwrap().is_damaged());
    let mut reader = reopen().reader(shard_id, Position::TrimHorizon).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().rows(), &plain_batch(0, 100));
    drop(reader);
    std::fs::remove_file(&schema).unwrap();
    let mut reader = reopen().reader(shard_id, Position::TrimHorizon).unwrap();
    let read = reader.next();
    assert!(matches!(&read, Err(ReadBatchError::Schema(SchemaError::Unknown { id: 1 }))), "{read:?}");
}
