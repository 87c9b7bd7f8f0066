//! Guards against bytes that are gone (or somebody else's) while a record is still held, and against copies where none
//! are promised.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use riverbed::{HashKey, OwnedRecord, Position, PutRecord, Retention, Store, Stream, StreamOptions};
use tempfile::TempDir;

/// On a real disk: only there does using an unmapped page end the process.
fn setup() -> (TempDir, Store, Stream) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for index in 0..60_u8 {
        let (key, data, metadata) = expected(index);
        let record = PutRecord::new(&key, &data).metadata(&metadata);
        let record = if index.is_multiple_of(3) {
            record.explicit_hash_key(HashKey::from(u128::from(index)))
        } else {
            record
        };
        stream.put_record(&record).unwrap();
    }
    assert!(stream.stats().shards[0].segments > 5);
    (directory, store, stream)
}

fn open(directory: &TempDir) -> Store {
    // Nothing stays mapped that nobody holds.
    let path: PathBuf = directory.path().join("data");
    Store::options().segment_len(64 * 1024, 64 * 1024).max_mapped_segments(0).open(path).unwrap()
}

fn expected(index: u8) -> (String, Vec<u8>, Vec<u8>) {
    let metadata = if index.is_multiple_of(2) { vec![0xee; usize::from(index) * 3] } else { Vec::new() };
    (format!("key-{index}"), vec![index; 10_000 + usize::from(index)], metadata)
}

fn check(records: &[OwnedRecord]) {
    assert_eq!(records.len(), 60);
    for (index, record) in (0..).zip(records) {
        let (key, data, metadata) = expected(index);
        assert_eq!(record.partition_key().unwrap(), key);
        assert!(record.data() == &data, "record {index}");
        assert!(record.metadata() == &metadata, "record {index}");
        assert_eq!(
            record.explicit_hash_key(),
            index.is_multiple_of(3).then(|| HashKey::from(u128::from(index)))
        );
    }
}

fn read(stream: &Stream) -> Vec<OwnedRecord> {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        records.push(record.to_owned());
    }
    records
}

#[test]
fn nothing_is_copied() {
    let (_directory, _store, stream) = setup();
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    while let Some(record) = reader.next().unwrap() {
        let (data, key, metadata) =
            (record.data().as_ptr(), record.key().as_ptr(), record.metadata().as_ptr());
        let bytes = record.to_bytes();
        let owned = record.to_owned();
        assert_eq!(bytes.as_ptr(), data);
        assert_eq!(owned.data().as_ptr(), data);
        assert_eq!(owned.partition_key().unwrap().as_ptr(), key);
        if !record.metadata().is_empty() {
            assert_eq!(owned.metadata().as_ptr(), metadata);
        }
        assert_eq!(owned.clone().into_data().as_ptr(), data);
        assert_eq!(bytes.len(), record.data().len());
    }
}

#[test]
fn pages_are_not_copies_either() {
    let (_directory, _store, stream) = setup();
    let shard = stream.shards()[0].id;
    let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
    // While the page is held, the mapping that another reader gets is the same one.
    let page = reader.get_records(3, usize::MAX).unwrap().records;
    let mut other = stream.reader(shard, Position::TrimHorizon).unwrap();
    for record in &page {
        assert_eq!(other.next().unwrap().unwrap().data().as_ptr(), record.data().as_ptr());
    }
}

#[test]
fn they_outlive_reader_stream_and_store() {
    let (directory, store, stream) = setup();
    let records = read(&stream);
    let data: Vec<_> = records.iter().map(|record| record.data().clone()).collect();
    check(&records);
    drop(stream);
    store.close().unwrap();
    check(&records);
    drop(store);
    check(&records);
    // Another writer of the same files does not touch what is held.
    let store = open(&directory);
    let stream = store.open_stream("s").unwrap();
    for _ in 0..30 {
        stream.put("k", [0xff; 10_000]).unwrap();
    }
    check(&records);
    drop((store, stream));
    drop(directory);
    check(&records);
    drop(records);
    for (index, data) in (0..).zip(&data) {
        assert!(data == &expected(index).1);
    }
}

#[test]
fn they_outlive_the_stream_that_is_deleted() {
    let (directory, store, stream) = setup();
    let records = read(&stream);
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    reader.next().unwrap().unwrap();
    store.delete_stream("s").unwrap();
    check(&records);
    assert_eq!(std::fs::read_dir(directory.path().join("data/streams")).unwrap().count(), 0);
    // A reader in a segment reads that to its end.
    assert_eq!(reader.next().unwrap().unwrap().data(), expected(1).1);
    let again = store.create_stream("s", StreamOptions::new()).unwrap();
    for _ in 0..30 {
        again.put("k", [0xff; 10_000]).unwrap();
    }
    drop((stream, reader));
    check(&records);
}

#[test]
fn they_outlive_what_is_trimmed() {
    let (_directory, store, stream) = setup();
    let records = read(&stream);
    let newest = records[59].sequence_number();
    store.sync().unwrap();
    assert!(stream.trim_to(newest).unwrap() > 0);
    assert!(read(&stream).len() < 10);
    check(&records);
    stream.set_retention(Retention::of_bytes(0)).unwrap();
    check(&records);
    assert!(stream.stats().shards[0].pinned_bytes > 0);
}

#[test]
fn threads_may_hold_and_drop_them_in_any_order() {
    let (_directory, store, stream) = setup();
    let mut records = read(&stream);
    drop((store, stream));
    fastrand::Rng::with_seed(2).shuffle(&mut records);
    std::thread::scope(|scope| {
        for part in records.chunks(15).map(<[OwnedRecord]>::to_vec) {
            scope.spawn(move || {
                for record in part {
                    let index: u8 = record.partition_key().unwrap()["key-".len()..].parse().unwrap();
                    assert!(record.into_data() == expected(index).1);
                }
            });
        }
    });
}
