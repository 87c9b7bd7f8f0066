//! Why a data point could not be read.

use crate::payload::measures::encoding::DecodeMeasureError;
use crate::payload::measures::index::IndexError;
use crate::stream::error::ReadError;
use crate::stream::sequence_number::SequenceNumber;

/// Why a data point could not be read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadMeasureError {
    /// The version index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The stream could not be read.
    #[error(transparent)]
    Stream(#[from] ReadError),
    /// The record is not that of the data point, which only damage can cause.
    #[error("record {number} should hold a data point: {source}; verify the store")]
    Decode {
        /// The record.
        number: SequenceNumber,
        /// What is wrong with it.
        source: DecodeMeasureError,
    },
    /// The version index names a record that the stream does not show.
    #[error(
        "record {number} should hold a data point and is not there: after a failed sync, open the store again; else verify \
         it"
    )]
    Missing {
        /// The record.
        number: SequenceNumber,
    },
}
