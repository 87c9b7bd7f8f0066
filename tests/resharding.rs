//! Guards against a split or merge that loses, doubles or misroutes a record, breaks a key's order, leaves hash keys
//! without a shard or with two, or is half done after a crash.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use riverbed::testing::{Disk, ManualClock, Operation, Verdict};
use riverbed::{
    Durability, HashKey, HashKeyRange, Maintenance, Position, PutError, PutRecord, ReadError, ReaderOptions,
    ReshardError, ReshardPlanError, Retention, ShardFilter, ShardId, ShardInfo, Store, StoreOptions, Stream,
    StreamOptions, Timestamp,
};

const MIDDLE: u128 = 1 << 127;

fn options(disk: &Disk, clock: &ManualClock) -> StoreOptions {
    Store::options()
        .storage(disk)
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .segment_len(64 * 1024, 64 * 1024)
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_000_000_000_000))
}

fn store() -> (Disk, ManualClock, Store) {
    let (disk, clock) = (Disk::new(), clock());
    let store = options(&disk, &clock).open("data").unwrap();
    (disk, clock, store)
}

fn ids(shards: &[ShardInfo]) -> Vec<u32> {
    shards.iter().map(|shard| shard.id.as_u32()).collect()
}

/// The data of a shard's records, as text.
fn data(stream: &Stream, id: ShardId) -> Vec<String> {
    let mut reader = stream.reader(id, Position::TrimHorizon).unwrap();
    let mut data = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        data.push(String::from_utf8(record.data().to_vec()).unwrap());
    }
    data
}

/// Stops the writers of a test, also when it fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The open shards own every hash key once.
fn assert_covered(stream: &Stream) {
    let mut next = Some(0);
    for shard in stream.shards() {
        assert_eq!(next, Some(shard.range.start.as_u128()));
        next = shard.range.end.as_u128().checked_add(1);
    }
    assert_eq!(next, None);
}

#[test]
fn a_split_closes_the_parent_and_routes_to_the_children() {
    let (_, clock, store) = store();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let keys: Vec<_> = (0..50).map(|key| format!("key-{key}")).collect();
    let before: Vec<_> = keys.iter().map(|key| stream.put(key, "before").unwrap()).collect();
    clock.advance(Duration::from_secs(1));
    let parent = stream.shards()[0].id;
    let children = stream.split_shard(parent, HashKey::from(MIDDLE)).unwrap();
    assert_eq!(children, [ShardId::new(1), ShardId::new(2)]);

    let after: Vec<_> = keys.iter().map(|key| stream.put(key, "after").unwrap()).collect();
    for (key, put) in keys.iter().zip(&after) {
        let expected = if HashKey::of(key).as_u128() < MIDDLE { children[0] } else { children[1] };
        assert_eq!(put.shard_id, expected);
        assert!(before.iter().all(|before| before.sequence_number < put.sequence_number));
    }
    let mut reader = stream.reader(parent, Position::TrimHorizon).unwrap();
    for put in &before {
        assert!(!reader.is_at_end());
        assert_eq!(reader.next().unwrap().unwrap().sequence_number(), put.sequence_number);
    }
    assert!(reader.next().unwrap().is_none());
    assert!(reader.is_at_end());
    assert!(!reader.wait(Duration::from_secs(3600)).unwrap(), "there is nothing to wait for");

    let listed = stream.list_shards(ShardFilter::All);
    assert_eq!(ids(&listed), [0, 1, 2]);
    assert_eq!(listed[0].ending_sequence_number, Some(before[49].sequence_number));
    assert_eq!((listed[0].parent_shard_id, listed[0].is_open()), (None, false));
    for child in &listed[1..] {
        assert_eq!((child.parent_shard_id, child.adjacent_parent_shard_id), (Some(parent), None));
        assert!(child.is_open() && child.starting_sequence_number > before[49].sequence_number);
        assert_eq!(Some(child.created), listed[0].closed);
    }
    assert_eq!(ids(&stream.shards()), [1, 2]);
    assert_covered(&stream);
}

#[test]
fn a_merge_makes_one_shard_of_two() {
    let (_, _, store) = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let puts: Vec<_> = (0..20).map(|key| stream.put(&format!("key-{key}"), "before").unwrap()).collect();
    let [low, high] = [stream.shards()[0].id, stream.shards()[1].id];
    // Given the other way round: the first one given is the parent.
    let child = stream.merge_shards(high, low).unwrap();
    let shard = stream.shards()[0];
    assert_eq!((shard.id, shard.range), (child, HashKeyRange::ALL));
    assert_eq!((shard.parent_shard_id, shard.adjacent_parent_shard_id), (Some(high), Some(low)));
    let put = stream.put("key-0", "after").unwrap();
    assert!(puts.iter().all(|before| before.sequence_number < put.sequence_number));
}

#[test]
fn numbers_of_parents_are_accepted_for_ordering() {
    let (_, _, store) = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let shards = stream.shards();
    let first = stream.put_record(&PutRecord::new("k", "1").explicit_hash_key(HashKey::MIN)).unwrap();
    let other = stream.put_record(&PutRecord::new("k", "1").explicit_hash_key(HashKey::MAX)).unwrap();
    let [low, _] = stream.split_shard(shards[0].id, HashKey::from(MIDDLE / 2)).unwrap();
    let [lower, _] = stream.split_shard(low, HashKey::from(MIDDLE / 4)).unwrap();
    let record = PutRecord::new("k", "2").explicit_hash_key(HashKey::MIN);
    let second = stream.put_record(&record.sequence_number_for_ordering(first.sequence_number)).unwrap();
    assert_eq!(second.shard_id, lower);
    let refused = stream.put_record(&record.sequence_number_for_ordering(other.sequence_number));
    assert!(matches!(refused, Err(PutError::OrderingOfOtherShard { .. })), "{refused:?}");
}

#[test]
fn what_kinesis_refuses_is_refused() {
    let (_, _, store) = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(3)).unwrap();
    let [a, b, c] = [ShardId::new(0), ShardId::new(1), ShardId::new(2)];
    let range = stream.shards()[1].range;
    let plan = |error: ReshardError| match error {
        ReshardError::Plan(error) => error,
        error => panic!("{error:?}"),
    };
    let (start, end) = (range.start.as_u128(), range.end.as_u128());
    for at in [0, start, start + 1, end, u128::MAX] {
        let error = plan(stream.split_shard(b, HashKey::from(at)).unwrap_err());
        assert!(matches!(error, ReshardPlanError::SplitPoint { shard_id, .. } if shard_id == b), "{error}");
    }
    let error = plan(stream.merge_shards(a, c).unwrap_err());
    assert!(matches!(error, ReshardPlanError::NotAdjacent { .. }), "{error}");
    let error = plan(stream.merge_shards(a, a).unwrap_err());
    assert!(matches!(error, ReshardPlanError::NotAdjacent { .. }), "{error}");
    let error = plan(stream.split_shard(ShardId::new(9), HashKey::from(5)).unwrap_err());
    assert!(matches!(error, ReshardPlanError::NoSuchShard { .. }), "{error}");
    for target in [0, 1, 7, u32::MAX] {
        let error = plan(stream.update_shard_count(target).unwrap_err());
        assert!(matches!(error, ReshardPlanError::ShardCount { min: 2, max: 6, .. }), "{error}");
    }
    assert_eq!(ids(&stream.list_shards(ShardFilter::All)), [0, 1, 2], "nothing has changed");
    stream.split_shard(b, HashKey::from(start + 2)).unwrap();
    let error = plan(stream.split_shard(b, HashKey::from(start + 2)).unwrap_err());
    assert!(matches!(error, ReshardPlanError::NotOpen { .. }), "{error}");
    let error = plan(stream.merge_shards(a, b).unwrap_err());
    assert!(matches!(error, ReshardPlanError::NotOpen { .. }), "{error}");
}

#[test]
fn shards_are_listed_by_kinesis_filters() {
    let (_, clock, store) = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let times: Vec<_> = (0..3_u8)
        .map(|_| {
            clock.advance(Duration::from_secs(10));
            let range = stream.shards()[0].range;
            let middle = range.start.as_u128().midpoint(range.end.as_u128());
            stream.split_shard(stream.shards()[0].id, HashKey::from(middle)).unwrap();
            stream.shards()[0].created
        })
        .collect();
    // 0 -> 2, 3; 2 -> 4, 5; 4 -> 6, 7; 1 stays.
    let list = |filter| ids(&stream.list_shards(filter));
    assert_eq!(list(ShardFilter::All), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(ShardFilter::AfterShardId(ShardId::new(4))), [5, 6, 7]);
    assert_eq!(list(ShardFilter::AtTrimHorizon), [0, 1]);
    assert_eq!(list(ShardFilter::FromTrimHorizon), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(ShardFilter::AtLatest), [1, 3, 5, 6, 7]);
    let second = Duration::from_secs(1);
    assert_eq!(list(ShardFilter::AtTimestamp(times[0].saturating_sub(second))), [0, 1]);
    assert_eq!(list(ShardFilter::AtTimestamp(times[0].saturating_add(second))), [1, 2, 3]);
    assert_eq!(list(ShardFilter::AtTimestamp(times[2].saturating_add(second))), [1, 3, 5, 6, 7]);
    assert_eq!(list(ShardFilter::FromTimestamp(times[1].saturating_add(second))), [1, 3, 4, 5, 6, 7]);
    assert_eq!(list(ShardFilter::AtTimestamp(Timestamp::EPOCH)), Vec::<u32>::new());
}

#[test]
fn lineage_survives_an_orderly_restart_and_a_kill() {
    let (mut disk, clock, mut store) = store();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", "before").unwrap();
    stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
    let put = stream.put("k", "after").unwrap();
    stream.merge_shards(ShardId::new(1), ShardId::new(2)).unwrap();
    let listed = stream.list_shards(ShardFilter::All);
    drop(stream);
    for round in 0..4 {
        if round % 2 == 0 {
            store.close().unwrap();
        } else {
            disk = disk.kill();
        }
        store = options(&disk, &clock).open("data").unwrap();
        assert!(!store.recovery_report().is_damaged());
        let stream = store.open_stream("s").unwrap();
        assert_eq!(stream.list_shards(ShardFilter::All), listed);
        assert_eq!(data(&stream, ShardId::new(0)), ["before"]);
        assert_eq!(data(&stream, put.shard_id), ["after"]);
        for closed in 0..3 {
            let mut reader = stream.reader(ShardId::new(closed), Position::Latest).unwrap();
            assert!(reader.is_at_end(), "{closed}");
            assert!(!reader.wait(Duration::from_secs(3600)).unwrap());
        }
        let last = stream.put("k", "more").unwrap();
        assert_eq!(last.shard_id, ShardId::new(3));
        assert!(last.sequence_number > put.sequence_number);
        assert!(!Store::options().storage(&disk).verify("data").unwrap().is_damaged());
    }
}

#[test]
fn a_merged_reader_goes_on_in_the_children() {
    let (_, clock, store) = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let mut from_start = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let mut latest = stream.merged_reader(Position::Latest, ReaderOptions::new()).unwrap();
    let mut put = 0;
    let mut read = Vec::new();
    let mut read_latest = Vec::new();
    for round in 0..6 {
        for key in 0..10 {
            stream.put(&format!("key-{key}"), format!("{put}")).unwrap();
            put += 1;
            if round % 2 == 0 {
                clock.advance(Duration::from_millis(1));
            }
        }
        if round % 3 == 1 || stream.shards().len() == 1 {
            stream.update_shard_count(u32::try_from(stream.shards().len()).unwrap() * 2).unwrap();
        } else {
            let shards = stream.shards();
            stream.merge_shards(shards[0].id, shards[1].id).unwrap();
        }
        if round % 2 == 1 {
            while let Some(record) = latest.next().unwrap() {
                read_latest.push(String::from_utf8(record.data().to_vec()).unwrap());
            }
        }
    }
    while let Some(record) = from_start.next().unwrap() {
        let text = String::from_utf8(record.data().to_vec()).unwrap();
        read.push((record.partition_key().unwrap().to_owned(), text));
    }
    assert_eq!(read.len(), put);
    assert_eq!(read_latest.iter().collect::<BTreeSet<_>>().len(), put);
    assert_eq!(read_latest.len(), put);
    let mut last = BTreeMap::new();
    for (key, text) in read {
        let number: usize = text.parse().unwrap();
        assert!(last.insert(key, number).is_none_or(|before| before < number), "a key's order");
    }
}

#[test]
fn puts_that_race_with_resharding_land_once_in_their_shard_and_in_order() {
    const WRITERS: usize = 4;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::options().segment_len(64 * 1024, 64 * 1024).open(directory.path()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let done = AtomicBool::new(false);
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (stream, done) = (&stream, &done);
                scope.spawn(move || {
                    let keys: Vec<_> = (0..8).map(|key| format!("{writer}-{key}")).collect();
                    let mut round = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let data = round.to_le_bytes();
                        if writer % 2 == 0 {
                            for key in &keys {
                                stream.put(key, data).unwrap();
                            }
                        } else {
                            let records: Vec<_> = keys.iter().map(|key| PutRecord::new(key, &data)).collect();
                            stream.put_records(&records).all().unwrap();
                        }
                        round += 1;
                    }
                    round
                })
            })
            .collect();
        let stop = Stop(&done);
        for target in [4, 2, 3, 6, 3, 5, 10, 5, 3, 2, 4, 8, 4, 2, 1] {
            stream.update_shard_count(target).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(stop);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
    // Parents come before children by id.
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for shard in stream.list_shards(ShardFilter::All) {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let key = record.partition_key().unwrap();
            assert!(shard.range.contains(HashKey::of(key)), "in the wrong shard");
            let round = u64::from_le_bytes(record.data().try_into().unwrap());
            let expected = next.entry(key.to_owned()).or_default();
            assert_eq!(round, *expected, "{key} in {}", shard.id);
            *expected += 1;
        }
    }
    for (key, count) in next {
        let writer: usize = key.split('-').next().unwrap().parse().unwrap();
        assert_eq!(count, counts[writer], "{key}");
    }
}

/// Records of two keys that go to different halves, then a split, then the same again.
fn split_scenario(stream: &Stream) -> (Vec<&'static str>, bool) {
    let mut durable = Vec::new();
    let put = |data: &'static str, hash_key, durable: &mut Vec<_>| {
        let record = PutRecord::new("k", data).explicit_hash_key(hash_key).durability(Durability::Immediate);
        if stream.put_record(&record).is_ok() {
            durable.push(data);
        }
    };
    put("low", HashKey::MIN, &mut durable);
    put("high", HashKey::MAX, &mut durable);
    let split = stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).is_ok();
    put("low again", HashKey::MIN, &mut durable);
    put("high again", HashKey::MAX, &mut durable);
    (durable, split)
}

#[test]
fn a_crash_at_any_step_leaves_the_old_shards_or_the_new_ones() {
    for kill in [false, true] {
        for step in 0.. {
            let mut finished = false;
            for seed in 0..4 {
                let (disk, clock, store) = store();
                let stream = store.create_stream("s", StreamOptions::new()).unwrap();
                let at = disk.steps() + step;
                let stop = if kill { Verdict::Kill } else { Verdict::CutPower { seed } };
                disk.plan(move |call| if call.step >= at { stop } else { Verdict::Proceed });
                let (durable, split) = split_scenario(&stream);
                finished = !disk.is_off();
                let disk = disk.power_on();
                drop((stream, store));

                let store = options(&disk, &clock).open("data").unwrap();
                assert!(!store.recovery_report().is_damaged(), "step {step}");
                let stream = store.open_stream("s").unwrap();
                assert_covered(&stream);
                let listed = ids(&stream.list_shards(ShardFilter::All));
                assert!(listed == [0, 1, 2] || (listed == [0] && !split), "step {step}: {listed:?}");
                let found: BTreeSet<_> = stream
                    .list_shards(ShardFilter::All)
                    .iter()
                    .flat_map(|shard| data(&stream, shard.id))
                    .collect();
                for durable in durable {
                    assert!(found.contains(durable), "step {step}: {durable} is lost");
                }
                // It can be done now if it was not.
                if !split && listed == [0] {
                    stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
                }
                let last = stream.put("k", "last").unwrap();
                let mut reader = stream.reader(ShardId::new(0), Position::TrimHorizon).unwrap();
                while let Some(record) = reader.next().unwrap() {
                    assert!(record.sequence_number() < last.sequence_number, "step {step}");
                }
                assert!(reader.is_at_end());
            }
            if finished {
                assert!(step > 15, "only {step} steps");
                break;
            }
        }
    }
}

#[test]
fn a_manifest_that_cannot_be_written_changes_nothing() {
    let (disk, _, store) = store();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", "before").unwrap();
    disk.plan(|call| match call.operation {
        Operation::Rename => Verdict::Fail(ErrorKind::StorageFull),
        _ => Verdict::Proceed,
    });
    let refused = stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap_err();
    assert!(matches!(refused, ReshardError::Stream(_)), "{refused:?}");
    disk.plan(|_| Verdict::Proceed);
    // The shard takes records as before, and can be split.
    assert_eq!(stream.put("k", "still").unwrap().shard_id, ShardId::new(0));
    stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
    assert_eq!(data(&stream, ShardId::new(0)), ["before", "still"]);
}

#[test]
fn a_manifest_that_may_be_in_place_stops_puts_until_the_store_is_opened_again() {
    let (disk, clock, store) = store();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", "before").unwrap();
    disk.plan(|call| match call.operation {
        Operation::SyncDir => Verdict::Fail(ErrorKind::Other),
        _ => Verdict::Proceed,
    });
    let doubtful = stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap_err();
    assert!(matches!(doubtful, ReshardError::InDoubt { .. }), "{doubtful:?}");
    disk.plan(|_| Verdict::Proceed);
    assert!(matches!(stream.put("k", "not now"), Err(PutError::Closed)));
    assert_eq!(data(&stream, ShardId::new(0)), ["before"], "reading goes on");
    drop(stream);
    store.close().unwrap();
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    assert_eq!(ids(&stream.shards()), [1, 2]);
    stream.put("k", "after").unwrap();
}

#[test]
fn retention_takes_closed_shards_whole_and_their_names() {
    let (disk, clock, store) = store();
    let retention = Retention::of_age(Duration::from_secs(100));
    let stream = store.create_stream("s", StreamOptions::new().retention(retention)).unwrap();
    for _ in 0..10 {
        stream.put("k", [1; 10_000]).unwrap();
    }
    let [_, empty] = stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
    let mut held = stream.reader(ShardId::new(0), Position::TrimHorizon).unwrap();
    let record = held.next().unwrap().unwrap().to_owned();
    let wait = |seconds: u64| {
        for _ in 0..20 {
            clock.advance(Duration::from_millis(seconds * 50));
            store.maintain();
        }
    };
    wait(50);
    assert_eq!(ids(&stream.list_shards(ShardFilter::All)), [0, 1, 2]);
    wait(70);
    assert_eq!(ids(&stream.list_shards(ShardFilter::All)), [1, 2]);
    assert_eq!(ids(&stream.list_shards(ShardFilter::AtTrimHorizon)), [1, 2]);
    assert!(disk.files().iter().all(|file| !file.to_string_lossy().contains("shard-000000")));
    assert!(matches!(
        stream.reader(ShardId::new(0), Position::TrimHorizon),
        Err(ReadError::NoSuchShard { .. })
    ));
    // What is held stays, what is not is said to be gone, and then the shard is at its end.
    assert_eq!(record.data()[..], [1; 10_000]);
    let mut told = false;
    loop {
        match held.next() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(ReadError::Trimmed { oldest }) => {
                assert!(!told && oldest.shard_id() == ShardId::new(0));
                told = true;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(told && held.is_at_end());
    // Ids are not given again.
    let [next, _] = stream.split_shard(empty, HashKey::from(MIDDLE + (1 << 100))).unwrap();
    assert_eq!(next, ShardId::new(3));
}

#[test]
fn retention_takes_closed_shards_where_the_manifest_has_no_room() {
    let (disk, clock, store) = store();
    let retention = Retention::of_age(Duration::from_secs(100));
    let stream = store.create_stream("s", StreamOptions::new().retention(retention)).unwrap();
    for _ in 0..18 {
        stream.put("k", [1; 10_000]).unwrap();
    }
    stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
    disk.set_capacity(Some(disk.used()));
    clock.advance(Duration::from_secs(200));
    store.maintain();
    assert_eq!(ids(&stream.list_shards(ShardFilter::All)), [1, 2]);
    assert_eq!(stream.stats().total.bytes, 0);
}

#[test]
fn retention_by_bytes_takes_closed_shards_too() {
    let (_, clock, store) = store();
    let retention = Retention::of_bytes(5 * 64 * 1024);
    let stream = store.create_stream("s", StreamOptions::new().retention(retention)).unwrap();
    for _ in 0..18 {
        stream.put("k", [1; 10_000]).unwrap();
    }
    stream.update_shard_count(2).unwrap();
    assert_eq!(stream.list_shards(ShardFilter::All).len(), 3);
    for _ in 0..18 {
        stream.put("k", [1; 10_000]).unwrap();
    }
    clock.advance(Duration::from_secs(10));
    store.maintain();
    let stats = stream.stats().shards;
    assert!(stats.iter().map(|shard| shard.bytes).sum::<u64>() <= 5 * 64 * 1024);
    assert!(stats.iter().map(|shard| shard.records).sum::<u64>() >= 18, "not more than needed");
    for _ in 0..30 {
        stream.put("k", [1; 10_000]).unwrap();
    }
    clock.advance(Duration::from_secs(10));
    store.maintain();
    assert_eq!(ids(&stream.list_shards(ShardFilter::All)), [1, 2]);
}

#[test]
fn an_empty_closed_shard_goes_after_its_parents() {
    let (_, clock, store) = store();
    let retention = Retention::of_bytes(5 * 64 * 1024);
    let stream = store.create_stream("s", StreamOptions::new().retention(retention)).unwrap();
    stream.put("k", [1; 10_000]).unwrap();
    // Nothing is put between the two: 1 and 2 have ended without a record.
    let [low, high] = stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
    stream.merge_shards(low, high).unwrap();
    let pass = || {
        clock.advance(Duration::from_secs(10));
        store.maintain();
        ids(&stream.list_shards(ShardFilter::All))
    };
    assert_eq!(pass(), [0, 1, 2, 3], "without 1 and 2 nobody knows that 3 comes after 0");
    for _ in 0..60 {
        stream.put("k", [1; 10_000]).unwrap();
    }
    assert_eq!(pass(), [3]);
}

#[test]
fn a_shard_of_many_ancestors_knows_them_at_once() {
    let (_, _, store) = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let first = stream.put_record(&PutRecord::new("k", "1").explicit_hash_key(HashKey::MIN)).unwrap();
    let other = stream.put_record(&PutRecord::new("k", "1").explicit_hash_key(HashKey::MAX)).unwrap();
    let mut shard = first.shard_id;
    // Twice as many ways lead back with each round.
    for _ in 0..40 {
        let [low, high] = stream.split_shard(shard, HashKey::from(MIDDLE / 2)).unwrap();
        shard = stream.merge_shards(low, high).unwrap();
    }
    let record = PutRecord::new("k", "2").explicit_hash_key(HashKey::MIN);
    let second = stream.put_record(&record.sequence_number_for_ordering(first.sequence_number)).unwrap();
    assert_eq!(second.shard_id, shard);
    let refused = stream.put_record(&record.sequence_number_for_ordering(other.sequence_number));
    assert!(matches!(refused, Err(PutError::OrderingOfOtherShard { .. })), "{refused:?}");
}

#[test]
fn a_crash_while_a_closed_shard_goes_leaves_nothing_behind() {
    for step in 0.. {
        let (disk, clock, store) = store();
        let retention = Retention::of_age(Duration::from_secs(100));
        let stream = store.create_stream("s", StreamOptions::new().retention(retention)).unwrap();
        for _ in 0..10 {
            stream.put("k", [1; 10_000]).unwrap();
        }
        stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
        stream.put("k", "kept").unwrap();
        store.sync().unwrap();
        clock.advance(Duration::from_secs(99));
        stream.put("k", "kept").unwrap();
        store.sync().unwrap();
        clock.advance(Duration::from_secs(2));
        let at = disk.steps() + step;
        disk.plan(
            move |call| {
                if call.step >= at { Verdict::CutPower { seed: step } } else { Verdict::Proceed }
            },
        );
        store.maintain();
        let finished = !disk.is_off();
        let disk = disk.power_on();
        drop((stream, store));
        let store = options(&disk, &clock).open("data").unwrap();
        assert!(!store.recovery_report().is_damaged(), "step {step}");
        let stream = store.open_stream("s").unwrap();
        let listed = ids(&stream.list_shards(ShardFilter::All));
        assert!(listed == [0, 1, 2] || listed == [1, 2], "step {step}: {listed:?}");
        let left = disk.files().iter().any(|file| file.to_string_lossy().contains("shard-000000"));
        // A shard that is listed has its newest segment: the manifest forgets it before anything of it goes.
        assert_eq!(listed[0] == 0, left, "step {step}: files and manifest disagree");
        assert_eq!(data(&stream, stream.shard_for_key("k").unwrap()).last().unwrap(), "kept");
        if finished {
            assert!(step > 5);
            assert_eq!(listed, [1, 2]);
            break;
        }
    }
}

#[test]
fn an_older_manifest_put_back_does_not_cost_the_children() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", "before").unwrap();
    let manifest = directory.path().join("streams/s/stream.json");
    let old = std::fs::read(&manifest).unwrap();
    stream.split_shard(ShardId::new(0), HashKey::from(MIDDLE)).unwrap();
    stream.put("k", "after").unwrap();
    let new = std::fs::read(&manifest).unwrap();
    drop(stream);
    store.close().unwrap();
    drop(store);
    std::fs::write(&manifest, old).unwrap();
    let store = Store::open(directory.path()).unwrap();
    let error = store.open_stream("s").unwrap_err();
    assert!(error.to_string().contains("older"), "{error}");
    drop(store);
    std::fs::write(&manifest, new).unwrap();
    let store = Store::open(directory.path()).unwrap();
    let stream = store.open_stream("s").unwrap();
    assert_eq!(data(&stream, stream.shard_for_key("k").unwrap()), ["after"]);
}
