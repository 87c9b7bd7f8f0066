//! Where a shard comes from, and whether it has ended.

use crate::sys::clock::Timestamp;

use super::shard_id::ShardId;

/// A shard's place among the shards that resharding made of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lineage {
    /// The shard that this one was split from, or the first of the two that it was merged from.
    pub(crate) parent: Option<ShardId>,
    /// The second of the two shards that this one was merged from.
    pub(crate) adjacent_parent: Option<ShardId>,
    /// The sequence counter of its first record.
    pub(crate) first: u64,
    /// No record of it arrived before.
    pub(crate) created: Timestamp,
    /// Set once it has been split or merged.
    pub(crate) ended: Option<Ending>,
}

/// The end of a shard that has been split or merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Its last record has a sequence counter below this one, and those of its children are not.
    pub(crate) next: u64,
    /// When it ended.
    pub(crate) at: Timestamp,
}

impl Lineage {
    /// The shards whose records come before those of this one.
    pub(crate) fn parents(&self) -> impl Iterator<Item = ShardId> {
        [self.parent, self.adjacent_parent].into_iter().flatten()
    }
}
