//! What a put costs, beside what the machine charges for the same bytes in the same run: a checksum and a copy into memory
//! that has been faulted in, and the faulting in of a file's pages.
//!
//! Two questions, because a page of a file that was never touched costs the kernel more than all the rest together:
//!
//! * `put`: the path itself, into pages that the background has faulted in ahead, as it does for whoever does not put
//!   gigabytes a second. Maintenance runs between the timed bursts.
//! * `sustained`: as fast as it goes, segment after segment, faults of the calling thread included.
//!
//! Times are those that the calling thread had a processor for.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

#[path = "support/thread_time.rs"]
mod thread_time;

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use memmap2::{Advice, MmapMut, MmapOptions};
use riverbed::{Durability, Maintenance, PartitionKey, PutRecord, Store, Stream, StreamOptions, SystemClock};
use rustix::fs::FallocateFlags;
use thread_time::ThreadTime;

type Group<'a> = BenchmarkGroup<'a, ThreadTime>;

/// Bytes of a frame's header, which the bare loop copies too.
const HEADER: usize = 32;
/// How much is put before the stream is emptied again.
const ROUND: u64 = 512 << 20;
/// How much is put between two turns of maintenance: less than what it faults in ahead.
const BURST: u64 = 256 << 10;
const SEGMENT: usize = 64 << 20;

/// A stream whose segments have their full size, and which never has more than a round of records.
struct Target {
    directory: tempfile::TempDir,
    store: Store,
    stream: Stream,
    shards: u32,
    put: u64,
    burst: u64,
}

impl Target {
    /// To put into what has been faulted in.
    fn faulted_in(shards: u32) -> Self {
        Self::new(shards, Maintenance::Manual, BURST, SystemClock::precise())
    }

    /// The same, with the clock that is up to 10 ms late.
    fn with_coarse_clock() -> Self {
        Self::new(1, Maintenance::Manual, BURST, SystemClock::coarse())
    }

    /// To put into as fast as possible.
    fn sustained(shards: u32) -> Self {
        Self::new(shards, Maintenance::default(), ROUND, SystemClock::precise())
    }

    fn new(shards: u32, maintenance: Maintenance, burst: u64, clock: SystemClock) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = Store::options()
            .durability(Durability::Buffered)
            .segment_len(SEGMENT as u64, SEGMENT as u64)
            .maintenance(maintenance)
            .clock(clock)
            .open(directory.path().join("data"))
            .unwrap();
        let stream = store.create_stream("bench", StreamOptions::new().shards(shards)).unwrap();
        let mut target = Self { directory, store, stream, shards, put: ROUND, burst };
        target.prepare();
        target
    }

    /// Empties the stream when it has a round of records, and does what the background would do.
    fn prepare(&mut self) {
        if self.put >= ROUND {
            self.store.delete_stream("bench").unwrap();
            self.stream =
                self.store.create_stream("bench", StreamOptions::new().shards(self.shards)).unwrap();
            self.put = 0;
            // Ahead of the writer pages are faulted in once a megabyte has been put without a sync.
            let keys: Vec<_> = (0..64 * self.shards).map(|index| format!("{index}")).collect();
            for key in &keys {
                self.stream.put(key, [0; 32 << 10]).unwrap();
                self.store.maintain();
            }
        }
        self.store.maintain();
    }

    /// Times `count` calls that put `bytes` each.
    fn time(&mut self, count: u64, bytes: u64, mut put: impl FnMut(&Stream, u64)) -> Duration {
        let mut spent = Duration::ZERO;
        let mut done = 0;
        while done < count {
            self.prepare();
            let room = self.burst.min(ROUND.saturating_sub(self.put));
            let batch = (room / bytes).clamp(1, count - done);
            let started = thread_time::now();
            for index in done..done + batch {
                put(&self.stream, index);
            }
            spent += thread_time::now() - started;
            done += batch;
            self.put += batch * bytes;
        }
        spent
    }
}

impl Target {
    /// Times `count` calls of each writer that put `bytes` each.
    fn time_writers(&mut self, count: u64, bytes: u64, keys: &[PartitionKey], data: &[u8]) -> Duration {
        let mut spent = Duration::ZERO;
        let mut done = 0;
        while done < count {
            self.prepare();
            let batch = (self.burst / bytes).clamp(1, count - done);
            let together = Barrier::new(keys.len());
            let put = |key: &PartitionKey| {
                together.wait();
                let started = thread_time::now();
                for _ in 0..batch {
                    black_box(self.stream.put(key, black_box(data)).unwrap());
                }
                thread_time::now() - started
            };
            spent += std::thread::scope(|scope| {
                let writers: Vec<_> = keys.iter().map(|key| scope.spawn(|| put(key))).collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).max().unwrap()
            });
            done += batch;
            self.put += batch * bytes * keys.len() as u64;
        }
        spent
    }
}

/// The machine's own limit: checksum and copy into pages that were faulted in a moment ago, 4 KiB each, and that nobody has
/// written to yet, as those of a segment are. (In memory that has been written before, round and round, or that has huge
/// pages, the same loop is faster; but a log never writes there.)
struct Bare {
    memory: MmapMut,
    at: usize,
    faulted_in: usize,
}

impl Bare {
    fn new() -> Self {
        let memory = MmapMut::map_anon(SEGMENT).unwrap();
        memory.advise(Advice::NoHugePage).unwrap();
        Self { memory, at: 0, faulted_in: 0 }
    }

    /// Room for `bytes` more, faulted in; as much ahead as the engine does.
    fn prepare(&mut self, bytes: usize) {
        const AHEAD: usize = 1 << 20;
        if self.at + bytes > SEGMENT {
            *self = Self::new();
        }
        while self.faulted_in < self.at + bytes {
            self.memory.advise_range(Advice::PopulateWrite, self.faulted_in, AHEAD).unwrap();
            self.faulted_in += AHEAD;
        }
    }

    fn append(&mut self, data: &[u8]) {
        let crc = crc32fast::hash(data);
        let len = (HEADER + data.len()).next_multiple_of(8);
        let frame = &mut self.memory[self.at..self.at + len];
        frame[..4].copy_from_slice(&crc.to_le_bytes());
        frame[HEADER..HEADER + data.len()].copy_from_slice(data);
        self.at += len;
    }

    /// Times `count` appends, in bursts as those of [`Target::time`].
    fn time(&mut self, count: u64, data: &[u8]) -> Duration {
        let bytes = (HEADER + data.len()).next_multiple_of(8);
        let mut spent = Duration::ZERO;
        let mut done = 0;
        while done < count {
            let batch = (BURST / bytes as u64).clamp(1, count - done);
            self.prepare(usize::try_from(batch).unwrap() * bytes);
            let started = thread_time::now();
            for _ in 0..batch {
                self.append(black_box(data));
            }
            spent += thread_time::now() - started;
            done += batch;
        }
        spent
    }
}

fn bare(group: &mut Group<'_>, data: &[u8], per_call: u64) {
    let mut memory = Bare::new();
    group.bench_function("bare checksum and copy", |bencher| {
        bencher.iter_custom(|count| memory.time(count * per_call, data));
    });
}

/// What the kernel charges for the pages of a file that was only reserved.
struct Pages {
    file: File,
    map: memmap2::MmapRaw,
    at: usize,
}

impl Pages {
    fn new(directory: &Path) -> Self {
        let file = tempfile::tempfile_in(directory).unwrap();
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SEGMENT as u64).unwrap();
        let map = MmapOptions::new().len(SEGMENT).map_raw(&file).unwrap();
        Self { file, map, at: 0 }
    }

    /// Faults in as much as `bytes` take, many pages at a time.
    fn time(&mut self, directory: &Path, bytes: u64) -> Duration {
        const STEP: usize = 1 << 20;
        let mut spent = Duration::ZERO;
        let mut faulted = 0_u64;
        while faulted < bytes {
            if self.at == SEGMENT {
                *self = Self::new(directory);
            }
            let started = thread_time::now();
            self.map.advise_range(Advice::PopulateWrite, self.at, STEP).unwrap();
            spent += thread_time::now() - started;
            self.at += STEP;
            faulted += STEP as u64;
        }
        assert!(self.file.metadata().unwrap().len() == SEGMENT as u64);
        spent.mul_f64(bytes as f64 / faulted as f64)
    }
}

fn bare_pages(group: &mut Group<'_>, directory: &Path, bytes: u64) {
    let mut pages = Pages::new(directory);
    group.bench_function("bare pages", |bencher| {
        bencher.iter_custom(|count| pages.time(directory, count * bytes));
    });
}

fn put(criterion: &mut Criterion<ThreadTime>) {
    let key = PartitionKey::new("user-42").unwrap();
    for len in [100, 1024, 65_536] {
        let data = vec![7; len];
        let bytes = len as u64 + 40;
        let mut group = criterion.benchmark_group(format!("put/{len}"));
        group.throughput(Throughput::Bytes(len as u64));
        bare(&mut group, &data, 1);
        let targets = [
            ("put", Target::faulted_in(1)),
            ("put, coarse clock", Target::with_coarse_clock()),
            ("sustained", Target::sustained(1)),
        ];
        for (name, mut target) in targets {
            if name == "sustained" {
                bare_pages(&mut group, target.directory.path(), bytes);
            }
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|count| {
                    target.time(count, bytes, |stream, _| {
                        black_box(stream.put(&key, black_box(&data)).unwrap());
                    })
                });
            });
        }
        group.finish();
    }
}

fn put_string_key(criterion: &mut Criterion<ThreadTime>) {
    let data = [7; 100];
    let keys: Vec<_> = (0..1000).map(|index| format!("sensor-{index:09}")).collect();
    let mut group = criterion.benchmark_group("put_string_key/100");
    group.throughput(Throughput::Elements(1));
    bare(&mut group, &data, 1);
    let mut target = Target::faulted_in(1);
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

/// With several shards to choose from a key must be hashed, unless it was put a moment ago.
fn put_on_4_shards(criterion: &mut Criterion<ThreadTime>) {
    const KEY_LEN: usize = 16;
    let data = [7; 100];
    // One text, so that to come by the next key costs nothing that depends on how many there are.
    let keys: String = (0..10_000).map(|index| format!("sensor-{index:09}")).collect();
    let mut group = criterion.benchmark_group("put_on_4_shards/100");
    group.throughput(Throughput::Elements(1));
    let mut target = Target::faulted_in(4);
    let hashed = PartitionKey::new(&keys[..KEY_LEN]).unwrap();
    group.bench_function("prehashed key", |bencher| {
        bencher.iter_custom(|count| {
            target.time(count, 152, |stream, _| {
                black_box(stream.put(black_box(&hashed), data).unwrap());
            })
        });
    });
    for (name, count_of_keys) in
        [("one key", 1), ("10 keys in turn", 10), ("100 keys in turn", 100), ("10000 keys in turn", 10_000)]
    {
        let mut next = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                target.time(count, 152, |stream, _| {
                    let key = &keys[next * KEY_LEN..][..KEY_LEN];
                    next = if next + 1 == count_of_keys { 0 } else { next + 1 };
                    black_box(stream.put(black_box(key), data).unwrap());
                })
            });
        });
    }
    let record = PutRecord::new(&keys[..KEY_LEN], &data);
    group.bench_function("one key, batches of one", |bencher| {
        bencher.iter_custom(|count| {
            target.time(count, 152, |stream, _| {
                assert_eq!(stream.put_records(black_box(&[record])).failed_record_count(), 0);
            })
        });
    });
    group.finish();
}

fn put_records(criterion: &mut Criterion<ThreadTime>) {
    const BATCH: usize = 500;
    let data = [7; 100];
    let keys: Vec<_> = (0..BATCH).map(|index| format!("sensor-{index:09}")).collect();
    let records: Vec<_> = keys.iter().map(|key| PutRecord::new(key, &data)).collect();
    let mut group = criterion.benchmark_group("put_records/500x100");
    group.throughput(Throughput::Elements(BATCH as u64));
    bare(&mut group, &data, BATCH as u64);
    for shards in [1, 4] {
        let mut target = Target::faulted_in(shards);
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

/// Writers of a shard each. The time is what the slower one had a processor for: what they do to each other's caches and locks
/// counts, what the scheduler does does not.
fn writers(criterion: &mut Criterion<ThreadTime>) {
    let data = [7; 100];
    let mut group = criterion.benchmark_group("writers/100");
    for writers in [1, 2] {
        let mut target = Target::faulted_in(writers);
        let keys: Vec<_> = target
            .stream
            .shards()
            .iter()
            .map(|shard| {
                let mut keys = (0..).map(|index| PartitionKey::new(&format!("key-{index}")).unwrap());
                keys.find(|key| target.stream.shard_for_key(key) == Some(shard.id)).unwrap()
            })
            .collect();
        group.throughput(Throughput::Elements(u64::from(writers)));
        group.bench_function(format!("{writers} writers on {writers} shards"), |bencher| {
            bencher.iter_custom(|count| target.time_writers(count, 144, &keys, &data));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(ThreadTime)
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    targets = put, put_string_key, put_on_4_shards, put_records, writers
}
criterion_main!(benches);
