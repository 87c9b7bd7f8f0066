//! What a shard has and has done, in figures.

use std::time::Duration;

use crate::error::IoError;
use crate::sys::clock::Timestamp;

use super::segment::Extent;
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
    pub(crate) last_durable: Option<u64>,
    pub(crate) syncs: u64,
    /// By how much the scheduled sync is late.
    pub(crate) sync_overdue: Duration,
    pub(crate) pinned_bytes: u64,
    pub(crate) work: Work,
    pub(crate) preparation_failure: Option<IoError>,
}

/// What a shard has done since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) appended_records: u64,
    /// Their frames.
    pub(crate) appended_bytes: u64,
    /// Rolls for which no segment was ready.
    pub(crate) stalls: u64,
    /// How long these took.
    pub(crate) stalled: Duration,
}

impl Work {
    /// What was appended to a segment that had come as far as `from`.
    pub(crate) fn add_appends(&mut self, from: &Extent, to: &Extent) {
        self.appended_records += to.frames.saturating_sub(from.frames);
        self.appended_bytes += (to.end as u64).saturating_sub(from.end as u64);
    }
}

impl ShardLog {
    /// What this shard has and has done.
    pub(crate) fn stats(&self) -> LogStats {
        // First: what a batch has appended is read before its segment tells of it. By now it does.
        let (next, work, sync_due) = {
            let appender = self.appender.lock();
            (appender.next(), appender.work(), appender.sync_due())
        };
        let segments = self.list.all();
        let extents: Vec<_> = segments.iter().map(|segment| segment.extent()).collect();
        let durable = self.durable();
        // Somebody else's sync may have come before it.
        let sync_due = sync_due.filter(|_| durable < next);
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
            durable,
            last_durable: self.last_durable(),
            syncs: self.commit.syncs(),
            sync_overdue: sync_due.map_or(Duration::ZERO, |due| self.context.clock.now().since(due)),
            pinned_bytes: self.list.pinned_bytes(),
            work,
            preparation_failure: self.preparation.failure(),
        }
    }
}
