//! A result that somebody waits for.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// A place for one result, for one waiter: a thread or a future.
#[derive(Debug)]
pub(crate) struct Ticket<T> {
    slot: Mutex<Slot<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct Slot<T> {
    result: Option<T>,
    waker: Option<Waker>,
    /// Nobody waits any more.
    abandoned: bool,
}

impl<T> Ticket<T> {
    pub(crate) fn new() -> Self {
        let slot = Slot { result: None, waker: None, abandoned: false };
        Self { slot: Mutex::new(slot), filled: Condvar::new() }
    }

    /// Fills in the result and wakes the waiter; gives it back if nobody waits any more.
    pub(crate) fn fill(&self, result: T) -> Option<T> {
        let mut slot = self.slot.lock();
        if slot.abandoned {
            return Some(result);
        }
        slot.result = Some(result);
        let waker = slot.waker.take();
        drop(slot);
        self.filled.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// The result, if it is there.
    pub(crate) fn take(&self) -> Option<T> {
        self.slot.lock().result.take()
    }

    /// Waits for the result.
    pub(crate) fn wait(&self) -> T {
        loop {
            if let Some(result) = self.wait_until(None) {
                return result;
            }
        }
    }

    /// Waits for the result, but not longer than this.
    pub(crate) fn wait_until(&self, deadline: Option<Instant>) -> Option<T> {
        let mut slot = self.slot.lock();
        while slot.result.is_none() {
            match deadline {
                None => self.filled.wait(&mut slot),
                Some(deadline) => {
                    if self.filled.wait_until(&mut slot, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        slot.result.take()
    }

    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<T> {
        let mut slot = self.slot.lock();
        match slot.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Nobody waits any more. Returns the result, if it is there.
    pub(crate) fn abandon(&self) -> Option<T> {
        let mut slot = self.slot.lock();
        slot.abandoned = true;
        slot.result.take()
    }
}
