//! Guards a table against a disk that fails it: whichever call for the version index fails, with whatever is to come after, no
//! stale version is accepted and no good one rejected; a disk that was full does not end the table; and an index whose sync
//! failed is not believed, though it reads well until the power goes.
#![cfg(feature = "measures")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/measure_log.rs"]
mod measure_log;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use measure_log::{Point, check_table, read_versions};
use riverbed::measures::{
    MeasureRecord, MeasureTable, MeasureType, Quotas, Reason, TableOptions, WriteRecordsError,
};
use riverbed::testing::{Call, Disk, ManualClock, Operation, Verdict};
use riverbed::{Durability, Maintenance, Retention, Store, Stream, StreamOptions, Timestamp};

fn open(disk: &Disk) -> (Store, Stream) {
    let options = Store::options().storage(disk).maintenance(Maintenance::Manual);
    let store = options.durability(Durability::Buffered).open("data").unwrap();
    let stream = store
        .open_stream("metrics")
        .unwrap_or_else(|_| store.create_stream("metrics", StreamOptions::new().shards(2)).unwrap());
    (store, stream)
}

fn options(pending_limit: usize) -> TableOptions {
    // A small cache, so that the file is read, too.
    TableOptions::new().any_time().quotas(Quotas::Off).pending_limit(pending_limit).index_cache(16 * 1024)
}

/// Writes this version of the first `count` data points.
fn write(table: &MeasureTable, count: u64, version: i64) -> Result<usize, WriteRecordsError> {
    let times: Vec<_> = (0..count).map(|time| time.to_string()).collect();
    let common = MeasureRecord::new().dimension("host", "h").measure_name("m").version(version);
    let common = common.measure_type(MeasureType::BigInt).measure_value("1");
    let records: Vec<_> = times.iter().map(|time| MeasureRecord::new().time(time)).collect();
    table.write_records(&common, &records).map(|ingested| ingested.total - ingested.unchanged)
}

fn points(count: u64, version: i64) -> BTreeMap<Point, i64> {
    (0..count).map(|time| (("h".to_owned(), time), version)).collect()
}

fn is_index(call: &Call<'_>) -> bool {
    call.path.ends_with("versions.redb")
}

/// The table is right about what its stream holds: all of it, stale versions are rejected and good ones taken.
fn check(table: &MeasureTable) {
    let found = read_versions(table.stream());
    let latest = |versions: &Vec<(i64, i64)>| versions.last().unwrap().0;
    let latest: BTreeMap<_, _> =
        found.iter().map(|(point, versions)| (point.clone(), latest(versions))).collect();
    check_table(table, &latest).unwrap();
    for ((host, time), version) in latest {
        let time = time.to_string();
        let record = MeasureRecord::new().dimension("host", &host).measure_name("m").time(&time);
        let record = record.measure_type(MeasureType::BigInt).measure_value("1");
        let again = table.write_records(&record, &[MeasureRecord::new().version(version)]).unwrap();
        assert_eq!(again.unchanged, 1);
        if version > 1 {
            match table.write_records(&record, &[MeasureRecord::new().version(version - 1)]) {
                Err(WriteRecordsError::Rejected(call)) => {
                    let reason = Reason::OlderVersion { version: version - 1, existing: version };
                    assert_eq!(call.rejected.first().map(|one| &one.reason), Some(&reason));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_full_disk_ends_neither_the_table_nor_its_index() {
    let disk = Disk::new();
    let (_store, stream) = open(&disk);
    let records = || stream.stats().shards.iter().map(|shard| shard.records).sum::<u64>();
    let table = MeasureTable::open(&stream, options(1000)).unwrap();
    assert_eq!(write(&table, 100, 1).unwrap(), 100);
    table.checkpoint().unwrap();
    disk.plan(|call| match call.operation {
        Operation::Allocate if is_index(call) => Verdict::Fail(ErrorKind::StorageFull),
        _ => Verdict::Proceed,
    });
    // More than the index's file has room for.
    let hosts: Vec<_> = (0..1500).map(|number| format!("{number:04000}")).collect();
    let wide: Vec<_> = hosts.iter().map(|host| MeasureRecord::new().dimension("host", host)).collect();
    let common = MeasureRecord::new().measure_name("m").time("7").measure_value("1");
    assert_eq!(table.write_records(&common, &wide).unwrap().total, 1500);
    assert!(table.checkpoint().is_err());
    // What is kept and what is pending are both read, and no call is stored by half.
    check_table(&table, &all(&hosts)).unwrap();
    for _ in 0..3 {
        assert!(matches!(write(&table, 1, 4), Err(WriteRecordsError::Checkpoint(_))));
    }
    assert_eq!(records(), 100 + 1500);
    disk.plan(|_| Verdict::Proceed);
    assert_eq!(write(&table, 100, 1).unwrap(), 0);
    table.checkpoint().unwrap();
    assert_eq!(table.stats().unwrap().pending, 0);
    check_table(&table, &all(&hosts)).unwrap();
    assert_eq!(write(&table, 10, 2).unwrap(), 10);
    drop(table);
    let table = MeasureTable::open(&stream, options(1000)).unwrap();
    assert_eq!(table.stats().unwrap().read_at_opening, 0);
    let rewritten = points(10, 2);
    check_table(&table, &all(&hosts).into_iter().chain(rewritten).collect()).unwrap();
}

/// What the test of the full disk writes.
fn all(hosts: &[String]) -> BTreeMap<Point, i64> {
    let wide = hosts.iter().map(|host| ((host.clone(), 7), 1));
    points(100, 1).into_iter().chain(wide).collect()
}

#[test]
fn an_index_whose_sync_failed_is_made_anew() {
    for seed in 0..4 {
        let disk = Disk::new();
        let (store, stream) = open(&disk);
        let table = MeasureTable::open(&stream, options(1000)).unwrap();
        write(&table, 60, 1).unwrap();
        table.checkpoint().unwrap();
        disk.plan(|call| {
            let hit = is_index(call) && call.operation == Operation::SyncData;
            if hit { Verdict::Fail(ErrorKind::Other) } else { Verdict::Proceed }
        });
        write(&table, 60, 2).unwrap();
        assert!(table.checkpoint().is_err());
        disk.plan(|_| Verdict::Proceed);
        let error = table.checkpoint().unwrap_err();
        assert!(format!("{error:?}").contains("open it again"), "{error:?}");
        drop(table);

        let table = MeasureTable::open(&stream, options(1000)).unwrap();
        assert_eq!(table.stats().unwrap().read_at_opening, 120, "nothing of the old one is believed");
        write(&table, 40, 3).unwrap();
        table.checkpoint().unwrap();
        check(&table);
        drop(store);
        let disk = disk.cut_power(seed);
        drop((table, stream));
        let (_store, stream) = open(&disk);
        let table = MeasureTable::open(&stream, options(1000)).unwrap();
        check_table(&table, &points(60, 2).into_iter().chain(points(40, 3)).collect()).unwrap();
        check(&table);
    }
}

/// The index of a backup, or of another stream, is found out when it is opened. Should the disk fail meanwhile, it is no more
/// believed afterwards.
#[test]
fn an_index_of_another_stream_is_not_believed_after_an_opening_that_failed() {
    let [other, disk] = [1, 2].map(|version| {
        let disk = Disk::new();
        let (store, stream) = open(&disk);
        write(&MeasureTable::open(&stream, options(1000)).unwrap(), 60, version).unwrap();
        // Segments that a recovery has sealed are mapped when they are read.
        let killed = disk.kill();
        drop((store, stream));
        killed
    });
    let path = disk.files().into_iter().find(|path| path.ends_with("versions.redb")).unwrap();
    let foreign = other.read(&path).unwrap();
    assert_eq!(foreign.len(), disk.read(&path).unwrap().len());
    disk.damage(&path, 0, &foreign).unwrap();
    let mut failed = 0;
    for at in 0.. {
        let disk = disk.duplicate().unwrap();
        let (store, stream) = open(&disk);
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        disk.plan(move |call| {
            let concerns = is_index(call) || call.operation == Operation::Map;
            let hit = concerns && counted.fetch_add(1, Ordering::Relaxed) == at;
            if hit { Verdict::Fail(ErrorKind::StorageFull) } else { Verdict::Proceed }
        });
        let opened = MeasureTable::open(&stream, options(1000));
        failed += u32::from(opened.is_err());
        let over = calls.load(Ordering::Relaxed) <= at;
        drop(opened);
        disk.plan(|_| Verdict::Proceed);
        let table = MeasureTable::open(&stream, options(1000)).unwrap();
        check_table(&table, &points(60, 2)).unwrap();
        check(&table);
        drop((table, stream, store));
        if over {
            break;
        }
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn what_retention_has_removed_leaves_the_index_also_when_a_checkpoint_has_failed() {
    let mut failed = 0;
    for at in 0.. {
        let disk = Disk::new();
        let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
        let store = Store::options().storage(&disk).clock(clock.clone()).maintenance(Maintenance::Manual);
        let store = store.open("data").unwrap();
        let stream = store.create_stream("metrics", StreamOptions::new()).unwrap();
        let table = MeasureTable::open(&stream, options(1000)).unwrap();
        write(&table, 60, 1).unwrap();
        table.checkpoint().unwrap();
        clock.advance(Duration::from_secs(7200));
        stream.set_retention(Retention::of_age(Duration::from_secs(3600))).unwrap();
        assert_eq!(table.scan(..).count(), 0);
        assert_eq!(table.stats().unwrap().kept_points, 60);

        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        disk.plan(move |call| {
            let hit = is_index(call) && counted.fetch_add(1, Ordering::Relaxed) == at;
            if hit { Verdict::Fail(ErrorKind::StorageFull) } else { Verdict::Proceed }
        });
        let outcome = table.checkpoint();
        let over = calls.load(Ordering::Relaxed) <= at;
        disk.plan(|_| Verdict::Proceed);
        // After a failed sync no checkpoint is made before the table is opened again.
        if outcome.is_err() && table.checkpoint().is_ok() {
            failed += 1;
            assert_eq!(table.stats().unwrap().kept_points, 0, "call {at}");
        }
        if over {
            break;
        }
    }
    assert!(failed > 2, "{failed}");
}

#[test]
fn whichever_call_for_the_index_fails_versions_stay_right() {
    let kinds = [ErrorKind::StorageFull, ErrorKind::Other];
    let mut hits = 0;
    for (round, at) in (0..).step_by(9).enumerate() {
        let disk = Disk::new();
        let (store, stream) = open(&disk);
        let calls = Arc::new(AtomicU64::new(0));
        let (counted, kind) = (Arc::clone(&calls), *kinds.get(round % 2).unwrap());
        disk.plan(move |call| {
            let hit = is_index(call) && counted.fetch_add(1, Ordering::Relaxed) == at;
            if hit { Verdict::Fail(kind) } else { Verdict::Proceed }
        });
        // Whatever fails: what was stored is stored. What is asked again is answered, unless the table is to be opened anew.
        let mut table = None;
        for version in 1..6 {
            for _ in 0..2 {
                let open = match table.take() {
                    Some(open) => open,
                    None => match MeasureTable::open(&stream, options(25)) {
                        Ok(open) => open,
                        Err(_) => continue,
                    },
                };
                let done =
                    write(&open, 40, version).is_ok() && (version % 2 == 0 || open.checkpoint().is_ok());
                if done {
                    table = Some(open);
                    break;
                }
            }
        }
        let seen = calls.load(Ordering::Relaxed);
        disk.plan(|_| Verdict::Proceed);
        let table = table.unwrap_or_else(|| MeasureTable::open(&stream, options(25)).unwrap());
        check_table(&table, &points(40, 5)).unwrap();
        check(&table);
        stream.sync().unwrap();
        drop(store);
        let disk = disk.cut_power(at);
        drop((table, stream));
        let (_store, stream) = open(&disk);
        let table = MeasureTable::open(&stream, options(25)).unwrap();
        check(&table);
        if seen <= at {
            break;
        }
        hits += 1;
    }
    assert!(hits > 10, "{hits}");
}
