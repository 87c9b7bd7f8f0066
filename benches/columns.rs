//! What batches of columns cost in and out, beside Arrow's own stream writer and reader to and from a file, in the same
//! run. Every figure is for one batch of a number, a text and a boolean per row; each sample writes or reads many.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

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

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = in_and_out
}
criterion_main!(benches);
