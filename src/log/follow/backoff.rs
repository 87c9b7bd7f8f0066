//! How long to sleep between two looks at what another process writes.

use std::thread;
use std::time::{Duration, Instant};

/// The first pause. The kernel's timers are about as coarse.
const FIRST: Duration = Duration::from_micros(50);

/// Pauses that get longer, up to a limit: who has waited long can wait a little longer, and costs little meanwhile.
#[derive(Debug)]
pub(crate) struct Backoff {
    pause: Duration,
    longest: Duration,
    deadline: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(longest: Duration, deadline: Option<Instant>) -> Self {
        Self { pause: FIRST.min(longest), longest, deadline }
    }

    /// Sleeps, but not past the deadline. Returns `false`, at once, when that has passed.
    pub(crate) fn pause(&mut self) -> bool {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return false;
        }
        thread::sleep(left.map_or(self.pause, |left| left.min(self.pause)));
        // Slowly at first: what is waited for mostly comes soon after the last.
        self.pause = (self.pause + self.pause / 4).min(self.longest);
        true
    }
}
