//! Guards against a number that is given twice, or below one that was given before, whoever puts at the same time, and
//! against one said to be durable that no record has.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashSet};
use std::thread;

use proptest::prelude::*;
use riverbed::testing::Disk;
use riverbed::{
    Durability, HashKey, Maintenance, Position, Put, PutRecord, ReadLevel, ReaderOptions, SequenceNumber,
    ShardId, Store, StoreOptions, Stream, StreamOptions,
};

fn write(stream: &Stream, writer: u64) -> Vec<Put> {
    let mut random = fastrand::Rng::with_seed(writer);
    let mut puts: Vec<Put> = Vec::new();
    while puts.len() < 1000 {
        let key = format!("key-{}", random.u8(..20));
        let data = vec![0; random.usize(..500)];
        let durability = if random.u8(..50) == 0 { Durability::Immediate } else { Durability::Buffered };
        if random.bool() {
            let record = PutRecord::new(&key, &data).durability(durability);
            puts.push(stream.put_record(&record).unwrap());
        } else {
            let batch = vec![PutRecord::new(&key, &data); random.usize(1..20)];
            puts.extend(stream.put_records(&batch).all().unwrap());
        }
    }
    puts
}

#[test]
fn concurrent_writers_get_increasing_and_unique_numbers() {
    let disk = Disk::new();
    let mut seen = HashSet::new();
    let mut highest: BTreeMap<_, SequenceNumber> = BTreeMap::new();
    // The second round goes on above the first.
    for round in 0..2_u64 {
        let store = Store::options().storage(&disk).segment_len(64 * 1024, 64 * 1024).open("data").unwrap();
        let stream = match store.open_stream("s") {
            Ok(stream) => stream,
            Err(_) => store.create_stream("s", StreamOptions::new().shards(5)).unwrap(),
        };
        let writers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|writer| {
                    let stream = &stream;
                    scope.spawn(move || write(stream, round * 100 + writer))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let before = highest.clone();
        for puts in &writers {
            let mut last = before.clone();
            for put in puts {
                let number = put.sequence_number;
                assert_eq!(number.shard_id(), put.shard_id);
                assert!(seen.insert(number), "{number} was given twice");
                // Each writer sees its shard's numbers grow.
                let last = last.insert(put.shard_id, number);
                assert!(last < Some(number), "{number} after {last:?}");
                let highest = highest.entry(put.shard_id).or_insert(number);
                *highest = number.max(*highest);
            }
        }
        // What is stored is what was given, in order.
        let mut stored = 0;
        for shard in stream.shards() {
            let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
            let mut last = None;
            while let Some(record) = reader.next().unwrap() {
                let number = record.sequence_number();
                assert!(last < Some(number) && seen.contains(&number));
                last = Some(number);
                stored += 1;
            }
        }
        assert_eq!(stored, seen.len());
        store.close().unwrap();
    }
}

#[test]
fn the_durable_number_is_that_of_a_record() {
    fn options(disk: &Disk) -> StoreOptions {
        Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
    }
    /// What is said to be durable, and the last record that a reader of what is durable sees.
    fn said_and_seen(stream: &Stream, shard: ShardId) -> (Option<SequenceNumber>, Option<SequenceNumber>) {
        let said = stream.durable_sequence_number(shard).unwrap();
        assert_eq!(stream.shard_stats(shard).unwrap().durable_sequence_number, said);
        let level = ReaderOptions::new().level(ReadLevel::Durable);
        let mut reader = stream.reader_with(shard, Position::TrimHorizon, level).unwrap();
        let mut seen = None;
        while let Some(record) = reader.next().unwrap() {
            seen = Some(record.sequence_number());
        }
        (said, seen)
    }
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let parent = stream.shards()[0].id;
    assert_eq!(said_and_seen(&stream, parent), (None, None));
    // Over several segments, some of them behind what is durable.
    let put = |stream: &Stream, count: usize| {
        (0..count).fold(None, |_, _| Some(stream.put("k", [1; 10_000]).unwrap().sequence_number))
    };
    let durable = put(&stream, 3);
    stream.sync().unwrap();
    put(&stream, 20);
    assert_eq!(said_and_seen(&stream, parent), (durable, durable));
    let durable = {
        stream.sync().unwrap();
        stream.stats().shards[0].newest.map(|(number, _)| number)
    };
    assert_eq!(said_and_seen(&stream, parent), (durable, durable));

    // Numbers go on above a bound after an unclean end.
    drop((store, stream));
    let disk = {
        let store = options(&disk).open("data").unwrap();
        put(&store.open_stream("s").unwrap(), 1);
        disk.kill()
    };
    let store = options(&disk).open("data").unwrap();
    let stream = store.open_stream("s").unwrap();
    let newest = stream.stats().shards[0].newest.map(|(number, _)| number);
    assert!(newest > durable);
    assert_eq!(said_and_seen(&stream, parent), (newest, newest));

    // And above its parents' in a shard that has had no record.
    for child in stream.split_shard(parent, HashKey::from(1 << 127)).unwrap() {
        assert_eq!(said_and_seen(&stream, child), (None, None));
    }
    let last = put(&stream, 1);
    stream.sync().unwrap();
    assert_eq!(said_and_seen(&stream, last.unwrap().shard_id()), (last, last));
    drop((store, stream));
    let read_only = options(&disk).open_read_only("data").unwrap();
    let followed = read_only.open_stream("s").unwrap();
    assert_eq!(followed.durable_sequence_number(parent).unwrap(), newest);
    assert_eq!(followed.durable_sequence_number(last.unwrap().shard_id()).unwrap(), last);
}

#[test]
fn numbers_order_by_counter_and_carry_their_shard() {
    let number = |text: &str| text.parse::<SequenceNumber>().unwrap();
    assert_eq!(number("0").as_u128(), 0);
    let (one, other) = (number("4294967299"), number("8589934593"));
    assert_eq!((one.counter(), one.shard_id().as_u32()), (1, 3));
    assert_eq!((other.counter(), other.shard_id().as_u32()), (2, 1));
    assert!(one < other);
    assert!(SequenceNumber::try_from(1_u128 << 96).is_err());
    assert_eq!(SequenceNumber::try_from((1_u128 << 96) - 1).unwrap().counter(), u64::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_what_their_text_says(counter: u64, shard: u32) {
        let whole = u128::from(counter) << 32 | u128::from(shard);
        let number = SequenceNumber::try_from(whole).unwrap();
        prop_assert_eq!((number.counter(), number.shard_id().as_u32()), (counter, shard));
        prop_assert_eq!(number.as_u128(), whole);
        prop_assert_eq!(u128::from(number), whole);
        prop_assert_eq!(number.to_string(), whole.to_string());
        prop_assert_eq!(number.to_string().parse::<SequenceNumber>().unwrap(), number);
    }

    #[test]
    fn no_other_text_is_a_number(text: String) {
        if let Ok(number) = text.parse::<SequenceNumber>() {
            prop_assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn the_order_is_that_of_the_integers(one in 0..1_u128 << 96, other in 0..1_u128 << 96) {
        let [first, second] = [one, other].map(|number| SequenceNumber::try_from(number).unwrap());
        prop_assert_eq!(first.cmp(&second), one.cmp(&other));
    }
}
