//! Guards against records that do not fit the usual segment: refused, cut off, or leaving a file that a restart cannot
//! read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::io::ErrorKind;

use riverbed::testing::{Disk, Operation, Verdict};
use riverbed::{
    Durability, HashKey, Maintenance, Position, PutError, PutRecord, Store, StoreOptions, Stream,
    StreamOptions,
};

const MIB: usize = 1024 * 1024;
const MAX_RECORD: usize = 10 * MIB;

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 128 * 1024)
}

type Expected = Vec<(Vec<u8>, Vec<u8>)>;

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

fn put(stream: &Stream, expected: &mut Expected, data: Vec<u8>, metadata: Vec<u8>, durability: Durability) {
    stream.put_record(&PutRecord::new("k", &data).metadata(&metadata).durability(durability)).unwrap();
    expected.push((data, metadata));
}

fn check(stream: &Stream, expected: &Expected) {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    for (index, (data, metadata)) in expected.iter().enumerate() {
        let record = reader.next().unwrap().unwrap();
        assert!(record.data() == data && record.metadata() == metadata, "record {index}");
    }
    assert!(reader.next().unwrap().is_none());
}

/// Checks now, after an orderly restart, and after each way of stopping without order.
fn check_for_good(disk: Disk, store: Store, stream: Stream, expected: &mut Expected) {
    check(&stream, expected);
    stream.sync().unwrap();
    let disk = disk.cut_power(7);
    drop((store, stream));
    let store = options(&disk).open("data").unwrap();
    assert!(!store.recovery_report().is_damaged(), "{:#?}", store.recovery_report());
    let stream = store.open_stream("s").unwrap();
    check(&stream, expected);
    put(&stream, expected, bytes(MAX_RECORD - 1, 3), Vec::new(), Durability::Buffered);
    let disk = disk.kill();
    drop((store, stream));
    let store = options(&disk).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    check(&stream, expected);
    put(&stream, expected, bytes(10, 4), Vec::new(), Durability::Buffered);
    store.close().unwrap();
    drop((store, stream));
    let store = options(&disk).open("data").unwrap();
    assert!(store.recovery_report().is_clean(), "{:#?}", store.recovery_report());
    check(&store.open_stream("s").unwrap(), expected);
}

#[test]
fn the_largest_records_among_small_ones() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let mut expected = Expected::new();
    for round in 0..3 {
        for len in [100, MAX_RECORD - 1, 100, 0] {
            let metadata = bytes(if len == 100 { 65_536 } else { 3 }, round);
            put(&stream, &mut expected, bytes(len, round), metadata, Durability::Buffered);
        }
        store.maintain();
    }
    check_for_good(disk, store, stream, &mut expected);
}

#[test]
fn the_very_first_record_is_the_largest() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let mut expected = Expected::new();
    put(&stream, &mut expected, bytes(MAX_RECORD - 1, 1), bytes(65_536, 2), Durability::Immediate);
    check_for_good(disk, store, stream, &mut expected);
}

#[test]
fn a_record_larger_than_the_segment_that_is_prepared() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let mut expected = Expected::new();
    // Full enough that the next segment has been prepared, of the usual length.
    for index in 0..6 {
        put(&stream, &mut expected, bytes(9_000, index), Vec::new(), Durability::Buffered);
        store.maintain();
    }
    for len in [64 * 1024, 128 * 1024, 128 * 1024 - 8192, 300_000, MIB] {
        put(&stream, &mut expected, bytes(len, 9), Vec::new(), Durability::Buffered);
        put(&stream, &mut expected, bytes(9_000, 9), Vec::new(), Durability::Immediate);
        store.maintain();
    }
    // The segments after it are of the usual length again.
    for index in 0..40 {
        put(&stream, &mut expected, bytes(9_000, index), Vec::new(), Durability::Buffered);
    }
    let largest = disk.files().iter().map(|path| disk.read(path).unwrap().len()).max().unwrap();
    assert!(largest < 2 * MIB);
    check_for_good(disk, store, stream, &mut expected);
}

#[test]
fn every_length_around_the_end_of_a_segment() {
    // Those that just fit, and those that just do not.
    for len in (64 * 1024 - 8192 - 80)..(64 * 1024 - 8192 + 8) {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        let mut expected = Expected::new();
        put(&stream, &mut expected, bytes(len, 1), Vec::new(), Durability::Buffered);
        put(&stream, &mut expected, bytes(1, 2), Vec::new(), Durability::Immediate);
        let disk = disk.cut_power(1);
        drop((store, stream));
        let store = options(&disk).open("data").unwrap();
        check(&store.open_stream("s").unwrap(), &expected);
    }
}

/// Checksums are found while the data are copied from some length on, before that below it and where data are written to the file.
#[test]
fn every_record_has_its_checksum_however_it_got_there() {
    let lengths = [0, 1, 200, 255, 256, 257, 319, 320, 1000, 4096, 16_383, 16_384, 65_537, 524_287, 524_288];
    let options = |disk: &Disk| options(disk).segment_len(8 * MIB as u64, 8 * MIB as u64);
    for faulted_in in [false, true] {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        let mut expected = Expected::new();
        if faulted_in {
            // A while without a sync, after which pages are there before the writer is.
            for _ in 0..64 {
                put(&stream, &mut expected, bytes(32 * 1024, 1), Vec::new(), Durability::Buffered);
                store.maintain();
            }
        }
        for len in lengths {
            for metadata in [0, 5, 300] {
                let (data, metadata) = (bytes(len, 2), bytes(metadata, 3));
                put(&stream, &mut expected, data.clone(), metadata.clone(), Durability::Buffered);
                let elsewhere = HashKey::from(7);
                let record = PutRecord::new("another key", &data).metadata(&metadata);
                stream.put_record(&record.explicit_hash_key(elsewhere)).unwrap();
                expected.push((data, metadata));
                store.maintain();
            }
        }
        check(&stream, &expected);
        stream.sync().unwrap();
        let report = options(&disk).verify("data").unwrap();
        assert!(report.is_clean(), "{report:#?}");
        drop((store, stream));
        let store = options(&disk).open("data").unwrap();
        check(&store.open_stream("s").unwrap(), &expected);
    }
}

#[test]
fn a_batch_of_large_ones() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let mut expected: Expected = (0..5).map(|seed| (bytes(2 * MIB, seed), bytes(65_536, seed))).collect();
    let batch: Vec<_> =
        expected.iter().map(|(data, metadata)| PutRecord::new("k", data).metadata(metadata)).collect();
    stream.put_records(&batch).all().unwrap();
    check_for_good(disk, store, stream, &mut expected);
}

#[test]
fn one_that_cannot_be_written_leaves_nothing_behind() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let mut expected = Expected::new();
    put(&stream, &mut expected, bytes(100, 1), Vec::new(), Durability::Buffered);
    disk.plan(|call| match call.operation {
        Operation::Write => Verdict::Fail(ErrorKind::Other),
        _ => Verdict::Proceed,
    });
    let (metadata, data) = (bytes(3000, 4), bytes(40_000, 2));
    let refused = stream.put_record(&PutRecord::new("k", &data).metadata(&metadata));
    assert!(matches!(refused, Err(PutError::Io(_))), "{refused:?}");
    check(&stream, &expected);
    disk.plan(|_| Verdict::Proceed);
    // Shorter than the one that failed: what that had stored must not show behind it.
    put(&stream, &mut expected, bytes(10, 3), Vec::new(), Durability::Immediate);
    let report = options(&disk).verify("data").unwrap();
    assert!(report.is_clean(), "{report:#?}");
    put(&stream, &mut expected, bytes(40_000, 2), Vec::new(), Durability::Buffered);
    check_for_good(disk, store, stream, &mut expected);
}
