//! Writing and flushing without blocking a thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::driver::Shared;
use super::not_written::{FlushError, NotWritten, Reason};
use super::schedule::{FlushTicket, WriteTicket};
use super::sink::Sink;
use super::ticket::Ticket;

/// Resolves once an item was accepted by the sink or is lost; see [`BatchWriter::write_async`](super::BatchWriter::write_async).
#[must_use = "nothing is written before the future is polled"]
pub struct WriteFuture<S: Sink> {
    shared: Arc<Shared<S>>,
    /// The item, until the writer has it.
    item: Option<S::Item>,
    ticket: WriteTicket<S>,
    /// Whether it was polled: then it is heard of whatever becomes of it.
    polled: bool,
}

/// Resolves once everything that was written before is durable or reported; see
/// [`BatchWriter::flush_async`](super::BatchWriter::flush_async).
#[must_use = "a flush is of no use to those who do not wait for it"]
pub struct FlushFuture<S: Sink> {
    ticket: FlushTicket<S>,
}

impl<S: Sink> WriteFuture<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, item: S::Item) -> Self {
        Self { shared, item: Some(item), ticket: Arc::new(Ticket::new()), polled: false }
    }
}

impl<S: Sink> FlushFuture<S> {
    pub(crate) fn new(ticket: FlushTicket<S>) -> Self {
        Self { ticket }
    }
}

/// Nothing in it is ever pinned.
impl<S: Sink> Unpin for WriteFuture<S> {}

impl<S: Sink> Future for WriteFuture<S> {
    type Output = Result<S::Ack, NotWritten<S::Item, S::Error>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, item, ticket, polled } = &mut *self;
        *polled = true;
        if item.is_some() {
            match shared.poll_push(item, ticket, context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(lost)) => return Poll::Ready(Err(lost)),
                Poll::Pending => return Poll::Pending,
            }
        }
        ticket.poll(context)
    }
}

impl<S: Sink> Drop for WriteFuture<S> {
    /// The writer keeps the item if it has it. Should it be lost, or should there have been no room for it until now, the
    /// error callback is told, for nobody else is there.
    fn drop(&mut self) {
        let without_room = self.item.take().filter(|_| self.polled);
        let lost = match self.ticket.abandon() {
            Some(Err(lost)) => Some(lost),
            _ => without_room.map(|item| NotWritten { item, reason: Reason::QueueFull }),
        };
        if let Some(lost) = lost {
            self.shared.report_later(lost);
        }
    }
}

impl<S: Sink> Future for FlushFuture<S> {
    type Output = Result<(), FlushError<S::Error>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.ticket.poll(context)
    }
}
