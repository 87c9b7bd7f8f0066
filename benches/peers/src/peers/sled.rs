//! sled: a B-tree over a log. Records are values under a counter; synced is `flush` after the write, as its documentation has
//! it. On Linux that ends in `sync_file_range`, which neither empties the disk's cache nor writes metadata, so its manual page gives
//! no guarantee after a crash. Unsynced writes stay in the process's buffers for up to half a second, its default.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sled::{Batch, Db};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{Mode, Workload};

pub const PEER: Peer = Peer {
    name: "sled",
    package: Some("sled"),
    kind: Kind::Peer,
    open: |path, mode, _| Box::new(Sled::open(path, mode)),
    part: |workload| match workload {
        Workload::Append(_) | Workload::Batch | Workload::Reopen => {
            Part::Weaker("a killed process loses up to its last 500 ms")
        }
        Workload::Synced(_) | Workload::BatchSynced => {
            Part::Weaker("`flush` is `sync_file_range`, which promises nothing about a power cut")
        }
        Workload::Read => Part::Same,
    },
    filling: Filling::Batches,
};

struct Sled {
    database: Db,
    next: AtomicU64,
    sync: bool,
}

impl Sled {
    fn open(path: &Path, mode: Mode) -> Self {
        let database = sled::open(path).unwrap();
        Self { database, next: AtomicU64::new(0), sync: mode == Mode::Synced }
    }

    fn key(&self) -> [u8; 8] {
        self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes()
    }

    fn synced(&self) {
        if self.sync {
            self.database.flush().unwrap();
        }
    }
}

impl Log for Sled {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.database.insert(self.key(), data).unwrap();
        self.synced();
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        let mut writes = Batch::default();
        for data in batch {
            writes.insert(&self.key(), data.as_slice());
        }
        self.database.apply_batch(writes).unwrap();
        self.synced();
    }

    fn read_all(&self) -> Sum {
        let mut sum = Sum::default();
        for record in self.database.iter() {
            sum.add(&record.unwrap().1);
        }
        sum
    }

    fn close(self: Box<Self>) {
        self.database.flush().unwrap();
    }
}
