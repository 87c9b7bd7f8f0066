//! What is polled, in which order, and what a checkpoint keeps from being polled again.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use riverbed::{Checkpoint, CheckpointError, ConsumerOptions, Durability, PutRecord, ReadLevel};

use super::setup::*;

#[test]
fn everything_is_polled_once_and_after_a_restart_what_came_since() {
    let setup = setup(5);
    let first = setup.put(50);
    let mut consumer = setup.consumer();
    let polled = drain(&mut consumer);
    assert_eq!(sorted(polled.clone()), sorted(first));
    let mut by_shard: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for number in polled {
        by_shard.entry(number.shard_id()).or_default().push(number);
    }
    for numbers in by_shard.values() {
        assert!(numbers.is_sorted(), "within a shard the order is the shard's");
    }
    consumer.checkpoint().unwrap();
    consumer.checkpoint().unwrap();
    assert!(drain(&mut consumer).is_empty());
    drop(consumer);

    let setup = setup.reopen();
    let second = setup.put(20);
    assert_eq!(sorted(drain(&mut setup.consumer())), sorted(second.clone()));
    // That worker has gone without a checkpoint: they come again, and after a restart too.
    assert_eq!(sorted(drain(&mut setup.consumer())), sorted(second.clone()));
    let setup = setup.reopen();
    assert_eq!(sorted(drain(&mut setup.consumer())), sorted(second));
}

#[test]
fn a_record_can_be_checkpointed_without_those_after_it() {
    let setup = setup(1);
    let put = setup.put(10);
    let mut consumer = setup.consumer();
    assert!(matches!(
        consumer.checkpoint_at(put[0]),
        Err(CheckpointError::LeaseLost { .. } | CheckpointError::NotPolled { .. })
    ));
    assert_eq!(numbers(&consumer.poll(6, NOW).unwrap()), put[..6]);
    consumer.checkpoint_at(put[3]).unwrap();
    consumer.checkpoint_at(put[3]).unwrap();
    match consumer.checkpoint_at(put[2]) {
        Err(CheckpointError::Backwards { number, present }) => {
            assert_eq!((number, present), (put[2], Checkpoint::AfterSequenceNumber(put[3])));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(consumer.checkpoint_at(put[6]), Err(CheckpointError::NotPolled { .. })));
    assert_eq!(
        numbers(&consumer.poll(2, NOW).unwrap()),
        put[6..8],
        "a checkpoint does not move what is polled"
    );
    drop(consumer);
    let setup = setup.reopen();
    assert_eq!(drain(&mut setup.consumer()), put[4..]);
}

#[test]
fn records_can_be_borrowed() {
    let setup = setup(2);
    let put = setup.put(10);
    let mut consumer = setup.consumer();
    let mut seen = Vec::new();
    let count = consumer.poll_with(100, NOW, |record| {
        assert_eq!(record.data(), b"data");
        seen.push(record.sequence_number());
    });
    assert_eq!(count.unwrap(), 10);
    assert_eq!(sorted(seen), sorted(put));
    consumer.checkpoint().unwrap();
    assert!(drain(&mut setup.consumer()).is_empty());
}

#[test]
fn no_shard_starves_another() {
    let setup = setup(2);
    let [left, right] = shard_ids(&setup.stream)[..] else { panic!() };
    // Many records in one shard, one in the other.
    let hash = |id| setup.stream.shards().iter().find(|shard| shard.id == id).unwrap().range.start;
    for _ in 0..100 {
        setup.stream.put_record(&PutRecord::new("k", b"").explicit_hash_key(hash(left))).unwrap();
    }
    setup.stream.put_record(&PutRecord::new("k", b"").explicit_hash_key(hash(right))).unwrap();
    let records = setup.consumer().poll(10, NOW).unwrap();
    assert!(records.iter().any(|record| record.shard_id() == right));
    assert_eq!(records.len(), 10);
}

#[test]
fn a_poll_sleeps_until_any_shard_has_more() {
    let setup = setup(3);
    let mut consumer = setup.consumer();
    assert!(consumer.poll(10, Duration::from_millis(1)).unwrap().is_empty());
    for round in 0..50_u64 {
        let stream = setup.stream.clone();
        let put = thread::spawn(move || {
            // Sometimes before the poll sleeps, sometimes after.
            thread::sleep(Duration::from_micros(round * 40));
            stream.put(&format!("key-{round}"), b"wake up").unwrap().sequence_number
        });
        let polled = numbers(&consumer.poll(10, LONG).unwrap());
        assert_eq!(polled, [put.join().unwrap()]);
    }
}

#[test]
fn a_durable_poll_sleeps_until_a_sync() {
    let setup = setup(2);
    let mut consumer = setup.with(ConsumerOptions::new().level(ReadLevel::Durable));
    let put = setup.stream.put_record(&PutRecord::new("k", b"x").durability(Durability::Buffered)).unwrap();
    assert!(consumer.poll(10, Duration::from_millis(5)).unwrap().is_empty());
    let stream = setup.stream.clone();
    let sync = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        stream.sync().unwrap();
    });
    assert_eq!(numbers(&consumer.poll(10, LONG).unwrap()), [put.sequence_number]);
    sync.join().unwrap();
}
