//! Which sealed segments stay mapped although nobody reads them just now.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::sys::region::Region;

/// Keeps the most recently opened mappings of a store alive, up to a cap. Readers and owned records hold their
/// own references; this cache bounds what is mapped beyond those.
#[derive(Debug)]
pub(crate) struct MapCache {
    cap: usize,
    recent: Mutex<VecDeque<Arc<Region>>>,
}

impl MapCache {
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap, recent: Mutex::new(VecDeque::new()) }
    }

    /// Remembers a mapping as the most recent one; the oldest goes when there are too many.
    pub(crate) fn keep(&self, region: Arc<Region>) {
        let evicted = {
            let mut recent = self.recent.lock();
            recent.push_back(region);
            if recent.len() > self.cap { recent.pop_front() } else { None }
        };
        // Unmapping can take a while: not under the lock.
        drop(evicted);
    }

    /// Forgets a mapping, because its segment has been removed.
    pub(crate) fn forget(&self, region: &Arc<Region>) {
        self.recent.lock().retain(|kept| !Arc::ptr_eq(kept, region));
    }
}
