//! Items that were not written, and why.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// An item that was not written, given back with the reason.
pub struct NotWritten<I, E> {
    /// The item.
    pub item: I,
    /// Why it was not written.
    pub reason: Reason<E>,
}

/// Why an item was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason<E> {
    /// As much waits as may wait, and the writer does not block; or the write came from one of its own callbacks, which
    /// must not wait for it.
    #[error("the writer's queue is full: write again later, or let it hold more, or let it block")]
    QueueFull,
    /// The writer was closed before.
    #[error("the writer is closed: make a new one")]
    Closed,
    /// The sink will never take it.
    #[error("the item was rejected")]
    Rejected(#[source] E),
    /// The sink might take it later, but the retries are used up. Writes that somebody waits for are tried once.
    #[error("the item was not taken in {attempts} attempts: write it again later")]
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// How long the sink asked to be left alone the last time, if it said so.
        retry_after: Option<Duration>,
        /// Why the sink did not take it the last time.
        #[source]
        error: E,
    },
    /// It was still waiting when the time for closing was over.
    #[error(
        "the writer was closed, and the item was still waiting after the longest time that closing may take"
    )]
    CloseTimedOut,
    /// The sink has panicked, now or before. Whether it has the item is not known if it panicked now.
    #[error("the sink panicked: make a new writer")]
    SinkPanicked,
    /// The sink has said nothing about it, which is a mistake in the sink.
    #[error("the sink gave no answer for the item: it must give one for each item of a batch")]
    NoAnswer,
}

/// Why a flush or a close did not end well.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError<E> {
    /// Everything was given to the sink, but it could not make it durable.
    #[error("what was written could not be made durable")]
    Sink(#[source] E),
    /// Items were not written, and there is no error callback that could have been told. They are gone.
    #[error("{items} items were not written, and nobody was told: set an error callback to get them")]
    NotWritten {
        /// How many, since a flush said so last.
        items: u64,
        /// Why the first of them was not.
        #[source]
        first: Box<Reason<E>>,
    },
    /// Closing took longer than `max_close_wait`, because the sink is busy. What it does not take will be reported.
    #[error(
        "{items} items were not settled within the longest time that closing may take: the sink is still busy"
    )]
    TimedOut {
        /// How many.
        items: usize,
    },
    /// The sink has panicked.
    #[error("the sink panicked: make a new writer")]
    SinkPanicked,
    /// A callback of the writer must not wait for the writer.
    #[error("a flush from one of the writer's callbacks would wait for itself: flush elsewhere")]
    FromCallback,
}

impl<I, E> fmt::Debug for NotWritten<I, E>
where
    E: fmt::Debug,
{
    /// The reason; an item need not have a textual form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotWritten").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<I, E> fmt::Display for NotWritten<I, E>
where
    Reason<E>: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<I, E: Error + 'static> Error for NotWritten<I, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}
