//! Guards against a failed sync that is retried, forgotten, or leaves somebody waiting for ever: it must poison its
//! shard, wake every waiter with the error, leave what is durable readable, and be healed by reopening, which must not believe what it
//! reads of that which the sync was to write. Guards also against taking for one that a file could not be opened.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use riverbed::testing::{Disk, ManualClock, Operation, Verdict};
use riverbed::{
    Durability, Maintenance, Position, PutError, PutRecord, ReadError, ReadLevel, ReaderOptions, Store,
    StoreOptions, Stream, StreamOptions, Timestamp,
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

/// What a failed sync was to write reads as if it were written, and later syncs leave it out.
#[test]
fn what_the_next_process_serves_outlives_a_power_cut_without_a_restart_of_the_machine() {
    for seed in 0..100 {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        let shard = stream.shards()[0].id;
        put(&stream, "k", b"before", Durability::Immediate).unwrap();
        put(&stream, "k", &[7; 10_000], Durability::Buffered).unwrap();
        fail_syncs(&disk, "shard");
        assert!(stream.sync().is_err());
        assert!(store.close().is_err());
        drop((store, stream));
        assert!(options(&disk).open("data").is_err());
        disk.plan(|_| Verdict::Proceed);

        let store = options(&disk).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        assert_eq!(read(&stream, shard), [&b"before"[..], &[7; 10_000]]);
        put(&stream, "k", b"after", Durability::Immediate).unwrap();
        let disk = disk.cut_power(seed);
        drop((store, stream));

        let store = options(&disk).open("data").unwrap();
        assert!(!store.recovery_report().is_damaged(), "{:?}", store.recovery_report());
        assert_eq!(read(&store.open_stream("s").unwrap(), shard), [&b"before"[..], &[7; 10_000], b"after"]);
    }
}

/// The slot that a failed sync was to write reads as if it were written. The one before it, in the other page, is still the one that a
/// power cut leaves, and says where the shard was trimmed.
#[test]
fn a_slot_that_was_given_up_is_not_believed() {
    for fails_while_closing in [false, true] {
        for (seed, syncs) in (0..100).flat_map(|seed| (0..4).map(move |syncs| (seed, syncs))) {
            let disk = Disk::new();
            let store = options(&disk).open("data").unwrap();
            let stream = store.create_stream("s", StreamOptions::new()).unwrap();
            let shard = stream.shards()[0].id;
            let mut last = None;
            for _ in 0..12 {
                last = Some(put(&stream, "k", &[7; 10_000], Durability::Immediate).unwrap().sequence_number);
            }
            assert!(stream.trim_to(last.unwrap()).unwrap() > 0);
            if !fails_while_closing {
                put(&stream, "k", b"acknowledged", Durability::Immediate).unwrap();
            }
            fail_syncs(&disk, "shard");
            if fails_while_closing {
                assert!(store.close().is_err());
            } else {
                assert!(put(&stream, "k", b"refused", Durability::Immediate).is_err());
            }
            let disk = disk.kill();
            drop((store, stream));

            let syncs = Arc::new(AtomicU64::new(syncs));
            disk.plan(move |call| match call.operation {
                Operation::SyncData if syncs.fetch_sub(1, Ordering::SeqCst) == 0 => {
                    Verdict::CutPower { seed }
                }
                _ => Verdict::Proceed,
            });
            if let Ok(store) = options(&disk).open("data") {
                let put = put(&store.open_stream("s").unwrap(), "k", b"after", Durability::Immediate);
                assert_eq!(put.is_err(), disk.is_off());
            }
            let disk = disk.cut_power(seed);

            let store = options(&disk).open("data").unwrap();
            let report = store.recovery_report();
            assert!(!report.is_damaged(), "{seed}, closing: {fails_while_closing}: {report:?}");
            let expected = if fails_while_closing { &[7; 10_000] } else { &b"acknowledged"[..] };
            assert!(read(&store.open_stream("s").unwrap(), shard).iter().any(|data| data == expected));
        }
    }
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

/// A store that opens a segment's file for each sync, with one stream.
fn reopening(disk: &Disk, clock: &ManualClock) -> (Store, Stream) {
    let store = options(disk).clock(clock.clone()).max_open_files(0).open("data").unwrap();
    let stream = store.open_or_create_stream("s", StreamOptions::new()).unwrap();
    (store, stream)
}

/// From now on no segment can be opened.
fn fail_opening(disk: &Disk, kind: ErrorKind) {
    disk.plan(move |call| {
        let hit =
            call.operation == Operation::OpenFile && call.path.extension().is_some_and(|it| it == "segment");
        if hit { Verdict::Fail(kind) } else { Verdict::Proceed }
    });
}

fn is_put_off(result: Result<riverbed::Put, PutError>) -> bool {
    matches!(result, Err(PutError::Sync(error)) if !error.is_final)
}

#[test]
fn a_file_that_cannot_be_opened_to_be_synced_is_no_failed_sync() {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let (store, stream) = reopening(&disk, &clock);
    let shard = stream.shards()[0].id;
    put(&stream, "k", b"one", Durability::Immediate).unwrap();
    fail_opening(&disk, ErrorKind::OutOfMemory);
    assert!(is_put_off(put(&stream, "k", b"two", Durability::Immediate)));
    let three = put(&stream, "k", b"three", Durability::Buffered).unwrap();
    assert!(stream.sync().is_err_and(|error| !error.is_final));
    assert!(!stream.wait_durable(three.sequence_number, Duration::ZERO).unwrap());
    assert_eq!(read(&stream, shard), [&b"one"[..], b"two", b"three"]);

    disk.plan(|_| Verdict::Proceed);
    put(&stream, "k", b"four", Durability::Immediate).unwrap();
    let disk = disk.cut_power(1);
    drop((store, stream));
    let (store, stream) = reopening(&disk, &clock);
    assert_eq!(read(&stream, shard), [&b"one"[..], b"two", b"three", b"four"]);
    store.close().unwrap();
    drop((store, stream));

    // Nor is one that cannot be marked as being written again.
    let (_store, stream) = reopening(&disk, &clock);
    fail_opening(&disk, ErrorKind::OutOfMemory);
    assert!(matches!(put(&stream, "k", b"five", Durability::Buffered), Err(PutError::Io(_))));
    disk.plan(|_| Verdict::Proceed);
    put(&stream, "k", b"five", Durability::Immediate).unwrap();
    assert_eq!(read(&stream, shard).len(), 5);
}

#[test]
fn what_could_not_be_synced_in_the_background_is_tried_again() {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let (store, stream) = reopening(&disk, &clock);
    let wait = |seconds| {
        clock.advance(Duration::from_secs(seconds));
        store.maintain();
    };
    let data = vec![7; 20_000];
    for _ in 0..4 {
        put(&stream, "k", &data, Durability::Periodic(Duration::from_secs(1))).unwrap();
    }
    let has_index = || disk.files().iter().any(|path| path.extension().is_some_and(|it| it == "index"));
    let unsynced = || stream.stats().shards[0].unsynced;
    fail_opening(&disk, ErrorKind::OutOfMemory);
    wait(1);
    assert_eq!(unsynced(), 4);
    wait(2);
    assert_eq!(
        stream.stats().shards[0].sync_overdue,
        Duration::from_secs(2),
        "since it was due, not since it was tried"
    );
    disk.plan(|_| Verdict::Proceed);
    wait(2);
    assert_eq!((unsynced(), has_index()), (0, true), "synced, and the rolled segment put away");

    // The same when the sync works, and what follows it does not.
    for _ in 0..2 {
        put(&stream, "k", &data, Durability::Buffered).unwrap();
    }
    stream.sync().unwrap();
    let indexes =
        || disk.files().iter().filter(|path| path.extension().is_some_and(|it| it == "index")).count();
    fail_opening(&disk, ErrorKind::OutOfMemory);
    wait(1);
    assert_eq!(indexes(), 1);
    // Neither is anything removed.
    let last = put(&stream, "k", b"last", Durability::Buffered).unwrap();
    assert!(stream.trim_to(last.sequence_number).is_err());
    assert_eq!(stream.stats().shards[0].records, 7);
    disk.plan(|_| Verdict::Proceed);
    wait(2);
    assert_eq!(indexes(), 2);
    assert!(stream.trim_to(last.sequence_number).unwrap() > 0);
    store.close().unwrap();
}

#[test]
fn one_that_waits_beside_another_whose_file_could_not_be_opened_tries_for_itself() {
    let disk = Disk::new();
    let store = Store::options().storage(&disk).max_open_files(0).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    put(&stream, "k", b"first", Durability::Immediate).unwrap();
    // One opening fails, late enough for the others to wait for it; nothing depends on that.
    let failing = Arc::new(AtomicBool::new(true));
    disk.plan(move |call| {
        let is_segment = call.path.extension().is_some_and(|it| it == "segment");
        match call.operation {
            Operation::SyncData if is_segment => Verdict::Delay(Duration::from_millis(20)),
            Operation::OpenFile if is_segment && failing.swap(false, Ordering::SeqCst) => {
                Verdict::Fail(ErrorKind::OutOfMemory)
            }
            _ => Verdict::Proceed,
        }
    });
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..6).map(|_| scope.spawn(|| put(&stream, "k", b"more", Durability::Immediate))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (done, put_off): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), put_off.len()), (5, 1));
    assert!(put_off.into_iter().all(is_put_off));
    let disk = disk.cut_power(1);
    drop((store, stream));
    let store = options(&disk).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    assert!(read(&stream, stream.shards()[0].id).len() > 5);
}

#[test]
fn a_file_that_cannot_be_opened_for_another_reason_is_a_failed_sync() {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let (_store, stream) = reopening(&disk, &clock);
    put(&stream, "k", b"one", Durability::Buffered).unwrap();
    fail_opening(&disk, ErrorKind::PermissionDenied);
    let refused = put(&stream, "k", b"two", Durability::Immediate);
    assert!(matches!(refused, Err(PutError::Sync(error)) if error.is_final));
    disk.plan(|_| Verdict::Proceed);
    assert!(matches!(put(&stream, "k", b"three", Durability::Buffered), Err(PutError::Sync(_))));
}

#[test]
fn a_store_whose_closing_could_not_sync_is_not_written_to_any_more() {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let (store, stream) = reopening(&disk, &clock);
    let one = put(&stream, "k", b"one", Durability::Buffered).unwrap();
    fail_opening(&disk, ErrorKind::OutOfMemory);
    assert!(store.close().is_err());
    disk.plan(|_| Verdict::Proceed);
    let (again, opened) = reopening(&disk, &clock);
    put(&opened, "k", b"two", Durability::Immediate).unwrap();
    let steps = disk.steps();
    assert!(stream.sync().is_err_and(|error| error.is_final));
    assert!(stream.wait_durable(one.sequence_number, Duration::MAX).is_err());
    assert_eq!(disk.steps(), steps, "the files are the other one's");
    again.close().unwrap();
}
