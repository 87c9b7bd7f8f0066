//! Guards against a record landing in another shard than Kinesis would put it in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::num::NonZeroU32;
use std::path::Path;

use riverbed::{HashKey, HashKeyRange, PartitionKey, PutRecord, Store, StreamOptions};

/// Checks a table of keys in hexadecimal, hash keys, and shards for the counts named in the header's `_N`.
fn check(csv: &str) -> usize {
    let mut lines = csv.lines();
    let counts: Vec<u32> = lines
        .next()
        .unwrap()
        .split(',')
        .skip(2)
        .map(|name| name.rsplit('_').next().unwrap().parse().unwrap())
        .collect();
    let ranges: Vec<_> =
        counts.iter().map(|&count| HashKeyRange::uniform(NonZeroU32::new(count).unwrap())).collect();
    let of_7 = counts.iter().position(|count| *count == 7).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(7)).unwrap();
    let mut checked = 0;
    for line in lines {
        let fields: Vec<_> = line.split(',').collect();
        let bytes: Vec<u8> = (0..fields[0].len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&fields[0][at..at + 2], 16).unwrap())
            .collect();
        let key = String::from_utf8(bytes).unwrap();
        let hash_key = HashKey::of(&key);
        assert_eq!(hash_key.to_string(), fields[1], "{key}");
        assert_eq!(PartitionKey::new(&key).unwrap().hash_key(), hash_key);
        // As a key that is new, and as one that has just been hashed.
        for _ in 0..2 {
            let shard = stream.shard_for_key(&key).unwrap();
            assert_eq!(shard.as_u32().to_string(), fields[2 + of_7], "{key}");
        }
        for (ranges, expected) in ranges.iter().zip(&fields[2..]) {
            let shard = ranges.iter().position(|range| range.contains(hash_key)).unwrap();
            assert_eq!(shard.to_string(), *expected, "{key} of {}", ranges.len());
        }
        checked += 1;
    }
    checked
}

#[test]
fn our_golden_vectors() {
    assert_eq!(check(include_str!("golden/routing.csv")), 172);
}

#[test]
fn kinesalite_vectors() {
    let path = std::env::var("RIVERBED_VECTORS").unwrap_or_else(|_| {
        format!("{}/../shared/reference/md5_shard_vectors.csv", env!("CARGO_MANIFEST_DIR"))
    });
    if !Path::new(&path).exists() {
        println!("skipped kinesalite_vectors: there is no {path}; RIVERBED_VECTORS can name another");
        return;
    }
    assert_eq!(check(&std::fs::read_to_string(path).unwrap()), 261);
}

#[test]
fn a_stream_routes_by_the_same_ranges() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(7)).unwrap();
    let shards = stream.shards();
    for index in 0..200 {
        let key = format!("key {index}");
        let put = stream.put(&key, b"x").unwrap();
        let owner = shards.iter().find(|shard| shard.range.contains(HashKey::of(&key))).unwrap();
        assert_eq!((put.shard_id, stream.shard_for_key(&key)), (owner.id, Some(owner.id)));
    }
    for shard in &shards {
        for hash_key in [shard.range.start, shard.range.end] {
            let put =
                stream.put_record(&PutRecord::new("elsewhere", b"x").explicit_hash_key(hash_key)).unwrap();
            assert_eq!(put.shard_id, shard.id);
        }
    }
}

/// Threads remember the hash keys of keys that they have put under. Whatever came before, a key's own must be taken.
#[test]
fn keys_that_come_again_go_where_they_went_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(7)).unwrap();
    let shards = stream.shards();
    let owner = |key: &str| shards.iter().find(|shard| shard.range.contains(HashKey::of(key))).unwrap().id;
    // The same, a few in turn, so many that they cannot all be remembered, each the beginning of the next one, and those again.
    let one = (0..20).map(|_| "user-42".to_owned());
    let few = (0..200).map(|index| format!("user-{}", index % 10));
    let many = (0..2000).map(|index| format!("sensor-{index:09}"));
    let longer = (1..=256).map(|len| "user-42-".chars().cycle().take(len).collect());
    let keys: Vec<String> = one.chain(few).chain(many).chain(longer).collect();
    let put_all = || {
        for key in keys.iter().chain(keys.iter().rev()) {
            assert_eq!(stream.put(key, b"x").unwrap().shard_id, owner(key), "{key}");
            assert_eq!(stream.shard_for_key(key), Some(owner(key)), "{key}");
            let elsewhere = PutRecord::new(key, b"x").explicit_hash_key(HashKey::MAX);
            assert_eq!(stream.put_record(&elsewhere).unwrap().shard_id, shards[6].id);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(put_all);
        put_all();
    });
}

/// A batch's keys are hashed together, whatever is among them; a record by itself is not.
#[test]
fn a_batch_routes_as_single_records_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(16)).unwrap();
    // Keys of one to seventeen of MD5's blocks, of which some are of one length and some are too long.
    let texts: Vec<String> = (0..400)
        .map(|index| match index % 5 {
            0 => format!("user-{index}"),
            1 => "\u{1f30a}".repeat(index % 256 + 1),
            2 => "k".repeat(index % 257),
            3 => format!("{index:k<55}"),
            _ => format!("{index:k<56}"),
        })
        .collect();
    let known = PartitionKey::new("known").unwrap();
    let records: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| match index % 11 {
            3 => PutRecord::new(&known, text),
            7 => PutRecord::new(text, text).explicit_hash_key(HashKey::from(u128::MAX / 400 * index as u128)),
            _ => PutRecord::new(text, text),
        })
        .collect();
    for len in [1, 2, 3, 31, 32, 33, records.len()] {
        let results = stream.put_records(&records[..len]).into_results();
        assert_eq!(results.len(), len);
        for (record, result) in records.iter().zip(results) {
            let alone = stream.put_record(record).map(|put| put.shard_id);
            assert_eq!(result.map(|put| put.shard_id).ok(), alone.ok(), "{}", record.partition_key());
        }
    }
}
