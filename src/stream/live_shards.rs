//! The shards of a stream, as they change.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::shard_map::ShardMap;

/// The shards of a stream. Looking takes no lock; resharding and retention replace the map as a whole.
#[derive(Debug)]
pub(crate) struct LiveShards {
    map: ArcSwap<ShardMap>,
}

impl LiveShards {
    pub(crate) fn new(map: ShardMap) -> Arc<Self> {
        Arc::new(Self { map: ArcSwap::from_pointee(map) })
    }

    /// The shards there are now, for a moment.
    pub(crate) fn look(&self) -> Guard<Arc<ShardMap>> {
        self.map.load()
    }

    /// The shards there are now, to keep.
    pub(crate) fn snapshot(&self) -> Arc<ShardMap> {
        self.map.load_full()
    }

    pub(crate) fn replace(&self, map: ShardMap) {
        self.map.store(Arc::new(map));
    }
}
