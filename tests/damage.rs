//! Guards against taking damage for an unacknowledged tail (which would drop good records behind it), against bytes of
//! another segment coming back to life, and against an error that does not say how to go on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use riverbed::testing::Disk;
use riverbed::{
    Durability, Maintenance, Position, PutRecord, ReadError, RecoveryRow, Store, StoreOptions, Stream,
    StreamOptions,
};

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

fn put(stream: &Stream, data: &[u8], durability: Durability) {
    stream.put_record(&PutRecord::new("k", data).durability(durability)).unwrap();
}

fn segment(stream: &str, ordinal: u64) -> PathBuf {
    PathBuf::from(format!("data/streams/{stream}/shard-000000/{ordinal:020}.segment"))
}

/// Everything that can be read, and the damage met on the way.
fn read(stream: &Stream) -> (Vec<Vec<u8>>, Vec<ReadError>) {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let (mut found, mut damage) = (Vec::new(), Vec::new());
    loop {
        match reader.next() {
            Ok(Some(record)) => found.push(record.data().to_vec()),
            Ok(None) => return (found, damage),
            Err(error) => {
                assert!(damage.len() < 10, "the reader does not get past {error}");
                damage.push(error);
                reader.skip_damage().unwrap();
            }
        }
    }
}

/// The place of `needle` in a file.
fn find(disk: &Disk, path: &PathBuf, needle: &[u8]) -> usize {
    let bytes = disk.read(path).unwrap();
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn below_the_watermark_it_is_damage_and_costs_one_record() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for index in 0..10 {
        put(&stream, format!("record {index}").as_bytes(), Durability::Immediate);
    }
    std::mem::forget((store, stream));
    let disk = disk.kill();
    let path = segment("s", 0);
    let place = find(&disk, &path, b"record 3");
    disk.damage(&path, place, b"RECORD").unwrap();

    let store = options(&disk).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    let (found, damage) = read(&stream);
    assert_eq!(found.len(), 9, "only the damaged record is lost: {:?}", store.recovery_report());
    match damage.as_slice() {
        [ReadError::Corrupt { path: damaged, offset, reason }] => {
            assert_eq!(damaged, &path);
            assert!((place - 64..=place).contains(&usize::try_from(*offset).unwrap()));
            assert!(reason.contains("body checksum: expected 0x"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    // The rest of the store is not affected, this shard's writes included.
    put(&stream, b"after", Durability::Immediate);
    assert_eq!(read(&stream).0.last().unwrap(), b"after");
}

#[test]
fn a_damaged_length_is_not_followed() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for index in 0..10 {
        put(&stream, format!("record {index}").as_bytes(), Durability::Immediate);
    }
    store.close().unwrap();
    drop((store, stream));
    let path = segment("s", 0);
    // A header of 32 bytes and a key of one come before the data; the length is the header's first word.
    let header = find(&disk, &path, b"record 5") - 33;
    for length in [0_u32, 1, 40, 42, 82, 65_000, u32::MAX] {
        disk.damage(&path, header, &length.to_le_bytes()).unwrap();
        let store = options(&disk).open("data").unwrap();
        assert!(store.recovery_report().is_clean(), "what is below the watermark is not scanned");
        let (found, damage) = read(&store.open_stream("s").unwrap());
        assert_eq!((found.len(), damage.len()), (9, 1), "length {length}: {damage:?}");
    }
}

#[test]
fn bytes_of_another_segment_do_not_come_back_to_life() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    for name in ["a", "b"] {
        let stream = store.create_stream(name, StreamOptions::new()).unwrap();
        for index in 0..3 {
            put(&stream, format!("record {index}").as_bytes(), Durability::Immediate);
        }
    }
    let other = store.open_stream("b").unwrap();
    put(&other, b"record 3", Durability::Immediate);
    std::mem::forget((store, other));
    let disk = disk.kill();
    // A whole good frame with the very number that comes next, but of stream b.
    let frame_at = find(&disk, &segment("b", 0), b"record 3") - 33;
    let frame = disk.read(segment("b", 0)).unwrap()[frame_at..frame_at + 48].to_vec();
    disk.damage(segment("a", 0), frame_at, &frame).unwrap();

    let store = options(&disk).open("data").unwrap();
    let (found, damage) = read(&store.open_stream("a").unwrap());
    assert_eq!((found.len(), damage.len()), (3, 0));
    let report = store.recovery_report();
    let torn: Vec<_> =
        report.findings().filter(|(_, finding)| finding.row == RecoveryRow::TornTail).collect();
    assert_eq!(torn.len(), 1, "{report:#?}");
    assert!(torn[0].1.dropped_bytes >= 40 && torn[0].1.reason.contains("header checksum"), "{report:#?}");
}

#[test]
fn a_missing_segment_is_a_gap_that_can_be_passed() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for index in 0_u8..12 {
        put(&stream, &[index; 15_000], Durability::Immediate);
    }
    store.close().unwrap();
    drop((store, stream));
    // Three records fill a segment; the second of four loses its identity on both pages.
    for page in 0..2 {
        disk.damage(segment("s", 1), page * 4096 + 16, &[0xff; 16]).unwrap();
    }
    for _ in 0..2 {
        let store = options(&disk).open("data").unwrap();
        assert!(store.recovery_report().is_damaged());
        let stream = store.open_stream("s").unwrap();
        let (found, damage) = read(&stream);
        let firsts: Vec<_> = found.iter().map(|data| data[0]).collect();
        assert_eq!(firsts[..9], [0, 1, 2, 6, 7, 8, 9, 10, 11]);
        assert!(
            matches!(damage.as_slice(), [ReadError::Corrupt { path, .. }] if *path == segment("s", 1)),
            "{damage:?}"
        );
        put(&stream, b"writes go on", Durability::Immediate);
    }
}

#[test]
fn one_header_page_is_enough() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for index in 0_u8..8 {
        put(&stream, &[index; 15_000], Durability::Immediate);
    }
    store.close().unwrap();
    drop((store, stream));
    // The magic bytes, the format, the id, the checksum; of either page.
    for page in [0, 4096] {
        for field in [0, 8, 16, 72] {
            let before = disk.read(segment("s", 1)).unwrap()[page + field..page + field + 4].to_vec();
            disk.damage(segment("s", 1), page + field, &[before[0] ^ 2]).unwrap();
            let store = options(&disk).open("data").unwrap();
            assert!(store.recovery_report().is_clean(), "page {page}, byte {field}");
            let (found, damage) = read(&store.open_stream("s").unwrap());
            assert_eq!((found.len(), damage.len()), (8, 0), "page {page}, byte {field}: {damage:?}");
            drop(store);
            disk.damage(segment("s", 1), page + field, &before).unwrap();
        }
    }
}
