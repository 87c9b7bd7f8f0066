//! Guards the version index as something derived: whatever becomes of its file, a table answers from what its stream holds;
//! and it neither reads the stream again nor keeps what retention has removed.
#![cfg(feature = "measures")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use riverbed::measures::{MeasureRecord, MeasureTable, Quotas, Series, TableOptions, WriteRecordsError};
use riverbed::testing::ManualClock;
use riverbed::{Maintenance, OpenError, Retention, Store, Stream, StreamOptions, Timestamp};

const POINTS: i64 = 500;

fn options() -> TableOptions {
    TableOptions::new().any_time().quotas(Quotas::Off)
}

fn open(path: &Path) -> (Store, Stream) {
    let store = Store::open(path).unwrap();
    let stream = match store.open_stream("metrics") {
        Ok(stream) => stream,
        Err(_) => store.create_stream("metrics", StreamOptions::new().shards(2)).unwrap(),
    };
    (store, stream)
}

fn index_file(path: &Path) -> PathBuf {
    path.join("streams/metrics/versions.redb")
}

/// Writes a version of each data point; the value is the version.
fn write(table: &MeasureTable, host: &str, version: i64) {
    let value = version.to_string();
    let common = MeasureRecord::new()
        .dimension("host", host)
        .measure_name("load")
        .measure_value(&value)
        .version(version);
    let times: Vec<_> = (0..POINTS).map(|time| time.to_string()).collect();
    let records: Vec<_> = times.iter().map(|time| MeasureRecord::new().time(time)).collect();
    let ingested = table.write_records(&common, &records).unwrap();
    assert_eq!((ingested.total, ingested.unchanged), (records.len(), 0));
}

/// Checks that each data point of the host has this version, by reading and by writing.
fn check(table: &MeasureTable, host: &str, version: i64) {
    let series = Series::new([("host", host)], "load");
    let found: Vec<_> =
        table.scan(..).series(&series).map(|stored| stored.unwrap().measure().version()).collect();
    assert_eq!(found, vec![version; usize::try_from(POINTS).unwrap()], "{host}");
    let value = (version - 1).to_string();
    let lower = MeasureRecord::new().dimension("host", host).measure_name("load").measure_value(&value);
    for time in ["0", "77", "499"] {
        match table.write_records(&lower.clone().version(version - 1).time(time), &[MeasureRecord::new()]) {
            Err(WriteRecordsError::Rejected(call)) => {
                assert_eq!(call.rejected[0].existing_version, Some(version), "{host}");
            }
            other => panic!("{host}: {other:?}"),
        }
    }
}

#[test]
fn an_opening_reads_only_what_the_index_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let (store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    write(&table, "a", 2);
    table.checkpoint().unwrap();
    let stats = table.stats().unwrap();
    assert_eq!((stats.kept_points, stats.kept_series, stats.pending), (500, 1, 0));
    // What a crash leaves: the stream is ahead of the index.
    let copy = directory.path().join("index");
    std::fs::copy(index_file(directory.path()), &copy).unwrap();
    write(&table, "a", 3);
    write(&table, "b", 4);
    assert_eq!(table.stats().unwrap().pending, 1001);
    drop((table, stream, store));

    let (store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    assert_eq!(table.stats().unwrap().read_at_opening, 0, "dropping the table brought the index up to date");
    drop((table, stream, store));

    std::fs::copy(&copy, index_file(directory.path())).unwrap();
    let (_store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    assert_eq!(table.stats().unwrap().read_at_opening, 1000);
    check(&table, "a", 3);
    check(&table, "b", 4);
}

#[test]
fn the_kept_index_is_written_when_too_much_is_pending() {
    let directory = tempfile::tempdir().unwrap();
    let (_store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options().pending_limit(100)).unwrap();
    for version in 2..5 {
        write(&table, "a", version);
        write(&table, "b", version + 10);
    }
    let stats = table.stats().unwrap();
    assert_eq!((stats.kept_points, stats.kept_series), (1000, 2));
    assert!(stats.pending <= 500, "{stats:?}");
    check(&table, "a", 4);
    check(&table, "b", 14);
}

#[test]
fn a_missing_or_unusable_index_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    write(&table, "a", 2);
    drop((table, stream, store));
    let file = index_file(directory.path());
    let whole = std::fs::read(&file).unwrap();
    let cases: [(&str, Option<Vec<u8>>); 5] = [
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("no index", Some(b"no index at all".repeat(1000))),
        ("cut off", Some(whole[..whole.len() / 2].to_vec())),
        ("zeros", Some(vec![0; whole.len()])),
    ];
    for (name, content) in cases {
        match content {
            None => std::fs::remove_file(&file).unwrap(),
            Some(content) => std::fs::write(&file, content).unwrap(),
        }
        let (_store, stream) = open(directory.path());
        let table = MeasureTable::open(&stream, options()).unwrap();
        assert_eq!(table.stats().unwrap().read_at_opening, 500, "{name}");
        check(&table, "a", 2);
    }
}

#[test]
fn the_index_of_another_stream_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["few", "many", "others"].map(|name| directory.path().join(name));
    for (path, hosts) in paths.iter().zip([&["a"][..], &["a", "b"], &["c", "d"]]) {
        let (_store, stream) = open(path);
        let table = MeasureTable::open(&stream, options()).unwrap();
        hosts.iter().for_each(|host| write(&table, host, 9));
    }
    let [few, many, others] = &paths;
    // One that goes further than the stream, and one that goes as far with other records.
    for (wrong, path, host) in [(many, few, "a"), (others, many, "b")] {
        std::fs::copy(index_file(wrong), index_file(path)).unwrap();
        let (_store, stream) = open(path);
        let table = MeasureTable::open(&stream, options()).unwrap();
        check(&table, host, 9);
        let foreign = Series::new([("host", "d")], "load");
        assert_eq!(table.scan(..).series(&foreign).count(), 0);
        write(&table, "d", 1);
    }
}

#[test]
fn the_index_forgets_what_retention_has_removed() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let store = Store::options()
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .open(directory.path())
        .unwrap();
    let stream = store.create_stream("metrics", StreamOptions::new()).unwrap();
    let table = MeasureTable::open(&stream, options()).unwrap();
    write(&table, "a", 5);
    write(&table, "b", 5);
    table.checkpoint().unwrap();
    assert_eq!(table.stats().unwrap().kept_points, 1000);
    clock.advance(Duration::from_secs(7200));
    stream.set_retention(Retention::of_age(Duration::from_secs(3600))).unwrap();
    // A data point that comes back must not be forgotten with the old ones.
    write(&table, "b", 3);
    table.checkpoint().unwrap();
    assert_eq!(table.stats().unwrap().kept_points, 500);
    check(&table, "b", 3);
    assert_eq!(table.scan(..).count(), 500);
}

#[test]
fn the_index_is_no_fault_of_the_store_and_goes_with_its_stream() {
    let directory = tempfile::tempdir().unwrap();
    let (store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    write(&table, "a", 2);
    table.checkpoint().unwrap();
    let report = Store::verify(directory.path()).unwrap();
    assert!(report.is_clean(), "{:?}", report.faults);
    drop((table, stream));
    store.delete_stream("metrics").unwrap();
    drop(store);
    let (_store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    assert_eq!(table.scan(..).count(), 0);
    write(&table, "a", 1);
}

#[test]
fn no_other_writer_gets_the_store_while_a_table_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let (store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    write(&table, "a", 2);
    store.close().unwrap();
    assert!(matches!(Store::open(directory.path()), Err(OpenError::Locked { .. })));
    assert!(table.write_records(&MeasureRecord::new(), &[MeasureRecord::new()]).is_err());
    drop(table);
    let (_store, stream) = open(directory.path());
    let table = MeasureTable::open(&stream, options()).unwrap();
    assert_eq!(table.stats().unwrap().read_at_opening, 0);
    check(&table, "a", 2);
}
