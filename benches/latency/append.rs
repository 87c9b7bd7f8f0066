//! Appends at a steady rate.

use std::time::Duration;

use riverbed::{PartitionKey, Store, StreamOptions};

use crate::clock;
use crate::distribution::Distribution;

/// Appends a second: with records of 100 bytes, a segment of 64 MiB fills in four to five seconds.
pub(crate) const RATE: u32 = 100_000;

/// With default options: synced every second, segments doubling up to 64 MiB. First the same loop with nothing to do.
pub(crate) fn measure(length: Duration) -> Vec<Distribution> {
    let [gaps, idle] = run(length, "empty loop: call", "empty loop: from when it was due", || ());
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("bench", StreamOptions::new()).unwrap();
    let key = PartitionKey::new("user-42").unwrap();
    // Not what this is about: the first put makes the shard's directory and first file, and syncs both.
    stream.put(&key, []).unwrap();
    let put = || assert!(stream.put(&key, [7; 100]).is_ok());
    let [calls, due] = run(length, "put: call", "put: from when it was due", put);
    drop(stream);
    store.close().unwrap();
    vec![gaps, calls, idle, due]
}

/// Calls `work` at [`RATE`]: how long each call took, and how long after it was due it was done. The latter also counts
/// what a stall of one does to those behind it.
fn run(length: Duration, call: &'static str, due: &'static str, mut work: impl FnMut()) -> [Distribution; 2] {
    let interval = Duration::from_secs(1) / RATE;
    let (mut calls, mut dues) = (Distribution::new(call), Distribution::new(due));
    let start = clock::now();
    let mut next = start;
    while next < start + length {
        let mut before = clock::now();
        while before < next {
            std::hint::spin_loop();
            before = clock::now();
        }
        work();
        let after = clock::now();
        calls.record(after - before);
        dues.record(after - next);
        next += interval;
    }
    [calls, dues]
}
