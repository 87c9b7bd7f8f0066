//! How much anonymous memory and disk a store takes while gigabytes are written and read. Not a question of time.
//!
//! `just footprint`. `RIVERBED_GIB` says how much is written, 1 unless set; as a check (`-- --test`) it is a sixteenth.
//! Memory is the peak of `RssAnon` in `/proc/self/status`: heap and stacks, without the pages of mapped files, which the kernel takes
//! back when it needs them. Disk is what the file system says the files take.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark fails by panicking, and prints what it found"
)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use riverbed::{PartitionKey, Position, PutRecord, Store, StreamOptions};

fn main() {
    let gib = std::env::var("RIVERBED_GIB").map_or(1, |gib| gib.parse::<usize>().unwrap());
    let share = if std::env::args().any(|argument| argument == "--test") { 16 } else { 1 };
    let bytes = (gib << 30) / share;
    println!("| record | written | anonymous, writing | anonymous, reading | disk over key and data |");
    println!("|---|---|---|---|---|");
    for len in [100, 1024] {
        measure(len, bytes);
    }
}

fn measure(len: usize, bytes: usize) {
    const BATCH: usize = 500;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("data");
    let key = PartitionKey::new("user-42").unwrap();
    let payload = key.as_str().len() + len;
    let batches = bytes / (BATCH * payload);
    let records = batches * BATCH;
    let data = vec![7; len];
    let batch = vec![PutRecord::new(&key, &data); BATCH];

    let writing = peak(|| {
        let store = Store::open(&path).unwrap();
        let stream = store.create_stream("bench", StreamOptions::new()).unwrap();
        for _ in 0..batches {
            assert_eq!(stream.put_records(&batch).failed_record_count(), 0);
        }
        store.close().unwrap();
    });
    let disk = on_disk(&path);
    let reading = peak(|| {
        let store = Store::open(&path).unwrap();
        let stream = store.open_stream("bench").unwrap();
        let shard = stream.shards().first().unwrap().id;
        let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
        let mut read = 0;
        while let Some(record) = reader.next().unwrap() {
            assert_eq!(record.data().len(), len);
            read += 1;
        }
        assert_eq!(read, records);
    });
    let over = disk as f64 - (records * payload) as f64;
    println!(
        "| {len} B | {:.2} GiB | {writing} KiB | {reading} KiB | {:.1} bytes a record, {:.1} % |",
        (records * payload) as f64 / f64::from(1 << 30),
        over / records as f64,
        100.0 * over / (records * payload) as f64,
    );
}

/// The most anonymous memory, in KiB, that the process has had while `work` was done.
fn peak(work: impl FnOnce()) -> u64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak = anonymous();
            while !done.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(5));
                peak = peak.max(anonymous());
            }
            peak
        });
        work();
        done.store(true, Ordering::Release);
        sampler.join().unwrap()
    })
}

fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn on_disk(path: &Path) -> u64 {
    let metadata = path.metadata().unwrap();
    let below = || std::fs::read_dir(path).unwrap().map(|entry| on_disk(&entry.unwrap().path())).sum();
    if metadata.is_dir() { below() } else { metadata.blocks() * 512 }
}
