//! Records that are on disk before the put returns, from 1 and from 16 threads, beside bare group commits of the same bytes.
//!
//! The bare one is the least that does the job: a file, a mutex, and whoever finds nobody syncing makes one `fdatasync` for all who
//! have appended. `16 records a sync` is what the disk does with nobody to wake: one thread that appends 16 records and syncs. Both
//! write into blocks that were written before they are measured, round and round; the engine has to write them itself. Records per
//! sync are printed behind each.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark fails by panicking, and prints its counts"
)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use parking_lot::{Condvar, Mutex};
use riverbed::{Durability, PartitionKey, Store, Stream, StreamOptions};

const DATA: usize = 1024;
const FRAME: usize = 32 + 8 + DATA;
const SEGMENT: usize = 64 << 20;

/// A file whose blocks have been written.
struct Space {
    file: Arc<File>,
    end: usize,
}

impl Space {
    fn new(directory: &Path) -> Self {
        let file = tempfile::tempfile_in(directory).unwrap();
        for offset in (0..SEGMENT).step_by(4096) {
            file.write_all_at(&[0; 4096], offset as u64).unwrap();
        }
        file.sync_all().unwrap();
        Self { file: Arc::new(file), end: 0 }
    }

    fn append(&mut self, data: &[u8]) {
        if self.end + FRAME > SEGMENT {
            self.end = 0;
        }
        let mut frame = [0; FRAME];
        frame[..4].copy_from_slice(&crc32fast::hash(data).to_le_bytes());
        frame[FRAME - DATA..].copy_from_slice(data);
        self.file.write_all_at(&frame, self.end as u64).unwrap();
        self.end += FRAME;
    }
}

/// The bare group commit.
struct Bare {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    space: Space,
    appended: u64,
    durable: u64,
    led: bool,
    syncs: u64,
}

impl Bare {
    fn new(directory: &Path) -> Self {
        let space = Space::new(directory);
        let state = State { space, appended: 0, durable: 0, led: false, syncs: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn append(&self, data: &[u8]) {
        let mut state = self.state.lock();
        state.space.append(data);
        state.appended += 1;
        let mine = state.appended;
        while state.durable < mine {
            if state.led {
                self.changed.wait(&mut state);
                continue;
            }
            state.led = true;
            let appended = state.appended;
            let file = Arc::clone(&state.space.file);
            drop(state);
            file.sync_data().unwrap();
            state = self.state.lock();
            state.durable = appended;
            state.syncs += 1;
            state.led = false;
            self.changed.notify_all();
        }
    }
}

/// Shares `count` calls among threads and says how long all of them took.
fn share(threads: u64, count: u64, append: impl Fn() + Sync) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let append = &append;
            let mine = count / threads + u64::from(thread < count % threads);
            scope.spawn(move || (0..mine).for_each(|_| append()));
        }
    });
    started.elapsed()
}

fn syncs(stream: &Stream) -> u64 {
    stream.stats().total.syncs
}

fn report(name: &str, records: u64, syncs: u64) {
    if syncs > 0 {
        eprintln!("{name}: {:.1} records a sync", records as f64 / syncs as f64);
    }
}

fn run(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    append: impl Fn() + Sync,
    threads: u64,
    syncs: impl Fn() -> u64,
) {
    let (mut records, before) = (0, syncs());
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            records += count;
            share(threads, count, &append)
        });
    });
    report(name, records, syncs() - before);
}

fn immediate(criterion: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = vec![7; DATA];
    let key = PartitionKey::new("user-42").unwrap();
    for threads in [1, 16] {
        let mut group = criterion.benchmark_group(format!("immediate/1024, writers: {threads}"));
        group.throughput(Throughput::Elements(1)).sampling_mode(SamplingMode::Flat);
        let bare = Bare::new(directory.path());
        run(&mut group, "bare group commit", || bare.append(&data), threads, || bare.state.lock().syncs);
        if threads == 16 {
            let mut space = Space::new(directory.path());
            group.bench_function("bare, 16 records a sync", |bencher| {
                bencher.iter_custom(|count| {
                    let started = Instant::now();
                    for index in 1..=count {
                        space.append(&data);
                        if index % 16 == 0 || index == count {
                            space.file.sync_data().unwrap();
                        }
                    }
                    started.elapsed()
                });
            });
        }
        let path = directory.path().join(format!("data-{threads}"));
        let store = Store::options()
            .durability(Durability::Immediate)
            .segment_len(SEGMENT as u64, SEGMENT as u64)
            .open(path)
            .unwrap();
        let stream = store.create_stream("bench", StreamOptions::new()).unwrap();
        stream.put(&key, &data).unwrap();
        let put = || assert!(stream.put(&key, &data).is_ok());
        run(&mut group, "put", put, threads, || syncs(&stream));
        group.finish();
        drop(stream);
        store.close().unwrap();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = immediate
}
criterion_main!(benches);
