//! commitlog: one `write(2)` an append, an entry in a mapped index for each message. Its `flush` ends in `File::flush`, which
//! does nothing, and syncs the index alone, so it has no way to have a record on disk.

use std::path::Path;
use std::sync::Mutex;

use commitlog::message::{MessageBuf, MessageSet};
use commitlog::{CommitLog, LogOptions, ReadLimit};

use crate::peer::{Filling, Kind, Log, Part, Peer, Sum};
use crate::workload::Workload;

pub const PEER: Peer = Peer {
    name: "commitlog",
    package: Some("commitlog"),
    kind: Kind::Peer,
    open: |path, _, _| Box::new(Commitlog::open(path)),
    part: |workload| match workload {
        Workload::Synced(_) | Workload::BatchSynced => Part::Not("cannot sync its segments"),
        _ => Part::Same,
    },
    filling: Filling::Batches,
};

/// How much is read a call.
const PAGE: usize = 1 << 20;

/// Only one thread ever uses it here: the lock is for the compiler.
struct Commitlog(Mutex<CommitLog>);

impl Commitlog {
    fn open(path: &Path) -> Self {
        Self(Mutex::new(CommitLog::new(LogOptions::new(path)).unwrap()))
    }
}

impl Log for Commitlog {
    fn append(&self, _: usize, _: u64, data: &[u8]) {
        self.0.lock().unwrap().append_msg(data).unwrap();
    }

    fn append_batch(&self, _: u64, batch: &[Vec<u8>]) {
        let mut messages: MessageBuf = batch.iter().collect();
        self.0.lock().unwrap().append(&mut messages).unwrap();
    }

    fn read_all(&self) -> Sum {
        let log = self.0.lock().unwrap();
        let mut sum = Sum::default();
        let mut next = 0;
        loop {
            let messages = log.read(next, ReadLimit::max_bytes(PAGE)).unwrap();
            let Some(last) = messages.iter().last().map(|message| message.offset()) else { break sum };
            for message in messages.iter() {
                sum.add(message.payload());
            }
            next = last + 1;
        }
    }

    fn close(self: Box<Self>) {
        self.0.lock().unwrap().flush().unwrap();
    }
}
