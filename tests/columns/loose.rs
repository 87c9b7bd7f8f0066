//! Guards against records that hold more than their rows: arrays of views, list views and dense unions keep what a slice of them was
//! cut from, which made rows that fit too long, and was stored again with each part of a batch.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, DictionaryArray, FixedSizeListArray, GenericListViewArray, Int32Array,
    LargeListArray, ListArray, MapArray, OffsetSizeTrait, RecordBatch, RunArray, StringArray,
    StringViewArray, StructArray, UnionArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, UnionFields};
use riverbed::columns::{Columns, PutBatchError};
use riverbed::testing::Disk;
use riverbed::{Maintenance, Position, Store, StreamOptions};

use crate::arrays::batch_of;

fn columns() -> Columns {
    let store = Store::options().storage(&Disk::new()).maintenance(Maintenance::Manual).open("data").unwrap();
    store.create_stream("rows", StreamOptions::new()).unwrap().columns()
}

/// Texts of this length, every fifth null.
fn texts(rows: usize, len: usize) -> StringViewArray {
    (0..rows).map(|row| (row % 5 != 3).then(|| format!("{row:0>len$}"))).collect()
}

fn batch(column: impl Array + 'static) -> RecordBatch {
    batch_of(vec![("column".into(), Arc::new(column))])
}

/// Asserts that the stream has exactly these rows, and returns in how many bytes.
fn stored(columns: &Columns, expected: &RecordBatch) -> usize {
    let shard_id = columns.stream().shards()[0].id;
    let mut records = columns.stream().reader(shard_id, Position::TrimHorizon).unwrap();
    let (mut row, mut bytes) = (0, 0);
    while let Some(record) = records.next().unwrap() {
        let batch = columns.decode(&record).unwrap();
        let rows = batch.rows().num_rows();
        assert_eq!(batch.rows(), &expected.slice(row, rows), "rows {row} to {}", row + rows);
        row += rows;
        bytes += record.data().len();
    }
    assert_eq!(row, expected.num_rows());
    bytes
}

fn item(array: &dyn Array) -> FieldRef {
    Arc::new(Field::new("item", array.data_type().clone(), true))
}

/// List views of one element each, from the last to the first, but every seventh empty and every ninth of two.
fn list_views<O: OffsetSizeTrait>(values: ArrayRef) -> GenericListViewArray<O> {
    let rows = values.len();
    let size = |row: usize| if row % 7 == 6 { 0 } else { 1 + usize::from(row % 9 == 8) };
    let offsets: Vec<O> = (0..rows).map(|row| O::usize_as(rows - 1 - row)).collect();
    let sizes: Vec<O> = (0..rows).map(|row| O::usize_as(size(row))).collect();
    let nulls = (0..rows).map(|row| row % 11 != 10).collect::<NullBuffer>();
    GenericListViewArray::try_new(item(&values), offsets.into(), sizes.into(), values, Some(nulls)).unwrap()
}

/// Texts and numbers in turns, the texts from the last to the first.
fn dense_union(texts: ArrayRef) -> UnionArray {
    let rows = texts.len();
    let fields =
        [Field::new("number", DataType::Int32, true), Field::new("text", texts.data_type().clone(), true)];
    let types: Vec<i8> = (0..rows).map(|row| if row % 2 == 0 { 7 } else { 3 }).collect();
    let offsets: Vec<i32> =
        (0..rows).map(|row| if row % 2 == 0 { rows - 1 - row } else { row / 2 } as i32).collect();
    let numbers: Int32Array = (0..rows as i32).collect();
    let fields = UnionFields::try_new([3, 7], fields).unwrap();
    UnionArray::try_new(fields, types.into(), Some(offsets.into()), vec![Arc::new(numbers), texts]).unwrap()
}

fn sparse_union(texts: ArrayRef) -> UnionArray {
    let fields = UnionFields::try_new([4], [Field::new("text", texts.data_type().clone(), true)]).unwrap();
    UnionArray::try_new(fields, vec![4; texts.len()].into(), None, vec![texts]).unwrap()
}

fn structs(column: ArrayRef) -> StructArray {
    let nulls = (0..column.len()).map(|row| row % 13 != 12).collect::<NullBuffer>();
    StructArray::new(vec![item(&column)].into(), vec![column], Some(nulls))
}

/// Columns around texts, in every way in which they may lie in others.
fn nested(texts: &StringViewArray) -> Vec<(&'static str, ArrayRef)> {
    let rows = texts.len();
    let values: ArrayRef = Arc::new(texts.clone());
    let plain: ArrayRef = Arc::new(StringArray::from_iter(texts));
    let pairs = OffsetBuffer::from_lengths((0..rows / 2).map(|_| 2));
    let large = OffsetBuffer::from_lengths((0..rows / 2).map(|_| 2));
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| row.to_string())));
    let entries =
        vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8View, true)];
    let entries = StructArray::new(entries.into(), vec![keys, Arc::clone(&values)], None);
    let of_entries = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let ends = Int32Array::from_iter_values((1..=rows as i32).map(|end| end * 2));
    vec![
        ("views", Arc::clone(&values)),
        (
            "binary views",
            Arc::new(BinaryViewArray::from_iter(texts.iter().map(|text| text.map(str::as_bytes)))),
        ),
        ("struct", Arc::new(structs(Arc::clone(&values)))),
        ("list", Arc::new(ListArray::new(item(&values), pairs.clone(), Arc::clone(&values), None))),
        ("large list", Arc::new(LargeListArray::new(item(&values), large, Arc::clone(&values), None))),
        ("map", Arc::new(MapArray::new(of_entries, pairs.clone(), entries, None, false))),
        ("fixed size list", Arc::new(FixedSizeListArray::new(item(&values), 2, Arc::clone(&values), None))),
        ("list view", Arc::new(list_views::<i32>(Arc::clone(&values)))),
        ("large list view", Arc::new(list_views::<i64>(Arc::clone(&values)))),
        ("list view of plain texts", Arc::new(list_views::<i32>(Arc::clone(&plain)))),
        ("sparse union", Arc::new(sparse_union(Arc::clone(&values)))),
        ("dense union", Arc::new(dense_union(Arc::clone(&values)))),
        ("dense union of plain texts", Arc::new(dense_union(plain))),
        ("runs", Arc::new(RunArray::<Int32Type>::try_new(&ends, texts).unwrap())),
        (
            "struct of lists of structs",
            Arc::new(structs(Arc::new(ListArray::new(
                item(&structs(Arc::clone(&values))),
                pairs,
                Arc::new(structs(Arc::clone(&values))),
                None,
            )))),
        ),
        ("list view of dense unions", Arc::new(list_views::<i32>(Arc::new(dense_union(values))))),
    ]
}

#[test]
fn what_a_long_batch_refers_to_is_stored_once_and_comes_back() {
    // 12 MB, which no record holds.
    let texts = texts(6000, 2500);
    for (name, column) in nested(&texts) {
        let batch = batch_of(vec![("column".into(), column)]);
        let columns = columns();
        let put = columns.put_batch("key", &batch).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!((1..=4).contains(&put.records), "{name}: {} records", put.records);
        let bytes = stored(&columns, &batch);
        assert!(bytes < 20_000_000, "{name}: {bytes} bytes");
    }
}

#[test]
fn parts_of_few_rows_have_their_own_data_alone() {
    let texts = texts(1000, 500);
    for (name, column) in nested(&texts) {
        // Cut at both ends, so that nothing begins at its beginning.
        let batch = batch_of(vec![("column".into(), column)]);
        let batch = batch.slice(21, batch.num_rows() - 40);
        let columns = columns();
        let put = columns.put_batches("key", [&batch], 10).unwrap();
        assert_eq!(put.records, batch.num_rows().div_ceil(10) as u64, "{name}");
        let bytes = stored(&columns, &batch);
        assert!(bytes < 1_200_000, "{name}: {bytes} bytes");
    }
}

#[test]
fn a_row_cut_from_a_large_batch_takes_its_own_bytes() {
    // More than a record holds, and less.
    for rows in [32_000, 8_000] {
        let texts = texts(rows, 500);
        for (name, column) in nested(&texts) {
            let batch = batch_of(vec![("column".into(), column)]).slice(1000, 1);
            let columns = columns();
            let put = columns.put_batch("key", &batch).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((put.rows, put.records), (1, 1), "{name}");
            let bytes = stored(&columns, &batch);
            assert!(bytes < 5000, "{name}: {bytes} bytes");
        }
    }
}

#[test]
fn a_row_that_takes_most_of_what_it_was_cut_from_fits_too() {
    let text = "x".repeat(9 << 20);
    let two = StringViewArray::from_iter_values([&text, &text]);
    let columns = columns();
    columns.put_batch("key", &batch(two.slice(1, 1))).unwrap();
    assert!(stored(&columns, &batch(two.slice(0, 1))) < 10 << 20);
    let long = StringViewArray::from_iter_values([text.repeat(2)]);
    let refused = columns.put_batch("key", &batch(long));
    assert!(matches!(refused, Err(PutBatchError::RowTooLarge { row: 0, .. })), "{refused:?}");
}

#[test]
fn what_rows_share_is_not_multiplied() {
    // 1000 rows that are the same text of 100 kB, and list views that all have all values.
    let values: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..1000).map(|row| format!("{row:0>1000}"))));
    let lists = GenericListViewArray::<i32>::try_new(
        item(&values),
        vec![0; 1000].into(),
        vec![1000; 1000].into(),
        values,
        None,
    );
    let one = StringViewArray::from_iter_values(["x".repeat(100_000)]);
    let (views, buffers, _) = one.into_parts();
    let same = StringViewArray::try_new(vec![views[0]; 1000].into(), buffers, None).unwrap();
    let columns = columns();
    let batch = batch_of(vec![("lists".into(), Arc::new(lists.unwrap())), ("same".into(), Arc::new(same))]);
    assert_eq!(columns.put_batch("key", &batch).unwrap().records, 1);
    assert!(stored(&columns, &batch) < 2_000_000);
}

#[test]
fn dictionaries_keep_their_values_without_what_these_were_cut_from() {
    let values = texts(32_000, 500).slice(4, 2);
    let dictionary = DictionaryArray::<Int32Type>::new(vec![1, 0, 1, 0].into(), Arc::new(values));
    let columns = columns();
    let batch = batch(dictionary);
    columns.put_batches("key", [&batch], 3).unwrap();
    assert!(stored(&columns, &batch) < 5000);
}
