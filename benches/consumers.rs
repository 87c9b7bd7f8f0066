//! What a checkpoint costs at each durability, beside one bare write and sync of as many bytes; what polling costs beside a bare
//! reader; and what a poll costs that has ten thousand shards with nothing in them besides one that has something.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use riverbed::{ConsumerOptions, Durability, Position, SequenceNumber, Store, Stream, StreamOptions};

const RECORDS: usize = 100_000;
const NOW: Duration = Duration::ZERO;

fn store(directory: &tempfile::TempDir, shards: u32) -> (Store, Stream) {
    let store = Store::options()
        .durability(Durability::Buffered)
        .segment_len(64 << 10, 64 << 20)
        .open(directory.path().join("data"))
        .unwrap();
    let stream = store.create_stream("bench", StreamOptions::new().shards(shards)).unwrap();
    (store, stream)
}

fn put(stream: &Stream, count: usize) -> Vec<SequenceNumber> {
    (0..count).map(|_| stream.put("user-42", [7; 100]).unwrap().sequence_number).collect()
}

fn checkpoints(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut group = criterion.benchmark_group("checkpoint");
    group.throughput(Throughput::Elements(1));
    let file = File::create(directory.path().join("bare")).unwrap();
    file.write_all_at(&[0; 64 * 1024], 0).unwrap();
    file.sync_all().unwrap();
    let mut at = 0;
    let mut bare = |sync: bool| {
        at = (at + 32) % (64 * 1024);
        file.write_all_at(&[7; 32], at).unwrap();
        if sync {
            file.sync_data().unwrap();
        }
    };
    group.bench_function("bare write of 32 bytes", |bencher| bencher.iter(|| bare(false)));
    group.bench_function("bare write and sync of 32 bytes", |bencher| bencher.iter(|| bare(true)));

    let (_store, stream) = store(&directory, 1);
    for (name, durability) in [
        ("buffered", Durability::Buffered),
        ("periodic", Durability::Periodic(Duration::from_secs(1))),
        ("immediate", Durability::Immediate),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let options = ConsumerOptions::new().start(Position::Latest).durability(durability);
                let mut consumer = stream.consumer_with(name, options).unwrap();
                let count = usize::try_from(iterations).unwrap();
                let numbers = put(&stream, count);
                while consumer.poll_with(10_000, NOW, |_| ()).unwrap() > 0 {}
                let started = Instant::now();
                for number in &numbers {
                    consumer.checkpoint_at(*number).unwrap();
                }
                started.elapsed()
            });
        });
    }
    group.finish();
}

fn polling(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (_store, stream) = store(&directory, 1);
    put(&stream, RECORDS);
    let mut group = criterion.benchmark_group("poll");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let shard = stream.shards().first().unwrap().id;
    group.bench_function("a bare reader", |bencher| {
        bencher.iter(|| {
            let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
            while let Some(record) = reader.next().unwrap() {
                black_box(record.data());
            }
        });
    });
    group.bench_function("borrowed, 1000 at a time", |bencher| {
        bencher.iter(|| {
            let mut consumer = stream.consumer("borrowed").unwrap();
            while consumer.poll_with(1000, NOW, |record| _ = black_box(record.data())).unwrap() > 0 {}
        });
    });
    group.bench_function("owned, 1000 at a time", |bencher| {
        bencher.iter(|| {
            let mut consumer = stream.consumer("owned").unwrap();
            while !black_box(consumer.poll(1000, NOW).unwrap()).is_empty() {}
        });
    });
    group.finish();
}

/// One record put and polled, with so many shards.
fn many_shards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("put, poll and checkpoint of one record");
    for shards in [1, 100, 10_000] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (_store, stream) = store(&directory, shards);
        let mut consumer = stream.consumer("c").unwrap();
        assert_eq!(consumer.poll_with(1, NOW, |_| ()).unwrap(), 0);
        group.bench_with_input(BenchmarkId::new("shards", shards), &shards, |bencher, _| {
            bencher.iter(|| {
                stream.put("user-42", b"data").unwrap();
                assert_eq!(consumer.poll_with(10, NOW, |_| ()).unwrap(), 1);
                consumer.checkpoint().unwrap();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, checkpoints, polling, many_shards);
criterion_main!(benches);
