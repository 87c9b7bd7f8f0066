//! Time, as a writer sees it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::clock::{Clock, SystemClock, Timestamp};

/// A clock that can also be waited by, for a writer without a thread of its own: see
/// [`WriterBuilder::start_manual`](super::WriterBuilder::start_manual).
pub trait Timer: Clock {
    /// Lets this much time pass. A clock that stands still moves on by it.
    fn sleep(&self, duration: Duration);
}

impl Timer for SystemClock {
    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

#[cfg(feature = "testing")]
impl Timer for crate::testing::ManualClock {
    /// Moves the clock forward, and returns at once.
    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

/// Who does a writer's work, and by what time.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    /// A thread, by real time.
    Thread { start: Instant },
    /// Whoever waits, by this.
    Manual(Arc<dyn Timer>),
}

impl Pace {
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Thread { start } => Timestamp::EPOCH.saturating_add(start.elapsed()),
            Self::Manual(timer) => timer.now(),
        }
    }

    /// When a thread is to stop waiting for this time; `None` for never.
    pub(crate) fn instant(&self, time: Timestamp) -> Option<Instant> {
        match self {
            Self::Thread { start } => start.checked_add(time.since(Timestamp::EPOCH)),
            Self::Manual(_) => None,
        }
    }
}
