//! Guards against shards that cost disk before anybody writes to them, which would make many shards unaffordable.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the measured bytes are printed")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use riverbed::{PutRecord, Store, StreamOptions};

/// Bytes that a directory takes on disk, with what is in it; and how many segment files there are.
fn on_disk(path: &Path) -> (u64, usize) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let mut bytes = metadata.blocks() * 512;
    let mut segments = usize::from(path.extension().is_some_and(|extension| extension == "segment"));
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let (of_entry, in_entry) = on_disk(&entry.unwrap().path());
            bytes += of_entry;
            segments += in_entry;
        }
    }
    (bytes, segments)
}

#[test]
fn a_thousand_empty_shards() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::open(&path).unwrap();
    let (empty_store, _) = on_disk(&path);
    let stream = store.create_stream("s", StreamOptions::new().shards(1000)).unwrap();
    let (bytes, segments) = on_disk(&path);
    println!("an empty store takes {empty_store} bytes, one with 1,000 empty shards {bytes}");
    assert_eq!(segments, 0);
    assert!(bytes - empty_store <= 256 * 1024, "{bytes} bytes for shards that nobody has written to");
    assert_eq!(stream.stats().shards.iter().map(|stats| stats.bytes).sum::<u64>(), 0);

    // Neither reading, nor syncing, nor opening it again changes that.
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, riverbed::Position::TrimHorizon).unwrap();
        assert!(reader.next().unwrap().is_none());
    }
    stream.sync().unwrap();
    store.close().unwrap();
    drop((store, stream));
    let store = Store::open(&path).unwrap();
    let stream = store.open_stream("s").unwrap();
    let (again, segments) = on_disk(&path);
    assert_eq!((again, segments), (bytes, 0));

    // One that is written to costs no more than its own.
    let hash_key = stream.shards()[500].range.start;
    stream.put_record(&PutRecord::new("k", b"v").explicit_hash_key(hash_key)).unwrap();
    stream.sync().unwrap();
    let open = on_disk(&path).0 - bytes;
    store.close().unwrap();
    let closed = on_disk(&path).0 - bytes;
    println!("a shard that was written to once takes {open} bytes, {closed} once its store is closed");
    assert!(open <= 1 << 20 && closed <= 1 << 20, "{open}, {closed}");
}

#[test]
fn shards_that_were_all_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::options().segment_len(64 * 1024, 64 * 1024).open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(200)).unwrap();
    let (before, _) = on_disk(&path);
    let shards = stream.shards();
    let batch: Vec<_> =
        shards.iter().map(|shard| PutRecord::new("k", b"v").explicit_hash_key(shard.range.start)).collect();
    stream.put_records(&batch).all().unwrap();
    store.close().unwrap();
    let (after, _) = on_disk(&path);
    let each = (after - before) / 200;
    println!("200 shards with segments of 64 KiB take {each} bytes each");
    assert!(each <= 1 << 20);
}
