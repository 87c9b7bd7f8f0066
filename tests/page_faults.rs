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

#[test]
fn pages_are_faulted_in_ahead_of_the_writer_also_after_a_sync() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::options()
        .durability(Durability::Buffered)
        .segment_len(64 << 20, 64 << 20)
        .maintenance(Maintenance::Manual)
        .open(directory.path().join("data"))
        .unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let put = |kib| {
        let before = page_faults();
        put_kib(&stream, kib);
        let faults = page_faults() - before;
        store.maintain();
        faults
    };
    // Nobody knows yet how often there will be a sync.
    for _ in 0..32 {
        put(256);
    }
    let pages = 256 / 4;
    let ahead = put(256);
    assert!(ahead < pages / 4, "{ahead} of {pages} pages were not faulted in ahead");
    stream.sync().unwrap();
    // The first to come by finds that there was one.
    put(64);
    let again = put(256);
    assert!(again < pages / 4, "{again} of {pages} pages were not faulted in again after a sync");
    let soon = put(256);
    assert!(soon < pages / 4, "{soon} of {pages} pages were not faulted in ahead soon after a sync");
    store.close().unwrap();
}

fn put_kib(stream: &Stream, kib: usize) {
    let key = PartitionKey::new("key").unwrap();
    for _ in 0..kib * KIB / DATA {
        stream.put(&key, [7; DATA]).unwrap();
    }
}

/// How often the kernel has had to give this thread a page.
fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}
