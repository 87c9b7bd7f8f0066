//! The append lock of a shard, held for a batch of frames.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;

use crate::sys::clock::Timestamp;

use super::append::{AppendError, Appender};
use super::durability::Durability;
use super::frame::{Draft, Plain};
use super::shard_log::ShardLog;

/// The append lock of a shard, held for one batch. All its frames have the same arrival time.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    log: &'a Arc<ShardLog>,
    appender: MutexGuard<'a, Appender>,
    now: Timestamp,
}

impl<'a> Session<'a> {
    #[inline]
    pub(super) fn new(log: &'a Arc<ShardLog>, appender: MutexGuard<'a, Appender>, now: Timestamp) -> Self {
        Self { log, appender, now }
    }

    /// The counter that the next record will get.
    pub(crate) fn next(&self) -> u64 {
        self.appender.next()
    }

    /// Appends one frame; returns its sequence counter.
    #[inline(always)]
    pub(crate) fn append(&mut self, draft: &Draft<'_>) -> Result<u64, AppendError> {
        let appended = self.append_plain(draft.as_plain().into_iter());
        if appended.is_empty() { self.append_any(draft) } else { Ok(appended.start) }
    }

    /// Appends plain frames for as long as nothing else has to be done for them; returns their sequence counters. Those that are
    /// left, [`append`](Self::append) takes.
    #[inline(always)]
    pub(crate) fn append_plain<'f>(&mut self, frames: impl Iterator<Item = Plain<'f>>) -> Range<u64> {
        self.appender.append_plain(&self.log.poison, frames, self.now)
    }

    #[inline(never)]
    fn append_any(&mut self, draft: &Draft<'_>) -> Result<u64, AppendError> {
        let outcome = self.appender.append(&self.log.place(), draft, self.now);
        if let Err(AppendError::Poisoned(error)) = &outcome {
            // Who is woken may want the lock. That others have it in between changes nothing: nobody appends any more.
            MutexGuard::unlocked(&mut self.appender, || self.log.tell_failed(error));
        }
        outcome
    }

    /// Releases the lock and sees to the appended records' durability, without waiting. Returns the counter that
    /// [`ShardLog::sync_to`] takes to wait for it.
    #[inline(always)]
    pub(crate) fn finish(mut self, durability: Durability) -> u64 {
        let target = self.appender.next();
        let sync_in = match durability {
            Durability::Periodic(within) => {
                self.appender.sync_by(self.now.saturating_add(within)).then_some(within)
            }
            Durability::Immediate => {
                self.appender.sync_follows(&self.log.place());
                None
            }
            Durability::Buffered => None,
        };
        if sync_in.is_some() || self.appender.has_more_to_do() {
            self.finish_with(sync_in);
        } else {
            let log = self.log;
            drop(self.appender);
            log.appended.notify_all();
        }
        target
    }

    /// Releases the lock, wakes those who wait for records, and schedules what is due.
    #[cold]
    fn finish_with(mut self, sync_in: Option<Duration>) {
        let log = self.log;
        let ahead = self.appender.look_ahead(&log.place());
        let watchers = self.appender.watchers.take();
        drop(self.appender);
        log.appended.notify_all();
        watchers.wake();
        if let Some(ahead) = ahead {
            log.schedule_ahead(ahead);
        }
        if let Some(delay) = sync_in {
            log.schedule_sync(delay);
        }
    }
}
