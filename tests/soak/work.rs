//! The process that writes: writers, consumers, resharding and retention, all at once.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use riverbed::{Durability, HashKey, PutRecord, Retention, ShardFilter, Store, Stream, StreamOptions};

use crate::child;
use crate::consume::{self, Group};
use crate::ledger::{PutLedger, Puts};
use crate::record::{self, KEYS, KEYS_PER_WRITER, Place, WRITERS};
use crate::usage::Usage;

/// So many records more than the slowest consumer that is waited for has got, for each millisecond of retention, and writers
/// wait.
const MOST_AHEAD: u64 = 2;
/// Each writer puts about as many in a second, if it can.
const RATE: u64 = 2500;

/// What one life of the process is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub run: u64,
    pub seed: u64,
    /// The milliseconds after which it ends in good order; 0 if it is going to be killed.
    pub millis: u64,
    /// How long records are kept, and between two reshardings.
    pub retention_millis: u64,
    pub reshard_millis: u64,
    pub directory: String,
}

impl Task {
    pub fn line(&self) -> String {
        let Self { run, seed, millis, retention_millis, reshard_millis, directory } = self;
        format!("{run},{seed},{millis},{retention_millis},{reshard_millis},{directory}")
    }

    pub fn parse(line: &str) -> Self {
        let parts: Vec<_> = line.splitn(6, ',').collect();
        let number = |at: usize| parts[at].parse().unwrap();
        Self {
            run: number(0),
            seed: number(1),
            millis: number(2),
            retention_millis: number(3),
            reshard_millis: number(4),
            directory: parts[5].to_owned(),
        }
    }

    fn retention(&self) -> Retention {
        Retention::of_age(Duration::from_millis(self.retention_millis)).and_bytes(RETAINED_BYTES)
    }
}

/// What segments may take.
const RETAINED_BYTES: u64 = 64 << 20;

/// What the threads of the process share.
pub struct Shared<'a> {
    pub stream: &'a Stream,
    pub puts: &'a PutLedger,
    groups: &'a [Group],
    task: &'a Task,
    /// Records put in this life.
    written: AtomicU64,
    /// Writers are to end.
    ending: AtomicBool,
    writers: AtomicU64,
}

impl Shared<'_> {
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Whether nothing more will be put, and the consumer has got the last record of each key.
    pub fn is_drained(&self, group: &Group) -> bool {
        if self.writers.load(Ordering::Acquire) > 0 {
            return false;
        }
        let ledger = group.ledger.lock().unwrap();
        ledger.keys.iter().enumerate().all(|(key, progress)| {
            progress.at == Place { run: self.task.run, index: self.puts.now(key).acknowledged }
        })
    }

    fn is_far_ahead(&self) -> bool {
        let waited_for = self.groups.iter().filter(|group| group.setup.waited_for);
        let slowest = waited_for.map(|group| group.records.load(Ordering::Relaxed)).min().unwrap_or(0);
        self.written.load(Ordering::Relaxed).saturating_sub(slowest) > MOST_AHEAD * self.task.retention_millis
    }
}

/// Works until it is killed, or the time is up; then the last records are consumed and the store is closed.
pub fn work(task: &Task) {
    let directory = Path::new(&task.directory);
    // libtest has written the beginning of a line.
    child::report("\nopening\n");
    let options = Store::options().segment_len(64 << 10, 1 << 20).max_mapped_segments(64);
    let store = options.open(directory.join("store")).expect("opening never fails");
    assert!(!store.recovery_report().is_damaged(), "{:#?}", store.recovery_report());
    let stream = match store.open_stream("s") {
        Ok(stream) => stream,
        Err(_) => store.create_stream("s", StreamOptions::new().shards(4)).expect("a stream"),
    };
    stream.set_retention(task.retention()).expect("a retention");
    let groups = consume::groups(directory);
    let puts = PutLedger::open(directory, task.run);
    let shared = Shared {
        stream: &stream,
        puts: &puts,
        groups: &groups,
        task,
        written: AtomicU64::new(0),
        ending: AtomicBool::new(false),
        writers: AtomicU64::new(WRITERS as u64),
    };
    child::report("ready\n");
    let reshardings = thread::scope(|scope| {
        let shared = &shared;
        let seed = |part: u64| task.seed ^ task.run << 32 ^ part << 16;
        for writer in 0..WRITERS {
            let seed = seed(writer as u64);
            scope.spawn(move || write(shared, writer, fastrand::Rng::with_seed(seed)));
        }
        for (number, group) in (0..).zip(shared.groups) {
            for worker in 0..group.setup.workers {
                let seed = seed(100 + number * 10 + worker);
                scope.spawn(move || consume::consume(shared, group, seed));
            }
        }
        let resharding = scope.spawn(move || reshard(shared, fastrand::Rng::with_seed(seed(99))));
        watch(shared);
        resharding.join().expect("a thread that does not panic")
    });
    consume::check_listed(&stream);
    report(&shared, reshardings);
    drop(stream);
    store.close().expect("a clean close");
}

/// Reports what the process takes, until the time is up.
fn watch(shared: &Shared<'_>) {
    let start = Instant::now();
    while shared.task.millis == 0 || start.elapsed() < Duration::from_millis(shared.task.millis) {
        thread::sleep(Duration::from_millis(250));
        let stats = shared.stream.stats();
        let bytes: u64 = stats.shards.iter().map(|shard| shard.bytes + shard.pinned_bytes).sum();
        let usage = Usage { segments: bytes >> 10, shards: stats.shards.len() as u64, ..Usage::now() };
        child::report(&usage.line());
    }
    // What is put last stays for readers in other processes.
    shared.stream.set_retention(Retention::FOREVER).expect("a retention");
    shared.ending.store(true, Ordering::Relaxed);
}

/// Puts the records of one writer's keys, in order.
fn write(shared: &Shared<'_>, writer: usize, mut random: fastrand::Rng) {
    let keys = writer * KEYS_PER_WRITER..(writer + 1) * KEYS_PER_WRITER;
    let mut next = vec![0; KEYS_PER_WRITER];
    let start = Instant::now();
    let mut count = 0;
    while !shared.is_ending() {
        if shared.is_far_ahead() || start.elapsed() < Duration::from_micros(count * 1_000_000 / RATE) {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let batch = if random.bool() { 1 } else { random.usize(1..60) };
        let batch: Vec<_> = (0..batch).map(|_| random.usize(keys.clone())).collect();
        put(shared, &keys, &mut next, &batch, &mut random);
        count += batch.len() as u64;
    }
    // The last one of each key, which says that nothing is missing.
    let all: Vec<_> = keys.clone().collect();
    put(shared, &keys, &mut next, &all, &mut random);
    shared.writers.fetch_sub(1, Ordering::Release);
}

fn put(
    shared: &Shared<'_>,
    keys: &std::ops::Range<usize>,
    next: &mut [u64],
    batch: &[usize],
    random: &mut fastrand::Rng,
) {
    let run = shared.task.run;
    let durability = match random.u16(..300) {
        0 => Durability::Immediate,
        1..100 => Durability::Periodic(Duration::from_millis(random.u64(1..200))),
        _ => Durability::Buffered,
    };
    let acknowledged = next.to_vec();
    let records: Vec<_> = batch
        .iter()
        .map(|&key| {
            let index = &mut next[key - keys.start];
            let data = record::data(key, Place { run, index: *index });
            *index += 1;
            (record::key_name(key), data)
        })
        .collect();
    let mut touched = batch.to_vec();
    touched.sort_unstable();
    touched.dedup();
    for &key in &touched {
        let at = key - keys.start;
        shared.puts.note(key, Puts { begun: next[at], acknowledged: acknowledged[at] });
    }
    let records: Vec<_> =
        records.iter().map(|(key, data)| PutRecord::new(key, data).durability(durability)).collect();
    match records.as_slice() {
        [one] => drop(shared.stream.put_record(one).expect("a put")),
        many => drop(shared.stream.put_records_in_order(many).all().expect("puts")),
    }
    for &key in &touched {
        let at = key - keys.start;
        shared.puts.note(key, Puts { begun: next[at], acknowledged: next[at] });
    }
    shared.written.fetch_add(records.len() as u64, Ordering::Relaxed);
}

/// Splits, merges, changes the number of shards and the retention at random. Returns how often.
fn reshard(shared: &Shared<'_>, mut random: fastrand::Rng) -> [u64; 3] {
    const FEWEST: usize = 2;
    const MOST: usize = 16;
    let stream = shared.stream;
    let mut done = [0; 3];
    let mut due = Instant::now();
    while !shared.is_ending() {
        if Instant::now() < due {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        due += Duration::from_millis(shared.task.reshard_millis);
        let open = stream.list_shards(ShardFilter::AtLatest);
        let shard = &open[random.usize(..open.len())];
        let (start, end) = (shard.range.start.as_u128(), shard.range.end.as_u128());
        let next = open.iter().find(|other| end.checked_add(1) == Some(other.range.start.as_u128()));
        let which = match (random.u8(..3), next) {
            (0, _) => {
                let least = FEWEST.max(open.len().div_ceil(2));
                // More than twice `MOST` are open where a life ended amid one of these.
                let most = MOST.min(open.len() * 2).max(least);
                let target = random.usize(least..=most);
                stream.update_shard_count(u32::try_from(target).unwrap()).expect("another number of shards");
                2
            }
            (1, Some(next)) if open.len() > FEWEST => {
                stream.merge_shards(shard.id, next.id).expect("a merge");
                1
            }
            _ if open.len() < MOST && end - start > 1 << 100 => {
                stream.split_shard(shard.id, HashKey::from(start.midpoint(end) + 1)).expect("a split");
                0
            }
            _ => continue,
        };
        done[which] += 1;
    }
    done
}

/// Reports the counts, having checked that what went in came out.
fn report(shared: &Shared<'_>, [splits, merges, updates]: [u64; 3]) {
    let acknowledged = shared.puts.acknowledged();
    child::report(&format!(
        "counts {acknowledged} records acknowledged in all lives; in this one {} written, {splits} splits, {merges} merges, \
         {updates} changes of the number of shards\n",
        shared.written.load(Ordering::Relaxed)
    ));
    for group in shared.groups {
        let ledger = group.ledger.lock().unwrap();
        let records: u64 = ledger.keys.iter().map(|key| key.records).sum();
        let again: u64 = ledger.keys.iter().map(|key| key.again).sum();
        // Records that were stored, but killed before they were acknowledged, come out as well.
        let missing = acknowledged.saturating_sub(records);
        child::report(&format!(
            "counts consumer {}: {records} records, {again} of them again, {missing} taken by retention, {} ends of workers\n",
            group.setup.name,
            group.ended_workers.load(Ordering::Relaxed)
        ));
        assert!(missing <= ledger.told, "{missing} are missing, and it was told of {}", ledger.told);
        for key in 0..KEYS {
            let end = Place { run: shared.task.run, index: shared.puts.now(key).acknowledged };
            assert_eq!(ledger.keys[key].furthest, end, "the last of key {key} for {}", group.setup.name);
        }
    }
}
