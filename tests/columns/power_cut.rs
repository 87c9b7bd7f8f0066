//! Guards against batches that survive a power cut without their schema, in part, or under numbers given before.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use riverbed::testing::{Disk, ManualClock, Verdict};
use riverbed::{Durability, Maintenance, Position, Store, StoreOptions, StreamOptions};

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
