//! Walrus: topics in files of a gigabyte, written with `pwrite`; `SyncEach` opens them with `O_SYNC` and calls `fsync` besides,
//! for each record by itself. Batches go through io_uring and are always synced. Each thread has a topic, as its own benchmark
//! does it. How it syncs is a global of the process, so a process measures one way only.

use std::path::Path;

use walrus_rust::{FsyncSchedule, ReadConsistency, Walrus};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::{Mode, Workload};

pub const PEER: Peer = Peer {
    name: "walrus-rust",
    package: Some("walrus-rust"),
    kind: Kind::Peer,
    open: |path, mode, _| Box::new(WalrusLog::open(path, mode)),
    part: |workload| match workload {
        Workload::Batch => Part::Not("syncs every batch"),
        _ => Part::Same,
    },
    filling: Filling::Singles,
};

/// Bytes read a call; it stops at 2,000 records besides.
const PAGE: usize = 1 << 20;

struct WalrusLog {
    walrus: Walrus,
    topics: Vec<String>,
}

impl WalrusLog {
    fn open(path: &Path, mode: Mode) -> Self {
        // It keeps how far a topic has been read: start from the front all the same.
        for file in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().ends_with("_index.db") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
        let schedule = match mode {
            Mode::Unsynced => FsyncSchedule::NoFsync,
            Mode::Synced => FsyncSchedule::SyncEach,
        };
        // Where the data is comes from WALRUS_DATA_DIR, which the parent process has set.
        let consistency = ReadConsistency::AtLeastOnce { persist_every: 1000 };
        let walrus = Walrus::with_consistency_and_schedule(consistency, schedule).unwrap();
        Self { walrus, topics: (0..16).map(|writer| format!("log-{writer}")).collect() }
    }
}

impl Log for WalrusLog {
    fn append(&self, writer: usize, _: u64, data: &[u8]) {
        self.walrus.append_for_topic(&self.topics[writer], data).unwrap();
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        self.walrus.batch_append_for_topic(&self.topics[0], &batch).unwrap();
    }

    fn read_all(&self) -> Sum {
        let mut sum = Sum::default();
        loop {
            let entries = self.walrus.batch_read_for_topic(&self.topics[0], PAGE, true).unwrap();
            if entries.is_empty() {
                break sum;
            }
            entries.iter().for_each(|entry| sum.add(&entry.data));
        }
    }

    fn close(self: Box<Self>) {}
}
