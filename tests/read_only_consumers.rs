//! Guards against lags of consumers that are told differently beside the writing process than in it, and against a look at them
//! that changes something.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::Disk;
use riverbed::{
    ConsumerError, ConsumerOptions, Durability, HashKey, Maintenance, ReadOnlyStream, ShardLag, Store,
    StoreOptions, Stream, StreamError, StreamOptions,
};

fn options(disk: &Disk) -> StoreOptions {
    let options = Store::options().storage(disk).maintenance(Maintenance::Manual);
    options.durability(Durability::Buffered).segment_len(64 * 1024, 64 * 1024)
}

fn setup() -> (Store, Stream, ReadOnlyStream) {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let followed = options(&disk).open_read_only("data").unwrap().open_stream("s").unwrap();
    (store, stream, followed)
}

/// What both sides tell, which is the same but for who has the shards.
fn lag(stream: &Stream, followed: &ReadOnlyStream) -> Vec<ShardLag> {
    let outside = followed.consumer_lag("billing").unwrap();
    let mut inside = stream.consumer_lag("billing").unwrap();
    inside.iter_mut().for_each(|lag| lag.held = false);
    assert_eq!(inside, outside);
    outside
}

#[test]
fn lags_are_the_same_inside_and_outside() {
    let (_store, stream, followed) = setup();
    assert_eq!(followed.list_consumers().unwrap(), Vec::<String>::new());
    let mut consumer =
        stream.consumer_with("billing", ConsumerOptions::new().durability(Durability::Buffered)).unwrap();
    assert_eq!(followed.list_consumers().unwrap(), ["billing"]);
    // More than a segment.
    for round in 0..400 {
        stream.put(&*format!("key {round}"), vec![7; 400]).unwrap();
    }
    let all = lag(&stream, &followed);
    assert_eq!(all.iter().map(|lag| lag.records).sum::<u64>(), 400);
    let polled = consumer.poll(150, Duration::ZERO).unwrap().len() as u64;
    assert!(polled > 0);
    assert_eq!(lag(&stream, &followed), all);
    consumer.checkpoint().unwrap();
    assert_eq!(lag(&stream, &followed).iter().map(|lag| lag.records).sum::<u64>(), 400 - polled);
}

#[test]
fn shards_that_are_finished_and_those_that_came_of_them_are_told_apart() {
    let (_store, stream, followed) = setup();
    let mut consumer = stream.consumer("billing").unwrap();
    stream.put("k", b"before").unwrap();
    let (first, second) = (stream.shards()[0].id, stream.shards()[1].id);
    stream.split_shard(first, HashKey::from(1 << 100)).unwrap();
    assert_eq!(lag(&stream, &followed).len(), 4);
    // The first poll finds what is there, later ones the ends of shards.
    for _ in 0..4 {
        consumer.poll(10, Duration::ZERO).unwrap();
        consumer.checkpoint().unwrap();
    }
    let left: Vec<_> = lag(&stream, &followed).iter().map(|lag| lag.shard_id).collect();
    assert_eq!(left.len(), 3);
    assert!(!left.contains(&first) && left.contains(&second));
}

#[test]
fn what_is_not_there_is_told() {
    let (store, stream, followed) = setup();
    stream.consumer("billing").unwrap();
    assert!(
        matches!(followed.consumer_lag("billin"), Err(ConsumerError::NotFound { name }) if name == "billin")
    );
    assert!(matches!(followed.consumer_lag("../billing"), Err(ConsumerError::Name(_))));
    store.delete_stream("s").unwrap();
    let gone = |error| matches!(error, ConsumerError::Stream(StreamError::NotFound { .. }));
    assert!(followed.consumer_lag("billing").is_err_and(gone));
    assert!(followed.list_consumers().is_err_and(gone));
}
