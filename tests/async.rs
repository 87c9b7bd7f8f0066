//! Guards against a stream of records that sleeps through a put, a split or the end, and against an awaited put that is not
//! on disk, never resolves, or blocks its executor.
#![cfg(feature = "async")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use riverbed::testing::{Disk, ManualClock, Operation, Verdict};
use riverbed::{
    Durability, Maintenance, Position, PutError, PutRecord, ReadError, ReadLevel, ReaderOptions, Store,
    Stream, StreamOptions, Timestamp,
};

fn stream(shards: u32) -> (tempfile::TempDir, Store, Stream) {
    let directory = tempfile::tempdir().unwrap();
    let store =
        Store::options().durability(Durability::Buffered).open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(shards)).unwrap();
    (directory, store, stream)
}

#[tokio::test]
async fn a_stream_of_records_wakes_for_each_put_and_ends_with_the_store() {
    let (_directory, store, stream) = stream(3);
    let records = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap().into_records();
    let reading = tokio::spawn(records.try_collect::<Vec<_>>());
    for number in 0..300 {
        stream.put(&format!("key-{number}"), number.to_string()).unwrap();
        if number % 10 == 0 {
            tokio::task::yield_now().await;
        }
        if number == 100 {
            stream.update_shard_count(6).unwrap();
        }
        if number == 200 {
            stream.update_shard_count(3).unwrap();
        }
    }
    // Everything is read, through splits and merges, although nobody said that it had been put.
    store.close().unwrap();
    let records = reading.await.unwrap().unwrap();
    let data: BTreeSet<_> = records.iter().map(|record| record.data().clone()).collect();
    assert_eq!((records.len(), data.len()), (300, 300));
}

#[tokio::test]
async fn a_shards_records_end_where_it_was_split() {
    let (_directory, _store, stream) = stream(1);
    let parent = stream.shards()[0];
    let mut records = stream.reader(parent.id, Position::TrimHorizon).unwrap().into_records();
    stream.put("k", "1").unwrap();
    assert_eq!(records.next().await.unwrap().unwrap().data()[..], *b"1");
    let splitting = tokio::task::spawn_blocking({
        let stream = stream.clone();
        move || {
            std::thread::sleep(Duration::from_millis(20));
            let range = parent.range;
            let middle = range.start.as_u128().midpoint(range.end.as_u128());
            stream.split_shard(parent.id, middle.into()).unwrap();
        }
    });
    assert!(records.next().await.is_none());
    splitting.await.unwrap();
}

/// Puts when it is woken, and so within a put.
struct PutsMore(Stream);

impl Wake for PutsMore {
    fn wake(self: Arc<Self>) {
        for _ in 0..4 {
            self.0.put("k", [2; 10_000]).unwrap();
        }
    }
}

#[test]
fn a_segment_that_was_made_in_a_hurry_is_not_replaced_by_the_one_that_was_to_be_prepared() {
    let disk = Disk::new();
    let options =
        Store::options().storage(&disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024);
    let store = options.clone().open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let mut records = reader.into_records();
    let waker = Arc::new(PutsMore(stream.clone())).into();
    let mut context = Context::from_waker(&waker);
    assert!(records.poll_next_unpin(&mut context).is_pending());
    // More than half of a segment: the next one is to be prepared, but whoever is woken needs it at once.
    stream.put("k", [1; 30_000]).unwrap();
    store.maintain();
    drop((records, stream));
    store.close().unwrap();
    drop((store, waker));

    let store = options.open("data").unwrap();
    assert!(!store.recovery_report().is_damaged(), "{:#?}", store.recovery_report());
    let stream = store.open_stream("s").unwrap();
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    assert_eq!(std::iter::from_fn(|| reader.next().unwrap().map(drop)).count(), 5);
}

#[tokio::test]
async fn a_durable_stream_wakes_for_syncs() {
    let (_directory, _store, stream) = stream(1);
    let options = ReaderOptions::new().level(ReadLevel::Durable);
    let reader = stream.reader_with(stream.shards()[0].id, Position::TrimHorizon, options).unwrap();
    let mut records = reader.into_records();
    stream.put("k", "1").unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(30), records.next()).await;
    assert!(waiting.is_err(), "it is not on disk yet");
    let (record, synced) = tokio::join!(records.next(), stream.sync_async());
    synced.unwrap();
    assert_eq!(record.unwrap().unwrap().data()[..], *b"1");
}

#[tokio::test]
async fn an_awaited_put_is_on_disk_and_many_share_a_sync() {
    let (_directory, _store, stream) = stream(1);
    let puts = (0..64).map(|number: u32| {
        let stream = stream.clone();
        async move {
            let data = number.to_le_bytes();
            let record = PutRecord::new("k", &data).durability(Durability::Immediate);
            stream.put_record_async(&record).await
        }
    });
    let puts = futures_util::future::join_all(puts).await;
    let last = puts.into_iter().map(|put| put.unwrap().sequence_number).max();
    let stats = stream.stats().shards.remove(0);
    assert_eq!(stats.durable_sequence_number, last);
    assert!(stats.syncs < 64, "{} syncs for 64 puts of one thread", stats.syncs);
}

#[tokio::test]
async fn a_failed_sync_is_told_to_all_who_await_it() {
    let disk = Disk::new();
    let store = Store::options().storage(&disk).durability(Durability::Buffered).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", "1").unwrap();
    stream.sync_async().await.unwrap();
    disk.plan(|call| match call.operation {
        Operation::SyncData => Verdict::Fail(ErrorKind::Other),
        _ => Verdict::Proceed,
    });
    let record = PutRecord::new("k", "2").durability(Durability::Immediate);
    let (one, other, synced) =
        tokio::join!(stream.put_record_async(&record), stream.put_record_async(&record), stream.sync_async());
    assert!(matches!(one, Err(PutError::Sync(_))), "{one:?}");
    assert!(matches!(other, Err(PutError::Sync(_))), "{other:?}");
    assert!(synced.is_err());
    let mut records = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap().into_records();
    assert_eq!(records.next().await.unwrap().unwrap().data()[..], *b"1");
    assert!(matches!(records.next().await, Some(Err(ReadError::Sync(_)))));
}

#[tokio::test]
async fn a_put_that_poisons_its_shard_wakes_those_who_await_the_next_record() {
    let disk = Disk::new();
    let options = Store::options().storage(&disk).maintenance(Maintenance::Manual);
    let store = options.clone().open("data").unwrap();
    store.create_stream("s", StreamOptions::new()).unwrap().put("k", "1").unwrap();
    store.close().unwrap();
    drop(store);
    let store = options.open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    let reader = stream.reader(stream.shards()[0].id, Position::Latest).unwrap();
    let mut records = reader.into_records();
    let (sender, woken) = std::sync::mpsc::channel();
    struct Telling(std::sync::mpsc::Sender<()>);
    impl Wake for Telling {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }
    let waker = Arc::new(Telling(sender)).into();
    assert!(records.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    // The first put after a clean close must be able to say that the segment is written again.
    disk.plan(|call| match call.operation {
        Operation::SyncData => Verdict::Fail(ErrorKind::Other),
        _ => Verdict::Proceed,
    });
    assert!(matches!(stream.put("k", "2"), Err(PutError::Sync(_))));
    assert_eq!(woken.try_recv(), Ok(()));
    assert!(matches!(records.next().await, Some(Err(ReadError::Sync(_)))));
}

/// A sync that could not be made is tried again soon, although another one is scheduled for much later.
#[test]
fn an_awaited_sync_that_could_not_be_made_is_not_put_off_for_long() {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let options = Store::options().storage(&disk).maintenance(Maintenance::Manual).clock(clock.clone());
    // Each sync opens its file.
    let store = options.max_open_files(0).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let hour = Durability::Periodic(Duration::from_secs(3600));
    stream.put_record(&PutRecord::new("k", b"1").durability(hour)).unwrap();
    disk.plan(|call| match call.operation {
        Operation::OpenFile => Verdict::Fail(ErrorKind::OutOfMemory),
        _ => Verdict::Proceed,
    });
    let mut syncing = std::pin::pin!(stream.sync_async());
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(syncing.as_mut().poll(&mut context).is_pending());
    store.maintain();
    disk.plan(|_| Verdict::Proceed);
    clock.advance(Duration::from_secs(2));
    store.maintain();
    assert!(matches!(syncing.as_mut().poll(&mut context), Poll::Ready(Ok(()))));

    // Nor is what is put meanwhile.
    let second = Durability::Periodic(Duration::from_secs(1));
    stream.put_record(&PutRecord::new("k", b"2").durability(second)).unwrap();
    clock.advance(Duration::from_secs(1));
    store.maintain();
    assert_eq!(stream.stats().shards[0].unsynced, 0);
}

#[tokio::test]
async fn what_was_dropped_is_not_woken() {
    let (_directory, _store, stream) = stream(1);
    let woken = Arc::new(AtomicU64::new(0));
    struct Counting(Arc<AtomicU64>);
    impl std::task::Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let waker = Arc::new(Counting(Arc::clone(&woken))).into();
    let mut context = std::task::Context::from_waker(&waker);
    let id = stream.shards()[0].id;
    let mut dropped = stream.reader(id, Position::TrimHorizon).unwrap().into_records();
    assert!(dropped.poll_next_unpin(&mut context).is_pending());
    drop(dropped);
    stream.put("k", "1").unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 0);
    let mut kept = stream.reader(id, Position::Latest).unwrap().into_records();
    assert!(kept.poll_next_unpin(&mut context).is_pending());
    stream.put("k", "2").unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn another_processs_records_can_be_awaited_too() {
    let (directory, store, stream) = stream(2);
    let follower = Store::open_read_only(directory.path().join("data")).unwrap();
    let followed = follower.open_stream("s").unwrap();
    let records = followed.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap().into_records();
    let reading = tokio::spawn(records.take(100).try_collect::<Vec<_>>());
    for number in 0..100 {
        stream.put(&format!("key-{number}"), "x").unwrap();
        if number % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert_eq!(reading.await.unwrap().unwrap().len(), 100);
    store.close().unwrap();
}
