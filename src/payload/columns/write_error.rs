//! Why rows were not written in a format.

use std::io;

use crate::stream::sequence_number::SequenceNumber;

use super::read_error::ReadBatchError;

/// Why rows were not written in a format, or not all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteRowsError {
    /// The batches cannot be read.
    #[error(transparent)]
    Read(#[from] ReadBatchError),
    /// The destination took no more.
    #[error("cannot write the rows: {0}")]
    Write(#[from] io::Error),
    /// All rows of a file or a stream have one schema; this batch has another than the first.
    #[error(
        "the batch at {number} has another schema than those before it: choose one for all with BatchReaderOptions::schema, or \
         end before it"
    )]
    SchemaChanged {
        /// The batch's first row.
        number: SequenceNumber,
    },
    /// A file of Arrow IPC holds each dictionary once; this batch has another for the same column.
    #[error(
        "the batch at {number} has other dictionaries than those before it: a file holds one for each column, use a stream"
    )]
    DictionaryChanged {
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
    /// A file of Arrow IPC cannot hold that much.
    #[error("the file is too long: write several, or a stream")]
    TooLong,
}

impl WriteRowsError {
    /// For `map_err`: what a writer of `format` said.
    pub(super) fn encode<E: ToString>(format: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Encode { format, reason: error.to_string() }
    }
}
