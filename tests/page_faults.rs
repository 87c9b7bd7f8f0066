//! A writer that is synced now and then takes next to no page faults: pages are faulted in ahead of it, and again after a sync, which
//! takes them away. Counts faults, and measures no time.
//!
//! Guards against a put that waits for the kernel to clear a page, or to be told of the first store to one that a sync
//! has made clean; both take as long as tens of puts.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use riverbed::{Durability, Maintenance, PartitionKey, Store, Stream, StreamOptions};

const KIB: usize = 1024;
const DATA: usize = 4 * KIB;

const PAGES: u64 = 256 / 4;

#[test]
fn pages_are_faulted_in_ahead_of_the_writer_also_after_a_sync() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (store, stream) = open(&directory, 64 << 20);
    let first = put_kib(&store, &stream, 256);
    assert!(first > 0, "faults are not counted");
    // Nobody knows yet how often there will be a sync.
    for _ in 0..32 {
        put_kib(&store, &stream, 256);
    }
    let ahead = put_kib(&store, &stream, 256);
    assert!(ahead < PAGES / 4, "{ahead} of {PAGES} pages were not faulted in ahead");
    stream.sync().unwrap();
    // Before long it is found that there was one.
    put_kib(&store, &stream, 64);
    let again = put_kib(&store, &stream, 256);
    assert!(again < PAGES / 4, "{again} of {PAGES} pages were not faulted in again after a sync");
    let soon = put_kib(&store, &stream, 256);
    assert!(soon < PAGES / 4, "{soon} of {PAGES} pages were not faulted in ahead soon after a sync");
    store.close().unwrap();
}

#[test]
fn pages_are_faulted_in_ahead_of_the_writer_also_in_the_next_segment() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (store, stream) = open(&directory, 8 << 20);
    for _ in 0..32 {
        put_kib(&store, &stream, 256);
    }
    let faults: Vec<_> = (0..64).map(|_| put_kib(&store, &stream, 256)).collect();
    assert!(faults.iter().all(|&faults| faults < PAGES / 2), "of {PAGES} pages each: {faults:?}");
    store.close().unwrap();
}

fn open(directory: &tempfile::TempDir, segment_len: u64) -> (Store, Stream) {
    let store = Store::options()
        .durability(Durability::Buffered)
        .segment_len(segment_len, segment_len)
        .maintenance(Maintenance::Manual)
        .open(directory.path().join("data"))
        .unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    (store, stream)
}

/// Puts, does what the background would do, and says how often the putting has faulted.
fn put_kib(store: &Store, stream: &Stream, kib: usize) -> u64 {
    let key = PartitionKey::new("key").unwrap();
    let before = page_faults();
    for _ in 0..kib * KIB / DATA {
        stream.put(&key, [7; DATA]).unwrap();
    }
    let faults = page_faults() - before;
    store.maintain();
    faults
}

/// How often the kernel has had to give this thread a page: "minor" faults, and "major" ones, which are not only those that read
/// from the disk.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    [7, 9].iter().map(|&index: &usize| fields.get(index).unwrap().parse::<u64>().unwrap()).sum()
}
