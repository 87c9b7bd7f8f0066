//! A small record that is synced costs small writes, also after a restart.
//!
//! Guards against the large-folio trap: where the page cache holds a segment in folios of megabytes, because it was
//! read or zeroed in large pieces, one record stored through the mapping makes a whole folio dirty, and each sync
//! writes megabytes. Counts what this process had written, by `/proc/self/io`, and what the device wrote, by its own
//! statistics, where it can be told; the device's count includes what others write and is only printed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the sizes are printed")]

#[path = "common/child.rs"]
mod child;
#[path = "common/mount.rs"]
mod mount;

use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};

use riverbed::{Durability, Store, Stream, StreamOptions};

const APPENDS: u64 = 100;
const SEGMENT_LEN: u64 = 64 << 20;
/// What is in the segment before it is reopened, so that a scan of it reads large pieces.
const FILLED: u64 = 24 << 20;
/// Far above the few pages of a record, and far below the smallest large folio times the appends.
const MOST_BYTES: u64 = 64 * 1024;

#[test]
fn child_fills() {
    let Some(path) = child::task() else { return };
    let stream = open(Path::new(&path)).open_stream("s").unwrap();
    fill(&stream);
    child::report("\nfilled\n");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_synced_record_of_256_bytes_costs_less_than_64_kib() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // One after the other, since what the process writes is counted.
    in_each_state("here", directory.path());
    let image = directory.path().join("disk.img");
    match mount::Mount::formatted(&image, 1 << 30, "xfs", &directory.path().join("disk")) {
        Ok(disk) => in_each_state("xfs", disk.point()),
        Err(why) => println!("synced append size on xfs: skipped, no xfs on a loop device: {why}"),
    }
}

fn in_each_state(place: &str, directory: &Path) {
    if written_by_process().is_none() {
        return println!("synced append size: skipped, no write_bytes in /proc/self/io");
    }
    let path = directory.join("data");
    println!("bytes written per synced append of 256 bytes: by this process, by the device");

    let store = open(&path);
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    measure(&format!("{place}, fresh segment"), &stream, directory);
    fill(&stream);
    measure(&format!("{place}, segment with 24 MiB in it"), &stream, directory);
    drop(stream);
    store.close().unwrap();
    drop(store);

    let store = open(&path);
    assert!(store.recovery_report().is_clean());
    measure(&format!("{place}, after a clean close"), &store.open_stream("s").unwrap(), directory);
    drop(store);

    let store = open(&path);
    read(&store.open_stream("s").unwrap());
    measure(
        &format!("{place}, after a clean close, having read all"),
        &store.open_stream("s").unwrap(),
        directory,
    );
    drop(store);

    let mut child = child::start("child_fills", path.to_str().unwrap());
    child.line_starting(&["filled"]);
    child.kill();
    let store = open(&path);
    assert!(!store.recovery_report().is_clean());
    let recovered: u64 =
        store.recovery_report().findings().map(|(_, finding)| finding.recovered_records).sum();
    assert!(recovered > 1000, "recovery had nothing to scan");
    measure(&format!("{place}, after a kill and recovery"), &store.open_stream("s").unwrap(), directory);
    drop(store);

    let store = open(&path);
    assert!(store.recovery_report().is_clean());
    measure(&format!("{place}, after that and a clean close"), &store.open_stream("s").unwrap(), directory);
}

fn open(path: &Path) -> Store {
    Store::options().segment_len(SEGMENT_LEN, SEGMENT_LEN).open(path).unwrap()
}

/// Puts 24 MiB that nobody syncs.
fn fill(stream: &Stream) {
    let data = vec![7; 4096];
    for _ in 0..FILLED / 4096 {
        let record = riverbed::PutRecord::new("key", &data).durability(Durability::Buffered);
        stream.put_record(&record).unwrap();
    }
}

fn read(stream: &Stream) {
    let mut reader = stream.reader(stream.shards()[0].id, riverbed::Position::TrimHorizon).unwrap();
    while reader.next().unwrap().is_some() {}
}

fn measure(state: &str, stream: &Stream, directory: &Path) {
    let put = || {
        let record = riverbed::PutRecord::new("key", &[1; 256]).durability(Durability::Immediate);
        stream.put_record(&record).unwrap();
    };
    // What was put before is synced first, and not counted.
    put();
    let device = device_statistics(directory);
    let (before, device_before) =
        (written_by_process().unwrap(), device.as_deref().and_then(written_by_device));
    (0..APPENDS).for_each(|_| put());
    let written = (written_by_process().unwrap() - before) / APPENDS;
    let by_device = device.as_deref().and_then(written_by_device).zip(device_before);
    match by_device {
        Some((after, before)) => println!("{state}: {written}, {}", (after - before) / APPENDS),
        None => println!("{state}: {written}, unknown"),
    }
    assert!(written < MOST_BYTES, "{state}: each synced append of 256 bytes writes {written} bytes");
}

/// Bytes that this process caused to be written; `None` where the kernel does not count them.
fn written_by_process() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// The statistics of the block device that the directory lies on, if it lies on one.
fn device_statistics(directory: &Path) -> Option<PathBuf> {
    let device = std::fs::metadata(directory).ok()?.st_dev();
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    let path = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
    path.exists().then_some(path)
}

fn written_by_device(statistics: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(statistics).ok()?;
    // The seventh field counts sectors of 512 bytes written.
    text.split_whitespace().nth(6)?.parse::<u64>().ok().map(|sectors| sectors * 512)
}
