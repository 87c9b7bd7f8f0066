//! The shards of a stream at one moment, and which of them a hash key belongs to.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::log::frame::Draft;
use crate::log::shard_log::ShardLog;

use super::error::PutError;
use super::hash_key::HashKey;
use super::hash_range::HashKeyRange;
use super::lineage::Lineage;
use super::owners::Owners;
use super::shard_id::ShardId;
use super::throttle::{Exceeded, Throttle};

/// A shard: its id, its part of the hash-key space, where it comes from, its log.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) range: HashKeyRange,
    pub(crate) lineage: Lineage,
    pub(crate) log: Arc<ShardLog>,
    pub(crate) throttle: Throttle,
}

impl Shard {
    /// Whether it takes records, as far as lineage goes.
    pub(crate) fn is_open(&self) -> bool {
        self.lineage.ended.is_none()
    }

    /// Whether the shard's limits allow to put this now.
    pub(crate) fn admit(&self, draft: &Draft<'_>) -> Result<(), PutError> {
        self.throttle.put(draft.record_len()).map_err(|Exceeded { retry_after }| {
            PutError::ThroughputExceeded { shard_id: self.id, retry_after }
        })
    }
}

/// The shards of a stream at one moment: the open ones cover all hash keys without overlap, the closed ones are only
/// read.
#[derive(Debug)]
pub(crate) struct ShardMap {
    /// By id.
    all: Vec<Arc<Shard>>,
    /// By range.
    open: Vec<Arc<Shard>>,
    /// Looking a key up looks at no shard.
    owners: Owners,
}

impl ShardMap {
    /// `None` when the ranges of the open shards, in order, leave a hole or overlap.
    pub(crate) fn new(mut all: Vec<Arc<Shard>>) -> Option<Self> {
        all.sort_by_key(|shard| shard.id);
        let mut open: Vec<_> = all.iter().filter(|shard| shard.is_open()).map(Arc::clone).collect();
        open.sort_by_key(|shard| shard.range.start);
        let owners = Owners::new(open.iter().map(|shard| shard.range.end).collect());
        HashKeyRange::cover_all(open.iter().map(|shard| shard.range)).then_some(Self { all, open, owners })
    }

    /// No shards: what no stream has.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self { all: Vec::new(), open: Vec::new(), owners: Owners::new(Vec::new()) }
    }

    /// All shards, by id: parents before their children.
    pub(crate) fn all(&self) -> &[Arc<Shard>] {
        &self.all
    }

    /// The shards that take records, by range.
    pub(crate) fn open(&self) -> &[Arc<Shard>] {
        &self.open
    }

    /// Which of them, by their places, own which hash keys.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The place in [`open`](Self::open) of the shard that owns `hash_key`.
    pub(crate) fn index_of(&self, hash_key: HashKey) -> usize {
        self.owners.place_of(hash_key)
    }

    /// The open shard that owns `hash_key`.
    pub(crate) fn owner_of(&self, hash_key: HashKey) -> Option<&Arc<Shard>> {
        self.open.get(self.index_of(hash_key))
    }

    pub(crate) fn by_id(&self, id: ShardId) -> Option<&Arc<Shard>> {
        let index = self.all.binary_search_by_key(&id, |shard| shard.id).ok()?;
        self.all.get(index)
    }

    /// Whether the shard's records come after those of `ancestor`.
    pub(crate) fn descends_from(&self, shard: &Shard, ancestor: ShardId) -> bool {
        // Ids grow from parents to children: the highest first, each is looked at once, however many ways lead to it, and below
        // the ancestor's own there is no need to look.
        let mut line: BTreeSet<_> = shard.lineage.parents().collect();
        while let Some(id) = line.pop_last().filter(|id| *id >= ancestor) {
            if id == ancestor {
                return true;
            }
            line.extend(
                self.by_id(id).into_iter().flat_map(|shard| shard.lineage.parents()).filter(|it| *it < id),
            );
        }
        false
    }
}
