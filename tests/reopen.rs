//! Everything acknowledged is there after reopening, in order and unchanged. Guards also against an opening that has to read
//! all that was ever written.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use riverbed::testing::Disk;
use riverbed::{Durability, Maintenance, Position, PutRecord, Store, StreamOptions};

fn read_all(stream: &riverbed::Stream) -> Vec<(u128, String, Vec<u8>)> {
    let mut all = Vec::new();
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            all.push((
                record.sequence_number().as_u128(),
                record.partition_key().unwrap().to_owned(),
                record.data().to_vec(),
            ));
        }
    }
    all
}

#[test]
fn records_survive_a_clean_close_over_many_segments() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let mut before = Vec::new();
    for round in 0..4 {
        let store = Store::options().segment_len(64 * 1024, 128 * 1024).open(&path).unwrap();
        assert!(store.recovery_report().is_clean(), "{:?}", store.recovery_report());
        let stream = match round {
            0 => store.create_stream("s", StreamOptions::new().shards(3)).unwrap(),
            _ => store.open_stream("s").unwrap(),
        };
        assert_eq!(read_all(&stream), before);
        for index in 0..2000 {
            let data = vec![u8::try_from(index % 251).unwrap(); index % 700];
            stream.put(&format!("key-{}", index % 37), &data).unwrap();
        }
        before = read_all(&stream);
        assert_eq!(before.len(), 2000 * (round + 1));
        if round % 2 == 0 {
            store.close().unwrap();
        }
    }
}

#[test]
fn records_survive_without_a_close() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let copy = directory.path().join("copy");
    // Nothing comes and goes in the background while it is copied.
    let options = Store::options().maintenance(Maintenance::Manual);
    let store = options.segment_len(64 * 1024, 128 * 1024).open(&path).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let records: Vec<String> =
        (0..1500).map(|index| format!("data {index} {}", "x".repeat(index % 300))).collect();
    let puts: Vec<_> = records.iter().map(|data| PutRecord::new("k", data)).collect();
    stream.put_records(&puts).all().unwrap();
    stream.put_record(&PutRecord::new("last", b"one").durability(Durability::Immediate)).unwrap();
    let before = read_all(&stream);
    let status = std::process::Command::new("cp").arg("-r").arg(&path).arg(&copy).status().unwrap();
    assert!(status.success());
    let again = Store::open(&copy).unwrap();
    println!("{:#?}", again.recovery_report());
    assert!(!again.recovery_report().is_clean());
    let stream = again.open_stream("s").unwrap();
    assert_eq!(read_all(&stream), before);
    let newest = before.iter().map(|(number, ..)| *number).max().unwrap();
    let put = stream.put("k", b"after").unwrap();
    assert!(put.sequence_number.as_u128() > newest);
    assert_eq!(read_all(&stream).len(), before.len() + 1);
}

#[test]
fn opening_tells_how_far_it_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = Store::open(&path).unwrap();
    store.create_stream("a", StreamOptions::new().shards(5)).unwrap();
    store.create_stream("b", StreamOptions::new().shards(3)).unwrap();
    store.close().unwrap();
    drop(store);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&seen);
    let store = Store::options()
        .on_recovery_progress(move |progress| {
            sink.lock().unwrap().push((progress.shards_done, progress.shards_total));
        })
        .open(&path)
        .unwrap();
    assert!(store.recovery_report().is_clean());
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, (1..=8).map(|done| (done, 8)).collect::<Vec<_>>());
}

#[test]
fn a_writer_that_never_syncs_leaves_few_segments_to_be_read_after_a_crash() {
    let disk = Disk::new();
    let options =
        Store::options().storage(&disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024);
    let store = options.clone().open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().durability(Durability::Buffered)).unwrap();
    // Two go into a segment.
    for number in 0..60_u8 {
        stream.put("k", vec![number; 20_000]).unwrap();
        store.maintain();
    }
    let stats = stream.stats().shards.remove(0);
    assert_eq!((stats.segments, stats.records), (30, 60));
    // The active segment, and no more than a few that are waiting.
    assert!((1..=8).contains(&stats.unsynced), "{} records are not synced", stats.unsynced);
    // What is durable has been put away: its index is beside it.
    let indexes = disk.files().iter().filter(|path| path.extension().is_some_and(|it| it == "index")).count();
    assert!(indexes >= 26, "{indexes} segments have been put away");

    let disk = disk.kill();
    drop((stream, store));
    let store = options.storage(&disk).open("data").unwrap();
    let findings = &store.recovery_report().shards[0].findings;
    assert!(findings.len() <= 6, "{findings:#?}");
    let stream = store.open_stream("s").unwrap();
    assert_eq!(stream.stats().shards[0].records, 60);
}
