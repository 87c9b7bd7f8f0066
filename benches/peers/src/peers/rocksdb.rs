//! RocksDB: an LSM tree with a write-ahead log. Records are values under a counter, with the options that its wiki names for new
//! databases ("Setup Options and Basic Tuning"), and no compression, which is not built in. Large values are kept apart from keys.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rocksdb::{BlockBasedOptions, DB, Options, WriteBatch, WriteOptions};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{Mode, Workload};

pub const PEER: Peer = Peer {
    name: "rocksdb",
    package: Some("rocksdb"),
    kind: Kind::Peer,
    open: |path, mode, workload| Box::new(Rocksdb::open(path, mode, workload)),
    part: |_| Part::Same,
    filling: Filling::Batches,
};

/// What the library says of itself in its log, since it need not be the one that the crate was made for (`ROCKSDB_LIB_DIR`).
pub fn library(path: &Path) -> String {
    drop(Rocksdb::open(path, Mode::Unsynced, Workload::Read));
    let log = std::fs::read_to_string(path.join("LOG")).unwrap();
    let told = |what: &str| {
        log.lines().find_map(|line| line.split_once(what)).map_or("?", |(_, told)| told.trim()).to_owned()
    };
    format!(
        "RocksDB: library {}, fast CRC32: {}",
        told("RocksDB version:"),
        told("Fast CRC32 supported:").to_lowercase()
    )
}

struct Rocksdb {
    database: DB,
    writes: WriteOptions,
    next: AtomicU64,
}

impl Rocksdb {
    fn open(path: &Path, mode: Mode, workload: Workload) -> Self {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_size(16 << 10);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_bytes_per_sync(1 << 20);
        options.set_max_background_jobs(6);
        if workload.record_len() > 4096 {
            options.set_enable_blob_files(true);
            options.set_min_blob_size(4096);
        }
        let mut writes = WriteOptions::default();
        writes.set_sync(mode == Mode::Synced);
        Self { database: DB::open(&options, path).unwrap(), writes, next: AtomicU64::new(0) }
    }

    fn key(&self) -> [u8; 8] {
        self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes()
    }
}

impl Log for Rocksdb {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.database.put_opt(self.key(), data, &self.writes).unwrap();
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        let mut writes = WriteBatch::default();
        for data in batch {
            writes.put(self.key(), data);
        }
        self.database.write_opt(writes, &self.writes).unwrap();
    }

    fn read_all(&self) -> Sum {
        let mut sum = Sum::default();
        let mut iterator = self.database.raw_iterator();
        iterator.seek_to_first();
        while let Some(data) = iterator.value() {
            sum.add(data);
            iterator.next();
        }
        iterator.status().unwrap();
        sum
    }

    fn close(self: Box<Self>) {
        self.database.flush_wal(true).unwrap();
    }
}
