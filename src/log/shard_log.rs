//! The log of one shard.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
#[cfg(feature = "async")]
use std::task::Poll;
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::{IoError, SyncError};
use crate::events;
use crate::sys::clock::Timestamp;
use crate::sys::storage::remove_if_there;

use super::append::{AppendError, Appender, Gate, Place, Scope, StartingPoint};
use super::commit::Commit;
use super::follow::{Backoff, Follow, Registry};
use super::header::SlotState;
use super::list::SegmentList;
use super::options::Context;
use super::prepare::Preparation;
use super::recovery::Recovered;
use super::segment::{Segment, SyncFault};
use super::session::Session;
use super::shard_dir::ShardDir;

/// One shard's log: a list of segments, one writer's state under a lock, and a group commit.
#[derive(Debug)]
pub(crate) struct ShardLog {
    pub(super) context: Arc<Context>,
    pub(super) dir: ShardDir,
    shard: u32,
    pub(super) list: SegmentList,
    pub(super) preparation: Preparation,
    /// Set once a sync has failed.
    pub(super) poison: OnceLock<SyncError>,
    pub(super) commit: Commit,
    pub(super) appender: Mutex<Appender>,
    /// Signalled after each append; waited for with the appender's lock, which makes the wake-up sure.
    pub(super) appended: Condvar,
    /// Held while sealed segments are being finished or removed.
    pub(super) trimming: Mutex<()>,
    /// The stream is being deleted: its files are not this log's any more.
    pub(super) abandoned: AtomicBool,
    /// Another process appends; this one follows.
    follow: Option<Follow>,
}

impl ShardLog {
    pub(crate) fn new(
        context: Arc<Context>,
        dir: ShardDir,
        shard: u32,
        list: SegmentList,
        start: StartingPoint,
    ) -> Arc<Self> {
        Arc::new(Self::assemble(context, dir, shard, list, start))
    }

    /// The log in `dir`, which another process writes: what it has is found out by [`catch_up`](Self::catch_up). It takes
    /// no appends. The first record ever has the counter `first`.
    pub(crate) fn followed(
        context: Arc<Context>,
        dir: PathBuf,
        shard: u32,
        first: u64,
        registry: Arc<dyn Registry>,
    ) -> Arc<Self> {
        let start = Recovered::empty(&context, first).start;
        let dir = ShardDir::new(dir, true);
        let mut log = Self::assemble(context, dir, shard, SegmentList::default(), start);
        log.follow = Some(Follow::new(shard, first, registry));
        drop(log.appender.get_mut().close());
        Arc::new(log)
    }

    fn assemble(
        context: Arc<Context>,
        dir: ShardDir,
        shard: u32,
        list: SegmentList,
        start: StartingPoint,
    ) -> Self {
        let commit = Commit::new(start.next);
        if start.ended {
            commit.close();
        }
        Self {
            context,
            dir,
            shard,
            list,
            preparation: Preparation::default(),
            poison: OnceLock::new(),
            commit,
            appender: Mutex::new(Appender::new(start)),
            appended: Condvar::new(),
            trimming: Mutex::new(()),
            abandoned: AtomicBool::new(false),
            follow: None,
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn list(&self) -> &SegmentList {
        &self.list
    }

    /// Why the shard takes no more writes, if a sync has failed.
    pub(crate) fn poison(&self) -> Option<&SyncError> {
        self.poison.get()
    }

    /// Brings a log that another process writes up to date: what a put in the other process has returned before is seen
    /// afterwards. Returns whether this is such a log; to any other it does nothing.
    pub(crate) fn catch_up(&self) -> Result<bool, IoError> {
        match &self.follow {
            Some(follow) => follow.catch_up(self).map(|()| true),
            None => Ok(false),
        }
    }

    /// How to wait for what another process writes; `None` if that is this one.
    pub(crate) fn polling(&self, deadline: Option<Instant>) -> Option<Backoff> {
        self.follow.as_ref().map(|_| Backoff::new(self.context.poll_interval, deadline))
    }

    /// Whether the files of a log that another process writes have been removed, so that nothing more will come.
    pub(crate) fn is_gone(&self) -> bool {
        self.follow.as_ref().is_some_and(Follow::is_gone)
    }

    /// Takes note that the shard has been split or merged: what there is now is all.
    pub(super) fn note_ended(&self) {
        let closed = |ended| Gate::Closed { ended };
        self.appender.lock().change_gate(closed(false), closed(true));
    }

    /// Takes note of how far the other process has come.
    pub(super) fn note_followed(&self, next: u64, last_time: Timestamp, durable: u64) {
        self.appender.lock().note_followed(next, last_time);
        self.commit.note_followed(durable);
    }

    /// The counter that the next record will get, and the time of the last one.
    pub(crate) fn tip(&self) -> (u64, Timestamp) {
        let appender = self.appender.lock();
        (appender.next(), appender.last_time())
    }

    /// Retention has removed every record below this counter, and none above it. Zero while that is not known, because the
    /// oldest segment is damaged.
    #[cfg(feature = "measures")]
    pub(crate) fn oldest(&self) -> u64 {
        let first = self.list.first();
        let known = first.segment.filter(|_| first.gap_before.is_none());
        known.map_or(0, |segment| segment.base())
    }

    /// Every record below this counter is durable.
    pub(crate) fn durable(&self) -> u64 {
        self.commit.durable()
    }

    /// The counter of the last durable record that is kept: of a batch, that of its last row. Counters below
    /// [`durable`](Self::durable) need not be a record's: the first record, and the first after an unclean end, may count on
    /// from anywhere.
    pub(crate) fn last_durable(&self) -> Option<u64> {
        let durable = self.durable();
        let segment = self.list.last_with_record_below(durable)?;
        segment.extent().next.min(durable).checked_sub(1)
    }

    /// Takes the append lock for any number of records, which share one clock reading.
    pub(crate) fn session(self: &Arc<Self>) -> Session<'_> {
        // The lock first: times are to be in the order of the records.
        let appender = self.appender.lock();
        Session::new(self, appender, self.context.clock.now())
    }

    /// Returns once everything before `target` is durable; many callers share one sync.
    pub(crate) fn sync_to(self: &Arc<Self>, target: u64) -> Result<(), SyncError> {
        self.commit.reach(target, || self.sync_now(Scope::All))
    }

    /// Makes everything durable that has been appended so far.
    pub(crate) fn sync(self: &Arc<Self>) -> Result<(), SyncError> {
        let target = self.appender.lock().next();
        self.sync_to(target)
    }

    /// Waits, without causing a sync, until everything before `target` is durable. Returns whether it is.
    pub(crate) fn wait_durable(&self, target: u64, deadline: Option<Instant>) -> Result<bool, SyncError> {
        self.commit.wait_durable(target, deadline)
    }

    /// Waits until `arrived`, which is asked after each append, or until the log has ended or is closed or poisoned, or
    /// the deadline has passed.
    pub(crate) fn wait_appended(&self, deadline: Option<Instant>, arrived: impl Fn() -> bool) {
        let mut appender = self.appender.lock();
        while !arrived() && matches!(appender.gate(), Gate::Open | Gate::Held) && self.poison.get().is_none()
        {
            match deadline {
                None => self.appended.wait(&mut appender),
                Some(deadline) => {
                    if self.appended.wait_until(&mut appender, deadline).timed_out() {
                        return;
                    }
                }
            }
        }
    }

    /// Has `waker` woken, once, by the next append or when there will be none. Returns `false`, and forgets it, when that is
    /// so already.
    pub(crate) fn watch_appended(&self, waker: &Waker, arrived: impl Fn() -> bool) -> bool {
        let mut appender = self.appender.lock();
        let open = matches!(appender.gate(), Gate::Open | Gate::Held);
        let watching = open && !arrived() && self.poison.get().is_none();
        if watching {
            appender.watchers.add(waker);
        }
        watching
    }

    /// As [`watch_appended`](Self::watch_appended), by the next sync.
    pub(crate) fn watch_synced(&self, waker: &Waker, arrived: impl Fn() -> bool) -> bool {
        self.commit.watch(waker, arrived)
    }

    /// Has `waker` woken after a while, unless nothing more will come: nobody tells when another process writes.
    pub(crate) fn watch_followed(&self, waker: &Waker) -> bool {
        let watching = !self.is_gone() && !self.gate().has_ended();
        if watching {
            let waker = waker.clone();
            self.context.background.schedule(self.context.poll_interval, move || waker.wake());
        }
        watching
    }

    /// Whether another process writes it.
    pub(crate) fn is_followed(&self) -> bool {
        self.follow.is_some()
    }

    /// Whether everything before `target` is durable; if not, `waker` is woken by the next sync.
    #[cfg(feature = "async")]
    pub(crate) fn poll_durable(self: &Arc<Self>, target: u64, waker: &Waker) -> Poll<Result<(), SyncError>> {
        match self.commit.poll_durable(target, waker) {
            Some(polled) => polled,
            // The background has ended: closing has made it durable, or does so now.
            None => Poll::Ready(self.sync_to(target)),
        }
    }

    /// Has `waker` not woken any more.
    pub(crate) fn unwatch(&self, waker: &Waker) {
        self.appender.lock().watchers.remove(waker);
        self.commit.unwatch(waker);
    }

    /// Wakes everybody who waits for appends: there will be no more.
    fn wake_waiting(&self) {
        // Under the lock, so that nobody can be between looking and waiting.
        let watchers = {
            let mut appender = self.appender.lock();
            self.appended.notify_all();
            appender.watchers.take()
        };
        watchers.wake();
    }

    /// As [`wait_appended`](Self::wait_appended), asking after each sync.
    pub(crate) fn wait_synced(&self, deadline: Option<Instant>, arrived: impl Fn() -> bool) {
        self.commit.wait_for(deadline, arrived);
    }

    /// One sync: everything in its scope that was appended when it starts is durable when it ends. Returns the counter below
    /// which that is.
    pub(super) fn sync_now(self: &Arc<Self>, scope: Scope) -> Result<u64, SyncError> {
        let plan = self.appender.lock().plan_sync(scope);
        if plan.segments.is_empty() {
            return Ok(plan.next);
        }
        let is_long = plan.is_long_run();
        let started = Instant::now();
        for (segment, extent, rolled) in plan.segments {
            let state = if rolled { SlotState::Sealed } else { SlotState::Open };
            segment
                .sync(&self.context, extent, state, extent.next, plan.trim, is_long)
                .map_err(|source| self.fail_sync(&segment, source))?;
            if rolled {
                self.appender.lock().forget_synced(&segment);
                self.retire_after(Duration::ZERO, segment);
            } else if is_long {
                self.fault_in_again(&segment);
            }
        }
        events::synced(self.dir.path(), plan.next, started.elapsed());
        Ok(plan.next)
    }

    /// A failed sync is final: the kernel may have dropped the pages, and the next sync would not tell. One that could not be
    /// made is not.
    pub(super) fn fail_sync(&self, segment: &Segment, fault: SyncFault) -> SyncError {
        let is_final = matches!(fault, SyncFault::Failed(_));
        let error = SyncError { path: segment.path().to_owned(), is_final, source: Arc::new(fault.into()) };
        if self.abandoned.load(Ordering::Acquire) {
            // The file may have been deleted meanwhile: for whoever asked for the sync that is an error, for nobody else news.
            return error;
        }
        if !is_final {
            events::sync_not_made(self.dir.path(), &error);
            return error;
        }
        let error = self.poison.get_or_init(|| error).clone();
        self.tell_failed(&error);
        error
    }

    /// Tells everybody, once, that the shard is poisoned. Takes the append lock.
    pub(super) fn tell_failed(&self, error: &SyncError) {
        if self.commit.fail(error) {
            self.wake_waiting();
            events::sync_failed(self.dir.path(), error);
        }
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place {
            context: &self.context,
            dir: &self.dir,
            shard: self.shard,
            list: &self.list,
            preparation: &self.preparation,
            poison: &self.poison,
        }
    }

    /// Takes no appends until [`release`](Self::release) or [`end`](Self::end). Returns the counter that the next record
    /// would have got and the time of the last one; `None` when no appends were taken anyway.
    pub(crate) fn hold(&self) -> Option<(u64, Timestamp)> {
        let mut appender = self.appender.lock();
        appender.change_gate(Gate::Open, Gate::Held).then(|| (appender.next(), appender.last_time()))
    }

    /// Takes appends again.
    pub(crate) fn release(&self) {
        self.appender.lock().change_gate(Gate::Held, Gate::Open);
    }

    /// Takes no appends ever again: the shard has been split or merged. Whoever waits for more is woken.
    pub(crate) fn end(self: &Arc<Self>) {
        self.appender.lock().change_gate(Gate::Held, Gate::Ended);
        self.wake_waiting();
        self.commit.close();
        let log = Arc::downgrade(self);
        self.context.background.schedule(Duration::ZERO, move || {
            if let Some(log) = log.upgrade() {
                log.retire_last();
            }
        });
    }

    /// Whether appends are taken, and if not, why.
    pub(crate) fn gate(&self) -> Gate {
        self.appender.lock().gate()
    }

    /// Ends appends, makes everything durable, and says so on disk, so that the next opening has nothing to do.
    pub(crate) fn close(self: &Arc<Self>) -> Result<(), CloseError> {
        let (active, next) = {
            let mut appender = self.appender.lock();
            (appender.close(), appender.next())
        };
        self.wake_waiting();
        if let Err(error) = self.sync_to(next) {
            // Whatever it was, nobody tries again from here: the store may be another writer's soon.
            let error = self.poison.get_or_init(|| SyncError { is_final: true, ..error }).clone();
            self.tell_failed(&error);
            self.commit.wait_led();
            self.commit.close();
            return Err(error.into());
        }
        self.commit.close();
        if let Some(prepared) = self.preparation.take() {
            remove_if_there(&*self.context.storage, prepared.path())
                .map_err(IoError::context("remove", prepared.path()))?;
        }
        for segment in self.list.all() {
            if segment.slot_needs_sync() {
                segment.sync_slot(&self.context).map_err(|source| self.fail_sync(&segment, source))?;
            }
        }
        let Some(active) = active else {
            return Ok(());
        };
        if active.slot().state == SlotState::Open {
            active
                .change_slot(&self.context, |slot| slot.state = SlotState::Clean)
                .map_err(|source| self.fail_sync(&active, source))?;
            // Derived: made anew if it cannot be saved.
            drop(active.save_index(&self.context));
        }
        Ok(())
    }

    /// Takes note that the files are being deleted: that one cannot be synced is no failure any more.
    pub(crate) fn disown(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    /// Takes no more appends, and leaves the files alone from now on: they are being deleted, and a stream of the same
    /// name may be created in their place.
    pub(crate) fn abandon(&self) {
        self.disown();
        drop(self.appender.lock().close());
        self.preparation.abandon();
        // Whoever is finishing or removing segments may not have seen that yet.
        drop(self.trimming.lock());
        self.wake_waiting();
        self.commit.close();
    }

    /// Takes note that none of its segments is kept. Readers that hold one go on reading that; otherwise nothing of them stays open
    /// or mapped, for as long as the log itself may be known to somebody.
    pub(crate) fn forget_all(&self) {
        self.appender.lock().forget_all();
        for region in self.list.all().iter().filter_map(|segment| segment.mapped()) {
            self.context.maps.forget(&region);
        }
        if let Some(last) = self.list.last() {
            self.list.remove_before(last.ordinal() + 1);
        }
    }

    /// Ends the active segment if nothing has arrived in it since `cutoff`, so that an idle shard forgets too.
    pub(crate) fn roll_idle(&self, cutoff: Timestamp) -> Result<bool, AppendError> {
        self.appender.lock().roll_idle(&self.place(), cutoff)
    }
}

/// Why a log could not be closed in good order. Reopening recovers.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CloseError {
    #[error(transparent)]
    Sync(#[from] SyncError),
    #[error(transparent)]
    Io(#[from] IoError),
}
