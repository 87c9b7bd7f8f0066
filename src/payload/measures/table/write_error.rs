//! Why a call was not taken as it was given.

use crate::error::SyncError;
use crate::payload::measures::validation_error::ValidationError;
use crate::stream::error::PutError;

use super::checkpoint::CheckpointError;
use super::ingested::{RecordsIngested, RejectedRecords};
use super::read_error::ReadMeasureError;

/// Why a call was not taken as it was given.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteRecordsError {
    /// The whole call is refused: Timestream's `ValidationException`. Nothing is stored.
    #[error(transparent)]
    Validation(#[from] ValidationError),
    /// Some records are rejected: Timestream's `RejectedRecordsException`. The others are stored.
    #[error(transparent)]
    Rejected(#[from] RejectedRecords),
    /// A record could not be put. Those before it that were not rejected are stored, those behind it were not tried.
    #[error(
        "record {index} could not be stored: {source}; what was stored before it stays, and sending the whole call again \
         does not store it twice"
    )]
    Put {
        /// The record's place in the call, from 0.
        index: usize,
        /// What became of those before it.
        ingested: RecordsIngested,
        /// Why.
        source: PutError,
    },
    /// What the stream holds of a record's data point could not be read. As for `Put`.
    #[error(
        "record {index} could not be compared with what is stored: {source}; what was stored before it stays, and sending \
         the whole call again does not store it twice"
    )]
    Read {
        /// The record's place in the call, from 0.
        index: usize,
        /// What became of those before it.
        ingested: RecordsIngested,
        /// Why.
        source: ReadMeasureError,
    },
    /// The records are in the stream, and may not be on disk.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// Too much is pending for the version index, and it cannot be brought up to date. Nothing of the call is stored.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
