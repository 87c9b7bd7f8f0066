//! Guards against a failed sync that is retried, forgotten, or leaves somebody waiting for ever: it must poison its
//! shard, wake every waiter with the error, leave what is durable readable, and be healed by reopening.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use riverbed::testing::{Disk, Operation, Verdict};
use riverbed::{
    Durability, Maintenance, Position, PutError, PutRecord, ReadError, ReadLevel, ReaderOptions, Store,
    StoreOptions, Stream, StreamOptions,
};

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

fn put(stream: &Stream, key: &str, data: &[u8], durability: Durability) -> Result<riverbed::Put, PutError> {
    stream.put_record(&PutRecord::new(key, data).durability(durability))
}

fn read(stream: &Stream, shard: riverbed::ShardId) -> Vec<Vec<u8>> {
    let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        all.push(record.data().to_vec());
    }
    all
}

/// From now on every sync of a segment in a path with `part` fails.
fn fail_syncs(disk: &Disk, part: &'static str) {
    disk.plan(move |call| {
        let hit = call.operation == Operation::SyncData
            && call.path.to_str().is_some_and(|path| path.contains(part) && path.ends_with(".segment"));
        if hit { Verdict::Fail(ErrorKind::Other) } else { Verdict::Proceed }
    });
}

#[test]
fn it_poisons_its_shard_and_no_other() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let (one, other) = ("a", "0");
    let shard = stream.shard_for_key(one).unwrap();
    assert_ne!(Some(shard), stream.shard_for_key(other));
    put(&stream, one, b"durable", Durability::Immediate).unwrap();
    put(&stream, other, b"elsewhere", Durability::Immediate).unwrap();
    put(&stream, one, b"buffered", Durability::Buffered).unwrap();
    let directory: &'static str = if shard.as_u32() == 0 { "shard-000000" } else { "shard-000001" };
    fail_syncs(&disk, directory);
    assert!(matches!(put(&stream, one, b"refused", Durability::Immediate), Err(PutError::Sync(_))));

    // The fault is over, and still nobody tries again.
    disk.plan(|_| Verdict::Proceed);
    for durability in [Durability::Buffered, Durability::Immediate] {
        assert!(matches!(put(&stream, one, b"more", durability), Err(PutError::Sync(_))));
    }
    assert!(stream.sync().is_err());
    put(&stream, other, b"goes on", Durability::Immediate).unwrap();

    // Only what is durable is shown: the rest may already be gone.
    assert_eq!(read(&stream, shard), [b"durable"]);
    let mut reader = stream.reader(shard, Position::Latest).unwrap();
    assert!(matches!(reader.wait(Duration::from_secs(3600)), Err(ReadError::Sync(_))));
    assert!(store.close().is_err());
    drop((store, stream, reader));

    // A failed sync loses what it was to write, on this disk as on Linux; what was durable is there.
    let disk = disk.cut_power(1);
    let store = options(&disk).open("data").unwrap();
    assert!(!store.recovery_report().is_damaged(), "{:?}", store.recovery_report());
    let stream = store.open_stream("s").unwrap();
    assert_eq!(read(&stream, shard)[0], b"durable");
    put(&stream, one, b"again", Durability::Immediate).unwrap();
}

#[test]
fn everybody_who_waits_is_woken() {
    let disk = Disk::new();
    let store = Store::options().storage(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let shard = stream.shards()[0].id;
    let first = put(&stream, "k", b"first", Durability::Buffered).unwrap();
    // The failing sync is held until everybody waits for it or behind it.
    let waiting = Arc::new(std::sync::Barrier::new(9));
    let held = Arc::new(AtomicBool::new(true));
    {
        let held = Arc::clone(&held);
        disk.plan(move |call| {
            if call.operation == Operation::SyncData
                && call.path.extension().is_some_and(|end| end == "segment")
            {
                let first = held.swap(false, Ordering::SeqCst);
                if first {
                    // Long enough for the others to queue up behind the one who syncs; nothing depends on it.
                    std::thread::sleep(Duration::from_millis(30));
                }
                return Verdict::Fail(ErrorKind::Other);
            }
            Verdict::Proceed
        });
    }
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for index in 0..6 {
            let (stream, waiting) = (stream.clone(), Arc::clone(&waiting));
            threads.push(scope.spawn(move || {
                waiting.wait();
                put(&stream, "k", format!("{index}").as_bytes(), Durability::Immediate).is_err()
            }));
        }
        let (durable, barrier) = (stream.clone(), Arc::clone(&waiting));
        threads.push(scope.spawn(move || {
            barrier.wait();
            matches!(
                durable.wait_durable(first.sequence_number, Duration::from_secs(3600)),
                Err(ReadError::Sync(_))
            )
        }));
        let (reader, barrier) = (stream.clone(), Arc::clone(&waiting));
        threads.push(scope.spawn(move || {
            let options = ReaderOptions::new().level(ReadLevel::Durable);
            let mut reader = reader.reader_with(shard, Position::TrimHorizon, options).unwrap();
            barrier.wait();
            matches!(reader.wait(Duration::from_secs(3600)), Err(ReadError::Sync(_)))
        }));
        waiting.wait();
        for thread in threads {
            assert!(thread.join().unwrap(), "somebody was told that it had worked");
        }
    });
}

#[test]
fn a_failing_sync_while_a_clean_segment_is_opened_again_poisons_too() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let shard = stream.shards()[0].id;
    put(&stream, "k", b"one", Durability::Immediate).unwrap();
    store.close().unwrap();
    drop((store, stream));

    let store = options(&disk).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    fail_syncs(&disk, "shard");
    // The mark that the segment is written again must be durable before anything is.
    assert!(matches!(put(&stream, "k", b"two", Durability::Buffered), Err(PutError::Sync(_))));
    disk.plan(|_| Verdict::Proceed);
    assert!(matches!(put(&stream, "k", b"two", Durability::Buffered), Err(PutError::Sync(_))));
    assert_eq!(read(&stream, shard), [b"one"]);
}

#[test]
fn a_failing_sync_of_a_rolled_segment_fails_the_put_that_waits() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let shard = stream.shards()[0].id;
    let data = vec![7; 20_000];
    for _ in 0..4 {
        put(&stream, "k", &data, Durability::Buffered).unwrap();
    }
    fail_syncs(&disk, "00000000000000000000.segment");
    assert!(matches!(put(&stream, "k", b"last", Durability::Immediate), Err(PutError::Sync(_))));
    assert_eq!(read(&stream, shard).len(), 0, "nothing was durable");
}
