//! Guards against trusting an index: it may be missing, cut off, damaged or another segment's, and no answer may change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use riverbed::testing::ManualClock;
use riverbed::{
    Maintenance, Position, SequenceNumber, Store, StoreOptions, Stream, StreamOptions, Timestamp,
};
use tempfile::TempDir;

const START: Timestamp = Timestamp::from_millis(1_000_000_000_000);

fn options() -> StoreOptions {
    let clock = ManualClock::new(START.saturating_add(Duration::from_secs(1_000_000)));
    Store::options().clock(clock).maintenance(Maintenance::Manual).segment_len(256 * 1024, 256 * 1024)
}

/// What becomes of the index at this place; `None` when it is deleted.
type Damage<'a> = Box<dyn FnMut(usize) -> Option<Vec<u8>> + 'a>;

/// A closed store of several sealed segments, all with their indexes.
fn closed_store() -> (TempDir, PathBuf, Vec<(SequenceNumber, Timestamp)>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let clock = ManualClock::new(START);
    let store = options().clock(clock.clone()).open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for index in 0..4000_u32 {
        clock.advance(Duration::from_secs(u64::from(index % 3)));
        let mut data = index.to_le_bytes().to_vec();
        data.resize(random.usize(4..500), 2);
        stream.put("k", &data).unwrap();
        if index % 100 == 0 {
            store.maintain();
        }
    }
    clock.advance(Duration::from_secs(1000));
    while store.maintain() > 0 {
        clock.advance(Duration::from_secs(10));
    }
    let mut records = Vec::new();
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    while let Some(record) = reader.next().unwrap() {
        records.push((record.sequence_number(), record.arrival_time()));
    }
    assert_eq!(records.len(), 4000);
    store.close().unwrap();
    (directory, path, records)
}

fn indexes(path: &Path) -> Vec<PathBuf> {
    let shard = path.join("streams/s/shard-000000");
    let files = fs::read_dir(shard).unwrap().map(|entry| entry.unwrap().path());
    let mut indexes: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "index")).collect();
    indexes.sort();
    indexes
}

fn check(stream: &Stream, records: &[(SequenceNumber, Timestamp)], what: &str) {
    let shard = stream.shards()[0].id;
    let next = |position| {
        let mut reader = stream.reader(shard, position).unwrap();
        let record = reader.next().unwrap();
        record.map(|record| (record.sequence_number(), record.arrival_time()))
    };
    for (index, &(number, time)) in records.iter().enumerate().step_by(7) {
        assert_eq!(next(Position::AtSequenceNumber(number)), Some(records[index]), "{what}");
        assert_eq!(next(Position::AfterSequenceNumber(number)), records.get(index + 1).copied(), "{what}");
        let first = records.partition_point(|record| record.1 < time);
        assert_eq!(next(Position::AtTimestamp(time)), Some(records[first]), "{what}");
    }
    let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
    let mut count = 0;
    while reader.next().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, records.len(), "{what}");
}

#[test]
fn no_damage_of_an_index_changes_an_answer() {
    let (_directory, path, records) = closed_store();
    let files = indexes(&path);
    assert!(files.len() >= 3, "sealed segments have saved their indexes: {files:?}");
    let good: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut random = fastrand::Rng::with_seed(4);
    let mut damages: Vec<(&str, Damage<'_>)> = vec![
        ("as it was", Box::new(|at| Some(good[at].clone()))),
        ("deleted", Box::new(|_| None)),
        ("empty", Box::new(|_| Some(Vec::new()))),
        ("cut in half", Box::new(|at| Some(good[at][..good[at].len() / 2].to_vec()))),
        ("cut by one byte", Box::new(|at| Some(good[at][..good[at].len() - 1].to_vec()))),
        ("zeros", Box::new(|at| Some(vec![0; good[at].len()]))),
        ("too long", Box::new(|at| Some([&good[at][..], &[0; 24]].concat()))),
        ("of another segment", Box::new(|at| Some(good[(at + 1) % good.len()].clone()))),
    ];
    damages.push((
        "noise",
        Box::new(|at| {
            let mut noise = vec![0; good[at].len()];
            fastrand::Rng::with_seed(9).fill(&mut noise);
            Some(noise)
        }),
    ));
    for _ in 0..20 {
        let place = random.usize(..);
        let bit = random.u8(..8);
        let good = &good;
        damages.push((
            "a flipped bit",
            Box::new(move |at| {
                let mut bytes = good[at].clone();
                let place = place % bytes.len();
                bytes[place] ^= 1 << bit;
                Some(bytes)
            }),
        ));
    }
    for (what, mut damage) in damages {
        for (at, file) in files.iter().enumerate() {
            match damage(at) {
                Some(bytes) => fs::write(file, bytes).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
        }
        let store = options().open(&path).unwrap();
        assert!(!store.recovery_report().is_damaged(), "{what}: {:#?}", store.recovery_report());
        check(&store.open_stream("s").unwrap(), &records, what);
        store.close().unwrap();
    }
}

#[test]
fn an_index_damaged_while_the_store_is_open_changes_nothing_either() {
    let (_directory, path, records) = closed_store();
    let store = options().max_mapped_segments(0).open(&path).unwrap();
    let stream = store.open_stream("s").unwrap();
    check(&stream, &records, "before");
    for file in indexes(&path) {
        fs::write(file, "no index").unwrap();
    }
    check(&stream, &records, "overwritten");
    for file in indexes(&path) {
        fs::remove_file(file).unwrap();
    }
    check(&stream, &records, "deleted");
    store.close().unwrap();
}
