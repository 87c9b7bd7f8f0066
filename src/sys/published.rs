//! How far an append-only region may be read, and whether it can still grow.
//!
//! One word holds both, so that a reader can never see "closed" together with an end that is not the last.

use super::sync::{AtomicUsize, Ordering};

/// Frames are 8-byte aligned, so the lowest bit of an end offset is free to say "closed".
const CLOSED: usize = 1;

/// The published end of a region. Written by its one writer, read by anybody.
#[derive(Debug)]
pub(crate) struct Published(AtomicUsize);

/// One consistent look at a [`Published`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes before this offset never change again.
    pub(crate) end: usize,
    /// Nothing will be published after `end`.
    pub(crate) closed: bool,
}

impl Published {
    pub(crate) fn new(end: usize) -> Self {
        debug_assert_eq!(end & CLOSED, 0);
        Self(AtomicUsize::new(end))
    }

    /// What may be read now. Everything the writer stored before publishing `end` is visible afterwards.
    pub(crate) fn load(&self) -> Extent {
        let word = self.0.load(Ordering::Acquire);
        Extent { end: word & !CLOSED, closed: word & CLOSED != 0 }
    }

    /// Moves the end forward. Called by the one writer, after the bytes are in place.
    pub(crate) fn publish(&self, end: usize) {
        debug_assert_eq!(end & CLOSED, 0);
        debug_assert!(end >= self.0.load(Ordering::Relaxed));
        self.0.store(end, Ordering::Release);
    }

    /// Says that the present end is final. Called by the one writer.
    pub(crate) fn close(&self) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word | CLOSED, Ordering::Release);
    }
}
