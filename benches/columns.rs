//! What batches of columns cost in and out, beside Arrow's own stream writer and reader to and from a file, in the same
//! run. Every figure is for one batch of a number, a text and a boolean per row; each sample writes or reads many.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, reason = "a benchmark fails by panicking")]

use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use criterion::{Criterion, criterion_group, criterion_main};
use riverbed::columns::{BatchReaderOptions, Columns};
use riverbed::{Durability, Position, ReaderOptions, Store, StreamOptions};

fn batch(rows: usize) -> RecordBatch {
    let numbers: Int64Array = (0_i64..).take(rows).collect();
    let texts: StringArray = (0..rows).map(|row| (row % 7 != 3).then(|| format!("text {row}"))).collect();
    let flags: BooleanArray = (0..rows).map(|row| (row % 5 != 1).then_some(row % 2 == 0)).collect();
    let schema = Schema::new(vec![
        Field::new("number", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("flag", DataType::Boolean, true),
    ]);
    let columns = vec![Arc::new(numbers) as _, Arc::new(texts) as _, Arc::new(flags) as _];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// How many batches make a sample: about 32 MiB, and no more than 4,000.
fn count(batch: &RecordBatch) -> usize {
    ((32 << 20) / batch.get_array_memory_size()).clamp(8, 4000)
}

fn columns(path: &Path) -> (Store, Columns) {
    let options = Store::options().durability(Durability::Buffered).segment_len(64 << 20, 64 << 20);
    let store = options.open(path).unwrap();
    let stream = match store.open_stream("bench") {
        Ok(stream) => stream,
        Err(_) => store.create_stream("bench", StreamOptions::new()).unwrap(),
    };
    (store, stream.columns())
}

fn put_all(columns: &Columns, batch: &RecordBatch, count: usize) {
    for _ in 0..count {
        black_box(columns.put_batch("key", batch).unwrap());
    }
}

fn write_all(path: &Path, batch: &RecordBatch, count: usize) {
    let file = BufWriter::new(File::create(path).unwrap());
    let mut writer = StreamWriter::try_new(file, batch.schema_ref()).unwrap();
    for _ in 0..count {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

/// Reads everything; the sum keeps the columns from being optimised away.
fn read(columns: &Columns, verify: bool) -> i64 {
    let options = BatchReaderOptions::new().read(ReaderOptions::new().verify(verify));
    let shard_id = columns.stream().shards().first().unwrap().id;
    let mut reader = columns.reader_with(shard_id, Position::TrimHorizon, options).unwrap();
    let mut sum = 0;
    while let Some(batch) = reader.next().unwrap() {
        sum += batch.rows().column(0).as_primitive::<Int64Type>().value(batch.rows().num_rows() - 1);
    }
    sum
}

fn read_plain(path: &Path) -> i64 {
    let reader = StreamReader::try_new(BufReader::new(File::open(path).unwrap()), None).unwrap();
    let mut sum = 0;
    for batch in reader {
        let batch = batch.unwrap();
        sum += batch.column(0).as_primitive::<Int64Type>().value(batch.num_rows() - 1);
    }
    sum
}

/// The time of one batch: `all` is timed once per sample, after `prepare` each time.
fn per_batch<T>(
    iterations: u64,
    count: usize,
    mut prepare: impl FnMut() -> T,
    mut all: impl FnMut(&mut T),
) -> Duration {
    let samples = iterations.div_ceil(count as u64);
    let mut elapsed = Duration::ZERO;
    for _ in 0..samples {
        let mut prepared = prepare();
        let started = Instant::now();
        all(&mut prepared);
        elapsed += started.elapsed();
    }
    elapsed.mul_f64(iterations as f64 / (samples * count as u64) as f64)
}

fn in_and_out(criterion: &mut Criterion) {
    for rows in [100, 1_000, 65_536] {
        let batch = batch(rows);
        let count = count(&batch);
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (data, plain) = (directory.path().join("data"), directory.path().join("plain.arrows"));

        let mut group = criterion.benchmark_group(format!("columns/in/{rows}"));
        group.bench_function("arrow_ipc StreamWriter", |bencher| {
            bencher.iter_custom(|n| per_batch(n, count, || (), |()| write_all(&plain, &batch, count)));
        });
        group.bench_function("put_batch", |bencher| {
            bencher.iter_custom(|n| {
                let fresh = || {
                    // Without what was put before: its pages would be written back meanwhile.
                    drop(std::fs::remove_dir_all(&data));
                    columns(&data)
                };
                per_batch(n, count, fresh, |(_, columns)| put_all(columns, &batch, count))
            });
        });
        group.finish();

        write_all(&plain, &batch, count);
        drop(std::fs::remove_dir_all(&data));
        let (store, written) = columns(&data);
        put_all(&written, &batch, count);
        assert_eq!(read(&written, true), read_plain(&plain));
        let stored = {
            let shard_id = written.stream().shards().first().unwrap().id;
            let mut reader = written.stream().reader(shard_id, Position::TrimHorizon).unwrap();
            reader.next().unwrap().unwrap().data().len()
        };
        let in_file = std::fs::metadata(&plain).unwrap().len() / count as u64;
        eprintln!("columns/{rows}: bytes of a batch: {stored} in the log, {in_file} in the file");
        let mut group = criterion.benchmark_group(format!("columns/out/{rows}"));
        group.bench_function("arrow_ipc StreamReader", |bencher| {
            bencher.iter_custom(|n| {
                per_batch(
                    n,
                    count,
                    || (),
                    |()| {
                        black_box(read_plain(&plain));
                    },
                )
            });
        });
        for (name, verify) in [("verified", true), ("verified once", false)] {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|n| {
                    per_batch(
                        n,
                        count,
                        || (),
                        |()| {
                            black_box(read(&written, verify));
                        },
                    )
                });
            });
        }
        store.close().unwrap();
        drop((store, written));
        group.bench_function("for the first time, validated", |bencher| {
            bencher.iter_custom(|n| {
                per_batch(
                    n,
                    count,
                    || columns(&data),
                    |(_, columns)| {
                        black_box(read(columns, true));
                    },
                )
            });
        });
        group.finish();
    }
}

/// The taxis' rides, from the folder that `RIVERBED_DATA` names or else `../shared/data`: typed columns in and out, in rows per
/// second, beside Arrow's own reader and writer of CSV.
#[cfg(all(feature = "csv", feature = "json", feature = "parquet"))]
fn taxis(criterion: &mut Criterion) {
    use criterion::Throughput;
    use riverbed::columns::*;

    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let rides = std::env::var_os("RIVERBED_DATA").map_or_else(fallback, Into::into).join("taxi_2019-01.csv");
    let Ok(rides) = std::fs::read(&rides) else {
        eprintln!("SKIPPED taxis: there is no {}; name its folder in RIVERBED_DATA", rides.display());
        return;
    };
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (_store, taxis) = columns(&directory.path().join("taxis"));
    let rows = taxis.put_csv("taxis", &rides[..], &PutCsvOptions::new()).unwrap().rows;
    let shard_id = taxis.stream().shards().first().unwrap().id;
    let reader = || taxis.reader(shard_id, Position::TrimHorizon).unwrap();
    let mut json = Vec::new();
    reader().write_json_lines(&mut json, &WriteJsonOptions::new()).unwrap();
    let mut parquet = Vec::new();
    reader().write_parquet(&mut parquet, &WriteParquetOptions::new()).unwrap();
    let parquet = bytes::Bytes::from(parquet);
    let mut ipc = Vec::new();
    reader().write_ipc(&mut ipc, IpcOptions::new()).unwrap();

    let data = directory.path().join("data");
    let schema = taxis.newest_schema().unwrap().unwrap();
    let schema_given = PutCsvOptions::new().schema(std::sync::Arc::clone(&schema));
    let fresh = || {
        drop(std::fs::remove_dir_all(&data));
        columns(&data)
    };
    let mut group = criterion.benchmark_group("taxis/in");
    group.throughput(Throughput::Elements(rows));
    type In<'a> = &'a dyn Fn(&Columns) -> u64;
    let ins: [(&str, In<'_>); 5] = [
        ("put_csv", &|to| to.put_csv("k", &rides[..], &PutCsvOptions::new()).unwrap().rows),
        ("put_csv with a schema", &|to| to.put_csv("k", &rides[..], &schema_given).unwrap().rows),
        ("put_json_lines", &|to| to.put_json_lines("k", &json[..], &PutJsonOptions::new()).unwrap().rows),
        ("put_parquet", &|to| to.put_parquet("k", parquet.clone()).unwrap().rows),
        ("put_ipc", &|to| to.put_ipc("k", &ipc[..]).unwrap().rows),
    ];
    for (name, put) in ins {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|n| per_batch(n, 1, fresh, |(_, to)| assert_eq!(put(to), rows)));
        });
    }
    group.bench_function("arrow_csv alone, with a schema", |bencher| {
        bencher.iter(|| {
            let reader = arrow_csv::ReaderBuilder::new(std::sync::Arc::clone(&schema)).with_header(true);
            let reader = reader.with_batch_size(8192).build(&rides[..]).unwrap();
            reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("taxis/out");
    group.throughput(Throughput::Elements(rows));
    type Out<'a> = &'a dyn Fn(&mut Vec<u8>) -> u64;
    let outs: [(&str, Out<'_>); 4] = [
        ("write_csv", &|out| reader().write_csv(out, &WriteCsvOptions::new()).unwrap().rows),
        ("write_json_lines", &|out| reader().write_json_lines(out, &WriteJsonOptions::new()).unwrap().rows),
        ("write_parquet", &|out| reader().write_parquet(out, &WriteParquetOptions::new()).unwrap().rows),
        ("write_ipc", &|out| reader().write_ipc(out, IpcOptions::new()).unwrap().rows),
    ];
    let mut out = Vec::new();
    for (name, write) in outs {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                assert_eq!(write(&mut out), rows);
            });
        });
    }
    let batches: Vec<_> = StreamReader::try_new(&ipc[..], None).unwrap().map(Result::unwrap).collect();
    group.bench_function("arrow_csv alone", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut writer = arrow_csv::Writer::new(&mut out);
            batches.iter().for_each(|batch| writer.write(batch).unwrap());
        });
    });
    group.finish();
}

#[cfg(not(all(feature = "csv", feature = "json", feature = "parquet")))]
fn taxis(_: &mut Criterion) {
    eprintln!("SKIPPED taxis: they need the features csv, json and parquet");
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = in_and_out, taxis
}
criterion_main!(benches);
