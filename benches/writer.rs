//! Records through a batching writer, beside the same batches put directly.
//!
//! A round is 100,000 records of 64 bytes under 1,000 keys, into four shards, buffered, in batches of 1,000. What the
//! writer costs is the difference; the records are made beforehand for both.
#![expect(clippy::expect_used, reason = "a bench that cannot run has nothing to say")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use riverbed::write::{BatchWriter, WriteOptions, WriteRecord};
use riverbed::{Durability, PutRecord, Retention, Store, Stream, StreamOptions};

const RECORDS: usize = 100_000;
const BATCH: usize = 1000;

fn stream(store: &Store, name: &str) -> Stream {
    let retention = Retention::FOREVER.and_bytes(256 << 20);
    let options = StreamOptions::new().shards(4).durability(Durability::Buffered).retention(retention);
    store.create_stream(name, options).expect("a stream")
}

/// One share of the records for each producer.
fn records(producers: usize) -> Vec<Vec<WriteRecord>> {
    let record = |index| WriteRecord::new(format!("key-{}", index % 1000), vec![7; 64]);
    (0..producers).map(|first| (first..RECORDS).step_by(producers).map(record).collect()).collect()
}

fn writer(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("data")).expect("a store");
    let mut group = c.benchmark_group("writer");
    group.throughput(Throughput::Elements(RECORDS as u64));

    let direct = stream(&store, "direct");
    let records_of_batches = records(1).concat();
    group.bench_function("put_records_in_order", |bencher| {
        bencher.iter(|| {
            for batch in records_of_batches.chunks(BATCH) {
                let puts: Vec<_> = batch
                    .iter()
                    .map(|record| PutRecord::new(record.partition_key(), record.data()))
                    .collect();
                assert_eq!(direct.put_records_in_order(&puts).failed_record_count(), 0);
            }
        });
    });

    for producers in [1, 4] {
        let stream = stream(&store, &format!("writer-{producers}"));
        let options = WriteOptions::new().batch_size(BATCH);
        let writer = BatchWriter::builder(stream).options(options).start().expect("a writer");
        group.bench_function(format!("writer, {producers} producers"), |bencher| {
            bencher.iter_batched(
                || records(producers),
                |parts| {
                    std::thread::scope(|scope| {
                        for part in parts {
                            let writer = &writer;
                            scope.spawn(move || {
                                for record in part {
                                    writer.write(record).expect("room");
                                }
                            });
                        }
                    });
                    // All of it has been put, and what is left to do is a sync.
                    while writer.stats().waiting_items > 0 {
                        std::thread::yield_now();
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, writer);
criterion_main!(benches);
