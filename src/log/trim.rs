//! Removing the oldest segments of a shard.

use std::sync::Arc;

use crate::error::{IoError, SyncError};
use crate::events;
use crate::sys::storage::remove_if_there;

use super::append::Gate;
use super::index;
use super::segment::Segment;
use super::shard_log::ShardLog;

/// Why segments could not be removed. Those that are durably trimmed are not read any more, whether their files could be
/// removed or not; the next opening removes what is left.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrimError {
    /// A sync has failed, just now or earlier, or could not be made. Nothing was removed; the next trim does it, or the next
    /// opening.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The store was closed or the stream deleted. Nothing was trimmed.
    #[error("the stream is closed: its store was closed or it was deleted; open it again")]
    Closed,
    /// The operating system refused something else.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl ShardLog {
    /// Removes whole segments, oldest first, for as long as `may_go` says so of them; never the newest one. Returns the
    /// bytes that their files had.
    ///
    /// What is removed is durably so before the first file goes: a crash in between leaves files that the next opening
    /// removes.
    pub(crate) fn trim_while(
        self: &Arc<Self>,
        mut may_go: impl FnMut(&Segment) -> bool,
    ) -> Result<u64, TrimError> {
        let _trimming = self.trimming.lock();
        if matches!(self.gate(), Gate::Closed { .. }) {
            return Err(TrimError::Closed);
        }
        let mut segments = self.list.all();
        // The newest one stays.
        segments.pop();
        let count = segments.iter().take_while(|segment| may_go(segment)).count();
        segments.truncate(count);
        let Some(keep_from) = segments.last().map(|last| last.ordinal() + 1) else {
            return Ok(0);
        };
        // Nothing is removed of which a part still waits to be synced.
        self.sync()?;
        // Segments that are begun from here on say so from their first slot on. So, whenever one is begun meanwhile, the newest
        // one says so before the first file goes: who follows looks there.
        self.appender.lock().set_trim(keep_from);
        let Some(newest) = self.list.last() else {
            return Ok(0);
        };
        newest
            .change_slot(&self.context, |slot| slot.trim = slot.trim.max(keep_from))
            .map_err(|source| self.fail_sync(&newest, source))?;
        self.list.remove_before(keep_from);
        let storage = &*self.context.storage;
        let mut freed = 0;
        for segment in &segments {
            if let Some(region) = segment.mapped() {
                self.context.maps.forget(&region);
            }
            remove_if_there(storage, &index::path_beside(segment.path()))
                .and_then(|()| remove_if_there(storage, segment.path()))
                .map_err(IoError::context("remove", segment.path()))?;
            freed += segment.identity().capacity;
        }
        let dir = self.dir.path();
        storage.sync_dir(dir).map_err(IoError::context("sync", dir))?;
        events::trimmed(dir, segments.len(), freed);
        Ok(freed)
    }
}
