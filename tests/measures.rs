//! Guards what a table of measures stores and answers: the decision table for versions, whatever the way they come; time
//! windows and counts; typed values; reads of ranges and of earlier versions; resends that change nothing.
#![cfg(feature = "measures")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use proptest::prelude::*;
use riverbed::measures::{
    MeasureRecord, MeasureRef, MeasureTable, MeasureType, OpenTableError, Quotas, Reason, RecordsIngested,
    RejectedRecords, Series, TableLimit, TableOptions, Value, WriteRecordsError,
};
use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Durability, Maintenance, Position, PutRecord, ReaderOptions, Retention, Store, StoreOptions, Stream,
    StreamOptions, Timestamp,
};

const NOW: u64 = 1_700_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

struct Room {
    disk: Disk,
    clock: ManualClock,
}

impl Room {
    fn new() -> Self {
        Self { disk: Disk::new(), clock: ManualClock::new(Timestamp::from_millis(NOW)) }
    }

    fn options(&self) -> StoreOptions {
        Store::options()
            .storage(&self.disk)
            .clock(self.clock.clone())
            .maintenance(Maintenance::Manual)
            .segment_len(64 * 1024, 64 * 1024)
    }

    fn open(&self) -> (Store, Stream) {
        let store = self.options().open("data").unwrap();
        let stream = match store.open_stream("metrics") {
            Ok(stream) => stream,
            Err(_) => store.create_stream("metrics", StreamOptions::new().shards(3)).unwrap(),
        };
        (store, stream)
    }

    fn table(&self, options: TableOptions) -> (Store, MeasureTable) {
        let (store, stream) = self.open();
        (store, MeasureTable::open(&stream, options).unwrap())
    }
}

fn load() -> MeasureRecord<'static> {
    MeasureRecord::new().dimension("host", "a").measure_name("load").time("1700000000000")
}

fn series() -> Series {
    Series::new([("host", "a")], "load")
}

fn none() -> MeasureRecord<'static> {
    MeasureRecord::new()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Version and value of the data point.
fn current(table: &MeasureTable) -> Option<(i64, f64)> {
    let stored = table.current(&series(), at(NOW)).unwrap()?;
    let measure = stored.measure();
    let Value::Double(value) = measure.value().to_value() else { panic!("{measure:?}") };
    Some((measure.version(), value))
}

fn rejected(outcome: Result<RecordsIngested, WriteRecordsError>) -> RejectedRecords {
    match outcome {
        Err(WriteRecordsError::Rejected(call)) => call,
        other => panic!("{other:?}"),
    }
}

/// How many records the stream holds.
fn records(table: &MeasureTable) -> u64 {
    table.stream().stats().shards.iter().map(|shard| shard.records).sum()
}

/// Existing version, new version, the same value?, what becomes of it.
const DECISIONS: [(i64, i64, bool, &str); 7] = [
    (5, 6, false, "stored"),
    (5, 6, true, "stored"),
    (5, i64::MAX, false, "stored"),
    (5, 5, true, "unchanged"),
    (5, 5, false, "rejected"),
    (5, 4, false, "rejected"),
    (5, 4, true, "rejected"),
];

fn check_decision(decision: (i64, i64, bool, &str), apart: impl Fn(&Room, MeasureTable) -> MeasureTable) {
    let (existing, new, same, expected) = decision;
    let room = Room::new();
    let (_, table) = room.table(TableOptions::new());
    table.write_records(&none(), &[load().measure_value("0.5").version(existing)]).unwrap();
    let table = apart(&room, table);
    let value = if same { "0.50" } else { "0.7" };
    let outcome = table.write_records(&none(), &[load().measure_value(value).version(new)]);
    match expected {
        "stored" => {
            let ingested = outcome.unwrap();
            assert_eq!((ingested.total, ingested.unchanged), (1, 0), "{decision:?}");
            assert_eq!(current(&table), Some((new, value.parse().unwrap())), "{decision:?}");
            assert_eq!(records(&table), 2);
        }
        "unchanged" => {
            let ingested = outcome.unwrap();
            assert_eq!((ingested.total, ingested.unchanged), (1, 1), "{decision:?}");
            assert_eq!(current(&table), Some((existing, 0.5)), "{decision:?}");
            assert_eq!(records(&table), 1);
        }
        _ => {
            let call = rejected(outcome);
            assert_eq!(
                call.to_string(),
                "One or more records have been rejected. See RejectedRecords for details."
            );
            assert_eq!((call.ingested.total, call.rejected.len()), (0, 1), "{decision:?}");
            assert_eq!(
                (call.rejected[0].index, call.rejected[0].existing_version),
                (0, Some(existing)),
                "{decision:?}"
            );
            let reason = match new == existing {
                true => Reason::SameVersion { existing },
                false => Reason::OlderVersion { version: new, existing },
            };
            assert_eq!(call.rejected[0].reason, reason);
            assert_eq!(current(&table), Some((existing, 0.5)), "{decision:?}");
            assert_eq!(records(&table), 1);
        }
    }
}

#[test]
fn versions_follow_the_decision_table() {
    for decision in DECISIONS {
        check_decision(decision, |_, table| table);
    }
}

#[test]
fn versions_follow_the_decision_table_once_the_index_keeps_them() {
    for decision in DECISIONS {
        check_decision(decision, |_, table| {
            table.checkpoint().unwrap();
            table
        });
    }
}

#[test]
fn versions_follow_the_decision_table_across_openings() {
    for decision in DECISIONS {
        check_decision(decision, |room, table| {
            drop(table);
            room.table(TableOptions::new()).1
        });
    }
}

#[test]
fn records_of_one_call_see_those_before_them() {
    let (_, table) = Room::new().table(TableOptions::new());
    let versions = [("0.1", 2), ("0.2", 1), ("0.3", 3), ("0.3", 3), ("0.4", 3)];
    let records = versions.map(|(value, version)| load().measure_value(value).version(version));
    let call = rejected(table.write_records(&none(), &records));
    let found: Vec<_> = call.rejected.iter().map(|one| (one.index, one.reason.clone())).collect();
    let expected =
        [(1, Reason::OlderVersion { version: 1, existing: 2 }), (4, Reason::SameVersion { existing: 3 })];
    assert_eq!(found, expected);
    assert_eq!((call.ingested.total, call.ingested.unchanged), (3, 1));
    assert_eq!(current(&table), Some((3, 0.3)));
}

#[test]
fn identity_is_dimensions_measure_and_time() {
    let (_, table) = Room::new().table(TableOptions::new());
    let record = || load().measure_value("1");
    let others = [
        record(),
        record().dimension("rack", "1"),
        MeasureRecord { dimensions: Vec::new(), ..record() }.dimension("host", "b"),
        record().measure_name("heat"),
        record().time("1700000000001"),
        // The same instant in another unit is the same point.
        record().time("1700000000").time_unit(riverbed::measures::TimeUnit::Seconds),
    ];
    let ingested = table.write_records(&none(), &others).unwrap();
    assert_eq!((ingested.total, ingested.unchanged), (6, 1));
}

#[test]
fn sending_a_call_again_changes_nothing_and_says_so() {
    let room = Room::new();
    let (_, table) = room.table(TableOptions::new());
    let calls: Vec<_> =
        ["0.1", "0.2", "0.3"].map(|value| load().measure_value(value).dimension("n", value)).to_vec();
    assert_eq!(table.write_records(&none(), &calls).unwrap().unchanged, 0);
    let before = records(&table);
    for _ in 0..2 {
        let again = table.write_records(&none(), &calls).unwrap();
        assert_eq!((again.total, again.memory_store, again.unchanged), (3, 3, 3));
        assert_eq!(records(&table), before);
    }
    drop(table);
    let (_, table) = room.table(TableOptions::new());
    assert_eq!(table.write_records(&none(), &calls).unwrap().unchanged, 3);
    assert_eq!(records(&table), before);
}

#[test]
fn a_refused_call_stores_nothing() {
    let (_, table) = Room::new().table(TableOptions::new());
    let records_ = [load().measure_value("1"), load().measure_value("1").version(0)];
    let outcome = table.write_records(&none(), &records_);
    assert!(matches!(outcome, Err(WriteRecordsError::Validation(_))), "{outcome:?}");
    assert_eq!((records(&table), current(&table)), (0, None));
}

fn time_of(table: &MeasureTable, millis: u64) -> Result<RecordsIngested, WriteRecordsError> {
    let time = millis.to_string();
    table.write_records(&none(), &[load().measure_value("1").time(&time)])
}

#[test]
fn the_memory_stores_window_is_half_open_and_follows_the_clock() {
    let room = Room::new();
    let (_, table) = room.table(TableOptions::new().memory_store(Duration::from_secs(12 * 3600)));
    let (start, end) = (NOW - 12 * HOUR - 25 * MINUTE, NOW + 15 * MINUTE);
    for inside in [start, NOW, end - 1] {
        let ingested = time_of(&table, inside).unwrap();
        assert_eq!((ingested.memory_store, ingested.magnetic_store), (1, 0));
    }
    for outside in [start - 1, end] {
        let call = rejected(time_of(&table, outside));
        assert_eq!(call.rejected[0].reason, Reason::OutsideMemoryStore { start: at(start), end: at(end) });
        assert_eq!(
            call.rejected[0].reason.to_string(),
            "The record timestamp is outside the time range [2023-11-14T09:48:20.000Z, 2023-11-14T22:28:20.000Z) of the memory store."
        );
    }
    room.clock.advance(Duration::from_millis(1));
    assert!(time_of(&table, end).is_ok());
    rejected(time_of(&table, start));
}

#[test]
fn the_magnetic_store_takes_older_records_and_counts_them() {
    let options = TableOptions::new()
        .memory_store(Duration::from_secs(12 * 3600))
        .magnetic_store(Duration::from_secs(5 * 24 * 3600))
        .past_slack(Duration::from_secs(60))
        .future_slack(Duration::from_secs(1));
    let (_, table) = Room::new().table(options);
    let memory = NOW - 12 * HOUR - MINUTE;
    let (start, end) = (memory - 5 * 24 * HOUR, NOW + 1000);
    for (time, tiers) in [(memory, (1, 0)), (memory - 1, (0, 1)), (start, (0, 1)), (end - 1, (1, 0))] {
        let ingested = time_of(&table, time).unwrap();
        assert_eq!((ingested.memory_store, ingested.magnetic_store), tiers, "{time}");
        assert_eq!(ingested.total, 1);
    }
    for outside in [start - 1, end] {
        let call = rejected(time_of(&table, outside));
        assert_eq!(
            call.rejected[0].reason,
            Reason::OutsideIngestionWindow { start: at(start), end: at(end) }
        );
        assert_eq!(call.rejected[0].existing_version, None);
    }
}

#[test]
fn a_table_has_so_many_names_and_no_more() {
    let (_, table) = Room::new().table(TableOptions::new());
    let write = |record: MeasureRecord<'_>| table.write_records(&none(), &[record]);
    let names: Vec<_> = (0..9000).map(|index| format!("n{index}")).collect();
    let full = |outcome, name: &str, limit| {
        let call = rejected(outcome);
        assert_eq!(call.rejected[0].reason, Reason::TableFull { name: name.to_owned(), limit });
    };
    let common = MeasureRecord::new().measure_value("1").time("1700000000000");
    for some in names[..8192].chunks(100) {
        let records: Vec<_> = some.iter().map(|name| MeasureRecord::new().measure_name(name)).collect();
        table.write_records(&common, &records).unwrap();
    }
    full(write(load().measure_value("1")), "load", TableLimit::Measures);
    let plain = || MeasureRecord::new().measure_name("n0").time("1700000000000");
    let dimensions: Vec<_> = (0..128).map(|index| format!("d{index}")).collect();
    for some in dimensions.chunks(50) {
        let with = |record: MeasureRecord<'static>, name: &'static str| record.dimension(name, "x");
        write(some.iter().map(|name| &*name.clone().leak()).fold(plain().measure_value("1"), with)).unwrap();
    }
    full(write(plain().measure_value("1").dimension("d128", "x")), "d128", TableLimit::Dimensions);
    write(plain().measure_value("1").dimension("d127", "x")).unwrap();
    let values: Vec<_> = (0..1024).map(|index| format!("v{index}")).collect();
    for (version, some) in values.chunks(200).enumerate() {
        let with =
            |record: MeasureRecord<'static>, name: &'static str| record.value(name, "1", MeasureType::BigInt);
        let record = some.iter().map(|name| &*name.clone().leak()).fold(plain(), with);
        write(record.version(i64::try_from(version).unwrap() + 2)).unwrap();
    }
    full(write(plain().value("v1024", "1", MeasureType::BigInt).version(9)), "v1024", TableLimit::Values);
}

#[test]
fn a_name_is_a_dimension_or_a_measure_also_across_calls_and_openings() {
    let room = Room::new();
    let (_, table) = room.table(TableOptions::new().quotas(Quotas::Off));
    let both = load().value("used", "1", MeasureType::BigInt);
    table.write_records(&none(), &[both]).unwrap();
    drop(table);
    let (_, table) = room.table(TableOptions::new().quotas(Quotas::Off));
    let plain = || MeasureRecord::new().time("1700000000000").measure_value("1");
    for (record, name) in [
        (plain().measure_name("host"), "host"),
        (plain().measure_name("x").dimension("load", "1"), "load"),
        (plain().measure_name("x").dimension("used", "1"), "used"),
    ] {
        let call = rejected(table.write_records(&none(), &[record]));
        assert_eq!(call.rejected[0].reason, Reason::SharedName { name: name.to_owned() });
    }
    // A measure and a value may have the same name.
    table.write_records(&none(), &[plain().measure_name("used")]).unwrap();
}

#[test]
fn values_are_read_back_typed_from_the_table_and_from_the_stream() {
    let (_, table) = Room::new().table(TableOptions::new());
    let record = MeasureRecord::new()
        .dimension("region", "eu")
        .dimension("host", "a=b,c\\")
        .measure_name("state")
        .time("1700000000")
        .time_unit(riverbed::measures::TimeUnit::Seconds)
        .version(7)
        .value("load", "-0.0", MeasureType::Double)
        .value("free", "-9223372036854775808", MeasureType::BigInt)
        .value("note", "all well \u{1f30a}", MeasureType::Varchar)
        .value("on", "true", MeasureType::Boolean)
        .value("since", "1600000000", MeasureType::Timestamp);
    let [checked] =
        &riverbed::measures::validate(&none(), std::slice::from_ref(&record), Quotas::Service).unwrap()[..]
    else {
        panic!("one record")
    };
    let expected = checked.as_ref().unwrap();
    table.write_records(&none(), &[record]).unwrap();
    let check = |measure: MeasureRef<'_>| {
        assert_eq!(measure.dimensions().collect::<Vec<_>>(), expected.dimensions());
        assert_eq!((measure.measure_name(), measure.time(), measure.version()), ("state", at(NOW), 7));
        assert_eq!(measure.value().to_value(), *expected.value());
        assert_eq!(measure.value().measure_type(), MeasureType::Multi);
        assert_eq!(measure.previous(), None);
    };
    let series = Series::new([("host", "a=b,c\\"), ("region", "eu")], "state");
    check(table.current(&series, at(NOW)).unwrap().unwrap().measure());
    let mut reader = table.stream().merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let record = reader.next().unwrap().unwrap();
    check(MeasureRef::decode(record.data()).unwrap());
    assert_eq!(record.partition_key().unwrap(), r"host=a\=b\,c\\,region=eu");
}

#[test]
fn long_dimension_sets_get_a_partition_key_too() {
    let (_, table) = Room::new().table(TableOptions::new());
    let long = "x".repeat(1000);
    let record = |name| MeasureRecord::new().measure_name(name).measure_value("1").time("1700000000000");
    let records =
        [record("none"), record("long").dimension("note", &long), record("more").dimension("note", &long)];
    table.write_records(&none(), &records).unwrap();
    let mut reader = table.stream().merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let mut keys = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        let name = MeasureRef::decode(record.data()).unwrap().measure_name().to_owned();
        keys.push((name, record.partition_key().unwrap().to_owned(), record.shard_id()));
    }
    keys.sort();
    let [long, more, none] = &keys[..] else { panic!("{keys:?}") };
    // The same dimensions go to the same shard, in order, whatever the measure.
    assert_eq!((&long.1, long.2), (&more.1, more.2));
    assert_eq!(long.1.chars().count(), 256);
    assert!(!none.1.is_empty());
}

#[test]
fn ranges_give_each_data_point_once_at_its_latest_version_or_an_earlier_one() {
    let room = Room::new();
    for pending_limit in [1, 100, 10_000] {
        let room = if pending_limit == 1 { &room } else { &Room::new() };
        let (_, table) = room.table(TableOptions::new().quotas(Quotas::Off).pending_limit(pending_limit));
        let times: Vec<_> = (0..700).map(|index| (NOW + index).to_string()).collect();
        let hosts = ["a", "b", "c"];
        for version in 1..=3 {
            for host in hosts {
                let value = format!("{version}");
                let common = MeasureRecord::new()
                    .dimension("host", host)
                    .measure_name("load")
                    .measure_value(&value)
                    .version(version);
                // Later versions change fewer of them.
                let skip = 300 * usize::try_from(version - 1).unwrap();
                let records: Vec<_> =
                    times[skip..].iter().map(|time| MeasureRecord::new().time(time)).collect();
                table.write_records(&common, &records).unwrap();
            }
        }
        let read = |scan: riverbed::measures::Scan| -> Vec<(String, u64, i64)> {
            let one = |stored: riverbed::measures::StoredMeasure| {
                let measure = stored.measure();
                let host = measure.dimensions().next().unwrap().value.to_owned();
                (host, measure.time().as_millis() - NOW, measure.version())
            };
            scan.map(|stored| one(stored.unwrap())).collect()
        };
        let expected = |hosts: &[&str], times: std::ops::Range<u64>, highest: i64| -> Vec<_> {
            let version = |time: u64| highest.min(1 + i64::try_from(time / 300).unwrap());
            let points = |host: &&str| {
                let host = (*host).to_owned();
                times.clone().map(move |time| (host.clone(), time, version(time)))
            };
            hosts.iter().flat_map(points).collect()
        };
        assert_eq!(read(table.scan(..)), expected(&hosts, 0..700, 3));
        assert_eq!(read(table.scan(at(NOW + 299)..=at(NOW + 600))), expected(&hosts, 299..601, 3));
        assert_eq!(read(table.scan(at(NOW + 5)..at(NOW + 6))), expected(&hosts, 5..6, 3));
        assert_eq!(read(table.scan(..).as_of(2)), expected(&hosts, 0..700, 2));
        let b = Series::new([("host", "b")], "load");
        assert_eq!(
            read(table.scan(at(NOW + 1)..at(NOW + 650)).series(&b).as_of(1)),
            expected(&["b"], 1..650, 1)
        );
        assert!(read(table.scan(..).as_of(0)).is_empty());
        assert!(read(table.scan(at(NOW + 6)..at(NOW + 6))).is_empty());
        assert!(read(table.scan(at(NOW + 700)..)).is_empty());
        assert!(read(table.scan(..).series(&series().clone())).len() == 700);
        assert!(read(table.scan(..).series(&Series::new([("host", "d")], "load"))).is_empty());
        for (version, expected) in [(0, None), (1, Some(1)), (2, Some(2)), (3, Some(3)), (9, Some(3))] {
            let found = table.as_of(&b, at(NOW + 650), version).unwrap();
            assert_eq!(found.map(|stored| stored.measure().version()), expected);
        }
    }
}

#[test]
fn a_stream_has_one_table_at_a_time() {
    let room = Room::new();
    let (_, table) = room.table(TableOptions::new());
    let again = MeasureTable::open(table.stream(), TableOptions::new());
    assert!(matches!(again, Err(OpenTableError::AlreadyOpen { .. })), "{again:?}");
    let clone = table.clone();
    let stream = table.stream().clone();
    drop(table);
    assert!(MeasureTable::open(&stream, TableOptions::new()).is_err(), "a clone holds it");
    drop(clone);
    assert!(MeasureTable::open(&stream, TableOptions::new()).is_ok());
}

#[test]
fn what_is_no_measure_does_not_disturb_the_table() {
    let room = Room::new();
    let (_, stream) = room.open();
    stream.put("key", b"").unwrap();
    stream.put("key", b"\x01 no measure").unwrap();
    let table = MeasureTable::open(&stream, TableOptions::new()).unwrap();
    table.write_records(&none(), &[load().measure_value("1")]).unwrap();
    stream.put("key", b"\xff\xff").unwrap();
    drop(table);
    let table = MeasureTable::open(&stream, TableOptions::new()).unwrap();
    assert_eq!(current(&table), Some((1, 1.0)));
    assert_eq!(table.scan(..).count(), 1);
}

#[test]
fn what_retention_has_removed_may_be_written_anew() {
    let room = Room::new();
    for kept in [false, true] {
        let store = room.options().open(format!("data-{kept}")).unwrap();
        let stream = store.create_stream("metrics", StreamOptions::new()).unwrap();
        let table = MeasureTable::open(&stream, TableOptions::new().any_time()).unwrap();
        table.write_records(&none(), &[load().measure_value("0.1").version(8)]).unwrap();
        table.write_records(&none(), &[load().measure_value("0.2").version(9)]).unwrap();
        if kept {
            table.checkpoint().unwrap();
        }
        rejected(table.write_records(&none(), &[load().measure_value("0.3").version(3)]));
        room.clock.advance(Duration::from_secs(7200));
        stream.set_retention(Retention::of_age(Duration::from_secs(3600))).unwrap();
        assert_eq!((current(&table), table.scan(..).count()), (None, 0));
        let ingested = table.write_records(&none(), &[load().measure_value("0.3").version(3)]).unwrap();
        assert_eq!((ingested.total, ingested.unchanged), (1, 0));
        assert_eq!(current(&table), Some((3, 0.3)));
        let stored = table.current(&series(), at(NOW)).unwrap().unwrap();
        assert_eq!(stored.measure().previous(), None);
        drop(table);
        let table = MeasureTable::open(&stream, TableOptions::new().any_time()).unwrap();
        assert_eq!(current(&table), Some((3, 0.3)), "kept: {kept}");
    }
}

#[test]
fn earlier_versions_end_where_retention_has_removed_them() {
    let room = Room::new();
    let store = room.options().open("data").unwrap();
    let stream = store.create_stream("metrics", StreamOptions::new()).unwrap();
    let table = MeasureTable::open(&stream, TableOptions::new().any_time()).unwrap();
    table.write_records(&none(), &[load().measure_value("0.1").version(1)]).unwrap();
    room.clock.advance(Duration::from_secs(7200));
    stream.set_retention(Retention::of_age(Duration::from_secs(3600))).unwrap();
    // Only now does the first version's segment end.
    table.write_records(&none(), &[load().measure_value("0.2").version(2)]).unwrap();
    table.write_records(&none(), &[load().measure_value("0.3").version(3)]).unwrap();
    let version =
        |version| table.as_of(&series(), at(NOW), version).unwrap().map(|stored| stored.measure().version());
    assert_eq!([version(3), version(2), version(1)], [Some(3), Some(2), None]);
}

#[test]
fn durable_means_on_disk_also_for_what_was_there_already() {
    let room = Room::new();
    let (store, stream) = room.open();
    let other = store.create_stream("other", StreamOptions::new()).unwrap();
    let table = MeasureTable::open(&other, TableOptions::new()).unwrap();
    table.write_records(&none(), &[load().measure_value("1")]).unwrap();
    let mut reader = other.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let record = reader.next().unwrap().unwrap().data().to_vec();

    let lazy = PutRecord::new("host=a", &record).durability(Durability::Buffered);
    let shard = stream.put_record(&lazy).unwrap().shard_id;
    let table = MeasureTable::open(&stream, TableOptions::new().durability(Durability::Immediate)).unwrap();
    assert_eq!(stream.durable_sequence_number(shard).unwrap(), None);
    assert_eq!(table.write_records(&none(), &[load().measure_value("1")]).unwrap().unchanged, 1);
    assert!(stream.durable_sequence_number(shard).unwrap().is_some());
}

/// Texts of all lengths that change the encoding, and of any characters.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,3}", ".{0,200}"]
}

fn value_text() -> impl Strategy<Value = (String, MeasureType)> {
    prop_oneof![
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| (number.to_string(), MeasureType::Double)),
        any::<i64>().prop_map(|number| (number.to_string(), MeasureType::BigInt)),
        text()
            .prop_filter("not empty", |text| !text.is_empty())
            .prop_map(|text| (text, MeasureType::Varchar)),
        any::<bool>().prop_map(|truth| (truth.to_string(), MeasureType::Boolean)),
        (0..i64::MAX).prop_map(|nanos| (nanos.to_string(), MeasureType::Timestamp)),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[^:]{1,20}".prop_filter("not reserved", |name| {
        !["time", "ts_", "measure_"].iter().any(|reserved| name.starts_with(reserved))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is taken is read back as what checking made of it.
    #[test]
    fn what_is_written_is_read_back(
        names in proptest::collection::btree_set(name(), 1..12),
        values in proptest::collection::vec(value_text(), 12),
        dimension_values in proptest::collection::vec(text(), 12),
        split in 0..12_usize,
        multi in any::<bool>(),
        nanos in 0..i64::MAX,
        version in 1..i64::MAX,
    ) {
        let time = nanos.to_string();
        let names: Vec<_> = names.iter().collect();
        let (dimensions, others) = names.split_at(split.min(names.len() - 1));
        let mut record = MeasureRecord::new()
            .measure_name(others[0])
            .time(&time)
            .time_unit(riverbed::measures::TimeUnit::Nanoseconds)
            .version(version);
        for (name, value) in dimensions.iter().zip(&dimension_values) {
            record = record.dimension(name, value);
        }
        record = if multi {
            others.iter().zip(&values).fold(record, |record, (name, (text, kind))| record.value(name, text, *kind))
        } else {
            record.measure_value(&values[0].0).measure_type(values[0].1)
        };
        let checked = riverbed::measures::validate(&none(), std::slice::from_ref(&record), Quotas::Off).unwrap();
        let expected = checked[0].as_ref().unwrap();

        let store = Room::new().options().open("data").unwrap();
        let stream = store.create_stream("metrics", StreamOptions::new()).unwrap();
        let table = MeasureTable::open(&stream, TableOptions::new().any_time().quotas(Quotas::Off)).unwrap();
        table.write_records(&none(), &[record]).unwrap();
        let stored = table.scan(..).next().unwrap().unwrap();
        let found = stored.measure();
        prop_assert_eq!(found.dimensions().collect::<Vec<_>>(), expected.dimensions());
        prop_assert_eq!(found.measure_name(), expected.measure_name());
        prop_assert_eq!((found.time(), found.version()), (expected.time(), expected.version()));
        prop_assert_eq!(found.value().to_value(), expected.value().clone());

        // No shorter, longer or changed record passes for a measure and says something else for it than it holds.
        let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
        let bytes = reader.next().unwrap().unwrap().data().to_vec();
        for end in 0..bytes.len() {
            prop_assert!(MeasureRef::decode(&bytes[..end]).is_err(), "cut off after {} of {}", end, bytes.len());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(MeasureRef::decode(&longer).is_err());
    }
}

#[test]
fn versions_are_known_across_a_split_of_their_shard() {
    let room = Room::new();
    for reopened in [false, true] {
        let store = room.options().open(format!("data-{reopened}")).unwrap();
        let stream = store.create_stream("metrics", StreamOptions::new()).unwrap();
        let open = || MeasureTable::open(&stream, TableOptions::new()).unwrap();
        let table = open();
        table.write_records(&none(), &[load().measure_value("0.1").version(1)]).unwrap();
        let before = table.current(&series(), at(NOW)).unwrap().unwrap().sequence_number();
        stream.update_shard_count(2).unwrap();
        let table = if reopened {
            drop(table);
            open()
        } else {
            table
        };
        let call = rejected(table.write_records(&none(), &[load().measure_value("0.2").version(1)]));
        assert_eq!(call.rejected[0].existing_version, Some(1));
        assert_eq!(
            table.write_records(&none(), &[load().measure_value("0.1").version(1)]).unwrap().unchanged,
            1
        );
        table.write_records(&none(), &[load().measure_value("0.3").version(2)]).unwrap();
        let after = table.current(&series(), at(NOW)).unwrap().unwrap().sequence_number();
        assert_ne!(before.shard_id(), after.shard_id());
        let first = table.as_of(&series(), at(NOW), 1).unwrap().unwrap();
        assert_eq!((first.sequence_number(), first.measure().version()), (before, 1));
        drop(table);
        assert_eq!(current(&open()), Some((2, 0.3)));
    }
}
