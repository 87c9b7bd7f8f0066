//! Carrying out a resharding: one replacement of the manifest, between two states in which the stream is whole.
//!
//! The shards that end take no appends while their records are made durable and the manifest is replaced; puts that come
//! meanwhile wait, and go to the children. So no record of a child is older than one of its parents, and whatever
//! happens on the way, the manifest says either that nothing was done or that all of it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::SyncError;
use crate::events;
use crate::log::shard_log::ShardLog;
use crate::stream::core::StreamCore;
use crate::stream::reshard::{ReshardPlanError, Step};
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::ShardMap;

use super::error::StreamError;
use super::manifest::{EndingManifest, ShardManifest};
use super::shared::{ManifestError, Shared};

/// Why shards were not split or merged. They are as they were, unless said otherwise.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReshardError {
    /// It cannot be done.
    #[error(transparent)]
    Plan(#[from] ReshardPlanError),
    /// A shard's records could not be made durable, just now or earlier.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The change could not be stored.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The change may be stored or not, the disk does not say: the shards that were to end take no more puts until the
    /// store has been opened again, which tells.
    #[error(
        "{error}; whether the shards were changed is not known: mend the disk, then open the store again"
    )]
    InDoubt {
        /// What went wrong.
        error: StreamError,
    },
    /// The stream's shards have used up their ids or numbers.
    #[error("the stream has no shard ids or sequence numbers left: put to another stream")]
    Exhausted,
}

/// Shards that take no appends until this is dropped, or never again.
struct Held {
    logs: Vec<Arc<ShardLog>>,
}

impl Held {
    /// Ends the shards for good.
    fn end(mut self) {
        self.logs.drain(..).for_each(|log| log.end());
    }

    /// Leaves them as they are.
    fn keep(mut self) {
        self.logs.clear();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.logs.iter().for_each(|log| log.release());
    }
}

impl Shared {
    /// Makes the steps that `plan` finds for the stream's present shards, all of them or none. Returns the new shards.
    pub(crate) fn reshard(
        &self,
        core: &Arc<StreamCore>,
        plan: impl FnOnce(&ShardMap) -> Result<Vec<Step>, ReshardPlanError>,
    ) -> Result<Vec<ShardId>, ReshardError> {
        let _one_at_a_time = core.resharding.lock();
        let map = core.shards.snapshot();
        let steps = plan(&map)?;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        // Most of the waiting for the disk comes before anything is held up.
        for parent in steps.iter().flat_map(|step| &step.parents) {
            parent.log.sync()?;
        }
        let mut held = Held { logs: Vec::new() };
        let mut endings = BTreeMap::new();
        let mut children = Vec::new();
        let mut last_id = map.all().last().map_or(0, |shard| shard.id.as_u32());
        for step in &steps {
            let (mut first, mut at) = (0, self.clock().now());
            for parent in &step.parents {
                let (next, last_time) = parent.log.hold().ok_or(StreamError::Closed)?;
                held.logs.push(Arc::clone(&parent.log));
                parent.log.sync()?;
                endings.insert(parent.id.as_u32(), EndingManifest { next, at: 0 });
                first = first.max(next);
                at = at.max(last_time);
            }
            let parents: Vec<_> = step.parents.iter().map(|parent| parent.id.as_u32()).collect();
            for parent in &parents {
                endings.entry(*parent).and_modify(|ending| ending.at = at.as_nanos());
            }
            for range in &step.children {
                last_id = last_id.checked_add(1).ok_or(ReshardError::Exhausted)?;
                children.push(ShardManifest {
                    id: last_id,
                    start: range.start.as_u128(),
                    end: range.end.as_u128(),
                    first,
                    parents: parents.clone(),
                    created: at.as_nanos(),
                    ended: None,
                });
            }
        }
        let ids = children.iter().map(|child| ShardId::new(child.id)).collect();
        let outcome = self.change_shards(core, |manifest| {
            for shard in &mut manifest.shards {
                shard.ended = endings.get(&shard.id).copied().or(shard.ended);
            }
            manifest.shards.extend(children);
        });
        match outcome {
            Ok(()) => {
                held.end();
                let open = core.shards.snapshot().open().len();
                events::resharded(&core.name, &endings.keys(), open);
            }
            Err(ManifestError { error, in_doubt: true }) => {
                held.keep();
                return Err(ReshardError::InDoubt { error });
            }
            Err(ManifestError { error, in_doubt: false }) => return Err(error.into()),
        }
        Ok(ids)
    }

    /// Forgets closed shards of which retention keeps nothing, then removes their directories. When the process dies in
    /// between, the next opening removes them.
    pub(crate) fn drop_shards(&self, core: &Arc<StreamCore>, ids: &[ShardId]) -> Result<(), StreamError> {
        let _one_at_a_time = core.resharding.lock();
        let map = core.shards.snapshot();
        let dropped: Vec<_> = ids.iter().filter_map(|id| map.by_id(*id)).collect();
        if dropped.is_empty() {
            return Ok(());
        }
        self.change_shards(core, |manifest| {
            manifest.shards.retain(|shard| !ids.contains(&ShardId::new(shard.id)));
        })?;
        for shard in dropped {
            shard.log.abandon();
            shard.log.forget_all();
            self.remove_shard_dir(core, shard.id)?;
        }
        Ok(())
    }
}
