//! A record that is no point.

use crate::payload::line_protocol::ParseError;
use crate::stream::sequence_number::SequenceNumber;

/// Why a record is no point. Somebody put it as bytes; the reader goes on with the next record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodePointError {
    /// The data are no line of line protocol.
    #[error("record {number} is no point: it was not put as one")]
    NotAPoint {
        /// The record.
        number: SequenceNumber,
        /// What is wrong with it.
        #[source]
        error: ParseError,
    },
    /// The data are empty, blank or a comment.
    #[error("record {number} holds no point: it was not put as one")]
    NoPoint {
        /// The record.
        number: SequenceNumber,
    },
    /// The data go on after the first line.
    #[error(
        "record {number} holds more than one line: put each point as a record, as Stream::write_line_protocol does"
    )]
    MoreThanOneLine {
        /// The record.
        number: SequenceNumber,
    },
}

impl DecodePointError {
    /// The record that is no point.
    #[must_use]
    pub fn sequence_number(&self) -> SequenceNumber {
        match self {
            Self::NotAPoint { number, .. } | Self::NoPoint { number } | Self::MoreThanOneLine { number } => {
                *number
            }
        }
    }
}
