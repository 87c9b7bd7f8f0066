//! What a shard has and has done, in figures.

use crate::error::IoError;
use crate::sys::clock::Timestamp;

use super::shard_log::ShardLog;

/// What a shard has and has done.
#[derive(Debug, Clone)]
pub(crate) struct LogStats {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) segments: usize,
    pub(crate) oldest: Option<(u64, Timestamp)>,
    pub(crate) newest: Option<(u64, Timestamp)>,
    pub(crate) next: u64,
    pub(crate) durable: u64,
    pub(crate) syncs: u64,
    pub(crate) pinned_bytes: u64,
    pub(crate) preparation_failure: Option<IoError>,
}

impl ShardLog {
    /// What this shard has and has done.
    pub(crate) fn stats(&self) -> LogStats {
        let segments = self.list.all();
        let extents: Vec<_> = segments.iter().map(|segment| segment.extent()).collect();
        let (next, _) = self.tip();
        LogStats {
            records: extents.iter().map(|extent| extent.frames).sum(),
            bytes: segments.iter().map(|segment| segment.identity().capacity).sum(),
            segments: segments.len(),
            oldest: segments
                .iter()
                .zip(&extents)
                .find(|(_, extent)| extent.frames > 0)
                .map(|(segment, extent)| (segment.base(), extent.first_time)),
            newest: extents
                .iter()
                .rev()
                .find(|extent| extent.frames > 0)
                .map(|extent| (extent.next.saturating_sub(1), extent.last_time)),
            next,
            durable: self.commit.durable(),
            syncs: self.commit.syncs(),
            pinned_bytes: self.list.pinned_bytes(),
            preparation_failure: self.preparation.failure(),
        }
    }
}
