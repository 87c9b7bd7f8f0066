//! fjall: an LSM tree with a journal. Records are values under a counter. A write reaches the kernel before its call returns, as
//! by its default; synced is `persist(SyncData)` after it, as its documentation has it. Large values are kept apart from keys.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{Mode, Workload};

pub const PEER: Peer = Peer {
    name: "fjall",
    package: Some("fjall"),
    kind: Kind::Peer,
    open: |path, mode, workload| Box::new(Fjall::open(path, mode, workload)),
    part: |_| Part::Same,
    filling: Filling::Batches,
};

struct Fjall {
    database: Database,
    keyspace: Keyspace,
    next: AtomicU64,
    sync: bool,
}

impl Fjall {
    fn open(path: &Path, mode: Mode, workload: Workload) -> Self {
        let database = Database::builder(path).open().unwrap();
        let separation = (workload.record_len() > 4096).then(KvSeparationOptions::default);
        let options = || KeyspaceCreateOptions::default().with_kv_separation(separation);
        let keyspace = database.keyspace("log", options).unwrap();
        Self { database, keyspace, next: AtomicU64::new(0), sync: mode == Mode::Synced }
    }

    fn key(&self) -> [u8; 8] {
        self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes()
    }
}

impl Log for Fjall {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.keyspace.insert(self.key(), data).unwrap();
        if self.sync {
            self.database.persist(PersistMode::SyncData).unwrap();
        }
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        // Without a mode of its own a batch may stay in the process's buffer.
        let mode = if self.sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut writes = self.database.batch().durability(Some(mode));
        for data in batch {
            writes.insert(&self.keyspace, self.key(), data.as_slice());
        }
        writes.commit().unwrap();
    }

    fn read_all(&self) -> Sum {
        let mut sum = Sum::default();
        for guard in self.keyspace.iter() {
            sum.add(&guard.value().unwrap());
        }
        sum
    }

    fn close(self: Box<Self>) {
        self.database.persist(PersistMode::SyncAll).unwrap();
    }
}
