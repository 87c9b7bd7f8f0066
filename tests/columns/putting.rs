//! Guards against rows that get no number or the wrong one, against records that are too long, and against batches of a
//! stream that do not go together.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringViewArray};
use arrow_schema::{DataType, Field, Schema};
use riverbed::columns::{Evolution, PutBatchError, SchemaError};
use riverbed::{Durability, Position, PutError, Store, StreamOptions};

use crate::arrays::{batch_of, plain_batch};

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    (directory, store)
}

#[test]
fn a_batch_takes_one_number_for_each_row() {
    let (_directory, store) = store();
    let stream = store.create_stream("rows", StreamOptions::new()).unwrap();
    let columns = stream.columns();
    let before = stream.put("key", b"bytes").unwrap();
    let put = columns.put_batch("key", &plain_batch(0, 1000)).unwrap();
    let after = stream.put("key", b"bytes").unwrap();
    let (first, last) = put.sequence_numbers.unwrap();
    assert_eq!(first.counter(), before.sequence_number.counter() + 1);
    assert_eq!(last.counter(), first.counter() + 999);
    assert_eq!(after.sequence_number.counter(), last.counter() + 1);
    let mut reader = stream.reader(put.shard_id.unwrap(), Position::TrimHorizon).unwrap();
    let mut numbers = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.to_owned().last_sequence_number(), record.last_sequence_number());
        numbers.push((record.sequence_number(), record.last_sequence_number()));
    }
    let (before, after) = (before.sequence_number, after.sequence_number);
    assert_eq!(numbers, [(before, before), (first, last), (after, after)]);
    let report = Store::verify(store.path()).unwrap();
    assert!(!report.is_damaged(), "{:?}", report.faults);
    assert_eq!(report.records, 3);
}

#[test]
fn an_empty_batch_puts_nothing_and_a_batch_without_columns_puts_its_rows() {
    let (_directory, store) = store();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    let put = columns.put_batch("key", &plain_batch(0, 0)).unwrap();
    assert_eq!((put.rows, put.records, put.shard_id, put.sequence_numbers), (0, 0, None, None));

    let columns = store.create_stream("no-columns", StreamOptions::new()).unwrap().columns();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(7));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let put = columns.put_batch("key", &batch).unwrap();
    assert_eq!((put.rows, put.records), (7, 1));
    let mut reader = columns.reader(put.shard_id.unwrap(), Position::TrimHorizon).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().rows(), &batch);
}

#[test]
fn long_batches_are_split_and_keep_their_order() {
    let (_directory, store) = store();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    // 32 MB of text, as views, whose data would go into every part.
    let texts: StringViewArray = (0..32_000).map(|row| Some(format!("{row:0>1000}"))).collect();
    let batch = batch_of(vec![("text".into(), Arc::new(texts))]);
    let put = columns.put_batch("key", &batch).unwrap();
    assert_eq!(put.rows, 32_000);
    assert!((4..=8).contains(&put.records), "{} records", put.records);
    let (first, last) = put.sequence_numbers.unwrap();
    assert_eq!(last.counter() - first.counter(), 31_999);
    let mut reader = columns.reader(put.shard_id.unwrap(), Position::TrimHorizon).unwrap();
    let mut row = 0;
    while let Some(read) = reader.next().unwrap() {
        assert_eq!(read.rows(), &batch.slice(row, read.rows().num_rows()));
        assert_eq!(read.sequence_number().counter(), first.counter() + row as u64);
        row += read.rows().num_rows();
    }
    assert_eq!(row, 32_000);
}

#[test]
fn batches_of_an_iterator_are_split_by_rows() {
    let (_directory, store) = store();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    let batches = (0..5).map(|n| plain_batch(n * 100, 100));
    let put = columns.put_batches("key", batches, 30).unwrap();
    assert_eq!((put.rows, put.records), (500, 20));
    let again = columns.clone().max_rows_per_record(64).put_batch("key", &plain_batch(500, 100)).unwrap();
    assert_eq!(again.records, 2);
    let mut reader = columns.reader(put.shard_id.unwrap(), Position::TrimHorizon).unwrap();
    let mut next = 0;
    while let Some(read) = reader.next().unwrap() {
        let rows = read.rows().num_rows();
        assert!(rows <= 64);
        assert_eq!(read.rows().column(0).as_ref(), &Int64Array::from_iter_values(next..next + rows as i64));
        next += rows as i64;
    }
    assert_eq!(next, 600);
}

#[test]
fn a_row_that_fits_no_record_is_named() {
    let (_directory, store) = store();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    let texts = ["short".to_owned(), "x".repeat(11 << 20), "short".to_owned()];
    let texts = arrow_array::StringArray::from_iter_values(texts);
    let batch = batch_of(vec![("text".into(), Arc::new(texts))]);
    match columns.put_batch("key", &batch) {
        Err(error @ PutBatchError::RowTooLarge { row: 1, .. }) => assert_eq!(error.put().rows, 0),
        other => panic!("{other:?}"),
    }
    let info = columns.stream().stats().shards;
    assert_eq!(info[0].records, 0);
}

#[test]
fn keys_are_checked_and_choose_the_shard() {
    let (_directory, store) = store();
    let stream = store.create_stream("rows", StreamOptions::new().shards(8)).unwrap();
    let columns = stream.columns().durability(Durability::Immediate);
    for key in ["ann", "bob", "cem", "dan"] {
        let put = columns.put_batch(key, &plain_batch(0, 3)).unwrap();
        assert_eq!(put.shard_id, stream.shard_for_key(key));
        let last = put.sequence_numbers.unwrap().1;
        assert_eq!(stream.durable_sequence_number(last.shard_id()).unwrap(), Some(last));
        let mut reader = columns.reader(last.shard_id(), Position::AtSequenceNumber(last)).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().key(), key.as_bytes());
    }
    let empty = columns.put_batch("", &plain_batch(0, 3));
    assert!(matches!(empty, Err(PutBatchError::PartitionKey(_))), "{empty:?}");
}

#[test]
fn a_new_schema_must_go_with_those_there_are() {
    let (_directory, store) = store();
    let stream = store.create_stream("rows", StreamOptions::new()).unwrap();
    let columns = stream.columns();
    let batch = |fields: &[(&str, DataType, bool)]| {
        let fields: Vec<_> =
            fields.iter().map(|(name, kind, null)| Field::new(*name, kind.clone(), *null)).collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| match field.is_nullable() {
                true => arrow_array::new_null_array(field.data_type(), 2),
                false => Arc::new(Int64Array::from(vec![1, 2])) as _,
            })
            .collect();
        RecordBatch::try_new(schema, arrays).unwrap()
    };
    let (int, text) = (DataType::Int64, DataType::Utf8);
    let first = batch(&[("id", int.clone(), false), ("name", text.clone(), true)]);
    let wider = batch(&[("name", text.clone(), true), ("id", int.clone(), true), ("age", int.clone(), true)]);
    columns.put_batch("key", &first).unwrap();
    columns.put_batch("key", &wider).unwrap();
    // Known, though it would not be accepted now.
    columns.put_batch("key", &first).unwrap();

    let wrong_type =
        batch(&[("id", text.clone(), true), ("name", text.clone(), true), ("age", int.clone(), true)]);
    let missing = batch(&[("id", int.clone(), true), ("name", text.clone(), true)]);
    let not_null = batch(&[
        ("id", int.clone(), true),
        ("name", text.clone(), true),
        ("age", int.clone(), true),
        ("extra", int.clone(), false),
    ]);
    for (batch, name, expects, finds) in [
        (&wrong_type, "id", "Int64 (may be null)", "Utf8 (may be null)"),
        (&missing, "age", "Int64 (may be null)", "no such column"),
        (
            &not_null,
            "extra",
            "a new column that may be null, as older rows do not have it",
            "Int64 (never null)",
        ),
    ] {
        match columns.put_batch("key", batch) {
            Err(PutBatchError::Schema(SchemaError::Incompatible { field, expected, found })) => {
                assert_eq!((&*field, &*expected, &*found), (name, expects, finds));
            }
            other => panic!("{other:?}"),
        }
    }
    let fixed = stream.columns().evolution(Evolution::Fixed);
    let more = batch(&[
        ("name", text.clone(), true),
        ("id", int.clone(), true),
        ("age", int.clone(), true),
        ("more", int, true),
    ]);
    let refused = fixed.put_batch("key", &more);
    assert!(
        matches!(&refused, Err(PutBatchError::Schema(SchemaError::Incompatible { field, .. })) if field == "more"),
        "{refused:?}"
    );
    stream.columns().evolution(Evolution::Any).put_batch("key", &wrong_type).unwrap();
    assert_eq!(stream.stats().shards[0].records, 4);
    let files = std::fs::read_dir(store.path().join("streams/rows/schemas")).unwrap().count();
    assert_eq!(files, 3);
}

#[test]
fn a_schema_that_could_not_be_read_again_is_refused_and_leaves_nothing_behind() {
    let (_directory, store) = store();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
    let values = Arc::new(Field::new("values", DataType::Utf8View, true));
    let runs = DataType::RunEndEncoded(ends, values);
    let in_struct = DataType::Struct(vec![Field::new("runs", runs.clone(), true)].into());
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let column = |kind: &DataType| batch_of(vec![("column".into(), arrow_array::new_null_array(kind, 3))]);
    for kind in [
        DataType::List(Arc::new(Field::new("item", in_struct.clone(), true))),
        DataType::FixedSizeList(Arc::new(Field::new("item", runs.clone(), true)), 0),
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(dictionary)),
    ] {
        let refused = columns.put_batch("key", &column(&kind)).unwrap_err();
        assert!(
            matches!(refused, PutBatchError::Schema(SchemaError::Unsupported { .. })),
            "{kind}: {refused}"
        );
        assert_eq!(columns.newest_schema().unwrap(), None, "{kind}");
    }
    let put = columns.put_batch("key", &column(&in_struct)).unwrap();
    let again = columns.clone().evolution(Evolution::Any).put_batch("key", &column(&runs)).unwrap();
    assert_eq!((put.rows, again.rows), (3, 3));
    let mut reader = columns.reader(put.shard_id.unwrap(), Position::TrimHorizon).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().rows(), &column(&in_struct));
    assert_eq!(reader.next().unwrap().unwrap().rows(), &column(&runs));
}

#[test]
fn what_was_put_before_an_error_is_told() {
    let (_directory, store) = store();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    let other = batch_of(vec![("f0".into(), Arc::new(StringViewArray::from(vec!["a"])))]);
    let error = columns.put_batches("key", [plain_batch(0, 10), plain_batch(10, 10), other], 0).unwrap_err();
    assert_eq!((error.put().rows, error.put().records), (20, 2));
    assert!(matches!(error, PutBatchError::After { .. }), "{error:?}");
    store.close().unwrap();
    let closed = columns.put_batch("key", &plain_batch(0, 10));
    assert!(matches!(closed, Err(PutBatchError::Put { source: PutError::Closed, .. })), "{closed:?}");
    let closed =
        columns.put_batch("key", &batch_of(vec![("new".into(), Arc::new(Int64Array::from(vec![1])))]));
    assert!(matches!(closed, Err(PutBatchError::Schema(SchemaError::Stream(_)))), "{closed:?}");
}

#[test]
fn a_refused_batch_leaves_alone_what_others_have_put_since() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path().join("data")).unwrap();
    let before = open();
    let stream = before.create_stream("rows", StreamOptions::new()).unwrap();
    let columns = stream.columns().durability(Durability::Immediate);
    columns.put_batch("key", &plain_batch(0, 10)).unwrap();
    for _ in 0..30 {
        stream.put("key", [1; 1024]).unwrap();
    }
    before.close().unwrap();
    let store = open();
    let stream = store.open_stream("rows").unwrap();
    let put: Vec<_> = (0..40).map(|_| stream.put("key", [2; 1024]).unwrap()).collect();
    stream.sync().unwrap();
    // Its handle knows the segment that has been gone on in.
    let refused = columns.put_batch("key", &plain_batch(0, 10));
    assert!(matches!(refused, Err(PutBatchError::Put { source: PutError::Closed, .. })), "{refused:?}");
    let mut reader =
        stream.reader(put[0].shard_id, Position::AtSequenceNumber(put[0].sequence_number)).unwrap();
    for put in put {
        let record = reader.next().unwrap().unwrap();
        assert_eq!((record.sequence_number(), record.data()), (put.sequence_number, &[2; 1024][..]));
    }
}
