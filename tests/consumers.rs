//! Consumers: what is polled, what a checkpoint keeps from being polled again, and who of several workers polls what.
//!
//! Guards against records that are skipped or come out of order when a consumer is stopped, reset, shared or overtaken by
//! retention, against a checkpoint by a worker that has lost the shard, and against polls that do not wake.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "as above")]

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Duration;

use riverbed::testing::{Disk, ManualClock, Operation, Verdict};
use riverbed::{
    Checkpoint, CheckpointError, Clock, Consumer, ConsumerError, ConsumerOptions, Durability, FaultKind,
    Maintenance, OwnedRecord, PollError, Position, PutRecord, ReadError, ReadLevel, SequenceNumber, Store,
    StoreOptions, Stream, StreamOptions, Timestamp,
};

/// Nothing waits this long in a test that passes.
const LONG: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::ZERO;

struct Setup {
    disk: Disk,
    clock: ManualClock,
    store: Store,
    stream: Stream,
}

fn options(disk: &Disk, clock: &ManualClock) -> StoreOptions {
    Store::options()
        .storage(disk)
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .segment_len(64 * 1024, 64 * 1024)
}

fn setup(shards: u32) -> Setup {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(shards)).unwrap();
    Setup { disk, clock, store, stream }
}

impl Setup {
    /// Puts so many records under as many keys, a second apart.
    fn put(&self, count: usize) -> Vec<SequenceNumber> {
        (0..count)
            .map(|index| {
                self.clock.advance(Duration::from_secs(1));
                self.stream.put(&format!("key-{index}"), b"data").unwrap().sequence_number
            })
            .collect()
    }

    fn reopen(self) -> Self {
        let Self { disk, clock, store, stream } = self;
        store.close().unwrap();
        drop((store, stream));
        let store = options(&disk, &clock).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        Self { disk, clock, store, stream }
    }

    fn consumer(&self) -> Consumer {
        self.stream.consumer("c").unwrap()
    }

    fn with(&self, options: ConsumerOptions) -> Consumer {
        self.stream.consumer_with("c", options).unwrap()
    }
}

fn numbers(records: &[OwnedRecord]) -> Vec<SequenceNumber> {
    records.iter().map(OwnedRecord::sequence_number).collect()
}

fn sorted(mut numbers: Vec<SequenceNumber>) -> Vec<SequenceNumber> {
    numbers.sort_unstable();
    numbers
}

/// Polls until there is nothing more.
fn drain(consumer: &mut Consumer) -> Vec<SequenceNumber> {
    let mut all = Vec::new();
    loop {
        match consumer.poll(7, NOW).unwrap() {
            records if records.is_empty() => return all,
            records => all.extend(numbers(&records)),
        }
    }
}

fn shard_ids(stream: &Stream) -> Vec<riverbed::ShardId> {
    stream.shards().iter().map(|shard| shard.id).collect()
}

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

#[test]
fn workers_share_the_shards_and_inherit_from_one_that_is_dropped() {
    let setup = setup(6);
    let mut first = setup.consumer();
    let put = setup.put(60);
    assert_eq!(sorted(drain(&mut first)), sorted(put.clone()));
    assert_eq!(first.shards().len(), 6);

    // The first keeps its shards for as long as it has not checkpointed what it has polled of them.
    let mut second = setup.consumer();
    assert!(drain(&mut second).is_empty());
    assert!(drain(&mut first).is_empty());
    assert!(second.shards().is_empty());
    first.checkpoint().unwrap();
    let more = setup.put(60);
    let (of_first, of_second) = (drain(&mut first), drain(&mut second));
    assert_eq!((first.shards().len(), second.shards().len()), (3, 3));
    assert_eq!(sorted([of_first.clone(), of_second.clone()].concat()), sorted(more));
    assert!(!of_first.is_empty() && !of_second.is_empty());

    // Who has checkpointed everything lets go at its next poll.
    first.checkpoint().unwrap();
    second.checkpoint().unwrap();
    let mut third = setup.consumer();
    for consumer in [&mut first, &mut second, &mut third] {
        assert!(drain(consumer).is_empty());
    }
    let mut workers = [first, second, third];
    drain(&mut workers[2]);
    assert!(workers.iter().all(|worker| worker.shards().len() == 2), "{workers:?}");

    // One goes without a checkpoint of what it has polled: the others get that.
    let last = setup.put(60);
    let mut polled = Vec::new();
    for worker in &mut workers {
        let numbers = drain(worker);
        polled.push(numbers);
    }
    assert_eq!(sorted(polled.concat()), sorted(last));
    let [mut first, second, mut third] = workers;
    drop(second);
    let again = sorted([drain(&mut first), drain(&mut third)].concat());
    assert_eq!(again, sorted(polled[1].clone()));
    first.checkpoint().unwrap();
    third.checkpoint().unwrap();
    assert!(drain(&mut first).is_empty() && drain(&mut third).is_empty());
    assert_eq!(first.shards().len() + third.shards().len(), 6);
}

#[test]
fn a_worker_that_waits_for_a_shard_is_woken_when_it_gets_it() {
    let setup = setup(2);
    let mut first = setup.consumer();
    let put = setup.put(20);
    drain(&mut first);
    let mut second = setup.consumer();
    let waiting = thread::spawn(move || numbers(&second.poll(100, LONG).unwrap()));
    thread::sleep(Duration::from_millis(5));
    // It has half of the shards now, and everything that was polled is polled again.
    drop(first);
    let polled = waiting.join().unwrap();
    assert!(!polled.is_empty() && polled.iter().all(|number| put.contains(number)));
}

#[test]
fn a_worker_that_has_lost_a_shard_cannot_checkpoint_it() {
    let setup = setup(2);
    let at_once = ConsumerOptions::new().handover(Duration::ZERO);
    let mut first = setup.with(at_once);
    let put = setup.put(20);
    let polled = drain(&mut first);
    let mut second = setup.with(at_once);
    let [lost] = second_shards(&mut second)[..] else { panic!("one of the two shards") };
    let again = drain(&mut second);

    // Before and after it has noticed.
    let of_lost: Vec<_> = polled.iter().copied().filter(|number| number.shard_id() == lost).collect();
    let told = |outcome| match outcome {
        Err(CheckpointError::LeaseLost { shard_ids }) => assert_eq!(shard_ids, [lost]),
        other => panic!("{other:?}"),
    };
    told(first.checkpoint());
    first.checkpoint().unwrap();
    told(first.checkpoint_at(of_lost[0]));
    assert!(drain(&mut first).is_empty());
    told(first.checkpoint_at(of_lost[0]));
    assert_eq!(first.shards().len(), 1);

    // The second has polled everything of that shard, some of it in `second_shards`.
    second.checkpoint().unwrap();
    assert!(again.iter().all(|number| put.contains(number)));
    let lag = setup.stream.consumer_lag("c").unwrap();
    assert!(lag.iter().all(|lag| lag.records == 0), "{lag:?}");
}

/// Lets a new worker look at what it has, by polling one record.
fn second_shards(consumer: &mut Consumer) -> Vec<riverbed::ShardId> {
    consumer.poll(1, NOW).unwrap();
    consumer.shards()
}

#[test]
fn a_hung_worker_is_waited_for_only_so_long() {
    let setup = setup(2);
    let mut first = setup.with(ConsumerOptions::new().handover(Duration::from_millis(20)));
    setup.put(20);
    drain(&mut first);
    // `first` does nothing from here on.
    let mut second = setup.consumer();
    assert!(!second.poll(100, LONG).unwrap().is_empty());
    assert!(matches!(first.checkpoint(), Err(CheckpointError::LeaseLost { .. })));
}

#[test]
fn a_consumer_that_starts_at_the_latest_misses_nothing_from_then_on() {
    let setup = setup(3);
    setup.put(30);
    drop(setup.with(ConsumerOptions::new().start(Position::Latest)));
    let put = setup.put(30);
    // It has never been polled nor checkpointed.
    let setup = setup.reopen();
    assert_eq!(sorted(drain(&mut setup.consumer())), sorted(put));
}

#[test]
fn a_consumer_can_start_at_a_time() {
    let setup = setup(3);
    setup.put(30);
    setup.clock.advance(Duration::from_secs(10));
    let time = setup.clock.now();
    let put = setup.put(30);
    let at = |time| ConsumerOptions::new().start(Position::AtTimestamp(time));
    let later = setup.clock.now().saturating_add(Duration::from_secs(1));
    assert!(matches!(
        setup.stream.consumer_with("c", at(later)),
        Err(ConsumerError::Read(ReadError::TimeInFuture { .. }))
    ));
    assert!(matches!(
        setup.stream.consumer_with("c", ConsumerOptions::new().start(Position::AtSequenceNumber(put[0]))),
        Err(ConsumerError::Read(ReadError::PositionOfOneShard))
    ));
    assert!(setup.stream.list_consumers().unwrap().is_empty());
    drop(setup.with(at(time)));
    let setup = setup.reopen();
    assert_eq!(sorted(drain(&mut setup.consumer())), sorted(put));
}

#[test]
fn a_reset_takes_effect_at_once_and_lasts() {
    let setup = setup(2);
    let put = setup.put(20);
    let mut consumer = setup.consumer();
    drain(&mut consumer);
    consumer.checkpoint().unwrap();
    let more = setup.put(10);
    let polled = drain(&mut consumer);
    assert_eq!(sorted(polled.clone()), sorted(more));

    setup.stream.reset_consumer("c", Position::TrimHorizon).unwrap();
    // What was polled before the reset says nothing any more.
    assert!(matches!(consumer.checkpoint(), Err(CheckpointError::LeaseLost { .. })));
    assert!(matches!(consumer.checkpoint_at(polled[0]), Err(CheckpointError::LeaseLost { .. })));
    assert_eq!(drain(&mut consumer).len(), 30);
    drop(consumer);
    let setup = setup.reopen();
    assert_eq!(drain(&mut setup.consumer()).len(), 30);

    setup.stream.reset_consumer("c", Position::Latest).unwrap();
    let mut consumer = setup.consumer();
    assert!(drain(&mut consumer).is_empty());

    // Of one shard only.
    let of_shard =
        sorted(put.iter().copied().filter(|number| number.shard_id() == put[5].shard_id()).collect());
    setup.stream.reset_consumer("c", Position::AfterSequenceNumber(of_shard[2])).unwrap();
    let again = drain(&mut consumer);
    assert!(again.starts_with(&of_shard[3..]), "{again:?}");
    assert!(again.iter().all(|number| number.shard_id() == of_shard[0].shard_id()));
    setup.stream.reset_consumer("c", Position::AtSequenceNumber(of_shard[2])).unwrap();
    assert_eq!(drain(&mut consumer)[0], of_shard[2]);

    let (next, shard) = (1 << 40, of_shard[0].shard_id());
    let future =
        SequenceNumber::try_from(u128::from(u64::MAX - next) << 32 | u128::from(shard.as_u32())).unwrap();
    assert!(matches!(
        setup.stream.reset_consumer("c", Position::AtSequenceNumber(future)),
        Err(ConsumerError::Read(ReadError::PositionInFuture { .. }))
    ));
    assert!(matches!(
        setup.stream.reset_consumer("nobody", Position::Latest),
        Err(ConsumerError::NotFound { .. })
    ));
}

#[test]
fn the_lag_is_in_records_and_time() {
    let setup = setup(1);
    let put = setup.put(10);
    let mut consumer = setup.consumer();
    let lag = consumer.lag()[0];
    assert_eq!((lag.records, lag.behind), (10, Some(Duration::from_secs(9))));
    assert_eq!((lag.checkpoint, lag.held), (Checkpoint::TrimHorizon, true));
    consumer.poll(4, NOW).unwrap();
    assert_eq!(consumer.lag()[0].records, 10, "polled is not processed");
    consumer.checkpoint().unwrap();
    let lag = consumer.lag()[0];
    assert_eq!((lag.records, lag.behind), (6, Some(Duration::from_secs(5))));
    assert_eq!(lag.checkpoint, Checkpoint::AfterSequenceNumber(put[3]));
    drain(&mut consumer);
    consumer.checkpoint().unwrap();
    assert_eq!((consumer.lag()[0].records, consumer.lag()[0].behind), (0, Some(Duration::ZERO)));
    drop(consumer);
    setup.put(3);
    let lag = setup.stream.consumer_lag("c").unwrap()[0];
    assert_eq!((lag.records, lag.behind, lag.held), (3, Some(Duration::from_secs(2)), false));

    // From a time.
    setup.stream.reset_consumer("c", Position::AtTimestamp(setup.clock.now())).unwrap();
    assert_eq!(setup.stream.consumer_lag("c").unwrap()[0].records, 1);
}

#[test]
fn consumers_are_listed_and_deleted() {
    let setup = setup(1);
    assert!(setup.stream.list_consumers().unwrap().is_empty());
    let put = setup.put(5);
    for name in ["b", "a", "x.tmp", "x.checkpoints"] {
        let mut consumer = setup.stream.consumer(name).unwrap();
        assert_eq!(consumer.name(), name);
        drain(&mut consumer);
        consumer.checkpoint().unwrap();
    }
    assert_eq!(
        setup.stream.list_consumers().unwrap(),
        ["a", "b", "x", "x.tmp"].map(|name| match name {
            "x" => "x.checkpoints",
            name => name,
        })
    );
    let worker = setup.stream.consumer("a").unwrap();
    assert!(matches!(setup.stream.delete_consumer("a"), Err(ConsumerError::InUse { workers: 1, .. })));
    drop(worker);
    setup.stream.delete_consumer("a").unwrap();
    assert!(matches!(setup.stream.delete_consumer("a"), Err(ConsumerError::NotFound { .. })));
    let setup = setup.reopen();
    assert_eq!(setup.stream.list_consumers().unwrap(), ["b", "x.checkpoints", "x.tmp"]);
    assert!(matches!(
        setup.stream.consumer_with("a", ConsumerOptions::new().create(false)),
        Err(ConsumerError::NotFound { .. })
    ));
    assert_eq!(drain(&mut setup.stream.consumer("a").unwrap()), put);
    for name in ["", ".", "..", "a/b", "../c"] {
        assert!(matches!(setup.stream.consumer(name), Err(ConsumerError::Name(_))), "{name}");
        assert!(matches!(setup.stream.delete_consumer(name), Err(ConsumerError::Name(_))), "{name}");
    }
}

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
