//! Guards against a reader that sees part of a record, misses one, or sees one twice, while others write.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use riverbed::{Durability, Position, Store, StreamOptions};

#[test]
fn readers_follow_writers_over_many_segments() {
    const WRITERS: u64 = 3;
    const RECORDS: u64 = 4_000;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::options()
        .durability(Durability::Buffered)
        .segment_len(64 * 1024, 128 * 1024)
        .open(directory.path().join("data"))
        .unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let stream = stream.clone();
            scope.spawn(move || {
                for index in 0..RECORDS {
                    let mut data =
                        vec![u8::try_from(index % 256).unwrap(); usize::try_from(index % 257).unwrap()];
                    data.extend_from_slice(&index.to_le_bytes());
                    stream.put(&format!("writer {writer}"), &data).unwrap();
                }
            });
        }
        for shard in stream.shards() {
            // One that looks again and again comes closer to what is being written than one that is woken.
            for waits in [true, false] {
                let stream = stream.clone();
                let mine: Vec<_> = (0..WRITERS)
                    .map(|writer| format!("writer {writer}"))
                    .filter(|key| stream.shard_for_key(key.as_str()) == Some(shard.id))
                    .collect();
                scope.spawn(move || {
                    let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
                    let mut next = vec![0_u64; mine.len()];
                    let mut last = None;
                    while next.iter().any(|&next| next < RECORDS) {
                        match reader.next().unwrap() {
                            Some(record) => {
                                let key = record.partition_key().unwrap();
                                let writer = mine.iter().position(|mine| mine == key).unwrap();
                                let (filler, index) = record.data().split_last_chunk::<8>().unwrap();
                                assert_eq!(u64::from_le_bytes(*index), next[writer], "order of {key}");
                                assert!(filler.iter().all(|&byte| u64::from(byte) == next[writer] % 256));
                                assert!(last < Some(record.sequence_number()));
                                last = Some(record.sequence_number());
                                next[writer] += 1;
                            }
                            None if waits => {
                                reader.wait(Duration::from_secs(3600)).unwrap();
                            }
                            None => std::thread::yield_now(),
                        }
                    }
                });
            }
        }
    });
}
