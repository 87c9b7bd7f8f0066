//! Guards against pages that are larger than was asked for, that never get past a record larger than the limit, that
//! skip or repeat a record between two of them, and against a lag that is not the records'.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::{Disk, ManualClock};
use riverbed::{Maintenance, Position, Reader, Store, Stream, StreamOptions, Timestamp};

fn setup() -> (Store, Stream, ManualClock, Disk) {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let disk = Disk::new();
    let store = Store::options()
        .storage(&disk)
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .segment_len(64 * 1024, 64 * 1024)
        .open("data")
        .unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    (store, stream, clock, disk)
}

fn reader(stream: &Stream) -> Reader {
    stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap()
}

#[test]
fn pages_of_every_size_add_up() {
    let (_store, stream, _clock, _disk) = setup();
    let mut random = fastrand::Rng::with_seed(8);
    let lens: Vec<_> = (0..300).map(|_| random.usize(..3000)).collect();
    for len in &lens {
        stream.put("k", vec![3; *len]).unwrap();
    }
    for (limit, max_bytes) in [
        (1, 0),
        (7, usize::MAX),
        (usize::MAX, 10_000),
        (10, 5000),
        (300, usize::MAX),
        (usize::MAX, usize::MAX),
    ] {
        let mut reader = reader(&stream);
        let mut found = Vec::new();
        loop {
            let page = reader.get_records(limit, max_bytes).unwrap();
            if page.records.is_empty() {
                break;
            }
            let of_page: Vec<_> = page.records.iter().map(|record| record.data().len()).collect();
            assert!(of_page.len() <= limit);
            let bytes: usize = of_page.iter().sum();
            assert!(of_page.len() == 1 || bytes <= max_bytes, "{bytes} bytes, not {max_bytes}");
            found.extend(of_page);
            // And no less than there is room for.
            let left = lens.get(found.len());
            assert!(
                page.records.len() == limit || left.is_none_or(|len| bytes.saturating_add(*len) > max_bytes),
                "{bytes} of {max_bytes} bytes, and {left:?} more would fit"
            );
        }
        assert_eq!(found, lens, "limit {limit}, {max_bytes} bytes");
    }
}

#[test]
fn a_record_larger_than_the_page_comes_alone() {
    let (_store, stream, _clock, _disk) = setup();
    for len in [10, 100_000, 10, 10] {
        stream.put("k", vec![0; len]).unwrap();
    }
    let mut reader = reader(&stream);
    let mut lens = || {
        let page = reader.get_records(10, 50).unwrap();
        page.records.iter().map(|record| record.data().len()).collect::<Vec<_>>()
    };
    assert_eq!(lens(), [10]);
    assert_eq!(lens(), [100_000]);
    assert_eq!(lens(), [10, 10]);
    assert!(lens().is_empty());
}

#[test]
fn exactly_max_bytes_is_not_too_much() {
    let (_store, stream, _clock, _disk) = setup();
    for _ in 0..4 {
        stream.put("k", [0; 100]).unwrap();
    }
    // Empty records take nothing.
    stream.put("k", b"").unwrap();
    let mut reader = reader(&stream);
    assert_eq!(reader.get_records(10, 299).unwrap().records.len(), 2);
    assert_eq!(reader.get_records(10, 200).unwrap().records.len(), 3);
    stream.put("k", [0; 100]).unwrap();
    stream.put("k", b"").unwrap();
    assert_eq!(reader.get_records(10, 0).unwrap().records.len(), 1, "the first comes, and fills the page");
    assert_eq!(reader.get_records(10, 0).unwrap().records.len(), 1);
}

#[test]
fn a_limit_of_none_gives_none_and_moves_nothing() {
    let (_store, stream, _clock, _disk) = setup();
    stream.put("k", b"v").unwrap();
    let mut reader = reader(&stream);
    assert!(reader.get_records(0, 1000).unwrap().records.is_empty());
    assert_eq!(reader.get_records(1, 1000).unwrap().records.len(), 1);
}

#[test]
fn the_lag_is_between_the_next_and_the_newest_record() {
    let (_store, stream, clock, _disk) = setup();
    let mut reader = reader(&stream);
    assert_eq!(reader.get_records(10, 1000).unwrap().millis_behind_latest, 0, "an empty shard");
    for _ in 0..10 {
        stream.put("k", b"v").unwrap();
        clock.advance(Duration::from_millis(1500));
    }
    assert_eq!(reader.millis_behind_latest().unwrap(), 9 * 1500);
    for read in 1..10 {
        let page = reader.get_records(1, 1000).unwrap();
        assert_eq!(page.millis_behind_latest, (9 - read) * 1500, "{read} records read");
    }
    // The last one, though it is to be read still, is itself the newest.
    assert_eq!(reader.get_records(1, 1000).unwrap().millis_behind_latest, 0);
    clock.advance(Duration::from_secs(100));
    assert_eq!(reader.get_records(1, 1000).unwrap().millis_behind_latest, 0, "at the tip, however old it is");
    assert_eq!(reader.get_records(1, 1000).unwrap().records, []);
    stream.put("k", b"v").unwrap();
    assert_eq!(reader.millis_behind_latest().unwrap(), 0);
    clock.advance(Duration::from_micros(2999));
    stream.put("k", b"v").unwrap();
    assert_eq!(reader.millis_behind_latest().unwrap(), 2, "whole milliseconds");
}

#[test]
fn damage_ends_a_page_and_is_told_by_the_next() {
    let (store, stream, _clock, disk) = setup();
    for index in 0..6 {
        stream.put("k", format!("record {index}")).unwrap();
    }
    store.sync().unwrap();
    let path =
        disk.files().into_iter().find(|path| path.extension().is_some_and(|ext| ext == "segment")).unwrap();
    let bytes = disk.read(&path).unwrap();
    let place = bytes.windows(8).position(|window| window == b"record 3").unwrap();
    disk.damage(&path, place, b"RECORD").unwrap();
    let mut reader = reader(&stream);
    assert_eq!(reader.get_records(10, 1000).map(|page| page.records.len()).unwrap(), 3);
    assert!(reader.get_records(10, 1000).is_err());
    assert!(reader.get_records(10, 1000).is_err(), "the reader stays where it is");
    reader.skip_damage().unwrap();
    let rest = reader.get_records(10, 1000).unwrap().records;
    assert_eq!(
        rest.iter().map(|record| record.data().to_vec()).collect::<Vec<_>>(),
        [b"record 4", b"record 5"]
    );
}
