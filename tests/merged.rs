//! Guards against a merged reader that hands out a later record before an earlier one, that starves or forgets a shard
//! which had nothing for a while, or that changes the order within a shard.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Maintenance, MergedReader, Position, PutRecord, ReadError, ReaderOptions, SequenceNumber, Store, Stream,
    StreamOptions, Timestamp,
};

const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);

fn setup(shards: u32) -> (Store, Stream, ManualClock) {
    let clock = ManualClock::new(START);
    let store = Store::options()
        .storage(&Disk::new())
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .segment_len(64 * 1024, 64 * 1024)
        .open("data")
        .unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(shards)).unwrap();
    (store, stream, clock)
}

fn put(stream: &Stream, shard: usize, data: &[u8]) -> SequenceNumber {
    let hash_key = stream.shards()[shard].range.start;
    let put = stream.put_record(&PutRecord::new("k", data).explicit_hash_key(hash_key)).unwrap();
    assert_eq!(put.shard_id, stream.shards()[shard].id);
    put.sequence_number
}

/// What is to be read now: each record's time, shard, and number.
fn drain(reader: &mut MergedReader) -> Vec<(Timestamp, u32, SequenceNumber)> {
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        found.push((record.arrival_time(), record.shard_id().as_u32(), record.sequence_number()));
    }
    found
}

fn merged(stream: &Stream, position: Position) -> MergedReader {
    stream.merged_reader(position, ReaderOptions::new()).unwrap()
}

#[test]
fn by_arrival_then_by_shard_then_by_number() {
    let (_store, stream, clock) = setup(7);
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..1500 {
        // Most share their time with others.
        clock.advance(Duration::from_millis(u64::from(random.u8(..4) == 0)));
        put(&stream, random.usize(..7), &vec![0; random.usize(..1500)]);
    }
    let found = drain(&mut merged(&stream, Position::TrimHorizon));
    assert_eq!(found.len(), 1500);
    assert!(found.is_sorted(), "not by time, shard and number");
    // From every time on, the same order.
    for time in found.iter().map(|record| record.0).step_by(100) {
        let from = found.partition_point(|record| record.0 < time);
        assert_eq!(drain(&mut merged(&stream, Position::AtTimestamp(time))), found[from..]);
    }
}

#[test]
fn the_tip_is_passed_when_there_is_more() {
    let (_store, stream, clock) = setup(3);
    let mut all = merged(&stream, Position::TrimHorizon);
    assert_eq!(drain(&mut all), []);
    let before = put(&stream, 1, b"before");
    let mut latest = merged(&stream, Position::Latest);
    assert_eq!(drain(&mut latest), []);
    assert_eq!(drain(&mut all), [(START, 1, before)]);
    for round in 1..20_u64 {
        clock.advance(Duration::from_secs(1));
        let shard = usize::try_from(round % 3).unwrap();
        let number = put(&stream, shard, b"more");
        let time = START.saturating_add(Duration::from_secs(round));
        for reader in [&mut all, &mut latest] {
            assert_eq!(drain(reader), [(time, u32::try_from(shard).unwrap(), number)]);
            assert!(reader.next().unwrap().is_none());
        }
    }
}

#[test]
fn a_shard_that_was_idle_is_asked_again_in_time() {
    let (_store, stream, clock) = setup(4);
    // Shard 0 has much to read; the others had nothing when the reader started.
    for _ in 0..50 {
        clock.advance(Duration::from_secs(1));
        put(&stream, 0, b"early");
    }
    let mut reader = merged(&stream, Position::TrimHorizon);
    reader.next().unwrap().unwrap();
    clock.advance(Duration::from_secs(1));
    let late = put(&stream, 2, b"late");
    clock.advance(Duration::from_secs(1));
    let latest = put(&stream, 0, b"latest");
    let found = drain(&mut reader);
    assert_eq!(found.len(), 51);
    assert!(found.is_sorted());
    assert_eq!([found[49].2, found[50].2], [late, latest]);
}

#[test]
fn reading_and_writing_in_turns_keeps_the_order() {
    for seed in 0..20 {
        let (_store, stream, clock) = setup(5);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut reader = merged(&stream, Position::TrimHorizon);
        let (mut written, mut found) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            if random.bool() {
                clock.advance(Duration::from_millis(random.u64(..3)));
                written.push(put(&stream, random.usize(..5), &[0; 500]));
            } else if let Some(record) = reader.next().unwrap() {
                found.push((record.arrival_time(), record.sequence_number()));
            }
        }
        found.extend(drain(&mut reader).iter().map(|(time, _, number)| (*time, *number)));
        // Those of the same time may come in the order in which they were there to be read.
        assert!(found.is_sorted_by_key(|(time, _)| *time), "seed {seed}");
        let mut last = [None; 5];
        for (_, number) in &found {
            let last = &mut last[usize::try_from(number.shard_id().as_u32()).unwrap()];
            assert!(*last < Some(*number), "seed {seed}: {number} after {last:?}");
            *last = Some(*number);
        }
        let mut numbers: Vec<_> = found.into_iter().map(|(_, number)| number).collect();
        numbers.sort();
        written.sort();
        assert_eq!(numbers, written, "seed {seed}");
    }
}

#[test]
fn a_number_of_one_shard_is_no_position_in_all() {
    let (_store, stream, _clock) = setup(2);
    let number = put(&stream, 0, b"v");
    for position in [Position::AtSequenceNumber(number), Position::AfterSequenceNumber(number)] {
        let outcome = stream.merged_reader(position, ReaderOptions::new());
        assert!(matches!(outcome, Err(ReadError::PositionOfOneShard)), "{outcome:?}");
    }
    let future = START.saturating_add(Duration::from_secs(1));
    let outcome = stream.merged_reader(Position::AtTimestamp(future), ReaderOptions::new());
    assert!(matches!(outcome, Err(ReadError::TimeInFuture { .. })), "{outcome:?}");
}

#[test]
fn one_shard_reads_as_it_would_alone() {
    let (_store, stream, clock) = setup(1);
    for index in 0..200_u8 {
        clock.advance(Duration::from_millis(u64::from(index % 2)));
        stream.put("k", [index]).unwrap();
    }
    let mut alone = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let mut reader = merged(&stream, Position::TrimHorizon);
    while let Some(record) = alone.next().unwrap() {
        let same = reader.next().unwrap().unwrap();
        assert_eq!((same.sequence_number(), same.data()), (record.sequence_number(), record.data()));
    }
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn waiting_wakes_for_a_put_to_any_shard_and_for_a_split() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(3)).unwrap();
    let hour = Duration::from_secs(3600);
    let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    assert!(!reader.wait(Duration::from_millis(1)).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..200 {
                stream.put(&format!("key-{number}"), "x").unwrap();
                if number % 50 == 25 {
                    let target = if stream.shards().len() == 3 { 6 } else { 3 };
                    stream.update_shard_count(target).unwrap();
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        for _ in 0..200 {
            while reader.next().unwrap().is_none() {
                assert!(reader.wait(hour).unwrap());
            }
        }
    });
    // Nobody will put any more: whoever waits is sent away.
    std::thread::scope(|scope| {
        scope.spawn(|| store.close().unwrap());
        assert!(!reader.wait(hour).unwrap());
    });
}
