//! What a put costs, beside what the machine charges for the same bytes: a checksum and a copy into memory that has been
//! faulted in, in the same run.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use memmap2::MmapMut;
use riverbed::{Durability, PartitionKey, PutRecord, Store, Stream, StreamOptions};

/// Bytes of a frame's header, which the bare loop copies too.
const HEADER: usize = 32;
/// How much is put before the stream is emptied again.
const ROUND: u64 = 512 << 20;

/// A stream whose segments have their full size, and which never has more than a round of records.
struct Target {
    _directory: tempfile::TempDir,
    store: Store,
    stream: Stream,
    shards: u32,
    put: u64,
}

impl Target {
    fn new(shards: u32) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = Store::options()
            .durability(Durability::Buffered)
            .segment_len(64 << 20, 64 << 20)
            .open(directory.path().join("data"))
            .unwrap();
        let stream = store.create_stream("bench", StreamOptions::new().shards(shards)).unwrap();
        Self { _directory: directory, store, stream, shards, put: 0 }
    }

    /// Times `count` calls that put `bytes` each.
    fn time(&mut self, count: u64, bytes: u64, mut put: impl FnMut(&Stream, u64)) -> Duration {
        let mut spent = Duration::ZERO;
        let mut done = 0;
        while done < count {
            if self.put >= ROUND {
                self.store.delete_stream("bench").unwrap();
                self.stream =
                    self.store.create_stream("bench", StreamOptions::new().shards(self.shards)).unwrap();
                self.put = 0;
            }
            let batch = ((ROUND - self.put) / bytes).clamp(1, count - done);
            let started = Instant::now();
            for index in done..done + batch {
                put(&self.stream, index);
            }
            spent += started.elapsed();
            done += batch;
            self.put += batch * bytes;
        }
        spent
    }
}

/// The machine's own limit: checksum and copy into pages that are there, round and round.
struct Bare {
    memory: MmapMut,
    at: usize,
}

impl Bare {
    fn new() -> Self {
        let mut memory = MmapMut::map_anon(64 << 20).unwrap();
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        Self { memory, at: 0 }
    }

    fn append(&mut self, data: &[u8]) {
        let crc = crc32fast::hash(data);
        let len = (HEADER + data.len()).next_multiple_of(8);
        if self.at + len > self.memory.len() {
            self.at = 0;
        }
        let frame = &mut self.memory[self.at..self.at + len];
        frame[..4].copy_from_slice(&crc.to_le_bytes());
        frame[HEADER..HEADER + data.len()].copy_from_slice(data);
        self.at += len;
    }
}

fn bare(group: &mut BenchmarkGroup<'_, WallTime>, data: &[u8], per_call: usize) {
    let mut memory = Bare::new();
    group.bench_function("bare", |bencher| {
        bencher.iter(|| {
            for _ in 0..per_call {
                memory.append(black_box(data));
            }
        });
    });
}

fn put(criterion: &mut Criterion) {
    let key = PartitionKey::new("user-42").unwrap();
    for len in [100, 1024, 65_536] {
        let data = vec![7; len];
        let mut group = criterion.benchmark_group(format!("put/{len}"));
        group.throughput(Throughput::Bytes(len as u64));
        bare(&mut group, &data, 1);
        let mut target = Target::new(1);
        group.bench_function("put", |bencher| {
            bencher.iter_custom(|count| {
                target.time(count, len as u64 + 40, |stream, _| {
                    black_box(stream.put(&key, black_box(&data)).unwrap());
                })
            });
        });
        group.finish();
    }
}

fn put_string_key(criterion: &mut Criterion) {
    let data = [7; 100];
    let keys: Vec<_> = (0..1000).map(|index| format!("sensor-{index:09}")).collect();
    let mut group = criterion.benchmark_group("put_string_key/100");
    group.throughput(Throughput::Elements(1));
    bare(&mut group, &data, 1);
    let mut target = Target::new(1);
    group.bench_function("one key", |bencher| {
        bencher.iter_custom(|count| {
            target.time(count, 152, |stream, _| {
                black_box(stream.put(&keys[0], data).unwrap());
            })
        });
    });
    group.bench_function("1000 keys in turn", |bencher| {
        bencher.iter_custom(|count| {
            target.time(count, 152, |stream, index| {
                let key = &keys[usize::try_from(index % 1000).unwrap()];
                black_box(stream.put(key, data).unwrap());
            })
        });
    });
    group.finish();
}

fn put_records(criterion: &mut Criterion) {
    const BATCH: usize = 500;
    let data = [7; 100];
    let keys: Vec<_> = (0..BATCH).map(|index| format!("sensor-{index:09}")).collect();
    let records: Vec<_> = keys.iter().map(|key| PutRecord::new(key, &data)).collect();
    let mut group = criterion.benchmark_group("put_records/500x100");
    group.throughput(Throughput::Elements(BATCH as u64));
    bare(&mut group, &data, BATCH);
    for shards in [1, 4] {
        let mut target = Target::new(shards);
        group.bench_function(format!("{shards} shards"), |bencher| {
            bencher.iter_custom(|count| {
                target.time(count, 152 * BATCH as u64, |stream, _| {
                    assert_eq!(stream.put_records(black_box(&records)).failed_record_count(), 0);
                })
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = put, put_string_key, put_records
}
criterion_main!(benches);
