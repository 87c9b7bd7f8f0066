//! The segment that a shard is writing.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{IoError, SyncError};
use crate::sys::clock::Timestamp;
use crate::sys::region::{FRAME_ALIGNMENT, Region, RegionWriter};
use crate::sys::storage::{StorageFile, write_zeros};

use super::append::{AppendError, Place};
use super::frame::{Draft, Plain};
use super::header::{HEADER_LEN, PAGE, Slot, SlotState};
use super::index::{Mark, STRIDE};
use super::prepare::Prepared;
use super::segment::{Extent, LONG_RUN, Segment, SyncFault};
use super::slots::Slots;
use super::stride::Stride;

/// How much is faulted in ahead of the writer, while nobody syncs more often than that.
pub(crate) const PREFAULT: usize = 1024 * 1024;

/// What a writer provides at a time that nobody has faulted pages in for.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// How far ahead of itself a writer whose records are waited for writes blocks, at the most. A shard that has just begun does with
/// less, as it may not get as far.
const OVERWRITE: usize = 256 * 1024;

/// After how many bytes to look again, at the most, whether anything should be done ahead.
const LOOK: usize = 64 * 1024;
const _: () = assert!(LOOK <= PREFAULT / 8);

// What a sync of a long run writes in vain, because it was faulted in ahead, is not much beside the run.
const _: () = assert!(LONG_RUN >= 4 * PREFAULT);

/// The segment being written.
#[derive(Debug)]
pub(crate) struct Active {
    segment: Arc<Segment>,
    writer: RegionWriter,
    /// How far the segment had come when it was opened.
    from: Extent,
    /// One above the last sequence counter that this segment may hand out.
    limit: u64,
    next_mark: usize,
    /// From here on it is time to look whether anything should be done ahead of the writer.
    look_at: usize,
    /// The next segment is being prepared, or has been.
    prepared_next: bool,
    /// Pages before this offset have been faulted in.
    prefaulted: usize,
    /// Blocks before this offset have been written, as far as is known: a sync of what is stored there is spared the journal.
    written: usize,
    stride: Stride,
    /// Plain frames that end before this offset need nothing but to be written. Looked at anew with each frame that goes beyond.
    plain_end: usize,
    /// The slot says `Clean`: before anything is appended, another must be durable.
    marked_clean: bool,
}

impl Active {
    /// A cleanly closed segment, to go on in.
    pub(crate) fn resumed(segment: Arc<Segment>, writer: RegionWriter) -> Self {
        Self {
            limit: segment.base().saturating_add(segment.identity().span),
            next_mark: writer.end(),
            look_at: 0,
            prepared_next: false,
            prefaulted: usize::MAX,
            written: writer.end(),
            stride: Stride::starting(writer.end()),
            plain_end: 0,
            marked_clean: true,
            from: segment.extent(),
            segment,
            writer,
        }
    }

    /// Gives a prepared segment its place in the sequence: after record `base - 1`, which arrived at `last_time`. The slot
    /// that says so becomes durable with the first sync; should a power cut come before, nothing in it had been
    /// acknowledged as durable.
    pub(crate) fn started(
        place: &Place<'_>,
        prepared: Prepared,
        base: u64,
        last_time: Timestamp,
        trim: u64,
        stride: Stride,
    ) -> Result<Self, AppendError> {
        let Prepared { identity, file, map, populated } = prepared;
        let path = file.path().to_owned();
        let extent = Extent::empty(base, last_time);
        let slot = Slot {
            generation: 0,
            state: SlotState::Open,
            base,
            end: HEADER_LEN as u64,
            next: base,
            frames: 0,
            first_time: last_time,
            last_time,
            successor_base: base,
            trim,
        };
        let misfit = || IoError::new("map", &path, io::Error::other("the bounds do not fit"));
        let (region, writer) = Region::new(map, HEADER_LEN, HEADER_LEN).ok_or_else(misfit)?;
        region.note_populated(populated);
        let slots = Slots::none_yet(identity.signature(), slot);
        let segment = Segment::live(identity, slots, extent, file, region);
        segment.write_first_slot(place.context).map_err(IoError::context("write", &path))?;
        Ok(Self {
            limit: base.saturating_add(identity.span),
            next_mark: HEADER_LEN,
            look_at: 0,
            prepared_next: false,
            written: HEADER_LEN,
            prefaulted: populated,
            stride,
            plain_end: 0,
            marked_clean: false,
            from: extent,
            segment: Arc::new(segment),
            writer,
        })
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// How far the segment had come when it was opened.
    pub(crate) fn from(&self) -> &Extent {
        &self.from
    }

    /// Nothing more will be written: readers may go on to the next segment.
    pub(crate) fn into_rolled(self) -> Arc<Segment> {
        self.writer.region().close();
        self.segment
    }

    /// Writes and publishes plain frames one after the other, for as long as nothing else has to be done for them. The first has
    /// the number `sequence`. Returns how many it wrote.
    #[inline(always)]
    pub(crate) fn append_plain<'a>(
        &mut self,
        frames: impl Iterator<Item = Plain<'a>>,
        sequence: u64,
        time: Timestamp,
    ) -> u64 {
        let signature = self.segment.signature();
        let mut next = sequence;
        for frame in frames {
            // One by itself would have nothing of it.
            if next > sequence {
                self.writer.fetch_ahead(frame.len());
            }
            let room = self.plain_end.saturating_sub(self.writer.end());
            if frame.len() > room {
                break;
            }
            let (key, data, known) = (frame.key(), frame.data(), frame.body_crc());
            let Some((slot, body_crc)) = self.writer.reserve_written(Plain::HEADER_LEN, key, data, known)
            else {
                break;
            };
            if !slot.publish(&frame.header(body_crc, signature, next, time)) {
                break;
            }
            next += 1;
        }
        let count = next - sequence;
        if count > 0 {
            self.segment.note_appends(count, self.writer.end(), next, time);
        }
        count
    }

    /// How far plain frames may go, of which the first has the number `next`: there is room, there are numbers, none gets a mark,
    /// and pages are there or nobody provides any.
    fn plain_end(&self, next: u64) -> usize {
        let region = self.writer.region();
        let provided = if self.is_rarely_synced() { region.populated() } else { usize::MAX };
        // Each takes one number, and more than a byte.
        let has_numbers = self.limit.saturating_sub(next) >= STRIDE as u64;
        if has_numbers { self.next_mark.min(provided).min(region.capacity()) } else { 0 }
    }

    /// Whether a frame fits whose number is below `next`.
    #[inline]
    pub(crate) fn has_room(&self, draft: &Draft<'_>, next: u64) -> bool {
        let len = draft.len(self.writer.end()).next_multiple_of(FRAME_ALIGNMENT);
        len <= self.writer.remaining() && next <= self.limit
    }

    /// Makes durable that the segment is being written again, should its slot say otherwise.
    #[inline]
    pub(crate) fn mark_open(&mut self, place: &Place<'_>) -> Result<(), AppendError> {
        if !self.marked_clean {
            return Ok(());
        }
        match self.segment.change_slot(place.context, |slot| slot.state = SlotState::Open) {
            Ok(()) => {
                self.marked_clean = false;
                Ok(())
            }
            Err(SyncFault::NotOpened(source)) => {
                Err(IoError::new("open", self.segment.path(), source).into())
            }
            Err(SyncFault::Failed(source)) => {
                let path = self.segment.path().to_owned();
                let error = SyncError { path, is_final: true, source: Arc::new(source) };
                Err(AppendError::Poisoned(place.poison.get_or_init(|| error).clone()))
            }
        }
    }

    /// Writes a frame for which there is room, and publishes it.
    #[inline]
    pub(crate) fn append(
        &mut self,
        place: &Place<'_>,
        draft: &Draft<'_>,
        sequence: u64,
        next: u64,
        time: Timestamp,
    ) -> Result<(), AppendError> {
        let offset = self.writer.end();
        let signature = self.segment.signature();
        let len = draft.len(offset);
        let is_there = offset + len <= self.writer.region().populated();
        let file = if is_there { None } else { self.beyond_populated(place, draft) };
        let written = match self.writer.reserve(len, draft.header_len()) {
            Some(slot) => draft
                .write(slot, signature, sequence, time, file.as_deref())
                .map_err(IoError::context("write", self.segment.path()))?,
            None => false,
        };
        if !written {
            let source = io::Error::other("a frame did not fit the room made for it");
            return Err(IoError::new("append to", self.segment.path(), source).into());
        }
        #[cfg(feature = "arrow")]
        if draft.is_columnar() {
            // They come from valid arrays, see `Draft::of_rows`.
            self.writer.region().validated().add(offset);
        }
        self.segment.note_appends(1, self.writer.end(), next, time);
        if offset >= self.next_mark {
            self.segment.index().push(Mark { sequence, time, offset });
            self.next_mark = offset + STRIDE;
        }
        self.plain_end = self.plain_end(next);
        Ok(())
    }

    /// Nobody has faulted in the pages for this frame. Returns the file if writing it there is faster than storing it page by
    /// page; for small ones has the kernel provide the next pages all at once.
    #[cold]
    fn beyond_populated(&self, place: &Place<'_>, draft: &Draft<'_>) -> Option<Arc<dyn StorageFile>> {
        let is_large = draft.is_large();
        if !is_large && !self.is_rarely_synced() {
            return None;
        }
        // Without it, as when there are too many open, frames are stored and pages faulted in one by one all the same.
        let file = self.segment.file(place.context).ok()?;
        if is_large {
            return Some(file);
        }
        let (start, region) = (self.writer.end(), self.writer.region());
        let zeros = ZEROS.get(..region.capacity() - start).unwrap_or(&ZEROS);
        // In place of zeros, since nothing was published behind `start`.
        if file.write_all_at(zeros, start as u64).is_ok() {
            region.note_populated(start + zeros.len());
        }
        None
    }

    /// Somebody is going to wait until what was appended is synced. A sync of blocks that were reserved and never written has to enter in
    /// the file system's journal that they are now, which takes about as long as all else that it does. So a writer that has
    /// come to such blocks writes the next ones too: that sync enters all of them, and those that follow have nothing to enter.
    #[inline]
    pub(crate) fn sync_follows(&mut self, place: &Place<'_>) {
        if self.writer.end() > self.written && !self.is_rarely_synced() {
            self.write_ahead(place);
        }
    }

    #[cold]
    fn write_ahead(&mut self, place: &Place<'_>) {
        let capacity = self.writer.region().capacity();
        let start = self.writer.end().next_multiple_of(PAGE);
        let end = capacity.min(start + (capacity / 16).min(OVERWRITE));
        self.written = end;
        // In place of zeros, since nothing was published from `start` on. Where that fails nobody has lost anything: the syncs are as slow as
        // they would have been.
        drop(self.segment.file(place.context).and_then(|file| write_zeros(&*file, start as u64..end as u64)));
    }

    /// Whether it pays to fault pages in ahead.
    pub(crate) fn is_rarely_synced(&self) -> bool {
        self.stride.is_long(self.writer.end())
    }

    /// How many bytes go by between two syncs, for the segment that comes after this one.
    pub(crate) fn stride_after(&self) -> Stride {
        let mut stride = self.stride;
        stride.note(self.segment.durable_end());
        stride.rolled(self.writer.end(), HEADER_LEN)
    }

    /// Whether to ask for what should be done ahead of the writer: not after each frame, which costs more than it tells.
    #[inline]
    pub(crate) fn is_time_to_look(&self) -> bool {
        self.writer.end() >= self.look_at
    }

    /// That has been asked.
    pub(crate) fn looked(&mut self) {
        self.look_at = self.writer.end() + (self.writer.region().capacity() / 16).min(LOOK);
        self.stride.note(self.segment.durable_end());
    }

    /// Whether it is time to prepare the next segment. Says so once.
    pub(crate) fn is_half_full(&mut self) -> bool {
        let due = !self.prepared_next && self.writer.end() > self.writer.region().capacity() / 2;
        self.prepared_next |= due;
        due
    }

    /// The pages to fault in now, if the writer has come near to the end of those that are.
    pub(crate) fn prefault_due(&mut self) -> Option<(Arc<Region>, Range<usize>)> {
        let end = self.writer.end();
        let far_enough = self.writer.region().capacity().min(end + PREFAULT / 2);
        if self.prefaulted >= far_enough || !self.is_rarely_synced() {
            return None;
        }
        let from = self.prefaulted.max(end);
        self.prefaulted = from + PREFAULT;
        Some((Arc::clone(self.writer.region()), from..from + PREFAULT))
    }
}
