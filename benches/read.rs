//! What reading a record costs, beside what the machine charges for walking over the very same frames, with and without
//! their checksums, in the same run.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

#[path = "support/thread_time.rs"]
mod thread_time;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use memmap2::{Advice, MmapMut};
use riverbed::{Durability, PartitionKey, Position, Reader, ReaderOptions, Store, Stream, StreamOptions};
use thread_time::ThreadTime;

const RECORDS: usize = 400_000;
const DATA: usize = 100;
/// Where the frames of a segment begin, and what their second checksum covers in each.
const FRAMES: usize = 8192;
const BODY: usize = 32;

fn store(directory: &tempfile::TempDir) -> (Store, Stream) {
    let store = Store::options()
        .durability(Durability::Buffered)
        .segment_len(64 << 20, 64 << 20)
        .open(directory.path().join("data"))
        .unwrap();
    let stream = store.create_stream("bench", StreamOptions::new()).unwrap();
    let key = PartitionKey::new("user-42").unwrap();
    for index in 0..RECORDS {
        stream.put(&key, [u8::try_from(index % 256).unwrap(); DATA]).unwrap();
    }
    (store, stream)
}

fn reader(stream: &Stream, verify: bool) -> Reader {
    let options = ReaderOptions::new().verify(verify);
    stream.reader_with(stream.shards()[0].id, Position::TrimHorizon, options).unwrap()
}

/// Reads everything once; the sum keeps the records from being optimised away.
fn read(stream: &Stream, verify: bool) -> u64 {
    let mut reader = reader(stream, verify);
    let mut sum = 0;
    while let Some(record) = reader.next().unwrap() {
        sum += u64::from(record.data()[0]);
    }
    sum
}

/// Follows the length words and touches one byte of each frame's data.
fn walk(frames: &[u8], mut each: impl FnMut(&[u8]) -> u64) -> u64 {
    let mut rest = frames;
    let mut sum = 0;
    while let Some(length) = rest.first_chunk::<4>().map(|word| u32::from_le_bytes(*word) as usize) {
        if length == 0 {
            break;
        }
        sum += each(&rest[..length]);
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    sum
}

fn read_all(criterion: &mut Criterion<ThreadTime>) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (store, stream) = store(&directory);
    let segment = directory.path().join("data/streams/bench/shard-000000/00000000000000000000.segment");
    let file = std::fs::read(segment).unwrap();
    // In pages of 4 KiB, as the engine has them.
    let mut map = MmapMut::map_anon(file.len()).unwrap();
    map.advise(Advice::NoHugePage).unwrap();
    map.copy_from_slice(&file);
    let frames = &map[FRAMES..];
    let key_end = BODY + "user-42".len();
    let expected = walk(frames, |frame| u64::from(frame[key_end]));
    assert_eq!(expected, read(&stream, true));
    assert_eq!(expected, read(&stream, false));

    let mut group = criterion.benchmark_group("read/100");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("bare pointer walk", |bencher| {
        bencher.iter(|| walk(black_box(frames), |frame| u64::from(frame[key_end])));
    });
    group.bench_function("bare checksum walk", |bencher| {
        bencher.iter(|| walk(black_box(frames), |frame| u64::from(crc32fast::hash(&frame[BODY..]))));
    });
    group.bench_function("bare walk of both checksums", |bencher| {
        bencher.iter(|| {
            walk(black_box(frames), |frame| {
                u64::from(crc32fast::hash(&frame[..BODY])) + u64::from(crc32fast::hash(&frame[BODY..]))
            })
        });
    });
    group.bench_function("borrowed, unverified", |bencher| bencher.iter(|| read(&stream, false)));
    group.bench_function("borrowed, verified", |bencher| bencher.iter(|| read(&stream, true)));
    group.bench_function("to_bytes, unverified", |bencher| {
        bencher.iter(|| {
            let mut reader = reader(&stream, false);
            let mut sum = 0;
            while let Some(record) = reader.next().unwrap() {
                sum += u64::from(record.to_bytes()[0]);
            }
            sum
        });
    });
    group.finish();
    store.close().unwrap();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(ThreadTime)
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = read_all
}
criterion_main!(benches);
