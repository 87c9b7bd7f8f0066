//! A writer, as its users hold it.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::sys::clock::Timestamp;

use super::builder::WriterBuilder;
use super::driver::Shared;
use super::future::{FlushFuture, WriteFuture};
use super::not_written::{FlushError, NotWritten, Reason};
use super::schedule::{FlushTicket, Schedule};
use super::sink::Sink;
use super::stats::WriterStats;
use super::ticket::Ticket;
use super::timer::Pace;

/// Gathers items in batches and gives these to a sink: see the [module](super).
///
/// Any number of threads may share it. Items of the same key reach the sink in the order in which they were written,
/// retries included; those of other keys do not wait for a retry.
///
/// | method | returns | on a failure that may pass |
/// |---|---|---|
/// | [`write`](Self::write), [`write_all`](Self::write_all) | once the writer has the item, or all of them | tried again |
/// | [`write_sync`](Self::write_sync) | once the sink has the item | the item comes back |
/// | [`write_async`](Self::write_async) | the same, as a future | the item comes back |
///
/// Dropping it closes it.
pub struct BatchWriter<S: Sink> {
    shared: Arc<Shared<S>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Until when closing may take, once it was asked for.
    closing: OnceLock<Timestamp>,
}

impl<S: Sink> BatchWriter<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, thread: Option<JoinHandle<()>>) -> Self {
        Self { shared, thread: Mutex::new(thread), closing: OnceLock::new() }
    }

    /// A writer to this sink, to be given options and callbacks and to be started.
    pub fn builder(sink: S) -> WriterBuilder<S> {
        WriterBuilder::new(sink)
    }

    /// Takes an item, or what can be made one, to be written with a batch. What becomes of it the callbacks tell. When as
    /// much waits as may wait, this blocks or fails, as [`OnFull`](super::OnFull) says.
    ///
    /// # Errors
    ///
    /// [`Reason::QueueFull`] or [`Reason::Closed`], with the item.
    pub fn write(&self, item: impl Into<S::Item>) -> Result<(), NotWritten<S::Item, S::Error>> {
        self.shared.push(item.into(), None)
    }

    /// Takes the items of a list, or of any iterator, in their order, each as [`write`](Self::write) does. Those of other threads
    /// may come between them.
    ///
    /// The first one that is refused ends it: those before it are taken, it comes back, and those behind it stay in the
    /// iterator. Give a `&mut` iterator to go on with these; one that is given away is dropped with them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let store = riverbed::Store::open(directory.path().join("data"))?;
    /// # let clicks = store.create_stream("clicks", riverbed::StreamOptions::new())?;
    /// use riverbed::write::{BatchWriter, OnFull, Reason, WriteOptions};
    ///
    /// let options = WriteOptions::new().max_items(2).on_full(OnFull::WouldBlock);
    /// let writer = BatchWriter::builder(clicks.clone()).options(options).start()?;
    /// writer.write_all([("user-1", "a"), ("user-2", "b")])?;
    /// writer.flush()?;
    ///
    /// let mut rest = vec![("user-1", "c"), ("user-2", "d"), ("user-1", "e")].into_iter();
    /// while let Err(refused) = writer.write_all(&mut rest) {
    ///     assert!(matches!(refused.reason, Reason::QueueFull));
    ///     writer.flush()?; // makes room
    ///     writer.write(refused.item)?; // before the rest, for the sake of order
    /// }
    /// writer.close()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write), with the first item that was refused.
    pub fn write_all<I: Into<S::Item>>(
        &self,
        items: impl IntoIterator<Item = I>,
    ) -> Result<(), NotWritten<S::Item, S::Error>> {
        items.into_iter().try_for_each(|item| self.write(item))
    }

    /// Writes an item and waits until the sink has it. It is sent at once, together with what waits before it, and tried
    /// once. Follows `SYNCHRONOUS` of InfluxDB's client.
    ///
    /// # Errors
    ///
    /// [`NotWritten`], with the item.
    pub fn write_sync(&self, item: impl Into<S::Item>) -> Result<S::Ack, NotWritten<S::Item, S::Error>> {
        let item = item.into();
        if self.shared.is_driven_here() {
            return Err(NotWritten { item, reason: Reason::QueueFull });
        }
        let ticket = Arc::new(Ticket::new());
        self.shared.push(item, Some(Arc::clone(&ticket)))?;
        self.wait(&ticket)
    }

    /// As [`write_sync`](Self::write_sync), for any `async` runtime: the writer's thread wakes the task. Nothing happens
    /// before the future is polled; once it was, dropping it does not take the item back.
    pub fn write_async(&self, item: impl Into<S::Item>) -> WriteFuture<S> {
        WriteFuture::new(Arc::clone(&self.shared), item.into())
    }

    /// Waits until everything that was written before is durable or has been reported as not written. That takes as long
    /// as its retries take.
    ///
    /// # Errors
    ///
    /// [`FlushError`].
    pub fn flush(&self) -> Result<(), FlushError<S::Error>> {
        if self.shared.is_driven_here() {
            return Err(FlushError::FromCallback);
        }
        self.wait(&self.ask(|_| ()))
    }

    /// As [`flush`](Self::flush), for any `async` runtime. What was written before this call is flushed.
    pub fn flush_async(&self) -> FlushFuture<S> {
        FlushFuture::new(self.ask(|_| ()))
    }

    /// Takes no more items, writes those that wait, makes them durable and ends the thread. This takes at most
    /// [`max_close_wait`](super::WriteOptions::max_close_wait), unless the sink is busy for longer; what is left then is
    /// reported as not written. Closing again only waits for the rest of that time.
    ///
    /// # Errors
    ///
    /// [`FlushError`]. The writer is closed all the same.
    pub fn close(&self) -> Result<(), FlushError<S::Error>> {
        let latest = || self.shared.pace.now().saturating_add(self.shared.options.max_close_wait);
        let until = *self.closing.get_or_init(latest);
        let ticket = self.ask(|schedule| schedule.close(until));
        // Nobody is to wait for room any more.
        self.shared.tell_producers();
        if self.shared.is_driven_here() {
            return Err(FlushError::FromCallback);
        }
        match &self.shared.pace {
            Pace::Manual(_) => self.wait(&ticket),
            Pace::Thread { .. } => self.wait_for_end(&ticket, until),
        }
    }

    /// Does all work that is due, on this thread, and returns how many pieces there were. Only of use with
    /// [`WriterBuilder::start_manual`], where nothing is sent before somebody calls this or waits.
    pub fn run_due(&self) -> usize {
        if self.shared.is_driven_here() { 0 } else { self.shared.run_due() }
    }

    /// What the writer has and has done.
    pub fn stats(&self) -> WriterStats {
        self.shared.state.lock().schedule.stats
    }

    /// Asks for a flush, and for something more.
    fn ask(&self, more: impl FnOnce(&mut Schedule<S>)) -> FlushTicket<S> {
        let ticket = Arc::new(Ticket::new());
        let mut state = self.shared.state.lock();
        if state.schedule.is_finished() {
            let result = state.tell_untold();
            drop(ticket.fill(result));
        } else {
            state.schedule.flush(Arc::clone(&ticket));
            more(&mut state.schedule);
            self.shared.signal(&mut state);
        }
        ticket
    }

    fn wait<T>(&self, ticket: &Ticket<T>) -> T {
        match &self.shared.pace {
            Pace::Manual(timer) => self.shared.drive(&**timer, || ticket.take()),
            Pace::Thread { .. } => ticket.wait(),
        }
    }

    fn wait_for_end(
        &self,
        ticket: &Ticket<Result<(), FlushError<S::Error>>>,
        until: Timestamp,
    ) -> Result<(), FlushError<S::Error>> {
        let result = match ticket.wait_until(self.shared.pace.instant(until)) {
            Some(result) => result,
            // The thread is about to give up what is left, unless the sink or a callback keeps it.
            None => match self.shared.engine.try_lock() {
                Some(mut engine) => loop {
                    if let Some(result) = ticket.take() {
                        break result;
                    }
                    self.shared.step(&mut engine);
                },
                None => return Err(FlushError::TimedOut { items: self.stats().waiting_items }),
            },
        };
        if let Some(thread) = self.thread.lock().take() {
            // It has nothing left to do. A panic in it was caught or has told so already.
            drop(thread.join());
        }
        result
    }
}

impl<S: Sink> Drop for BatchWriter<S> {
    /// As [`close`](Self::close); failures have been reported to the error callback.
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl<S: Sink> fmt::Debug for BatchWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchWriter").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
