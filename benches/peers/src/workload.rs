//! What everybody is measured at.

/// A record's size where a workload does not vary it, and how many records a batch has.
pub const RECORD: usize = 1024;
pub const SMALL: usize = 100;
pub const BATCH: usize = 500;
/// Records that are read, and records that are there when a process is killed.
pub const READ_RECORDS: u64 = 1_000_000;
pub const REOPEN_RECORDS: u64 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One thread appends records of so many bytes, one a call, and nothing waits for the disk.
    Append(usize),
    /// One thread appends 500 records of 100 bytes a call, and nothing waits for the disk.
    Batch,
    /// The same, and each batch is on disk when its call returns.
    BatchSynced,
    /// So many threads append records of 1 KiB, one a call; each is on disk when its call returns.
    Synced(usize),
    /// A fresh process reads a million records of 100 bytes in order. They are in the page cache.
    Read,
    /// A process with 100,000 acknowledged records of 1 KiB is killed; a fresh one opens what it left.
    Reopen,
}

/// What a call promises when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing about the disk.
    Unsynced,
    /// The record is on it.
    Synced,
}

impl Workload {
    pub const ALL: [Self; 9] = [
        Self::Append(100),
        Self::Append(1024),
        Self::Append(65_536),
        Self::Batch,
        Self::BatchSynced,
        Self::Synced(1),
        Self::Synced(16),
        Self::Read,
        Self::Reopen,
    ];

    /// Its name on the command line and in the figures.
    pub fn id(self) -> String {
        match self {
            Self::Append(len) => format!("append-{len}"),
            Self::Batch => "batch".to_owned(),
            Self::BatchSynced => "batch-synced".to_owned(),
            Self::Synced(threads) => format!("synced-{threads}"),
            Self::Read => "read".to_owned(),
            Self::Reopen => "reopen".to_owned(),
        }
    }

    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.id() == id)
    }

    /// Its name in tables and charts.
    pub fn title(self) -> &'static str {
        match self {
            Self::Append(100) => "append 100 B",
            Self::Append(1024) => "append 1 KiB",
            Self::Append(_) => "append 64 KiB",
            Self::Batch => "500 × 100 B a call",
            Self::BatchSynced => "500 × 100 B a call, synced",
            Self::Synced(1) => "1 KiB synced, 1 thread",
            Self::Synced(_) => "1 KiB synced, 16 threads",
            Self::Read => "read all, 100 B",
            Self::Reopen => "open after a kill",
        }
    }

    pub fn record_len(self) -> usize {
        match self {
            Self::Append(len) => len,
            Self::Batch | Self::BatchSynced | Self::Read => SMALL,
            Self::Synced(_) | Self::Reopen => RECORD,
        }
    }

    pub fn mode(self) -> Mode {
        match self {
            Self::BatchSynced | Self::Synced(_) => Mode::Synced,
            Self::Append(_) | Self::Batch | Self::Read | Self::Reopen => Mode::Unsynced,
        }
    }
}

/// Bytes that no compressor makes smaller, the same in every run.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
