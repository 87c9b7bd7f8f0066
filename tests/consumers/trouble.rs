//! Retention, unreadable shards, damage, a full disk and failed syncs.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use riverbed::testing::{Operation, Verdict};
use riverbed::{
    Checkpoint, CheckpointError, ConsumerError, ConsumerOptions, Durability, FaultKind, PollError, Position,
    ReadError, StreamOptions,
};

use super::setup::*;

#[test]
fn a_consumer_overtaken_by_retention_is_told_and_goes_on() {
    // Both: one that is reading, and one that starts behind.
    for reading in [true, false] {
        let setup = setup(1);
        let put: Vec<_> =
            (0..40).map(|_| setup.stream.put("k", [7; 10_000]).unwrap().sequence_number).collect();
        let mut consumer = setup.consumer();
        consumer.poll(3, NOW).unwrap();
        consumer.checkpoint().unwrap();
        if !reading {
            drop(consumer);
            consumer = setup.consumer();
        }
        setup.stream.trim_to(put[30]).unwrap();
        let mut polled = Vec::new();
        let mut told = None;
        loop {
            match consumer.poll(4, NOW) {
                Ok(records) if records.is_empty() => break,
                Ok(records) => polled.extend(numbers(&records)),
                Err(PollError::Trimmed { from, oldest, skipped, .. }) => {
                    assert!(told.is_none(), "told twice");
                    assert_eq!(u128::from(skipped), (oldest.as_u128() - from.as_u128()) >> 32);
                    told = Some((polled.len(), from, oldest));
                }
                Err(error) => panic!("{error}"),
            }
        }
        let (before, from, oldest) = told.expect("it was told");
        // A segment that is being read stays readable to its end.
        assert!(if reading { before > 0 } else { before == 0 });
        assert_eq!(from, put[3 + before]);
        assert_eq!(polled[..before], put[3..3 + before]);
        let rest = put.iter().position(|number| *number == oldest).unwrap();
        assert_eq!(polled[before..], put[rest..]);
        consumer.checkpoint().unwrap();
    }
}

#[test]
fn an_unreadable_shard_does_not_hold_up_the_others() {
    let setup = setup(2);
    let put = setup.put(40);
    let bad = put[0].shard_id();
    let mut of_bad = sorted(put.iter().copied().filter(|number| number.shard_id() == bad).collect());
    let setup = setup.reopen();
    let file = setup
        .disk
        .files()
        .into_iter()
        .find(|path| {
            let path = path.to_str().unwrap();
            path.contains(&format!("shard-{:06}", bad.as_u32())) && path.ends_with(".segment")
        })
        .unwrap();
    // The body of the first record.
    let bytes = setup.disk.read(&file).unwrap();
    let at = 8192 + bytes[8192..].windows(4).position(|bytes| bytes == b"data").unwrap();
    setup.disk.damage(&file, at, b"DATA").unwrap();

    let mut consumer = setup.consumer();
    let mut polled = Vec::new();
    let mut told = 0;
    for _ in 0..20 {
        match consumer.poll(5, NOW) {
            Ok(records) => polled.extend(numbers(&records)),
            Err(PollError::Read { shard_id, error: ReadError::Corrupt { .. } }) => {
                assert_eq!(shard_id, bad);
                told += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(told > 1, "a shard that stays unreadable must not be forgotten");
    assert_eq!(polled.len(), put.len() - of_bad.len());
    let lag = consumer.lag();
    let lag = lag.iter().find(|lag| lag.shard_id == bad).unwrap();
    assert_eq!(lag.records, of_bad.len() as u64);

    consumer.skip_damage().unwrap();
    let rest = loop {
        match consumer.poll(100, NOW) {
            Ok(records) => break numbers(&records),
            Err(PollError::Read { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    of_bad.remove(0);
    assert_eq!(rest, of_bad);
    consumer.checkpoint().unwrap();
}

#[test]
fn closing_the_store_or_deleting_the_stream_ends_polling() {
    for delete in [false, true] {
        let setup = setup(2);
        setup.put(10);
        let mut consumer = setup.consumer();
        drain(&mut consumer);
        let store = setup.store.clone();
        let closing = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            if delete { store.delete_stream("s").unwrap() } else { store.close().unwrap() }
        });
        assert!(matches!(consumer.poll(10, LONG), Err(PollError::Closed)));
        closing.join().unwrap();
        assert!(matches!(consumer.poll(10, LONG), Err(PollError::Closed)));
        assert!(matches!(consumer.checkpoint(), Err(CheckpointError::Closed)));
        assert!(matches!(setup.stream.consumer("c"), Err(ConsumerError::Stream(_))));
        assert!(matches!(setup.stream.list_consumers(), Err(ConsumerError::Stream(_))));
        drop(consumer);
        if delete {
            let stream = setup.store.create_stream("s", StreamOptions::new()).unwrap();
            assert!(stream.list_consumers().unwrap().is_empty());
            // The handle of the former stream does not reach the new one's.
            assert!(matches!(setup.stream.consumer("c"), Err(ConsumerError::Stream(_))));
            drop(stream.consumer("c").unwrap());
        }
    }
}

const FILE: &str = "data/streams/s/consumers/c.checkpoints";

#[test]
fn a_checkpoint_that_comes_behind_the_last_sync_of_a_closing_store_is_refused() {
    let setup = setup(1);
    setup.put(2);
    let mut buffered = setup.with(ConsumerOptions::new().durability(Durability::Buffered));
    buffered.poll(1, NOW).unwrap();
    buffered.checkpoint().unwrap();
    drop(buffered);
    let mut immediate = setup.with(ConsumerOptions::new().durability(Durability::Immediate));
    assert_eq!(immediate.poll(1, NOW).unwrap().len(), 1);

    let (syncing, is_syncing) = mpsc::channel();
    setup.disk.plan(move |call| {
        if call.operation == Operation::SyncData && call.path.starts_with("data/streams/s/consumers") {
            syncing.send(()).unwrap();
            return Verdict::Delay(Duration::from_millis(300));
        }
        Verdict::Proceed
    });
    thread::scope(|scope| {
        let closing = scope.spawn(|| setup.store.close());
        is_syncing.recv().unwrap();
        assert!(matches!(immediate.checkpoint(), Err(CheckpointError::Closed)));
        closing.join().unwrap().unwrap();
    });
    setup.disk.plan(|_| Verdict::Proceed);
    drop(immediate);
    assert_eq!(drain(&mut setup.reopen().consumer()).len(), 1);
}

#[test]
fn damage_is_reported_and_ends_with_a_reset() {
    let setup = setup(2);
    setup.put(20);
    drop(setup.with(ConsumerOptions::new().start(Position::Latest)));
    let setup = setup.reopen();
    let report = options(&setup.disk, &setup.clock).verify("data").unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    setup.disk.damage(FILE, 70, &[0xff; 3]).unwrap();
    let report = options(&setup.disk, &setup.clock).verify("data").unwrap();
    let kinds: Vec<_> = report.faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::Checkpoints]);
    assert!(report.is_damaged());
    assert!(report.repair_plan().actions.is_empty() && report.repair_plan().left_alone.len() == 1);

    assert!(matches!(setup.stream.consumer("c"), Err(ConsumerError::Damaged { .. })));
    assert!(matches!(setup.stream.consumer_lag("c"), Err(ConsumerError::Damaged { .. })));
    assert_eq!(setup.stream.list_consumers().unwrap(), ["c"]);
    setup.stream.reset_consumer("c", Position::TrimHorizon).unwrap();
    assert_eq!(drain(&mut setup.consumer()).len(), 20);
    // Or with deleting it.
    let setup = setup.reopen();
    setup.disk.damage(FILE, 0, &[0xff; 3]).unwrap();
    setup.stream.delete_consumer("c").unwrap();
    assert_eq!(drain(&mut setup.consumer()).len(), 20);
}

#[test]
fn a_torn_checkpoint_falls_back_to_the_one_before() {
    let setup = setup(1);
    let put = setup.put(10);
    let mut consumer = setup.consumer();
    for _ in 0..3 {
        consumer.poll(2, NOW).unwrap();
        consumer.checkpoint().unwrap();
    }
    drop(consumer);
    let setup = setup.reopen();
    let bytes = setup.disk.read(FILE).unwrap();
    let last = bytes.chunks(32).rposition(|entry| entry.iter().any(|byte| *byte != 0)).unwrap() * 32;
    setup.disk.damage(FILE, last + 16, &[0xff]).unwrap();
    let report = options(&setup.disk, &setup.clock).verify("data").unwrap();
    assert!(!report.is_damaged() && !report.is_clean(), "{report:?}");
    let mut consumer = setup.consumer();
    assert_eq!(numbers(&consumer.poll(100, NOW).unwrap()), put[4..]);
    consumer.checkpoint().unwrap();
    drop(consumer);
    // The torn one has not stayed in the way.
    let setup = setup.reopen();
    assert!(options(&setup.disk, &setup.clock).verify("data").unwrap().is_clean());
    assert!(drain(&mut setup.consumer()).is_empty());
}

#[test]
fn any_number_of_checkpoints_takes_bounded_room() {
    let setup = setup(1);
    let mut consumer = setup.with(ConsumerOptions::new().durability(Durability::Buffered));
    let mut last = None;
    for _ in 0..5_000 {
        last = Some(setup.stream.put("k", b"").unwrap().sequence_number);
        assert_eq!(consumer.poll(1, NOW).unwrap().len(), 1);
        consumer.checkpoint().unwrap();
    }
    assert_eq!(setup.disk.read(FILE).unwrap().len(), 64 * 1024);
    drop(consumer);
    let setup = setup.reopen();
    let lag = setup.stream.consumer_lag("c").unwrap()[0];
    assert_eq!(lag.checkpoint, Checkpoint::AfterSequenceNumber(last.unwrap()));
}

#[test]
fn a_full_disk_fails_a_checkpoint_and_no_more() {
    let setup = setup(1);
    setup.put(3_000);
    let mut consumer = setup.consumer();
    consumer.poll(1, NOW).unwrap();
    consumer.checkpoint().unwrap();
    setup.disk.set_capacity(Some(setup.disk.used()));
    // There is room inside the file for a while; then it would have to be replaced.
    let mut failed = None;
    for count in 2..=3_000 {
        assert_eq!(consumer.poll(1, NOW).unwrap().len(), 1);
        if let Err(error) = consumer.checkpoint() {
            assert!(matches!(&error, CheckpointError::Io(_)), "{error}");
            failed = Some(count);
            break;
        }
    }
    let failed = failed.expect("the file has an end");
    assert!(failed > 1_000);
    setup.disk.set_capacity(None);
    consumer.checkpoint().unwrap();
    drop(consumer);
    let setup = setup.reopen();
    assert_eq!(drain(&mut setup.consumer()).len(), 3_000 - failed);
}

#[test]
fn a_failed_sync_is_made_up_for() {
    for seed in 0..20 {
        let setup = setup(1);
        let put = setup.put(10);
        setup.stream.sync().unwrap();
        let mut consumer = setup.with(ConsumerOptions::new().durability(Durability::Immediate));
        setup.disk.plan(|call| {
            let ours =
                call.operation == Operation::SyncData && call.path.to_string_lossy().contains("consumers");
            if ours { Verdict::Fail(io::ErrorKind::Other) } else { Verdict::Proceed }
        });
        consumer.poll(5, NOW).unwrap();
        assert!(matches!(consumer.checkpoint(), Err(CheckpointError::Io(_))));
        consumer.poll(2, NOW).unwrap();
        setup.disk.plan(|_| Verdict::Proceed);
        // The kernel takes what it failed to write for written: another sync of the same file would not do.
        consumer.checkpoint().unwrap();
        let disk = setup.disk.cut_power(seed);
        let store = options(&disk, &setup.clock).open("data").unwrap();
        let mut again = store.open_stream("s").unwrap().consumer("c").unwrap();
        assert_eq!(drain(&mut again), put[7..]);
    }
}

#[test]
fn a_checkpoint_from_the_future_is_told_and_skips_nothing_that_comes() {
    let setup = setup(1);
    let old = setup.disk.duplicate().unwrap();
    setup.put(10);
    let mut consumer = setup.consumer();
    drain(&mut consumer);
    consumer.checkpoint().unwrap();
    drop(consumer);
    let bytes = setup.disk.read(FILE).unwrap();

    // The stream's files are restored from an old copy, the consumer's are not.
    let store = options(&old, &setup.clock).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    drop(stream.consumer("c").unwrap());
    store.close().unwrap();
    old.damage(FILE, 0, &bytes).unwrap();
    let store = options(&old, &setup.clock).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    let first = stream.put("k", b"before").unwrap().sequence_number;
    let mut consumer = stream.consumer("c").unwrap();
    match consumer.poll(10, NOW) {
        Err(PollError::Ahead { checkpoint: Checkpoint::AfterSequenceNumber(ahead), next, .. }) => {
            assert!(ahead >= next && next > first);
        }
        other => panic!("{other:?}"),
    }
    let second = stream.put("k", b"after").unwrap().sequence_number;
    assert_eq!(drain(&mut consumer), [second]);
    drop(consumer);
    assert_eq!(drain(&mut stream.consumer("c").unwrap()), [second], "the checkpoint was taken back for good");
}
