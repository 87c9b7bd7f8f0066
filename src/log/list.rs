//! A shard's segments, oldest first.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use crate::sys::region::Region;

use super::segment::Segment;

/// A run of a shard's records that cannot be read: fenced when the store was opened.
#[derive(Debug, Clone)]
pub(crate) struct Gap {
    /// The file that is damaged or missing.
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    /// What is wrong, in words.
    pub(crate) reason: String,
}

#[derive(Debug)]
struct Link {
    segment: Arc<Segment>,
    /// What is missing between the segment before and this one.
    gap_before: Option<Arc<Gap>>,
}

/// The segments of one shard. Readers look here when they come to the end of one.
#[derive(Debug, Default)]
pub(crate) struct SegmentList {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    links: Vec<Link>,
    /// What is missing after the last segment.
    gap_at_end: Option<Arc<Gap>>,
    /// Segments before this ordinal have been removed.
    trim: u64,
    /// Removed segments that somebody still held at the time, with their sizes.
    pinned: Vec<(Weak<Region>, u64)>,
}

/// A segment to go on in.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) segment: Option<Arc<Segment>>,
    pub(crate) gap_before: Option<Arc<Gap>>,
    /// Segments in between have been removed: the reader has fallen behind the trim horizon.
    pub(crate) trimmed: bool,
}

impl SegmentList {
    /// A list whose segments before `trim` are gone for good.
    pub(crate) fn trimmed_to(trim: u64) -> Self {
        Self { inner: RwLock::new(Inner { trim, ..Inner::default() }) }
    }

    /// Adds the next segment.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        let mut inner = self.inner.write();
        let gap_before = inner.gap_at_end.take();
        inner.links.push(Link { segment, gap_before });
    }

    /// Notes that something is missing after the segments added so far.
    pub(crate) fn push_gap(&self, gap: Gap) {
        self.inner.write().gap_at_end.get_or_insert(Arc::new(gap));
    }

    /// All segments, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.inner.read().links.iter().map(|link| Arc::clone(&link.segment)).collect()
    }

    pub(crate) fn last(&self) -> Option<Arc<Segment>> {
        self.inner.read().links.last().map(|link| Arc::clone(&link.segment))
    }

    /// The oldest segment, and what is missing before it.
    pub(crate) fn first(&self) -> Following {
        self.inner.read().following(0)
    }

    /// The segment after the one with this ordinal, and what is missing between them.
    pub(crate) fn after(&self, ordinal: u64) -> Following {
        let inner = self.inner.read();
        let index = inner.links.partition_point(|link| link.segment.ordinal() <= ordinal);
        Following { trimmed: ordinal + 1 < inner.trim, ..inner.following(index) }
    }

    /// Removes the segments before `ordinal`. Their mappings go once nobody holds them.
    pub(crate) fn remove_before(&self, ordinal: u64) {
        let removed: Vec<_> = {
            let mut inner = self.inner.write();
            inner.trim = inner.trim.max(ordinal);
            let count = inner.links.partition_point(|link| link.segment.ordinal() < ordinal);
            let removed: Vec<_> = inner.links.drain(..count).collect();
            let pinned = removed.iter().filter_map(|link| {
                let region = link.segment.mapped()?;
                Some((Arc::downgrade(&region), link.segment.identity().capacity))
            });
            inner.pinned.extend(pinned.collect::<Vec<_>>());
            if let Some(first) = inner.links.first_mut() {
                // What was missing before it is behind the trim horizon now.
                first.gap_before = None;
            }
            removed
        };
        // Unmapping can take a while: not under the lock.
        drop(removed);
    }

    /// Bytes of removed segments that somebody still holds mapped.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        let mut inner = self.inner.write();
        inner.pinned.retain(|(region, _)| region.strong_count() > 0);
        inner.pinned.iter().map(|(_, len)| len).sum()
    }

    /// Segments before this ordinal have been removed.
    pub(crate) fn trim(&self) -> u64 {
        self.inner.read().trim
    }

    /// The segment that holds the record with this counter, or would hold it: the last one whose first record is
    /// not above it; else the oldest.
    pub(crate) fn holding(&self, sequence: u64) -> Option<Arc<Segment>> {
        let inner = self.inner.read();
        let index = inner.links.partition_point(|link| link.segment.base() <= sequence).saturating_sub(1);
        inner.links.get(index).map(|link| Arc::clone(&link.segment))
    }

    /// The newest segment with a record below this counter.
    pub(crate) fn last_with_record_below(&self, sequence: u64) -> Option<Arc<Segment>> {
        let inner = self.inner.read();
        let count = inner.links.partition_point(|link| link.segment.base() < sequence);
        let older = inner.links.iter().take(count).rev().map(|link| &link.segment);
        older.filter(|segment| segment.extent().frames > 0).map(Arc::clone).next()
    }
}

impl Inner {
    fn following(&self, index: usize) -> Following {
        match self.links.get(index) {
            Some(link) => Following {
                segment: Some(Arc::clone(&link.segment)),
                gap_before: link.gap_before.clone(),
                trimmed: false,
            },
            None => Following { segment: None, gap_before: self.gap_at_end.clone(), trimmed: false },
        }
    }
}
