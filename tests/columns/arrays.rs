//! Arrays of every type, for the other tests.

use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeBinaryBuilder, FixedSizeListBuilder, Int32Builder, Int64Builder, LargeListBuilder,
    LargeListViewBuilder, ListBuilder, ListViewBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder,
    StringRunBuilder,
};
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, Schema, UnionFields};

/// One array of `rows` rows for each type, every third row null where `nullable`.
pub(crate) fn every_type(rows: usize, nullable: bool) -> Vec<(String, ArrayRef)> {
    let mut all: Vec<(String, ArrayRef)> = Vec::new();
    let set = |row: usize| !nullable || row % 3 != 1;
    macro_rules! primitive {
        ($($name:literal: $type:ty = |$row:ident| $value:expr;)*) => {
            $(
                let array: PrimitiveArray<$type> =
                    (0..rows).map(|$row| set($row).then_some($value)).collect();
                all.push(($name.into(), Arc::new(array)));
            )*
        };
    }
    primitive! {
        "int8": Int8Type = |row| row as i8;
        "int16": Int16Type = |row| row as i16 * -3;
        "int32": Int32Type = |row| row as i32 * 1_000_003;
        "int64": Int64Type = |row| i64::MAX - row as i64;
        "uint8": UInt8Type = |row| row as u8;
        "uint16": UInt16Type = |row| row as u16;
        "uint32": UInt32Type = |row| u32::MAX - row as u32;
        "uint64": UInt64Type = |row| u64::MAX - row as u64;
        "float16": Float16Type = |row| <Float16Type as ArrowPrimitiveType>::Native::from_f32(row as f32 / 4.0);
        "float32": Float32Type = |row| row as f32 / 3.0;
        "float64": Float64Type = |row| row as f64 / 7.0;
        "date32": Date32Type = |row| row as i32;
        "date64": Date64Type = |row| row as i64 * 86_400_000;
        "time32 s": Time32SecondType = |row| row as i32;
        "time32 ms": Time32MillisecondType = |row| row as i32;
        "time64 us": Time64MicrosecondType = |row| row as i64;
        "time64 ns": Time64NanosecondType = |row| row as i64;
        "timestamp s": TimestampSecondType = |row| row as i64;
        "timestamp ms": TimestampMillisecondType = |row| row as i64;
        "timestamp us": TimestampMicrosecondType = |row| row as i64;
        "timestamp ns": TimestampNanosecondType = |row| row as i64;
        "duration s": DurationSecondType = |row| row as i64;
        "duration ns": DurationNanosecondType = |row| row as i64;
        "interval months": IntervalYearMonthType = |row| row as i32;
        "interval days": IntervalDayTimeType = |row| IntervalDayTime::new(row as i32, 5);
        "interval nanos": IntervalMonthDayNanoType = |row| IntervalMonthDayNano::new(1, row as i32, 9);
        "decimal32": Decimal32Type = |row| row as i32;
        "decimal64": Decimal64Type = |row| row as i64;
        "decimal128": Decimal128Type = |row| row as i128 * -12_345;
        "decimal256": Decimal256Type = |row| i256::from(row as i128);
    }
    let zoned: TimestampMicrosecondArray = (0..rows).map(|row| set(row).then_some(row as i64)).collect();
    all.push(("timestamp with zone".into(), Arc::new(zoned.with_timezone("Europe/Vienna"))));
    let text = |row: usize| format!("row {row} {}", "long enough to be out of a view ".repeat(row % 3));
    let texts: Vec<Option<String>> = (0..rows).map(|row| set(row).then(|| text(row))).collect();
    let strs: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    let bytes: Vec<Option<&[u8]>> = strs.iter().map(|text| text.map(str::as_bytes)).collect();
    all.push((
        "boolean".into(),
        Arc::new((0..rows).map(|row| set(row).then_some(row % 2 == 0)).collect::<BooleanArray>()),
    ));
    all.push(("utf8".into(), Arc::new(StringArray::from(strs.clone()))));
    all.push(("large utf8".into(), Arc::new(LargeStringArray::from(strs.clone()))));
    all.push(("utf8 view".into(), Arc::new(StringViewArray::from_iter(strs.iter().copied()))));
    all.push(("binary".into(), Arc::new(BinaryArray::from(bytes.clone()))));
    all.push(("large binary".into(), Arc::new(LargeBinaryArray::from(bytes.clone()))));
    all.push(("binary view".into(), Arc::new(BinaryViewArray::from_iter(bytes.iter().copied()))));
    let mut fixed = FixedSizeBinaryBuilder::new(5);
    let mut list = ListBuilder::new(Int32Builder::new());
    let mut large_list = LargeListBuilder::new(StringBuilder::new());
    let mut list_view = ListViewBuilder::new(Int64Builder::new());
    let mut large_list_view = LargeListViewBuilder::new(Int64Builder::new());
    let mut fixed_list = FixedSizeListBuilder::new(Int32Builder::new(), 2);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    let mut dictionary = StringDictionaryBuilder::<Int16Type>::new();
    let mut list_of_dictionary = ListBuilder::new(StringDictionaryBuilder::<Int32Type>::new());
    let mut runs = StringRunBuilder::<Int32Type>::new();
    for row in 0..rows {
        match set(row) {
            true => fixed.append_value([row as u8; 5]).unwrap(),
            false => fixed.append_null(),
        }
        for n in 0..row % 4 {
            list.values().append_value((row + n) as i32);
            large_list.values().append_value(text(n));
            list_view.values().append_option((n != 1).then_some(row as i64));
            large_list_view.values().append_option((n != 2).then_some(row as i64));
            list_of_dictionary.values().append_value(format!("value {}", (row + n) % 5));
        }
        list.append(set(row));
        large_list.append(set(row));
        list_view.append(set(row));
        large_list_view.append(set(row));
        list_of_dictionary.append(set(row));
        fixed_list.values().append_value(row as i32);
        fixed_list.values().append_null();
        fixed_list.append(set(row));
        if set(row) {
            map.keys().append_value(format!("key {row}"));
            map.values().append_value(row as i32);
        }
        map.append(set(row)).unwrap();
        match set(row) {
            true => drop(dictionary.append(format!("value {}", row % 7)).unwrap()),
            false => dictionary.append_null(),
        }
        runs.append_option(set(row / 5).then(|| format!("run {}", row / 5)));
    }
    all.push(("fixed size binary".into(), Arc::new(fixed.finish())));
    all.push(("list".into(), Arc::new(list.finish())));
    all.push(("large list".into(), Arc::new(large_list.finish())));
    all.push(("list view".into(), Arc::new(list_view.finish())));
    all.push(("large list view".into(), Arc::new(large_list_view.finish())));
    all.push(("fixed size list".into(), Arc::new(fixed_list.finish())));
    all.push(("map".into(), Arc::new(map.finish())));
    all.push(("dictionary".into(), Arc::new(dictionary.finish())));
    all.push(("list of dictionary".into(), Arc::new(list_of_dictionary.finish())));
    all.push(("run end encoded".into(), Arc::new(runs.finish())));
    let inner = StructArray::from(vec![
        (
            Arc::new(Field::new("number", DataType::Int64, true)),
            Arc::new((0..rows).map(|row| set(row).then_some(row as i64)).collect::<Int64Array>()) as ArrayRef,
        ),
        (
            Arc::new(Field::new("text", DataType::Utf8, true)),
            Arc::new(StringArray::from(strs.clone())) as ArrayRef,
        ),
    ]);
    all.push(("struct".into(), Arc::new(inner)));
    all.push(("sparse union".into(), union(rows, false)));
    all.push(("dense union".into(), union(rows, true)));
    all.push(("null".into(), Arc::new(NullArray::new(rows))));
    all
}

fn union(rows: usize, dense: bool) -> ArrayRef {
    let fields = UnionFields::try_new(
        [3, 7],
        [Field::new("number", DataType::Int32, true), Field::new("text", DataType::Utf8, true)],
    )
    .unwrap();
    let numbers: Int32Array = (0..rows as i32).collect();
    let texts = StringArray::from_iter_values((0..rows).map(|row| format!("union {row}")));
    let types: ScalarBuffer<i8> = (0..rows).map(|row| if row % 2 == 0 { 3 } else { 7 }).collect();
    let offsets: Option<ScalarBuffer<i32>> = dense.then(|| (0..rows as i32).collect());
    Arc::new(UnionArray::try_new(fields, types, offsets, vec![Arc::new(numbers), Arc::new(texts)]).unwrap())
}

/// A batch of one column of each type.
pub(crate) fn batch_of_every_type(rows: usize, nullable: bool) -> RecordBatch {
    batch_of(every_type(rows, nullable))
}

/// A batch of these columns, each of which may be null.
pub(crate) fn batch_of(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect())
        .unwrap()
}

/// A batch of a number, a text that may be null and a boolean that may be null, as in pyarrow's documentation.
pub(crate) fn plain_batch(first: i64, rows: usize) -> RecordBatch {
    let numbers: Int64Array = (first..first + rows as i64).collect();
    let texts: StringArray =
        (0..rows).map(|row| (row % 4 != 3).then(|| format!("text {}", first + row as i64))).collect();
    let flags: BooleanArray = (0..rows).map(|row| (row % 3 != 1).then_some(row % 2 == 0)).collect();
    batch_of(vec![
        ("f0".into(), Arc::new(numbers)),
        ("f1".into(), Arc::new(texts)),
        ("f2".into(), Arc::new(flags)),
    ])
}
