//! redb: a copy-on-write B-tree. Records are values under a counter, one transaction a call. Its commits are synced; those that
//! are not (`Durability::None`) live in the process's memory until one that is.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{Mode, Workload};

pub const PEER: Peer = Peer {
    name: "redb",
    package: Some("redb"),
    kind: Kind::Peer,
    open: |path, mode, _| Box::new(Redb::open(path, mode)),
    part: |workload| match workload {
        Workload::Append(_) | Workload::Batch => Part::Weaker("a killed process loses unsynced commits"),
        Workload::Read => Part::Weaker("does not check checksums when reading"),
        _ => Part::Same,
    },
    filling: Filling::SyncedBatches,
};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

struct Redb {
    database: Database,
    next: AtomicU64,
    durability: Durability,
}

impl Redb {
    fn open(path: &Path, mode: Mode) -> Self {
        let database = Database::create(path.join("redb")).unwrap();
        let durability = match mode {
            Mode::Unsynced => Durability::None,
            Mode::Synced => Durability::Immediate,
        };
        Self { database, next: AtomicU64::new(0), durability }
    }

    fn write<'a>(&self, records: impl Iterator<Item = &'a [u8]>) {
        let mut transaction = self.database.begin_write().unwrap();
        transaction.set_durability(self.durability).unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            for data in records {
                table.insert(self.next.fetch_add(1, Ordering::Relaxed), data).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

impl Log for Redb {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.write(std::iter::once(data));
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        self.write(batch.iter().map(Vec::as_slice));
    }

    fn read_all(&self) -> Sum {
        let mut sum = Sum::default();
        let transaction = self.database.begin_read().unwrap();
        let table = transaction.open_table(TABLE).unwrap();
        for record in table.iter().unwrap() {
            sum.add(record.unwrap().1.value());
        }
        sum
    }

    fn close(self: Box<Self>) {}
}
