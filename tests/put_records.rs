//! Guards against a batch whose results are not those of its records (which would have the caller put the wrong ones
//! again), that fails as a whole, that mixes up the order within a key, or that is acknowledged before it is durable.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;

use riverbed::testing::Disk;
use riverbed::{
    Durability, Maintenance, Position, Put, PutError, PutRecord, Store, StoreOptions, Stream, StreamOptions,
};

fn options(disk: &Disk) -> StoreOptions {
    Store::options().storage(disk).maintenance(Maintenance::Manual).segment_len(64 * 1024, 64 * 1024)
}

/// Each record's data and key, by shard and number.
fn read(stream: &Stream) -> HashMap<Put, (String, Vec<u8>)> {
    let mut found = HashMap::new();
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let put = Put { shard_id: shard.id, sequence_number: record.sequence_number() };
            found.insert(put, (record.partition_key().unwrap().to_owned(), record.data().to_vec()));
        }
    }
    found
}

#[test]
fn results_come_in_the_order_of_the_records_over_all_shards() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(16)).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut last_of_key: HashMap<String, Put> = HashMap::new();
    let mut all = HashMap::new();
    for round in 0..40 {
        // Large enough, now and then, to roll in the middle of a batch.
        let records: Vec<_> = (0..random.usize(1..200))
            .map(|index| {
                let mut data = format!("{round}/{index}/").into_bytes();
                data.resize(data.len() + random.usize(..2000), b'x');
                (format!("key-{}", random.u8(..50)), data)
            })
            .collect();
        let batch: Vec<_> = records.iter().map(|(key, data)| PutRecord::new(key, data)).collect();
        let puts = stream.put_records(&batch);
        assert_eq!((puts.results().len(), puts.failed_record_count()), (batch.len(), 0));
        for ((key, data), put) in records.into_iter().zip(puts.all().unwrap()) {
            assert_eq!(Some(put.shard_id), stream.shard_for_key(&key));
            assert_eq!(put.shard_id, put.sequence_number.shard_id());
            // The same key keeps its order, within the batch and from one to the next.
            if let Some(before) = last_of_key.insert(key.clone(), put) {
                assert_eq!(before.shard_id, put.shard_id);
                assert!(before.sequence_number < put.sequence_number);
            }
            assert!(all.insert(put, (key, data)).is_none(), "{put:?} was given twice");
        }
    }
    assert!(read(&stream) == all);
}

#[test]
fn each_record_fails_by_itself() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(4)).unwrap();
    let long_key = "k".repeat(257);
    let large = vec![0; 10 * 1024 * 1024];
    let metadata = vec![0; 64 * 1024 + 1];
    let elsewhere = (0..)
        .map(|n| format!("e{n}"))
        .find(|key| stream.shard_for_key(key.as_str()) != stream.shard_for_key("good-0"));
    let other = stream.put(elsewhere.as_deref().unwrap(), b"elsewhere").unwrap().sequence_number;
    let records = [
        PutRecord::new("good-0", b"0"),
        PutRecord::new("", b"1"),
        PutRecord::new("good-0", b"2"),
        PutRecord::new(&long_key, b"3"),
        PutRecord::new("k", &large),
        PutRecord::new("good-5", b"5"),
        PutRecord::new("k", b"6").metadata(&metadata),
        PutRecord::new("good-0", b"7").sequence_number_for_ordering(other),
        PutRecord::new("good-8", b"8"),
    ];
    let puts = stream.put_records(&records);
    assert_eq!(puts.failed_record_count(), 5);
    assert_eq!(puts.failed().map(|(index, _)| index).collect::<Vec<_>>(), [1, 3, 4, 6, 7]);
    let mut errors = puts.failed().map(|(_, error)| error);
    assert!(matches!(errors.next(), Some(PutError::PartitionKey(_))));
    assert!(matches!(errors.next(), Some(PutError::PartitionKey(_))));
    assert!(matches!(errors.next(), Some(PutError::RecordTooLarge { .. })));
    assert!(matches!(errors.next(), Some(PutError::MetadataTooLarge { .. })));
    assert!(matches!(errors.next(), Some(PutError::OrderingOfOtherShard { .. })));
    drop(errors);
    let found = read(&stream);
    assert_eq!(found.len(), 5);
    for (index, result) in puts.results().iter().enumerate() {
        if let Ok(put) = result {
            assert_eq!(found[put].1, index.to_string().as_bytes());
        }
    }
    assert!(matches!(puts.clone().all(), Err(PutError::PartitionKey(_))), "the first error");
    assert_eq!(puts.into_results().len(), records.len());
}

#[test]
fn an_immediate_batch_is_durable_when_it_returns() {
    for seed in 0..30 {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("s", StreamOptions::new().shards(4)).unwrap();
        let records: Vec<_> = (0..50).map(|n| (format!("key-{n}"), vec![n; 3000])).collect();
        let batch: Vec<_> = records
            .iter()
            .map(|(key, data)| PutRecord::new(key, data).durability(Durability::Immediate))
            .collect();
        let puts = stream.put_records(&batch).all().unwrap();
        for put in &puts {
            assert!(stream.durable_sequence_number(put.shard_id).unwrap() >= Some(put.sequence_number));
        }
        // The strictest of a shard's records holds for all of that shard.
        let mixed = [
            PutRecord::new("key-0", b"first").durability(Durability::Buffered),
            PutRecord::new("key-0", b"second").durability(Durability::Immediate),
            PutRecord::new("key-0", b"third").durability(Durability::Buffered),
        ];
        let mixed = stream.put_records(&mixed).all().unwrap();
        let disk = disk.cut_power(seed);
        drop((store, stream));

        let store = options(&disk).open("data").unwrap();
        let found = read(&store.open_stream("s").unwrap());
        for (put, (key, data)) in puts.iter().zip(&records) {
            assert!(found.get(put) == Some(&(key.clone(), data.clone())), "seed {seed}: {put:?} is lost");
        }
        for put in mixed {
            assert!(found.contains_key(&put), "seed {seed}: {put:?} is lost");
        }
    }
}

#[test]
fn an_empty_batch_does_nothing() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new()).unwrap();
    let steps = disk.steps();
    let puts = stream.put_records(&[]);
    assert_eq!((puts.results().len(), puts.failed_record_count(), puts.failed().count()), (0, 0, 0));
    assert_eq!(puts.all().unwrap(), []);
    assert_eq!(disk.steps(), steps);
    store.close().unwrap();
    assert_eq!(stream.put_records(&[]).failed_record_count(), 0);
}

#[test]
fn one_shard_that_cannot_write_does_not_stop_the_others() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let keys = [0, 1].map(|at| {
        let shard = stream.shards()[at].id;
        (0..).map(|n| format!("k{n}")).find(|key| stream.shard_for_key(key) == Some(shard)).unwrap()
    });
    // The first shard has a segment with room, the other has none and no room for one.
    stream.put(&keys[0], b"before").unwrap();
    store.maintain();
    disk.set_capacity(Some(disk.used()));
    let puts = stream.put_records(&[
        PutRecord::new(&keys[1], b"full"),
        PutRecord::new(&keys[0], b"fits"),
        PutRecord::new(&keys[1], b"full"),
    ]);
    assert!(
        matches!(
            puts.results(),
            [Err(PutError::StorageFull { .. }), Ok(_), Err(PutError::StorageFull { .. })]
        ),
        "{puts:?}"
    );
    disk.set_capacity(None);
    let again: Vec<_> = puts.failed().map(|_| PutRecord::new(&keys[1], b"again")).collect();
    stream.put_records(&again).all().unwrap();
    assert_eq!(read(&stream).len(), 4);
}

#[test]
fn in_order_nothing_of_a_shard_goes_in_behind_what_was_refused() {
    let disk = Disk::new();
    let store = options(&disk).open("data").unwrap();
    let stream = store.create_stream("s", StreamOptions::new().shards(2)).unwrap();
    let (here, there) = ("a", "b");
    assert_ne!(stream.shard_for_key(here), stream.shard_for_key(there));
    stream.put(here, b"first").unwrap();
    disk.set_capacity(Some(disk.used()));
    let long = vec![7; 64 * 1024];
    let records = [
        PutRecord::new(here, b"fits"),
        PutRecord::new("", b"is wrong by itself"),
        PutRecord::new(here, b"fits"),
        PutRecord::new(here, &long),
        PutRecord::new(here, b"would fit"),
        PutRecord::new(there, b"has no segment yet"),
        PutRecord::new(here, b"would fit"),
    ];
    let puts = stream.put_records_in_order(&records);
    let outcome = |result: &Result<Put, PutError>| match result {
        Ok(_) => "put",
        Err(PutError::PartitionKey(_)) => "wrong",
        Err(PutError::StorageFull { .. }) => "full",
        Err(other) => panic!("{other:?}"),
    };
    let outcomes: Vec<_> = puts.results().iter().map(outcome).collect();
    assert_eq!(outcomes, ["put", "wrong", "put", "full", "full", "full", "full"]);
    // Each record by itself: the short ones go in.
    let puts = stream.put_records(&records);
    let outcomes: Vec<_> = puts.results().iter().map(outcome).collect();
    assert_eq!(outcomes, ["put", "wrong", "put", "full", "put", "full", "put"]);
}
