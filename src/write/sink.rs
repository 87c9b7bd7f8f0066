//! Where a writer's batches go.

use std::error::Error;
use std::time::Duration;

/// Something that takes batches: a stream, or a service at the other end of a network.
pub trait Sink: Send + 'static {
    /// What it takes.
    type Item: Item;
    /// What it says about an item that it has accepted.
    type Ack: Send + 'static;
    /// Why it did not.
    type Error: Error + Clone + Send + Sync + 'static;

    /// Takes a batch and answers for each of its items, in their order.
    ///
    /// Two things are asked of it, and order and "exactly once" rest on them. An item that it answers
    /// [`Outcome::Retry`] for has not been written, not even in part. And once it has answered so for an item, it accepts no
    /// later one of the same key in this batch: it answers [`Outcome::Retry`] for these as well.
    fn write(&mut self, batch: &[Self::Item]) -> Vec<Outcome<Self::Ack, Self::Error>>;

    /// Makes everything durable that was accepted before.
    ///
    /// # Errors
    ///
    /// Why that could not be done.
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// What a [`Sink`] takes.
pub trait Item: Send + 'static {
    /// Items of the same key stay in the order in which they were written.
    fn key(&self) -> &[u8];

    /// The bytes of memory that the item takes, for the limit on all that wait.
    fn size(&self) -> usize;
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<A, E> {
    /// The sink has it.
    Accepted(A),
    /// The sink will never take it.
    Rejected(E),
    /// The sink has nothing of it, and may take it later.
    Retry {
        /// Why it did not take it now.
        error: E,
        /// How long the sink asks to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
}
