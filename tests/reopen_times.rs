//! How long opening a store of 1 and of 4 GiB takes, after a clean close and after a kill. Asserts no times.
//!
//! `cargo test --release --test reopen_times -- --ignored --nocapture`; needs 5 GiB of disk. `RIVERBED_GIB` names
//! other sizes, as in `RIVERBED_GIB=1,16`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the times are printed")]

#[path = "common/child.rs"]
mod child;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use riverbed::{Durability, PutRecord, Store, StreamOptions};

const RECORD: usize = 1000;

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
            open(&format!("{size} GiB, {durability}, killed"), &path);
            open(&format!("{size} GiB, {durability}, closed"), &path);
            files(&path).iter().for_each(|file| forget_cached(file));
            open(&format!("{size} GiB, {durability}, closed, nothing cached"), &path);
        }
    }
}

fn open(state: &str, path: &Path) {
    let started = Instant::now();
    let store = Store::open(path).unwrap();
    let elapsed = started.elapsed();
    let report = store.recovery_report();
    let segments: usize = report.shards.iter().map(|shard| shard.segments).sum();
    let recovered: u64 = report.findings().map(|(_, finding)| finding.recovered_records).sum();
    println!("{state}: {elapsed:.1?}, {segments} segments, {recovered} records above the watermark");
    assert!(!report.is_damaged());
    store.close().unwrap();
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
