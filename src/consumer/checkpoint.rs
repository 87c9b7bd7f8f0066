//! How far a consumer has come in a shard.

use std::fmt;

use crate::stream::position::Position;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

/// How far a consumer has come in a shard, and so where it goes on: after Kinesis's checkpoints, which are positions or
/// `SHARD_END`.
///
/// There is no `LATEST` among them: a consumer that starts there, or is reset to there, remembers what the latest was
/// at that moment, so that a restart before its first checkpoint misses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checkpoint {
    /// At the oldest record that is kept.
    TrimHorizon,
    /// At the first record that arrived at this time or later.
    AtTimestamp(Timestamp),
    /// At the record with this number, or the first one after it. The number may be that of the next record to come.
    AtSequenceNumber(SequenceNumber),
    /// After the record with this number: it has been processed.
    AfterSequenceNumber(SequenceNumber),
    /// The shard has ended, and all of it has been processed.
    ShardEnd,
}

impl Checkpoint {
    /// The counter of the first record that is still to be read, as far as that is known.
    pub(crate) fn next(self) -> Option<u64> {
        match self {
            Self::AtSequenceNumber(number) => Some(number.counter()),
            Self::AfterSequenceNumber(number) => Some(number.counter().saturating_add(1)),
            Self::TrimHorizon | Self::AtTimestamp(_) | Self::ShardEnd => None,
        }
    }

    /// Where to read on in a shard whose next record will get the counter `next`.
    pub(crate) fn position(self, shard_id: ShardId, next: u64) -> Position {
        match self {
            Self::TrimHorizon => Position::TrimHorizon,
            Self::AtTimestamp(time) => Position::AtTimestamp(time),
            Self::AfterSequenceNumber(number) if number.counter() < next => {
                Position::AfterSequenceNumber(number)
            }
            Self::AtSequenceNumber(number) if number.counter() < next => Position::AtSequenceNumber(number),
            // Behind everything there is: what comes next, whatever comes before this is used.
            _ => match next.checked_sub(1) {
                Some(last) => Position::AfterSequenceNumber(SequenceNumber::new(last, shard_id)),
                None => Position::TrimHorizon,
            },
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrimHorizon => f.write_str("at the trim horizon"),
            Self::AtTimestamp(time) => write!(f, "at the time {time}"),
            Self::AtSequenceNumber(number) => write!(f, "at {number}"),
            Self::AfterSequenceNumber(number) => write!(f, "after {number}"),
            Self::ShardEnd => f.write_str("at the shard's end"),
        }
    }
}
