//! Streams whose shards are split, merged and removed: parents before children, order per key, nothing lost.
//!
//! Guards against children that are read before all their parents are finished, which would turn the order of a key's
//! records around, and against consumers that wait for ever for a shard that is not there any more.

use std::collections::BTreeMap;
use std::time::Duration;

use riverbed::{
    Checkpoint, CheckpointError, Consumer, ConsumerOptions, HashKey, PollError, Position, PutRecord,
    Retention, SequenceNumber, ShardFilter, ShardId, Stream,
};

use super::setup::*;

const HALF: u128 = 1 << 127;

/// Puts a record with this hash key.
fn put(setup: &Setup, hash_key: u128) -> SequenceNumber {
    let record = PutRecord::new("k", b"data").explicit_hash_key(HashKey::from(hash_key));
    setup.stream.put_record(&record).unwrap().sequence_number
}

fn poll(consumer: &mut Consumer) -> Vec<SequenceNumber> {
    let records = consumer.poll(1000, NOW).unwrap();
    records.iter().map(|record| record.sequence_number()).collect()
}

fn id(shard: u32) -> ShardId {
    ShardId::new(shard)
}

#[test]
fn grandchildren_wait_though_the_shard_in_between_never_had_a_record() {
    let setup = setup(1);
    setup.stream.set_retention(Retention::of_bytes(1 << 30)).unwrap();
    let before = put(&setup, 0);
    let [low, high] = setup.stream.split_shard(id(0), HashKey::from(HALF)).unwrap();
    setup.stream.merge_shards(low, high).unwrap();
    let after = put(&setup, 0);
    setup.clock.advance(Duration::from_secs(10));
    setup.store.maintain();
    let mut consumer = setup.stream.consumer("c").unwrap();
    assert_eq!(poll(&mut consumer), [before]);
    assert!(poll(&mut consumer).is_empty(), "a grandchild was read before its grandparent was finished");
    consumer.checkpoint().unwrap();
    assert_eq!(poll(&mut consumer), [after]);
}

#[test]
fn children_wait_for_their_parent_to_be_checkpointed() {
    let setup = setup(1);
    let before = [put(&setup, 0), put(&setup, HALF)];
    let mut consumer = setup.stream.consumer("c").unwrap();
    let children = setup.stream.split_shard(id(0), HashKey::from(HALF)).unwrap();
    let after = [put(&setup, 0), put(&setup, HALF)];
    assert_eq!(after.map(|number| number.shard_id()), children);
    assert_eq!(poll(&mut consumer), before);
    assert!(poll(&mut consumer).is_empty(), "a child was read before its parent was finished");
    consumer.checkpoint_at(before[0]).unwrap();
    assert!(poll(&mut consumer).is_empty());
    consumer.checkpoint_at(before[1]).unwrap();
    assert_eq!(poll(&mut consumer), after);
    assert_eq!(consumer.shards(), children);
    let lag = consumer.lag();
    assert_eq!(lag.iter().map(|lag| lag.shard_id).collect::<Vec<_>>(), children);

    // The parent stays finished, and the children begin where they were.
    consumer.checkpoint_at(after[0]).unwrap();
    drop(consumer);
    let setup = setup.reopen();
    assert_eq!(poll(&mut setup.stream.consumer("c").unwrap()), after[1..]);
}

#[test]
fn a_merged_shard_waits_for_both_parents() {
    let setup = setup(2);
    let before = [put(&setup, 0), put(&setup, HALF)];
    let child = setup.stream.merge_shards(id(0), id(1)).unwrap();
    let after = put(&setup, 0);
    assert_eq!(after.shard_id(), child);
    let mut first = setup.stream.consumer("c").unwrap();
    assert_eq!(poll(&mut first).len(), 2);
    first.checkpoint_at(before[0]).unwrap();
    assert!(poll(&mut first).is_empty());
    // Another worker gets nothing either.
    let mut second = setup.stream.consumer("c").unwrap();
    assert!(poll(&mut second).is_empty());
    first.checkpoint().unwrap();
    let polled = [poll(&mut first), poll(&mut second)].concat();
    assert_eq!(polled, [after]);
}

#[test]
fn a_poll_that_sleeps_is_woken_by_the_children() {
    let setup = setup(1);
    let mut consumer = setup.stream.consumer("c").unwrap();
    assert!(poll(&mut consumer).is_empty());
    let stream = setup.stream.clone();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        // The parent is empty: nobody need say that it is done.
        stream.split_shard(id(0), HashKey::from(HALF)).unwrap();
        stream.put("k", b"data").unwrap().sequence_number
    });
    let records = consumer.poll(10, Duration::from_secs(60)).unwrap();
    assert_eq!(records[0].sequence_number(), other.join().unwrap());
}

#[test]
fn many_generations_without_records_are_passed_at_once() {
    let setup = setup(1);
    for shard in 0..10 {
        let shard = id(shard * 3);
        let [left, right] = setup.stream.split_shard(shard, HashKey::from(HALF)).unwrap();
        setup.stream.merge_shards(left, right).unwrap();
    }
    let number = put(&setup, 5);
    let mut consumer = setup.stream.consumer("c").unwrap();
    assert_eq!(poll(&mut consumer), [number]);
    assert_eq!(consumer.lag().len(), 1);
}

#[test]
fn a_consumer_that_starts_at_the_latest_skips_closed_shards() {
    let setup = setup(1);
    put(&setup, 0);
    setup.stream.split_shard(id(0), HashKey::from(HALF)).unwrap();
    put(&setup, 0);
    let mut consumer =
        setup.stream.consumer_with("c", ConsumerOptions::new().start(Position::Latest)).unwrap();
    assert!(poll(&mut consumer).is_empty());
    let number = put(&setup, 0);
    assert_eq!(poll(&mut consumer), [number]);
    // Shards that come later are read from their beginning.
    consumer.checkpoint().unwrap();
    let children = setup.stream.split_shard(id(2), HashKey::from(HALF + (1 << 126))).unwrap();
    let first = put(&setup, HALF);
    assert_eq!(first.shard_id(), children[0]);
    drop(consumer);
    let setup = setup.reopen();
    assert_eq!(poll(&mut setup.stream.consumer("c").unwrap()), [first]);
}

#[test]
fn a_reset_reads_parents_before_children_again() {
    let setup = setup(1);
    let before = put(&setup, 0);
    setup.stream.split_shard(id(0), HashKey::from(HALF)).unwrap();
    let after = put(&setup, 0);
    let mut consumer = setup.stream.consumer("c").unwrap();
    for expected in [before, after] {
        assert_eq!(poll(&mut consumer), [expected]);
        consumer.checkpoint().unwrap();
    }
    assert!(poll(&mut consumer).is_empty());
    // All of it, then the parent alone: the child, in progress, waits for it.
    setup.stream.reset_consumer("c", Position::TrimHorizon).unwrap();
    assert_eq!(poll(&mut consumer), [before]);
    consumer.checkpoint().unwrap();
    assert_eq!(poll(&mut consumer), [after]);
    setup.stream.reset_consumer("c", Position::AtSequenceNumber(before)).unwrap();
    assert_eq!(poll(&mut consumer), [before]);
    assert!(poll(&mut consumer).is_empty());
    match consumer.checkpoint() {
        // It had been polled, and waits now.
        Err(CheckpointError::LeaseLost { shard_ids }) => assert_eq!(shard_ids, [after.shard_id()]),
        other => panic!("{other:?}"),
    }
    assert_eq!(poll(&mut consumer), [after]);
    consumer.checkpoint().unwrap();
}

#[test]
fn shards_that_retention_has_taken_hold_nobody_up() {
    // With a checkpoint in the middle of the shard, or none; with a worker waiting, or not.
    for (begun, joined) in [(true, true), (true, false), (false, true), (false, false)] {
        let setup = setup(1);
        setup.stream.set_retention(Retention::of_age(Duration::from_secs(100))).unwrap();
        let first = put(&setup, 0);
        put(&setup, 0);
        let mut consumer = setup.stream.consumer("c").unwrap();
        if begun {
            assert_eq!(consumer.poll(1, NOW).unwrap()[0].sequence_number(), first);
            consumer.checkpoint().unwrap();
        }
        drop(consumer);
        let setup = setup.reopen();
        let mut consumer = joined.then(|| setup.stream.consumer("c").unwrap());
        setup.stream.split_shard(id(0), HashKey::from(HALF)).unwrap();
        for _ in 0..20 {
            setup.clock.advance(Duration::from_secs(10));
            setup.store.maintain();
        }
        let after = put(&setup, 0);
        let listed = setup.stream.list_shards(ShardFilter::All);
        assert!(listed.iter().all(|shard| shard.id != id(0)), "{listed:?}");
        let consumer = consumer.get_or_insert_with(|| setup.stream.consumer("c").unwrap());
        let mut told = 0;
        let polled = loop {
            match consumer.poll(10, NOW) {
                Ok(records) => break records,
                Err(PollError::ShardGone { shard_id, checkpoint }) => {
                    assert_eq!(shard_id, id(0));
                    assert_eq!(begun, checkpoint == Checkpoint::AfterSequenceNumber(first));
                    told += 1;
                }
                Err(error) => panic!("{error}"),
            }
        };
        // A consumer that has never been there misses nothing that it knew of.
        assert_eq!(told, u32::from(begun || joined), "begun {begun}, joined {joined}");
        assert_eq!(polled.iter().map(|record| record.sequence_number()).collect::<Vec<_>>(), [after]);
    }
}

/// What of each key was put and what came of it.
#[derive(Default)]
struct Keys {
    put: BTreeMap<String, u64>,
    /// So many of the key's records have been polled at least once.
    seen: BTreeMap<String, u64>,
}

#[test]
fn order_per_key_survives_any_resharding() {
    let seed = std::env::var("RIVERBED_SEED").map_or(fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("order_per_key_survives_any_resharding: RIVERBED_SEED={seed}");
    let (mut records, mut again, mut reshards) = (0_u64, 0_u64, 0_u64);
    for history in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(history));
        let mut setup = setup(random.u32(1..4));
        let mut keys = Keys::default();
        let mut workers: Vec<Consumer> = Vec::new();
        for _ in 0..400 {
            match random.u32(..100) {
                0..50 => {
                    let key = format!("key-{}", random.u32(..20));
                    let index = keys.put.entry(key.clone()).or_default();
                    setup.stream.put(&key, index.to_le_bytes()).unwrap();
                    *index += 1;
                    records += 1;
                }
                50..56 => reshards += u64::from(reshard(&setup.stream, &mut random)),
                56..59 if workers.len() < 4 => {
                    let handover = *random.choice(&[Duration::ZERO, Duration::from_secs(60)]).unwrap();
                    let options = ConsumerOptions::new().handover(handover);
                    workers.push(setup.stream.consumer_with("c", options).unwrap());
                }
                59..61 if !workers.is_empty() => drop(workers.swap_remove(random.usize(..workers.len()))),
                61 => {
                    workers.clear();
                    setup = setup.reopen();
                }
                62..80 if !workers.is_empty() => {
                    // A worker that has lost a shard is told, and goes on.
                    let worker = random.usize(..workers.len());
                    drop(workers[worker].checkpoint());
                }
                _ if !workers.is_empty() => {
                    let worker = random.usize(..workers.len());
                    again += take(&mut workers[worker], random.usize(1..40), &mut keys);
                }
                _ => {}
            }
        }
        workers.truncate(1);
        let mut last = workers.pop().unwrap_or_else(|| setup.stream.consumer("c").unwrap());
        loop {
            let before: u64 = keys.seen.values().sum();
            let repeated = take(&mut last, 1000, &mut keys);
            last.checkpoint().ok();
            again += repeated;
            if before == keys.seen.values().sum::<u64>()
                && repeated == 0
                && last.lag().iter().all(|lag| lag.records == 0)
            {
                break;
            }
        }
        assert_eq!(keys.put, keys.seen, "history {history} of RIVERBED_SEED={seed}");
    }
    println!("{records} records in 60 histories with {reshards} reshards, {again} of them again");
}

/// Polls, and checks that no key's record comes before the one that was put before it. Returns how many came again.
fn take(worker: &mut Consumer, max: usize, keys: &mut Keys) -> u64 {
    let mut again = 0;
    for record in worker.poll(max, NOW).unwrap() {
        let key = record.partition_key().unwrap().to_owned();
        let index = u64::from_le_bytes(record.data()[..].try_into().unwrap());
        let seen = keys.seen.entry(key.clone()).or_default();
        assert!(index <= *seen, "{key}: record {index} came when only {seen} were there before it");
        again += u64::from(index < *seen);
        *seen = (index + 1).max(*seen);
    }
    again
}

fn reshard(stream: &Stream, random: &mut fastrand::Rng) -> bool {
    let open = stream.list_shards(ShardFilter::AtLatest);
    let shard = &open[random.usize(..open.len())];
    if random.bool() && open.len() < 12 {
        let (start, end) = (shard.range.start.as_u128(), shard.range.end.as_u128());
        let at = start + (end - start) / 2;
        return stream.split_shard(shard.id, HashKey::from(at)).is_ok();
    }
    let adjacent = open
        .iter()
        .find(|other| shard.range.end.as_u128().checked_add(1) == Some(other.range.start.as_u128()));
    adjacent.is_some_and(|adjacent| stream.merge_shards(shard.id, adjacent.id).is_ok())
}
