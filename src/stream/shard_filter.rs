//! Which shards to list.

use crate::sys::clock::Timestamp;

use super::shard_id::ShardId;
use super::shard_map::{Shard, ShardMap};

/// Which shards [`Stream::list_shards`](crate::Stream::list_shards) gives, after Kinesis's `ShardFilter`.
///
/// Closed shards are in the list for as long as retention keeps records of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ShardFilter {
    /// All of them, open and closed.
    #[default]
    All,
    /// Those whose ids are above this one.
    AfterShardId(ShardId),
    /// Those to begin with when all records that are kept are to be read: shards none of whose parents are kept.
    AtTrimHorizon,
    /// Those with records from the trim horizon on: all of them.
    FromTrimHorizon,
    /// Those that are open now.
    AtLatest,
    /// Those that were open at this time.
    AtTimestamp(Timestamp),
    /// Those that were open at this time or later.
    FromTimestamp(Timestamp),
}

impl ShardFilter {
    /// Whether the filter lets a shard of `map` through.
    pub(crate) fn admits(self, map: &ShardMap, shard: &Shard) -> bool {
        let lineage = &shard.lineage;
        let ended_before = |time| lineage.ended.is_some_and(|ended| ended.at < time);
        match self {
            Self::All | Self::FromTrimHorizon => true,
            Self::AfterShardId(id) => shard.id > id,
            Self::AtTrimHorizon => lineage.parents().all(|parent| map.by_id(parent).is_none()),
            Self::AtLatest => shard.is_open(),
            Self::AtTimestamp(time) => lineage.created <= time && !ended_before(time),
            Self::FromTimestamp(time) => !ended_before(time),
        }
    }
}
