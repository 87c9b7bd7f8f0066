//! Gives batches to the sink, and tells what became of them.

use std::panic::{self, AssertUnwindSafe};

use super::backoff::Backoff;
use super::callbacks::{Callbacks, Retry};
use super::driver::{Shared, State};
use super::not_written::{FlushError, Reason};
use super::schedule::{Batch, FlushTicket, Lost, Work};
use super::sink::Sink;
use super::sort::{self, Sorted};

use crate::sys::clock::Timestamp;

/// Works on a schedule. One thread at a time does that.
pub(crate) struct Engine<S: Sink> {
    sink: S,
    callbacks: Callbacks<S>,
    backoff: Backoff,
    panicked: bool,
}

/// What a step has done.
pub(crate) enum Step {
    /// Something; there may be more.
    Worked,
    /// Nothing, for there is nothing to do before this time, unless the signals become other than these.
    Idle { due: Option<Timestamp>, signals: u64 },
    /// Nothing, and there never will be anything.
    Finished,
}

impl<S: Sink> Engine<S> {
    pub(crate) fn new(sink: S, callbacks: Callbacks<S>, seed: Option<u64>) -> Self {
        Self { sink, callbacks, backoff: Backoff::new(seed), panicked: false }
    }

    /// Does one piece of work, if there is any.
    pub(crate) fn step(&mut self, shared: &Shared<S>) -> Step {
        let now = shared.pace.now();
        let mut state = shared.state.lock();
        let orphans = std::mem::take(&mut state.orphans);
        if !orphans.is_empty() {
            drop(state);
            self.report(shared, orphans);
            return Step::Worked;
        }
        let work = state.schedule.next(now, |options| self.backoff.jitter(options));
        let signals = state.signals;
        drop(state);
        match work {
            Work::Write(batch) => self.write(shared, batch),
            Work::Abandon(batch) => {
                let reason = if self.panicked { Reason::SinkPanicked } else { Reason::CloseTimedOut };
                self.settle(shared, sort::lose_all(batch, &reason), None);
            }
            Work::Flush(tickets) => {
                let result = self.flush(shared);
                fill::<S>(tickets, &result);
            }
            Work::Finish(tickets) => {
                let result = self.flush(shared);
                let late = shared.state.lock().schedule.finish();
                fill::<S>(tickets, &result);
                fill::<S>(late, &result);
            }
            Work::Wait(due) => return Step::Idle { due, signals },
            Work::Finished => return Step::Finished,
        }
        Step::Worked
    }

    fn write(&mut self, shared: &Shared<S>, batch: Batch<S>) {
        let Some(outcomes) = caught(|| self.sink.write(&batch.items)) else {
            self.give_up(shared);
            return self.settle(shared, sort::lose_all(batch, &Reason::SinkPanicked), None);
        };
        let now = shared.pace.now();
        let accepted = sort::accepted(&outcomes).saturating_add(shared.state.lock().schedule.stats.written);
        let asked = sort::retry_after(&outcomes);
        // A sink that asks for time and takes what it can is busy and does not fail: that is no retry to count.
        let busy = asked.flatten().is_some() && accepted > batch.accepted_before;
        let retry = if busy { 1 } else { batch.retries.saturating_add(1) };
        let elapsed = now.since(batch.started);
        let delay = asked.and_then(|asked| self.backoff.delay(&shared.options, retry, elapsed, asked));
        let mut sorted = sort::sort(batch, outcomes, delay.is_some(), &Reason::NoAnswer);
        sorted.again.retries = retry;
        sorted.again.accepted_before = accepted;
        if let (Some(delay), Some(error)) = (delay, &sorted.first_error)
            && let Some(callback) = &mut self.callbacks.retry
        {
            told(|| callback(Retry { items: &sorted.again.items, error, retry, delay }));
        }
        self.settle(shared, sorted, delay.map(|delay| now.saturating_add(delay)));
    }

    /// Tells everybody concerned what became of a batch.
    fn settle(&mut self, shared: &Shared<S>, sorted: Sorted<S>, due: Option<Timestamp>) {
        let Sorted { written, lost, awaited, again, settled_bytes, accepted, .. } = sorted;
        let failed = lost.len() + awaited.iter().filter(|(_, result)| result.is_err()).count();
        if let Some(callback) = &mut self.callbacks.success
            && !written.is_empty()
        {
            told(|| callback(written));
        }
        self.report(shared, lost);
        let again = due.filter(|_| !again.items.is_empty()).map(|due| (again, due));
        {
            let mut state = shared.state.lock();
            state.schedule.stats.written += accepted;
            state.schedule.stats.not_written += failed as u64;
            let settled = usize::try_from(accepted).unwrap_or(usize::MAX).saturating_add(failed);
            state.schedule.settle(settled, settled_bytes, again);
        }
        shared.tell_producers();
        let orphans = awaited.into_iter().filter_map(|(ticket, result)| ticket.fill(result)?.err()).collect();
        self.report(shared, orphans);
    }

    /// Tells the error callback of these, or keeps count for the next flush.
    fn report(&mut self, shared: &Shared<S>, lost: Vec<Lost<S>>) {
        if lost.is_empty() {
            return;
        }
        match &mut self.callbacks.error {
            Some(callback) => told(|| callback(lost)),
            None => shared.state.lock().count_untold(&lost),
        }
    }

    fn flush(&mut self, shared: &Shared<S>) -> Result<(), FlushError<S::Error>> {
        if self.panicked {
            return Err(FlushError::SinkPanicked);
        }
        match caught(|| self.sink.flush()) {
            Some(Ok(())) => shared.state.lock().tell_untold(),
            Some(Err(error)) => Err(FlushError::Sink(error)),
            None => {
                self.give_up(shared);
                Err(FlushError::SinkPanicked)
            }
        }
    }

    /// The sink has panicked and is not to be called again: the writer closes, at once.
    fn give_up(&mut self, shared: &Shared<S>) {
        self.panicked = true;
        shared.state.lock().schedule.close(Timestamp::EPOCH);
    }
}

fn fill<S: Sink>(tickets: Vec<FlushTicket<S>>, result: &Result<(), FlushError<S::Error>>) {
    for ticket in tickets {
        // Who does not wait for a flush any more has lost nothing by it.
        drop(ticket.fill(result.clone()));
    }
}

impl<S: Sink> State<S> {
    fn count_untold(&mut self, lost: &[Lost<S>]) {
        self.untold += lost.len() as u64;
        if self.first_untold.is_none() {
            self.first_untold = lost.first().map(|lost| lost.reason.clone());
        }
    }

    /// Whether all is well since the last time somebody asked.
    pub(crate) fn tell_untold(&mut self) -> Result<(), FlushError<S::Error>> {
        let items = std::mem::take(&mut self.untold);
        match self.first_untold.take() {
            Some(first) => Err(FlushError::NotWritten { items, first: Box::new(first) }),
            None => Ok(()),
        }
    }
}

/// Runs what is not ours. Whoever panics there has told so already, by the panic hook.
fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Runs a callback; a panic in it is its own affair.
fn told(callback: impl FnOnce()) {
    let _: Option<()> = caught(callback);
}
