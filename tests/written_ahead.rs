//! A writer whose records are waited for writes the blocks behind them too, so that the syncs that follow find them written; a writer
//! that nobody waits for does not. Looks at where the segment's first unwritten block is, and measures no time.
//!
//! Guards against a sync that has to enter blocks in the file system's journal for every few records, which takes as long
//! again, and against zeros that are written for shards without number, or for nothing.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says when it is skipped"
)]

use std::fs::File;
use std::path::Path;

use riverbed::{Durability, Position, PutRecord, Store, Stream, StreamOptions};
use rustix::fs::SeekFrom;

const KIB: u64 = 1024;
const DATA: usize = 1024;
/// A frame of as many bytes, at the most.
const FRAME: u64 = 2 * KIB;
const MOST: u64 = 256 * KIB;
/// The header, and the rest of a page.
const BESIDES: u64 = 16 * KIB;

#[test]
fn blocks_are_written_ahead_of_records_that_are_waited_for() {
    let Some((_directory, stream, segment)) = started(64 << 20) else { return };
    put(&stream, Durability::Immediate);
    let first = written(&segment);
    assert!(first > 64 * KIB, "{first} bytes are written, and hardly more are stored");
    assert!(first <= MOST + BESIDES, "{first} bytes are written for one record");
    for records in 2..1000 {
        put(&stream, Durability::Immediate);
        let (stored, written) = (records * DATA as u64, written(&segment));
        assert!(written >= stored, "{written} bytes are written, and {stored} stored");
        assert!(
            written <= records * FRAME + MOST + BESIDES,
            "{written} bytes are written for {records} records"
        );
    }
    // Nothing was written over.
    let mut reader = stream.reader(stream.shards().first().unwrap().id, Position::TrimHorizon).unwrap();
    let mut records = 0;
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.data(), [7; DATA]);
        records += 1;
    }
    assert_eq!(records, 1000);
}

#[cfg(feature = "async")]
#[tokio::test]
async fn blocks_are_written_ahead_of_records_that_are_awaited() {
    let Some((_directory, stream, segment)) = started(64 << 20) else { return };
    for durability in [Durability::Periodic(std::time::Duration::from_secs(60)), Durability::Immediate] {
        let record = PutRecord::new("key", &[7; DATA]).durability(durability);
        stream.put_record_async(&record).await.unwrap();
        let (written, waited_for) = (written(&segment), durability == Durability::Immediate);
        assert_eq!(written > 64 * KIB, waited_for, "{written} bytes are written, {durability:?}");
        assert!(written <= MOST + BESIDES, "{written} bytes are written for one record");
    }
}

#[test]
fn a_shard_that_has_just_begun_writes_little_ahead() {
    let Some((_directory, stream, segment)) = started(256 * KIB) else { return };
    put(&stream, Durability::Immediate);
    let written = written(&segment);
    assert!(written <= 32 * KIB, "{written} bytes are written for one record");
}

#[test]
fn nothing_is_written_ahead_of_records_that_nobody_waits_for() {
    let Some((_directory, stream, segment)) = started(64 << 20) else { return };
    for records in 1..20 {
        put(&stream, Durability::Buffered);
        stream.sync().unwrap();
        let written = written(&segment);
        assert!(written <= records * FRAME + BESIDES, "{written} bytes are written for {records} records");
    }
}

/// A stream, and its first segment; `None` where the file system does not tell which blocks are written.
fn started(segment_len: u64) -> Option<(tempfile::TempDir, Stream, File)> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("data");
    let store = Store::options().segment_len(segment_len, segment_len).open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    put(&stream, Durability::Buffered);
    stream.sync().unwrap();
    let segment = File::open(first_segment(&path)).unwrap();
    if written(&segment) == segment_len {
        println!("written ahead: skipped, the file system does not tell what is written");
        return None;
    }
    Some((directory, stream, segment))
}

fn first_segment(store: &Path) -> std::path::PathBuf {
    store.join("streams/s/shard-000000/00000000000000000000.segment")
}

fn put(stream: &Stream, durability: Durability) {
    stream.put_record(&PutRecord::new("key", &[7; DATA]).durability(durability)).unwrap();
}

/// The offset of the first block that was not written.
fn written(segment: &File) -> u64 {
    rustix::fs::seek(segment, SeekFrom::Hole(0)).unwrap()
}
