//! Guards against values that change between CSV, JSON lines or Parquet and a stream, against rows that get lost where input
//! or output breaks, and against input that makes readers of other formats panic.
#![cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    dead_code,
    unused_imports,
    reason = "a test fails by panicking; what is needed depends on the features"
)]

use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampSecondType};
use arrow_array::{Array, Int64Array, RecordBatch, StringArray, record_batch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use riverbed::columns::{BatchReader, BatchReaderOptions, Columns, Evolution, PutRowsError, WriteRowsError};
use riverbed::testing::Disk;
use riverbed::{Maintenance, Position, Store, StreamOptions};

#[path = "columns/arrays.rs"]
mod arrays;

use arrays::{batch_of, batch_of_every_type, every_type};

/// A new stream, in memory.
fn columns() -> Columns {
    let store = Store::options().storage(&Disk::new()).maintenance(Maintenance::Manual).open("data").unwrap();
    store.create_stream("rows", StreamOptions::new()).unwrap().columns()
}

fn reader(columns: &Columns, options: BatchReaderOptions) -> BatchReader {
    let shard_id = columns.stream().shards()[0].id;
    columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap()
}

/// What was put, in its batches.
fn batches(columns: &Columns) -> Vec<RecordBatch> {
    let mut reader = reader(columns, BatchReaderOptions::new());
    std::iter::from_fn(|| reader.next().unwrap()).map(|batch| batch.into_rows()).collect()
}

/// What was put, in one batch.
fn rows(columns: &Columns) -> RecordBatch {
    let mut batches = batches(columns);
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

/// Real data, from the folder that `RIVERBED_DATA` names or else `../shared/data`; `None`, said by name, where it is not.
fn real_data(test: &str, name: &str) -> Option<Vec<u8>> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("RIVERBED_DATA").map_or_else(fallback, PathBuf::from).join(name);
    let data = std::fs::read(&path).ok();
    if data.is_none() {
        let line =
            format!("SKIPPED {test}: there is no {}; name its folder in RIVERBED_DATA\n", path.display());
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    data
}

/// Gives some bytes, then breaks; takes some bytes, then breaks.
struct Breaking {
    bytes: Cursor<Vec<u8>>,
    room: usize,
}

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buffer)? {
            0 => Err(io::Error::other("the cable was cut")),
            count => Ok(count),
        }
    }
}

impl Write for Breaking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::Error::other("the disk is full"));
        }
        let count = bytes.len().min(self.room);
        self.room -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn breaking(bytes: impl Into<Vec<u8>>) -> Breaking {
    Breaking { bytes: Cursor::new(bytes.into()), room: 20 }
}

#[cfg(feature = "csv")]
mod csv {
    use riverbed::columns::{PutCsvOptions, WriteCsvOptions};

    use super::*;

    fn put(columns: &Columns, text: &str) -> RecordBatch {
        columns.put_csv("key", text.as_bytes(), &PutCsvOptions::new()).unwrap();
        rows(columns)
    }

    fn write(columns: &Columns, options: &WriteCsvOptions) -> String {
        let mut out = Vec::new();
        let written = reader(columns, BatchReaderOptions::new()).write_csv(&mut out, options).unwrap();
        assert_eq!(written.bytes, out.len() as u64);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn taxi_rides_go_in_as_typed_columns_in_one_call_and_come_out_as_they_were() {
        let Some(text) = real_data("taxi_rides_go_in_as_typed_columns", "taxi_2019-01.csv") else {
            return;
        };
        let columns = columns().max_rows_per_record(100_000);
        let put = columns.put_csv("taxis", &text[..], &PutCsvOptions::new()).unwrap();
        assert_eq!(put.rows, 10_000);
        let rides = rows(&columns);
        let kinds: Vec<_> = rides.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        let (int, float, time) =
            (DataType::Int64, DataType::Float64, DataType::Timestamp(TimeUnit::Second, None));
        let mut expected =
            vec![int.clone(), time.clone(), time, int.clone(), float.clone(), int.clone(), DataType::Utf8];
        expected.extend([int.clone(), int.clone(), int]);
        expected.extend(vec![float; 8]);
        assert_eq!(kinds, expected);
        assert_eq!(rides.column(1).as_primitive::<TimestampSecondType>().value(0), 1_547_523_372);
        assert_eq!(rides.column(4).as_primitive::<Float64Type>().value(1), 0.8);
        let surcharges = rides.column(17).as_primitive::<Float64Type>();
        assert!(surcharges.is_null(0) && surcharges.value(1) == 0.0, "an empty cell is a null and no zero");

        let seconds = WriteCsvOptions::new().timestamp_format("%Y-%m-%d %H:%M:%S");
        let written = write(&columns, &seconds);
        assert_eq!(written.lines().count(), 10_001);
        for (written, read) in written.lines().zip(str::from_utf8(&text).unwrap().lines()) {
            assert_eq!(written, read);
        }
        let again = super::columns();
        let pieces = again.clone().max_rows_per_record(999);
        let text = write(&columns, &WriteCsvOptions::new());
        let put = pieces.put_csv("key", text.as_bytes(), &PutCsvOptions::new().infer_rows(5_000)).unwrap();
        assert_eq!((put.rows, put.records), (10_000, 11));
        let mut row = 0;
        for batch in batches(&again) {
            assert_eq!(batch, rides.slice(row, batch.num_rows()));
            row += batch.num_rows();
        }
        assert_eq!(row, 10_000);
    }

    #[test]
    fn types_are_found_and_empty_fields_are_nulls() {
        let text = "b,i,f,d,s,ms,t,n\ntrue,1,1,2020-02-29,2020-01-01T00:00:00,2020-01-01T00:00:00.5,\"a,\"\"b\"\"\n\",\n,,,,,,,\nfalse,-2,2.5e3,1969-12-31,1969-12-31 23:59:59,2020-01-01 00:00:00,3,\n";
        let columns = columns();
        let found = put(&columns, text);
        let kinds: Vec<_> = found.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        let time = |unit| DataType::Timestamp(unit, None);
        let expected = [
            DataType::Boolean,
            DataType::Int64,
            DataType::Float64,
            DataType::Date32,
            time(TimeUnit::Second),
            time(TimeUnit::Millisecond),
            DataType::Utf8,
            DataType::Null,
        ];
        assert_eq!(kinds, expected);
        assert!((0..8).all(|column| found.column(column).logical_nulls().unwrap().is_null(1)));
        assert_eq!(found.column(6).as_string::<i32>().value(0), "a,\"b\"\n");
        let again = super::columns();
        assert_eq!(put(&again, &write(&columns, &WriteCsvOptions::new())), found);
    }

    #[test]
    fn a_schema_a_delimiter_and_no_header_can_be_said() {
        let columns = columns();
        let schema = Arc::new(Schema::new(vec![
            Field::new("code", DataType::Utf8, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Vienna".into())), true),
        ]));
        let options = PutCsvOptions::new().header(false).delimiter(b';').schema(Arc::clone(&schema));
        columns.put_csv("key", &b"007;2020-07-01T12:00:00+02:00\n"[..], &options).unwrap();
        let found = rows(&columns);
        assert_eq!(found.schema(), schema);
        assert_eq!(found.column(0).as_string::<i32>().value(0), "007");
        let text = write(&columns, &WriteCsvOptions::new().header(false).delimiter(b';'));
        assert_eq!(text, "007;2020-07-01T12:00:00+02:00\n");
        let numbered = write(&columns, &WriteCsvOptions::new().sequence_numbers(true));
        assert!(
            numbered.starts_with("code,at,seq_number,stream_time\n007,2020-07-01T12:00:00+02:00,0,"),
            "{numbered}"
        );

        let named = PutCsvOptions::new().schema(schema);
        let other = columns.put_csv("key", &b"code,when\n1,2020-07-01T12:00:00Z\n"[..], &named).unwrap_err();
        assert!(
            matches!(&other, PutRowsError::Malformed { reason, .. } if reason.contains("when")),
            "{other}"
        );
        let plain = PutCsvOptions::new().header(false);
        let other = super::columns();
        other.put_csv("key", &b"1,x\n"[..], &plain).unwrap();
        assert_eq!(rows(&other).schema().field(1).name(), "column_2");
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_line_and_what_was_put_before() {
        let columns = columns().max_rows_per_record(2);
        let text = "n\n1\n2\n3\nx\n5\n";
        let error = columns.put_csv("key", text.as_bytes(), &PutCsvOptions::new().infer_rows(3)).unwrap_err();
        assert_eq!(error.put().rows, 2);
        assert!(
            matches!(&error, PutRowsError::Malformed { reason, .. } if reason.contains("line 4")),
            "{error}"
        );
        let ragged = columns.put_csv("key", &b"a,b\n1,2\n3\n"[..], &PutCsvOptions::new()).unwrap_err();
        assert!(matches!(&ragged, PutRowsError::Malformed { .. }), "{ragged}");
        let other = columns.put_csv("key", &b"n\ntext\n"[..], &PutCsvOptions::new()).unwrap_err();
        assert!(matches!(&other, PutRowsError::Put(_)), "{other}");
        for options in [PutCsvOptions::new(), PutCsvOptions::new().infer_rows(1)] {
            let broken = columns.put_csv("key", breaking("n\n1\n2\n3\n"), &options).unwrap_err();
            assert!(matches!(&broken, PutRowsError::Read { .. }), "{broken}");
            assert!(broken.to_string().contains("the cable was cut"), "{broken}");
        }
        assert_eq!(columns.put_csv("key", &b""[..], &PutCsvOptions::new()).unwrap().rows, 0);
        assert_eq!(columns.put_csv("key", &b"n\n"[..], &PutCsvOptions::new()).unwrap().rows, 0);
        let not_text = columns.put_csv("key", &b"n\n\xff\xfe\n"[..], &PutCsvOptions::new()).unwrap_err();
        assert!(matches!(&not_text, PutRowsError::Malformed { .. }), "{not_text}");
    }

    #[test]
    fn a_limit_of_rows_asks_for_no_memory() {
        let text = "n\n1\n2\n3\n";
        let columns = columns().max_rows_per_record(usize::MAX);
        let put = columns.put_csv("key", text.as_bytes(), &PutCsvOptions::new()).unwrap();
        assert_eq!((put.rows, put.records), (3, 1));
        // And columns take none for rows that are not there.
        let schema = (0..400_000).map(|column| Field::new(column.to_string(), DataType::Null, true));
        let options =
            PutCsvOptions::new().header(false).schema(Arc::new(Schema::new(schema.collect::<Vec<_>>())));
        let wide = super::columns();
        let put = wide.put_csv("key", (",".repeat(399_999) + "\n").repeat(5).as_bytes(), &options).unwrap();
        assert_eq!((put.rows, put.records), (5, 3));
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let columns = columns();
        let out = |columns: &Columns, options: BatchReaderOptions| {
            reader(columns, options).write_csv(Vec::new(), &WriteCsvOptions::new())
        };
        assert_eq!(write(&columns, &WriteCsvOptions::new()), "");
        columns.put_batch("key", &record_batch!(("n", Int64, [1, 2, 3])).unwrap()).unwrap();
        let full =
            reader(&columns, BatchReaderOptions::new()).write_csv(breaking(""), &WriteCsvOptions::new());
        assert_eq!(full.unwrap().rows, 3);
        columns
            .put_batch("key", &record_batch!(("n", Int64, (100..200).collect::<Vec<i64>>())).unwrap())
            .unwrap();
        let full =
            reader(&columns, BatchReaderOptions::new()).write_csv(breaking(""), &WriteCsvOptions::new());
        assert!(
            matches!(&full, Err(WriteRowsError::Write(error)) if error.to_string().contains("the disk is full")),
            "{full:?}"
        );

        let any = columns.clone().evolution(Evolution::Any);
        let lists = batch_of(every_type(3, true).into_iter().filter(|(name, _)| name == "list").collect());
        any.put_batch("key", &lists).unwrap();
        let changed = out(&columns, BatchReaderOptions::new()).unwrap_err();
        assert!(matches!(changed, WriteRowsError::SchemaChanged { .. }), "{changed}");
        let lists_only = super::columns();
        lists_only.put_batch("key", &lists).unwrap();
        let nested = out(&lists_only, BatchReaderOptions::new()).unwrap_err();
        assert!(matches!(nested, WriteRowsError::Encode { .. }), "{nested}");
        let taken = super::columns();
        taken.put_batch("key", &record_batch!(("seq_number", Int64, [1])).unwrap()).unwrap();
        let numbered = WriteCsvOptions::new().sequence_numbers(true);
        let taken = reader(&taken, BatchReaderOptions::new()).write_csv(Vec::new(), &numbered).unwrap_err();
        assert!(matches!(taken, WriteRowsError::ColumnExists { name: "seq_number" }), "{taken}");
    }
}

#[cfg(feature = "json")]
mod json {
    use riverbed::columns::{PutJsonOptions, WriteJsonOptions};

    use super::*;

    fn write(columns: &Columns, options: &WriteJsonOptions) -> String {
        let mut out = Vec::new();
        let written = reader(columns, BatchReaderOptions::new()).write_json_lines(&mut out, options).unwrap();
        assert_eq!(written.bytes, out.len() as u64);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn objects_go_in_as_typed_columns_and_come_out_as_they_were() {
        let text = concat!(
            r#"{"a":9007199254740993,"b":true,"f":0.1,"l":[1,2],"o":{"x":"y"},"s":"\u00e9\n"}"#,
            "\n",
            r#"{"b":false,"f":2.5}"#,
            "\n"
        );
        let columns = columns();
        let put = columns.put_json_lines("key", text.as_bytes(), &PutJsonOptions::new()).unwrap();
        assert_eq!(put.rows, 2);
        let found = rows(&columns);
        assert_eq!(found.column(0).as_primitive::<Int64Type>().value(0), 9_007_199_254_740_993);
        assert_eq!(found.column_by_name("s").unwrap().as_string::<i32>().value(0), "é\n");
        assert!(found.column(0).is_null(1));
        let values = |text: &str| -> Vec<serde_json::Value> {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(values(&write(&columns, &WriteJsonOptions::new())), values(text));
        let nulls = write(&columns, &WriteJsonOptions::new().explicit_nulls(true));
        assert!(nulls.lines().nth(1).unwrap().contains(r#""a":null"#), "{nulls}");
        let again = super::columns();
        // A limit of rows asks for no memory.
        let again_pieces = again.clone().max_rows_per_record(usize::MAX);
        again_pieces.put_json_lines("key", nulls.as_bytes(), &PutJsonOptions::new().infer_rows(1)).unwrap();
        assert_eq!(rows(&again), found);
    }

    #[test]
    fn a_schema_makes_times_of_texts_and_refuses_what_it_does_not_have() {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let schema = Arc::new(Schema::new(vec![
            Field::new("at", time, true),
            Field::new("u", DataType::UInt64, true),
        ]));
        let columns = columns();
        let options = PutJsonOptions::new().schema(Arc::clone(&schema));
        let text = "{\"at\":\"2020-01-01T00:00:00.250Z\",\"u\":18446744073709551615}\n";
        columns.put_json_lines("key", text.as_bytes(), &options).unwrap();
        assert_eq!(rows(&columns).schema(), schema);
        let written = write(&columns, &WriteJsonOptions::new());
        assert_eq!(written, text);
        let unknown = columns.put_json_lines("key", &b"{\"other\":1}"[..], &options).unwrap_err();
        assert!(
            matches!(&unknown, PutRowsError::Malformed { reason, .. } if reason.contains("other")),
            "{unknown}"
        );
        for bad in ["{\"u\":-1}", "{\"u\":", "nonsense", "[1]", "{\"u\":\"x\"}"] {
            let error = columns.put_json_lines("key", bad.as_bytes(), &options).unwrap_err();
            assert!(matches!(error, PutRowsError::Malformed { .. }), "{bad}: {error}");
        }
        for bad in ["{\"u\":", "nonsense", "7"] {
            let error = columns.put_json_lines("key", bad.as_bytes(), &PutJsonOptions::new()).unwrap_err();
            assert!(matches!(error, PutRowsError::Malformed { .. }), "{bad}: {error}");
        }
        for options in [options, PutJsonOptions::new()] {
            let broken = columns.put_json_lines("key", breaking(text), &options).unwrap_err();
            assert!(matches!(broken, PutRowsError::Read { .. }), "{broken}");
        }
        let full = reader(&columns, BatchReaderOptions::new())
            .write_json_lines(breaking(""), &WriteJsonOptions::new());
        assert!(matches!(full, Err(WriteRowsError::Write(_))), "{full:?}");
    }
}

#[cfg(feature = "parquet")]
mod parquet {
    use bytes::Bytes;
    use riverbed::columns::WriteParquetOptions;

    use super::*;

    fn write(columns: &Columns, options: &WriteParquetOptions) -> Bytes {
        let mut out = Vec::new();
        let written = reader(columns, BatchReaderOptions::new()).write_parquet(&mut out, options).unwrap();
        assert_eq!(written.bytes, out.len() as u64);
        out.into()
    }

    /// What Parquet has a form for.
    fn columns_for_parquet() -> RecordBatch {
        let without = ["union", "duration", "run end", "interval nanos", "list view", "months", "days"];
        batch_of(
            every_type(100, true)
                .into_iter()
                .filter(|(name, _)| !without.iter().any(|part| name.contains(part)))
                .collect(),
        )
    }

    #[test]
    fn every_type_that_parquet_has_comes_back_as_it_was() {
        let batch = columns_for_parquet();
        assert!(batch.num_columns() >= 35, "{}", batch.num_columns());
        let columns = columns();
        columns.put_batch("key", &batch).unwrap();
        let file = write(&columns, &WriteParquetOptions::new());
        let again = super::columns();
        let put = again.clone().max_rows_per_record(30).put_parquet("key", file).unwrap();
        assert_eq!((put.rows, put.records), (100, 4));
        let mut row = 0;
        for back in batches(&again) {
            let part = batch.slice(row, back.num_rows());
            for (column, field) in part.schema().fields().iter().enumerate() {
                let (name, back, put) = (field.name(), back.column(column), part.column(column));
                assert_eq!(back.data_type(), field.data_type(), "{name}");
                match name.as_str() {
                    // The same values; Parquet makes dictionaries of its own.
                    "dictionary" => assert_eq!(texts(back), texts(put)),
                    "list of dictionary" => {
                        let lists = |lists: &dyn Array| -> Vec<_> {
                            lists.as_list::<i32>().iter().map(|list| list.map(|list| texts(&list))).collect()
                        };
                        assert_eq!(lists(back), lists(put));
                    }
                    _ => assert_eq!(back, put, "{name}"),
                }
            }
            row += back.num_rows();
        }
        assert_eq!(row, 100);
    }

    /// The values of an array of dictionaries.
    fn texts(array: &dyn Array) -> Vec<Option<String>> {
        let dictionary = array.as_any_dictionary();
        let values = dictionary.values().as_string::<i32>();
        let picks = dictionary.normalized_keys();
        picks
            .iter()
            .enumerate()
            .map(|(row, &pick)| array.is_valid(row).then(|| values.value(pick).to_owned()))
            .collect()
    }

    #[test]
    fn what_parquet_has_no_form_for_is_told() {
        let columns = columns();
        let unions =
            batch_of(every_type(3, true).into_iter().filter(|(name, _)| name == "sparse union").collect());
        columns.put_batch("key", &unions).unwrap();
        let error = reader(&columns, BatchReaderOptions::new())
            .write_parquet(Vec::new(), &WriteParquetOptions::new())
            .unwrap_err();
        assert!(matches!(error, WriteRowsError::Encode { .. }), "{error}");
        let plain = super::columns();
        plain.put_batch("key", &record_batch!(("n", Int64, [1])).unwrap()).unwrap();
        let full = reader(&plain, BatchReaderOptions::new())
            .write_parquet(breaking(""), &WriteParquetOptions::new());
        assert!(matches!(full, Err(WriteRowsError::Write(_))), "{full:?}");
        let numbered = write(&plain, &WriteParquetOptions::new().sequence_numbers(true));
        let again = super::columns();
        again.put_parquet("key", numbered).unwrap();
        assert_eq!(rows(&again).num_columns(), 3);
    }

    #[test]
    fn what_is_cut_off_or_flipped_never_panics() {
        let columns = columns();
        columns.put_batch("key", &columns_for_parquet()).unwrap();
        let file = write(&columns, &WriteParquetOptions::new());
        let other = super::columns().evolution(Evolution::Any);
        for cut in (0..file.len()).step_by(file.len() / 50) {
            let error = other.put_parquet("key", file.slice(..cut)).unwrap_err();
            assert!(matches!(error, PutRowsError::Malformed { .. }), "{cut}: {error}");
        }
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut flipped = file.to_vec();
            let at = rng.usize(..flipped.len());
            flipped[at] ^= 1 << rng.u8(..8);
            match other.put_parquet("key", Bytes::from(flipped)) {
                Ok(_) | Err(PutRowsError::Malformed { .. } | PutRowsError::Put(_)) => {}
                Err(error) => panic!("at {at}: {error}"),
            }
        }
    }
}
