//! What a shard's log has done in the background: syncs that nobody waits for, full segments put away, room made ahead.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::events;
use crate::sys::clock::Timestamp;
use crate::sys::region::Region;
use crate::sys::storage::remove_if_there;

use super::append::{Ahead, Scope};
use super::prepare;
use super::segment::Segment;
use super::shard_log::ShardLog;

/// How much is faulted in at a time: some tens of microseconds' worth.
const PREFAULT_STEP: usize = 128 * 1024;

/// After what time a sync is tried again for which a file could not be opened.
const SYNC_AGAIN: Duration = Duration::from_secs(1);

impl ShardLog {
    /// Says that somebody is going to wait until what was appended is synced, as a put that waits does by itself.
    #[cfg(feature = "async")]
    pub(crate) fn sync_follows(&self) {
        self.appender.lock().sync_follows(&self.place());
    }

    /// Has everything before `target` made durable in the background.
    #[cfg(feature = "async")]
    pub(crate) fn sync_later(self: &Arc<Self>, target: u64) {
        let log = Arc::downgrade(self);
        self.context.background.schedule(Duration::ZERO, move || {
            if let Some(log) = log.upgrade() {
                // Whoever waits for it is told of an error.
                if log.sync_to(target).is_err_and(|error| !error.is_final) {
                    log.sync_again(log.context.clock.now());
                }
            }
        });
    }

    /// Has rolled segments made durable in the background, whether anybody waits for that or not, so that they can be put away.
    fn sync_rolled_after(self: &Arc<Self>, delay: Duration) {
        let log = Arc::downgrade(self);
        self.context.background.schedule(delay, move || {
            // Nothing is written for a stream that is being deleted.
            if let Some(log) = log.upgrade().filter(|log| !log.abandoned.load(Ordering::Acquire)) {
                let target = log.appender.lock().end_of(Scope::Rolled);
                let outcome = log.commit.reach(target, || log.sync_now(Scope::Rolled));
                match outcome {
                    Ok(()) => {
                        if log.appender.lock().rolled_sync_ends(target) {
                            log.sync_rolled_after(Duration::ZERO);
                        }
                    }
                    Err(error) if !error.is_final => log.sync_rolled_after(SYNC_AGAIN),
                    // The shard is poisoned: the next put and everybody who waits are told, and nothing is synced any more.
                    Err(_) => {}
                }
            }
        });
    }

    /// Finishes a segment in the background to which nothing is added any more, and all of which is durable: its slot, its
    /// index, its mapping.
    pub(super) fn retire_after(self: &Arc<Self>, delay: Duration, segment: Arc<Segment>) {
        let log = Arc::downgrade(self);
        self.context.background.schedule(delay, move || {
            if let Some(log) = log.upgrade() {
                log.retire(segment);
            }
        });
    }

    fn retire(self: &Arc<Self>, segment: Arc<Segment>) {
        let _trimming = self.trimming.lock();
        if segment.ordinal() < self.list.trim() || self.abandoned.load(Ordering::Acquire) {
            return;
        }
        if let Err(fault) = segment.seal(&self.context) {
            if !self.fail_sync(&segment, fault).is_final {
                self.retire_after(SYNC_AGAIN, segment);
            }
            return;
        }
        // An index that cannot be saved is made anew by whoever needs it.
        if let Err(error) = segment.save_index(&self.context) {
            events::index_not_saved(segment.path(), &error);
        }
        segment.unpin(&self.context);
    }

    /// As [`retire`](Self::retire), for the last segment of a shard that has ended, all of which is durable. So a stream that is
    /// split and merged for ever keeps no file open and nothing mapped for the shards that it had.
    pub(super) fn retire_last(self: &Arc<Self>) {
        let active = self.appender.lock().give_up_active();
        self.remove_prepared();
        if let Some(segment) = active {
            self.retire(segment);
        }
    }

    fn remove_prepared(&self) {
        let _trimming = self.trimming.lock();
        if self.abandoned.load(Ordering::Acquire) {
            return;
        }
        if let Some(prepared) = self.preparation.take() {
            // It was never used: the next opening removes it, if this does not.
            drop(remove_if_there(&*self.context.storage, prepared.path()));
        }
    }

    pub(super) fn schedule_sync(self: &Arc<Self>, delay: Duration) {
        let log = Arc::downgrade(self);
        self.context.background.schedule(delay, move || {
            if let Some(log) = log.upgrade() {
                let due = log.appender.lock().sync_begins();
                // A failure has poisoned the shard: the next put and everybody who waits are told.
                if log.sync().is_err_and(|error| !error.is_final) {
                    log.sync_again(due.unwrap_or_else(|| log.context.clock.now()));
                }
            }
        });
    }

    /// Tries again after a while to make a sync that was due at this time and could not be made.
    fn sync_again(self: &Arc<Self>, due: Timestamp) {
        let again = self.context.clock.now().saturating_add(SYNC_AGAIN);
        if self.appender.lock().sync_missed(due, again) {
            self.schedule_sync(SYNC_AGAIN);
        }
    }

    pub(super) fn schedule_ahead(self: &Arc<Self>, ahead: Ahead) {
        let background = &self.context.background;
        match ahead {
            Ahead::Prepare(wanted) => {
                let log = Arc::downgrade(self);
                background.schedule(Duration::ZERO, move || {
                    if let Some(log) = log.upgrade() {
                        log.preparation.run(wanted.ordinal, || {
                            prepare::create(&log.context, log.dir.path(), wanted)
                                .inspect_err(|error| events::preparation_failed(log.dir.path(), error))
                        });
                    }
                });
            }
            Ahead::SyncRolled => self.sync_rolled_after(Duration::ZERO),
            Ahead::Prefault(region, range) => {
                background.schedule(Duration::ZERO, move || fault_in(&region, range));
            }
        }
    }

    /// Faults in again what was faulted in ahead of the writer and a sync has taken away: the kernel has made these pages clean,
    /// and wants to be told of the first store to each.
    pub(super) fn fault_in_again(&self, segment: &Segment) {
        if let Some(region) = segment.mapped() {
            let again = move || fault_in(&region, region.extent().end..region.populated());
            self.context.background.schedule(Duration::ZERO, again);
        }
    }
}

/// Faults pages in for writing, in steps, so that a writer whose processor this thread has taken soon has it back.
fn fault_in(region: &Region, range: Range<usize>) {
    for start in range.clone().step_by(PREFAULT_STEP) {
        let end = range.end.min(start + PREFAULT_STEP);
        if end > region.extent().end && region.mapping().populate(start..end).is_err() {
            // Pages that could not be faulted in ahead are faulted in when they are written.
            return;
        }
        region.note_populated(end);
        std::thread::yield_now();
    }
}
