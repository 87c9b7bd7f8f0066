//! A writer that is synced now and then takes next to no page faults: pages are faulted in ahead of it, and again after a sync, which
//! takes them away. Counts faults, and measures no time.
//!
//! Guards against a put that waits for the kernel to clear a page, or to be told of the first store to one that a sync
//! has made clean, or to take the page from this processor; each takes as long as tens of puts.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use riverbed::{Durability, Maintenance, PartitionKey, Position, Store, Stream, StreamOptions};

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
    store.maintain();
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

/// A sync of a long run takes its pages out of the mapping first, which the kernel would do one by one, each time interrupting the
/// writer.
#[test]
fn readers_are_given_pages_again_that_a_sync_takes_from_them() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (store, stream) = open(&directory, 64 << 20);
    for _ in 0..32 {
        put_kib(&store, &stream, 256);
    }
    let shard = stream.shards().first().unwrap().id;
    let read = || {
        let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
        let before = page_faults();
        let mut records = 0;
        while let Some(record) = reader.next().unwrap() {
            assert_eq!(record.data(), [7; DATA]);
            records += 1;
        }
        assert_eq!(records, 32 * 256 * KIB / DATA);
        page_faults() - before
    };
    let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
    let held = reader.next().unwrap().unwrap();
    read();
    let before = read();
    stream.sync().unwrap();
    assert_eq!(held.data(), [7; DATA]);
    let faults = read();
    assert!(
        faults > before + 8,
        "{before} faults, {faults} after the sync: it has left the pages where they were"
    );
    assert!(faults < 32 * PAGES / 4, "{faults} faults: many pages are to be had by one");
    stream.put("key", [7; DATA]).unwrap();
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
