//! Guards against losing or changing what was acknowledged as durable, against giving a sequence number twice, and
//! against a store that does not open, after a power cut at any moment with any part of the unsynced writes kept, also when syncs have
//! failed before it and the machine was not restarted.
//!
//! Every history is a seed. `RIVERBED_POWERCUT_HISTORIES` says how many to run, `RIVERBED_POWERCUT_SEED` where to
//! start; a failure prints the seed that replays it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use riverbed::testing::{Disk, ManualClock, Operation, Verdict};
use riverbed::{
    Durability, HashKey, Maintenance, OpenError, Position, PutError, PutRecord, ReadLevel, ReaderOptions,
    ShardFilter, ShardId, Store, StoreOptions, Stream, StreamOptions, Timestamp,
};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_and_no_number_comes_back() {
    let first = setting("RIVERBED_POWERCUT_SEED", 1);
    let histories = setting("RIVERBED_POWERCUT_HISTORIES", 400);
    let mut totals = Totals::default();
    for seed in first..first + histories {
        let outcome = std::panic::catch_unwind(|| History::new(seed).run());
        match outcome {
            Ok(counts) => totals.add(counts),
            Err(panic) => {
                eprintln!("replay with RIVERBED_POWERCUT_SEED={seed} RIVERBED_POWERCUT_HISTORIES=1");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{histories} histories from seed {first}: {totals:?}");
    assert!(totals.cuts + totals.kills >= histories);
}

#[derive(Debug, Default)]
struct Totals {
    cuts: u64,
    stops_during_recovery: u64,
    kills: u64,
    failed_syncs: u64,
    clean_closes: u64,
    puts: u64,
    acknowledged_durable: u64,
    lost_unacknowledged: u64,
    dropped_bytes: u64,
    torn_tails: u64,
    trimmed_bytes: u64,
    reshards: u64,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.stops_during_recovery += other.stops_during_recovery;
        self.kills += other.kills;
        self.failed_syncs += other.failed_syncs;
        self.clean_closes += other.clean_closes;
        self.puts += other.puts;
        self.acknowledged_durable += other.acknowledged_durable;
        self.lost_unacknowledged += other.lost_unacknowledged;
        self.dropped_bytes += other.dropped_bytes;
        self.torn_tails += other.torn_tails;
        self.trimmed_bytes += other.trimmed_bytes;
        self.reshards += other.reshards;
    }
}

/// What one shard must hold.
#[derive(Debug, Default)]
struct ShardModel {
    records: Vec<Expected>,
    /// As many records from the front must survive anything.
    durable: usize,
    /// As many records from the front may have been trimmed; those that were found trimmed are not in `records`.
    trimmable: usize,
    /// The highest sequence number ever handed out.
    highest: Option<u128>,
}

#[derive(Debug)]
struct Expected {
    /// Unknown when the put failed after the append: the record may be there or not.
    number: Option<u128>,
    key: String,
    data: Vec<u8>,
}

#[derive(Debug)]
struct StreamModel {
    shards: Vec<ShardModel>,
    /// Its creation or deletion was under way when the power went: it may be there or not.
    uncertain: bool,
    /// A split or merge was under way when the power went: the parents, and how many children there may be.
    resharding: Option<(Vec<ShardId>, usize)>,
}

impl StreamModel {
    /// Children take the place of these shards, whose records were made durable before.
    fn resharded(&mut self, parents: &[ShardId], children: usize) {
        let mut highest = None;
        for parent in parents {
            let parent = &mut self.shards[parent.as_u32() as usize];
            highest = highest.max(parent.highest);
            parent.all_is_durable();
        }
        self.shards.extend((0..children).map(|_| ShardModel { highest, ..ShardModel::default() }));
    }
}

impl ShardModel {
    fn all_is_durable(&mut self) {
        // A put that failed may or may not have appended its record; there is none after it.
        self.durable = self.records.iter().take_while(|record| record.number.is_some()).count();
    }

    fn drop_front(&mut self, count: usize) {
        self.records.drain(..count);
        self.durable = self.durable.saturating_sub(count);
        self.trimmable = self.trimmable.saturating_sub(count);
    }
}

struct History {
    rng: fastrand::Rng,
    disk: Disk,
    clock: ManualClock,
    streams: BTreeMap<String, StreamModel>,
    counts: Totals,
    written: u64,
    /// The process was killed, and the power has not been cut since.
    killed: bool,
    /// A sync has failed, and the power has not been cut since.
    given_up: bool,
    /// What was planned last.
    planned: Stop,
    /// Syncs that have failed in this process.
    failed_syncs: Arc<AtomicU64>,
    /// Mostly fewer than there are segments being written.
    max_open_files: usize,
}

/// What ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    PowerCut,
    Kill,
    /// It goes on for a while, and the machine behind it.
    FailedSync,
}

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl History {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            disk: Disk::new(),
            clock: ManualClock::new(Timestamp::from_millis(1_700_000_000_000)),
            streams: BTreeMap::new(),
            counts: Totals::default(),
            written: 0,
            killed: false,
            given_up: false,
            planned: Stop::PowerCut,
            failed_syncs: Arc::default(),
            max_open_files: [0, 1, 2, 512][usize::try_from(seed % 4).unwrap()],
        }
    }

    fn options(&self) -> StoreOptions {
        Store::options()
            .storage(&self.disk)
            .clock(self.clock.clone())
            .maintenance(Maintenance::Manual)
            .segment_len(64 * 1024, 128 * 1024)
            .max_open_files(self.max_open_files)
    }

    fn run(mut self) -> Totals {
        let rounds = self.rng.u64(1..=4);
        for _ in 0..rounds {
            let store = self.open();
            self.check(&store);
            self.work(&store);
            self.end(store);
        }
        let store = self.open();
        self.check(&store);
        self.counts
    }

    /// Whether errors are to be expected.
    fn is_disturbed(&self) -> bool {
        self.disk.is_off() || self.failed_syncs.load(Ordering::Relaxed) > 0
    }

    /// Opens the store; in a third of the cases that is stopped on the way, once or twice.
    fn open(&mut self) -> Store {
        let mut stops = if self.rng.u32(0..3) == 0 { self.rng.u32(1..=2) } else { 0 };
        loop {
            self.given_up |= self.failed_syncs.load(Ordering::Relaxed) > 0;
            self.failed_syncs = Arc::default();
            if stops > 0 {
                let steps = self.rng.u64(0..40);
                self.stop_in(steps);
            }
            match self.options().open("data") {
                Ok(store) => {
                    if !self.disk.is_off() {
                        assert!(!self.is_disturbed(), "opened although a sync has failed");
                        self.disk.plan(|_| Verdict::Proceed);
                        let report = store.recovery_report();
                        assert!(!report.is_damaged(), "a false alarm: {report:#?}");
                        self.counts.dropped_bytes += report.dropped_bytes();
                        let torn =
                            report.findings().filter(|(_, finding)| finding.row.letter() == 'D').count();
                        self.counts.torn_tails += torn as u64;
                        self.given_up = false;
                        if std::mem::take(&mut self.killed) {
                            // Only the process died: everything that was acknowledged is there.
                            self.everything_is_durable();
                        }
                        return store;
                    }
                    // The cut came with the last call of the opening; nothing was done with the store, and its disk is gone.
                    drop(store);
                }
                Err(error) => {
                    assert!(self.is_disturbed(), "opening failed on a sound disk: {error:?}");
                    assert!(matches!(error, OpenError::Io(_)), "{error:?}");
                }
            }
            stops -= 1;
            // What a failed sync has given up is in the memory of the process alone while it is written anew.
            self.killed &= !self.given_up || self.planned != Stop::Kill;
            self.count_stop();
            self.counts.stops_during_recovery += 1;
            if self.disk.is_off() {
                self.disk = self.disk.power_on();
            } else {
                self.disk.plan(|_| Verdict::Proceed);
            }
        }
    }

    fn everything_is_durable(&mut self) {
        for stream in self.streams.values_mut() {
            stream.shards.iter_mut().for_each(ShardModel::all_is_durable);
        }
    }

    /// Cuts the power, kills the process or fails a sync after so many calls to the disk.
    fn stop_in(&mut self, steps: u64) {
        let at = self.disk.steps() + steps;
        self.planned = match self.rng.u32(0..4) {
            0 => Stop::Kill,
            1 => Stop::FailedSync,
            _ => Stop::PowerCut,
        };
        let (seed, all) = (self.rng.u64(..), self.rng.bool());
        let (planned, failed) = (self.planned, Arc::clone(&self.failed_syncs));
        self.disk.plan(move |call| match planned {
            _ if call.step < at => Verdict::Proceed,
            Stop::PowerCut => Verdict::CutPower { seed },
            Stop::Kill => Verdict::Kill,
            Stop::FailedSync => {
                let fails = call.operation == Operation::SyncData
                    && (failed.fetch_add(1, Ordering::Relaxed) == 0 || all);
                if fails { Verdict::Fail(ErrorKind::Other) } else { Verdict::Proceed }
            }
        });
    }

    /// The process has ended, as planned.
    fn count_stop(&mut self) {
        // What was not durable before is not yet durable now, unless the machine has gone on ever since.
        match self.planned {
            Stop::PowerCut => {
                (self.killed, self.given_up) = (false, false);
                self.failed_syncs = Arc::default();
                self.counts.cuts += 1;
            }
            Stop::Kill => self.counts.kills += 1,
            Stop::FailedSync => self.counts.failed_syncs += 1,
        }
    }

    /// Ends a round, in one way or another.
    fn end(&mut self, store: Store) {
        if !self.disk.is_off() {
            // Also after a close in good order: whatever happens to the power then takes nothing.
            self.planned = Stop::PowerCut;
            let what = self.rng.u32(0..10);
            if what < 3 {
                let closed = store.close();
                assert!(closed.is_ok() || self.is_disturbed(), "{closed:?}");
                if closed.is_ok() {
                    self.counts.clean_closes += 1;
                    self.everything_is_durable();
                }
            }
            if (2..5).contains(&what) && !self.disk.is_off() {
                self.planned = Stop::Kill;
                self.disk.kill();
            }
        }
        self.killed = self.planned == Stop::Kill;
        self.counts.failed_syncs += self.failed_syncs.load(Ordering::Relaxed).min(1);
        self.count_stop();
        self.disk = self.disk.cut_power(self.rng.u64(..));
        // Its disk is gone: closing does nothing any more.
        drop(store);
    }

    fn work(&mut self, store: &Store) {
        if self.rng.u32(0..3) > 0 {
            let steps = self.rng.u64(0..120);
            self.stop_in(steps);
        }
        for _ in 0..self.rng.u32(0..80) {
            if self.disk.is_off() {
                return;
            }
            match self.rng.u32(0..100) {
                0..=4 => self.create(store),
                5 => self.delete(store),
                84..=87 => self.reshard(store),
                6..=9 => {
                    if store.sync().is_ok() {
                        self.everything_is_durable();
                    }
                }
                10..=12 => self.trim(store),
                13..=19 => {
                    self.clock.advance(Duration::from_millis(self.rng.u64(0..800)));
                    store.maintain();
                }
                20..=29 => self.look(store),
                30..=44 => self.put_batch(store),
                _ => self.put(store),
            }
        }
    }

    fn pick(&mut self, store: &Store) -> Option<(String, Stream)> {
        let names: Vec<_> = self.streams.keys().cloned().collect();
        let name = self.rng.choice(names)?;
        let opened = store.open_stream(&name);
        assert!(opened.is_ok() || self.streams[&name].uncertain, "{opened:?}");
        Some((name, opened.ok()?))
    }

    fn create(&mut self, store: &Store) {
        let name = format!("stream-{}", self.rng.u32(0..3));
        let shards = self.rng.u32(1..=3);
        if self.streams.get(&name).is_some_and(|model| model.uncertain)
            && !store.list_streams().contains(&name)
        {
            self.streams.remove(&name);
        }
        let exists = self.streams.contains_key(&name);
        let outcome = store.create_stream(&name, StreamOptions::new().shards(shards));
        if exists {
            assert!(outcome.is_err());
            return;
        }
        let models = (0..shards).map(|_| ShardModel::default()).collect();
        let uncertain = outcome.is_err();
        assert!(!uncertain || self.is_disturbed(), "{outcome:?}");
        self.streams.insert(name, StreamModel { shards: models, uncertain, resharding: None });
    }

    fn reshard(&mut self, store: &Store) {
        let Some((name, stream)) = self.pick(store) else { return };
        let open = stream.shards();
        let at = self.rng.usize(0..open.len());
        let (parents, children) = if open.len() > 1 && (open.len() > 4 || self.rng.bool()) {
            let at = at.min(open.len() - 2);
            (vec![open[at].id, open[at + 1].id], 1)
        } else {
            (vec![open[at].id], 2)
        };
        let outcome = match &*parents {
            [first, second] => stream.merge_shards(*first, *second).map(drop),
            _ => {
                let range = open[at].range;
                let middle = range.start.as_u128().midpoint(range.end.as_u128());
                stream.split_shard(open[at].id, HashKey::from(middle)).map(drop)
            }
        };
        match outcome {
            Ok(()) => {
                self.streams.get_mut(&name).unwrap().resharded(&parents, children);
                self.counts.reshards += 1;
            }
            Err(error) => {
                assert!(self.is_disturbed(), "{error:?}");
                if self.disk.is_off() {
                    self.streams.get_mut(&name).unwrap().resharding = Some((parents, children));
                }
            }
        }
    }

    fn delete(&mut self, store: &Store) {
        let Some((name, _)) = self.pick(store) else { return };
        match store.delete_stream(&name) {
            Ok(()) => drop(self.streams.remove(&name)),
            Err(error) => {
                assert!(self.is_disturbed(), "{error:?}");
                self.streams.get_mut(&name).unwrap().uncertain = true;
            }
        }
    }

    fn data(&mut self) -> Vec<u8> {
        self.written += 1;
        let len = match self.rng.u32(0..20) {
            0 => 0,
            1 => self.rng.usize(10_000..30_000),
            2..=5 => self.rng.usize(1000..5000),
            _ => self.rng.usize(0..300),
        };
        let mut data = vec![0; len];
        self.rng.fill(&mut data);
        data.extend_from_slice(&self.written.to_le_bytes());
        data
    }

    fn durability(&mut self) -> Durability {
        match self.rng.u32(0..4) {
            0 => Durability::Immediate,
            1 => Durability::Periodic(Duration::from_millis(500)),
            _ => Durability::Buffered,
        }
    }

    fn put(&mut self, store: &Store) {
        let Some((name, stream)) = self.pick(store) else { return };
        let key = KEYS[self.rng.usize(0..KEYS.len())];
        let data = self.data();
        let durability = self.durability();
        let record = PutRecord::new(key, &data).durability(durability);
        let outcome = stream.put_record(&record);
        self.note(&name, &stream, key, data, durability, outcome.map(|put| put.sequence_number.as_u128()));
    }

    fn put_batch(&mut self, store: &Store) {
        let Some((name, stream)) = self.pick(store) else { return };
        let durability = self.durability();
        let batch: Vec<_> =
            (0..self.rng.usize(0..12)).map(|_| (KEYS[self.rng.usize(0..KEYS.len())], self.data())).collect();
        let records: Vec<_> =
            batch.iter().map(|(key, data)| PutRecord::new(*key, data).durability(durability)).collect();
        let results = stream.put_records(&records).into_results();
        for ((key, data), result) in batch.into_iter().zip(results) {
            self.note(&name, &stream, key, data, durability, result.map(|put| put.sequence_number.as_u128()));
        }
    }

    fn note(
        &mut self,
        name: &str,
        stream: &Stream,
        key: &str,
        data: Vec<u8>,
        durability: Durability,
        outcome: Result<u128, PutError>,
    ) {
        self.counts.puts += 1;
        let disturbed = self.is_disturbed();
        let shard = stream.shard_for_key(key).unwrap().as_u32() as usize;
        let model = &mut self.streams.get_mut(name).unwrap().shards[shard];
        match outcome {
            Ok(number) => {
                assert!(model.highest.is_none_or(|highest| number > highest), "a number was given twice");
                model.highest = Some(number);
                model.records.push(Expected { number: Some(number), key: key.to_owned(), data });
                if durability == Durability::Immediate {
                    model.durable = model.records.len();
                    self.counts.acknowledged_durable += 1;
                }
            }
            Err(PutError::Sync(_)) => {
                assert!(disturbed);
                model.records.push(Expected { number: None, key: key.to_owned(), data });
            }
            Err(error) => assert!(disturbed, "{error:?}"),
        }
    }

    /// Trims by hand; what is trimmed may be gone, or still be there.
    fn trim(&mut self, store: &Store) {
        let Some((name, stream)) = self.pick(store) else { return };
        for shard in stream.list_shards(ShardFilter::All) {
            let index = shard.id.as_u32() as usize;
            let records = &self.streams[&name].shards[index].records;
            let at = self.rng.usize(0..=records.len());
            let Some(&Expected { number: Some(number), .. }) = records.get(at) else { continue };
            let outcome = stream.trim_to(number.try_into().unwrap());
            assert!(outcome.is_ok() || self.is_disturbed(), "{outcome:?}");
            let model = &mut self.streams.get_mut(&name).unwrap().shards[index];
            model.trimmable = model.trimmable.max(at);
            if let Ok(freed @ 1..) = outcome {
                self.counts.trimmed_bytes += freed;
                // Trimming syncs first, and what went is gone for good.
                model.all_is_durable();
                let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
                let Ok(oldest) = reader.next() else { return };
                let oldest = oldest.map(|record| record.sequence_number().as_u128());
                let gone = model.records.iter().take_while(|record| record.number < oldest).count();
                assert!(gone <= at, "trimmed too much");
                model.drop_front(gone);
            }
        }
    }

    /// What a durable reader sees, and what is said to be durable, stays.
    fn look(&mut self, store: &Store) {
        let Some((name, stream)) = self.pick(store) else { return };
        let disturbed = self.is_disturbed();
        for shard in stream.list_shards(ShardFilter::All) {
            let model = &mut self.streams.get_mut(&name).unwrap().shards[shard.id.as_u32() as usize];
            let options = ReaderOptions::new().level(ReadLevel::Durable);
            let Ok(mut reader) = stream.reader_with(shard.id, Position::TrimHorizon, options) else {
                assert!(disturbed);
                return;
            };
            let mut seen = 0;
            loop {
                match reader.next() {
                    Ok(Some(record)) => {
                        assert_eq!(record.data(), model.records[seen].data);
                        seen += 1;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        assert!(disturbed, "{error:?}");
                        return;
                    }
                }
            }
            model.durable = model.durable.max(seen);
            if let Some(durable) = stream.durable_sequence_number(shard.id).unwrap() {
                let said = model
                    .records
                    .iter()
                    .filter(|record| record.number.is_some_and(|number| number <= durable.as_u128()))
                    .count();
                model.durable = model.durable.max(said);
            }
        }
    }

    /// Compares what is there after an opening with what must and may be there.
    fn check(&mut self, store: &Store) {
        let there = store.list_streams();
        self.streams.retain(|name, model| {
            let exists = there.contains(name);
            assert!(exists || model.uncertain, "stream {name} is gone");
            exists
        });
        for name in &there {
            let model = self.streams.get_mut(name).unwrap_or_else(|| panic!("deleted stream {name} is back"));
            model.uncertain = false;
            let stream = store.open_stream(name).unwrap();
            let listed = stream.list_shards(ShardFilter::All);
            if let Some((parents, children)) = model.resharding.take()
                && listed.len() > model.shards.len()
            {
                model.resharded(&parents, children);
            }
            assert_eq!(listed.len(), model.shards.len());
            for (shard, model) in listed.iter().zip(&mut model.shards) {
                let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
                let first = reader.next().unwrap().map(|record| record.data().to_vec());
                let gone = (0..=model.trimmable.min(model.records.len()))
                    .find(|&gone| model.records.get(gone).map(|record| &record.data) == first.as_ref());
                if let Some(gone) = gone {
                    model.drop_front(gone);
                }
                let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
                let mut found = 0;
                let mut previous = None;
                while let Some(record) = reader.next().unwrap() {
                    let number = record.sequence_number().as_u128();
                    let expected = model.records.get_mut(found).expect("a record that was never put");
                    assert_eq!(record.data(), expected.data, "record {found} of {name}/{}", shard.id);
                    assert_eq!(record.partition_key().unwrap(), expected.key);
                    assert_eq!(*expected.number.get_or_insert(number), number);
                    assert!(previous.is_none_or(|previous| number > previous), "order");
                    previous = Some(number);
                    found += 1;
                }
                assert!(
                    found >= model.durable,
                    "{name}/{}: {found} records, {} were durable",
                    shard.id,
                    model.durable
                );
                self.counts.lost_unacknowledged += (model.records.len() - found) as u64;
                // A record whose put failed after the append may have been seen: its number counts as handed out.
                let unknown = model.records.iter().filter(|record| record.number.is_none()).count() as u128;
                if unknown > 0 {
                    model.highest = Some(model.highest.unwrap_or(0).max(previous.unwrap_or(0)));
                }
                model.highest = model.highest.max(previous);
                model.records.truncate(found);
                // Recovery synced what it found before it served it.
                model.durable = found;
            }
        }
    }
}

/// A recovery that was killed leaves slots that are written and not durable. The next one must not build on them.
#[test]
fn a_recovery_that_is_killed_at_any_step_is_done_again() {
    let options = |disk: &Disk| {
        Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
    };
    let put = |stream: &Stream, data: &[u8], durability| {
        stream.put_record(&PutRecord::new("k", data).durability(durability)).unwrap();
    };
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    put(&stream, b"durable", Durability::Immediate);
    put(&stream, b"buffered", Durability::Buffered);
    let found = disk.kill();
    drop((store, stream));
    for step in 0.. {
        let mut finished = false;
        for seed in 0..12 {
            let disk = found.duplicate().unwrap();
            disk.plan(move |call| if call.step >= step { Verdict::Kill } else { Verdict::Proceed });
            let store = options(&disk).open("data");
            finished = !disk.is_off();
            let disk = disk.kill();
            drop(store);

            let store = options(&disk).open("data").unwrap();
            let stream = store.open_stream("s").unwrap();
            put(&stream, b"after", Durability::Immediate);
            put(&stream, b"and more", Durability::Immediate);
            let disk = disk.cut_power(seed);
            drop((store, stream));

            let store = options(&disk).open("data").unwrap();
            let report = store.recovery_report();
            assert!(!report.is_damaged(), "step {step}, seed {seed}: {report:#?}");
            let stream = store.open_stream("s").unwrap();
            let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
            let mut data = Vec::new();
            while let Some(record) = reader.next().unwrap() {
                data.push(record.data().to_vec());
            }
            assert_eq!(
                data,
                [&b"durable"[..], b"buffered", b"after", b"and more"],
                "step {step}, seed {seed}"
            );
        }
        if finished {
            assert!(step > 10, "recovery had no steps");
            return;
        }
    }
}
