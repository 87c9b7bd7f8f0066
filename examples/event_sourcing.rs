//! Event sourcing: commands are decided against the state and become events, the events are the truth, and the state is
//! rebuilt by replaying them: from the beginning, from a snapshot, or as it was at some time.
//!
//! `cargo run --example event_sourcing [DIRECTORY: a new one, to keep the store in]`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use riverbed::{
    Clock as _, Durability, Position, PutRecord, SequenceNumber, Store, Stream, StreamOptions, SystemClock,
    Timestamp,
};
use serde::{Deserialize, Serialize};

/// What somebody wants of a product's stock.
#[derive(Debug, Clone, Copy)]
enum Command {
    Receive { quantity: u64 },
    Ship { quantity: u64 },
}

/// What has happened to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Received { quantity: u64 },
    Shipped { quantity: u64, left: u64 },
}

/// How many there are of each product, and the last event of each shard that is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    on_hand: BTreeMap<String, u64>,
    applied: BTreeMap<u32, String>,
}

impl State {
    /// The rules. Nothing is changed here.
    fn decide(&self, product: &str, command: Command) -> Result<Event, String> {
        let on_hand = self.on_hand.get(product).copied().unwrap_or(0);
        match command {
            Command::Receive { quantity } => Ok(Event::Received { quantity }),
            Command::Ship { quantity } => match on_hand.checked_sub(quantity) {
                Some(left) => Ok(Event::Shipped { quantity, left }),
                None => Err(format!("{quantity} of {product} to ship, {on_hand} on hand")),
            },
        }
    }

    fn apply(&mut self, product: &str, event: &Event, number: SequenceNumber) {
        let on_hand = self.on_hand.entry(product.to_owned()).or_default();
        match *event {
            Event::Received { quantity } => *on_hand += quantity,
            Event::Shipped { left, .. } => *on_hand = left,
        }
        self.applied.insert(number.shard_id().as_u32(), number.to_string());
    }

    /// Where the events begin that are not in it.
    fn position(&self, shard: u32) -> Result<Position, Box<dyn Error>> {
        match self.applied.get(&shard) {
            Some(number) => Ok(Position::AfterSequenceNumber(number.parse()?)),
            None => Ok(Position::TrimHorizon),
        }
    }
}

struct Warehouse {
    events: Stream,
    snapshots: Stream,
    state: State,
}

impl Warehouse {
    /// Opens it: the newest snapshot, and the events after it. Returns how many these were.
    fn open(store: &Store) -> Result<(Self, u64), Box<dyn Error>> {
        let (events, snapshots) = (store.open_stream("events")?, store.open_stream("snapshots")?);
        let mut state = State::default();
        for shard in snapshots.shards() {
            let mut reader = snapshots.reader(shard.id, Position::TrimHorizon)?;
            while let Some(record) = reader.next()? {
                state = serde_json::from_slice(record.data())?;
            }
        }
        let replayed = replay(&events, &mut state, Timestamp::MAX)?;
        Ok((Self { events, snapshots, state }, replayed))
    }

    /// Decides a command. The event is on disk before the state has it.
    fn handle(&mut self, product: &str, command: Command) -> Result<(), Box<dyn Error>> {
        let event = self.state.decide(product, command)?;
        // The product is the key: all of its events are in one shard, in order.
        let put = self.events.put(product, serde_json::to_vec(&event)?)?;
        self.state.apply(product, &event, put.sequence_number);
        Ok(())
    }

    fn snapshot(&self) -> Result<(), Box<dyn Error>> {
        let bytes = serde_json::to_vec(&self.state)?;
        let record = PutRecord::new("warehouse", &bytes).durability(Durability::Immediate);
        self.snapshots.put_record(&record)?;
        Ok(())
    }
}

/// Applies the events that the state does not have, as far as they arrived before `end`; returns how many.
fn replay(events: &Stream, state: &mut State, end: Timestamp) -> Result<u64, Box<dyn Error>> {
    let mut count = 0;
    for shard in events.shards() {
        let mut reader = events.reader(shard.id, state.position(shard.id.as_u32())?)?;
        while let Some(record) = reader.next()? {
            if record.arrival_time() >= end {
                break;
            }
            let event = serde_json::from_slice(record.data())?;
            state.apply(record.partition_key()?, &event, record.sequence_number());
            count += 1;
        }
    }
    Ok(count)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or_else(|| directory.path().join("data"), PathBuf::from);
    let store = Store::open(&path)?;
    let on_disk = StreamOptions::new().shards(4).durability(Durability::Immediate);
    store.create_stream("events", on_disk)?;
    store.create_stream("snapshots", StreamOptions::new())?;

    // A day's work. Some commands are refused and leave no event.
    let (mut warehouse, _) = Warehouse::open(&store)?;
    let products = [("bolt", 0), ("nut", 1), ("washer", 2), ("gear", 3), ("shaft", 4)];
    let mut refused = 0;
    let mut work = |warehouse: &mut Warehouse, rounds: std::ops::Range<u64>| -> Result<(), Box<dyn Error>> {
        for (number, product) in
            rounds.flat_map(|round| products.map(|(product, index)| (5 * round + index, product)))
        {
            warehouse.handle(product, Command::Receive { quantity: 3 })?;
            let ship = Command::Ship { quantity: number % 8 };
            match warehouse.state.decide(product, ship) {
                Ok(_) => warehouse.handle(product, ship)?,
                Err(_) => refused += 1,
            }
        }
        Ok(())
    };
    work(&mut warehouse, 0..20)?;
    let noon = SystemClock::precise().now();
    let at_noon = warehouse.state.clone();
    work(&mut warehouse, 20..30)?;
    warehouse.snapshot()?;
    work(&mut warehouse, 30..33)?;
    let truth = warehouse.state;
    store.close()?;

    // From a snapshot and from the beginning, the state is the same.
    let store = Store::open(&path)?;
    let (warehouse, after_snapshot) = Warehouse::open(&store)?;
    let mut replayed = State::default();
    let all = replay(&warehouse.events, &mut replayed, Timestamp::MAX)?;
    println!("{all} events, {refused} commands refused");
    println!("now:     {:?}, from a snapshot and {after_snapshot} events", warehouse.state.on_hand);
    check(warehouse.state == truth && replayed == truth, "a replay differs from what was")?;
    check(after_snapshot > 0 && after_snapshot < all / 4, "the snapshot was not used")?;

    // Back to noon: the events before it; and from there to now: those after it, found by their time.
    let mut past = State::default();
    let before = replay(&warehouse.events, &mut past, noon)?;
    println!("at noon: {:?}, from {before} events", past.on_hand);
    check(past == at_noon, "noon was different")?;
    let mut after = 0;
    for shard in warehouse.events.shards() {
        let mut reader = warehouse.events.reader(shard.id, Position::AtTimestamp(noon))?;
        while let Some(record) = reader.next()? {
            let event = serde_json::from_slice(record.data())?;
            past.apply(record.partition_key()?, &event, record.sequence_number());
            after += 1;
        }
    }
    println!("{after} events since noon");
    check(before + after == all && past == truth, "noon and what came after it is not now")?;
    Ok(store.close()?)
}

fn check(holds: bool, otherwise: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
