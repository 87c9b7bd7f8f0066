//! Who runs a writer's engine, and how others wait for it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::sys::clock::Timestamp;

use super::engine::{Engine, Step};
use super::not_written::{NotWritten, Reason};
use super::options::WriteOptions;
use super::schedule::{Lost, Schedule, WriteTicket};
use super::sink::{Item, Sink};
use super::timer::{Pace, Timer};

/// What a writer's handles, futures and thread share.
///
/// The engine's lock is taken before the state's, never the other way round; the state's is not held while anything of the
/// caller's runs.
pub(crate) struct Shared<S: Sink> {
    pub(crate) pace: Pace,
    pub(crate) options: WriteOptions,
    pub(crate) engine: Mutex<Engine<S>>,
    pub(crate) state: Mutex<State<S>>,
    /// Told when there may be something else to do.
    wake: Condvar,
    /// Told when there may be room.
    room: Condvar,
}

pub(crate) struct State<S: Sink> {
    pub(crate) schedule: Schedule<S>,
    /// Counts the changes that whoever runs the engine must know of.
    pub(crate) signals: u64,
    /// Failures of items for which nobody waits any more.
    pub(crate) orphans: Vec<Lost<S>>,
    /// How many items were lost without anybody having been told.
    pub(crate) untold: u64,
    pub(crate) first_untold: Option<Reason<S::Error>>,
    /// The thread that runs the engine just now.
    driver: Option<ThreadId>,
    /// Futures that wait for room.
    wakers: Vec<Waker>,
}

impl<S: Sink> Shared<S> {
    pub(crate) fn new(pace: Pace, options: WriteOptions, engine: Engine<S>) -> Self {
        let state = State {
            schedule: Schedule::new(options.clone()),
            signals: 0,
            orphans: Vec::new(),
            untold: 0,
            first_untold: None,
            driver: None,
            wakers: Vec::new(),
        };
        Self {
            pace,
            options,
            engine: Mutex::new(engine),
            state: Mutex::new(state),
            wake: Condvar::new(),
            room: Condvar::new(),
        }
    }

    /// Takes an item, once there is room.
    pub(crate) fn push(&self, item: S::Item, ticket: Option<WriteTicket<S>>) -> Result<(), Lost<S>> {
        let mut item = Some(item);
        if let Pace::Manual(timer) = &self.pace {
            return self
                .drive(&**timer, || self.try_push(&mut self.state.lock(), &mut item, ticket.as_ref()));
        }
        let mut state = self.state.lock();
        loop {
            match self.try_push(&mut state, &mut item, ticket.as_ref()) {
                Some(result) => return result,
                None => self.room.wait(&mut state),
            }
        }
    }

    /// As [`Shared::push`], for a future.
    pub(crate) fn poll_push(
        &self,
        item: &mut Option<S::Item>,
        ticket: &WriteTicket<S>,
        context: &Context<'_>,
    ) -> Poll<Result<(), Lost<S>>> {
        let mut state = self.state.lock();
        if let Some(result) = self.try_push(&mut state, item, Some(ticket)) {
            return Poll::Ready(result);
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Takes the item if there is room; `None` when the caller must wait.
    fn try_push(
        &self,
        state: &mut MutexGuard<'_, State<S>>,
        item: &mut Option<S::Item>,
        ticket: Option<&WriteTicket<S>>,
    ) -> Option<Result<(), Lost<S>>> {
        let size = item.as_ref()?.size();
        let refused = if state.schedule.is_closing() {
            Reason::Closed
        } else if state.schedule.has_room(size) {
            let now = self.pace.now();
            if state.schedule.push(item.take()?, ticket.cloned(), now) {
                self.signal(state);
            }
            return Some(Ok(()));
        } else {
            if state.schedule.refuse() {
                self.signal(state);
            }
            if state.schedule.blocks() && !state.is_driven_here() {
                return None;
            }
            Reason::QueueFull
        };
        item.take().map(|item| Err(NotWritten { item, reason: refused }))
    }

    /// Reports a loss of which nobody has heard.
    pub(crate) fn report_later(&self, lost: Lost<S>) {
        let mut state = self.state.lock();
        state.orphans.push(lost);
        self.signal(&mut state);
        // A writer that has ended does nothing by itself any more.
        let by_itself = !state.schedule.is_finished() || state.is_driven_here();
        drop(state);
        if !by_itself {
            self.run_due();
        }
    }

    /// Whether this thread runs the engine just now: then it must not wait for it.
    pub(crate) fn is_driven_here(&self) -> bool {
        self.state.lock().is_driven_here()
    }

    /// There may be something else to do.
    pub(crate) fn signal(&self, state: &mut State<S>) {
        state.signals += 1;
        self.wake.notify_all();
    }

    /// There may be room, or an end to waiting for it.
    pub(crate) fn tell_producers(&self) {
        let wakers = std::mem::take(&mut self.state.lock().wakers);
        self.room.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Does one piece of work on this thread, which has the engine.
    pub(crate) fn step(&self, engine: &mut Engine<S>) -> Step {
        self.state.lock().driver = Some(thread::current().id());
        let step = engine.step(self);
        self.state.lock().driver = None;
        step
    }

    /// What the writer's thread does.
    pub(crate) fn run(self: &Arc<Self>) {
        loop {
            let step = self.step(&mut self.engine.lock());
            match step {
                Step::Worked => {}
                Step::Idle { due, signals } => self.wait(due, signals),
                Step::Finished => return,
            }
        }
    }

    /// Waits for this time or another signal.
    fn wait(&self, due: Option<Timestamp>, signals: u64) {
        let mut state = self.state.lock();
        if state.signals != signals {
            return;
        }
        match due.and_then(|due| self.pace.instant(due)) {
            Some(until) => drop(self.wake.wait_until(&mut state, until)),
            None => self.wake.wait(&mut state),
        }
    }

    /// Does the writer's work on this thread until `done` says so, letting time pass where there is nothing to do.
    pub(crate) fn drive<T>(&self, timer: &dyn Timer, mut done: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(result) = done() {
                return result;
            }
            let mut engine = self.engine.lock();
            // Somebody else may have done it while this thread waited for the engine.
            if let Some(result) = done() {
                return result;
            }
            if let Step::Idle { due: Some(due), .. } = self.step(&mut engine) {
                drop(engine);
                timer.sleep(due.since(timer.now()));
            }
        }
    }

    /// Does all work that is due, on this thread. Returns how many pieces there were.
    pub(crate) fn run_due(&self) -> usize {
        let mut engine = self.engine.lock();
        let mut done = 0;
        while let Step::Worked = self.step(&mut engine) {
            done += 1;
        }
        done
    }
}

impl<S: Sink> State<S> {
    fn is_driven_here(&self) -> bool {
        self.driver == Some(thread::current().id())
    }
}
