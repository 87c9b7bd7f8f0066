//! Group commit: everybody who waits for a shard to become durable shares one sync.

use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::SyncError;

/// Who syncs, and how far the shard is durable.
#[derive(Debug)]
pub(crate) struct Commit {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Every record below this sequence counter is durable.
    durable: u64,
    /// Somebody is syncing.
    led: bool,
    /// How many syncs have been made.
    syncs: u64,
    failed: Option<SyncError>,
    closed: bool,
}

impl Commit {
    pub(crate) fn new(durable: u64) -> Self {
        let state = State { durable, led: false, syncs: 0, failed: None, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
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
    /// thread at a time, without this lock held.
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
                self.changed.wait(&mut state);
                continue;
            }
            state.led = true;
            drop(state);
            // Should `sync` panic, somebody else leads and nobody waits for ever.
            let lead = Lead(self);
            let outcome = sync();
            state = self.state.lock();
            match outcome {
                Ok(durable) => {
                    state.durable = state.durable.max(durable);
                    state.syncs += 1;
                }
                Err(error) => state.failed = Some(error),
            }
            state.led = false;
            std::mem::forget(lead);
            self.changed.notify_all();
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

    /// Wakes everybody who waits for records: there will be no more.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Wakes everybody with an error, now and from now on.
    pub(crate) fn fail(&self, error: SyncError) {
        self.state.lock().failed.get_or_insert(error);
        self.changed.notify_all();
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
