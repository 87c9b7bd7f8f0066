//! Riverbed: a stream of one shard. Single records go in under a key that was hashed before, as a caller with few keys does
//! it; each record of a batch has a key of its own, which is hashed.

use std::path::Path;

use riverbed::{Durability, PartitionKey, Position, PutRecord, ReaderOptions, Store, Stream, StreamOptions};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{BATCH, Mode, Workload};

pub const RIVERBED: Peer = Peer {
    name: "riverbed",
    package: Some("riverbed"),
    kind: Kind::Ours,
    open: |path, mode, _| Box::new(Riverbed::open(path, mode, true)),
    part: |_| Part::Same,
    filling: Filling::Batches,
};

pub const UNVERIFIED: Peer = Peer {
    name: "riverbed, unverified",
    package: Some("riverbed"),
    kind: Kind::Ours,
    open: |path, mode, _| Box::new(Riverbed::open(path, mode, false)),
    part: |workload| match workload {
        Workload::Read => Part::Weaker("does not check checksums"),
        _ => Part::Not("differs in reading alone"),
    },
    filling: Filling::Batches,
};

struct Riverbed {
    store: Store,
    stream: Stream,
    key: PartitionKey,
    keys: Vec<String>,
    verify: bool,
}

impl Riverbed {
    fn open(path: &Path, mode: Mode, verify: bool) -> Self {
        let durability = match mode {
            Mode::Unsynced => Durability::Buffered,
            Mode::Synced => Durability::Immediate,
        };
        let store = Store::options().durability(durability).open(path).unwrap();
        let stream = match store.open_stream("log") {
            Ok(stream) => stream,
            Err(_) => store.create_stream("log", StreamOptions::new()).unwrap(),
        };
        let key = PartitionKey::new("user-42").unwrap();
        let keys = (0..BATCH).map(|index| format!("sensor-{index:09}")).collect();
        Self { store, stream, key, keys, verify }
    }
}

impl Log for Riverbed {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.stream.put(&self.key, data).unwrap();
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        let records: Vec<_> =
            self.keys.iter().zip(batch).map(|(key, data)| PutRecord::new(key, data)).collect();
        assert_eq!(self.stream.put_records(&records).failed_record_count(), 0);
    }

    fn read_all(&self) -> Sum {
        let shard = self.stream.shards()[0].id;
        let options = ReaderOptions::new().verify(self.verify);
        let mut reader = self.stream.reader_with(shard, Position::TrimHorizon, options).unwrap();
        let mut sum = Sum::default();
        while let Some(record) = reader.next().unwrap() {
            sum.add(record.data());
        }
        sum
    }

    fn close(self: Box<Self>) {
        self.store.close().unwrap();
    }
}
