//! What consumers promise holds after a power cut or a kill at any moment, with any part of the unsynced writes kept.
//!
//! Guards against checkpoints that are lost although they were acknowledged as durable, against checkpoints that move forward
//! by themselves, so that records are skipped, and against consumers that do not open afterwards. A record that survives is
//! delivered unless its checkpoint was made; one below a durable checkpoint is not delivered again.
//!
//! Every history is a seed: `RIVERBED_POWERCUT_HISTORIES` says how many, `RIVERBED_POWERCUT_SEED` where to start.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, clippy::print_stderr, reason = "as above")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use riverbed::testing::{Disk, ManualClock, Verdict};
use riverbed::{
    CheckpointError, Consumer, ConsumerError, ConsumerOptions, Durability, HashKey, Maintenance, PollError,
    Position, PutRecord, ShardFilter, ShardId, Store, StoreOptions, Stream, StreamOptions, Timestamp,
};

const NOW: Duration = Duration::ZERO;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

#[test]
fn checkpoints_are_neither_lost_nor_ahead() {
    let first = setting("RIVERBED_POWERCUT_SEED", 1);
    let histories = setting("RIVERBED_POWERCUT_HISTORIES", 100);
    let mut totals = Totals::default();
    for seed in first..first + histories {
        let outcome = std::panic::catch_unwind(|| {
            let mut totals = Totals::default();
            History::new(seed).run(&mut totals);
            totals
        });
        match outcome {
            Ok(counts) => totals.add(&counts),
            Err(panic) => {
                eprintln!("replay with RIVERBED_POWERCUT_SEED={seed} RIVERBED_POWERCUT_HISTORIES=1");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{histories} histories from seed {first}: {totals:?}");
    assert!(totals.cuts > histories / 2 && totals.checkpoints > histories);
}

#[derive(Debug, Default)]
struct Totals {
    cuts: u64,
    kills: u64,
    closes: u64,
    checkpoints: u64,
    resets: u64,
    reshards: u64,
    fallen_back: u64,
    delivered_again: u64,
    /// Checkpoints that came through although records before them did not.
    ahead_of_the_log: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.kills += other.kills;
        self.closes += other.closes;
        self.checkpoints += other.checkpoints;
        self.resets += other.resets;
        self.reshards += other.reshards;
        self.fallen_back += other.fallen_back;
        self.delivered_again += other.delivered_again;
        self.ahead_of_the_log += other.ahead_of_the_log;
    }
}

/// Where the consumer may be in a shard: the counter of the next record.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    /// Durably so.
    floor: u64,
    /// The last checkpoint that was made.
    made: u64,
    /// The highest that may have been.
    ceiling: u64,
}

impl Bounds {
    fn exactly(next: u64) -> Self {
        Self { floor: next, made: next, ceiling: next }
    }
}

struct History {
    random: fastrand::Rng,
    disk: Disk,
    clock: ManualClock,
    shards: BTreeMap<ShardId, Bounds>,
    /// The highest that was polled.
    polled: BTreeMap<ShardId, u64>,
    /// A checkpoint was made that is to be synced in the background.
    periodic: bool,
    exists: bool,
}

fn options(disk: &Disk, clock: &ManualClock) -> StoreOptions {
    Store::options()
        .storage(disk)
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .segment_len(64 * 1024, 64 * 1024)
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            disk: Disk::new(),
            clock: ManualClock::new(Timestamp::from_millis(1_000_000)),
            shards: BTreeMap::new(),
            polled: BTreeMap::new(),
            periodic: false,
            exists: false,
        }
    }

    fn run(&mut self, totals: &mut Totals) {
        {
            let store = options(&self.disk, &self.clock).open("data").unwrap();
            let count = self.random.u32(1..4);
            store.create_stream("s", StreamOptions::new().shards(count)).unwrap();
            store.close().unwrap();
        }
        for _ in 0..4 {
            let mut kill = self.random.u8(..4) == 0;
            let at = self.disk.steps() + self.random.u64(5..400);
            let seed = self.random.u64(..);
            self.disk.plan(move |call| match call.step >= at {
                true if kill => Verdict::Kill,
                true => Verdict::CutPower { seed },
                false => Verdict::Proceed,
            });
            // Opening may come to it already.
            if let Ok(store) = options(&self.disk, &self.clock).open("data")
                && let Ok(stream) = store.open_stream("s")
            {
                let cut = self.work(&store, &stream, totals);
                kill &= !cut;
            }
            if self.disk.is_off() {
                *(if kill { &mut totals.kills } else { &mut totals.cuts }) += 1;
                for bounds in self.shards.values_mut().filter(|_| kill) {
                    bounds.floor = bounds.made.min(bounds.ceiling).max(bounds.floor);
                }
            } else {
                totals.closes += 1;
            }
            self.disk = self.disk.power_on();
            self.disk.plan(|_| Verdict::Proceed);
            self.check(totals);
        }
    }

    /// Uses the store until it is closed or the power goes. Returns whether it went while nothing was being done, other than
    /// planned.
    fn work(&mut self, store: &Store, stream: &Stream, totals: &mut Totals) -> bool {
        let mut workers: Vec<(Consumer, Durability)> = Vec::new();
        for _ in 0..self.random.usize(20..150) {
            if self.disk.is_off() {
                return false;
            }
            match self.random.u32(..100) {
                0..40 => self.put(stream),
                40..45 if workers.len() < 3 => {
                    let durability = match self.random.u8(..3) {
                        0 => Durability::Buffered,
                        1 => Durability::Periodic(Duration::from_secs(1)),
                        _ => Durability::Immediate,
                    };
                    let options = ConsumerOptions::new().durability(durability).handover(Duration::ZERO);
                    match stream.consumer_with("c", options) {
                        Ok(worker) => {
                            self.exists = true;
                            workers.push((worker, durability));
                        }
                        Err(error) => assert!(self.disk.is_off(), "{error}"),
                    }
                }
                45..47 if !workers.is_empty() => {
                    drop(workers.swap_remove(self.random.usize(..workers.len())));
                }
                47..50 => {
                    self.clock.advance(Duration::from_secs(2));
                    store.maintain();
                    if self.periodic && !self.disk.is_off() {
                        // One sync of the file is one of all that is in it.
                        self.shards.values_mut().for_each(|bounds| *bounds = Bounds::exactly(bounds.made));
                        self.periodic = false;
                    }
                }
                50..53 if self.exists => {
                    totals.resets += 1;
                    self.reset(stream);
                }
                53..56 => totals.reshards += u64::from(self.reshard(stream)),
                56..58 => drop(stream.sync()),
                _ if !workers.is_empty() => {
                    let worker = self.random.usize(..workers.len());
                    let (worker, durability) = &mut workers[worker];
                    totals.checkpoints += self.consume(stream, worker, *durability);
                }
                _ => {}
            }
        }
        drop(workers);
        if self.random.bool() {
            if store.close().is_ok() {
                self.shards.values_mut().for_each(|bounds| *bounds = Bounds::exactly(bounds.made));
            }
            return false;
        }
        let planned = self.disk.is_off();
        let seed = self.random.u64(..);
        self.disk.cut_power(seed);
        !planned
    }

    fn put(&mut self, stream: &Stream) {
        let durability = match self.random.u8(..4) {
            0 => Durability::Immediate,
            1 => Durability::Periodic(Duration::from_secs(1)),
            _ => Durability::Buffered,
        };
        for _ in 0..self.random.usize(1..6) {
            let key = format!("key-{}", self.random.u32(..30));
            let data = vec![7; self.random.usize(..3_000)];
            if let Err(error) = stream.put_record(&PutRecord::new(&*key, &data).durability(durability)) {
                assert!(self.disk.is_off(), "{error}");
            }
        }
    }

    /// Polls, and perhaps makes a checkpoint. Returns how many were made.
    fn consume(&mut self, stream: &Stream, worker: &mut Consumer, durability: Durability) -> u64 {
        let records = match worker.poll(self.random.usize(1..20), NOW) {
            Ok(records) => records,
            // A shard was read to its end, and that could not be noted.
            Err(PollError::Checkpoint(_) | PollError::Read { .. }) if self.disk.is_off() => {
                self.raise_to_polled(stream);
                return 0;
            }
            Err(error) => panic!("{error}"),
        };
        let mut reached = BTreeMap::new();
        for record in &records {
            let (shard, number) = (record.shard_id(), record.sequence_number());
            reached.insert(shard, number);
            let polled = self.polled.entry(shard).or_default();
            *polled = (number.counter() + 1).max(*polled);
        }
        // Finished shards, too, count as at their end.
        self.raise_ends(stream, worker);
        if self.random.bool() {
            return 0;
        }
        let outcome = match (self.random.u8(..4), records.last()) {
            (0, Some(last)) => {
                let last = last.sequence_number();
                reached.retain(|shard, _| *shard == last.shard_id());
                worker.checkpoint_at(last)
            }
            _ => worker.checkpoint(),
        };
        match &outcome {
            Ok(()) | Err(CheckpointError::LeaseLost { .. }) => {}
            Err(error) => assert!(self.disk.is_off(), "{error}"),
        }
        self.raise_ends(stream, worker);
        // What the worker had polled before, and at the end of a shard that too, may have gone in as well: lag tells.
        for lag in worker.lag() {
            let next = match lag.checkpoint {
                riverbed::Checkpoint::AfterSequenceNumber(number) => number.counter() + 1,
                riverbed::Checkpoint::AtSequenceNumber(number) => number.counter(),
                _ => 0,
            };
            let bounds = self.shards.entry(lag.shard_id).or_default();
            bounds.made = next;
            bounds.ceiling = bounds.ceiling.max(next);
            if let Some(number) = reached.get(&lag.shard_id) {
                if outcome.is_ok() {
                    assert!(next > number.counter(), "a checkpoint was acknowledged and not made");
                }
                bounds.ceiling = bounds.ceiling.max(number.counter() + 1);
            }
        }
        if self.disk.is_off() {
            self.raise_to_polled(stream);
            return 0;
        }
        // With nothing to write down there is nothing to sync.
        self.periodic |=
            matches!(durability, Durability::Periodic(_)) && outcome.is_ok() && !reached.is_empty();
        if durability == Durability::Immediate && outcome.is_ok() {
            for shard in reached.keys() {
                let bounds = self.shards.entry(*shard).or_default();
                bounds.floor = bounds.made;
            }
        }
        u64::from(outcome.is_ok())
    }

    /// A checkpoint was being made when the power went, or the end of a shard noted.
    fn raise_to_polled(&mut self, stream: &Stream) {
        for shard in stream.list_shards(ShardFilter::All) {
            let polled = self.polled.get(&shard.id).copied().unwrap_or_default();
            let polled = if shard.ending_sequence_number.is_some() { u64::MAX } else { polled };
            let bounds = self.shards.entry(shard.id).or_default();
            bounds.ceiling = bounds.ceiling.max(polled);
        }
    }

    /// Shards that are not in the lag are finished.
    fn raise_ends(&mut self, stream: &Stream, worker: &Consumer) {
        let unfinished: BTreeSet<_> = worker.lag().iter().map(|lag| lag.shard_id).collect();
        for shard in stream.list_shards(ShardFilter::All) {
            if !unfinished.contains(&shard.id) {
                let bounds = self.shards.entry(shard.id).or_default();
                bounds.made = u64::MAX;
                bounds.ceiling = u64::MAX;
            }
        }
    }

    fn reset(&mut self, stream: &Stream) {
        let all = stream.list_shards(ShardFilter::All);
        let latest = self.random.bool();
        let outcome =
            stream.reset_consumer("c", if latest { Position::Latest } else { Position::TrimHorizon });
        for shard in all {
            let stats = stream.shard_stats(shard.id).unwrap();
            let next = stats.newest.map_or(0, |(number, _)| number.counter() + 1);
            let to = match (latest, shard.ending_sequence_number) {
                (false, _) => 0,
                (true, Some(_)) => u64::MAX,
                (true, None) => next,
            };
            let bounds = self.shards.entry(shard.id).or_default();
            match &outcome {
                Ok(()) => *bounds = Bounds::exactly(to),
                Err(ConsumerError::Io(_)) => {
                    bounds.floor = bounds.floor.min(to);
                    bounds.made = bounds.made.min(to);
                    bounds.ceiling = bounds.ceiling.max(to);
                }
                Err(error) => panic!("{error}"),
            }
        }
        if outcome.is_err() {
            assert!(self.disk.is_off());
        }
    }

    fn reshard(&mut self, stream: &Stream) -> bool {
        let open = stream.list_shards(ShardFilter::AtLatest);
        if open.len() > 6 {
            return false;
        }
        let shard = &open[self.random.usize(..open.len())];
        let (start, end) = (shard.range.start.as_u128(), shard.range.end.as_u128());
        match stream.split_shard(shard.id, HashKey::from(start + (end - start) / 2)) {
            Ok(_) => true,
            Err(error) => {
                assert!(self.disk.is_off(), "{error}");
                false
            }
        }
    }

    /// What must hold of the disk as it is now.
    fn check(&mut self, totals: &mut Totals) {
        let store = options(&self.disk, &self.clock).open("data").unwrap();
        assert!(!store.recovery_report().is_damaged());
        let stream = store.open_stream("s").unwrap();
        let consumers = stream.list_consumers().unwrap();
        assert!(!self.exists || consumers == ["c"], "the consumer is lost");
        self.exists = !consumers.is_empty();
        let mut expected: BTreeMap<ShardId, Vec<u64>> = BTreeMap::new();
        for shard in stream.list_shards(ShardFilter::All) {
            let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
            let numbers = expected.entry(shard.id).or_default();
            while let Some(record) = reader.next().unwrap() {
                numbers.push(record.sequence_number().counter());
            }
        }
        let mut polled = self.drain(&stream);
        for (shard, numbers) in &expected {
            let bounds = self.shards.get(shard).copied().unwrap_or_default();
            let polled = polled.remove(shard).unwrap_or_default();
            assert!(numbers.ends_with(&polled), "{shard}: {polled:?} are not the last of {numbers:?}");
            let missing = numbers[..numbers.len() - polled.len()].last();
            assert!(
                missing.is_none_or(|missing| *missing < bounds.ceiling),
                "{shard}: {missing:?} was skipped, {bounds:?}"
            );
            let first = polled.first();
            assert!(
                first.is_none_or(|first| *first >= bounds.floor),
                "{shard}: {first:?} came again, {bounds:?}"
            );
            totals.delivered_again += polled.iter().filter(|number| **number < bounds.made).count() as u64;
            totals.fallen_back += u64::from(first.is_some_and(|first| *first < bounds.made));
            let lost = numbers.last().is_none_or(|last| last + 1 < bounds.floor);
            totals.ahead_of_the_log += u64::from(lost && bounds.floor > 0 && bounds.floor < u64::MAX);
        }
        assert!(polled.is_empty());

        // What comes now is delivered, whatever the checkpoint says of numbers that are lost.
        let mut fresh = BTreeMap::<ShardId, Vec<u64>>::new();
        for index in 0..20 {
            let number = stream.put(&format!("key-{index}"), b"fresh").unwrap().sequence_number;
            fresh.entry(number.shard_id()).or_default().push(number.counter());
        }
        let polled = self.drain(&stream);
        for (shard, fresh) in fresh {
            let polled = polled.get(&shard).map_or(&[][..], Vec::as_slice);
            assert!(polled.ends_with(&fresh), "{shard}: {fresh:?} are missing in {polled:?}");
        }
        // From here on it is known where the consumer is.
        if self.exists {
            stream.reset_consumer("c", Position::TrimHorizon).unwrap();
        }
        self.shards.clear();
        self.polled.clear();
        self.periodic = false;
        store.close().unwrap();
    }

    /// Everything that the consumer has not processed, without processing it: of parents and children.
    fn drain(&mut self, stream: &Stream) -> BTreeMap<ShardId, Vec<u64>> {
        // On a copy of the checkpoints: this one's are not to move.
        let disk = self.disk.duplicate().unwrap();
        let store = options(&disk, &self.clock).open("data").unwrap();
        let same = store.open_stream(stream.name()).unwrap();
        let mut consumer = same.consumer("c").unwrap();
        let mut all: BTreeMap<ShardId, Vec<u64>> = BTreeMap::new();
        loop {
            let records = consumer.poll(50, NOW).unwrap();
            consumer.checkpoint().unwrap();
            if records.is_empty() {
                return all;
            }
            for record in records {
                all.entry(record.shard_id()).or_default().push(record.sequence_number().counter());
            }
        }
    }
}
