//! Guards against whatever the other tests have not thought of: any sequence of operations gives what a plain list of
//! records in memory gives, through orderly restarts and killed processes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod consumer;
mod shards;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use proptest::prelude::*;
use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Clock as _, CreateStreamError, Durability, Maintenance, Position, Put, PutRecord, ReadError, ReadLevel,
    ReadOnlyStream, ReaderOptions, Retention, SequenceNumber, ShardId, Store, Stream, StreamError,
    StreamOptions, Timestamp,
};

use consumer::{ConsumerModel, ConsumerOperation};
use shards::{Reshard, ShardModel};

#[derive(Debug, Clone)]
enum Operation {
    Create { name: u8, shards: u32 },
    Delete { name: u8 },
    Put { name: u8, record: Draft },
    PutRecords { name: u8, records: Vec<Draft> },
    Sync,
    Maintain,
    Advance { millis: u16 },
    SetClockBack { millis: u16 },
    Read { name: u8, shard: u8, from: u16, kind: u8, level: bool },
    Merge { name: u8 },
    Reshard { name: u8, how: Reshard },
    Retain { name: u8, seconds: Option<u8>, segments: Option<u8> },
    Trim { name: u8, shard: u8, at: u16 },
    Follow { name: u8 },
    Consume { name: u8, how: ConsumerOperation },
    Reopen,
    Kill,
}

#[derive(Debug, Clone)]
struct Draft {
    key: u8,
    len: usize,
    fill: u8,
    metadata: u8,
    immediate: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Stored {
    number: SequenceNumber,
    time: Timestamp,
    key: String,
    data: Vec<u8>,
    metadata: Vec<u8>,
}

fn draft() -> impl Strategy<Value = Draft> {
    let len = prop_oneof![8 => 0..200_usize, 3 => 0..9000_usize, 1 => 0..90_000_usize];
    let metadata = prop_oneof![3 => Just(0), 1 => any::<u8>()];
    (0..12_u8, len, any::<u8>(), metadata, proptest::bool::weighted(0.2))
        .prop_map(|(key, len, fill, metadata, immediate)| Draft { key, len, fill, metadata, immediate })
}

fn operation() -> impl Strategy<Value = Operation> {
    let name = 0..2_u8;
    prop_oneof![
        3 => (name.clone(), 1..4_u32).prop_map(|(name, shards)| Operation::Create { name, shards }),
        1 => name.clone().prop_map(|name| Operation::Delete { name }),
        10 => (name.clone(), draft()).prop_map(|(name, record)| Operation::Put { name, record }),
        6 => (name.clone(), proptest::collection::vec(draft(), 0..12))
            .prop_map(|(name, records)| Operation::PutRecords { name, records }),
        2 => Just(Operation::Sync),
        3 => Just(Operation::Maintain),
        4 => any::<u16>().prop_map(|millis| Operation::Advance { millis }),
        1 => any::<u16>().prop_map(|millis| Operation::SetClockBack { millis }),
        8 => (name.clone(), 0..4_u8, any::<u16>(), 0..5_u8, any::<bool>()).prop_map(
            |(name, shard, from, kind, level)| Operation::Read { name, shard, from, kind, level }
        ),
        2 => name.clone().prop_map(|name| Operation::Merge { name }),
        3 => (name.clone(), shards::reshard()).prop_map(|(name, how)| Operation::Reshard { name, how }),
        2 => (name.clone(), proptest::option::of(any::<u8>()), proptest::option::of(any::<u8>()))
            .prop_map(|(name, seconds, segments)| Operation::Retain { name, seconds, segments }),
        2 => (name.clone(), any::<u8>(), any::<u16>())
            .prop_map(|(name, shard, at)| Operation::Trim { name, shard, at }),
        2 => name.clone().prop_map(|name| Operation::Follow { name }),
        9 => (name, consumer::operation()).prop_map(|(name, how)| Operation::Consume { name, how }),
        2 => Just(Operation::Reopen),
        2 => Just(Operation::Kill),
    ]
}

/// The engine, and what it should hold.
struct Pair {
    disk: Disk,
    clock: ManualClock,
    store: Store,
    streams: BTreeMap<String, StreamModel>,
    /// Streams as somebody else sees them, who opened them some time ago.
    followers: BTreeMap<String, ReadOnlyStream>,
}

#[derive(Debug, Default)]
struct StreamModel {
    /// By their ids.
    shards: Vec<ShardModel>,
    retention: Retention,
    consumer: ConsumerModel,
}

fn open(disk: &Disk, clock: &ManualClock) -> Store {
    let options = Store::options().storage(disk).clock(clock.clone()).maintenance(Maintenance::Manual);
    options.durability(Durability::Buffered).segment_len(64 * 1024, 128 * 1024).open("data").unwrap()
}

fn name_of(name: u8) -> String {
    format!("stream-{name}")
}

impl Pair {
    fn new() -> Self {
        let (disk, clock) = (Disk::new(), ManualClock::new(Timestamp::from_millis(1_000_000_000_000)));
        let store = open(&disk, &clock);
        Self { disk, clock, store, streams: BTreeMap::new(), followers: BTreeMap::new() }
    }

    fn put(&mut self, name: &str, drafts: &[Draft], as_batch: bool) {
        let Some(StreamModel { shards, .. }) = self.streams.get_mut(name) else {
            assert!(matches!(self.store.open_stream(name), Err(StreamError::NotFound { .. })));
            return;
        };
        let stream = self.store.open_stream(name).unwrap();
        let parts: Vec<_> = drafts
            .iter()
            .map(|draft| {
                let metadata = vec![!draft.fill; usize::from(draft.metadata)];
                (format!("key-{}", draft.key), vec![draft.fill; draft.len], metadata, draft.immediate)
            })
            .collect();
        let records: Vec<_> = parts
            .iter()
            .map(|(key, data, metadata, immediate)| {
                let durability = if *immediate { Durability::Immediate } else { Durability::Buffered };
                PutRecord::new(key, data).metadata(metadata).durability(durability)
            })
            .collect();
        let puts: Vec<Put> = if as_batch {
            stream.put_records(&records).all().unwrap()
        } else {
            records.iter().map(|record| stream.put_record(record).unwrap()).collect()
        };
        for (put, (key, data, metadata, _)) in puts.into_iter().zip(parts) {
            assert_eq!(stream.shard_for_key(&key), Some(put.shard_id));
            let shard = &mut shards[usize::try_from(put.shard_id.as_u32()).unwrap()];
            assert!(shard.above < Some(put.sequence_number), "not above what came before, or its parents");
            let time = shard.newest.max(self.clock.now());
            (shard.above, shard.newest) = (Some(put.sequence_number), time);
            shard.records.push(Stored { number: put.sequence_number, time, key, data, metadata });
        }
    }

    fn read(&self, name: &str, shard: u8, from: u16, kind: u8, durable: bool) {
        let Some(StreamModel { shards, .. }) = self.streams.get(name) else { return };
        let shard = usize::from(shard) % shards.len();
        let records = &shards[shard].records;
        let stream = self.store.open_stream(name).unwrap();
        let id = ShardId::new(u32::try_from(shard).unwrap());
        if shards[shard].is_gone {
            let refused = stream.reader(id, Position::TrimHorizon);
            assert!(matches!(refused, Err(ReadError::NoSuchShard { .. })), "{refused:?}");
            return;
        }
        let at = if records.is_empty() { 0 } else { usize::from(from) % records.len() };
        let (position, index) = match (kind, records.get(at)) {
            (0, _) | (_, None) => (Position::TrimHorizon, 0),
            (1, _) => (Position::Latest, records.len()),
            (2, Some(record)) => (Position::AtSequenceNumber(record.number), at),
            (3, Some(record)) => (Position::AfterSequenceNumber(record.number), at + 1),
            (_, Some(record)) => {
                let index = records.partition_point(|other| other.time < record.time);
                (Position::AtTimestamp(record.time), index)
            }
        };
        let expected = &records[index..];
        let mut end = expected.len();
        let mut options = ReaderOptions::new();
        if durable {
            let last = stream.durable_sequence_number(id).unwrap();
            end = expected.partition_point(|record| Some(record.number) <= last);
            options = options.level(ReadLevel::Durable);
        }
        if durable && kind == 1 {
            return;
        }
        let mut reader = stream.reader_with(id, position, options).unwrap();
        for record in &expected[..end] {
            let found = reader.next().unwrap().unwrap();
            let found = Stored {
                number: found.sequence_number(),
                time: found.arrival_time(),
                key: found.partition_key().unwrap().to_owned(),
                data: found.data().to_vec(),
                metadata: found.metadata().to_vec(),
            };
            assert!(&found == record, "{:?} instead of {:?}", found.number, record.number);
        }
        assert!(reader.next().unwrap().is_none(), "more than was put");
        assert!(durable || reader.is_at_end() == shards[shard].ended.is_some());
    }

    fn merge(&self, name: &str) {
        let Some(StreamModel { shards, .. }) = self.streams.get(name) else { return };
        let mut expected: Vec<_> = shards
            .iter()
            .flat_map(|shard| &shard.records)
            .map(|record| (record.time, record.number))
            .collect();
        expected.sort_by_key(|(time, number)| (*time, number.shard_id(), number.counter()));
        let stream = self.store.open_stream(name).unwrap();
        let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new()).unwrap();
        for expected in expected {
            let record = reader.next().unwrap().unwrap();
            assert_eq!((record.arrival_time(), record.sequence_number()), expected);
        }
        assert!(reader.next().unwrap().is_none());
    }

    fn check_all(&self) {
        let names: Vec<_> = self.streams.keys().cloned().collect();
        assert_eq!(self.store.list_streams(), names);
        for (name, StreamModel { shards, .. }) in &self.streams {
            let stream = self.store.open_stream(name).unwrap();
            shards::check_listed(shards, &|filter| stream.list_shards(filter), self.clock.now());
            for stats in stream.stats().shards {
                let shard = &shards[usize::try_from(stats.shard_id.as_u32()).unwrap()];
                assert_eq!(stats.records, shard.records.len() as u64);
            }
            for shard in 0..u8::try_from(shards.len()).unwrap() {
                self.read(name, shard, 0, 0, false);
            }
        }
    }

    /// What somebody sees who only reads, and has had the stream open for some time.
    fn follow(&mut self, name: &str) {
        let Some(StreamModel { shards, .. }) = self.streams.get(name) else { return };
        let stream = self.followers.entry(name.to_owned()).or_insert_with(|| {
            let store = Store::options()
                .storage(&self.disk)
                .clock(self.clock.clone())
                .open_read_only("data")
                .unwrap();
            store.open_stream(name).unwrap()
        });
        shards::check_listed(shards, &|filter| stream.list_shards(filter).unwrap(), self.clock.now());
        for (id, shard) in (0..).zip(shards).filter(|(_, shard)| !shard.is_gone) {
            let mut reader = stream.reader(ShardId::new(id), Position::TrimHorizon).unwrap();
            for expected in &shard.records {
                let found = reader.next().unwrap().unwrap();
                assert_eq!((found.sequence_number(), found.data()), (expected.number, &*expected.data));
            }
            assert!(reader.next().unwrap().is_none(), "more than was put");
            assert_eq!(reader.is_at_end(), shard.ended.is_some());
        }
    }

    /// Takes note of what retention has taken, having checked that it might.
    fn forget(&mut self) {
        for (name, StreamModel { shards, retention, .. }) in &mut self.streams {
            let stream = self.store.open_stream(name).unwrap();
            shards::forget(shards, &stream, &|shard, record| {
                let too_old = |age| record.time < shard.newest.max(self.clock.now()).saturating_sub(age);
                retention.bytes().is_some() || retention.age().is_some_and(too_old)
            });
        }
    }

    /// A stream and its model, if there is one of that name.
    fn both(&mut self, name: u8) -> Option<(Stream, &mut StreamModel)> {
        let name = name_of(name);
        let model = self.streams.get_mut(&name)?;
        Some((self.store.open_stream(&name).unwrap(), model))
    }

    fn retain(&mut self, name: u8, seconds: Option<u8>, segments: Option<u8>) {
        let Some((stream, model)) = self.both(name) else { return };
        let mut retention = Retention::FOREVER;
        if let Some(seconds) = seconds {
            retention = retention.and_age(Duration::from_secs(seconds.into()));
        }
        if let Some(segments) = segments {
            retention = retention.and_bytes(u64::from(segments) * 64 * 1024);
        }
        model.retention = retention;
        stream.set_retention(retention).unwrap();
        assert_eq!(stream.retention(), retention);
        self.forget();
    }

    /// The workers of consumers end with the process.
    fn end_workers(&mut self) {
        self.streams.values_mut().for_each(|stream| stream.consumer.end_worker());
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { name, shards } => {
                let name = name_of(*name);
                let outcome = self.store.create_stream(&name, StreamOptions::new().shards(*shards));
                let first = ShardModel { created: self.clock.now(), ..ShardModel::default() };
                let shards = vec![first; usize::try_from(*shards).unwrap()];
                match self.streams.entry(name) {
                    Entry::Occupied(_) => {
                        assert!(matches!(outcome, Err(CreateStreamError::Exists { .. })));
                    }
                    Entry::Vacant(vacant) => {
                        outcome.unwrap();
                        vacant.insert(StreamModel { shards, ..StreamModel::default() });
                    }
                }
            }
            Operation::Delete { name } => {
                let name = name_of(*name);
                let outcome = self.store.delete_stream(&name);
                assert_eq!(outcome.is_ok(), self.streams.remove(&name).is_some(), "{outcome:?}");
                self.followers.remove(&name);
            }
            Operation::Put { name, record } => {
                self.put(&name_of(*name), std::slice::from_ref(record), false);
            }
            Operation::PutRecords { name, records } => self.put(&name_of(*name), records, true),
            Operation::Sync => self.store.sync().unwrap(),
            Operation::Maintain => {
                self.store.maintain();
                self.forget();
            }
            Operation::Advance { millis } => self.clock.advance(Duration::from_millis((*millis).into())),
            Operation::SetClockBack { millis } => {
                let now = self.clock.now();
                self.clock.set(now.saturating_sub(Duration::from_millis((*millis).into())));
            }
            Operation::Read { name, shard, from, kind, level } => {
                self.read(&name_of(*name), *shard, *from, *kind, *level);
            }
            Operation::Merge { name } => self.merge(&name_of(*name)),
            Operation::Reshard { name, how } => {
                if let Some((stream, model)) = self.both(*name) {
                    shards::apply(&stream, &mut model.shards, how);
                }
            }
            Operation::Retain { name, seconds, segments } => self.retain(*name, *seconds, *segments),
            Operation::Trim { name, shard, at } => {
                if let Some((stream, model)) = self.both(*name) {
                    shards::trim(&stream, &mut model.shards, (*shard).into(), (*at).into());
                }
            }
            Operation::Follow { name } => self.follow(&name_of(*name)),
            Operation::Consume { name, how } => {
                if let Some((stream, model)) = self.both(*name) {
                    model.consumer.apply(&stream, &model.shards, how);
                }
            }
            Operation::Reopen => {
                self.end_workers();
                self.store.close().unwrap();
                self.store = open(&self.disk, &self.clock);
                assert!(self.store.recovery_report().is_clean());
                self.check_all();
            }
            Operation::Kill => {
                self.end_workers();
                self.followers.clear();
                self.disk = self.disk.kill();
                self.store = open(&self.disk, &self.clock);
                assert!(!self.store.recovery_report().is_damaged());
                self.check_all();
            }
        }
    }
}

/// How many sequences to try: `PROPTEST_CASES`, or 300.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(300, |text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_a_list_would(operations in proptest::collection::vec(operation(), 1..100)) {
        let mut pair = Pair::new();
        // Something to begin with, else many sequences have nothing to put to.
        pair.apply(&Operation::Create { name: 0, shards: 2 });
        for operation in &operations {
            pair.apply(operation);
        }
        pair.check_all();
    }
}
