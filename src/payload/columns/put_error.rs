//! Why a batch was not put.

use crate::stream::error::PutError;
use crate::stream::partition_key::PartitionKeyError;

use super::put::PutBatch;
use super::schema_error::SchemaError;

/// Why a batch was not put, or not all of it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PutBatchError {
    /// The partition key is empty or too long.
    #[error(transparent)]
    PartitionKey(#[from] PartitionKeyError),
    /// The batch's schema does not go with the stream, or cannot be stored.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Arrow cannot encode the batch.
    #[error("the batch cannot be encoded: {reason}")]
    Encode {
        /// What Arrow says.
        reason: String,
    },
    /// One row alone is longer than a record may be, with its key and the dictionaries it needs.
    #[error(
        "row {row} of the batch takes {len} bytes with the dictionaries that it needs, a record at most {max}: store the large \
         value elsewhere and put a reference to it, or turn large dictionaries into plain values"
    )]
    RowTooLarge {
        /// The row's place in the batch.
        row: usize,
        /// Bytes that it takes.
        len: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// The log did not take the rows, or not all.
    #[error("{source}; {} of the rows were put before that", put.rows)]
    Put {
        /// Why.
        source: PutError,
        /// What was put before. After [`PutError::Sync`] it is not known whether that is on disk.
        put: PutBatch,
    },
    /// A batch after the first could not be put.
    #[error("{source}; {} rows of earlier batches were put before that", put.rows)]
    After {
        /// Why.
        source: Box<PutBatchError>,
        /// What was put before, of the earlier batches and of this one.
        put: PutBatch,
    },
}

impl PutBatchError {
    /// What was put before the error.
    pub fn put(&self) -> PutBatch {
        match self {
            Self::Put { put, .. } | Self::After { put, .. } => *put,
            _ => PutBatch::default(),
        }
    }

    /// The error after earlier batches of the same call were put.
    pub(super) fn after(self, mut earlier: PutBatch) -> Self {
        if earlier.records == 0 {
            return self;
        }
        earlier.append(self.put());
        Self::After { source: Box::new(self), put: earlier }
    }
}
