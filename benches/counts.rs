//! The hot paths for `.ci/counts.py`, which counts their instructions under callgrind: those do not depend on what else the
//! machine is doing. Run without it, this only checks that the paths work.
//!
//! Each path is one function that is not inlined, so that callgrind can be told to count in it alone.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use riverbed::{
    Durability, PartitionKey, Position, PutRecord, Reader, ReaderOptions, Store, Stream, StreamOptions,
};

/// Records a path handles; `.ci/counts.py` divides by it.
const RECORDS: usize = 20_000;
const BATCH: usize = 500;

#[inline(never)]
fn counted_put(stream: &Stream, key: &PartitionKey, data: &[u8]) {
    for _ in 0..RECORDS {
        black_box(stream.put(key, black_box(data)).unwrap());
    }
}

/// As many keys as there are records: each must be hashed.
#[inline(never)]
fn counted_put_string_key(stream: &Stream, keys: &[String], data: &[u8]) {
    for key in keys {
        black_box(stream.put(black_box(key), black_box(data)).unwrap());
    }
}

#[inline(never)]
fn counted_put_repeated_key(stream: &Stream, data: &[u8]) {
    for _ in 0..RECORDS {
        black_box(stream.put(black_box("sensor-000000042"), black_box(data)).unwrap());
    }
}

#[inline(never)]
fn counted_put_records(stream: &Stream, records: &[PutRecord<'_>]) {
    for _ in 0..RECORDS / BATCH {
        black_box(stream.put_records(black_box(records)));
    }
}

#[inline(never)]
fn counted_next_unverified(reader: &mut Reader) -> usize {
    let mut bytes = 0;
    while let Some(record) = reader.next().unwrap() {
        bytes += black_box(record.data()).len();
    }
    bytes
}

// Differs from the one above, so that the compiler does not make one function of them.
#[inline(never)]
fn counted_next_verified(reader: &mut Reader) -> usize {
    let mut bytes = 0;
    while let Some(record) = reader.next().unwrap() {
        bytes += black_box(record.data()).len();
    }
    black_box(bytes)
}

#[inline(never)]
fn counted_to_bytes(reader: &mut Reader) -> usize {
    let mut bytes = 0;
    while let Some(record) = reader.next().unwrap() {
        bytes += black_box(record.to_bytes()).len();
    }
    bytes
}

fn main() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::options()
        .durability(Durability::Buffered)
        .segment_len(16 << 20, 16 << 20)
        .open(directory.path().join("data"))
        .unwrap();
    let stream = |name, shards| store.create_stream(name, StreamOptions::new().shards(shards)).unwrap();
    let data = [7; 100];
    let key = PartitionKey::new("sensor-000000042").unwrap();
    let keys: Vec<_> = (0..BATCH).map(|index| format!("sensor-{index:09}")).collect();
    let records: Vec<_> = keys.iter().map(|key| PutRecord::new(key, &data)).collect();

    // Keys are hashed where there are several shards to choose from.
    let (single, batches) = (stream("single", 1), stream("batches", 4));
    let (text, repeated) = (stream("text", 4), stream("repeated", 4));
    // Not counted: what only the first record of a shard costs.
    for stream in [&single, &text, &repeated, &batches] {
        stream.put(&key, []).unwrap();
        stream.put_records(&records).all().unwrap();
    }
    counted_put(&single, &key, &data);
    let distinct: Vec<_> = (0..RECORDS).map(|index| format!("sensor-{index:09}")).collect();
    counted_put_string_key(&text, &distinct, &data);
    counted_put_repeated_key(&repeated, &data);
    counted_put_records(&batches, &records);

    let reader = |verify| {
        let options = ReaderOptions::new().verify(verify);
        let mut reader = single.reader_with(key_shard(&single), Position::TrimHorizon, options).unwrap();
        for _ in 0..=BATCH {
            assert!(reader.next().unwrap().is_some());
        }
        reader
    };
    for bytes in [
        counted_next_unverified(&mut reader(false)),
        counted_next_verified(&mut reader(true)),
        counted_to_bytes(&mut reader(false)),
    ] {
        assert_eq!(bytes, RECORDS * data.len());
    }
    store.close().unwrap();
}

fn key_shard(stream: &Stream) -> riverbed::ShardId {
    stream.shards().first().unwrap().id
}
