//! A segment that another process may be writing to.

use std::io;
use std::sync::Arc;

use crate::error::IoError;
use crate::log::frame::{Check, Frame};
use crate::log::header::{HEADER_LEN, Identity, Slot};
use crate::log::index::{Mark, STRIDE};
use crate::log::options::Context;
use crate::log::segment::{Extent, Segment};
use crate::sys::region::{FRAME_ALIGNMENT, Region, RegionFollower};
use crate::sys::storage::Access;

use super::head::Head;

/// The frames of a segment, followed through a mapping.
#[derive(Debug)]
pub(super) struct Growing {
    segment: Arc<Segment>,
    frames: RegionFollower,
    extent: Extent,
    /// The counter after the last record that is known to be on disk.
    durable_next: u64,
    next_mark: usize,
}

impl Growing {
    /// Up to the watermark a segment's frames are what the slot says; who reads them checks them.
    pub(super) fn open(head: &Head, identity: Identity, slot: Slot) -> Result<Self, IoError> {
        let failed = IoError::context("map", &head.path);
        let capacity = usize::try_from(identity.capacity).unwrap_or(usize::MAX);
        // Never past the end of the file: that would be a SIGBUS. Nobody shortens it from here on.
        let len = head.len.min(capacity);
        let len = len - len % FRAME_ALIGNMENT;
        let mapped = head.file.map(len, Access::Read).and_then(|map| {
            // As the writer does, and for its sake: read-ahead would make its small syncs large writes.
            map.advise_random()?;
            map.advise_dont_dump()?;
            let end = Extent::of(&slot).end;
            Region::followed(map, HEADER_LEN, end).ok_or_else(|| io::Error::other("the bounds do not fit"))
        });
        let (region, frames) = mapped.map_err(failed)?;
        let extent = Extent::of(&slot);
        let segment = Segment::followed(head.path.clone(), identity, slot, region);
        Ok(Self {
            segment: Arc::new(segment),
            frames,
            extent,
            durable_next: slot.next,
            next_mark: extent.end,
        })
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The counter after the last record that is known to be on disk.
    pub(super) fn durable_next(&self) -> u64 {
        self.durable_next
    }

    pub(super) fn extent(&self) -> Extent {
        self.extent
    }

    /// Publishes the frames that have been added. Only such as recovery would keep, should the writer be dead: both checksums
    /// right, the number that comes next, and a time not before the last.
    pub(super) fn advance(&mut self) {
        while let Some(bytes) = self.frames.ahead() {
            let extent = self.extent;
            let offset = extent.end;
            let Ok(frame) = Frame::decode(bytes, offset, self.segment.signature(), Check::All) else {
                break;
            };
            let (sequence, time, padded_len) = (frame.sequence(), frame.time(), frame.padded_len());
            if sequence != extent.next || time < extent.last_time {
                break;
            }
            let next = sequence.saturating_add(frame.row_count());
            if !self.frames.publish(padded_len) {
                break;
            }
            self.extent = Extent {
                end: offset + padded_len,
                next,
                frames: extent.frames + 1,
                first_time: if extent.frames == 0 { time } else { extent.first_time },
                last_time: time,
            };
            if offset >= self.next_mark {
                self.segment.index().push(Mark { sequence, time, offset });
                self.next_mark = offset + STRIDE;
            }
        }
        self.segment.note_extent(&self.extent);
    }

    /// Takes note of a slot. What it calls durable is published even where it is no frame: that is damage, and readers are to
    /// come to it.
    pub(super) fn note(&mut self, slot: &Slot) {
        self.advance();
        let durable = Extent::of(slot);
        if durable.end > self.extent.end && self.frames.publish(durable.end - self.extent.end) {
            self.extent = durable;
            self.segment.note_extent(&self.extent);
        }
        if durable.end > self.segment.durable_end() {
            self.segment.note_durable(durable.end);
            self.durable_next = durable.next;
        }
    }

    /// There is no more to come: readers may go on to the next segment.
    pub(super) fn finish(self, context: &Context) -> Arc<Segment> {
        self.frames.region().close();
        self.segment.unpin(context);
        self.segment
    }
}
