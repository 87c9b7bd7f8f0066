//! Guards against storing part of what was refused, against limits that are off by one (keys count in characters,
//! records in bytes), and against a stream that still takes records after it was closed or deleted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use riverbed::testing::Disk;
use riverbed::{
    CreateStreamError, HashKey, Maintenance, NameError, PartitionKey, PartitionKeyError, Position, PutError,
    PutRecord, SequenceNumber, ShardId, Store, Stream, StreamError, StreamOptions,
};

const MAX_RECORD: usize = 10 * 1024 * 1024;
const MAX_METADATA: usize = 64 * 1024;

fn store() -> Store {
    let options = Store::options().storage(&Disk::new()).maintenance(Maintenance::Manual);
    options.segment_len(64 * 1024, 64 * 1024).open("data").unwrap()
}

fn stored(stream: &Stream) -> u64 {
    let mut count = 0;
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while reader.next().unwrap().is_some() {
            count += 1;
        }
    }
    assert_eq!(count, stream.stats().shards.iter().map(|stats| stats.records).sum::<u64>());
    count
}

/// Puts by each of the ways there are, which must agree.
fn put_all_ways(stream: &Stream, record: &PutRecord<'_>) -> Result<(), PutError> {
    let alone = stream.put_record(record);
    let among = stream.put_records(&[*record]).into_results().pop().unwrap();
    match (alone, among) {
        (Ok(_), Ok(_)) => Ok(()),
        (Err(alone), Err(among)) => {
            assert_eq!(alone.to_string(), among.to_string());
            Err(alone)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_have_1_to_256_characters() {
    let store = store();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for (key, count) in [
        (String::new(), 0),
        ("a".repeat(257), 257),
        ("\u{e9}".repeat(257), 257),
        ("\u{1f30a}".repeat(257), 257),
        ("a".repeat(100_000), 100_000),
    ] {
        match put_all_ways(&stream, &PutRecord::new(&key, b"x")) {
            Err(PutError::PartitionKey(PartitionKeyError { characters })) => assert_eq!(characters, count),
            other => panic!("{other:?}"),
        }
        assert!(stream.put(&key, b"x").is_err());
        assert_eq!(PartitionKey::new(&key), Err(PartitionKeyError { characters: count }));
        // Also where the key does not choose the shard.
        let explicit = PutRecord::new(&key, b"x").explicit_hash_key(HashKey::from(0));
        assert!(matches!(stream.put_record(&explicit), Err(PutError::PartitionKey(_))));
    }
    assert_eq!(stored(&stream), 0);

    let keys = ["a".to_owned(), "\0".to_owned(), "a".repeat(256), "\u{1f30a}".repeat(256)];
    for key in &keys {
        stream.put(key, b"text").unwrap();
        stream.put(&PartitionKey::new(key).unwrap(), b"hashed").unwrap();
    }
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    for key in &keys {
        for data in ["text", "hashed"] {
            let record = reader.next().unwrap().unwrap();
            assert_eq!((record.partition_key().unwrap(), record.data()), (key.as_str(), data.as_bytes()));
        }
    }
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn ten_mebibytes_with_the_key_and_not_one_more() {
    let store = store();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    for key in ["k", "\u{1f30a}\u{1f30a}", &"\u{1f30a}".repeat(256)] {
        let data = vec![7; MAX_RECORD - key.len() + 1];
        match put_all_ways(&stream, &PutRecord::new(key, &data)) {
            Err(PutError::RecordTooLarge { len, max }) => {
                assert_eq!((len, max), (MAX_RECORD + 1, MAX_RECORD));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(stored(&stream), 0);
    }
    let data = vec![7; MAX_RECORD];
    stream.put("\u{1f30a}", &data[4..]).unwrap();
    // The metadata comes on top.
    let metadata = vec![9; MAX_METADATA];
    stream.put_record(&PutRecord::new("k", &data[1..]).metadata(&metadata)).unwrap();
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    assert!(reader.next().unwrap().unwrap().data() == &data[4..]);
    let record = reader.next().unwrap().unwrap();
    assert!(record.data() == &data[1..] && record.metadata() == metadata);
    // Nothing is fine too.
    stream.put("k", b"").unwrap();
    assert_eq!(stored(&stream), 3);
}

#[test]
fn metadata_up_to_64_kibibytes() {
    let store = store();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let metadata = vec![9; MAX_METADATA + 1];
    match put_all_ways(&stream, &PutRecord::new("k", b"v").metadata(&metadata)) {
        Err(PutError::MetadataTooLarge { len, max }) => {
            assert_eq!((len, max), (MAX_METADATA + 1, MAX_METADATA));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(stored(&stream), 0);
    put_all_ways(&stream, &PutRecord::new("k", b"v").metadata(&metadata[1..])).unwrap();
    let mut reader = stream.reader(stream.shards()[0].id, Position::TrimHorizon).unwrap();
    assert!(reader.next().unwrap().unwrap().metadata() == &metadata[1..]);
}

#[test]
fn the_number_for_ordering_is_an_earlier_one_of_the_shard() {
    let store = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let [zero, one] = [0, u128::MAX].map(HashKey::from);
    let record = |hash_key| PutRecord::new("k", b"v").explicit_hash_key(hash_key);
    let number = |counter: u64, shard: u32| {
        SequenceNumber::try_from(u128::from(counter) << 32 | u128::from(shard)).unwrap()
    };

    // Nothing has been put yet: every number is of the future.
    let first = put_all_ways(&stream, &record(zero).sequence_number_for_ordering(number(0, 0)));
    assert!(matches!(first, Err(PutError::OrderingInFuture { number: n }) if n == number(0, 0)), "{first:?}");
    let put = stream.put_record(&record(zero)).unwrap();
    stream.put_record(&record(one)).unwrap();

    let other = put_all_ways(&stream, &record(one).sequence_number_for_ordering(put.sequence_number));
    match other {
        Err(PutError::OrderingOfOtherShard { number, shard_id }) => {
            assert_eq!((number, shard_id), (put.sequence_number, ShardId::new(1)));
        }
        other => panic!("{other:?}"),
    }
    for future in [number(u64::MAX, 0), number(put.sequence_number.counter() + 1, 0)] {
        let outcome = put_all_ways(&stream, &record(zero).sequence_number_for_ordering(future));
        assert!(matches!(outcome, Err(PutError::OrderingInFuture { number }) if number == future));
    }
    let unknown = put_all_ways(&stream, &record(zero).sequence_number_for_ordering(number(0, 7)));
    assert!(matches!(unknown, Err(PutError::OrderingOfOtherShard { .. })));
    assert_eq!(stored(&stream), 2);

    // Valid: the last one, and any before it.
    let ordered = record(zero).sequence_number_for_ordering(put.sequence_number);
    let second = stream.put_record(&ordered).unwrap();
    assert!(second.sequence_number > put.sequence_number);
    let third = stream.put_record(&ordered).unwrap();
    assert!(third.sequence_number > second.sequence_number);
    // A batch may refer to what it has only just put itself.
    let next = number(third.sequence_number.counter() + 1, 0);
    let batch = [record(zero), record(zero).sequence_number_for_ordering(next)];
    stream.put_records(&batch).all().unwrap();
    assert_eq!(stored(&stream), 6);
}

#[test]
fn a_closed_store_takes_nothing() {
    let store = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    stream.put("k", b"v").unwrap();
    store.close().unwrap();
    let outcome = put_all_ways(&stream, &PutRecord::new("k", b"v"));
    assert!(matches!(outcome, Err(PutError::Closed)), "{outcome:?}");
    // A shard that has never been written to has no segment to refuse it.
    for hash_key in [0, u128::MAX].map(HashKey::from) {
        let outcome = put_all_ways(&stream, &PutRecord::new("k", b"v").explicit_hash_key(hash_key));
        assert!(matches!(outcome, Err(PutError::Closed)), "{outcome:?}");
    }
    assert_eq!(stored(&stream), 1, "what is there can be read on");
}

#[test]
fn a_deleted_stream_takes_nothing() {
    let store = store();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    stream.put("k", b"v").unwrap();
    store.delete_stream("s").unwrap();
    for hash_key in [0, u128::MAX].map(HashKey::from) {
        let outcome = put_all_ways(&stream, &PutRecord::new("k", b"v").explicit_hash_key(hash_key));
        assert!(matches!(outcome, Err(PutError::Closed)), "{outcome:?}");
    }
    // One of the same name is another stream.
    let another = store.create_stream("s", StreamOptions::new()).unwrap();
    assert!(matches!(stream.put("k", b"v"), Err(PutError::Closed)));
    assert_eq!(stored(&another), 0);
    another.put("k", b"v").unwrap();
}

#[test]
fn streams_with_bad_names_or_shard_counts_are_not_created() {
    let store = store();
    let long = "x".repeat(129);
    for bad in ["", ".", "..", "a/b", "../a", "a b", "\u{e9}", "a\0b", "a\n", &long] {
        match store.create_stream(bad, StreamOptions::new()) {
            Err(CreateStreamError::Name(NameError { name })) => assert_eq!(name, bad),
            other => panic!("{bad:?}: {other:?}"),
        }
        assert!(matches!(store.delete_stream(bad), Err(StreamError::Name(_))), "{bad:?}");
        assert!(store.open_stream(bad).is_err(), "{bad:?}");
    }
    for count in [0, 100_001, u32::MAX] {
        match store.create_stream("s", StreamOptions::new().shards(count)) {
            Err(CreateStreamError::ShardCount { shards }) => assert_eq!(shards, count),
            other => panic!("{other:?}"),
        }
    }
    assert!(store.list_streams().is_empty());

    let longest = "x".repeat(128);
    for good in ["s", "A-b_c.9", "...", ".tmp", &longest] {
        store.create_stream(good, StreamOptions::new()).unwrap();
        match store.create_stream(good, StreamOptions::new().shards(3)) {
            Err(CreateStreamError::Exists { name }) => assert_eq!(name, good),
            other => panic!("{other:?}"),
        }
        assert_eq!(store.open_stream(good).unwrap().shards().len(), 1, "the present one stays as it is");
    }
    // Names are compared byte by byte.
    store.create_stream("S", StreamOptions::new()).unwrap();
    assert_eq!(store.list_streams().len(), 6);
}

#[test]
fn unknown_streams_are_neither_opened_nor_deleted() {
    let store = store();
    store.create_stream("s", StreamOptions::new()).unwrap();
    for outcome in [store.open_stream("t").map(drop), store.delete_stream("t")] {
        match outcome {
            Err(StreamError::NotFound { name }) => assert_eq!(name, "t"),
            other => panic!("{other:?}"),
        }
    }
    store.delete_stream("s").unwrap();
    assert!(matches!(store.delete_stream("s"), Err(StreamError::NotFound { .. })));
    assert!(matches!(store.open_stream("s"), Err(StreamError::NotFound { .. })));
}
