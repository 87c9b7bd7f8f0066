//! Rows of a format into a stream: what all formats have in common.

use std::io;

use arrow_array::RecordBatch;
#[cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
use arrow_schema::{ArrowError, Schema};

use crate::stream::put::Key;

use super::Columns;
use super::put::PutBatch;
use super::put_error::PutBatchError;

/// How many rows are read at once where the handle says nothing else.
#[cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
const ROWS_AT_ONCE: usize = 8192;
/// How many fields are read at once at most: the readers of CSV and JSON take up to 40 bytes for each before they read the first.
#[cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
const FIELDS_AT_ONCE: usize = 1 << 20;

/// Why rows of a format were not put, or not all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutRowsError {
    /// The source cannot be read.
    #[error("cannot read the rows: {source}; {} rows were put before that", put.rows)]
    Read {
        /// What the source said.
        source: io::Error,
        /// What was put before.
        put: PutBatch,
    },
    /// What was read is not of the format, or of a kind of it that is not supported, or does not fit the schema.
    #[error("this cannot be read as {format}: {reason}; {} rows were put before that", put.rows)]
    Malformed {
        /// The format.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
        /// What was put before.
        put: PutBatch,
    },
    /// Rows could not be put.
    #[error(transparent)]
    Put(#[from] PutBatchError),
}

impl PutRowsError {
    /// What was put before the error.
    pub fn put(&self) -> PutBatch {
        match self {
            Self::Read { put, .. } | Self::Malformed { put, .. } => *put,
            Self::Put(error) => error.put(),
        }
    }

    /// What a reader of `format` said, after `put`.
    #[cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
    pub(super) fn of_arrow(format: &'static str, error: ArrowError, put: PutBatch) -> Self {
        match error {
            ArrowError::IoError(_, source) => Self::Read { source, put },
            error => Self::Malformed { format, reason: error.to_string(), put },
        }
    }
}

impl Columns {
    /// How many rows of this schema a reader of a format is to give at once.
    #[cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
    pub(super) fn rows_at_once(&self, schema: &Schema) -> usize {
        let wanted = if self.max_rows_per_record == 0 { ROWS_AT_ONCE } else { self.max_rows_per_record };
        let fields = schema.flattened_fields().len().max(1);
        wanted.min(FIELDS_AT_ONCE / fields).max(1)
    }

    /// Puts what a reader gives; `failed` says what it means where that is an error, after what was put before.
    pub(super) fn put_rows<E>(
        &self,
        key: Key<'_>,
        batches: impl IntoIterator<Item = Result<RecordBatch, E>>,
        failed: impl Fn(E, PutBatch) -> PutRowsError,
    ) -> Result<PutBatch, PutRowsError> {
        let mut put = PutBatch::default();
        for batch in batches {
            let batch = batch.map_err(|error| failed(error, put))?;
            match self.put_batch(key, &batch) {
                Ok(more) => put.append(more),
                Err(error) => return Err(error.after(put).into()),
            }
        }
        Ok(put)
    }
}
