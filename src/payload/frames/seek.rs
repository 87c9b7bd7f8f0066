//! Where to start reading a table.

use crate::stream::position::Position;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

/// Where in a shard to start reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seek {
    /// At the oldest row that is kept.
    Earliest,
    /// After the newest row.
    Latest,
    /// At the row of this number, as the index `seq_number` has it. If it was removed by retention, at the first after it.
    Sequence(u64),
    /// At the first row that arrived at this time or later; after the newest if there is none, as for a time to come.
    Time(Timestamp),
}

impl Seek {
    pub(super) fn position(self, shard_id: ShardId) -> Position {
        match self {
            Self::Earliest => Position::TrimHorizon,
            Self::Latest => Position::Latest,
            Self::Sequence(counter) => Position::AtSequenceNumber(SequenceNumber::new(counter, shard_id)),
            Self::Time(time) => Position::AtTimestamp(time),
        }
    }
}
