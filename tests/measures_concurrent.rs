//! Guards versions against writers that race: whatever the order in which eight threads come, the highest version of a data
//! point wins, each version is stored at most once, stored versions only rise, nobody who was told that a version is stored
//! is wrong, and readers never see one go down. Meanwhile the version index is committed again and again.
#![cfg(feature = "measures")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/measure_log.rs"]
mod measure_log;

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use measure_log::{Point, check_table, read_versions};
use riverbed::measures::{
    MeasureRecord, MeasureTable, MeasureType, Quotas, Reason, Series, TableOptions, WriteRecordsError,
};
use riverbed::testing::Disk;
use riverbed::{Durability, Maintenance, Store, StreamOptions, Timestamp};

const THREADS: i64 = 8;
const HOSTS: usize = 4;
const TIMES: u64 = 3;
const VERSIONS: i64 = 40;

/// A version of a data point, and the value that its writer gave it.
type Claim = (Point, i64, i64);

/// Writes every version of every data point, in an order of its own; returns what it was told is there.
fn writer(table: &MeasureTable, thread: i64) -> Vec<Claim> {
    let mut rng = fastrand::Rng::with_seed(thread.unsigned_abs());
    let mut drafts: Vec<Claim> = Vec::new();
    for host in 0..HOSTS {
        for time in 0..TIMES {
            drafts.extend((1..=VERSIONS).map(|version| ((format!("h{host}"), time), version, thread)));
        }
    }
    // Roughly rising, so that many are stored and many come too late.
    drafts.sort_by_cached_key(|(_, version, _)| version + rng.i64(0..10));
    let mut told = Vec::new();
    for call in drafts.chunks(5) {
        let texts: Vec<_> =
            call.iter().map(|((_, time), _, value)| (time.to_string(), value.to_string())).collect();
        let parts = call.iter().zip(&texts);
        let records: Vec<_> = parts
            .map(|(((host, _), version, _), (time, value))| {
                MeasureRecord::new().dimension("host", host).time(time).version(*version).measure_value(value)
            })
            .collect();
        let common = MeasureRecord::new().measure_name("m").measure_type(MeasureType::BigInt);
        let rejected = match table.write_records(&common, &records) {
            Ok(_) => Vec::new(),
            Err(WriteRecordsError::Rejected(call)) => call.rejected,
            Err(error) => panic!("{error}"),
        };
        for one in &rejected {
            let asked = call[one.index].1;
            match one.reason {
                Reason::OlderVersion { version, existing } => assert!(version == asked && asked < existing),
                Reason::SameVersion { existing } => assert_eq!(existing, asked),
                ref other => panic!("{other:?}"),
            }
        }
        let is_there = |index| rejected.iter().all(|one| one.index != index);
        told.extend(
            call.iter().enumerate().filter(|(index, _)| is_there(*index)).map(|(_, claim)| claim.clone()),
        );
    }
    told
}

/// Reads until the writers are done: no data point goes back, alone or in a range.
fn reader(table: &MeasureTable, done: &AtomicBool) {
    let mut seen: BTreeMap<Point, i64> = BTreeMap::new();
    let mut see = |point: Point, version: i64| {
        let before = seen.insert(point.clone(), version).unwrap_or(0);
        assert!(before <= version, "{point:?} went from version {before} back to {version}");
    };
    loop {
        let last = done.load(Ordering::Acquire);
        for stored in table.scan(..) {
            let stored = stored.unwrap();
            let measure = stored.measure();
            let host = measure.dimensions().next().unwrap().value.to_owned();
            see((host, measure.time().as_millis()), measure.version());
        }
        for host in 0..HOSTS {
            let host = format!("h{host}");
            let series = Series::new([("host", &*host)], "m");
            for time in 0..TIMES {
                if let Some(stored) = table.current(&series, Timestamp::from_millis(time)).unwrap() {
                    see((host.clone(), time), stored.measure().version());
                }
            }
        }
        if last {
            return;
        }
    }
}

fn race(durability: Durability, pending_limit: usize) {
    let disk = Disk::new();
    let store = Store::options().storage(&disk).maintenance(Maintenance::Manual).open("data").unwrap();
    let stream = store.create_stream("metrics", StreamOptions::new().shards(3)).unwrap();
    let options = TableOptions::new()
        .any_time()
        .quotas(Quotas::Off)
        .durability(durability)
        .pending_limit(pending_limit);
    let table = MeasureTable::open(&stream, options.clone()).unwrap();

    let (start, done) = (Barrier::new(THREADS.unsigned_abs().try_into().unwrap()), AtomicBool::new(false));
    let told: Vec<Claim> = std::thread::scope(|scope| {
        let reading = scope.spawn(|| reader(&table, &done));
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (table, start) = (table.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    writer(&table, thread)
                })
            })
            .collect();
        let told = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        done.store(true, Ordering::Release);
        reading.join().unwrap();
        told
    });

    // Fails when a version is there that is not above the one before it.
    let found = read_versions(&stream);
    assert_eq!(found.len(), HOSTS * usize::try_from(TIMES).unwrap());
    for (point, versions) in &found {
        assert_eq!(versions.last().unwrap().0, VERSIONS, "{point:?}: the highest wins");
    }
    // Who was told that a version is there, is right, with the value too: so no two won with one version.
    for (point, version, value) in &told {
        assert!(found[point].contains(&(*version, *value)), "{point:?}: {version} with {value}");
    }
    let stored: usize = found.values().map(Vec::len).sum();
    assert_eq!(stored, told.len(), "each version that is there was brought by one writer");

    let latest: BTreeMap<_, _> = found.into_keys().map(|point| (point, VERSIONS)).collect();
    check_table(&table, &latest).unwrap();
    drop(table);
    let table = MeasureTable::open(&stream, options).unwrap();
    assert_eq!(table.stats().unwrap().read_at_opening, 0);
    check_table(&table, &latest).unwrap();
}

#[test]
fn the_highest_version_wins() {
    race(Durability::Buffered, 65_536);
}

#[test]
fn the_highest_version_wins_while_the_index_is_committed() {
    race(Durability::Buffered, 7);
}

#[test]
fn the_highest_version_wins_when_each_call_waits_for_the_disk() {
    race(Durability::Immediate, 50);
}
