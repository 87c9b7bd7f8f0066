//! Guards a table against what a crash between the stream and the version index could do: accept a stale version, reject a
//! good one, lose what was acknowledged as durable. Power cuts and kills at any call to the disk, those of the index
//! included, with any part of the unsynced writes kept.
//!
//! Every history is a seed. `RIVERBED_POWERCUT_HISTORIES` says how many to run, `RIVERBED_POWERCUT_SEED` where to start; a
//! failure prints the seed that replays it.
#![cfg(feature = "measures")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]
#![allow(clippy::print_stderr, reason = "the seed of a failure")]

#[path = "common/measure_log.rs"]
mod measure_log;

use std::collections::BTreeMap;

use measure_log::{Point, Versions, check_table, read_versions};
use riverbed::measures::{MeasureRecord, MeasureTable, Quotas, Reason, TableOptions, WriteRecordsError};
use riverbed::testing::{Disk, Verdict};
use riverbed::{Durability, Maintenance, Retention, Store, StreamOptions};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

#[test]
fn versions_are_right_after_any_crash() {
    let first = setting("RIVERBED_POWERCUT_SEED", 1);
    let histories = setting("RIVERBED_POWERCUT_HISTORIES", 40);
    let mut totals = Totals::default();
    for seed in first..first + histories {
        let outcome = std::panic::catch_unwind(|| History::new(seed).run());
        match outcome {
            Ok(counts) => totals.add(&counts),
            Err(panic) => {
                eprintln!("replay with RIVERBED_POWERCUT_SEED={seed} RIVERBED_POWERCUT_HISTORIES=1");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{histories} histories from seed {first}: {totals:?}");
    // Enough happened for the checks to mean something.
    assert!(totals.crashes >= histories && totals.taken > 20 * histories && totals.rejected > histories);
    assert!(
        histories < 100
            || (totals.lost > 0 && totals.in_commit > 0 && totals.in_opening > 0 && totals.caught_up > 0),
        "{totals:?}"
    );
}

#[derive(Debug, Default)]
struct Totals {
    crashes: u64,
    /// Crashes while the index was being committed, and while the table was being opened.
    in_commit: u64,
    in_opening: u64,
    taken: u64,
    rejected: u64,
    unchanged: u64,
    /// Versions that were acknowledged, not as durable, and lost.
    lost: u64,
    /// Openings that found the index behind the stream.
    caught_up: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.in_commit += other.in_commit;
        self.in_opening += other.in_opening;
        self.taken += other.taken;
        self.rejected += other.rejected;
        self.unchanged += other.unchanged;
        self.lost += other.lost;
        self.caught_up += other.caught_up;
    }
}

struct History {
    rng: fastrand::Rng,
    disk: Disk,
    /// What the stream holds, as far as was acknowledged.
    known: Versions,
    /// The latest version of each data point that must survive anything.
    durable: BTreeMap<Point, i64>,
    counts: Totals,
}

/// Why a life ended: the disk is off.
struct Crashed;

impl History {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            disk: Disk::new(),
            known: Versions::new(),
            durable: BTreeMap::new(),
            counts: Totals::default(),
        }
    }

    fn run(mut self) -> Totals {
        for _ in 0..6 {
            // An opening takes tens of calls, so that many crashes come in the middle of one.
            let most = *self.rng.choice([100, 1000].iter()).unwrap();
            let at = self.disk.steps() + self.rng.u64(20..most);
            let kill = self.rng.u32(0..3) == 0;
            let verdict = if kill { Verdict::Kill } else { Verdict::CutPower { seed: self.rng.u64(..) } };
            self.disk.plan(move |call| if call.step >= at { verdict } else { Verdict::Proceed });
            while self.live().is_ok() {}
            self.counts.crashes += 1;
            self.disk = self.disk.power_on();
            self.after_crash(kill);
        }
        self.counts
    }

    /// Opens, works for a while and closes, unless the disk goes off.
    fn live(&mut self) -> Result<(), Crashed> {
        let store = Store::options()
            .storage(&self.disk)
            .maintenance(Maintenance::Manual)
            .segment_len(64 * 1024, 64 * 1024)
            .open("data")
            .map_err(|_| Crashed)?;
        let stream = match store.open_stream("metrics") {
            Ok(stream) => stream,
            Err(_) => store.create_stream("metrics", StreamOptions::new().shards(2)).map_err(|_| Crashed)?,
        };
        let durability = *self.rng.choice([Durability::Buffered, Durability::Immediate].iter()).unwrap();
        let options = TableOptions::new()
            .any_time()
            .quotas(Quotas::Off)
            .durability(durability)
            .pending_limit(*self.rng.choice([1, 8, 1000].iter()).unwrap());
        let table = MeasureTable::open(&stream, options).map_err(|error| {
            assert!(self.disk.is_off(), "{error}");
            self.counts.in_opening += 1;
            Crashed
        })?;
        // What recovery has found is durable before it is served.
        self.durable = self.latest();
        for _ in 0..self.rng.u32(1..40) {
            match self.rng.u32(0..12) {
                0 => {
                    if let Err(error) = table.checkpoint() {
                        assert!(self.disk.is_off(), "{error}");
                        self.counts.in_commit += 1;
                        return Err(Crashed);
                    }
                    // Everything is on disk now.
                    self.durable = self.latest();
                }
                1 => {
                    store.maintain();
                    if stream.set_retention(Retention::FOREVER).is_err() {
                        return Err(Crashed);
                    }
                }
                _ => self.write(&table, durability)?,
            }
        }
        if self.rng.bool() {
            drop(table);
        } else if self.rng.bool() {
            let all_there = check_table(&table, &self.latest());
            assert!(all_there.is_ok() || self.disk.is_off(), "{all_there:?}");
        }
        Ok(())
    }

    fn latest(&self) -> BTreeMap<Point, i64> {
        self.known.iter().filter_map(|(point, versions)| Some((point.clone(), versions.last()?.0))).collect()
    }

    /// Writes a few records of a few data points, and checks each one's outcome.
    fn write(&mut self, table: &MeasureTable, durability: Durability) -> Result<(), Crashed> {
        let mut expected = Vec::new();
        let mut model = self.known.clone();
        let calls: Vec<_> = (0..self.rng.usize(1..9))
            .map(|_| {
                let point = (format!("h{}", self.rng.u32(0..4)), self.rng.u64(0..5));
                let versions = model.entry(point.clone()).or_default();
                let existing = versions.last().copied();
                let version = match (existing, self.rng.u32(0..4)) {
                    (Some((existing, _)), 0) => existing,
                    (Some((existing, _)), 1) => self.rng.i64(1..=existing),
                    (existing, _) => existing.map_or(0, |(existing, _)| existing) + self.rng.i64(1..3),
                };
                let value = self.rng.i64(0..2);
                expected.push(match existing {
                    Some((existing, _)) if version < existing => {
                        Err(Reason::OlderVersion { version, existing })
                    }
                    Some((existing, same)) if version == existing && value != same => {
                        Err(Reason::SameVersion { existing })
                    }
                    Some((existing, _)) if version == existing => Ok(false),
                    _ => {
                        versions.push((version, value));
                        Ok(true)
                    }
                });
                (point, version, value)
            })
            .collect();
        let texts: Vec<_> = calls
            .iter()
            .map(|((host, time), version, value)| (host, time.to_string(), *version, value.to_string()))
            .collect();
        let records: Vec<_> = texts
            .iter()
            .map(|(host, time, version, value)| {
                MeasureRecord::new().dimension("host", host).time(time).version(*version).measure_value(value)
            })
            .collect();
        let (ingested, rejected) =
            match table.write_records(&MeasureRecord::new().measure_name("m"), &records) {
                Ok(ingested) => (ingested, Vec::new()),
                Err(WriteRecordsError::Rejected(call)) => (call.ingested, call.rejected),
                Err(error) => {
                    assert!(self.disk.is_off(), "{error}");
                    self.counts.in_commit += u64::from(matches!(error, WriteRecordsError::Checkpoint(_)));
                    return Err(Crashed);
                }
            };
        let found: Vec<_> = rejected.iter().map(|one| (one.index, one.reason.clone())).collect();
        let reasons = expected.iter().enumerate();
        let reasons: Vec<_> =
            reasons.filter_map(|(index, outcome)| Some((index, outcome.clone().err()?))).collect();
        assert_eq!(found, reasons, "{calls:?} on {:?}", self.known);
        let unchanged = expected.iter().filter(|outcome| **outcome == Ok(false)).count();
        assert_eq!((ingested.total + rejected.len(), ingested.unchanged), (records.len(), unchanged));
        self.counts.taken += ingested.total as u64;
        self.counts.rejected += rejected.len() as u64;
        self.counts.unchanged += unchanged as u64;
        self.known = model;
        if durability == Durability::Immediate {
            // What the call says of a data point is on disk, whether this call brought it or an earlier one.
            for (point, ..) in &calls {
                if let Some((version, _)) = self.known.get(point).and_then(|versions| versions.last()) {
                    self.durable.insert(point.clone(), *version);
                }
            }
        }
        Ok(())
    }

    /// Checks what the stream holds now, on a copy, so that the next life finds everything as the crash left it.
    fn after_crash(&mut self, killed: bool) {
        let copy = self.disk.duplicate().unwrap();
        let store = Store::options().storage(&copy).maintenance(Maintenance::Manual).open("data").unwrap();
        let Ok(stream) = store.open_stream("metrics") else {
            assert!(self.durable.is_empty());
            self.known.clear();
            return;
        };
        let found = read_versions(&stream);
        let must = if killed { self.latest() } else { self.durable.clone() };
        for (point, version) in &must {
            let latest = found.get(point).and_then(|versions| versions.last()).map(|(version, _)| *version);
            assert!(latest >= Some(*version), "{point:?}: {latest:?}, but {version} was acknowledged");
        }
        for (point, versions) in &self.known {
            let there = found.get(point).map_or(0, Vec::len);
            self.counts.lost += versions.len().saturating_sub(there) as u64;
        }
        self.known = found;
        let table = MeasureTable::open(&stream, TableOptions::new().any_time().quotas(Quotas::Off)).unwrap();
        self.counts.caught_up += u64::from(table.stats().unwrap().read_at_opening > 0);
        check_table(&table, &self.latest()).unwrap();
    }
}
