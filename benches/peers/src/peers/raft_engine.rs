//! raft-engine: entries of a Raft group, with consecutive indexes. Each thread has a group, since within one the entries must
//! come in order; threads share `fdatasync`s across groups, which is what it was made for.

use std::path::Path;

use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{Mode, Workload};

pub const PEER: Peer = Peer {
    name: "raft-engine",
    package: Some("raft-engine"),
    kind: Kind::Peer,
    open: |path, mode, _| Box::new(RaftEngine::open(path, mode)),
    part: |_: Workload| Part::Same,
    filling: Filling::Batches,
};

/// Entries fetched a call.
const PAGE: u64 = 1000;

struct RaftEngine {
    engine: Engine,
    sync: bool,
}

/// A message whose first eight bytes are its index.
struct Indexed;

impl MessageExt for Indexed {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        u64::from_le_bytes(*entry.get_value().first_chunk().unwrap())
    }
}

fn message(index: u64, data: &[u8]) -> BytesValue {
    let mut value = Vec::with_capacity(8 + data.len());
    value.extend_from_slice(&index.to_le_bytes());
    value.extend_from_slice(data);
    let mut message = BytesValue::new();
    message.set_value(value);
    message
}

impl RaftEngine {
    fn open(path: &Path, mode: Mode) -> Self {
        let config = Config {
            dir: path.to_str().unwrap().to_owned(),
            // What is written cannot be compressed, and nobody else tries.
            batch_compression_threshold: ReadableSize(0),
            ..Config::default()
        };
        Self { engine: Engine::open(config).unwrap(), sync: mode == Mode::Synced }
    }

    fn write(&self, group: u64, entries: &[BytesValue]) {
        let mut batch = LogBatch::with_capacity(entries.len());
        batch.add_entries::<Indexed>(group, entries).unwrap();
        self.engine.write(&mut batch, self.sync).unwrap();
    }
}

impl Log for RaftEngine {
    fn append(&self, writer: usize, sequence: u64, data: &[u8]) {
        self.write(writer as u64 + 1, &[message(sequence, data)]);
    }

    fn append_batch(&self, first: u64, batch: &[Vec<u8>]) {
        let entries: Vec<_> = (first..).zip(batch).map(|(index, data)| message(index, data)).collect();
        self.write(1, &entries);
    }

    fn read_all(&self) -> Sum {
        let mut sum = Sum::default();
        let (Some(first), Some(last)) = (self.engine.first_index(1), self.engine.last_index(1)) else {
            return sum;
        };
        let mut entries = Vec::new();
        let mut next = first;
        while next <= last {
            let end = (next + PAGE).min(last + 1);
            self.engine.fetch_entries_to::<Indexed>(1, next, end, None, &mut entries).unwrap();
            for entry in entries.drain(..) {
                sum.add(&entry.get_value()[8..]);
            }
            next = end;
        }
        sum
    }

    fn close(self: Box<Self>) {
        self.engine.sync().unwrap();
    }
}
