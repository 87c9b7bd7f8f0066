//! Which shard a hash key belongs to.

use std::sync::Arc;

use crate::log::shard_log::ShardLog;

use super::hash_key::HashKey;
use super::hash_range::HashKeyRange;
use super::shard_id::ShardId;

/// A shard: its id, its part of the hash-key space, its log.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) range: HashKeyRange,
    pub(crate) log: Arc<ShardLog>,
}

/// The shards of a stream, in the order of their ranges, which cover all hash keys without overlap.
#[derive(Debug)]
pub(crate) struct ShardMap {
    shards: Vec<Shard>,
}

impl ShardMap {
    /// `None` when the ranges, in order, leave a hole or overlap.
    pub(crate) fn new(mut shards: Vec<Shard>) -> Option<Self> {
        shards.sort_by_key(|shard| shard.range.start);
        let mut next = Some(0);
        for shard in &shards {
            if next != Some(shard.range.start.as_u128()) || shard.range.end < shard.range.start {
                return None;
            }
            next = shard.range.end.as_u128().checked_add(1);
        }
        (next.is_none() && !shards.is_empty()).then_some(Self { shards })
    }

    /// All shards, by range.
    pub(crate) fn all(&self) -> &[Shard] {
        &self.shards
    }

    /// The place in [`all`](Self::all) of the shard that owns `hash_key`.
    pub(crate) fn index_of(&self, hash_key: HashKey) -> usize {
        self.shards.partition_point(|shard| shard.range.end < hash_key)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Shard> {
        self.shards.get(index)
    }

    pub(crate) fn by_id(&self, id: ShardId) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id)
    }
}
