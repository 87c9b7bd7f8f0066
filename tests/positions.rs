//! Guards against starting a record too early or too late: at the borders of segments, at numbers that were never given,
//! at times that several records share, and where the clock has been set back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Clock as _, Durability, HashKey, Maintenance, Position, PutRecord, ReadError, SequenceNumber, ShardId,
    Store, StoreOptions, Stream, StreamOptions, Timestamp,
};

const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);

fn options(disk: &Disk, clock: &ManualClock) -> StoreOptions {
    let options = Store::options().storage(disk).clock(clock.clone()).maintenance(Maintenance::Manual);
    options.segment_len(64 * 1024, 64 * 1024)
}

type Found = (SequenceNumber, Timestamp, Vec<u8>);

fn next(stream: &Stream, shard: ShardId, position: Position) -> Option<Found> {
    let mut reader = stream.reader(shard, position).unwrap();
    let record = reader.next().unwrap()?;
    Some((record.sequence_number(), record.arrival_time(), record.data().to_vec()))
}

fn all(stream: &Stream, shard: ShardId) -> Vec<Found> {
    let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        found.push((record.sequence_number(), record.arrival_time(), record.data().to_vec()));
    }
    found
}

fn number(counter: u64, shard: ShardId) -> SequenceNumber {
    SequenceNumber::try_from(u128::from(counter) << 32 | u128::from(shard.as_u32())).unwrap()
}

/// Asks for every number and every time there is, and for those in between.
fn check_every_position(stream: &Stream, shard: ShardId, records: &[Found], now: Timestamp) {
    assert_eq!(next(stream, shard, Position::TrimHorizon).as_ref(), records.first());
    assert_eq!(next(stream, shard, Position::Latest), None);
    let Some(last) = records.last() else { return };
    let at = |number| next(stream, shard, Position::AtSequenceNumber(number));
    let after = |number| next(stream, shard, Position::AfterSequenceNumber(number));
    let counters = records.iter().flat_map(|(number, _, _)| {
        let counter = number.counter();
        [counter.saturating_sub(1), counter, counter + 1, counter + 100]
    });
    for counter in counters.filter(|counter| *counter <= last.0.counter()) {
        let asked = number(counter, shard);
        let index = records.partition_point(|(number, _, _)| *number < asked);
        assert_eq!(at(asked).as_ref(), records.get(index), "at {counter}");
        let index = records.partition_point(|(number, _, _)| *number <= asked);
        assert_eq!(after(asked).as_ref(), records.get(index), "after {counter}");
    }
    let newest = now.max(last.1);
    for (_, time, _) in records {
        let nanosecond = Duration::from_nanos(1);
        for time in [time.saturating_sub(nanosecond), *time, time.saturating_add(nanosecond)] {
            if time <= newest {
                let index = records.partition_point(|(_, arrival, _)| *arrival < time);
                let found = next(stream, shard, Position::AtTimestamp(time));
                assert_eq!(found.as_ref(), records.get(index), "at {time}");
            }
        }
    }
    assert_eq!(next(stream, shard, Position::AtTimestamp(Timestamp::EPOCH)).as_ref(), records.first());
}

#[test]
fn every_number_and_time_over_many_segments() {
    let (disk, clock) = (Disk::new(), ManualClock::new(START));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let shard = stream.shards()[0].id;
    let mut random = fastrand::Rng::with_seed(3);
    for index in 0..600_u32 {
        // Some share their time, and now and then the clock is set back.
        match random.u8(..10) {
            0..=3 => {}
            4 => clock.set(START.saturating_add(Duration::from_secs(random.u64(..600)))),
            _ => clock.advance(Duration::from_millis(random.u64(1..2000))),
        }
        let mut data = index.to_le_bytes().to_vec();
        data.resize(random.usize(4..3000), 1);
        stream.put("k", &data).unwrap();
        if index % 50 == 0 {
            store.maintain();
        }
    }
    let records = all(&stream, shard);
    assert!(records.len() == 600 && stream.stats().shards[0].segments > 10, "{:?}", stream.stats());
    assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
    check_every_position(&stream, shard, &records, clock.now());
    store.close().unwrap();
    drop((store, stream));
    let store = options(&disk, &clock).open("data").unwrap();
    check_every_position(&store.open_stream("s").unwrap(), shard, &records, clock.now());
}

#[test]
fn numbers_that_an_unclean_stop_has_left_out() {
    for seed in 0..20 {
        let (mut disk, clock) = (Disk::new(), ManualClock::new(START));
        let mut records = Vec::new();
        let mut gaps = 0;
        for round in 0..4_u64 {
            let store = options(&disk, &clock).open("data").unwrap();
            let stream = match store.open_stream("s") {
                Ok(stream) => stream,
                Err(_) => store.create_stream("s", StreamOptions::new()).unwrap(),
            };
            let shard = stream.shards()[0].id;
            let found = all(&stream, shard);
            assert!(found.starts_with(&records), "seed {seed}: what was synced is lost");
            for index in 0..20_u64 {
                clock.advance(Duration::from_secs(1));
                let durability = if index < 12 { Durability::Immediate } else { Durability::Buffered };
                let data = vec![u8::try_from(round).unwrap(); 1000 + 200 * usize::try_from(index).unwrap()];
                stream.put_record(&PutRecord::new("k", &data).durability(durability)).unwrap();
                if index == 11 {
                    records = all(&stream, shard);
                }
            }
            let present = all(&stream, shard);
            gaps += present.windows(2).filter(|pair| pair[0].0.counter() + 1 < pair[1].0.counter()).count();
            check_every_position(&stream, shard, &present, clock.now());
            // A power cut leaves numbers out, a killed process need not.
            if round % 2 == 0 {
                disk = disk.cut_power(seed);
            } else {
                records = present;
                disk = disk.kill();
            }
            drop((store, stream));
        }
        assert!(gaps > 0, "seed {seed}: no number was left out, so this has tested nothing");
    }
}

#[test]
fn positions_of_other_shards_and_of_the_future_are_refused() {
    let (disk, clock) = (Disk::new(), ManualClock::new(START));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let [zero, one] = [0, 1].map(ShardId::new);
    let first = stream.put_record(&PutRecord::new("k", b"v").explicit_hash_key(HashKey::from(0))).unwrap();
    assert_eq!(first.shard_id, zero);
    for make in [Position::AtSequenceNumber, Position::AfterSequenceNumber] {
        match stream.reader(one, make(first.sequence_number)) {
            Err(ReadError::PositionOfOtherShard { number, shard_id }) => {
                assert_eq!((number, shard_id), (first.sequence_number, one));
            }
            other => panic!("{other:?}"),
        }
        for counter in [first.sequence_number.counter() + 1, u64::MAX] {
            match stream.reader(zero, make(number(counter, zero))) {
                Err(ReadError::PositionInFuture { number: asked }) => assert_eq!(asked.counter(), counter),
                other => panic!("{other:?}"),
            }
        }
        // The other shard has given no number at all.
        let empty = stream.reader(one, make(number(0, one)));
        assert!(matches!(empty, Err(ReadError::PositionInFuture { .. })), "{empty:?}");
    }
    let later = START.saturating_add(Duration::from_nanos(1));
    match stream.reader(zero, Position::AtTimestamp(later)) {
        Err(ReadError::TimeInFuture { time }) => assert_eq!(time, later),
        other => panic!("{other:?}"),
    }
    assert!(stream.reader(zero, Position::AtTimestamp(Timestamp::MAX)).is_err());
    let unknown = stream.reader(ShardId::new(2), Position::TrimHorizon);
    assert!(matches!(unknown, Err(ReadError::NoSuchShard { shard_id }) if shard_id == ShardId::new(2)));
}

#[test]
fn an_empty_shard_has_three_positions_and_they_see_what_comes() {
    let (disk, clock) = (Disk::new(), ManualClock::new(START));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let shard = stream.shards()[0].id;
    let mut readers = [
        Position::TrimHorizon,
        Position::Latest,
        Position::AtTimestamp(Timestamp::EPOCH),
        Position::AtTimestamp(START),
    ]
    .map(|position| stream.reader(shard, position).unwrap());
    for reader in &mut readers {
        assert!(reader.next().unwrap().is_none());
        assert_eq!(reader.millis_behind_latest().unwrap(), 0);
    }
    stream.put("k", b"first").unwrap();
    for reader in &mut readers {
        assert_eq!(reader.next().unwrap().unwrap().data(), b"first");
        assert!(reader.next().unwrap().is_none());
    }
}

#[test]
fn latest_is_the_end_at_the_time_of_the_call() {
    let (disk, clock) = (Disk::new(), ManualClock::new(START));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let before = stream.put("k", [0; 40_000]).unwrap();
    let mut latest = stream.reader(before.shard_id, Position::Latest).unwrap();
    let after = Position::AfterSequenceNumber(before.sequence_number);
    let mut after = stream.reader(before.shard_id, after).unwrap();
    // The next one begins another segment.
    let put = stream.put("k", [1; 40_000]).unwrap();
    for reader in [&mut latest, &mut after] {
        assert_eq!(reader.next().unwrap().unwrap().sequence_number(), put.sequence_number);
        assert!(reader.next().unwrap().is_none());
    }
}

#[test]
fn a_clock_set_back_does_not_hide_records() {
    let (disk, clock) = (Disk::new(), ManualClock::new(START));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let shard = stream.put("k", b"0").unwrap().shard_id;
    clock.set(START.saturating_sub(Duration::from_secs(3600)));
    stream.put("k", b"1").unwrap();
    // Arrival never goes back within a shard, so the newest time is that of the first record, and is no future.
    let found = all(&stream, shard);
    assert_eq!(found.iter().map(|record| record.1).collect::<Vec<_>>(), [START, START]);
    assert_eq!(next(&stream, shard, Position::AtTimestamp(START)).unwrap().2, b"0");
    let later = START.saturating_add(Duration::from_nanos(1));
    assert!(matches!(
        stream.reader(shard, Position::AtTimestamp(later)),
        Err(ReadError::TimeInFuture { .. })
    ));
    // Also after a restart with the clock still behind.
    store.close().unwrap();
    drop((store, stream));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    stream.put("k", b"2").unwrap();
    assert_eq!(all(&stream, shard)[2].1, START);
    clock.set(later);
    stream.put("k", b"3").unwrap();
    assert_eq!(next(&stream, shard, Position::AtTimestamp(later)).unwrap().2, b"3");
}
