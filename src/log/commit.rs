//! Group commit: everybody who waits for a shard to become durable shares one sync.

#[cfg(feature = "async")]
use std::task::Poll;
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::SyncError;

use super::watchers::Watchers;

/// A sync that took longer than this says nothing of the next one.
const LONGEST_SYNC: Duration = Duration::from_millis(10);

/// Who syncs, and how far the shard is durable.
///
/// The first who finds nobody syncing leads: it syncs for all who have appended by then. Writers that were released by
/// one sync come back with their next records a moment later, so the leader first waits for as many as were here when
/// the last sync ended, for no longer than half of what a sync takes. Without that, writers settle in two halves, each of
/// which waits for the other's sync.
#[derive(Debug)]
pub(crate) struct Commit {
    state: Mutex<State>,
    changed: Condvar,
    /// Told by those who come to wait, while the leader waits for them.
    gathered: Condvar,
}

#[derive(Debug)]
struct State {
    /// Every record below this sequence counter is durable.
    durable: u64,
    /// Somebody is syncing, or about to.
    led: bool,
    /// How many have come to wait since the last sync ended.
    waiting: usize,
    /// How many there were, the leader included, when the last sync ended.
    expected: usize,
    /// What a sync takes, roughly.
    sync_time: Duration,
    /// How many syncs have been made.
    syncs: u64,
    failed: Option<SyncError>,
    closed: bool,
    /// Told of the next sync, or that there will be none.
    watchers: Watchers,
}

impl Commit {
    pub(crate) fn new(durable: u64) -> Self {
        let state = State {
            durable,
            led: false,
            waiting: 0,
            expected: 1,
            sync_time: Duration::ZERO,
            syncs: 0,
            failed: None,
            closed: false,
            watchers: Watchers::default(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), gathered: Condvar::new() }
    }

    /// Every record below this sequence counter is durable.
    pub(crate) fn durable(&self) -> u64 {
        self.state.lock().durable
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Returns once everything below `target` is durable: made so by somebody else's sync, or by `sync`, which
    /// makes durable what there is and returns the counter below which it did. `sync` runs on one caller's
    /// thread at a time, without this lock held. Should it
    /// fail for good, it has called [`fail`](Self::fail); else its caller alone gets the error, and somebody else tries.
    pub(crate) fn reach(
        &self,
        target: u64,
        sync: impl Fn() -> Result<u64, SyncError>,
    ) -> Result<(), SyncError> {
        let mut state = self.state.lock();
        loop {
            if state.durable >= target {
                return Ok(());
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            if state.led {
                state.waiting += 1;
                if state.waiting + 1 >= state.expected {
                    self.gathered.notify_one();
                }
                self.changed.wait(&mut state);
                continue;
            }
            state.led = true;
            self.gather(&mut state);
            drop(state);
            let started = Instant::now();
            // Should `sync` panic, somebody else leads and nobody waits for ever.
            let lead = Lead(self);
            let outcome = sync();
            state = self.state.lock();
            if let Ok(durable) = &outcome {
                state.durable = state.durable.max(*durable);
                state.syncs += 1;
            }
            state.sync_time = (state.sync_time * 3 + started.elapsed()) / 4;
            state.expected = state.waiting + 1;
            // Whoever is not served yet counts itself again.
            state.waiting = 0;
            state.led = false;
            std::mem::forget(lead);
            self.changed.notify_all();
            // Of a sync that has failed `fail` has told them; for one that could not be made there will be another.
            outcome?;
            let watchers = state.watchers.take();
            MutexGuard::unlocked(&mut state, || watchers.wake());
        }
    }

    /// Waits for those who are likely to come.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        let deadline = Instant::now() + state.sync_time.min(LONGEST_SYNC) / 2;
        while state.waiting + 1 < state.expected {
            if self.gathered.wait_until(state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Waits, without syncing, until everything below `target` is durable or the deadline has passed. Returns
    /// whether it is durable.
    pub(crate) fn wait_durable(&self, target: u64, deadline: Option<Instant>) -> Result<bool, SyncError> {
        let state = self.wait_while(deadline, |state| state.durable < target && state.failed.is_none());
        match &state.failed {
            Some(error) if state.durable < target => Err(error.clone()),
            _ => Ok(state.durable >= target),
        }
    }

    /// Waits until `arrived`, which is asked after each sync, or until a sync has failed or the deadline has
    /// passed.
    pub(crate) fn wait_for(&self, deadline: Option<Instant>, arrived: impl Fn() -> bool) {
        drop(self.wait_while(deadline, |state| state.failed.is_none() && !state.closed && !arrived()));
    }

    fn wait_while(
        &self,
        deadline: Option<Instant>,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        while condition(&state) {
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        state
    }

    /// Waits for a sync that somebody is making. After [`fail`](Self::fail) nobody begins another one.
    pub(crate) fn wait_led(&self) {
        let mut state = self.state.lock();
        while state.led {
            self.changed.wait(&mut state);
        }
    }

    /// Takes note of how far another process has made its records durable.
    pub(crate) fn note_followed(&self, durable: u64) {
        self.state.lock().durable = durable;
    }

    /// Wakes everybody who waits for records: there will be no more.
    pub(crate) fn close(&self) {
        let watchers = {
            let mut state = self.state.lock();
            state.closed = true;
            state.watchers.take()
        };
        self.changed.notify_all();
        watchers.wake();
    }

    /// Wakes everybody with an error, now and from now on. Returns whether nobody had told of one before.
    pub(crate) fn fail(&self, error: &SyncError) -> bool {
        let watchers = {
            let mut state = self.state.lock();
            if state.failed.is_some() {
                return false;
            }
            state.failed = Some(error.clone());
            state.watchers.take()
        };
        self.changed.notify_all();
        watchers.wake();
        true
    }

    /// Has `waker` woken, once, by the next sync or when there will be none. Returns `false`, and forgets it, when `arrived`
    /// says that this is so already.
    pub(crate) fn watch(&self, waker: &Waker, arrived: impl Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        let watching = state.failed.is_none() && !state.closed && !arrived();
        if watching {
            state.watchers.add(waker);
        }
        watching
    }

    /// Whether everything below `target` is durable; if not, `waker` is woken by the next sync. `None` once the log is
    /// closed, when nobody will sync it without being asked.
    #[cfg(feature = "async")]
    pub(crate) fn poll_durable(&self, target: u64, waker: &Waker) -> Option<Poll<Result<(), SyncError>>> {
        let mut state = self.state.lock();
        if state.durable >= target {
            return Some(Poll::Ready(Ok(())));
        }
        if let Some(error) = &state.failed {
            return Some(Poll::Ready(Err(error.clone())));
        }
        if state.closed {
            return None;
        }
        state.watchers.add(waker);
        Some(Poll::Pending)
    }

    /// Has `waker` not woken any more.
    pub(crate) fn unwatch(&self, waker: &Waker) {
        self.state.lock().watchers.remove(waker);
    }
}

/// Held while one caller syncs.
struct Lead<'a>(&'a Commit);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.state.lock().led = false;
        self.0.changed.notify_all();
    }
}
