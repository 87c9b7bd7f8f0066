//! How long opening a store of 1 and of 4 GiB takes, after a clean close and after a kill, beside how long the disk takes to sync
//! as many bytes as there were above the watermark. Asserts no times.
//!
//! `cargo test --release --test reopen_times -- --ignored --nocapture`; needs 5 GiB of disk. `RIVERBED_GIB` names
//! other sizes, as in `RIVERBED_GIB=1,16`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the times are printed")]

#[path = "common/child.rs"]
mod child;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use riverbed::{Durability, PutRecord, Store, StreamOptions};

const RECORD: usize = 1000;
const SEGMENT: usize = 64 << 20;
const OPENINGS: usize = 25;

#[test]
fn child_fills() {
    let Some(task) = child::task() else { return };
    let parts: Vec<_> = task.splitn(3, ',').collect();
    let store = Store::open(parts[2]).unwrap();
    let durability = if parts[1] == "buffered" { Durability::Buffered } else { Durability::default() };
    let stream = store.create_stream("s", StreamOptions::new().durability(durability)).unwrap();
    let data = vec![9; RECORD];
    let batch = vec![PutRecord::new("key", &data); 1000];
    for _ in 0..(parts[0].parse::<usize>().unwrap() << 30) / (batch.len() * RECORD) {
        assert_eq!(stream.put_records(&batch).failed_record_count(), 0);
    }
    child::report("\nfilled\n");
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "writes gigabytes to time something: for people to look at"]
fn times() {
    let sizes = std::env::var("RIVERBED_GIB").unwrap_or_else(|_| "1,4".to_owned());
    for size in sizes.split(',') {
        for durability in ["periodic", "buffered"] {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let path = directory.path().join("data");
            let mut child = child::start("child_fills", &format!("{size},{durability},{}", path.display()));
            child.line_starting(&["filled"]);
            child.kill();
            let state = |state: &str| format!("{size} GiB, {durability}, {state}");
            let (elapsed, above) = open(&path);
            println!("{}: {elapsed:.1?}, {}", state("killed"), rate(above, elapsed));
            let (bare, bytes) = sync(directory.path(), above);
            println!("{}: {}", state("the disk by itself"), rate(bytes, bare));
            let mut times: Vec<_> = (0..OPENINGS).map(|_| open(&path).0).collect();
            times.sort();
            let (median, longest) = (times[OPENINGS / 2], times[OPENINGS - 1]);
            println!("{}: {median:.1?}, the longest of {OPENINGS} {longest:.1?}", state("closed"));
            files(&path).iter().for_each(|file| forget_cached(file));
            println!("{}: {:.1?}", state("closed, nothing cached"), open(&path).0);
        }
    }
}

/// How long it takes, and how many bytes of records were found above the watermark.
fn open(path: &Path) -> (Duration, usize) {
    // Not while the disk is still at what the last one did.
    std::thread::sleep(Duration::from_millis(20));
    let started = Instant::now();
    let store = Store::open(path).unwrap();
    let elapsed = started.elapsed();
    let report = store.recovery_report();
    assert!(!report.is_damaged());
    let recovered: u64 = report.findings().map(|(_, finding)| finding.recovered_records).sum();
    store.close().unwrap();
    (elapsed, usize::try_from(recovered).unwrap() * RECORD)
}

fn rate(bytes: usize, elapsed: Duration) -> String {
    format!("{bytes} bytes at {:.2} GB/s", bytes as f64 / elapsed.as_secs_f64() / 1e9)
}

/// How long syncing about so many bytes takes that have just been written, and how many there were.
fn sync(directory: &Path, bytes: usize) -> (Duration, usize) {
    // Page by page, as records come: pages that come together are synced faster.
    let piece = vec![7; 4096];
    let files: Vec<_> = (0..bytes.div_ceil(SEGMENT))
        .map(|index| {
            let mut file = File::create(directory.join(format!("bare-{index}"))).unwrap();
            (0..SEGMENT / piece.len()).for_each(|_| file.write_all(&piece).unwrap());
            file
        })
        .collect();
    let started = Instant::now();
    files.iter().for_each(|file| file.sync_data().unwrap());
    let elapsed = started.elapsed();
    (0..files.len()).for_each(|index| std::fs::remove_file(directory.join(format!("bare-{index}"))).unwrap());
    (elapsed, files.len() * SEGMENT)
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    std::fs::read_dir(path).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect()
}

/// Drops a file's clean pages from the page cache. Where that does not work, the times are those of a warm cache.
fn forget_cached(file: &Path) {
    let from = format!("if={}", file.display());
    drop(Command::new("dd").args([&from, "iflag=nocache", "count=0", "status=none"]).status());
}
