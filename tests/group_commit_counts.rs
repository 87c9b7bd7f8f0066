//! Callers that wait for the disk at the same time share a sync.
//!
//! Guards against a group commit that syncs once per record. Counts, and measures no time: how many records a sync
//! makes durable depends on the disk; that they are more than one with sixteen writers does not.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says its counts"
)]

use riverbed::{Durability, Position, Store, StreamOptions};

const RECORDS: usize = 640;

#[test]
fn writers_share_syncs() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    for writers in [1, 4, 16, 64] {
        let options = StreamOptions::new().durability(Durability::Immediate);
        let stream = store.create_stream(&format!("writers-{writers}"), options).unwrap();
        let shard = stream.shards().first().unwrap().id;
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let stream = &stream;
                scope.spawn(move || {
                    for index in 0..RECORDS / writers {
                        let put = stream.put("key", format!("{writer} {index} {}", "x".repeat(240))).unwrap();
                        let durable = stream.durable_sequence_number(shard).unwrap();
                        assert!(durable >= Some(put.sequence_number), "acknowledged before it was durable");
                    }
                });
            }
        });
        let stats = stream.shard_stats(shard).unwrap();
        let syncs = usize::try_from(stats.syncs).unwrap();
        let (whole, tenths) = (RECORDS / syncs, RECORDS * 10 / syncs % 10);
        println!("{writers} writers: {RECORDS} records in {syncs} syncs, {whole}.{tenths} records a sync");
        assert!(syncs <= RECORDS, "more syncs than records");
        assert!(writers != 16 || syncs < RECORDS, "sixteen writers share no sync");
        let mut reader = stream.reader(shard, Position::TrimHorizon).unwrap();
        let mut read = 0;
        while reader.next().unwrap().is_some() {
            read += 1;
        }
        assert_eq!(read, RECORDS);
    }
}
