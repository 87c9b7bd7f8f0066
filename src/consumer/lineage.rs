//! Which shards a consumer may read: parents before children.

use std::sync::Arc;

use crate::stream::core::StreamCore;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::Shard;

/// A shard, as far as the order of reading depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) id: ShardId,
    /// The shards that it was split or merged from.
    pub(crate) parents: [Option<ShardId>; 2],
}

/// The shards of a stream, by id.
pub(crate) fn of(core: &StreamCore) -> Vec<Known> {
    let known = |shard: &Arc<Shard>| {
        let lineage = &shard.lineage;
        Known { id: shard.id, parents: [lineage.parent, lineage.adjacent_parent] }
    };
    core.shards.look().all().iter().map(known).collect()
}

/// The shards that can be read now: those that are not finished and whose parents are, or are not there any more.
pub(crate) fn readable(known: &[Known], finished: impl Fn(ShardId) -> bool) -> Vec<ShardId> {
    let is_there = |id: &ShardId| known.binary_search_by_key(id, |shard| shard.id).is_ok();
    let waits = |shard: &Known| {
        shard.parents.into_iter().flatten().any(|parent| is_there(&parent) && !finished(parent))
    };
    known.iter().filter(|shard| !finished(shard.id) && !waits(shard)).map(|shard| shard.id).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shard(id: u32, parents: &[u32]) -> Known {
        let mut parents = parents.iter().copied().map(ShardId::new);
        Known { id: ShardId::new(id), parents: [parents.next(), parents.next()] }
    }

    fn readable_after(known: &[Known], finished: &[u32]) -> Vec<u32> {
        let finished: BTreeSet<_> = finished.iter().copied().collect();
        readable(known, |id| finished.contains(&id.as_u32())).into_iter().map(ShardId::as_u32).collect()
    }

    #[test]
    fn children_come_after_all_their_parents() {
        // 0 is split into 2 and 3; 1 and 3 are merged into 4; 4 is split into 5 and 6.
        let known = [
            shard(0, &[]),
            shard(1, &[]),
            shard(2, &[0]),
            shard(3, &[0]),
            shard(4, &[3, 1]),
            shard(5, &[4]),
            shard(6, &[4]),
        ];
        assert_eq!(readable_after(&known, &[]), [0, 1]);
        assert_eq!(readable_after(&known, &[1]), [0]);
        assert_eq!(readable_after(&known, &[0]), [1, 2, 3]);
        assert_eq!(readable_after(&known, &[0, 3]), [1, 2]);
        assert_eq!(readable_after(&known, &[0, 1]), [2, 3]);
        assert_eq!(readable_after(&known, &[0, 1, 3]), [2, 4]);
        assert_eq!(readable_after(&known, &[0, 1, 3, 4]), [2, 5, 6]);
        // Retention has taken 0, 1 and 3.
        assert_eq!(readable_after(&[known[2], known[4], known[5], known[6]], &[]), [2, 4]);
    }
}
