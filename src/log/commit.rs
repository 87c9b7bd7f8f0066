//! Group commit: everybody who waits for a shard to become durable shares one sync.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "async")]
use std::task::Poll;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::error::SyncError;

use super::watchers::Watchers;

/// A sync that took longer than this says nothing of the next one.
const LONGEST_SYNC: Duration = Duration::from_millis(10);

/// Who syncs, and how far the shard is durable.
///
/// Of those who wait while nobody syncs, one leads: it syncs for all who have appended by then. Writers that were released by
/// one sync come back with their next records a moment later, so nobody leads before as many have come as were here when
/// the last sync ended. The last of them does; or, should not all come, the first, who waits for no longer than half of what
/// a sync takes. Without that, writers settle in two halves, each of which waits for the other's sync.
///
/// The lock is the standard library's, as its condition variable wakes everybody with one call: `parking_lot`'s wakes one, and each
/// that is woken the next.
#[derive(Debug)]
pub(crate) struct Commit {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Every record below this sequence counter is durable.
    durable: u64,
    /// Somebody is syncing, or about to.
    led: bool,
    /// Counts the syncs that have ended, however they did.
    round: u64,
    /// How many have come to wait in this round.
    waiting: usize,
    /// How many there were in the last round.
    expected: usize,
    /// Until when the first of those who wait for others to come does so.
    gather_until: Option<Instant>,
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
            round: 0,
            waiting: 0,
            expected: 1,
            gather_until: None,
            sync_time: Duration::ZERO,
            syncs: 0,
            failed: None,
            closed: false,
            watchers: Watchers::default(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Nothing is left half done where the lock is held, so that somebody has panicked says nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until<'a>(&self, state: MutexGuard<'a, State>, deadline: Instant) -> MutexGuard<'a, State> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Every record below this sequence counter is durable.
    pub(crate) fn durable(&self) -> u64 {
        self.lock().durable
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.lock().syncs
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
        let mut state = self.lock();
        // The round in which this caller has been counted, and that in which it is the one who watches the clock.
        let (mut counted, mut first) = (None, None);
        loop {
            if state.durable >= target {
                return Ok(());
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            let round = Some(state.round);
            if counted != round {
                state.waiting += 1;
                counted = round;
            }
            if state.led {
                state = self.wait(state);
                continue;
            }
            if state.waiting < state.expected {
                let now = Instant::now();
                let patience = state.sync_time.min(LONGEST_SYNC) / 2;
                let until = *state.gather_until.get_or_insert_with(|| {
                    first = round;
                    now + patience
                });
                if first != round {
                    state = self.wait(state);
                    continue;
                }
                if now < until {
                    state = self.wait_until(state, until);
                    continue;
                }
            }
            state.led = true;
            state.gather_until = None;
            drop(state);
            let started = Instant::now();
            // Should `sync` panic, somebody else leads and nobody waits for ever.
            let lead = Lead(self);
            let outcome = sync();
            std::mem::forget(lead);
            state = self.lock();
            state.sync_time = (state.sync_time * 3 + started.elapsed()) / 4;
            let watchers = match &outcome {
                Ok(durable) => {
                    state.durable = state.durable.max(*durable);
                    state.syncs += 1;
                    state.watchers.take()
                }
                // Of a sync that has failed `fail` has told them; for one that could not be made there will be another.
                Err(_) => Watchers::default(),
            };
            state.end_round();
            drop(state);
            self.changed.notify_all();
            watchers.wake();
            outcome?;
            state = self.lock();
        }
    }

    /// Waits, without syncing, until everything below `target` is durable, or will not be any more, or the deadline has passed.
    /// Returns whether it is durable.
    pub(crate) fn wait_durable(&self, target: u64, deadline: Option<Instant>) -> Result<bool, SyncError> {
        let is_to_come = |state: &State| state.durable < target && state.failed.is_none() && !state.closed;
        let state = self.wait_while(deadline, is_to_come);
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
        let mut state = self.lock();
        while condition(&state) && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            state = match deadline {
                None => self.wait(state),
                Some(deadline) => self.wait_until(state, deadline),
            };
        }
        state
    }

    /// Waits for a sync that somebody is making. After [`fail`](Self::fail) nobody begins another one.
    pub(crate) fn wait_led(&self) {
        drop(self.wait_while(None, |state| state.led));
    }

    /// Takes note of how far another process has made its records durable.
    pub(crate) fn note_followed(&self, durable: u64) {
        self.lock().durable = durable;
    }

    /// Wakes everybody who waits for records: there will be no more.
    pub(crate) fn close(&self) {
        let watchers = {
            let mut state = self.lock();
            state.closed = true;
            state.watchers.take()
        };
        self.changed.notify_all();
        watchers.wake();
    }

    /// Wakes everybody with an error, now and from now on. Returns whether nobody had told of one before.
    pub(crate) fn fail(&self, error: &SyncError) -> bool {
        let watchers = {
            let mut state = self.lock();
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
        let mut state = self.lock();
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
        let mut state = self.lock();
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
        self.lock().watchers.remove(waker);
    }
}

impl State {
    /// A sync has ended. Whoever is not served yet counts itself again.
    fn end_round(&mut self) {
        self.led = false;
        self.round += 1;
        self.expected = self.waiting;
        self.waiting = 0;
    }
}

/// Held while one caller syncs.
struct Lead<'a>(&'a Commit);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.lock().end_round();
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    /// Writers that leave are waited for no longer, and a sync that could not be made is made by somebody else: whoever is left
    /// alone, or was not served, would wait for ever.
    #[test]
    fn nobody_is_left_waiting() {
        let commit = Commit::new(0);
        let (appended, calls) = (AtomicU64::new(0), AtomicU64::new(0));
        let sync = || {
            let durable = appended.load(Ordering::SeqCst);
            if calls.fetch_add(1, Ordering::SeqCst) % 5 == 4 {
                let source = Arc::new(std::io::Error::other("no descriptor"));
                return Err(SyncError { path: "segment".into(), is_final: false, source });
            }
            thread::sleep(Duration::from_micros(100));
            Ok(durable)
        };
        thread::scope(|scope| {
            for writer in 0..16 {
                let (commit, appended, sync) = (&commit, &appended, &sync);
                scope.spawn(move || {
                    for _ in 0..writer * 10 {
                        let target = appended.fetch_add(1, Ordering::SeqCst) + 1;
                        while commit.reach(target, sync).is_err() {}
                        assert!(commit.durable() >= target);
                    }
                });
            }
        });
        assert_eq!(commit.durable(), appended.into_inner());
        let calls = calls.into_inner();
        assert_eq!(commit.syncs(), calls - calls / 5);
    }
}
