//! Guards against figures that do not say what the store has and has done: sums that are not those of the shards, work of
//! before the opening counted again or of a shard that was split forgotten, consumers, stalls or late syncs left out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Durability, HashKey, Maintenance, Position, PutRecord, ShardId, ShardInfo, Store, StreamOptions,
    Timestamp,
};

fn store(directory: &tempfile::TempDir) -> Store {
    Store::options()
        .durability(Durability::Buffered)
        .segment_len(64 << 10, 64 << 10)
        .open(directory.path().join("data"))
        .unwrap()
}

#[test]
fn sums_are_those_of_shards_and_of_streams() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    for (name, shards) in [("a", 4), ("b", 1)] {
        let stream = store.create_stream(name, StreamOptions::new().shards(shards)).unwrap();
        for number in 0..500 {
            stream.put(&*format!("key-{number}"), [7; 100]).unwrap();
        }
    }
    let stats = store.stats();
    let names: Vec<_> = stats.streams.iter().map(|stream| &*stream.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(stats.streams[0].shards.len(), 4);
    let sum = |of: fn(&riverbed::ShardStats) -> u64| -> u64 {
        stats.streams.iter().flat_map(|stream| &stream.shards).map(of).sum()
    };
    assert_eq!(stats.total.records, 1000);
    assert_eq!(stats.total.records, sum(|shard| shard.records));
    assert_eq!(stats.total.bytes, sum(|shard| shard.bytes));
    assert_eq!(stats.total.unsynced, 1000);
    assert_eq!(stats.total.appended_records, sum(|shard| shard.appended_records));
    assert_eq!(stats.total.appended_bytes, sum(|shard| shard.appended_bytes));
    let oldest = stats.streams[0].shards.iter().map(|shard| shard.oldest.unwrap().1).min();
    assert_eq!(stats.total.oldest, oldest);
    let newest = stats.streams[1].shards[0].newest.unwrap().1;
    assert_eq!(stats.total.newest, Some(newest));
    store.sync().unwrap();
    let total = store.stats().total;
    assert_eq!((total.unsynced, total.syncs), (0, 5));
}

#[test]
fn work_is_counted_from_the_opening_on_and_over_rolls() {
    let directory = tempfile::tempdir().unwrap();
    let first = store(&directory);
    let stream = first.create_stream("s", StreamOptions::new()).unwrap();
    for _ in 0..2000 {
        stream.put("k", [7; 100]).unwrap();
    }
    let before = stream.stats().total;
    assert!(before.segments > 3, "{before:?}");
    assert_eq!(before.appended_records, 2000);
    // At least the data; at most what the segments have.
    assert!((2000 * 101..=before.bytes).contains(&before.appended_bytes), "{before:?}");
    first.close().unwrap();
    drop((first, stream));

    let second = store(&directory);
    let stream = second.open_stream("s").unwrap();
    let none = stream.stats().total;
    assert_eq!((none.records, none.appended_records, none.appended_bytes), (2000, 0, 0));
    for _ in 0..10 {
        stream.put("k", [7; 100]).unwrap();
    }
    let after = stream.stats().total;
    assert_eq!((after.records, after.appended_records), (2010, 10));
    assert_eq!(after.appended_bytes, before.appended_bytes / 200);
}

#[test]
fn work_of_a_shard_that_was_split_stays_counted() {
    let options = Store::options().storage(&Disk::new()).maintenance(Maintenance::Manual);
    let store = options.segment_len(64 << 10, 64 << 10).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for _ in 0..1000 {
        stream.put("k", [7; 100]).unwrap();
    }
    let before = stream.stats().total;
    stream.split_shard(ShardId::new(0), HashKey::from(1 << 127)).unwrap();
    // Lets go of its last segment.
    store.maintain();
    stream.put("k", [7; 100]).unwrap();
    let after = stream.stats().total;
    assert_eq!((after.records, after.appended_records), (1001, 1001));
    assert_eq!(after.appended_bytes, before.appended_bytes / 1000 * 1001);
}

#[test]
fn whoever_has_read_a_record_is_told_of_none_older_as_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let stream = store(&directory).create_stream("s", StreamOptions::new()).unwrap();
    let shard_id = stream.shards()[0].id;
    let batch = [PutRecord::new("k", b"x"); 2000];
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..300).for_each(|_| drop(stream.put_records(&batch).all().unwrap())));
        let mut reader = stream.reader(shard_id, Position::TrimHorizon).unwrap();
        let mut read = 0;
        while !writer.is_finished() {
            // To where the writer is, which may be in the middle of a batch.
            let mut last = None;
            while let Some(record) = reader.next().unwrap() {
                last = Some((record.sequence_number(), record.arrival_time()));
                read += 1;
            }
            if last.is_some() {
                let stats = stream.shard_stats(shard_id).unwrap();
                assert!(stats.newest >= last && stats.records >= read, "{last:?}, of {read}: {stats:?}");
            }
        }
    });
}

#[test]
fn a_sync_that_is_late_is_shown_until_it_is_made() {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let options = Store::options().storage(&Disk::new()).clock(clock.clone());
    let store = options.maintenance(Maintenance::Manual).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let [first, second] = [0, 1].map(|index| stream.shards()[index]);
    let seconds = Duration::from_secs;
    let put = |shard: ShardInfo, within| {
        let record = PutRecord::new("k", b"x").explicit_hash_key(shard.range.start);
        stream.put_record(&record.durability(Durability::Periodic(within))).unwrap()
    };
    let overdue = || {
        let of = |shard: ShardInfo| stream.shard_stats(shard.id).unwrap().sync_overdue;
        assert_eq!(store.stats().total.sync_overdue, of(first).max(of(second)));
        [of(first), of(second)]
    };
    put(first, seconds(1));
    put(second, seconds(2));
    clock.advance(seconds(1));
    assert_eq!(overdue(), [seconds(0), seconds(0)]);
    clock.advance(seconds(3));
    assert_eq!(overdue(), [seconds(3), seconds(2)]);
    // A record that comes later does not put it off.
    put(first, seconds(1));
    assert_eq!(overdue(), [seconds(3), seconds(2)]);
    // Whoever makes it.
    let last = put(second, seconds(1));
    stream
        .put_record(
            &PutRecord::new("k", b"x").explicit_hash_key(first.range.start).durability(Durability::Immediate),
        )
        .unwrap();
    assert_eq!(overdue(), [seconds(0), seconds(2)]);
    store.maintain();
    assert_eq!(overdue(), [seconds(0), seconds(0)]);
    assert_eq!(stream.durable_sequence_number(second.id).unwrap(), Some(last.sequence_number));
}

#[test]
fn a_put_that_waits_for_its_segment_is_a_stall() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", b"first").unwrap();
    assert_eq!(stream.stats().total.stalls, 0);
    // Each needs a segment of its own, larger than any that could have been prepared.
    for _ in 0..3 {
        stream.put("k", vec![7; 1 << 20]).unwrap();
    }
    let total = stream.stats().total;
    assert_eq!(total.stalls, 3);
    assert!(total.stalled > Duration::ZERO);
}

#[test]
fn consumers_are_shown_with_their_lags() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    for number in 0..100 {
        stream.put(&*format!("key-{number}"), b"x").unwrap();
    }
    assert!(stream.stats().consumers.is_empty());
    let mut consumer = stream.consumer("billing").unwrap();
    let mut read = 0;
    while read < 40 {
        read += consumer.poll(40 - read, Duration::from_secs(5)).unwrap().len();
    }
    consumer.checkpoint().unwrap();
    let stats = stream.stats();
    assert_eq!(stats.consumers.len(), 1);
    assert_eq!((&*stats.consumers[0].name, stats.consumers[0].records), ("billing", 60));
    assert!(stats.consumers[0].behind.is_some());
    stream.reset_consumer("billing", Position::Latest).unwrap();
    let stats = stream.stats();
    assert_eq!((stats.consumers[0].records, stats.consumers[0].behind), (0, Some(Duration::ZERO)));
}

#[test]
fn another_process_is_shown_what_can_be_seen_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    for number in 0..100 {
        stream.put(&*format!("key-{number}"), b"x").unwrap();
    }
    let other = Store::open_read_only(directory.path().join("data")).unwrap();
    let stats = other.open_stream("s").unwrap().stats().unwrap();
    assert_eq!((stats.total.records, stats.shards.len()), (100, 2));
    assert_eq!(stats.shards[1].shard_id, ShardId::new(1));
}
