//! Rows of a stream in other formats: what CSV, JSON lines and Parquet have in common.

use std::io::{self, Write};

use crate::stream::sequence_number::SequenceNumber;

use super::out_rows::RowsError;
use super::read_error::ReadBatchError;

/// What was written in another format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TableWritten {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Why rows were not written in another format, or not all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteTableError {
    /// The batches cannot be read.
    #[error(transparent)]
    Read(#[from] ReadBatchError),
    /// The destination took no more.
    #[error("cannot write the rows: {0}")]
    Write(#[from] io::Error),
    /// A table has one schema; this batch has another than the first.
    #[error(
        "the batch at {number} has another schema than those before it: choose one for all with BatchReaderOptions::schema, or \
         end before it"
    )]
    SchemaChanged {
        /// The batch's first row.
        number: SequenceNumber,
    },
    /// A column is in the way of one that was to be added.
    #[error(
        "the rows have a column '{name}' already: leave it out with BatchReaderOptions::columns, or write no sequence numbers"
    )]
    ColumnExists {
        /// The column.
        name: &'static str,
    },
    /// The format has nothing for columns of this type, or for this value.
    #[error(
        "the rows cannot be written as {format}: {reason}; choose other columns with BatchReaderOptions::columns"
    )]
    Encode {
        /// The format.
        format: &'static str,
        /// What Arrow says.
        reason: String,
    },
}

impl From<RowsError> for WriteTableError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Read(error) => Self::Read(error),
            RowsError::SchemaChanged { number } => Self::SchemaChanged { number },
            RowsError::ColumnExists { name } => Self::ColumnExists { name },
        }
    }
}

/// A destination that counts what it has taken, and keeps the error when it takes no more: formats turn it into text.
pub(super) struct Counted<W> {
    out: W,
    written: u64,
    failure: Option<io::Error>,
}

impl<W: Write> Counted<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, written: 0, failure: None }
    }

    /// What became of writing it all.
    pub(super) fn conclude<E: ToString>(
        mut self,
        format: &'static str,
        outcome: Result<u64, RowsOr<E>>,
    ) -> Result<TableWritten, WriteTableError> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        match outcome {
            Ok(rows) => {
                self.out.flush()?;
                Ok(TableWritten { rows, bytes: self.written })
            }
            Err(RowsOr::Rows(error)) => Err(error.into()),
            Err(RowsOr::Format(error)) => Err(WriteTableError::Encode { format, reason: error.to_string() }),
        }
    }

    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        outcome.map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failure.get_or_insert(error);
            }
            kind.into()
        })
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.out.write(bytes);
        let count = self.note(outcome)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = self.out.flush();
        self.note(outcome)
    }
}

/// An error of the rows, or of the format that they are written in.
pub(super) enum RowsOr<E> {
    Rows(RowsError),
    Format(E),
}

impl<E> From<RowsError> for RowsOr<E> {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}
