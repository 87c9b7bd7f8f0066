//! How many bytes go by between two syncs.

use super::active::PREFAULT;
use super::segment::LONG_RUN;

/// How many bytes go by between two syncs of a shard, over all segments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stride {
    /// Before the last sync that was seen.
    last: usize,
    /// Since then, in segments before the one being written.
    before: usize,
    /// Up to where that one was durable when it was last looked at.
    durable: usize,
}

impl Stride {
    /// Of a shard that goes on at this offset of a segment.
    pub(crate) fn starting(offset: usize) -> Self {
        Self { last: 0, before: 0, durable: offset }
    }

    /// After a roll at offset `end`; the next segment begins at `start`.
    pub(crate) fn rolled(self, end: usize, start: usize) -> Self {
        Self { before: self.since(end), durable: start, ..self }
    }

    /// Takes note of how far the segment being written is durable.
    pub(crate) fn note(&mut self, durable: usize) {
        if durable != self.durable {
            self.last = self.since(durable);
            self.before = 0;
            self.durable = durable;
        }
    }

    /// Faulting pages in ahead makes them dirty, so each sync writes them: that pays only between rare syncs. The writer has come to
    /// offset `end`.
    pub(crate) fn is_long(&self, end: usize) -> bool {
        self.since(end) >= PREFAULT || self.last >= LONG_RUN
    }

    /// Bytes since the last sync up to this offset.
    fn since(&self, offset: usize) -> usize {
        self.before.saturating_add(offset.saturating_sub(self.durable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_by_in_segments_before_counts() {
        let mut stride = Stride::starting(8192).rolled(8192 + PREFAULT / 2, 8192);
        assert!(!stride.is_long(8192));
        assert!(stride.is_long(8192 + PREFAULT / 2));
        stride.note(8192 + LONG_RUN - PREFAULT);
        assert!(!stride.is_long(8192 + LONG_RUN - PREFAULT), "a sync of less than a long run");
        stride = stride.rolled(8192 + LONG_RUN, 8192);
        stride.note(8192 + LONG_RUN - PREFAULT);
        assert!(stride.is_long(8192 + LONG_RUN - PREFAULT), "a sync of a long run in two segments");
        stride.note(8192 + LONG_RUN);
        assert!(!stride.is_long(8192 + LONG_RUN));
    }
}
