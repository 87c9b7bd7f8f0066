//! What a writer has and has done.

/// What a [`BatchWriter`](super::BatchWriter) has and has done.
///
/// Every item that was taken is waiting, written or not written: `accepted == waiting_items + written + not_written`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WriterStats {
    /// Items that the writer has taken.
    pub accepted: u64,
    /// Items that the sink has accepted.
    pub written: u64,
    /// Items that it took and that were reported as not written.
    pub not_written: u64,
    /// How often a batch, or what was left of it, was put off to be tried again.
    pub retries: u64,
    /// Items that wait, those being sent or tried again included.
    pub waiting_items: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
}
