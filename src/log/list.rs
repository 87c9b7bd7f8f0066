//! A shard's segments, oldest first.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

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
}

/// A segment to go on in.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) segment: Option<Arc<Segment>>,
    pub(crate) gap_before: Option<Arc<Gap>>,
}

impl SegmentList {
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

    pub(crate) fn len(&self) -> usize {
        self.inner.read().links.len()
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
        inner.following(index)
    }

    /// The segment that holds the record with this counter, or would hold it: the last one whose first record is
    /// not above it; else the oldest.
    pub(crate) fn holding(&self, sequence: u64) -> Option<Arc<Segment>> {
        let inner = self.inner.read();
        let index = inner.links.partition_point(|link| link.segment.base() <= sequence).saturating_sub(1);
        inner.links.get(index).map(|link| Arc::clone(&link.segment))
    }
}

impl Inner {
    fn following(&self, index: usize) -> Following {
        match self.links.get(index) {
            Some(link) => {
                Following { segment: Some(Arc::clone(&link.segment)), gap_before: link.gap_before.clone() }
            }
            None => Following { segment: None, gap_before: self.gap_at_end.clone() },
        }
    }
}
