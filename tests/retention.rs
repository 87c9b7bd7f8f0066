//! Guards against retention that deletes too much, never, or what somebody still reads, and against a reader that is
//! overtaken without being told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::testing::{Disk, ManualClock, Verdict};
use riverbed::{
    Durability, Maintenance, Position, PutRecord, ReadError, Retention, RetentionError, Store, StoreOptions,
    Stream, StreamOptions, Timestamp,
};

const SEGMENT: u64 = 64 * 1024;

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
        .segment_len(SEGMENT, SEGMENT)
}

fn setup(options_of_stream: StreamOptions) -> Setup {
    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000_000_000));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.create_stream("s", options_of_stream).unwrap();
    Setup { disk, clock, store, stream }
}

impl Setup {
    /// Puts records of 10,000 bytes, one a second: five fill a segment.
    fn put(&self, count: u32) {
        for _ in 0..count {
            self.stream.put("k", [1; 10_000]).unwrap();
            self.clock.advance(Duration::from_secs(1));
        }
    }

    fn read(&self) -> Vec<Timestamp> {
        let mut reader = self.stream.reader(self.stream.shards()[0].id, Position::TrimHorizon).unwrap();
        let mut times = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            times.push(record.arrival_time());
        }
        times
    }

    /// Lets the background work that is due happen, as time goes by.
    fn wait(&self, duration: Duration) {
        for _ in 0..20 {
            self.clock.advance(duration / 20);
            self.store.maintain();
        }
    }
}

#[test]
fn whole_segments_go_once_all_of_their_records_are_old() {
    let setup = setup(StreamOptions::new().retention(Retention::of_age(Duration::from_secs(100))));
    setup.put(20);
    assert_eq!(setup.read().len(), 20);
    setup.wait(Duration::from_secs(92));
    // The first segment's last record is more than 100 s old, the second's is not.
    let kept = setup.read();
    assert_eq!(kept.len(), 15);
    setup.wait(Duration::from_secs(5));
    assert_eq!(setup.read().len(), 10);
    let stats = setup.stream.stats().shards[0].clone();
    assert_eq!((stats.records, stats.oldest.unwrap().1), (10, kept[5]));
}

#[test]
fn an_idle_shard_forgets_too_and_stays_small() {
    let setup = setup(StreamOptions::new().retention(Retention::of_age(Duration::from_secs(60))));
    setup.put(3);
    let last = setup.stream.put("k", b"last").unwrap().sequence_number;
    setup.wait(Duration::from_secs(200));
    assert_eq!(setup.read(), []);
    assert_eq!(setup.stream.stats().shards[0].bytes, SEGMENT);
    // For ever: an empty segment is not rolled again.
    let files = setup.disk.files();
    setup.wait(Duration::from_secs(2000));
    assert_eq!(setup.disk.files(), files);
    // Numbers go on, also after a restart.
    let next = setup.stream.put("k", b"next").unwrap().sequence_number;
    assert!(next > last);
    let Setup { disk, clock, store, stream } = setup;
    drop((store, stream));
    let store = options(&disk, &clock).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    assert!(stream.put("k", b"after").unwrap().sequence_number > next);
    assert_eq!(stream.retention(), Retention::of_age(Duration::from_secs(60)));
}

#[test]
fn a_full_disk_keeps_nothing_that_is_old() {
    let setup = setup(StreamOptions::new().retention(Retention::of_age(Duration::from_secs(100))));
    setup.put(18);
    // There is no room for the segment that is to follow the newest, which is old too.
    setup.disk.set_capacity(Some(setup.disk.used()));
    setup.clock.advance(Duration::from_secs(200));
    setup.store.maintain();
    assert_eq!(setup.read(), []);
    assert_eq!(setup.stream.stats().total.bytes, SEGMENT);
    setup.put(1);
    assert_eq!(setup.read().len(), 1);
}

#[test]
fn a_clock_that_goes_back_deletes_nothing_and_keeps_nothing_for_ever() {
    let setup = setup(StreamOptions::new().retention(Retention::of_age(Duration::from_secs(100))));
    setup.put(12);
    setup.clock.set(Timestamp::from_millis(500_000_000_000));
    setup.store.maintain();
    assert_eq!(setup.read().len(), 12);
    setup.put(12);
    let times = setup.read();
    assert!(times.is_sorted(), "{times:?}");
    setup.clock.set(Timestamp::from_millis(1_000_000_300_000));
    setup.store.maintain();
    setup.wait(Duration::from_secs(10));
    assert_eq!(setup.read().len(), 0);
}

#[test]
fn by_bytes_the_oldest_segments_of_all_shards_go() {
    let setup = setup(StreamOptions::new().shards(2).retention(Retention::of_bytes(6 * SEGMENT)));
    for index in 0..80 {
        setup.stream.put(&format!("{index}"), [1; 10_000]).unwrap();
        setup.clock.advance(Duration::from_secs(1));
    }
    setup.wait(Duration::from_secs(10));
    let stats = setup.stream.stats().shards;
    assert_eq!(stats.iter().map(|stats| stats.bytes).sum::<u64>(), 6 * SEGMENT);
    let oldest: Vec<_> = stats.iter().map(|stats| stats.oldest.unwrap().1).collect();
    let apart = oldest[0].since(oldest[1]).max(oldest[1].since(oldest[0]));
    assert!(apart < Duration::from_secs(15), "one shard was emptied for the other: {apart:?}");
}

#[test]
fn a_reader_that_is_overtaken_is_told_and_goes_on() {
    let setup = setup(StreamOptions::new());
    setup.put(20);
    let shard = setup.stream.shards()[0].id;
    let mut reader = setup.stream.reader(shard, Position::TrimHorizon).unwrap();
    let first = reader.next().unwrap().unwrap().sequence_number();
    let twelfth = {
        let mut reader = setup.stream.reader(shard, Position::TrimHorizon).unwrap();
        for _ in 0..12 {
            reader.next().unwrap().unwrap();
        }
        reader.next().unwrap().unwrap().sequence_number()
    };
    assert_eq!(setup.stream.trim_to(twelfth).unwrap(), 2 * SEGMENT);

    // It holds the segment that it is in: the rest of that is still there.
    for _ in 0..4 {
        reader.next().unwrap().unwrap();
    }
    let oldest = match reader.next() {
        Err(ReadError::Trimmed { oldest }) => oldest,
        other => panic!("{other:?}"),
    };
    assert_eq!(reader.next().unwrap().unwrap().sequence_number(), oldest);
    assert_eq!(setup.read().len(), 10);

    // A position that has been trimmed is the trim horizon, as in Kinesis.
    let mut reader = setup.stream.reader(shard, Position::AtSequenceNumber(first)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().sequence_number(), oldest);
}

#[test]
fn a_reader_that_is_overtaken_again_before_it_reads_on_is_told_again() {
    let setup = setup(StreamOptions::new());
    setup.put(20);
    let shard = setup.stream.shards()[0].id;
    let mut numbers = Vec::new();
    let mut reader = setup.stream.reader(shard, Position::TrimHorizon).unwrap();
    while let Some(record) = reader.next().unwrap() {
        numbers.push(record.sequence_number());
    }
    let mut reader = setup.stream.reader(shard, Position::TrimHorizon).unwrap();
    reader.next().unwrap().unwrap();
    let mut told = Vec::new();
    let mut seen = vec![numbers[0]];
    let mut trims = [numbers[12], numbers[17]].into_iter();
    setup.stream.trim_to(trims.next().unwrap()).unwrap();
    loop {
        match reader.next() {
            Ok(Some(record)) => seen.push(record.sequence_number()),
            Ok(None) => break,
            Err(ReadError::Trimmed { oldest }) => {
                told.push(oldest);
                if let Some(number) = trims.next() {
                    assert!(setup.stream.trim_to(number).unwrap() > 0);
                }
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(told.len(), 2, "{told:?}");
    // Whatever was not seen lies before what it was told last.
    let (_, behind): (Vec<_>, Vec<_>) = numbers.iter().partition(|number| **number < told[1]);
    assert!(seen.ends_with(&behind.into_iter().copied().collect::<Vec<_>>()), "{seen:?} {told:?}");
}

#[test]
fn a_record_somebody_holds_stays_and_is_counted() {
    let setup = setup(StreamOptions::new());
    setup.put(20);
    let shard = setup.stream.shards()[0].id;
    let mut reader = setup.stream.reader(shard, Position::TrimHorizon).unwrap();
    let held = reader.next().unwrap().unwrap().to_bytes();
    drop(reader);
    let newest = setup.stream.stats().shards[0].newest.unwrap().0;
    setup.stream.trim_to(newest).unwrap();
    // Sealing in the background holds the segments too, until it has been done.
    setup.store.maintain();
    assert_eq!(setup.stream.stats().shards[0].pinned_bytes, SEGMENT, "{:?}", setup.stream.stats());
    assert!(setup.disk.files().iter().all(|path| !path.ends_with("00000000000000000000.segment")));
    assert_eq!(held, [1; 10_000].as_slice());
    drop(held);
    assert_eq!(setup.stream.stats().shards[0].pinned_bytes, 0);
}

#[test]
fn increase_and_decrease_follow_kinesis() {
    let setup = setup(StreamOptions::new().retention(Retention::of_age(Duration::from_secs(100))));
    let seconds = Duration::from_secs;
    assert!(matches!(setup.stream.increase_retention(seconds(99)), Err(RetentionError::NotLonger { .. })));
    assert!(matches!(setup.stream.decrease_retention(seconds(101)), Err(RetentionError::NotShorter { .. })));
    setup.stream.increase_retention(seconds(200)).unwrap();
    setup.put(12);
    setup.wait(seconds(120));
    assert_eq!(setup.read().len(), 12);
    setup.stream.decrease_retention(seconds(50)).unwrap();
    assert_eq!(setup.read().len(), 0, "what is not kept any more goes at once");
}

/// The next opening finishes what a killed process had begun to trim, and the power may go before anything else is synced.
#[test]
fn a_trim_that_was_killed_is_not_damage_after_a_power_cut() {
    for (step, seed) in (0..4).flat_map(|step| (0..40).map(move |seed| (step, seed))) {
        let setup = setup(StreamOptions::new());
        setup.put(20);
        let Setup { disk, clock, store, .. } = setup;
        store.close().unwrap();
        let store = options(&disk, &clock).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        let newest = stream.stats().shards[0].newest.unwrap().0;
        let at = disk.steps() + step;
        disk.plan(move |call| if call.step >= at { Verdict::Kill } else { Verdict::Proceed });
        assert!(stream.trim_to(newest).is_err());
        let disk = disk.power_on();
        drop((store, stream));
        options(&disk, &clock).open("data").unwrap().close().unwrap();
        let disk = disk.cut_power(seed);
        let store = options(&disk, &clock).open("data").unwrap();
        assert!(!store.recovery_report().is_damaged(), "{step} {seed}: {:?}", store.recovery_report());
    }
}

#[test]
fn a_crash_at_any_step_of_trimming_is_finished_or_undone() {
    for step in 0.. {
        let setup = setup(StreamOptions::new());
        setup.put(20);
        setup.stream.put_record(&PutRecord::new("k", b"end").durability(Durability::Immediate)).unwrap();
        let newest = setup.stream.stats().shards[0].newest.unwrap().0;
        let at = setup.disk.steps() + step;
        setup.disk.plan(
            move |call| {
                if call.step >= at { Verdict::CutPower { seed: step } } else { Verdict::Proceed }
            },
        );
        let outcome = setup.stream.trim_to(newest);
        let done = !setup.disk.is_off();
        assert_eq!(outcome.is_ok(), done);
        let Setup { disk, clock, store, stream } = setup;
        let disk = disk.cut_power(step);
        drop((store, stream));
        let store = options(&disk, &clock).open("data").unwrap();
        assert!(!store.recovery_report().is_damaged(), "step {step}: {:?}", store.recovery_report());
        let stream = store.open_stream("s").unwrap();
        let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
        let mut count = 0;
        while reader.next().unwrap().is_some() {
            count += 1;
        }
        assert!(count == 21 || count == 6, "step {step}: {count} records");
        assert!(!done || count == 6);
        stream.put("k", b"after").unwrap();
        if done {
            assert!(step > 5, "the trim had no steps");
            return;
        }
    }
}
