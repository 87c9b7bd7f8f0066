//! The shards of a stream, as they change.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::shard_map::ShardMap;

/// The shards of a stream. Looking takes no lock; resharding and retention replace the map as a whole.
#[derive(Debug)]
pub(crate) struct LiveShards {
    /// The shards with which the stream was opened. Most streams never have others, and to look at these costs nothing: they
    /// stay for as long as the stream is open, though their logs are put away when they have ended.
    first: Arc<ShardMap>,
    /// Whether there are others by now.
    replaced: AtomicBool,
    map: ArcSwap<ShardMap>,
}

/// The shards there are, for a moment.
pub(crate) enum Look<'a> {
    First(&'a Arc<ShardMap>),
    Later(Guard<Arc<ShardMap>>),
}

impl Deref for Look<'_> {
    type Target = Arc<ShardMap>;

    #[inline]
    fn deref(&self) -> &Arc<ShardMap> {
        match self {
            Self::First(map) => map,
            Self::Later(map) => map,
        }
    }
}

impl LiveShards {
    pub(crate) fn new(map: ShardMap) -> Arc<Self> {
        let first = Arc::new(map);
        Arc::new(Self { map: ArcSwap::new(Arc::clone(&first)), first, replaced: AtomicBool::new(false) })
    }

    /// The shards there are now, for a moment.
    #[inline]
    pub(crate) fn look(&self) -> Look<'_> {
        if self.replaced.load(Ordering::Acquire) {
            Look::Later(self.map.load())
        } else {
            Look::First(&self.first)
        }
    }

    /// The shards there are now, to keep.
    pub(crate) fn snapshot(&self) -> Arc<ShardMap> {
        self.map.load_full()
    }

    pub(crate) fn replace(&self, map: ShardMap) {
        self.map.store(Arc::new(map));
        // Behind the store: who does not see this yet has looked before it.
        self.replaced.store(true, Ordering::Release);
    }
}
