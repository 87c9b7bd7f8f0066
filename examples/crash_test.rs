//! Crash-testing your own service with `riverbed::testing`: a small ledger keeps its transfers in a stream, the power is cut at
//! every call to the disk that it makes, and after each cut the invariants are checked: the money adds up, no
//! acknowledged transfer is lost or there twice.
//!
//! The same tests find what is wrong with a careless ledger, which writes a transfer as two records.
//!
//! `cargo run --example crash_test --features testing`
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;

use riverbed::testing::{Disk, ManualClock, Verdict};
use riverbed::{
    Durability, Maintenance, Position, PutRecord, Store, StoreOptions, Stream, StreamError, StreamOptions,
    Timestamp,
};
use serde::{Deserialize, Serialize};

const ACCOUNTS: [&str; 3] = ["anna", "boris", "clara"];
const TRANSFERS: u64 = 12;
const SEEDS: u64 = 3;

/// How a ledger writes a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Design {
    /// As one record, which is there as a whole or not at all.
    OneRecord,
    /// As what one has less, and then what the other has more.
    TwoRecords,
}

/// What is written: changes of balances that belong together.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    transfer: u64,
    changes: Vec<(String, i64)>,
}

/// The service: transfers between accounts, in a stream.
struct Ledger {
    _store: Store,
    entries: Stream,
    design: Design,
}

impl Ledger {
    /// Opens it wherever the options say: on a disk, or on one whose power can be cut.
    fn open(options: StoreOptions, design: Design) -> Result<Self, Box<dyn Error>> {
        let store = options.open("ledger")?;
        let entries = match store.open_stream("entries") {
            Err(StreamError::NotFound { .. }) => {
                store.create_stream("entries", StreamOptions::new().durability(Durability::Immediate))?
            }
            opened => opened?,
        };
        Ok(Self { _store: store, entries, design })
    }

    /// When this returns, the transfer is on disk.
    fn transfer(&self, transfer: u64, from: &str, to: &str, cents: i64) -> Result<(), Box<dyn Error>> {
        let (less, more) = ((from.to_owned(), -cents), (to.to_owned(), cents));
        match self.design {
            Design::OneRecord => self.write(&Entry { transfer, changes: vec![less, more] }),
            Design::TwoRecords => {
                self.write(&Entry { transfer, changes: vec![less] })?;
                self.write(&Entry { transfer, changes: vec![more] })
            }
        }
    }

    fn write(&self, entry: &Entry) -> Result<(), Box<dyn Error>> {
        let bytes = serde_json::to_vec(entry)?;
        self.entries.put_record(&PutRecord::new("ledger", &bytes))?;
        Ok(())
    }

    /// All entries, in order.
    fn entries(&self) -> Result<Vec<Entry>, Box<dyn Error>> {
        let mut entries = Vec::new();
        for shard in self.entries.shards() {
            let mut reader = self.entries.reader(shard.id, Position::TrimHorizon)?;
            while let Some(record) = reader.next()? {
                entries.push(serde_json::from_slice(record.data())?);
            }
        }
        Ok(entries)
    }
}

/// Everything that could make two runs differ is ours: the disk, the clock, and who does the background work.
fn options(disk: &Disk) -> StoreOptions {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    Store::options().storage(disk).clock(clock).maintenance(Maintenance::Manual).segment_len(1 << 16, 1 << 16)
}

/// Makes transfers until the power fails. Returns those that were acknowledged.
fn work(disk: &Disk, design: Design) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    let Ok(ledger) = Ledger::open(options(disk), design) else {
        return acknowledged;
    };
    for (transfer, (from, to)) in
        (0..TRANSFERS).zip(ACCOUNTS.iter().cycle().zip(ACCOUNTS.iter().cycle().skip(1)))
    {
        if ledger.transfer(transfer, from, to, 100).is_err() {
            break;
        }
        acknowledged.push(transfer);
    }
    acknowledged
}

/// What must hold whenever the power comes back.
fn check(disk: &Disk, design: Design, acknowledged: &[u64]) -> Result<(), Box<dyn Error>> {
    let ledger = Ledger::open(options(disk), design)?;
    let entries = ledger.entries()?;
    let mut balances: BTreeMap<&str, i64> = BTreeMap::new();
    for (account, cents) in entries.iter().flat_map(|entry| &entry.changes) {
        *balances.entry(account).or_default() += cents;
    }
    match balances.values().sum::<i64>() {
        0 => {}
        off => return Err(format!("the balances add up to {off} cents: {balances:?}").into()),
    }
    let mut found: Vec<_> = entries.iter().map(|entry| entry.transfer).collect();
    if design == Design::TwoRecords {
        found.dedup();
    }
    // The one that was under way may be there or not; nothing else.
    match found.strip_prefix(acknowledged) {
        Some([]) => {}
        Some([next]) if acknowledged.last().map_or(0, |last| last + 1) == *next => {}
        _ => return Err(format!("{acknowledged:?} were acknowledged, and {found:?} are there").into()),
    }
    // And it goes on where it was.
    ledger.transfer(TRANSFERS, "anna", "boris", 1)
}

/// Cuts the power at every step, each time with some of the unsynced writes kept. Returns what went wrong.
fn crash(design: Design) -> Result<Vec<String>, Box<dyn Error>> {
    let whole = Disk::new();
    let all = work(&whole, design).len();
    if all != usize::try_from(TRANSFERS)? {
        return Err(format!("{all} transfers succeed without a power cut, of {TRANSFERS}").into());
    }
    let mut violations = Vec::new();
    let cuts = (0..whole.steps()).flat_map(|step| (0..SEEDS).map(move |seed| (step, seed)));
    for (at, seed) in cuts {
        let disk = Disk::new();
        disk.plan(move |call| match call.step == at {
            true => Verdict::CutPower { seed },
            false => Verdict::Proceed,
        });
        let acknowledged = work(&disk, design);
        if let Err(violation) = check(&disk.power_on(), design, &acknowledged) {
            violations.push(format!("step {at}, seed {seed}: {violation}"));
        }
    }
    println!("{design:?}: power cut at each of {} steps, {SEEDS} times", whole.steps());
    println!("  {} violations{}", violations.len(), if violations.is_empty() { "" } else { ", the first:" });
    violations.first().into_iter().for_each(|first| println!("  {first}"));
    Ok(violations)
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(violation) = crash(Design::OneRecord)?.into_iter().next() {
        return Err(violation.into());
    }
    if crash(Design::TwoRecords)?.is_empty() {
        return Err("the tests did not find what is wrong with two records".into());
    }
    Ok(())
}
