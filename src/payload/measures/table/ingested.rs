//! What became of a call's records.

use crate::payload::measures::reason::RejectedRecord;

/// How many records of a call were taken: Timestream's `RecordsIngested`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecordsIngested {
    /// All that were taken.
    pub total: usize,
    /// Those whose time is in the memory store's window; all when the table takes any time.
    pub memory_store: usize,
    /// Those that are older.
    pub magnetic_store: usize,
    /// Those, counted above too, that were there already with the same version and value: nothing was stored for them.
    pub unchanged: usize,
}

/// A call of which some records were rejected; the others are stored. Its `Display` is the service's message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("One or more records have been rejected. See RejectedRecords for details.")]
#[non_exhaustive]
pub struct RejectedRecords {
    /// Those that were rejected, in the order of the call.
    pub rejected: Vec<RejectedRecord>,
    /// Those that were not.
    pub ingested: RecordsIngested,
}
