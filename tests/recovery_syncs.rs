//! What recovery makes durable, and when. Guards against records of many segments that are served before they are durable, because
//! segments are synced ahead of being read, against an opening that goes on when one of these syncs has failed, against a
//! recovery that stops among its seals, against slots and names that are taken for durable because they were found, and against openings
//! that sync for every crash there ever was.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use riverbed::testing::{Disk, Operation, Verdict};
use riverbed::{Durability, Maintenance, Position, PutRecord, Store, StoreOptions, Stream, StreamOptions};

/// How many records a killed process has left.
const LEFT: u8 = 25;

fn options(disk: &Disk, maintenance: Maintenance) -> StoreOptions {
    Store::options().storage(disk).maintenance(maintenance).segment_len(64 * 1024, 64 * 1024)
}

fn put(stream: &Stream, byte: u8, durability: Durability) {
    stream.put_record(&PutRecord::new("k", &vec![byte; 10_000]).durability(durability)).unwrap();
}

/// The first byte of each record, in the order of their numbers.
fn records(stream: &Stream) -> Vec<u8> {
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    let mut found = Vec::new();
    let mut numbers = BTreeSet::new();
    while let Some(record) = reader.next().unwrap() {
        assert!(numbers.last().is_none_or(|last| *last < record.sequence_number()), "numbers ascend");
        numbers.insert(record.sequence_number());
        assert!(record.data().iter().all(|byte| *byte == record.data()[0]));
        found.push(record.data()[0]);
    }
    found
}

/// What a killed process has left: one durable record, the others in segments that nobody has synced.
fn left() -> Disk {
    let disk = Disk::new();
    let store = options(&disk, Maintenance::Manual).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    put(&stream, 0, Durability::Immediate);
    (1..LEFT).for_each(|byte| put(&stream, byte, Durability::Buffered));
    disk.kill()
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "segment")
}

fn segments(disk: &Disk) -> Vec<String> {
    let files = disk.files().into_iter().filter(|path| is_segment(path));
    let mut segments: Vec<_> = files.map(|path| path.to_str().unwrap().to_owned()).collect();
    segments.sort();
    segments
}

#[test]
fn what_is_served_is_durable() {
    for (seed, maintenance) in
        (0..24).map(|seed| (seed, if seed < 4 { Maintenance::Manual } else { Maintenance::Threads }))
    {
        let disk = left();
        assert!(segments(&disk).len() > 3);
        let store = options(&disk, maintenance).open("data").unwrap();
        assert_eq!(records(&store.open_stream("s").unwrap()), (0..LEFT).collect::<Vec<_>>());
        let disk = disk.cut_power(seed);
        drop(store);
        let store = options(&disk, maintenance).open("data").unwrap();
        assert!(store.recovery_report().findings().all(|(_, finding)| finding.recovered_records == 0));
        assert!(!store.recovery_report().is_damaged(), "{:?}", store.recovery_report());
        assert_eq!(records(&store.open_stream("s").unwrap()), (0..LEFT).collect::<Vec<_>>());
    }
}

#[test]
fn a_failed_sync_of_any_segment_is_an_error() {
    for maintenance in [Maintenance::Manual, Maintenance::Threads] {
        for segment in segments(&left()) {
            let disk = left();
            let failing = segment.clone();
            disk.plan(move |call| match call.operation {
                Operation::SyncData if call.path.to_str() == Some(&failing) => {
                    Verdict::Fail(ErrorKind::Other)
                }
                _ => Verdict::Proceed,
            });
            let error = options(&disk, maintenance).open("data").unwrap_err().to_string();
            assert!(error.contains("sync") && error.contains(&segment), "{error}");
        }
    }
}

/// Whether the power goes or the process, at whichever step: what is found afterwards is in order, whole up to where it ends, and
/// stays; and it is everything when the process was killed.
#[test]
fn a_recovery_of_many_segments_that_stops_at_any_step_is_done_again() {
    for step in 0.. {
        let mut finished = false;
        for seed in 0..4 {
            let disk = left();
            let first = disk.steps();
            let stop = if seed == 0 { Verdict::Kill } else { Verdict::CutPower { seed } };
            disk.plan(move |call| if call.step >= first + step { stop } else { Verdict::Proceed });
            let store = options(&disk, Maintenance::Manual).open("data");
            finished = !disk.is_off();
            let disk = disk.power_on();
            drop(store);

            let store = options(&disk, Maintenance::Manual).open("data").unwrap();
            assert!(!store.recovery_report().is_damaged(), "step {step}: {:#?}", store.recovery_report());
            let stream = store.open_stream("s").unwrap();
            let found = records(&stream);
            assert!(
                !found.is_empty() && found == (0..LEFT).take(found.len()).collect::<Vec<_>>(),
                "{found:?}"
            );
            assert!(seed != 0 || found.len() == usize::from(LEFT), "step {step}: {found:?}");
            put(&stream, 100, Durability::Immediate);
            let disk = disk.cut_power(seed);
            drop((store, stream));

            let store = options(&disk, Maintenance::Manual).open("data").unwrap();
            assert!(!store.recovery_report().is_damaged(), "step {step}: {:#?}", store.recovery_report());
            let expected: Vec<_> = found.into_iter().chain([100]).collect();
            assert_eq!(records(&store.open_stream("s").unwrap()), expected, "step {step}, seed {seed}");
        }
        if finished {
            assert!(step > 30, "recovery had no steps");
            return;
        }
    }
}

#[test]
fn a_crash_that_was_recovered_from_costs_later_openings_no_sync() {
    let disk = left();
    for byte in [100, 101] {
        let store = options(&disk, Maintenance::Threads).open("data").unwrap();
        put(&store.open_stream("s").unwrap(), byte, Durability::Immediate);
        store.close().unwrap();
    }
    let syncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&syncs);
    disk.plan(move |call| {
        counted.fetch_add(usize::from(call.operation == Operation::SyncData), Ordering::Relaxed);
        Verdict::Proceed
    });
    let store = options(&disk, Maintenance::Threads).open("data").unwrap();
    assert!(store.recovery_report().is_clean(), "{:?}", store.recovery_report());
    assert_eq!(records(&store.open_stream("s").unwrap()).len(), usize::from(LEFT) + 2);
    assert_eq!(syncs.load(Ordering::Relaxed), 0);
}

/// What a process has left that was killed while it closed the store: the last slot, which says that nothing follows, is written and
/// not synced.
fn killed_while_closing(records: u8) -> Disk {
    let close = |writes: usize| {
        let disk = Disk::new();
        let store = options(&disk, Maintenance::Manual).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        (0..records).for_each(|byte| put(&stream, byte, Durability::Immediate));
        let written = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&written);
        disk.plan(move |call| {
            if counted.load(Ordering::Relaxed) == writes {
                return Verdict::Kill;
            }
            let is_slot = call.operation == Operation::Write && is_segment(call.path);
            counted.fetch_add(usize::from(is_slot), Ordering::Relaxed);
            Verdict::Proceed
        });
        let closed = store.close().is_ok();
        (disk, closed, written.load(Ordering::Relaxed))
    };
    let (_, closed, writes) = close(usize::MAX);
    assert!(closed);
    let (disk, closed, _) = close(writes);
    assert!(!closed);
    disk.power_on()
}

/// The next process changes something in the segment that was being closed, and the power goes while its slot is made durable.
#[test]
fn a_segment_that_was_being_closed_survives_a_power_cut_while_it_is_changed() {
    type Change = fn(&Stream) -> bool;
    let put: Change = |stream| stream.put("k", [100; 10]).is_ok();
    let trim: Change = |stream| stream.trim_to(stream.stats().shards[0].newest.unwrap().0).is_ok();
    for (change, records_put, must_keep) in [(put, 3, 0..3), (trim, 12, 11..12)] {
        for (seed, failing) in (0..200).flat_map(|seed| [(seed, 0), (seed, 1)]) {
            let disk = killed_while_closing(records_put);
            let store = options(&disk, Maintenance::Manual).open("data").unwrap();
            let stream = store.open_stream("s").unwrap();
            let syncs = AtomicUsize::new(0);
            disk.plan(move |call| match call.operation {
                Operation::SyncData if syncs.fetch_add(1, Ordering::Relaxed) >= failing => {
                    Verdict::CutPower { seed }
                }
                _ => Verdict::Proceed,
            });
            let changed = change(&stream);
            assert_eq!(changed, !disk.is_off());
            let disk = if changed { disk.cut_power(seed) } else { disk.power_on() };
            drop((store, stream));
            let store = options(&disk, Maintenance::Manual).open("data").unwrap();
            assert!(!store.recovery_report().is_damaged(), "{seed}: {:?}", store.recovery_report());
            let found = records(&store.open_stream("s").unwrap());
            assert!(must_keep.clone().all(|byte| found.contains(&byte)), "{seed}: {found:?}");
        }
    }
}

/// A process is killed before the name of its first segment is durable, the next one after it has made that segment an empty one. The
/// power goes while the third gives the next segment its name.
#[test]
fn names_that_a_killed_process_left_are_durable_before_the_next_one() {
    for seed in 0..100 {
        let stops_at_names = |disk: &Disk, stop| {
            disk.plan(move |call| match call.operation {
                Operation::SyncDir if call.path.ends_with("shard-000000") => stop,
                _ => Verdict::Proceed,
            });
        };
        let disk = Disk::new();
        let store = options(&disk, Maintenance::Manual).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new()).unwrap();
        stops_at_names(&disk, Verdict::Kill);
        assert!(stream.put("k", "never put").is_err());
        let disk = disk.power_on();
        drop((store, stream));

        let store = options(&disk, Maintenance::Manual).open("data").unwrap();
        let disk = disk.kill();
        drop(store);

        let store = options(&disk, Maintenance::Manual).open("data").unwrap();
        let stream = store.open_stream("s").unwrap();
        stops_at_names(&disk, Verdict::CutPower { seed });
        assert!(stream.put("k", "not put either").is_err());
        let disk = disk.power_on();
        drop((store, stream));

        let store = options(&disk, Maintenance::Manual).open("data").unwrap();
        assert!(!store.recovery_report().is_damaged(), "{seed}: {:?}", store.recovery_report());
        assert!(records(&store.open_stream("s").unwrap()).is_empty());
    }
}
