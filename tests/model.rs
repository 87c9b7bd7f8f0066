//! Guards against whatever the other tests have not thought of: any sequence of operations gives what a plain list of
//! records in memory gives, through orderly restarts and killed processes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use proptest::prelude::*;
use riverbed::testing::{Disk, ManualClock};
use riverbed::{
    Clock as _, CreateStreamError, Durability, HashKey, Maintenance, Position, Put, PutRecord, ReadLevel,
    ReaderOptions, SequenceNumber, ShardFilter, ShardId, Store, StreamError, StreamOptions, Timestamp,
};

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
    SplitShard { name: u8, shard: u8 },
    MergeShards { name: u8, shard: u8 },
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
    let name = 0..3_u8;
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
        2 => (name.clone(), any::<u8>()).prop_map(|(name, shard)| Operation::SplitShard { name, shard }),
        1 => (name, any::<u8>()).prop_map(|(name, shard)| Operation::MergeShards { name, shard }),
        2 => Just(Operation::Reopen),
        2 => Just(Operation::Kill),
    ]
}

/// The engine, and what it should hold: each stream's shards as lists of records.
struct Pair {
    disk: Disk,
    clock: ManualClock,
    store: Store,
    /// Each stream's shards by their ids.
    streams: BTreeMap<String, Vec<ShardModel>>,
}

#[derive(Debug, Clone, Default)]
struct ShardModel {
    records: Vec<Stored>,
    /// The last number of its parents.
    above: Option<SequenceNumber>,
    /// No record of it is older.
    since: Timestamp,
    parents: Vec<u32>,
    closed: bool,
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
        Self { disk, clock, store, streams: BTreeMap::new() }
    }

    fn put(&mut self, name: &str, drafts: &[Draft], as_batch: bool) {
        let Some(shards) = self.streams.get_mut(name) else {
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
            let last = shard.records.last();
            assert!(last.map(|last| last.number) < Some(put.sequence_number));
            assert!(shard.above < Some(put.sequence_number), "not above its parents");
            let time = last.map_or(shard.since, |last| last.time).max(self.clock.now());
            shard.records.push(Stored { number: put.sequence_number, time, key, data, metadata });
        }
    }

    fn read(&self, name: &str, shard: u8, from: u16, kind: u8, durable: bool) {
        let Some(shards) = self.streams.get(name) else { return };
        let shard = usize::from(shard) % shards.len();
        let records = &shards[shard].records;
        let stream = self.store.open_stream(name).unwrap();
        let id = ShardId::new(u32::try_from(shard).unwrap());
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
        assert!(durable || reader.is_at_end() == shards[shard].closed);
    }

    /// Splits one of the open shards in its middle.
    fn split_shard(&mut self, name: &str, shard: u8) {
        if !self.streams.contains_key(name) {
            return;
        }
        let stream = self.store.open_stream(name).unwrap();
        let open = stream.shards();
        let parent = open[usize::from(shard) % open.len()];
        if self.streams[name].len() > 30 {
            return;
        }
        let middle = parent.range.start.as_u128().midpoint(parent.range.end.as_u128());
        let children = stream.split_shard(parent.id, HashKey::from(middle)).unwrap();
        self.resharded(name, &[parent.id], &children);
    }

    /// Merges one of the open shards with the next one.
    fn merge_shards(&mut self, name: &str, shard: u8) {
        if !self.streams.contains_key(name) {
            return;
        }
        let stream = self.store.open_stream(name).unwrap();
        let open = stream.shards();
        let first = usize::from(shard) % open.len();
        let Some(second) = open.get(first + 1) else { return };
        let child = stream.merge_shards(second.id, open[first].id).unwrap();
        self.resharded(name, &[second.id, open[first].id], &[child]);
    }

    fn resharded(&mut self, name: &str, parents: &[ShardId], children: &[ShardId]) {
        let shards = self.streams.get_mut(name).unwrap();
        let mut child = ShardModel {
            parents: parents.iter().map(|id| id.as_u32()).collect(),
            since: self.clock.now(),
            ..ShardModel::default()
        };
        for parent in parents {
            let parent = &mut shards[usize::try_from(parent.as_u32()).unwrap()];
            parent.closed = true;
            let last = parent.records.last();
            child.above = child.above.max(parent.above).max(last.map(|last| last.number));
            child.since = child.since.max(last.map_or(parent.since, |last| last.time));
        }
        for id in children {
            assert_eq!(id.as_u32() as usize, shards.len());
            shards.push(child.clone());
        }
    }

    fn merge(&self, name: &str) {
        let Some(shards) = self.streams.get(name) else { return };
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
        for (name, shards) in &self.streams {
            let stream = self.store.open_stream(name).unwrap();
            let listed = stream.list_shards(ShardFilter::All);
            assert_eq!(listed.len(), shards.len());
            for (listed, shard) in listed.iter().zip(shards) {
                let parents = [listed.parent_shard_id, listed.adjacent_parent_shard_id];
                let parents: Vec<_> = parents.into_iter().flatten().map(ShardId::as_u32).collect();
                assert_eq!((parents, listed.is_open()), (shard.parents.clone(), !shard.closed));
            }
            for (shard, stats) in (0..).zip(stream.stats().shards) {
                assert_eq!(stats.records, shards[usize::from(shard)].records.len() as u64);
                self.read(name, shard, 0, 0, false);
            }
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { name, shards } => {
                let name = name_of(*name);
                let outcome = self.store.create_stream(&name, StreamOptions::new().shards(*shards));
                let shards = vec![ShardModel::default(); usize::try_from(*shards).unwrap()];
                match self.streams.entry(name) {
                    Entry::Occupied(_) => {
                        assert!(matches!(outcome, Err(CreateStreamError::Exists { .. })));
                    }
                    Entry::Vacant(vacant) => {
                        outcome.unwrap();
                        vacant.insert(shards);
                    }
                }
            }
            Operation::Delete { name } => {
                let name = name_of(*name);
                let outcome = self.store.delete_stream(&name);
                assert_eq!(outcome.is_ok(), self.streams.remove(&name).is_some(), "{outcome:?}");
            }
            Operation::Put { name, record } => {
                self.put(&name_of(*name), std::slice::from_ref(record), false);
            }
            Operation::PutRecords { name, records } => self.put(&name_of(*name), records, true),
            Operation::Sync => self.store.sync().unwrap(),
            Operation::Maintain => {
                self.store.maintain();
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
            Operation::SplitShard { name, shard } => self.split_shard(&name_of(*name), *shard),
            Operation::MergeShards { name, shard } => self.merge_shards(&name_of(*name), *shard),
            Operation::Reopen => {
                self.store.close().unwrap();
                self.store = open(&self.disk, &self.clock);
                assert!(self.store.recovery_report().is_clean());
                self.check_all();
            }
            Operation::Kill => {
                self.disk = self.disk.kill();
                self.store = open(&self.disk, &self.clock);
                assert!(!self.store.recovery_report().is_damaged());
                self.check_all();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_a_list_would(operations in proptest::collection::vec(operation(), 1..60)) {
        let mut pair = Pair::new();
        // Something to begin with, else many sequences have nothing to put to.
        pair.apply(&Operation::Create { name: 0, shards: 2 });
        for operation in &operations {
            pair.apply(operation);
        }
        pair.check_all();
    }
}
