//! Which shards a consumer may read: parents before children.

use crate::stream::core::StreamCore;
use crate::stream::shard_id::ShardId;

/// A shard, as far as the order of reading depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) id: ShardId,
    /// The shards that it was split or merged from.
    pub(crate) parents: [Option<ShardId>; 2],
}

/// The shards of a stream, by id.
pub(crate) fn of(core: &StreamCore) -> Vec<Known> {
    let known = core.shards.all().iter().map(|shard| Known { id: shard.id, parents: [None; 2] });
    let mut known: Vec<_> = known.collect();
    known.sort_unstable_by_key(|shard| shard.id);
    known
}

/// The shards that can be read now: those that are not finished and whose parents are, or are not there any more.
pub(crate) fn readable(known: &[Known], finished: impl Fn(ShardId) -> bool) -> Vec<ShardId> {
    let is_there = |id: &ShardId| known.binary_search_by_key(id, |shard| shard.id).is_ok();
    let waits = |shard: &Known| {
        shard.parents.into_iter().flatten().any(|parent| is_there(&parent) && !finished(parent))
    };
    known.iter().filter(|shard| !finished(shard.id) && !waits(shard)).map(|shard| shard.id).collect()
}
