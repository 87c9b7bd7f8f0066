//! Guards against a change that makes stores of format 1 unreadable, or reads them differently: the files in
//! `tests/fixtures/v1` were written when the format was new, and must open for ever. They are never written anew to make
//! this pass; a newer format gets a fixture of its own.
//!
//! `clean` was closed in good order, and has rolled to a second segment. `killed` was copied from under a process that
//! was writing, with records that no sync had covered. Git keeps no empty directories: `scratch` is missing, which must not matter.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use riverbed::testing::ManualClock;
use riverbed::{
    Durability, HashKey, Maintenance, Position, PutRecord, Retention, Store, StoreOptions, Stream,
    StreamOptions, Timestamp,
};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const RETENTION: Duration = Duration::from_secs(400 * 365 * 24 * 3600);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(name)
}

fn options(clock: &ManualClock) -> StoreOptions {
    let options = Store::options().clock(clock.clone()).maintenance(Maintenance::Manual);
    options.durability(Durability::Buffered).segment_len(64 * 1024, 64 * 1024)
}

/// The record of this index, and the shard that it is put to.
struct Expected {
    shard: u32,
    time: Timestamp,
    key: String,
    explicit_hash_key: Option<HashKey>,
    metadata: Vec<u8>,
    data: Vec<u8>,
}

/// All records of a fixture, in the order of their puts.
fn expected(name: &str) -> Vec<Expected> {
    let len_of = |index: u32| match (name, index) {
        (_, 0) => 0,
        ("clean", 20) => 36_000,
        _ => index * 37 % 2000,
    };
    let record = |index: u32| {
        // All of the clean one's go to shard 0: the other stays without a file.
        let shard = if name == "clean" { 0 } else { index % 2 };
        let hash_key = if shard == 0 { u128::from(index) } else { u128::MAX - u128::from(index) };
        let byte = |at: u32| u8::try_from((at.wrapping_mul(index + 1) >> 3) & 0xff).unwrap();
        Expected {
            shard,
            time: START.saturating_add(Duration::from_secs(u64::from(index / 2))),
            key: if index.is_multiple_of(5) { format!("ключ-{index}") } else { format!("key-{index}") },
            explicit_hash_key: Some(HashKey::from(hash_key)),
            metadata: (0..index % 4 * 11).map(byte).collect(),
            data: (0..len_of(index)).map(byte).collect(),
        }
    };
    (0..40).map(record).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn check(stream: &Stream, expected: &[Expected]) {
    assert_eq!(stream.retention(), Retention::of_age(RETENTION));
    assert_eq!(stream.shards().len(), 2);
    for shard in stream.shards() {
        let of_shard: Vec<_> = expected.iter().filter(|record| record.shard == shard.id.as_u32()).collect();
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        for (counter, expected) in (0..).zip(&of_shard) {
            let record = reader.next().unwrap().unwrap();
            assert_eq!(record.sequence_number().counter(), counter);
            assert_eq!(record.arrival_time(), expected.time);
            assert_eq!(record.partition_key().unwrap(), expected.key);
            assert_eq!(record.explicit_hash_key(), expected.explicit_hash_key);
            assert!(record.metadata() == expected.metadata, "metadata of {counter}");
            assert!(record.data() == expected.data, "data of {counter}");
            let number = record.sequence_number();
            for position in [Position::AtSequenceNumber(number), Position::AtTimestamp(expected.time)] {
                let mut at = stream.reader(shard.id, position).unwrap();
                let found = at.next().unwrap().unwrap();
                assert_eq!(found.arrival_time(), expected.time);
            }
        }
        assert!(reader.next().unwrap().is_none());
    }
}

fn opens_for_ever(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    copy(&fixture(name), &path);
    let clock = ManualClock::new(START.saturating_add(Duration::from_secs(1000)));
    let expected = expected(name);
    let store = options(&clock).create(false).open(&path).unwrap();
    let report = store.recovery_report();
    assert!(!report.is_damaged(), "{report:#?}");
    assert_eq!(report.is_clean(), name == "clean", "{report:#?}");
    assert_eq!(store.list_streams(), ["clicks"]);
    let stream = store.open_stream("clicks").unwrap();
    check(&stream, &expected);
    // It can be written to as well, above everything that is there.
    let put = stream.put_record(&PutRecord::new("k", b"new").explicit_hash_key(HashKey::from(0))).unwrap();
    let in_shard = expected.iter().filter(|record| record.shard == 0).count();
    assert!(put.sequence_number.counter() >= in_shard as u64);
    store.close().unwrap();
    drop((store, stream));
    let store = options(&clock).open(&path).unwrap();
    assert!(store.recovery_report().is_clean());
    let stream = store.open_stream("clicks").unwrap();
    let mut reader = stream.reader(put.shard_id, Position::AtSequenceNumber(put.sequence_number)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().data(), b"new");
}

#[test]
fn a_store_of_format_1_that_was_closed() {
    opens_for_ever("clean");
}

#[test]
fn a_store_of_format_1_whose_process_was_killed() {
    opens_for_ever("killed");
}

/// Wrote the fixtures, once. To be run again only for a fixture that does not exist yet.
#[test]
#[ignore = "writes the fixtures; they are never written anew"]
fn generate() {
    for name in ["clean", "killed"] {
        let target = fixture(name);
        assert!(!target.exists(), "{} is there and stays as it is", target.display());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let clock = ManualClock::new(START);
        let store = options(&clock).open(&path).unwrap();
        let options = StreamOptions::new()
            .shards(2)
            .durability(Durability::Buffered)
            .retention(Retention::of_age(RETENTION));
        let stream = store.create_stream("clicks", options).unwrap();
        for (index, record) in expected(name).into_iter().enumerate() {
            clock.set(record.time);
            let put = PutRecord::new(&record.key, &record.data).metadata(&record.metadata);
            let put = stream.put_record(&put.explicit_hash_key(record.explicit_hash_key.unwrap())).unwrap();
            assert_eq!(put.shard_id.as_u32(), record.shard);
            if index == 25 {
                store.sync().unwrap();
            }
        }
        if name == "clean" {
            // Seals the first segment.
            store.maintain();
            store.close().unwrap();
        }
        copy(&path, &target);
        // Not part of the format: whoever opens the store makes another.
        fs::remove_file(target.join("LOCK")).unwrap();
    }
}
