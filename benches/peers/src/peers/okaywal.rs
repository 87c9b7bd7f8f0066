//! OkayWAL: every commit waits for an `fdatasync`, shared between threads, so it takes part where records are synced. It is
//! meant to throw away what has been checkpointed; here it keeps everything, in files allocated before, as its documentation
//! advises for speed. Entries are read in its recovery, where it offers to read them all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use okaywal::{Configuration, Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::Workload;

pub const PEER: Peer = Peer {
    name: "okaywal",
    package: Some("okaywal"),
    kind: Kind::Peer,
    open: |path, _, _| Box::new(Okaywal::open(path)),
    part: |workload| match workload {
        Workload::Append(_) | Workload::Batch => Part::Not("has synced commits only"),
        _ => Part::Same,
    },
    filling: Filling::SyncedBatches,
};

/// More than any workload writes: nothing is ever checkpointed, and no file grows.
const FILE: u32 = 384 << 20;

struct Okaywal {
    path: PathBuf,
    log: WriteAheadLog,
}

impl Okaywal {
    fn open(path: &Path) -> Self {
        Self { path: path.to_owned(), log: recover(path, Keep::default()) }
    }
}

fn recover(path: &Path, manager: Keep) -> WriteAheadLog {
    Configuration::default_for(path)
        .preallocate_bytes(FILE)
        .checkpoint_after_bytes(u64::from(FILE))
        .open(manager)
        .unwrap()
}

/// Reads every entry, as the manager of its example does, and adds them up. (One that leaves chunks unread is no faster: version
/// 0.3.1 then skips the checksum of the first one twice, and takes what follows for the end.)
#[derive(Debug, Default)]
struct Keep(Arc<Mutex<Sum>>);

impl LogManager for Keep {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        if let Some(chunks) = entry.read_all_chunks()? {
            let mut sum = self.0.lock().unwrap();
            chunks.iter().for_each(|chunk| sum.add(chunk));
        }
        Ok(())
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        Ok(())
    }
}

impl Log for Okaywal {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        let mut entry = self.log.begin_entry().unwrap();
        entry.write_chunk(data).unwrap();
        entry.commit().unwrap();
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        let mut entry = self.log.begin_entry().unwrap();
        for data in batch {
            entry.write_chunk(data).unwrap();
        }
        entry.commit().unwrap();
    }

    fn read_all(&self) -> Sum {
        let sum = Arc::new(Mutex::new(Sum::default()));
        recover(&self.path, Keep(Arc::clone(&sum))).shutdown().unwrap();
        *sum.lock().unwrap()
    }

    fn close(self: Box<Self>) {
        self.log.shutdown().unwrap();
    }
}
