//! Guards a table against whatever the other tests have not thought of: any sequence of calls, checkpoints, reopenings,
//! killed processes, splits and retention gives what a plain map in memory gives.
#![cfg(feature = "measures")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use riverbed::measures::{
    MeasureRecord, MeasureTable, MeasureType, Quotas, Reason, Series, StoredMeasure, TableOptions, Value,
    WriteRecordsError,
};
use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Durability, HashKey, Maintenance, Retention, SequenceNumber, ShardId, Store, Stream, StreamOptions,
    Timestamp,
};

const RETENTION: Duration = Duration::from_secs(3600);
const HOSTS: [&str; 3] = ["a", "b", ""];
const MEASURES: [&str; 2] = ["load", "state"];
/// Types and texts; the second and the third are the same value.
const VALUES: [(MeasureType, &str); 5] = [
    (MeasureType::Double, "1"),
    (MeasureType::Double, "0.5"),
    (MeasureType::Double, "5e-1"),
    (MeasureType::BigInt, "1"),
    (MeasureType::Varchar, "1"),
];

#[derive(Debug, Clone, Copy)]
struct Draft {
    host: usize,
    measure: usize,
    time: u64,
    version: i64,
    value: usize,
}

type Identity = (usize, usize, u64);

#[derive(Debug, Clone)]
enum Operation {
    Write { records: Vec<Draft> },
    WriteAgain,
    Scan { series: Option<(usize, usize)>, from: u64, to: u64, version: i64 },
    Checkpoint,
    Split { shard: usize },
    Advance { seconds: u64 },
    ReopenTable,
    Reopen,
    Kill,
}

fn draft() -> impl Strategy<Value = Draft> {
    (0..HOSTS.len(), 0..MEASURES.len(), 0..4_u64, 1..6_i64, 0..VALUES.len())
        .prop_map(|(host, measure, time, version, value)| Draft { host, measure, time, version, value })
}

fn operation() -> impl Strategy<Value = Operation> {
    let series = proptest::option::of((0..HOSTS.len(), 0..MEASURES.len()));
    prop_oneof![
        12 => proptest::collection::vec(draft(), 1..8).prop_map(|records| Operation::Write { records }),
        3 => Just(Operation::WriteAgain),
        5 => (series, 0..4_u64, 0..5_u64, 1..7_i64)
            .prop_map(|(series, from, to, version)| Operation::Scan { series, from, to, version }),
        3 => Just(Operation::Checkpoint),
        1 => (0..8_usize).prop_map(|shard| Operation::Split { shard }),
        3 => (0..5000_u64).prop_map(|seconds| Operation::Advance { seconds }),
        2 => Just(Operation::ReopenTable),
        1 => Just(Operation::Reopen),
        2 => Just(Operation::Kill),
    ]
}

/// A version of a data point, and the record that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Version {
    version: i64,
    value: usize,
    number: SequenceNumber,
}

/// The table, and what it should hold: each data point's versions, the latest last.
struct Pair {
    disk: Disk,
    clock: ManualClock,
    pending_limit: usize,
    open: Option<(Store, Stream, MeasureTable)>,
    points: BTreeMap<Identity, Vec<Version>>,
    last_call: Vec<Draft>,
}

fn same_value(one: usize, other: usize) -> bool {
    one == other || (matches!(one, 1 | 2) && matches!(other, 1 | 2))
}

fn typed(value: usize) -> Value<'static> {
    match value {
        0 => Value::Double(1.0),
        1 | 2 => Value::Double(0.5),
        3 => Value::BigInt(1),
        _ => Value::Varchar("1"),
    }
}

fn series((host, measure): (usize, usize)) -> Series {
    Series::new([("host", HOSTS[host])], MEASURES[measure])
}

fn at(time: u64) -> Timestamp {
    Timestamp::from_millis(time)
}

impl Pair {
    fn new(pending_limit: usize) -> Self {
        let (disk, clock) = (Disk::new(), ManualClock::new(Timestamp::from_millis(1_000_000_000_000)));
        let (points, last_call) = (BTreeMap::new(), Vec::new());
        let mut pair = Self { disk, clock, pending_limit, open: None, points, last_call };
        pair.open_all();
        pair
    }

    fn open_all(&mut self) {
        let options =
            Store::options().storage(&self.disk).clock(self.clock.clone()).maintenance(Maintenance::Manual);
        let store =
            options.durability(Durability::Buffered).segment_len(64 * 1024, 64 * 1024).open("data").unwrap();
        let stream = store.open_stream("metrics").unwrap_or_else(|_| {
            let options = StreamOptions::new().shards(2).retention(Retention::of_age(RETENTION));
            store.create_stream("metrics", options).unwrap()
        });
        let table = MeasureTable::open(&stream, self.options()).unwrap();
        self.open = Some((store, stream, table));
    }

    fn options(&self) -> TableOptions {
        TableOptions::new().any_time().quotas(Quotas::Off).pending_limit(self.pending_limit)
    }

    fn stream(&self) -> &Stream {
        &self.open.as_ref().unwrap().1
    }

    fn table(&self) -> &MeasureTable {
        &self.open.as_ref().unwrap().2
    }

    /// How many records the stream holds.
    fn records(&self) -> u64 {
        self.stream().stats().shards.iter().map(|shard| shard.records).sum()
    }

    /// What becomes of each record by the service's rules: whether something is stored, or why it is rejected.
    fn expect(&self, records: &[Draft]) -> Vec<Result<bool, Reason>> {
        let mut latest: BTreeMap<Identity, (i64, usize)> = BTreeMap::new();
        for (identity, versions) in &self.points {
            latest.extend(versions.last().map(|last| (*identity, (last.version, last.value))));
        }
        records
            .iter()
            .map(|&Draft { host, measure, time, version, value }| {
                let identity = (host, measure, time);
                match latest.get(&identity).copied() {
                    Some((existing, _)) if version < existing => {
                        Err(Reason::OlderVersion { version, existing })
                    }
                    Some((existing, is)) if version == existing && same_value(is, value) => Ok(false),
                    Some((existing, _)) if version == existing => Err(Reason::SameVersion { existing }),
                    _ => {
                        latest.insert(identity, (version, value));
                        Ok(true)
                    }
                }
            })
            .collect()
    }

    fn write(&mut self, drafts: &[Draft]) {
        let expected = self.expect(drafts);
        let times: Vec<_> = drafts.iter().map(|draft| draft.time.to_string()).collect();
        let record = |(draft, time): (&Draft, _)| {
            let (measure_type, value) = VALUES[draft.value];
            let record = MeasureRecord::new().dimension("host", HOSTS[draft.host]);
            let record = record.measure_name(MEASURES[draft.measure]).time(time).version(draft.version);
            record.measure_type(measure_type).measure_value(value)
        };
        let records: Vec<_> = drafts.iter().zip(times.iter().map(|time| &**time)).map(record).collect();
        let (ingested, rejected) = match self.table().write_records(&MeasureRecord::new(), &records) {
            Ok(ingested) => (ingested, Vec::new()),
            Err(WriteRecordsError::Rejected(call)) => (call.ingested, call.rejected),
            Err(error) => panic!("{error}"),
        };
        let found: Vec<_> = rejected.into_iter().map(|one| (one.index, one.reason)).collect();
        let outcomes = expected.iter().enumerate();
        let reasons: Vec<_> =
            outcomes.filter_map(|(index, outcome)| Some((index, outcome.clone().err()?))).collect();
        assert_eq!(found, reasons);
        let unchanged = expected.iter().filter(|outcome| **outcome == Ok(false)).count();
        assert_eq!((ingested.total, ingested.unchanged), (drafts.len() - found.len(), unchanged));
        for (draft, outcome) in drafts.iter().zip(expected) {
            if outcome == Ok(true) {
                let Draft { host, measure, time, version, value } = *draft;
                let stored =
                    self.table().as_of(&series((host, measure)), at(time), version).unwrap().unwrap();
                check(&stored, (host, measure, time), version, value);
                let versions = self.points.entry((host, measure, time)).or_default();
                versions.push(Version { version, value, number: stored.sequence_number() });
            }
        }
    }

    /// Forgets the versions whose records retention has removed.
    fn retain(&mut self) {
        self.open.as_ref().unwrap().0.maintain();
        let oldest: BTreeMap<ShardId, SequenceNumber> = self
            .stream()
            .stats()
            .shards
            .iter()
            .filter_map(|shard| Some((shard.shard_id, shard.oldest?.0)))
            .collect();
        for versions in self.points.values_mut() {
            versions.retain(|version| {
                oldest.get(&version.number.shard_id()).is_some_and(|oldest| *oldest <= version.number)
            });
        }
        self.points.retain(|_, versions| !versions.is_empty());
    }

    fn scan(&self, series_at: Option<(usize, usize)>, from: u64, to: u64, version: i64) {
        let mut scan = self.table().scan(at(from)..at(to)).as_of(version);
        if let Some(one) = series_at {
            scan = scan.series(&series(one));
        }
        let mut found = BTreeMap::new();
        for stored in scan {
            let stored = stored.unwrap();
            let measure = stored.measure();
            let host = measure.dimensions().next().unwrap().value;
            let identity = (
                HOSTS.iter().position(|one| *one == host).unwrap(),
                MEASURES.iter().position(|one| *one == measure.measure_name()).unwrap(),
                measure.time().as_millis(),
            );
            assert_eq!(found.insert(identity, stored.sequence_number()), None, "twice");
        }
        let expected: BTreeMap<_, _> = self
            .points
            .iter()
            .filter(|((.., time), _)| (from..to).contains(time))
            .filter(|((host, measure, _), _)| series_at.is_none_or(|one| one == (*host, *measure)))
            .filter_map(|(identity, versions)| {
                let last = versions.iter().rfind(|one| one.version <= version)?;
                Some((*identity, last.number))
            })
            .collect();
        assert_eq!(found, expected);
    }

    fn check_all(&self) {
        for host in 0..HOSTS.len() {
            for measure in 0..MEASURES.len() {
                for time in 0..4 {
                    let expected =
                        self.points.get(&(host, measure, time)).and_then(|versions| versions.last());
                    let stored = self.table().current(&series((host, measure)), at(time)).unwrap();
                    assert_eq!(
                        stored.as_ref().map(StoredMeasure::sequence_number),
                        expected.map(|last| last.number)
                    );
                    if let (Some(stored), Some(last)) = (stored, expected) {
                        check(&stored, (host, measure, time), last.version, last.value);
                    }
                }
            }
        }
        self.scan(None, 0, u64::MAX / 1_000_000, i64::MAX);
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Write { records } => {
                self.write(records);
                self.last_call.clone_from(records);
            }
            Operation::WriteAgain => {
                let call = self.last_call.clone();
                if !call.is_empty() {
                    self.write(&call);
                    let before = (self.points.clone(), self.records());
                    self.write(&call);
                    assert!(
                        before == (self.points.clone(), self.records()),
                        "a call that is sent again brings nothing"
                    );
                }
            }
            Operation::Scan { series, from, to, version } => self.scan(*series, *from, *to, *version),
            Operation::Checkpoint => {
                self.table().checkpoint().unwrap();
                assert_eq!(self.table().stats().unwrap().pending, 0);
                let kept = self.table().stats().unwrap().kept_points;
                assert_eq!(kept, self.points.len() as u64, "what is gone is dropped");
            }
            Operation::Split { shard } => {
                let stream = self.stream();
                let open = stream.shards();
                if open.len() < 6 {
                    let parent = open[shard % open.len()];
                    let middle = parent.range.start.as_u128().midpoint(parent.range.end.as_u128());
                    stream.split_shard(parent.id, HashKey::from(middle)).unwrap();
                }
            }
            Operation::Advance { seconds } => {
                self.clock.advance(Duration::from_secs(*seconds));
                self.retain();
            }
            Operation::ReopenTable => {
                let (store, stream, table) = self.open.take().unwrap();
                drop(table);
                let table = MeasureTable::open(&stream, self.options()).unwrap();
                assert_eq!(table.stats().unwrap().read_at_opening, 0, "all was kept when it was dropped");
                self.open = Some((store, stream, table));
                self.check_all();
            }
            Operation::Reopen => {
                let (store, stream, table) = self.open.take().unwrap();
                drop((stream, table));
                store.close().unwrap();
                drop(store);
                self.open_all();
                self.retain();
                self.check_all();
            }
            Operation::Kill => {
                let copy = self.disk.kill();
                self.open = None;
                self.disk = copy;
                self.open_all();
                self.retain();
                self.check_all();
            }
        }
    }
}

fn check(stored: &StoredMeasure, (host, measure, time): Identity, version: i64, value: usize) {
    let found = stored.measure();
    let dimensions: Vec<_> = found.dimensions().map(|dimension| (dimension.name, dimension.value)).collect();
    assert_eq!(dimensions, [("host", HOSTS[host])]);
    assert_eq!((found.measure_name(), found.time(), found.version()), (MEASURES[measure], at(time), version));
    assert_eq!(found.value().to_value(), typed(value));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_a_map_would(
        pending_limit in prop_oneof![Just(1_usize), Just(5), Just(1000)],
        operations in proptest::collection::vec(operation(), 1..50),
    ) {
        let mut pair = Pair::new(pending_limit);
        for operation in &operations {
            pair.apply(operation);
        }
        pair.check_all();
    }
}
