//! The shards of a stream, as they change.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::shard_map::ShardMap;

/// The shards of a stream. Looking takes no lock; resharding and retention replace the map as a whole.
#[derive(Debug)]
pub(crate) struct LiveShards {
    /// The shards with which the stream was opened for writing. Most streams never have others, and to look at these costs nothing:
    /// they stay for as long as the stream is open, though their logs are put away when they have ended.
    first: Option<Arc<ShardMap>>,
    /// Whether there are others by now, or are about to be.
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
    /// Shards that this process writes.
    pub(crate) fn written(map: ShardMap) -> Arc<Self> {
        let first = Arc::new(map);
        let map = ArcSwap::new(Arc::clone(&first));
        Arc::new(Self { map, first: Some(first), replaced: AtomicBool::new(false) })
    }

    /// Shards that another process writes. Those that it drops are not kept: they may have deleted files mapped.
    pub(crate) fn followed(map: ShardMap) -> Arc<Self> {
        Arc::new(Self { map: ArcSwap::from_pointee(map), first: None, replaced: AtomicBool::new(false) })
    }

    /// The shards there are now, for a moment.
    #[inline]
    pub(crate) fn look(&self) -> Look<'_> {
        match &self.first {
            Some(first) if !self.replaced.load(Ordering::Acquire) => Look::First(first),
            _ => Look::Later(self.map.load()),
        }
    }

    /// The shards there are now, to keep.
    pub(crate) fn snapshot(&self) -> Arc<ShardMap> {
        self.map.load_full()
    }

    pub(crate) fn replace(&self, map: ShardMap) {
        // Before the map: whoever has seen the new one must not look at the first one any more.
        self.replaced.store(true, Ordering::SeqCst);
        self.map.store(Arc::new(map));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has been seen is not unseen, whichever way it is looked at.
    #[test]
    fn who_has_taken_a_snapshot_never_looks_at_an_earlier_map() {
        for _ in 0..2000 {
            let shards = LiveShards::written(ShardMap::empty());
            let first = shards.snapshot();
            std::thread::scope(|scope| {
                scope.spawn(|| shards.replace(ShardMap::empty()));
                while Arc::ptr_eq(&shards.snapshot(), &first) {
                    std::hint::spin_loop();
                }
                assert!(!Arc::ptr_eq(&shards.look(), &first));
            });
        }
    }
}
