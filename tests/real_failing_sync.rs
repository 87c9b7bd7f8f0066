//! After a sync that has really failed, what the next opening serves is on disk: ext4 on a disk that cannot write for a while.
//!
//! Guards against believing the page cache, in which everything reads as if it had been written, as far as the simulated disk of
//! `tests/failing_sync.rs` is like a real one. The disk is a loop device whose backing file is sparse, on a file system that is full.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "it says why it is skipped")]

#[path = "common/mount.rs"]
mod mount;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use mount::Mount;
use riverbed::{Durability, Maintenance, Position, PutRecord, Store, StoreOptions, Stream, StreamOptions};

const MIB: u64 = 1 << 20;
const DISK: u64 = 64 * MIB;

fn options() -> StoreOptions {
    Store::options().maintenance(Maintenance::Manual).segment_len(8 * MIB, 8 * MIB)
}

fn put(stream: &Stream, byte: u8, len: usize, durability: Durability) {
    stream.put_record(&PutRecord::new("k", &vec![byte; len]).durability(durability)).unwrap();
}

/// The first byte and the length of each record.
fn records(stream: &Stream) -> Vec<(u8, usize)> {
    let mut reader = stream.reader(stream.shards().first().unwrap().id, Position::TrimHorizon).unwrap();
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let data = record.data();
        assert!(data.iter().all(|byte| Some(byte) == data.first()));
        found.push((*data.first().unwrap(), data.len()));
    }
    found
}

/// Makes a disk of ext4, mounts it, and leaves room behind the blocks in use alone: the journal's, not those of files to come.
fn disk(image: &Path, at: &Path) -> Result<Mount, String> {
    mount::format(image, DISK, "ext4")?;
    mount::run("fallocate", &["-l", &DISK.to_string(), mount::text(image)])?;
    let disk = Mount::new(image, "ext4", "loop", at)?;
    mount::run("fstrim", &[mount::text(at)])?;
    let backed = 512 * std::fs::metadata(image).map_err(|error| error.to_string())?.blocks();
    if backed < DISK / 2 { Ok(disk) } else { Err("its loop device does not trim".to_owned()) }
}

#[test]
fn what_is_served_after_a_failed_sync_is_on_disk() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let backing = match Mount::tmpfs(96 * MIB, &directory.path().join("backing")) {
        Ok(backing) => backing,
        Err(why) => return println!("skipped, no tmpfs for a backing file: {why}"),
    };
    let (image, filler) = (backing.point().join("disk.img"), backing.point().join("filler"));
    let at = directory.path().join("disk");
    let disk = match disk(&image, &at) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped, no ext4: {why}"),
    };
    let path = disk.point().join("store");
    let store = options().open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    put(&stream, 1, 100, Durability::Immediate);
    // Behind the blocks that were written ahead of it.
    (2..5).for_each(|byte| put(&stream, byte, 1_000_000, Durability::Buffered));
    let mut rest = File::create(&filler).unwrap();
    while rest.write_all(&[0; 4096]).is_ok() {}
    let failed = stream.sync().unwrap_err();
    assert!(failed.is_final, "{failed}");
    assert!(store.close().is_err());
    // A stream that somebody still holds keeps its pages mapped.
    drop(store);
    drop(rest);
    std::fs::remove_file(&filler).unwrap();

    // The system may tell of the same failure twice.
    let store = options().open(&path).or_else(|_| options().open(&path)).unwrap();
    let held = stream;
    let stream = store.open_stream("s").unwrap();
    let served = records(&stream);
    assert_eq!(served, [(1, 100), (2, 1_000_000), (3, 1_000_000), (4, 1_000_000)]);
    put(&stream, 5, 100, Durability::Immediate);
    let expected: Vec<_> = served.into_iter().chain([(5, 100)]).collect();
    store.close().unwrap();
    drop((store, stream, held));
    // What is not on disk is forgotten.
    drop(disk);
    let disk = Mount::new(&image, "ext4", "loop", &at).unwrap();

    let store = options().open(disk.point().join("store")).unwrap();
    assert!(!store.recovery_report().is_damaged(), "{:?}", store.recovery_report());
    assert_eq!(records(&store.open_stream("s").unwrap()), expected);
    println!("{} records served after a failed sync, all of them on disk", expected.len() - 1);
}
