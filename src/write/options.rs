//! How a writer batches, retries and closes.

use std::time::Duration;

/// How a [`BatchWriter`](super::BatchWriter) batches, retries and closes. The defaults are those of InfluxDB's Python
/// client.
///
/// ```
/// use riverbed::write::{OnFull, WriteOptions};
/// use std::time::Duration;
///
/// let options = WriteOptions::new()
///     .batch_size(500)
///     .flush_interval(Duration::from_secs(10))
///     .jitter_interval(Duration::from_secs(2))
///     .max_retry_delay(Duration::from_secs(30))
///     .on_full(OnFull::WouldBlock);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    pub(crate) batch_size: usize,
    pub(crate) flush_interval: Duration,
    pub(crate) jitter_interval: Duration,
    pub(crate) retry_interval: Duration,
    pub(crate) max_retries: u32,
    pub(crate) max_retry_delay: Duration,
    pub(crate) max_retry_time: Duration,
    pub(crate) exponential_base: u32,
    pub(crate) max_close_wait: Duration,
    pub(crate) max_items: usize,
    pub(crate) max_bytes: usize,
    pub(crate) on_full: OnFull,
}

/// What becomes of a write when as much waits as may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnFull {
    /// It waits until there is room.
    #[default]
    Block,
    /// It fails and gives the item back.
    WouldBlock,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            batch_size: 1000,
            flush_interval: Duration::from_secs(1),
            jitter_interval: Duration::ZERO,
            retry_interval: Duration::from_secs(5),
            max_retries: 5,
            max_retry_delay: Duration::from_secs(125),
            max_retry_time: Duration::from_secs(180),
            exponential_base: 2,
            max_close_wait: Duration::from_secs(300),
            max_items: 100_000,
            max_bytes: 64 << 20,
            on_full: OnFull::Block,
        }
    }
}

impl WriteOptions {
    /// The defaults: batches of 1000 items or one second, five retries within three minutes, at most 100,000 items and
    /// 64 MiB waiting.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The most items in a batch; a batch that has as many is sent at once. 1000 by default; 0 counts as 1.
    #[must_use]
    pub fn batch_size(mut self, items: usize) -> Self {
        self.batch_size = items.max(1);
        self
    }

    /// How long a batch that is not full waits for more, from its first item on. One second by default; `Duration::MAX` for
    /// batches by size alone. A batch waits no longer once nothing more fits in what may wait.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// A batch is sent up to this much later than it could be, by chance, so that many writers that were started
    /// together do not send together; the same is added to a `retry_after`. None by default. What somebody waits for is
    /// sent at once.
    #[must_use]
    pub fn jitter_interval(mut self, interval: Duration) -> Self {
        self.jitter_interval = interval;
        self
    }

    /// The least delay before the first retry. Five seconds by default.
    #[must_use]
    pub fn retry_interval(mut self, interval: Duration) -> Self {
        self.retry_interval = interval;
        self
    }

    /// How often a batch is tried again. Five times by default; 0 for never.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// The longest delay before a retry that the sink did not ask for. 125 seconds by default.
    #[must_use]
    pub fn max_retry_delay(mut self, delay: Duration) -> Self {
        self.max_retry_delay = delay;
        self
    }

    /// A batch that fails later than this after it was first sent is not tried again. Three minutes by default.
    #[must_use]
    pub fn max_retry_time(mut self, time: Duration) -> Self {
        self.max_retry_time = time;
        self
    }

    /// What the delay is multiplied by from one retry to the next. 2 by default; 0 counts as 1.
    #[must_use]
    pub fn exponential_base(mut self, base: u32) -> Self {
        self.exponential_base = base.max(1);
        self
    }

    /// How long closing and dropping wait for what has been written, retries included. Five minutes by default. What is
    /// left then is reported as not written.
    #[must_use]
    pub fn max_close_wait(mut self, wait: Duration) -> Self {
        self.max_close_wait = wait;
        self
    }

    /// The most items that may wait, those being sent or tried again included. 100,000 by default; 0 counts as 1.
    #[must_use]
    pub fn max_items(mut self, items: usize) -> Self {
        self.max_items = items.max(1);
        self
    }

    /// The most bytes ([`Item::size`](super::Item::size)) that may wait, those being sent or tried again included. 64 MiB by
    /// default. One item that is larger is let in by itself.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// What becomes of a write when as much waits as may wait. [`OnFull::Block`] by default.
    #[must_use]
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }
}
