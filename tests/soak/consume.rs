//! A consumer's workers, which end at random, and what they check of each record they get.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use riverbed::{CheckpointError, Consumer, ConsumerOptions, Durability, PollError, Record, Stream};

use crate::ledger::{Again, ConsumerLedger, PutLedger};
use crate::record::{self, Place};
use crate::work::Shared;

/// A consumer, as it is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub name: &'static str,
    pub workers: u64,
    /// Writers wait for it, so that retention does not overtake it.
    pub waited_for: bool,
}

/// Four consumers: one worker, several, and one that dawdles.
pub const CONSUMERS: [Setup; 4] = [
    Setup { name: "single", workers: 1, waited_for: true },
    Setup { name: "pair", workers: 2, waited_for: true },
    Setup { name: "team", workers: 4, waited_for: true },
    Setup { name: "dawdler", workers: 1, waited_for: false },
];

/// What the workers of one consumer share.
#[derive(Debug)]
pub struct Group {
    pub setup: Setup,
    pub ledger: Mutex<ConsumerLedger>,
    /// Records that were delivered for the first time, in this life.
    pub records: AtomicU64,
    pub ended_workers: AtomicU64,
}

impl Group {
    pub fn new(setup: Setup, ledger: ConsumerLedger) -> Self {
        Self {
            setup,
            ledger: Mutex::new(ledger),
            records: AtomicU64::new(0),
            ended_workers: AtomicU64::new(0),
        }
    }
}

/// One worker after the other, until everything has been consumed that was put.
pub fn consume(shared: &Shared<'_>, group: &Group, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    while !shared.is_drained(group) {
        let durability = match random.u8(..8) {
            0 => Durability::Immediate,
            1..5 => Durability::Periodic(Duration::from_millis(random.u64(1..20))),
            _ => Durability::Buffered,
        };
        // Nothing is taken from a worker: what is delivered again is what one has left behind.
        let options = ConsumerOptions::new().durability(durability).handover(Duration::from_secs(3600));
        let mut worker = Worker {
            consumer: shared.stream.consumer_with(group.setup.name, options).expect("a consumer"),
            puts: shared.puts,
            group,
            polled: BTreeMap::new(),
        };
        let until = Instant::now() + Duration::from_millis(random.u64(50..3000));
        // A thread that panics is one way for a worker to end. This one is not reported: it is no failure.
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
            worker.work(shared, until, &mut random);
            if random.bool() {
                std::panic::resume_unwind(Box::new(End));
            }
            drop(worker);
        }));
        if let Err(panic) = ended
            && !panic.is::<End>()
        {
            std::panic::resume_unwind(panic);
        }
        group.ended_workers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Of a shard that went as a whole nobody says how many records it had.
const ANY_NUMBER: u64 = 1 << 40;

/// A worker's end by a panic.
struct End;

struct Worker<'a> {
    consumer: Consumer,
    puts: &'a PutLedger,
    group: &'a Group,
    /// What was polled since the last checkpoint: for each key, what comes next.
    polled: BTreeMap<usize, Place>,
}

impl Worker<'_> {
    fn work(&mut self, shared: &Shared<'_>, until: Instant, random: &mut fastrand::Rng) {
        while Instant::now() < until {
            let most = *random.choice(&[10, 200, 1000]).unwrap();
            self.poll(most, random.bool());
            if shared.is_drained(self.group) {
                self.checkpoint();
                return;
            }
            if random.u8(..4) > 0 {
                self.checkpoint();
            }
            if !self.group.setup.waited_for && !shared.is_ending() && random.u8(..30) == 0 {
                std::thread::sleep(Duration::from_millis(random.u64(..4000)));
            }
        }
    }

    fn poll(&mut self, most: usize, borrowed: bool) {
        const TIMEOUT: Duration = Duration::from_millis(100);
        let mut got = Vec::new();
        let outcome = if borrowed {
            let note = |record: Record<'_>| {
                let (key, place) = record::checked(record.partition_key().unwrap(), record.data());
                got.push((key, place, record.sequence_number().as_u128()));
            };
            self.consumer.poll_with(most, TIMEOUT, note).map(drop)
        } else {
            self.consumer.poll(most, TIMEOUT).map(|records| {
                for record in &records {
                    let (key, place) = record::checked(record.partition_key().unwrap(), record.data());
                    got.push((key, place, record.sequence_number().as_u128()));
                }
            })
        };
        let mut ledger = self.group.ledger.lock().unwrap();
        // Writers do not wait for what is gone.
        let mut first_time = 0;
        match outcome {
            Ok(()) => {}
            Err(PollError::Trimmed { skipped, .. }) => first_time += skipped,
            Err(PollError::ShardGone { .. }) => first_time += ANY_NUMBER,
            Err(error) => panic!("{}: {error}", self.group.setup.name),
        }
        if first_time > 0 {
            ledger.tell(first_time);
        }
        let before: BTreeMap<_, _> = got.iter().map(|&(key, ..)| (key, ledger.keys[key].records)).collect();
        for (key, place, number) in got {
            ledger.deliver(self.puts, key, place, number);
            self.polled.insert(key, place.next());
        }
        for (key, records) in before {
            first_time += ledger.keys[key].records - records;
            ledger.save(key);
        }
        self.group.records.fetch_add(first_time, Ordering::Relaxed);
    }

    /// Makes a checkpoint. Once it is made another worker may have the shard: it waits with its notes for this one's.
    fn checkpoint(&mut self) {
        let mut ledger = self.group.ledger.lock().unwrap();
        match self.consumer.checkpoint() {
            // Of a shard that retention took meanwhile there is nothing left to be delivered again.
            Err(CheckpointError::LeaseLost { .. }) if !self.group.setup.waited_for => {}
            outcome => outcome.expect("a checkpoint"),
        }
        for (key, place) in std::mem::take(&mut self.polled) {
            ledger.keys[key].checkpointed = place;
            ledger.save(key);
        }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // Noted before the consumer is dropped, which lets others have its shards.
        if let Ok(mut ledger) = self.group.ledger.lock() {
            for key in self.polled.keys() {
                ledger.keys[*key].may_repeat = Again::FromCheckpoint;
            }
        }
    }
}

/// The stream's consumers, each with its workers.
pub fn groups(directory: &std::path::Path) -> Vec<Group> {
    let group = |setup: Setup| {
        let mut ledger = ConsumerLedger::open(directory, setup.name);
        if !setup.waited_for {
            // Shards that went before any worker of this process had them, and that it had not begun, are not told of.
            ledger.tell(ANY_NUMBER);
        }
        Group::new(setup, ledger)
    };
    CONSUMERS.map(group).into()
}

/// Whether the stream has exactly the consumers that there should be.
pub fn check_listed(stream: &Stream) {
    let mut names = CONSUMERS.map(|setup| setup.name);
    names.sort_unstable();
    assert_eq!(stream.list_consumers().unwrap(), names);
}
