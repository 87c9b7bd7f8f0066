//! Guards against names that a killed process has left without making them durable, and that its successor builds on: a
//! power cut would take them, with all that was acknowledged since.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::{Disk, Verdict};
use riverbed::{
    ConsumerOptions, Durability, HashKey, Maintenance, Position, PutRecord, ShardFilter, ShardId, Store,
    StoreOptions, Stream, StreamOptions,
};

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 << 10, 64 << 10)
}

fn put(stream: &Stream, data: &'static str) -> bool {
    stream.put_record(&PutRecord::new("k", data).durability(Durability::Immediate)).is_ok()
}

/// Kills a process at each of its steps, goes on in another one, and cuts the power of that.
fn check(scenario: impl Fn(&Store)) {
    for step in 0.. {
        let mut finished = false;
        for seed in 0..8 {
            let disk = Disk::new();
            let store = options(&disk).open("data").unwrap();
            store.create_stream("s", StreamOptions::new()).unwrap();
            let at = disk.steps() + step;
            disk.plan(move |call| if call.step >= at { Verdict::Kill } else { Verdict::Proceed });
            scenario(&store);
            finished = !disk.is_off();
            drop(store);
            let disk = disk.power_on();

            let store = options(&disk).open("data").unwrap();
            let stream = store.open_stream("s").unwrap();
            assert!(put(&stream, "acknowledged"), "step {step}");
            let disk = disk.cut_power(seed);
            drop((stream, store));

            let store = options(&disk).open("data").unwrap();
            assert!(!store.recovery_report().is_damaged(), "step {step}, seed {seed}");
            let stream = store.open_stream("s").unwrap();
            let found = stream.list_shards(ShardFilter::All).iter().any(|shard| {
                let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
                let mut found = false;
                while let Some(record) = reader.next().unwrap() {
                    found |= record.data() == b"acknowledged";
                }
                found
            });
            assert!(found, "step {step}, seed {seed}: what was acknowledged is lost");
        }
        if finished {
            assert!(step > 5, "only {step} steps");
            break;
        }
    }
}

#[test]
fn a_shards_directory_is_made_durable_by_whoever_finds_it() {
    check(|store| {
        if let Ok(stream) = store.open_stream("s") {
            put(&stream, "first");
        }
    });
}

#[test]
fn so_are_the_directories_of_shards_that_came_of_a_split() {
    check(|store| {
        if let Ok(stream) = store.open_stream("s") {
            put(&stream, "first");
            drop(stream.split_shard(ShardId::new(0), HashKey::from(1 << 127)));
            put(&stream, "second");
        }
    });
}

#[test]
fn so_is_the_directory_of_consumers() {
    for step in 0.. {
        let mut finished = false;
        for seed in 0..8 {
            let disk = Disk::new();
            let store = options(&disk).open("data").unwrap();
            let stream = store.create_stream("s", StreamOptions::new()).unwrap();
            assert!(put(&stream, "billed"));
            let at = disk.steps() + step;
            disk.plan(move |call| if call.step >= at { Verdict::Kill } else { Verdict::Proceed });
            drop(stream.consumer("billing"));
            finished = !disk.is_off();
            drop((stream, store));
            let disk = disk.power_on();

            let store = options(&disk).open("data").unwrap();
            let stream = store.open_stream("s").unwrap();
            let immediate = ConsumerOptions::new().durability(Durability::Immediate);
            let mut billing = stream.consumer_with("billing", immediate).unwrap();
            assert_eq!(billing.poll(10, Duration::from_secs(10)).unwrap().len(), 1);
            billing.checkpoint().unwrap();
            let disk = disk.cut_power(seed);
            drop((billing, stream, store));

            let store = options(&disk).open("data").unwrap();
            let stream = store.open_stream("s").unwrap();
            let lag = stream.consumer_lag("billing");
            let lag = lag.unwrap_or_else(|error| panic!("step {step}, seed {seed}: {error}"));
            assert_eq!(lag.iter().map(|shard| shard.records).sum::<u64>(), 0, "step {step}, seed {seed}");
        }
        if finished {
            assert!(step > 5, "only {step} steps");
            break;
        }
    }
}
