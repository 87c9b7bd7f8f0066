//! Rows of other formats into a stream: what CSV, JSON lines and Parquet have in common.

use std::io;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema};

use crate::stream::put::Key;

use super::Columns;
use super::put::PutBatch;
use super::put_error::PutBatchError;

/// How many rows are read at once where the handle says nothing else.
const ROWS_AT_ONCE: usize = 8192;
/// How many fields are read at once at most: the readers of CSV and JSON take up to 40 bytes for each before they read the first.
const FIELDS_AT_ONCE: usize = 1 << 20;

/// Why rows of another format were not put, or not all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutTableError {
    /// The source cannot be read.
    #[error("cannot read the rows: {source}; {} rows were put before that", put.rows)]
    Read {
        /// What the source said.
        source: io::Error,
        /// What was put before.
        put: PutBatch,
    },
    /// What was read is not of the format, or does not fit the schema.
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

impl PutTableError {
    /// What was put before the error.
    pub fn put(&self) -> PutBatch {
        match self {
            Self::Read { put, .. } | Self::Malformed { put, .. } => *put,
            Self::Put(error) => error.put(),
        }
    }

    /// What a reader of `format` said, after `put`.
    pub(super) fn of_arrow(format: &'static str, error: ArrowError, put: PutBatch) -> Self {
        match error {
            ArrowError::IoError(_, source) => Self::Read { source, put },
            error => Self::Malformed { format, reason: error.to_string(), put },
        }
    }
}

impl Columns {
    /// How many rows of this schema a reader of another format is to give at once.
    pub(super) fn rows_at_once(&self, schema: &Schema) -> usize {
        let wanted = if self.max_rows_per_record == 0 { ROWS_AT_ONCE } else { self.max_rows_per_record };
        let fields = schema.flattened_fields().len().max(1);
        wanted.min(FIELDS_AT_ONCE / fields).max(1)
    }

    /// Puts what a reader of `format` gives.
    pub(super) fn put_table(
        &self,
        key: Key<'_>,
        format: &'static str,
        batches: impl IntoIterator<Item = Result<RecordBatch, ArrowError>>,
    ) -> Result<PutBatch, PutTableError> {
        let mut put = PutBatch::default();
        for batch in batches {
            let batch = batch.map_err(|error| PutTableError::of_arrow(format, error, put))?;
            match self.put_batch(key, &batch) {
                Ok(more) => put.append(more),
                Err(error) => return Err(error.after(put).into()),
            }
        }
        Ok(put)
    }
}
