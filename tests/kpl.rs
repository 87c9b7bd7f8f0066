//! Guards against packed records that AWS's libraries cannot read, or that were read wrongly, and against a packing writer
//! that loses, doubles or reorders records, also while shards are split.
#![cfg(all(feature = "kpl", feature = "writer"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use proptest::prelude::*;
use riverbed::kpl::{AggregatingSink, Aggregator, UnpackError, UserRecord, is_packed, unpack, unpack_within};
use riverbed::testing::Disk;
use riverbed::write::{BatchWriter, Outcome, Sink, WriteOptions, WriteRecord};
use riverbed::{
    Durability, HashKey, HashKeyRange, Maintenance, OwnedRecord, Position, PutRecord, ReaderOptions,
    ShardFilter, Store, Stream, StreamOptions,
};

const GOLDEN: &[u8] = include_bytes!("golden/kpl.bin");

fn user_records() -> Vec<(&'static str, Option<HashKey>, Vec<u8>)> {
    vec![
        ("user-42", None, b"hello".to_vec()),
        ("user-7", Some(HashKey::MAX), "größer".as_bytes().to_vec()),
        ("user-42", None, Vec::new()),
        ("\u{2713}", Some(HashKey::MIN), (0..=255).collect()),
        ("user-7", Some(HashKey::MIN), b"last".to_vec()),
    ]
}

fn stream(shards: u32) -> Stream {
    let options = Store::options().storage(&Disk::new()).maintenance(Maintenance::Manual);
    let store = options.open("data").unwrap();
    store.create_stream("s", StreamOptions::new().shards(shards)).unwrap()
}

fn read_all(stream: &Stream) -> Vec<OwnedRecord> {
    let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        records.push(record.to_owned());
    }
    records
}

/// A record with these data, as it is read.
fn stored(data: &[u8]) -> OwnedRecord {
    let stream = stream(1);
    stream.put("outer", data).unwrap();
    read_all(&stream).remove(0)
}

#[test]
fn what_awss_library_packs_is_unpacked() {
    let record = stored(GOLDEN);
    let found = unpack(&record).unwrap();
    assert_eq!(found.len(), 5);
    for ((place, found), (key, hash_key, data)) in (0..).zip(&found).zip(user_records()) {
        assert_eq!((found.partition_key(), found.explicit_hash_key()), (key, hash_key));
        assert_eq!(found.data()[..], data);
        assert_eq!((found.sequence_number(), found.sub_sequence_number()), (record.sequence_number(), place));
        assert!(found.is_packed());
        // In place: nothing was copied.
        if !data.is_empty() {
            let outer = record.data().as_ptr_range();
            assert!(outer.contains(&found.data().as_ptr()));
        }
    }
    let low = HashKeyRange { start: HashKey::MIN, end: HashKey::from(5) };
    let within: Vec<_> =
        unpack_within(&record, low).unwrap().iter().map(UserRecord::sub_sequence_number).collect();
    assert_eq!(within, [3, 4]);
}

#[test]
fn what_is_packed_here_is_what_awss_library_packs() {
    let mut aggregator = Aggregator::new();
    for (key, hash_key, data) in user_records() {
        assert!(aggregator.add(key, hash_key, &data).unwrap());
    }
    let packed = aggregator.finish().unwrap();
    assert_eq!(packed.data()[..], *GOLDEN);
    assert_eq!(packed.user_records(), 5);
    assert!(aggregator.finish().is_none());
}

#[test]
fn a_record_that_is_not_packed_is_its_own_user_record() {
    let flipped = |at: usize| {
        let mut data = GOLDEN.to_vec();
        data[at] ^= 1;
        data
    };
    for data in [Vec::new(), b"plain".to_vec(), GOLDEN[..19].to_vec(), flipped(0), flipped(30), flipped(390)]
    {
        assert!(!is_packed(&data));
        let found = unpack(&stored(&data)).unwrap();
        assert_eq!((found.len(), found[0].partition_key(), found[0].is_packed()), (1, "outer", false));
        assert_eq!(found[0].data()[..], data);
    }
}

/// Seals any message as a producer would.
fn seal(message: &[u8]) -> Vec<u8> {
    let mut data = vec![0xf3, 0x89, 0x9a, 0xc2];
    data.extend_from_slice(message);
    data.extend_from_slice(&Md5::digest(message));
    data
}

/// Guards against a record that takes its reader's memory: one long key, copied for each of millions of user records.
#[test]
fn partition_keys_are_checked_and_shared() {
    let packed = |key: &str, records: usize| {
        let mut message = vec![0x0a];
        prost::encoding::encode_varint(key.len() as u64, &mut message);
        message.extend_from_slice(key.as_bytes());
        message.extend_from_slice(&b"\x1a\x04\x08\x00\x1a\x00".repeat(records));
        stored(&seal(&message))
    };
    for key in [String::new(), "k".repeat(257), "k".repeat(5 << 20)] {
        let error = unpack(&packed(&key, 800_000)).unwrap_err();
        let UnpackError::Malformed { reason, .. } = error else { panic!("{error:?}") };
        assert!(reason.contains(&format!("a partition key of {} characters", key.len())), "{reason}");
        assert!(Aggregator::new().add(&key, None, b"data").is_err());
    }
    let longest = "\u{1F30D}".repeat(256);
    assert!(Aggregator::new().add(&longest, None, b"data").unwrap());
    let found = unpack(&packed(&longest, 1000)).unwrap();
    assert_eq!(found.len(), 1000);
    let first = found[0].partition_key();
    assert_eq!(first, longest);
    assert!(found.iter().all(|record| std::ptr::eq(record.partition_key(), first)));
}

#[test]
fn a_packed_record_that_makes_no_sense_is_an_error_that_says_why() {
    // A record that refers to a partition key which is not in the table; a hash key that is no number; a cut-off field.
    for (message, reason) in [
        (&b"\x1a\x04\x08\x00\x1a\x00"[..], "no partition key 0"),
        (b"\x0a\x01k\x12\x01x\x1a\x06\x08\x00\x10\x00\x1a\x00", "'x'"),
        (b"\x0a\x01k\x1a\x06\x08\x00\x10\x07\x1a\x00", "no explicit hash key 7"),
        (b"\x0a\x7fk", ""),
    ] {
        let error = unpack(&stored(&seal(message))).unwrap_err();
        let UnpackError::Malformed { reason: found, .. } = error else { panic!("{error:?}") };
        assert!(found.contains(reason), "{found}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packing_and_unpacking_changes_nothing(
        records in proptest::collection::vec(
            ("[a-c]{1,2}", proptest::option::of(0..4_u128), proptest::collection::vec(any::<u8>(), 0..400)), 1..40),
        max_len in 20..2000_usize,
    ) {
        let mut aggregator = Aggregator::with_max_len(max_len);
        let mut packed = Vec::new();
        for (key, hash_key, data) in &records {
            let hash_key = hash_key.map(HashKey::from);
            if !aggregator.add(key, hash_key, data).unwrap() {
                packed.extend(aggregator.finish());
                prop_assert!(aggregator.add(key, hash_key, data).unwrap());
            }
        }
        packed.extend(aggregator.finish());
        let stream = stream(1);
        for packed in &packed {
            prop_assert!(packed.data().len() <= max_len || packed.user_records() == 1);
            stream.put_record(&packed.as_put()).unwrap();
        }
        let mut found = Vec::new();
        for record in read_all(&stream) {
            found.extend(unpack(&record).unwrap());
        }
        prop_assert_eq!(found.len(), records.len());
        for (found, (key, hash_key, data)) in found.iter().zip(&records) {
            prop_assert_eq!(found.partition_key(), key);
            prop_assert_eq!(found.explicit_hash_key(), hash_key.map(HashKey::from));
            prop_assert_eq!(&found.data()[..], &data[..]);
        }
    }
}

#[test]
fn a_packing_writer_keeps_every_record_and_its_order_while_shards_are_split_and_merged() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let options = WriteOptions::new().batch_size(200);
    let writer = BatchWriter::builder(AggregatingSink::new(stream.clone()).max_len(2000)).options(options);
    let writer = writer.start().unwrap();
    let rounds = 300_u32;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..rounds {
                for key in 0..20 {
                    let mut record = WriteRecord::new(format!("key-{key}"), round.to_string());
                    if (round + key) % 50 == 0 {
                        record = record.metadata("not for packing");
                    }
                    writer.write(record).unwrap();
                }
            }
        });
        for target in [4, 2, 3, 6, 3, 2, 1, 2, 4] {
            stream.update_shard_count(target).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
    });
    writer.close().unwrap();
    let mut next: BTreeMap<String, u32> = BTreeMap::new();
    let mut records = 0;
    for shard in stream.list_shards(ShardFilter::All) {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            records += 1;
            // None is in a shard that it does not belong to.
            for found in unpack_within(&record.to_owned(), shard.range).unwrap() {
                let expected = next.entry(found.partition_key().to_owned()).or_default();
                assert_eq!(found.data()[..], *expected.to_string().as_bytes(), "{}", found.partition_key());
                *expected += 1;
            }
        }
    }
    assert_eq!(next.len(), 20);
    assert!(next.values().all(|count| *count == rounds), "{next:?}");
    assert!(records < 20 * rounds / 5, "{records} records: hardly packed");
}

#[test]
fn a_bad_key_fails_alone() {
    let stream = stream(1);
    let mut sink = AggregatingSink::new(stream.clone());
    let batch = ["a", "", "b"].map(|key| WriteRecord::new(key, "x")).to_vec();
    let outcomes = sink.write(&batch);
    let accepted: Vec<_> = outcomes.iter().map(|outcome| matches!(outcome, Outcome::Accepted(_))).collect();
    assert_eq!(accepted, [true, false, true]);
    stream.put_record(&PutRecord::new("c", b"y")).unwrap();
    assert_eq!(read_all(&stream).len(), 3);
}

/// Guards against an acknowledgement that promises more than the packed record does.
#[test]
fn packed_records_are_as_durable_as_what_is_in_them() {
    let disk = Disk::new();
    let options = || {
        let options = Store::options().storage(&disk).maintenance(Maintenance::Manual);
        options.durability(Durability::Buffered)
    };
    let store = options().open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let mut sink = AggregatingSink::new(stream.clone());
    let record = |number: usize| WriteRecord::new("k", number.to_string());
    let unsynced = |stream: &Stream| stream.stats().shards[0].unsynced;
    assert_eq!(written(&mut sink, &[record(0), record(1)]), 2);
    assert_eq!(unsynced(&stream), 1, "one packed record, not yet on disk");
    let batch = [record(2), record(3).durability(Durability::Immediate), record(4)];
    assert_eq!(written(&mut sink, &batch), 3);
    assert_eq!(unsynced(&stream), 0);
    let numbers: Vec<_> = read_all(&stream)
        .iter()
        .flat_map(|record| unpack(record).unwrap())
        .map(|record| String::from_utf8(record.data().to_vec()).unwrap())
        .collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4"]);
}

/// How many of a batch the sink accepts.
fn written(sink: &mut AggregatingSink, batch: &[WriteRecord]) -> usize {
    let outcomes = sink.write(batch);
    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted(_))).count()
}

/// Guards against packing more than a record may have, which would lose everything that is in it.
#[test]
fn nothing_is_packed_that_is_longer_than_a_record_may_be() {
    const MIB: usize = 1 << 20;
    let stream = stream(1);
    let mut sink = AggregatingSink::new(stream.clone()).max_len(usize::MAX);
    let batch: Vec<_> =
        [6, 3, 6, 11, 1].map(|mib| WriteRecord::new("k", vec![mib; usize::from(mib) * MIB])).into();
    let outcomes = sink.write(&batch);
    let rejected: Vec<_> = outcomes.iter().map(|outcome| matches!(outcome, Outcome::Rejected(_))).collect();
    assert_eq!(rejected, [false, false, false, true, false], "a record of 11 MiB fails alone");
    let found: Vec<_> = read_all(&stream).iter().map(|record| unpack(record).unwrap().len()).collect();
    assert_eq!(found, [2, 1, 1]);
}

/// On a disk that fills and empties, in a stream with limits, by way of the writer's retries.
#[cfg(all(feature = "limits", feature = "line-protocol"))]
#[test]
fn packed_points_land_once_and_in_order_on_a_full_disk_and_through_limits() {
    use riverbed::line_protocol::FieldValueRef;
    use riverbed::point::{Point, PointDecoder, PointEncoder, PointOptions};
    use riverbed::testing::ManualClock;
    use riverbed::{Limits, PutError, Timestamp};

    let disk = Disk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let store = Store::options()
        .storage(&disk)
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .segment_len(64 * 1024, 128 * 1024)
        .limits(Limits::NONE.records_in(20))
        .open("data")
        .unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(3)).unwrap();
    let refusals = std::sync::Arc::new(std::sync::Mutex::new((0, 0)));
    let (count, room) = (std::sync::Arc::clone(&refusals), disk.clone());
    let second = std::time::Duration::from_secs(1);
    let options = WriteOptions::new().batch_size(100).max_items(500).max_retries(10_000);
    let writer = BatchWriter::builder(AggregatingSink::new(stream.clone()).max_len(1000))
        .options(options.max_retry_time(second * 1_000_000).max_close_wait(second * 1_000_000))
        .seed(1)
        .on_retry(move |retry| {
            let mut count = count.lock().unwrap();
            match retry.error {
                PutError::StorageFull { .. } => {
                    count.0 += 1;
                    room.set_capacity((count.0 % 3 != 0).then_some(0));
                }
                PutError::ThroughputExceeded { .. } => count.1 += 1,
                error => panic!("{error}"),
            }
        })
        .on_error(|lost| panic!("{lost:?}"))
        .start_manual(clock.clone());
    let encoder = PointEncoder::new(PointOptions::new()).clock(clock);
    for number in 0..8000_i64 {
        if number % 800 == 0 {
            disk.set_capacity(Some(disk.used()));
        }
        let point = Point::new("m").tag("series", (number % 20).to_string()).field("number", number);
        writer.write(encoder.encode(&point).unwrap()).unwrap();
    }
    writer.close().unwrap();
    assert_eq!(writer.stats().written, 8000, "{:?}", writer.stats());
    let (full, throttled) = *refusals.lock().unwrap();
    assert!(full > 5 && throttled > 20, "{full} times full, {throttled} times throttled");

    let mut next: BTreeMap<String, i64> = BTreeMap::new();
    let (mut decoder, mut packed) = (PointDecoder::new(), 0);
    for record in read_all(&stream) {
        for record in unpack(&record).unwrap() {
            packed += usize::from(record.is_packed());
            let stored = decoder.decode_user_record(&record).unwrap();
            assert_eq!(stored.sequence_number(), record.sequence_number());
            let Some(FieldValueRef::Integer(number)) = stored.point().field("number") else {
                panic!("{record:?}")
            };
            let series = stored.point().series_key().to_string();
            let expected = next.entry(series).or_insert(number % 20);
            assert_eq!(number, *expected);
            *expected += 20;
        }
    }
    assert_eq!(next.len(), 20);
    assert!(next.into_values().all(|next| next >= 8000), "something is missing");
    assert!(packed > 6000, "only {packed} of the points were packed");
}
