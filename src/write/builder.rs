//! How to make a writer.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::callbacks::{Callbacks, Retry, Written};
use super::driver::Shared;
use super::engine::Engine;
use super::not_written::NotWritten;
use super::options::WriteOptions;
use super::sink::Sink;
use super::timer::{Pace, Timer};
use super::writer::BatchWriter;

/// How to make a [`BatchWriter`]; see [`BatchWriter::builder`].
///
/// Callbacks run on the writer's thread, between one batch and the next. They may write, but where they would have to
/// wait for the writer they get an error instead. A panic in one ends that call and nothing else.
#[must_use = "nothing is started yet"]
pub struct WriterBuilder<S: Sink> {
    sink: S,
    options: WriteOptions,
    callbacks: Callbacks<S>,
    seed: Option<u64>,
}

/// The thread of a writer could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the writer's thread: end some others, or use start_manual")]
pub struct StartError {
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

impl<S: Sink> WriterBuilder<S> {
    pub(crate) fn new(sink: S) -> Self {
        Self { sink, options: WriteOptions::new(), callbacks: Callbacks::none(), seed: None }
    }

    /// How to batch, retry and close, if not by default.
    pub fn options(mut self, options: WriteOptions) -> Self {
        self.options = options;
        self
    }

    /// Called with the items of a batch that the sink has accepted. Those that somebody waits for are not among them.
    pub fn on_success(
        mut self,
        callback: impl FnMut(Vec<Written<S::Item, S::Ack>>) + Send + 'static,
    ) -> Self {
        self.callbacks.success = Some(Box::new(callback));
        self
    }

    /// Called with items that the writer took and that were not written, and never will be. Those that somebody waits
    /// for are not among them. Without this callback [`BatchWriter::flush`] and [`BatchWriter::close`] fail when there
    /// are such items, but the items are gone.
    pub fn on_error(
        mut self,
        callback: impl FnMut(Vec<NotWritten<S::Item, S::Error>>) + Send + 'static,
    ) -> Self {
        self.callbacks.error = Some(Box::new(callback));
        self
    }

    /// Called with items that will be tried again.
    pub fn on_retry(mut self, callback: impl FnMut(Retry<'_, S::Item, S::Error>) + Send + 'static) -> Self {
        self.callbacks.retry = Some(Box::new(callback));
        self
    }

    /// Makes the same delays every time: for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the writer's thread.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the operating system refuses the thread.
    pub fn start(self) -> Result<BatchWriter<S>, StartError> {
        let shared = self.shared(Pace::Thread { start: Instant::now() });
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("riverbed-writer".to_owned())
            .spawn(move || worker.run())
            .map_err(|source| StartError { source })?;
        Ok(BatchWriter::new(shared, Some(thread)))
    }

    /// Makes a writer without a thread. Its work is done by whoever waits for it, in [`BatchWriter::flush`] and its like,
    /// and by [`BatchWriter::run_due`]; time is what `timer` says. For programs that cannot have threads, and for tests that
    /// must run the same way every time.
    pub fn start_manual(self, timer: impl Timer + 'static) -> BatchWriter<S> {
        BatchWriter::new(self.shared(Pace::Manual(Arc::new(timer))), None)
    }

    fn shared(self, pace: Pace) -> Arc<Shared<S>> {
        let engine = Engine::new(self.sink, self.callbacks, self.seed);
        Arc::new(Shared::new(pace, self.options, engine))
    }
}
