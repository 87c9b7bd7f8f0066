//! Guards against types, nestings and slices that nobody thought of: whatever schema and batch there is, what is put is what
//! is read, as rows, as a projection, and through Arrow IPC.

use std::sync::Arc;

use arrow_array::types::{Int8Type, Int16Type, Int32Type};
use arrow_array::*;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit, UnionFields, UnionMode};
use fastrand::Rng;
use proptest::prelude::*;
use proptest::sample::select;
use riverbed::columns::{BatchReaderOptions, IpcOptions, PutBatchError, SchemaError};
use riverbed::testing::Disk;
use riverbed::{Maintenance, Position, ReaderOptions, Store, StreamOptions};

fn leaf() -> impl Strategy<Value = DataType> {
    select(vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into())),
        DataType::Duration(TimeUnit::Millisecond),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Decimal32(9, 2),
        DataType::Decimal64(18, -3),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(76, 0),
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(0),
        DataType::FixedSizeBinary(7),
    ])
}

fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, true))
}

fn kind() -> impl Strategy<Value = DataType> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let fields = prop::collection::vec(inner.clone(), 0..4).prop_map(|kinds| {
            let fields = kinds.into_iter().enumerate();
            fields.map(|(index, kind)| Field::new(format!("f{index}"), kind, true)).collect::<Vec<_>>()
        });
        let values = inner.clone().prop_filter("IPC has no dictionaries of these", |kind| {
            !matches!(kind, DataType::Dictionary(..))
        });
        let keys = select(vec![DataType::Int8, DataType::Int16, DataType::Int32]);
        let ends = select(vec![DataType::Int16, DataType::Int32, DataType::Int64]);
        let mode = select(vec![UnionMode::Sparse, UnionMode::Dense]);
        prop_oneof![
            inner.clone().prop_map(|kind| DataType::List(item(kind))),
            inner.clone().prop_map(|kind| DataType::LargeList(item(kind))),
            inner.clone().prop_map(|kind| DataType::ListView(item(kind))),
            inner.clone().prop_map(|kind| DataType::LargeListView(item(kind))),
            (inner.clone(), 0..4).prop_map(|(kind, size)| DataType::FixedSizeList(item(kind), size)),
            fields.clone().prop_map(|fields| DataType::Struct(fields.into())),
            (keys, values).prop_map(|(keys, values)| DataType::Dictionary(Box::new(keys), Box::new(values))),
            (fields, mode).prop_filter_map("a union of something", |(fields, mode)| {
                let ids = (0..fields.len() as i8).map(|id| id * 3);
                let fields = UnionFields::try_new(ids, fields).ok().filter(|fields| !fields.is_empty())?;
                Some(DataType::Union(fields, mode))
            }),
            (inner.clone(), ends).prop_map(|(kind, ends)| {
                let values = Arc::new(Field::new("values", kind, true));
                DataType::RunEndEncoded(Arc::new(Field::new("run_ends", ends, false)), values)
            }),
            inner.prop_map(|kind| {
                let key = Field::new("keys", DataType::Utf8, false);
                let entries = DataType::Struct(Fields::from(vec![key, Field::new("values", kind, true)]));
                DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
            }),
        ]
    })
}

fn nulls(rng: &mut Rng, rows: usize) -> Option<NullBuffer> {
    match rng.u8(..3) {
        0 => None,
        1 => Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, |_| true))),
        _ => Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, |_| rng.bool()))),
    }
}

fn text(rng: &mut Rng) -> String {
    let length = rng.usize(..30);
    (0..length).map(|_| rng.char(..)).collect()
}

/// A random array, which as often as not is a slice of a longer one.
fn array(rng: &mut Rng, kind: &DataType, rows: usize) -> ArrayRef {
    if rng.bool() {
        let (before, behind) = (rng.usize(..9), rng.usize(..9));
        return whole(rng, kind, before + rows + behind).slice(before, rows);
    }
    whole(rng, kind, rows)
}

fn whole(rng: &mut Rng, kind: &DataType, rows: usize) -> ArrayRef {
    let options =
        |rng: &mut Rng| -> Vec<Option<String>> { (0..rows).map(|_| rng.bool().then(|| text(rng))).collect() };
    let lengths = |rng: &mut Rng| -> Vec<usize> { (0..rows).map(|_| rng.usize(..4)).collect() };
    match kind {
        DataType::Null => Arc::new(NullArray::new(rows)),
        DataType::Boolean => {
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(rows, |_| rng.bool()), nulls(rng, rows)))
        }
        DataType::Utf8 => Arc::new(StringArray::from_iter(options(rng))),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter(options(rng))),
        DataType::Utf8View => Arc::new(StringViewArray::from_iter(options(rng))),
        DataType::Binary => Arc::new(BinaryArray::from_iter(options(rng))),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(options(rng))),
        DataType::BinaryView => Arc::new(BinaryViewArray::from_iter(
            options(rng).into_iter().map(|text| text.map(String::into_bytes)),
        )),
        DataType::FixedSizeBinary(size) => {
            let bytes: Vec<u8> = (0..rows * *size as usize).map(|_| rng.u8(..)).collect();
            let (nulls, bytes) = (nulls(rng, rows), Buffer::from_vec(bytes));
            let data = ArrayData::builder(kind.clone()).len(rows).add_buffer(bytes).nulls(nulls);
            make_array(data.build().unwrap())
        }
        DataType::List(field) => {
            let lengths = lengths(rng);
            let values = array(rng, field.data_type(), lengths.iter().sum());
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(Arc::clone(field), offsets, values, nulls(rng, rows)))
        }
        DataType::LargeList(field) => {
            let lengths = lengths(rng);
            let values = array(rng, field.data_type(), lengths.iter().sum());
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(LargeListArray::new(Arc::clone(field), offsets, values, nulls(rng, rows)))
        }
        DataType::ListView(field) => {
            let values = array(rng, field.data_type(), 20);
            let offsets: ScalarBuffer<i32> = (0..rows).map(|_| rng.i32(0..16)).collect();
            let sizes: ScalarBuffer<i32> = (0..rows).map(|_| rng.i32(0..5)).collect();
            Arc::new(ListViewArray::new(Arc::clone(field), offsets, sizes, values, nulls(rng, rows)))
        }
        DataType::LargeListView(field) => {
            let values = array(rng, field.data_type(), 20);
            let offsets: ScalarBuffer<i64> = (0..rows).map(|_| rng.i64(0..16)).collect();
            let sizes: ScalarBuffer<i64> = (0..rows).map(|_| rng.i64(0..5)).collect();
            Arc::new(LargeListViewArray::new(Arc::clone(field), offsets, sizes, values, nulls(rng, rows)))
        }
        DataType::FixedSizeList(field, size) => {
            let values = array(rng, field.data_type(), rows * *size as usize);
            let nulls = nulls(rng, rows);
            Arc::new(
                FixedSizeListArray::try_new_with_length(Arc::clone(field), *size, values, nulls, rows)
                    .unwrap(),
            )
        }
        DataType::Struct(fields) => {
            let columns: Vec<_> = fields.iter().map(|field| array(rng, field.data_type(), rows)).collect();
            let nulls = nulls(rng, rows);
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows).unwrap())
        }
        DataType::Map(field, ordered) => {
            let lengths = lengths(rng);
            let count = lengths.iter().sum();
            let DataType::Struct(fields) = field.data_type() else { unreachable!() };
            let keys = StringArray::from_iter_values((0..count).map(|n| format!("key {n}")));
            let values = array(rng, fields[1].data_type(), count);
            let entries = StructArray::new(fields.clone(), vec![Arc::new(keys), values], None);
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(MapArray::new(Arc::clone(field), offsets, entries, nulls(rng, rows), *ordered))
        }
        DataType::Union(fields, mode) => {
            let known: Vec<i8> = fields.iter().map(|(id, _)| id).collect();
            let ids: ScalarBuffer<i8> = (0..rows).map(|_| known[rng.usize(..known.len())]).collect();
            let dense = *mode == UnionMode::Dense;
            let offsets: Option<ScalarBuffer<i32>> = dense.then(|| (0..rows as i32).collect());
            let children = fields.iter().map(|(_, field)| array(rng, field.data_type(), rows)).collect();
            Arc::new(UnionArray::try_new(fields.clone(), ids, offsets, children).unwrap())
        }
        DataType::Dictionary(keys, values) => {
            let count = 1 + rng.usize(..20);
            let values = array(rng, values, count);
            let (picks, valid) =
                ((0..rows).map(|_| rng.u8(..count as u8)).collect::<Vec<_>>(), nulls(rng, rows));
            macro_rules! dictionary {
                ($key:ty, $native:ty) => {{
                    let picks: ScalarBuffer<$native> =
                        picks.iter().map(|&pick| <$native>::try_from(pick).unwrap()).collect();
                    Arc::new(DictionaryArray::<$key>::new(PrimitiveArray::new(picks, valid), values))
                }};
            }
            match **keys {
                DataType::Int8 => dictionary!(Int8Type, i8),
                DataType::Int16 => dictionary!(Int16Type, i16),
                _ => dictionary!(Int32Type, i32),
            }
        }
        DataType::RunEndEncoded(ends, field) => {
            let mut at = 0;
            let mut run_ends = Vec::new();
            while at < rows {
                at = (at + 1 + rng.usize(..5)).min(rows);
                run_ends.push(at);
            }
            let values = array(rng, field.data_type(), run_ends.len());
            let ends_data: ArrayRef = match ends.data_type() {
                DataType::Int16 => {
                    Arc::new(Int16Array::from_iter_values(run_ends.iter().map(|&end| end as i16)))
                }
                DataType::Int32 => {
                    Arc::new(Int32Array::from_iter_values(run_ends.iter().map(|&end| end as i32)))
                }
                _ => Arc::new(Int64Array::from_iter_values(run_ends.iter().map(|&end| end as i64))),
            };
            let data = ArrayData::builder(kind.clone())
                .len(rows)
                .add_child_data(ends_data.into_data())
                .add_child_data(values.into_data());
            make_array(data.build().unwrap())
        }
        primitive => {
            let width = primitive.primitive_width().unwrap();
            let bytes: Vec<u8> = (0..rows * width).map(|_| rng.u8(..)).collect();
            let nulls = nulls(rng, rows);
            let data = ArrayData::builder(kind.clone())
                .len(rows)
                .add_buffer(Buffer::from_slice_ref(bytes))
                .nulls(nulls);
            make_array(data.build().unwrap())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_put_is_what_is_read(
        kinds in prop::collection::vec(kind(), 0..5),
        rows in 1_usize..50,
        max_rows in select(vec![0_usize, 1, 7, 1000]),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::with_seed(seed);
        let fields: Vec<_> =
            kinds.iter().enumerate().map(|(index, kind)| Field::new(format!("c{index}"), kind.clone(), true)).collect();
        let columns: Vec<_> = kinds.iter().map(|kind| array(&mut rng, kind, rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).unwrap();

        let disk = Disk::new();
        let open = || Store::options().storage(&disk).maintenance(Maintenance::Manual).open("data").unwrap();
        let store = open();
        let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
        let put = match columns.put_batches("key", [&batch], max_rows) {
            Err(PutBatchError::Schema(SchemaError::Unsupported { reason })) => {
                prop_assert!(reason.contains("runs of views"), "{}", reason);
                prop_assert!(reason.contains("RunEndEncoded") && reason.contains("View"), "{}", reason);
                return Ok(());
            }
            put => put.unwrap(),
        };
        let shard_id = put.shard_id.unwrap();
        let at_once = if max_rows == 0 { rows } else { max_rows.min(rows) };
        let read = |columns: &riverbed::columns::Columns, options: BatchReaderOptions, expected: &RecordBatch| {
            let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
            let mut row = 0;
            while let Some(stored) = reader.next().unwrap() {
                let count = stored.rows().num_rows();
                assert_eq!(count, at_once.min(rows - row));
                assert_eq!(stored.rows(), &expected.slice(row, count));
                row += count;
            }
            assert_eq!(row, rows);
        };
        read(&columns, BatchReaderOptions::new(), &batch);
        store.close().unwrap();
        drop((columns, store));
        // From another mapping, where everything is validated first.
        let store = open();
        let columns = store.open_stream("rows").unwrap().columns();
        read(&columns, BatchReaderOptions::new(), &batch);
        read(&columns, BatchReaderOptions::new().read(ReaderOptions::new().verify(false)), &batch);
        if !kinds.is_empty() {
            let picked = vec![kinds.len() - 1, 0];
            let names: Vec<_> = picked.iter().map(|index| format!("c{index}")).collect();
            if picked[0] != 0 {
                read(&columns, BatchReaderOptions::new().columns(names), &batch.project(&picked).unwrap());
            }
        }

        let mut bytes = Vec::new();
        columns.reader(shard_id, Position::TrimHorizon).unwrap().write_ipc(&mut bytes, IpcOptions::new()).unwrap();
        let mut row = 0;
        for exported in StreamReader::try_new(&*bytes, None).unwrap() {
            let exported = exported.unwrap();
            prop_assert_eq!(&exported, &batch.slice(row, exported.num_rows()));
            row += exported.num_rows();
        }
        prop_assert_eq!(row, rows);
        let again = store.create_stream("again", StreamOptions::new()).unwrap().columns();
        again.put_ipc("key", &*bytes).unwrap();
        read(&again, BatchReaderOptions::new(), &batch);
    }
}
