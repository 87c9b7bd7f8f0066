//! A segment: one file of frames, its place in the shard, and how much of it is durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::IoError;
use crate::sys::clock::Timestamp;
use crate::sys::region::Region;
use crate::sys::storage::{Access, StorageFile, is_shortage};

use super::files::{self, SegmentFile};
use super::frame::{Check, Frame};
use super::header::{HEADER_LEN, Identity, Signature, Slot, SlotState};
use super::index::{self, Mark, STRIDE, SparseIndex};
use super::options::Context;
use super::slots::Slots;

/// Frames of so many bytes that are synced at once are a long run.
pub(crate) const LONG_RUN: usize = 4 * 1024 * 1024;

/// How far a segment goes: after which offset, number and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Offset after the last frame.
    pub(crate) end: usize,
    /// The sequence counter after the last frame.
    pub(crate) next: u64,
    pub(crate) frames: u64,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
}

impl Extent {
    /// Of a segment without frames that continues after a record of `time`.
    pub(crate) fn empty(base: u64, time: Timestamp) -> Self {
        Self { end: HEADER_LEN, next: base, frames: 0, first_time: time, last_time: time }
    }

    /// Of what is durable by this slot.
    pub(crate) fn of(slot: &Slot) -> Self {
        Self {
            end: usize::try_from(slot.end).unwrap_or(usize::MAX),
            next: slot.next,
            frames: slot.frames,
            first_time: slot.first_time,
            last_time: slot.last_time,
        }
    }
}

/// Why a segment could not be synced.
#[derive(Debug)]
pub(crate) enum SyncFault {
    /// Its file, which had been closed for others' sake, could not be opened. Nothing has been asked of the disk: what it may
    /// have met meanwhile, the next sync is told. May be tried again.
    NotOpened(io::Error),
    /// The disk has failed: final.
    Failed(io::Error),
}

impl From<io::Error> for SyncFault {
    fn from(source: io::Error) -> Self {
        Self::Failed(source)
    }
}

impl From<SyncFault> for io::Error {
    fn from(fault: SyncFault) -> Self {
        match fault {
            SyncFault::NotOpened(source) | SyncFault::Failed(source) => source,
        }
    }
}

/// One file of frames. Shared between the shard's writer, its readers and whoever syncs it.
#[derive(Debug)]
pub(crate) struct Segment {
    file: Arc<SegmentFile>,
    identity: Identity,
    signature: Signature,
    /// The sequence counter of the first record.
    base: u64,
    progress: Progress,
    /// Frames before this offset are on disk.
    durable_end: AtomicUsize,
    slots: Slots,
    mapped: Mutex<Mapped>,
    index: SparseIndex,
}

/// What the writer has appended; read by others for positions and statistics, never for access to frames.
#[derive(Debug)]
struct Progress {
    end: AtomicUsize,
    next: AtomicU64,
    frames: AtomicU64,
    first_time: AtomicU64,
    last_time: AtomicU64,
}

#[derive(Debug)]
enum Mapped {
    /// Being written, or just rolled: always mapped.
    Live(Arc<Region>),
    /// Mapped for as long as somebody reads it or the cache keeps it.
    OnDemand(Weak<Region>),
}

impl Segment {
    /// A segment that is written, or was just rolled.
    pub(crate) fn live(
        identity: Identity,
        slots: Slots,
        extent: Extent,
        file: Arc<SegmentFile>,
        region: Arc<Region>,
    ) -> Self {
        Self::new(file, identity, slots, extent, Mapped::Live(region))
    }

    /// A segment that will not be written any more.
    pub(crate) fn sealed(path: PathBuf, identity: Identity, slots: Slots, extent: Extent) -> Self {
        let file = SegmentFile::closed(path, &identity);
        Self::new(file, identity, slots, extent, Mapped::OnDemand(Weak::new()))
    }

    /// A segment that another process may still write, known so far up to the watermark in `slot`.
    pub(crate) fn followed(path: PathBuf, identity: Identity, slot: Slot, region: Arc<Region>) -> Self {
        let file = SegmentFile::closed(path, &identity);
        // Who follows writes none.
        let slots = Slots::found(identity.signature(), slot, 0, false);
        Self::new(file, identity, slots, Extent::of(&slot), Mapped::Live(region))
    }

    fn new(file: Arc<SegmentFile>, identity: Identity, slots: Slots, extent: Extent, mapped: Mapped) -> Self {
        Self {
            file,
            identity,
            signature: identity.signature(),
            base: slots.slot().base,
            progress: Progress {
                end: AtomicUsize::new(extent.end),
                next: AtomicU64::new(extent.next),
                frames: AtomicU64::new(extent.frames),
                first_time: AtomicU64::new(extent.first_time.as_nanos()),
                last_time: AtomicU64::new(extent.last_time.as_nanos()),
            },
            durable_end: AtomicUsize::new(extent.end),
            slots,
            mapped: Mutex::new(mapped),
            index: SparseIndex::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn ordinal(&self) -> u64 {
        self.identity.ordinal
    }

    pub(crate) fn signature(&self) -> Signature {
        self.signature
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// How far the segment goes. While it is being written, the fields may be of slightly different moments, and behind what readers
    /// see of a batch until its writer lets go of the append lock.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            end: self.progress.end.load(Ordering::Acquire),
            next: self.progress.next.load(Ordering::Relaxed),
            frames: self.progress.frames.load(Ordering::Relaxed),
            first_time: Timestamp::from_nanos(self.progress.first_time.load(Ordering::Relaxed)),
            last_time: Timestamp::from_nanos(self.progress.last_time.load(Ordering::Relaxed)),
        }
    }

    /// Notes so many frames just appended. Called by the shard's writer.
    #[inline]
    pub(crate) fn note_appends(&self, count: u64, end: usize, next: u64, time: Timestamp) {
        let frames = self.progress.frames.load(Ordering::Relaxed);
        if frames == 0 {
            self.progress.first_time.store(time.as_nanos(), Ordering::Relaxed);
        }
        self.progress.frames.store(frames + count, Ordering::Relaxed);
        self.progress.last_time.store(time.as_nanos(), Ordering::Relaxed);
        self.progress.next.store(next, Ordering::Relaxed);
        self.progress.end.store(end, Ordering::Release);
    }

    /// Notes how far another process has come.
    pub(crate) fn note_extent(&self, extent: &Extent) {
        self.progress.first_time.store(extent.first_time.as_nanos(), Ordering::Relaxed);
        self.progress.frames.store(extent.frames, Ordering::Relaxed);
        self.progress.last_time.store(extent.last_time.as_nanos(), Ordering::Relaxed);
        self.progress.next.store(extent.next, Ordering::Relaxed);
        self.progress.end.store(extent.end, Ordering::Release);
    }

    /// Notes how far another process has made it durable.
    pub(crate) fn note_durable(&self, end: usize) {
        self.durable_end.fetch_max(end, Ordering::AcqRel);
    }

    /// Frames before this offset are on disk.
    pub(crate) fn durable_end(&self) -> usize {
        self.durable_end.load(Ordering::Acquire)
    }

    /// Makes everything up to `extent` durable and moves the watermark there. The slot that says so becomes
    /// durable with the segment's next sync. `is_long` says that this is part of a long run.
    pub(crate) fn sync(
        &self,
        context: &Context,
        extent: Extent,
        state: SlotState,
        successor_base: u64,
        trim: u64,
        is_long: bool,
    ) -> Result<(), SyncFault> {
        let file = self.open_to_sync(context)?;
        let write_back = || if is_long { self.write_back_long_run(extent.end, state) } else { Ok(()) };
        self.slots.sync_then_change(&*file, write_back, |slot| {
            *slot = Slot {
                generation: slot.generation,
                state,
                base: self.base,
                end: extent.end as u64,
                next: extent.next,
                frames: extent.frames,
                first_time: extent.first_time,
                last_time: extent.last_time,
                successor_base,
                trim: trim.max(slot.trim),
            }
        })?;
        self.durable_end.fetch_max(extent.end, Ordering::AcqRel);
        Ok(())
    }

    fn open_to_sync(&self, context: &Context) -> Result<Arc<dyn StorageFile>, SyncFault> {
        self.file.get(context).map_err(|source| match is_shortage(&source) {
            true => SyncFault::NotOpened(source),
            // Nobody knows when it could be opened again, if ever.
            false => SyncFault::Failed(source),
        })
    }

    /// What a sync of a long run of frames does not do to the writer, if it is done before.
    ///
    /// It takes each page that it writes out of the mapping, or makes it read-only there, for which it interrupts the writer's
    /// processor. So the run is let go of, all at once. And it takes the pages that were faulted in ahead of the writer away from
    /// it, from when it begins until it has ended and they are faulted in again. So that it ends soon, the run is written before
    /// it begins. A failure of this is one of the sync: the kernel may not report it again.
    fn write_back_long_run(&self, end: usize, state: SlotState) -> io::Result<()> {
        let start = self.durable_end();
        let region = match &*self.mapped.lock() {
            Mapped::Live(region) => Arc::clone(region),
            Mapped::OnDemand(_) => return Ok(()),
        };
        region.mapping().let_go(start..end);
        // Nothing is ahead of the writer in any other segment than its own.
        if state == SlotState::Open { region.mapping().write_back(start..end) } else { Ok(()) }
    }

    /// Makes the slot durable too. With `SlotState::Sealed` in it, nothing is left to sync, and the file is closed (the
    /// mapping stays).
    pub(crate) fn sync_slot(&self, context: &Context) -> Result<(), SyncFault> {
        let synced = self.slots.sync(&*self.open_to_sync(context)?)?;
        self.close_if_sealed(&synced);
        Ok(())
    }

    /// Writes the first slot of a segment just created. A sync makes it durable together with the first frames.
    pub(crate) fn write_first_slot(&self, context: &Context) -> io::Result<()> {
        self.slots.write_first(&*self.file.get(context)?)
    }

    /// Whether a slot was written that no sync has followed.
    pub(crate) fn slot_needs_sync(&self) -> bool {
        self.slots.needs_sync()
    }

    /// The slot as last written.
    pub(crate) fn slot(&self) -> Slot {
        self.slots.slot()
    }

    /// Writes a slot and syncs it: for changes of state that must be durable before anything else happens.
    pub(crate) fn change_slot(
        &self,
        context: &Context,
        change: impl FnOnce(&mut Slot),
    ) -> Result<(), SyncFault> {
        let synced = self.slots.change_then_sync(&*self.open_to_sync(context)?, change)?;
        self.close_if_sealed(&synced);
        Ok(())
    }

    /// Makes durable that nothing more comes, and closes the file.
    pub(crate) fn seal(&self, context: &Context) -> Result<(), SyncFault> {
        if self.slot().state == SlotState::Sealed {
            self.sync_slot(context)
        } else {
            self.change_slot(context, |slot| slot.state = SlotState::Sealed)
        }
    }

    fn close_if_sealed(&self, synced: &Slot) {
        if synced.state == SlotState::Sealed {
            self.file.close();
        }
    }

    /// The segment's file.
    pub(crate) fn file(&self, context: &Context) -> io::Result<Arc<dyn StorageFile>> {
        self.file.get(context)
    }

    /// The segment's bytes, mapped now if they are not yet.
    pub(crate) fn region(&self, context: &Context) -> Result<Arc<Region>, IoError> {
        let mut mapped = self.mapped.lock();
        match &*mapped {
            Mapped::Live(region) => return Ok(Arc::clone(region)),
            Mapped::OnDemand(region) => {
                if let Some(region) = region.upgrade() {
                    return Ok(region);
                }
            }
        }
        let region = self.map_sealed(context)?;
        *mapped = Mapped::OnDemand(Arc::downgrade(&region));
        drop(mapped);
        context.maps.keep(Arc::clone(&region));
        Ok(region)
    }

    fn map_sealed(&self, context: &Context) -> Result<Arc<Region>, IoError> {
        let failed = |source| IoError::new("map", self.path(), source);
        let file = context.storage.open_file(self.path(), Access::Read).map_err(failed)?;
        if files::is_other(&*file, self.identity.id).map_err(failed)? {
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
        // Never map past the end of the file, whatever it was shortened by: that would be a SIGBUS. The
        // reader finds that frames are missing.
        let available = usize::try_from(file.len().map_err(failed)?).unwrap_or(usize::MAX);
        let end = self.extent().end.min(available - available % 8);
        if end <= HEADER_LEN {
            let gone = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its header");
            return if self.extent().end <= HEADER_LEN { self.map_empty(&*file) } else { Err(failed(gone)) };
        }
        let map = file.map(end, Access::Read).map_err(failed)?;
        Region::sealed(map, HEADER_LEN, end).ok_or_else(|| failed(io::Error::other("the bounds do not fit")))
    }

    fn map_empty(&self, file: &dyn StorageFile) -> Result<Arc<Region>, IoError> {
        let failed = |source| IoError::new("map", self.path(), source);
        let map = file.map(HEADER_LEN, Access::Read).map_err(failed)?;
        Region::sealed(map, HEADER_LEN, HEADER_LEN)
            .ok_or_else(|| failed(io::Error::other("the bounds do not fit")))
    }

    /// The segment's mapping, if it is mapped now.
    pub(crate) fn mapped(&self) -> Option<Arc<Region>> {
        match &*self.mapped.lock() {
            Mapped::Live(region) => Some(Arc::clone(region)),
            Mapped::OnDemand(region) => region.upgrade(),
        }
    }

    /// Nobody writes here any more, and everything is durable: nothing is kept open, and the segment is mapped only while it is
    /// read.
    pub(crate) fn put_away(&self, context: &Context) {
        self.file.close();
        self.unpin(context);
    }

    /// Nobody writes here any more: from now on the segment is mapped only while it is read.
    pub(crate) fn unpin(&self, context: &Context) {
        let mut mapped = self.mapped.lock();
        if let Mapped::Live(region) = &*mapped {
            let region = Arc::clone(region);
            *mapped = Mapped::OnDemand(Arc::downgrade(&region));
            drop(mapped);
            context.maps.keep(region);
        }
    }

    /// The index, for the writer to add to.
    pub(crate) fn index(&self) -> &SparseIndex {
        &self.index
    }

    /// A frame at or before the first one for which `is_before` fails, as near as the index knows.
    pub(crate) fn seek(
        &self,
        context: &Context,
        region: &Region,
        is_before: impl Fn(&Mark) -> bool,
    ) -> usize {
        self.complete_index(context, region);
        let Some(mark) = self.index.last_before(is_before) else {
            return HEADER_LEN;
        };
        let published = region.extent().end;
        let frame = region
            .bytes(mark.offset..published)
            .and_then(|bytes| Frame::decode(bytes, mark.offset, self.signature, Check::Header).ok());
        match frame {
            Some(frame) if frame.sequence() == mark.sequence && frame.time() == mark.time => mark.offset,
            // Wrong, however that came about: do without, and make it anew next time.
            _ => {
                self.index.clear();
                HEADER_LEN
            }
        }
    }

    /// Fills in the marks of what was appended before this process opened the segment.
    fn complete_index(&self, context: &Context, region: &Region) {
        let missing_until = self.index.covered_from().unwrap_or(region.extent().end);
        if missing_until <= HEADER_LEN + STRIDE {
            return;
        }
        let marks = index::load(&*context.storage, self.path(), &self.identity, missing_until)
            .unwrap_or_else(|| scan_marks(region, self.signature, missing_until));
        self.index.prepend(marks);
    }

    /// Keeps the index beside the segment. Failing costs a scan later, nothing else.
    pub(crate) fn save_index(&self, context: &Context) -> io::Result<()> {
        if self.extent().end <= HEADER_LEN + STRIDE {
            return Ok(());
        }
        if let Ok(region) = self.region(context) {
            self.complete_index(context, &region);
        }
        self.index.save(&*context.storage, self.path(), &self.identity)
    }
}

/// Walks the frames before `until` and marks one in every [`STRIDE`] bytes. Stops at the first that is damaged.
fn scan_marks(region: &Region, signature: Signature, until: usize) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut offset = HEADER_LEN;
    let mut next_mark = HEADER_LEN;
    let Some(bytes) = region.bytes(HEADER_LEN..until.min(region.extent().end)) else {
        return marks;
    };
    while let Some(rest) = bytes.get(offset - HEADER_LEN..).filter(|rest| !rest.is_empty()) {
        let Ok(frame) = Frame::decode(rest, offset, signature, Check::Header) else {
            break;
        };
        if offset >= next_mark {
            marks.push(Mark { sequence: frame.sequence(), time: frame.time(), offset });
            next_mark = offset + STRIDE;
        }
        offset += frame.padded_len();
    }
    marks
}
