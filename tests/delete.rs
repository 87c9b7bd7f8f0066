//! Guards against a deleted stream that comes back, whose handles reach into a new stream of the same name, or for whose records
//! somebody waits for ever.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use riverbed::testing::{Disk, ManualClock, Operation, Verdict};
use riverbed::{
    Durability, Maintenance, Position, PutError, PutRecord, ReadError, ReaderOptions, Retention, Store,
    StreamError, StreamOptions, Timestamp, TrimError, TrimStreamError,
};

#[test]
fn handles_of_a_deleted_stream_never_see_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::options()
        .durability(Durability::Immediate)
        .segment_len(64 * 1024, 64 * 1024)
        .max_mapped_segments(0)
        .max_open_files(0)
        .open(directory.path().join("data"))
        .unwrap();
    let fill = |data: u8| {
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        let puts: Vec<_> = (0..12).map(|_| stream.put("k", [data; 15_000]).unwrap()).collect();
        (stream, puts)
    };
    let (old, puts) = fill(1);
    let shard = puts[0].shard_id;
    let unverified = ReaderOptions::new().verify(false);
    let mut reader = old.reader_with(shard, Position::TrimHorizon, unverified).unwrap();
    let held = reader.next().unwrap().unwrap().to_bytes();

    store.delete_stream("s").unwrap();
    assert!(matches!(store.open_stream("s"), Err(StreamError::NotFound { .. })));
    assert!(matches!(store.delete_stream("s"), Err(StreamError::NotFound { .. })));
    let put = old.put("k", b"x");
    assert!(matches!(put, Err(PutError::Closed)), "{put:?}");
    let (new, _) = fill(2);

    // What is mapped can be read; what is not is gone, and is not taken from the new stream's files.
    assert_eq!(held, [1; 15_000].as_slice());
    loop {
        match reader.next() {
            Ok(Some(record)) => assert_eq!(record.data(), [1; 15_000].as_slice()),
            Err(ReadError::Io(_)) | Ok(None) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    let trimmed = old.trim_to(puts[11].sequence_number);
    assert!(matches!(trimmed, Err(TrimStreamError::Trim(TrimError::Closed))), "{trimmed:?}");
    assert!(old.set_retention(Retention::of_bytes(1)).is_err());
    let mut reader = new.reader(shard, Position::TrimHorizon).unwrap();
    let mut count = 0;
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.data(), [2; 15_000].as_slice());
        count += 1;
    }
    assert_eq!(count, 12);

    // And so after opening again.
    store.close().unwrap();
    let closed = new.trim_to(puts[11].sequence_number);
    assert!(matches!(closed, Err(TrimStreamError::Trim(TrimError::Closed))), "{closed:?}");
    let path = store.path().to_owned();
    drop((store, new, old, reader));
    let store = Store::open(path).unwrap();
    assert_eq!(store.list_streams(), ["s"]);
    assert!(store.recovery_report().is_clean());
}

#[test]
fn a_deleted_stream_says_so_although_its_sync_had_failed() {
    let disk = Disk::new();
    let options = Store::options().storage(&disk).maintenance(Maintenance::Manual);
    let store = options.durability(Durability::Immediate).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    stream.put("k", b"x").unwrap();
    disk.plan(|call| match call.operation {
        Operation::SyncData => Verdict::Fail(ErrorKind::Other),
        _ => Verdict::Proceed,
    });
    for _ in 0..2 {
        let put = stream.put("k", b"x");
        assert!(matches!(put, Err(PutError::Sync(_))), "{put:?}");
    }
    store.delete_stream("s").unwrap();
    let put = stream.put("k", b"x");
    assert!(matches!(put, Err(PutError::Closed)), "{put:?}");
}

/// Nothing syncs it any more, so there would be nothing to wake whoever waits for that.
#[test]
fn who_waits_for_a_deleted_streams_record_to_be_durable_waits_no_longer() {
    let disk = Disk::new();
    let store = Store::options().storage(&disk).maintenance(Maintenance::Manual).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let put = |data| stream.put("k", data).unwrap().sequence_number;
    let durable = put("durable");
    stream.sync().unwrap();
    let buffered = put("buffered");
    let (outcome, woken) = mpsc::channel();
    for number in [durable, buffered] {
        let (stream, outcome) = (stream.clone(), outcome.clone());
        thread::spawn(move || outcome.send((number, stream.wait_durable(number, Duration::MAX))));
    }
    store.delete_stream("s").unwrap();
    for _ in 0..2 {
        let (number, is_durable) =
            woken.recv_timeout(Duration::from_secs(60)).expect("nobody waits any more");
        assert_eq!(is_durable.unwrap(), number == durable);
    }
    assert!(!stream.wait_durable(buffered, Duration::MAX).unwrap());
}

#[test]
fn closed_shards_that_still_go_leave_the_successor_alone() {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let options = || {
        let options = Store::options().storage(&disk).clock(clock.clone()).maintenance(Maintenance::Manual);
        options.durability(Durability::Immediate).segment_len(64 * 1024, 64 * 1024)
    };
    let store = options().open("data").unwrap();
    let old = store.create_stream("s", StreamOptions::new()).unwrap();
    for _ in 0..2 {
        old.put("k", b"old").unwrap();
        let shard = old.shard_for_key("k").unwrap();
        let range = old.shards().iter().find(|info| info.id == shard).unwrap().range;
        old.split_shard(shard, (range.start.as_u128().midpoint(range.end.as_u128())).into()).unwrap();
    }
    clock.advance(Duration::from_secs(100));

    // Retention is held up while it removes the first of the two closed shards. The other had a number and a directory that
    // a shard of the new stream has too.
    let (held_up, is_held_up) = mpsc::channel();
    let first = AtomicBool::new(true);
    disk.plan(move |call| {
        let of_shard = call.operation == Operation::RemoveFile && call.path.starts_with("data/scratch");
        if of_shard && first.swap(false, Ordering::Relaxed) {
            held_up.send(()).unwrap();
            return Verdict::Delay(Duration::from_millis(500));
        }
        Verdict::Proceed
    });
    let new = thread::scope(|scope| {
        let retaining = scope.spawn(|| old.set_retention(Retention::of_age(Duration::from_secs(1))));
        is_held_up.recv().unwrap();
        store.delete_stream("s").unwrap();
        let new = store.create_stream("s", StreamOptions::new().shards(3)).unwrap();
        for shard in new.shards() {
            let record = PutRecord::new("k", b"new").explicit_hash_key(shard.range.start);
            assert_eq!(new.put_record(&record).unwrap().shard_id, shard.id);
        }
        retaining.join().unwrap().unwrap();
        new
    });

    drop((store, old, new));
    let store = options().open("data").unwrap();
    assert_eq!(store.open_stream("s").unwrap().stats().total.records, 3);
    assert_eq!(disk.files().iter().filter(|path| path.starts_with("data/scratch")).count(), 0);
}
