//! Guards against deleted files that stay mapped, and take room on the disk for as long, in a process that only reads.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use riverbed::{HashKey, Retention, ShardFilter, Store, StreamOptions};

/// The deleted files of this store that the process has mapped.
fn deleted(store: &Path) -> Vec<String> {
    let store = store.to_str().unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|map| map.contains(store) && map.ends_with("(deleted)")).map(str::to_owned).collect()
}

#[test]
fn a_follower_lets_go_of_shards_that_were_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for _ in 0..10 {
        stream.put("k", [7; 100]).unwrap();
    }
    let follower = Store::open_read_only(&path).unwrap();
    let followed = follower.open_stream("s").unwrap();
    // Looks at the shard, whose newest segment it maps.
    assert_eq!(followed.stats().unwrap().shards.len(), 1);
    assert!(fs::read_to_string("/proc/self/maps").unwrap().contains(path.to_str().unwrap()));
    stream.split_shard(stream.shards()[0].id, HashKey::from(1 << 127)).unwrap();
    stream.set_retention(Retention::FOREVER.and_bytes(1)).unwrap();
    store.close().unwrap();
    assert_eq!(followed.list_shards(ShardFilter::AtTrimHorizon).unwrap().len(), 2);
    assert_eq!(deleted(&path), Vec::<String>::new());
}
