//! What all logs of one store share.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::sys::clock::Clock;
use crate::sys::parallel;
use crate::sys::storage::Storage;

use super::background::Background;
use super::files::FileCache;
use super::map_cache::MapCache;

/// The smallest segment that can be asked for.
pub(crate) const MIN_SEGMENT_LEN: u64 = 64 * 1024;
/// The largest segment that can be asked for.
pub(crate) const MAX_SEGMENT_LEN: u64 = 1 << 40;

/// What all logs of one store share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) background: Background,
    pub(crate) maps: MapCache,
    pub(crate) files: FileCache,
    /// Length of a shard's first segment.
    pub(crate) first_segment_len: u64,
    /// Length that doubling stops at.
    pub(crate) max_segment_len: u64,
    /// How long to sleep at the most between two looks at what another process writes.
    pub(crate) poll_interval: Duration,
}

impl Context {
    /// How many threads to do work on that keeps processors busy. Each may have several files open, so there are not more of them on
    /// a machine of very many processors.
    pub(crate) fn working_threads(&self) -> usize {
        const MAX: usize = 16;
        if self.background.is_manual() {
            1
        } else {
            thread::available_parallelism().map_or(1, usize::from).min(MAX)
        }
    }

    /// How many threads to do work on that mostly waits for the disk.
    pub(crate) fn waiting_threads(&self) -> usize {
        if self.background.is_manual() { 1 } else { parallel::WAITING }
    }

    /// How long the segment after one of `len` bytes should be: twice as long, up to the cap.
    pub(crate) fn segment_len_after(&self, len: u64) -> u64 {
        len.saturating_mul(2).clamp(self.first_segment_len, self.max_segment_len)
    }
}
