//! What is measured: each log or store behind the same few calls, and what it can take part in.

use std::path::Path;

use crate::peers;
use crate::workload::{Mode, Workload};

/// An open log. A call that fails panics: a measurement of a failing log is none.
pub trait Log: Sync {
    /// Appends one record. `sequence` counts the calls of one `writer`, which is the number of a thread, from 1.
    fn append(&self, writer: usize, sequence: u64, data: &[u8]);

    /// Appends records in one call, by writer 0. `first` is the sequence of the first.
    fn append_batch(&self, first: u64, batch: &[Vec<u8>]);

    /// Reads everything from the oldest record on, in order.
    fn read_all(&self) -> Sum;

    /// Closes in an orderly way.
    fn close(self: Box<Self>);
}

/// What was read; made of a byte of each record, so that none is left unread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    pub records: u64,
    pub bytes: u64,
    pub touched: u64,
}

impl Sum {
    #[inline]
    pub fn add(&mut self, data: &[u8]) {
        self.records += 1;
        self.bytes += data.len() as u64;
        self.touched += u64::from(data[0]);
    }
}

/// Whether somebody takes part in a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// With the workload's own promise, or a stronger one.
    Same,
    /// With a weaker promise, which is this.
    Weaker(&'static str),
    /// Not, and this is why.
    Not(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Peer,
    /// What the machine charges for the bytes alone.
    Bare,
}

/// Somebody to measure.
pub struct Peer {
    pub name: &'static str,
    /// The crate whose version is told.
    pub package: Option<&'static str>,
    pub kind: Kind,
    pub open: fn(&Path, Mode, Workload) -> Box<dyn Log>,
    pub part: fn(Workload) -> Part,
    /// How records get in that are read or found after a kill.
    pub filling: Filling,
}

/// How records get in before something else is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// 500 a call, not synced.
    Batches,
    /// 500 a call, synced: there is no other way, or no record survives without.
    SyncedBatches,
    /// One a call: its batches are always synced.
    Singles,
}

/// Everybody, in the order of the tables.
pub fn all() -> Vec<Peer> {
    vec![
        peers::bare::COPY,
        peers::bare::WRITE,
        peers::bare::POINTER_WALK,
        peers::bare::CHECKSUM_WALK,
        peers::ours::RIVERBED,
        peers::ours::UNVERIFIED,
        peers::commitlog::PEER,
        peers::okaywal::PEER,
        peers::raft_engine::PEER,
        peers::walrus::PEER,
        peers::fjall::PEER,
        peers::redb::PEER,
        #[cfg(feature = "rocksdb")]
        peers::rocksdb::PEER,
        peers::sled::PEER,
    ]
}
