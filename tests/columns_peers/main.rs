//! Guards against Arrow that only we can read: pyarrow, polars and duckdb read what we write, we read what they write, and
//! pyarrow reads the log itself in place. Needs python and the network once, for a virtual environment under the target
//! directory; without them it is skipped, and says so.
#![cfg(feature = "arrow-compression")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it has skipped"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int64Type};
use arrow_array::{Array, DictionaryArray, RecordBatch, StringArray};
use riverbed::columns::{BatchReaderOptions, Columns, IpcFormat, IpcOptions};
use riverbed::{Position, Store, StreamOptions};
use serde_json::{Value, json};

#[cfg(test)]
#[path = "../columns/arrays.rs"]
mod arrays;

use arrays::{batch_of, batch_of_every_type, plain_batch};

/// Python with the peers, in an environment that is made once.
fn python() -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    let python = directory.join("bin/python");
    let done = directory.join("installed");
    let run = |command: &mut Command| {
        let output = command.output().map_err(|error| error.to_string())?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(errors) }
    };
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        let packages = ["pyarrow", "polars", "duckdb"];
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(pip).args(packages))?;
        std::fs::write(done, "").map_err(|error| error.to_string())?;
    }
    Ok(python)
}

fn store(path: &Path) -> (Store, Columns) {
    let store = Store::open(path).unwrap();
    let columns = store.create_stream("rows", StreamOptions::new()).unwrap().columns();
    (store, columns)
}

fn write(columns: &Columns, path: &Path, options: IpcOptions) {
    let shard_id = columns.stream().shards()[0].id;
    let mut reader = columns.reader(shard_id, Position::TrimHorizon).unwrap();
    reader.write_ipc(File::create(path).unwrap(), options).unwrap();
}

/// The columns of all batches of a stream.
fn read(columns: &Columns) -> Vec<RecordBatch> {
    let shard_id = columns.stream().shards()[0].id;
    let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, BatchReaderOptions::new()).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).map(|batch| batch.into_rows()).collect()
}

/// Numbers, texts in whatever form, and booleans, as JSON.
fn rows(batches: &[RecordBatch]) -> Value {
    let mut rows = Vec::new();
    for batch in batches {
        let numbers = batch.column(0).as_primitive::<Int64Type>();
        let texts: Vec<Option<&str>> = match batch.column(1).data_type() {
            arrow_schema::DataType::Utf8View => batch.column(1).as_string_view().iter().collect(),
            arrow_schema::DataType::LargeUtf8 => batch.column(1).as_string::<i64>().iter().collect(),
            _ => batch.column(1).as_string::<i32>().iter().collect(),
        };
        let flags = batch.column(2).as_boolean();
        for ((number, text), flag) in numbers.iter().zip(texts).zip(flags) {
            rows.push(json!([number, text, flag]));
        }
    }
    Value::from(rows)
}

/// The columns of these types.
fn select(batch: &RecordBatch, wanted: impl Fn(&str) -> bool) -> RecordBatch {
    let schema = batch.schema();
    let columns = (0..batch.num_columns()).filter(|&column| wanted(schema.field(column).name()));
    batch.project(&columns.collect::<Vec<_>>()).unwrap()
}

#[test]
fn pyarrow_polars_and_duckdb_read_ours_and_we_read_theirs() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            println!("pyarrow_polars_and_duckdb_read_ours_and_we_read_theirs: skipped, no peers: {why}");
            return;
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let said = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(at(name)).unwrap()).unwrap() };

    let (_plain_store, plain) = store(&at("plain"));
    let batches = [plain_batch(0, 100), plain_batch(100, 7), plain_batch(107, 1000)];
    let first = plain.put_batches("key", &batches, 0).unwrap().sequence_numbers.unwrap().0;
    plain.stream().sync().unwrap();
    write(&plain, &at("plain.arrows"), IpcOptions::new());
    write(&plain, &at("plain.arrow"), IpcOptions::new().format(IpcFormat::File));
    write(&plain, &at("numbered.arrows"), IpcOptions::new().sequence_numbers(true));

    // Types that pyarrow cannot read (Decimal32 and 64 it can), with one dictionary for all batches of a file.
    let every = batch_of_every_type(50, true);
    let (_every_store, every_columns) = store(&at("every"));
    every_columns.put_batch("key", &every).unwrap();
    write(&every_columns, &at("every.arrows"), IpcOptions::new());
    write(&every_columns, &at("every.arrow"), IpcOptions::new().format(IpcFormat::File));
    let common = select(&every, |name| {
        let known =
            ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"];
        let more =
            ["utf8", "large utf8", "binary", "boolean", "date32", "timestamp us", "timestamp ns", "list"];
        known.contains(&name) || more.contains(&name)
    });
    assert_eq!(common.num_columns(), 18);
    let (_common_store, common_columns) = store(&at("common"));
    common_columns.put_batch("key", &common).unwrap();
    write(&common_columns, &at("common.arrow"), IpcOptions::new().format(IpcFormat::File));

    let (_dictionary_store, dictionaries) = store(&at("dictionary"));
    for values in [["a", "b"], ["a", "b"], ["c", "d"]] {
        let kinds = DictionaryArray::<Int16Type>::new(
            vec![1, 0].into(),
            Arc::new(StringArray::from(values.to_vec())),
        );
        dictionaries.put_batch("key", &batch_of(vec![("kind".into(), Arc::new(kinds))])).unwrap();
    }
    write(&dictionaries, &at("dictionary.arrows"), IpcOptions::new());

    // Without dictionaries, which pyarrow reads in streams and files alone, and intervals that it has no arrays for.
    let most = select(&every, |name| {
        !name.contains("dictionary") && !["interval months", "interval days"].contains(&name)
    });
    let (_most_store, most_columns) = store(&at("most"));
    for rows in [most.clone(), most.slice(7, 30)] {
        most_columns.put_batch("key", &rows).unwrap();
    }
    write(&most_columns, &at("most.arrows"), IpcOptions::new());
    #[cfg(all(feature = "csv", feature = "json", feature = "parquet"))]
    let _taxis = files::write(&at(""), &plain, &common_columns);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/columns_peers/peers.py");
    let output = Command::new(python).arg(script).arg(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let expected = rows(&batches);
    for reader in
        ["pyarrow_stream", "pyarrow_file", "polars_stream", "polars_file", "polars_mapped", "duckdb"]
    {
        assert_eq!(said(&format!("{reader}.json")), expected, "{reader}");
    }
    assert_eq!(said("pyarrow_batch.json"), rows(&batches[1..2]));
    assert_eq!(said("stream_allocated.json"), 0, "pyarrow reads a mapped export in place");
    let log = said("log.json");
    assert_eq!(log["plain"], json!({"batches": 3, "rows": 1107, "buffers": 18}));
    assert_eq!((&log["most"]["batches"], &log["most"]["rows"]), (&json!(2), &json!(80)));
    assert!(log["most"]["buffers"].as_u64().unwrap() > 150, "{log}");
    let numbers: Vec<_> = (0..1107).map(|row| first.counter() + row).collect();
    assert_eq!(said("numbers.json"), json!(numbers));
    assert_eq!(said("numbered.json"), json!(["int64", "string", "bool", "uint64", "timestamp[ns, tz=UTC]"]));
    let kinds = json!(["b", "a", "b", "a", "d", "c"]);
    assert_eq!((said("dictionary_pyarrow.json"), said("dictionary_polars.json")), (kinds.clone(), kinds));

    let put = |name: &str| {
        let stream = at(&format!("put_{name}"));
        let (_store, columns) = store(&stream);
        columns.put_ipc("key", File::open(at(name)).unwrap()).unwrap();
        read(&columns)
    };
    for name in ["back_every.arrows", "back_every.arrow"] {
        let back = put(name);
        assert_eq!(back.len(), 1, "{name}");
        for (column, field) in every.schema().fields().iter().enumerate() {
            assert_eq!(back[0].column(column), every.column(column), "{name}: {}", field.name());
        }
    }
    let seed = json!([[1, "foo", true], [2, "bar", null], [3, "baz", false], [4, null, true]]);
    let seeds = put("seed.arrows");
    assert_eq!(seeds.len(), 5);
    for name in ["seed.arrow", "seed_polars.arrows", "seed_polars.arrow", "seed_duckdb.arrows"] {
        assert_eq!(rows(&put(name)), seed, "{name}");
    }
    for batch in &seeds {
        assert_eq!(rows(std::slice::from_ref(batch)), seed);
    }
    for name in ["seed_lz4.arrows", "seed_zstd.arrows"] {
        let all = rows(&put(name));
        assert_eq!(
            (all.as_array().unwrap().len(), &all[4999]),
            (5000, &json!([4999, "text", null])),
            "{name}"
        );
    }
    let deltas: Vec<_> = put("deltas.arrows")
        .iter()
        .flat_map(|batch| {
            let kinds = batch.column(0).as_any_dictionary();
            let values = kinds.values().as_string::<i32>().clone();
            kinds.normalized_keys().into_iter().map(move |key| values.value(key).to_owned())
        })
        .collect();
    assert_eq!(deltas, ["a", "b", "c", "a"]);
    #[cfg(all(feature = "csv", feature = "json", feature = "parquet"))]
    files::read_theirs(&at(""), &expected);
    println!("read and written by {}; the log: {log}", said("versions.json"));
}

/// CSV, JSON lines and Parquet.
#[cfg(all(feature = "csv", feature = "json", feature = "parquet"))]
mod files {
    use riverbed::columns::{
        PutCsvOptions, PutJsonOptions, WriteCsvOptions, WriteJsonOptions, WriteParquetOptions,
    };

    use super::*;

    /// Writes what the peers shall read. The taxis' rides, where they are, go into a stream whose log the peers read.
    pub(super) fn write(directory: &Path, plain: &Columns, common: &Columns) -> Option<Store> {
        let create = |name: &str| File::create(directory.join(name)).unwrap();
        let reader = |columns: &Columns| {
            columns.reader(columns.stream().shards()[0].id, Position::TrimHorizon).unwrap()
        };
        let parquet = WriteParquetOptions::new();
        assert_eq!(reader(common).write_parquet(create("common.parquet"), &parquet).unwrap().rows, 50);
        reader(plain).write_csv(create("plain.csv"), &WriteCsvOptions::new()).unwrap();
        reader(plain).write_json_lines(create("plain.jsonl"), &WriteJsonOptions::new()).unwrap();

        let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
        let rides = std::env::var_os("RIVERBED_DATA").map_or_else(fallback, PathBuf::from);
        let rides = File::open(rides.join("taxi_2019-01.csv")).ok()?;
        let (store, columns) = store(&directory.join("taxis"));
        assert_eq!(columns.put_csv("key", rides, &PutCsvOptions::new()).unwrap().rows, 10_000);
        super::write(&columns, &directory.join("taxis.arrows"), IpcOptions::new());
        Some(store)
    }

    pub(super) fn read_theirs(directory: &Path, expected: &Value) {
        let open = |name: &str| File::open(directory.join(name)).unwrap();
        for name in ["pyarrow.parquet", "polars.parquet", "duckdb.parquet", "polars.csv", "polars.jsonl"] {
            let (_store, columns) = store(&directory.join(format!("put_{name}")));
            match name.split_once('.').unwrap().1 {
                "csv" => columns.put_csv("key", open(name), &PutCsvOptions::new()).unwrap(),
                "jsonl" => columns.put_json_lines("key", open(name), &PutJsonOptions::new()).unwrap(),
                _ => columns.put_parquet("key", open(name)).unwrap(),
            };
            assert_eq!(&rows(&read(&columns)), expected, "{name}");
        }
    }
}
