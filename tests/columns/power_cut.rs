//! Guards against batches that survive a power cut without their schema, in part, or under numbers given before.

use std::sync::Arc;

use arrow_array::{Int64Array, NullArray, RecordBatch};
use riverbed::testing::{Disk, ManualClock, Verdict};
use riverbed::{Durability, Maintenance, Position, PutRecord, Store, StoreOptions, StreamOptions};

use crate::arrays::{batch_of, plain_batch};

fn options(disk: &Disk, clock: &ManualClock) -> StoreOptions {
    Store::options().storage(disk).clock(clock.clone()).maintenance(Maintenance::Manual)
}

/// A batch whose rows say what they are; a further column for each generation of schema.
fn batch(generation: usize, value: i64, rows: usize) -> RecordBatch {
    let mut columns = vec![("id".to_owned(), Arc::new(Int64Array::from(vec![value; rows])) as _)];
    for n in 0..generation {
        columns.push((format!("extra {n}"), plain_batch(value, rows).column(1).clone()));
    }
    batch_of(columns)
}

#[test]
fn what_is_acknowledged_comes_back_whole_with_its_schema_and_numbers_do_not_come_back() {
    let mut cuts = 0;
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut disk = Disk::new();
        let clock = ManualClock::default();
        // The batches that must be there, and those that may be.
        let mut all: Vec<(u64, RecordBatch, bool)> = Vec::new();
        let mut next = 0_i64;
        let mut generation = 0;
        for _life in 0..4 {
            let at = disk.steps() + rng.u64(1..80);
            let kill = rng.u8(..4) == 0;
            let stop = if kill { Verdict::Kill } else { Verdict::CutPower { seed: rng.u64(..) } };
            disk.plan(move |call| if call.step >= at { stop } else { Verdict::Proceed });
            let _ = live(&disk, &clock, &mut rng, &mut all, &mut next, &mut generation);
            cuts += 1;
            disk = disk.power_on();
            clock.advance(std::time::Duration::from_secs(1));
            check(&disk, &clock, &mut all, seed);
        }
    }
    assert!(cuts >= 1000);
}

fn live(
    disk: &Disk,
    clock: &ManualClock,
    rng: &mut fastrand::Rng,
    all: &mut Vec<(u64, RecordBatch, bool)>,
    next: &mut i64,
    generation: &mut usize,
) -> Option<()> {
    let store = options(disk, clock).open("data").ok()?;
    let stream = match store.open_stream("rows") {
        Ok(stream) => stream,
        Err(_) => store.create_stream("rows", StreamOptions::new()).ok()?,
    };
    loop {
        *generation += usize::from(rng.u8(..8) == 0 && *generation < 6);
        let immediate = rng.bool();
        let durability = if immediate { Durability::Immediate } else { Durability::Buffered };
        let columns = stream.columns().durability(durability);
        let batch = batch(*generation, *next, rng.usize(1..40));
        *next += 1;
        match columns.put_batch("key", &batch) {
            Ok(put) => {
                let first = put.sequence_numbers.unwrap().0.counter();
                if immediate {
                    all.iter_mut().for_each(|(_, _, durable)| *durable = true);
                }
                all.push((first, batch, immediate));
            }
            Err(error) => {
                // Appended, but the sync failed.
                if let Some((first, _)) = error.put().sequence_numbers {
                    all.push((first.counter(), batch, false));
                }
                return None;
            }
        }
    }
}

fn check(disk: &Disk, clock: &ManualClock, all: &mut Vec<(u64, RecordBatch, bool)>, seed: u64) {
    let store = options(disk, clock).open("data").unwrap();
    let Ok(stream) = store.open_stream("rows") else {
        assert!(all.is_empty(), "seed {seed}");
        return;
    };
    let shard_id = stream.shards()[0].id;
    let mut reader = stream.columns().reader(shard_id, Position::TrimHorizon).unwrap();
    let mut found = Vec::new();
    while let Some(read) = reader.next().unwrap() {
        found.push((read.sequence_number().counter(), read.rows().clone()));
    }
    let mut expected = all.iter();
    for (number, rows) in &found {
        let (_, batch, _) = expected
            .find(|(first, _, durable)| {
                first == number || {
                    assert!(!durable, "seed {seed}: lost {first}");
                    false
                }
            })
            .unwrap_or_else(|| panic!("seed {seed}: {number} was never put"));
        assert_eq!(rows, batch, "seed {seed}");
    }
    assert!(expected.all(|(_, _, durable)| !durable), "seed {seed}: a durable batch is lost");
    let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
    let highest = all.iter().map(|(first, batch, _)| first + batch.num_rows() as u64).max().unwrap_or(0);
    all.retain(|(first, _, _)| numbers.contains(first));
    all.iter_mut().for_each(|(_, _, durable)| *durable = true);
    let put = stream.columns().durability(Durability::Immediate).put_batch("key", &batch(6, -1, 3)).unwrap();
    let first = put.sequence_numbers.unwrap().0.counter();
    assert!(first >= highest, "seed {seed}: {first} was given before, up to {highest}");
    all.push((first, batch(6, -1, 3), true));
    let report = Store::options().storage(disk).verify("data").unwrap();
    assert!(!report.is_damaged(), "seed {seed}: {:?}", report.faults);
}

/// Puts so many rows that have no bytes, and returns the last one's number.
fn put_nothing(stream: &riverbed::Stream, rows: usize, durability: Durability) -> u64 {
    let batch = batch_of(vec![("nothing".to_owned(), Arc::new(NullArray::new(rows)) as _)]);
    let put = stream.columns().durability(durability).put_batch("key", &batch).unwrap();
    put.sequence_numbers.unwrap().1.counter()
}

/// A segment may hand out far more numbers than the ones behind it: all of them must be counted, also when nothing is left of
/// the segment behind that would say with which number it began, and when a recovery is stopped before it is through.
#[test]
fn numbers_of_lost_rows_do_not_come_back_whatever_lies_behind() {
    // Each of these has no room in the segment before, and so begins one.
    let begun = [5_000_000, 1, 600_000, 1];
    let (mut lost, mut stopped) = (0, 0);
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut disk = Disk::new();
        let options = |disk: &Disk| {
            Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
        };
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("rows", StreamOptions::new()).unwrap();
        let durable = put_nothing(&stream, 1, Durability::Immediate);
        let mut highest = durable;
        for rows in &begun[..rng.usize(1..=begun.len())] {
            highest = put_nothing(&stream, *rows, Durability::Buffered);
        }
        if rng.bool() {
            // More than half a segment, so that one is prepared that is not used.
            stream.put_record(&PutRecord::new("key", &[1; 40_000]).durability(Durability::Buffered)).unwrap();
            store.maintain();
            highest += 1;
        }
        disk = disk.cut_power(rng.u64(..));
        drop((store, stream));
        for _ in 0..rng.u8(..3) {
            let at = disk.steps() + rng.u64(..60);
            let stop = if rng.bool() { Verdict::Kill } else { Verdict::CutPower { seed: rng.u64(..) } };
            disk.plan(move |call| if call.step >= at { stop } else { Verdict::Proceed });
            drop(options(&disk).open("data"));
            stopped += u32::from(disk.is_off());
            disk = disk.power_on();
        }

        let verified = Store::options().storage(&disk).verify("data").unwrap();
        assert!(!verified.is_damaged(), "seed {seed}: {:?}", verified.faults);
        let store = options(&disk).open("data").unwrap();
        let report = store.recovery_report();
        assert!(!report.is_damaged(), "seed {seed}: {report:#?}");
        let stream = store.open_stream("rows").unwrap();
        let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
        let mut last = None;
        while let Some(record) = reader.next().unwrap() {
            last = Some(record.last_sequence_number().counter());
        }
        let last = last.unwrap();
        assert!(last >= durable);
        lost += u32::from(last < highest);
        let given = put_nothing(&stream, 1, Durability::Immediate);
        assert!(given > highest, "seed {seed}: {given} was given before, up to {highest}: {report:#?}");
        drop((store, stream));
        let verified = Store::options().storage(&disk.kill()).verify("data").unwrap();
        assert!(!verified.is_damaged(), "seed {seed}: {:?}", verified.faults);
    }
    assert!(lost > 100 && stopped > 100, "{lost} lost something, {stopped} recoveries were stopped");
}

/// What a recovery has written when it is stopped must not say less than what it found: where a segment was sealed before it was
/// known above which number, the next recovery would count from there.
#[test]
fn numbers_of_lost_rows_do_not_come_back_at_whichever_step_a_recovery_is_stopped() {
    let options = |disk: &Disk| {
        Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
    };
    let mut stopped = 0;
    for seed in 0..200 {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("rows", StreamOptions::new()).unwrap();
        put_nothing(&stream, 1, Durability::Immediate);
        // The second begins a segment, since the one that was made for the first hands out no more numbers.
        put_nothing(&stream, 5_000_000, Durability::Buffered);
        let highest = put_nothing(&stream, 1, Durability::Buffered);
        let found = disk.cut_power(seed);
        drop((store, stream));
        // Only where the segment of the many rows has lost them, and nothing is left of the next one.
        let store = options(&found.duplicate().unwrap()).open("data").unwrap();
        let report = store.recovery_report();
        let findings: Vec<_> =
            report.findings().map(|(_, it)| (it.row.letter(), it.recovered_records)).collect();
        if !findings.ends_with(&[('C', 0), ('E', 0)]) {
            continue;
        }
        stopped += 1;
        for step in 0.. {
            let disk = found.duplicate().unwrap();
            disk.plan(move |call| if call.step >= step { Verdict::Kill } else { Verdict::Proceed });
            drop(options(&disk).open("data"));
            let finished = !disk.is_off();
            let disk = disk.kill();

            let store = options(&disk).open("data").unwrap();
            let report = store.recovery_report();
            assert!(!report.is_damaged(), "seed {seed}, step {step}: {report:#?}");
            let given = put_nothing(&store.open_stream("rows").unwrap(), 1, Durability::Immediate);
            assert!(given > highest, "seed {seed}, step {step}: {given} was given before: {report:#?}");
            if finished {
                break;
            }
        }
    }
    assert!(stopped > 2, "{stopped} histories");
}
