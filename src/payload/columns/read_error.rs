//! Why there is no batch to read.

use crate::stream::error::ReadError;
use crate::stream::sequence_number::SequenceNumber;

use super::schema_error::SchemaError;

/// Why there is no batch to read. After all but [`Read`](Self::Read) the reader goes on behind the record.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadBatchError {
    /// The log cannot be read here.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The rows have another schema than was asked for, or their schema cannot be read.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A record of bytes, where batches were asked for.
    #[error(
        "record {number} is no batch: read on behind it, or choose what to do with such records with RawRecords"
    )]
    NotABatch {
        /// The record.
        number: SequenceNumber,
    },
    /// The record's checksum does not fit its bytes.
    #[error(
        "the batch at {number} is damaged: {reason}; copy the segment away before anything else, then read on behind it"
    )]
    Corrupt {
        /// The first row.
        number: SequenceNumber,
        /// The expected and the found checksum.
        reason: String,
    },
    /// The record is as it was written, and still no batch of its schema.
    #[error("the batch at {number} does not fit its schema {schema_id}: {reason}")]
    Malformed {
        /// The first row.
        number: SequenceNumber,
        /// The schema that it speaks of.
        schema_id: u32,
        /// What is wrong.
        reason: String,
    },
}
