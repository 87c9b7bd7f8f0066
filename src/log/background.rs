//! Work that must not hold up a put: periodic syncs, preparing the next segment, saving indexes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::sys::clock::Clock;

/// The most threads that one store works with in the background.
const MAX_WORKERS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs with due times, run by a few threads that are started when there is work, or, without
/// threads, by whoever calls [`Background::run_due`].
pub(crate) struct Background {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    time: Time,
    state: Mutex<State>,
    wake: Condvar,
}

/// What due times are measured by.
enum Time {
    /// Real time; jobs are run by threads.
    Threads { start: Instant },
    /// The engine's clock; jobs are run by the caller of `run_due`.
    Manual { clock: Arc<dyn Clock> },
}

#[derive(Default)]
struct State {
    queue: BinaryHeap<Reverse<Timed>>,
    /// Breaks ties, so that jobs due at the same time run in the order in which they came.
    scheduled: u64,
    idle: usize,
    stopping: bool,
}

struct Timed {
    due: Duration,
    order: u64,
    job: Job,
}

impl Background {
    /// Jobs run on threads of this store's own.
    pub(crate) fn threads() -> Self {
        Self::new(Time::Threads { start: Instant::now() })
    }

    /// Jobs wait for [`Background::run_due`].
    pub(crate) fn manual(clock: Arc<dyn Clock>) -> Self {
        Self::new(Time::Manual { clock })
    }

    fn new(time: Time) -> Self {
        let shared = Shared { time, state: Mutex::new(State::default()), wake: Condvar::new() };
        Self { shared: Arc::new(shared), workers: Mutex::new(Vec::new()) }
    }

    /// Runs `job` once `delay` has passed. After [`Background::stop`] nothing is run any more.
    pub(crate) fn schedule(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        let due = self.shared.time.now().saturating_add(delay);
        let mut state = self.shared.state.lock();
        if state.stopping {
            return;
        }
        let order = state.scheduled;
        state.scheduled += 1;
        state.queue.push(Reverse(Timed { due, order, job: Box::new(job) }));
        let idle = state.idle;
        drop(state);
        self.shared.wake.notify_one();
        if idle == 0 {
            self.add_worker();
        }
    }

    /// Runs every job that is due, on this thread. Returns how many there were.
    pub(crate) fn run_due(&self) -> usize {
        let mut done = 0;
        loop {
            let now = self.shared.time.now();
            let Some(job) = self.shared.state.lock().pop_due(now) else {
                return done;
            };
            job();
            done += 1;
        }
    }

    /// Whether jobs wait for [`Background::run_due`].
    pub(crate) fn is_manual(&self) -> bool {
        matches!(self.shared.time, Time::Manual { .. })
    }

    /// Lets running jobs finish, drops the others and ends the threads.
    pub(crate) fn stop(&self) {
        {
            let mut state = self.shared.state.lock();
            state.stopping = true;
            state.queue.clear();
        }
        self.shared.wake.notify_all();
        let workers = std::mem::take(&mut *self.workers.lock());
        let myself = thread::current().id();
        for worker in workers {
            // The last handle of a store may be dropped by a job; a thread cannot wait for itself.
            if worker.thread().id() != myself {
                // A job that panicked has told so already, on its own thread.
                drop(worker.join());
            }
        }
    }

    fn add_worker(&self) {
        if self.is_manual() {
            return;
        }
        let mut workers = self.workers.lock();
        if workers.len() >= MAX_WORKERS || self.shared.state.lock().stopping {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new().name("riverbed".to_owned()).spawn(move || shared.work());
        // Without a thread the job waits for a worker that exists, or for the next attempt to start one; a put
        // that cannot wait does the work itself.
        if let Ok(worker) = spawned {
            workers.push(worker);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("manual", &self.is_manual()).finish_non_exhaustive()
    }
}

impl Time {
    fn now(&self) -> Duration {
        match self {
            Self::Threads { start } => start.elapsed(),
            Self::Manual { clock } => Duration::from_nanos(clock.now().as_nanos()),
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        while !state.stopping {
            let now = self.time.now();
            if let Some(job) = state.pop_due(now) {
                drop(state);
                job();
                state = self.state.lock();
                continue;
            }
            let wait = state.queue.peek().map(|Reverse(next)| next.due.saturating_sub(now));
            state.idle += 1;
            match wait {
                Some(wait) => {
                    self.wake.wait_for(&mut state, wait);
                }
                None => self.wake.wait(&mut state),
            }
            state.idle -= 1;
        }
    }
}

impl State {
    fn pop_due(&mut self, now: Duration) -> Option<Job> {
        if self.queue.peek().is_none_or(|Reverse(next)| next.due > now) {
            return None;
        }
        self.queue.pop().map(|Reverse(timed)| timed.job)
    }
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}
