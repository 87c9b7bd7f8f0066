//! Guards against a change of the number of shards that ends with uneven ranges, takes more changes than it needs, cannot be
//! gone on with when the process ended or the disk refused on the way, or undoes for ever what another one does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use riverbed::testing::{Disk, Operation, Verdict};
use riverbed::{
    HashKeyRange, Maintenance, ReshardError, ReshardPlanError, ShardFilter, Store, StoreOptions, Stream,
    StreamOptions,
};

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

fn stream(disk: &Disk, shards: u32) -> Stream {
    let store = options(disk).open("data").unwrap();
    store.create_stream("s", StreamOptions::new().shards(shards)).unwrap()
}

/// The open shards are so many, own every hash key once, and begin where even ranges begin.
fn assert_even(stream: &Stream, count: u32) {
    let shards = stream.shards();
    let even = HashKeyRange::uniform(NonZeroU32::new(count).unwrap());
    assert_eq!(shards.len(), even.len());
    let mut next = Some(0);
    for (shard, even) in shards.iter().zip(even) {
        let start = shard.range.start.as_u128();
        assert!(start.abs_diff(even.start.as_u128()) <= 1 << 32, "{count}: {start} instead of {even:?}");
        assert_eq!(next, Some(start));
        next = shard.range.end.as_u128().checked_add(1);
    }
    assert_eq!(next, None);
}

#[test]
fn any_count_ends_with_even_ranges() {
    let stream = stream(&Disk::new(), 1);
    for target in [2, 3, 6, 5, 10, 7, 4, 8, 16, 13, 13, 7, 4, 2, 1] {
        stream.update_shard_count(target).unwrap();
        assert_even(&stream, target);
    }
}

#[test]
fn a_doubling_is_one_change() {
    let stream = stream(&Disk::new(), 8);
    stream.update_shard_count(16).unwrap();
    assert_eq!(stream.list_shards(ShardFilter::All).len(), 24);
    stream.update_shard_count(8).unwrap();
    assert_eq!(stream.list_shards(ShardFilter::All).len(), 32);
}

/// As Kinesis has it, whatever boundaries the two numbers share.
#[test]
fn between_even_ranges_the_limits_are_half_and_twice() {
    for open in 1..=24 {
        let stream = stream(&Disk::new(), open);
        for target in (0..open.div_ceil(2)).chain([2 * open + 1, u32::MAX]) {
            let error = stream.update_shard_count(target).unwrap_err();
            let ReshardError::Plan(ReshardPlanError::ShardCount { min, max, .. }) = error else {
                unreachable!("{error}")
            };
            assert_eq!((min, max), (open.div_ceil(2), 2 * open));
        }
        assert_even(&stream, open);
    }
}

/// On the way from 7 shards to 4 there are 10, of which 4 are less than half.
#[test]
fn an_update_that_stopped_on_the_way_is_gone_on_with() {
    for (from, to) in [(7, 4), (16, 13), (13, 7), (5, 8)] {
        let mut most = 0;
        for step in 0.. {
            let disk = Disk::new();
            let changed = stream(&disk, from);
            let first = disk.steps();
            disk.plan(move |call| if call.step >= first + step { Verdict::Kill } else { Verdict::Proceed });
            let finished = changed.update_shard_count(to).is_ok();
            let disk = disk.power_on();
            drop(changed);

            let store = options(&disk).open("data").unwrap();
            let found = store.open_stream("s").unwrap();
            most = most.max(found.shards().len());
            found.update_shard_count(to).unwrap();
            assert_even(&found, to);
            if finished {
                break;
            }
        }
        assert!(most > from.max(to) as usize, "never on the way from {from} to {to}");
    }
}

#[test]
fn an_update_that_the_disk_refused_is_gone_on_with() {
    for nth in 0.. {
        let disk = Disk::new();
        let stream = stream(&disk, 7);
        let renames = AtomicUsize::new(0);
        disk.plan(move |call| {
            match call.operation == Operation::Rename && renames.fetch_add(1, Ordering::Relaxed) == nth {
                true => Verdict::Fail(ErrorKind::StorageFull),
                false => Verdict::Proceed,
            }
        });
        let outcome = stream.update_shard_count(4);
        if outcome.is_ok() {
            assert!(nth > 1, "one change alone");
            break;
        }
        stream.update_shard_count(4).unwrap();
        assert_even(&stream, 4);
    }
}

/// Of two that went on at the same time each would split what the other one merges, for as long as they take turns.
#[test]
fn an_update_begins_when_the_one_before_has_ended() {
    let (begun, has_begun) = mpsc::channel();
    let disk = Disk::new();
    let stream = stream(&disk, 7);
    disk.plan(move |call| match call.operation {
        Operation::Rename => {
            begun.send(()).unwrap();
            Verdict::Delay(Duration::from_millis(100))
        }
        _ => Verdict::Proceed,
    });
    thread::scope(|scope| {
        scope.spawn(|| stream.update_shard_count(4).unwrap());
        has_begun.recv().unwrap();
        // Not too many while there are 7.
        let error = stream.update_shard_count(14).unwrap_err();
        assert!(
            matches!(error, ReshardError::Plan(ReshardPlanError::ShardCount { open: 4, .. })),
            "{error:?}"
        );
    });
    assert_even(&stream, 4);
}
