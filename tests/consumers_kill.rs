//! At least once, and in order per key, when the process is killed at any moment: real child processes that write, reshard
//! and consume at once, killed again and again on the same store.
//!
//! Guards against checkpoints that get ahead of what was polled, against records that no consumer ever sees, and against
//! handing a shard to another worker, or going from a parent to its children, in a way that turns a key's records around.
//! `RIVERBED_KILLS` says how often, `RIVERBED_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "as above, and the seed is printed")]

#[path = "common/child.rs"]
mod child;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use child::{Ack, Id, Records, Task};
use riverbed::{
    CheckpointError, ConsumerOptions, Durability, HashKey, Position, ShardFilter, Store, Stream,
    StreamOptions,
};

/// A store grows until it has so many records; then the next one is begun.
const RECORDS: usize = 20_000;
const WORKERS: u64 = 2;

#[test]
fn child_consumes() {
    let Some(task) = child::task() else { return };
    let task = Task::parse(&task);
    // libtest has written the beginning of a line.
    child::report("\nopening\n");
    let store = child::open(&task.path, task.segment_len);
    let stream = match store.open_stream("s") {
        Ok(stream) => stream,
        Err(_) => store.create_stream("s", StreamOptions::new().shards(task.shards)).expect("a stream"),
    };
    child::report("ready\n");
    thread::scope(|scope| {
        let (stream, task) = (&stream, &task);
        for writer in 0..task.writers {
            scope.spawn(move || child::write(stream, task, writer));
        }
        for worker in 0..WORKERS {
            scope.spawn(move || consume(stream, fastrand::Rng::with_seed(task.run << 8 | worker)));
        }
        scope.spawn(move || reshard(stream, fastrand::Rng::with_seed(task.run)));
    });
}

/// Consumes for ever, with one worker after the other, and reports every record before it is checkpointed.
fn consume(stream: &Stream, mut random: fastrand::Rng) {
    loop {
        let durability = match random.u8(..8) {
            0 => Durability::Immediate,
            1..5 => Durability::Periodic(Duration::from_millis(random.u64(1..20))),
            _ => Durability::Buffered,
        };
        let handover = *random.choice(&[Duration::ZERO, Duration::from_secs(10)]).expect("two");
        let options = ConsumerOptions::new().durability(durability).handover(handover);
        let mut consumer = match stream.consumer_with("c", options) {
            Ok(consumer) => consumer,
            Err(error) => return child::report(&format!("error {error}\n")),
        };
        for _ in 0..random.u32(1..200) {
            let records = match consumer.poll(random.usize(1..100), Duration::from_millis(20)) {
                Ok(records) => records,
                Err(error) => return child::report(&format!("error {error}\n")),
            };
            let mut lines = String::new();
            for record in &records {
                let id = Id::of(record.data()).expect("a record that a child wrote");
                let (number, Id { run, writer, index }) = (record.sequence_number(), id);
                writeln!(lines, "got {number} {run} {writer} {index} -").expect("memory");
            }
            child::report(&lines);
            if random.u8(..4) > 0 {
                match consumer.checkpoint() {
                    Ok(()) | Err(CheckpointError::LeaseLost { .. }) => {}
                    Err(error) => return child::report(&format!("error {error}\n")),
                }
            }
        }
    }
}

fn reshard(stream: &Stream, mut random: fastrand::Rng) {
    loop {
        thread::sleep(Duration::from_millis(random.u64(..30)));
        let open = stream.list_shards(ShardFilter::AtLatest);
        let shard = &open[random.usize(..open.len())];
        let (start, end) = (shard.range.start.as_u128(), shard.range.end.as_u128());
        let next = open.iter().find(|other| end.checked_add(1) == Some(other.range.start.as_u128()));
        let outcome = match next {
            Some(next) if random.bool() || open.len() > 5 => stream.merge_shards(shard.id, next.id).map(drop),
            _ => stream.split_shard(shard.id, HashKey::from(start + (end - start) / 2)).map(drop),
        };
        if let Err(error) = outcome {
            child::report(&format!("error {error}\n"));
        }
    }
}

/// What the children have polled of one store.
#[derive(Default)]
struct Polled {
    /// In the order in which it was reported, of each key.
    of_key: HashMap<String, Vec<(u128, Id)>>,
    deliveries: u64,
}

impl Polled {
    fn add(&mut self, number: u128, id: Id) {
        self.of_key.entry(id.key()).or_default().push((number, id));
        self.deliveries += 1;
    }

    /// Checks that no record of a key was polled before the one in front of it, and that all were polled that are there.
    /// Returns how many were polled again.
    fn check(&self, all: &Records, context: &str) -> u64 {
        let mut in_order: HashMap<String, Vec<(u128, Id)>> = HashMap::new();
        for (number, id) in all {
            in_order.entry(id.key()).or_default().push((*number, *id));
        }
        for (key, records) in &in_order {
            assert!(records.is_sorted_by_key(|(_, id)| *id), "{context}: {key} is stored out of order");
            let mut seen = 0;
            for delivery in self.of_key.get(key).map_or(&[][..], Vec::as_slice) {
                let place = records.binary_search(delivery).unwrap_or_else(|_| {
                    panic!("{context}: {delivery:?} of {key} was polled and is not there")
                });
                assert!(place <= seen, "{context}: {delivery:?} of {key} came before {:?}", records[seen]);
                seen = seen.max(place + 1);
            }
            assert_eq!(seen, records.len(), "{context}: {:?} of {key} was never polled", records.get(seen));
        }
        self.deliveries - all.len() as u64
    }
}

fn read_all(store: &Store) -> Records {
    assert!(!store.recovery_report().is_damaged(), "{:#?}", store.recovery_report());
    let mut all = Records::new();
    if store.list_streams().is_empty() {
        return all;
    }
    let stream = store.open_stream("s").unwrap();
    for shard in stream.list_shards(ShardFilter::All) {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            all.insert(record.sequence_number().as_u128(), Id::of(record.data()).unwrap());
        }
    }
    all
}

#[test]
fn every_record_is_polled_in_its_order_whatever_is_killed() {
    let seed = child::seed("consumers_kill");
    let kills = child::number("RIVERBED_KILLS", 30);
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut totals = (0_usize, 0_u64, 0_u64);
    let (mut stores, mut polled, mut acknowledged) = (0, Polled::default(), Records::new());
    for run in 0..kills {
        if run == 0 || acknowledged.len() > RECORDS {
            stores += 1;
            polled = Polled::default();
            acknowledged.clear();
        }
        let task = Task {
            path: directory.path().join(format!("store-{stores}")),
            run,
            writers: random.u64(1..4),
            shards: 3,
            segment_len: 64 * 1024,
            durabilities: (*random.choice(&["BPI", "B", "P", "M"]).unwrap()).to_owned(),
        };
        let context = format!("kill {run} of RIVERBED_SEED={seed}");
        run_and_kill(&task, &mut random, &mut polled, &mut acknowledged);
        // The next child mostly finds the store as the kill left it; when the store is done with, all of it is checked.
        if run + 1 < kills && acknowledged.len() <= RECORDS && random.u8(..5) > 0 {
            continue;
        }
        let store = child::open(&task.path, task.segment_len);
        let all = read_all(&store);
        child::check_there(&acknowledged, &all, "acknowledged");
        if !all.is_empty() {
            drain(&store, &mut polled);
        }
        let again = polled.check(&all, &context);
        println!("{context}: {} records, {} polled, {again} of them again", all.len(), polled.deliveries);
        totals = (totals.0.max(all.len()), totals.1 + polled.deliveries, totals.2 + again);
        store.close().unwrap();
    }
    let (most, deliveries, again) = totals;
    println!(
        "{kills} kills of {stores} stores of up to {most} records; {deliveries} deliveries, {again} of them again"
    );
    assert!(kills < 10 || most > 500, "the children hardly wrote anything");
}

/// Polls what no child has checkpointed.
fn drain(store: &Store, polled: &mut Polled) {
    let mut consumer = store.open_stream("s").unwrap().consumer("c").unwrap();
    loop {
        let records = consumer.poll(1000, Duration::ZERO).unwrap();
        if records.is_empty() {
            return;
        }
        for record in &records {
            polled.add(record.sequence_number().as_u128(), Id::of(record.data()).unwrap());
        }
        consumer.checkpoint().unwrap();
    }
}

/// Lets a child work, and kills it at a random moment.
fn run_and_kill(task: &Task, random: &mut fastrand::Rng, polled: &mut Polled, acknowledged: &mut Records) {
    let mut child = task.start("child_consumes");
    let mut note = |line: &str| {
        if let Some(ack) = Ack::parse(line) {
            acknowledged.insert(ack.number, ack.id);
        } else if let Some(got) =
            line.strip_prefix("got ").and_then(|rest| Ack::parse(&format!("ack {rest}")))
        {
            polled.add(got.number, got.id);
        }
    };
    child.line_starting(&["opening"]);
    if random.u8(..8) > 0 {
        let most = *random.choice(&[50, 4000]).unwrap();
        let target = random.usize(..most);
        child.line_starting(&["ready"]);
        for _ in 0..target {
            note(&child.line_starting(&["ack", "got"]));
        }
    }
    // Not to wait for anything: to hit any moment.
    thread::sleep(Duration::from_micros(random.u64(..3000)));
    for line in child.kill() {
        note(&line);
    }
}
