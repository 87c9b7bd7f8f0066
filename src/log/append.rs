//! Appending to a shard: room, number, time, copy, publish.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{IoError, SyncError};
use crate::sys::clock::Timestamp;
use crate::sys::region::{FRAME_ALIGNMENT, Region, RegionWriter};
use crate::sys::storage::{Storage, remove_if_there};

use super::frame::Draft;
use super::header::{HEADER_LEN, Slot, SlotState};
use super::index::{Mark, STRIDE};
use super::list::SegmentList;
use super::options::Context;
use super::prepare::{self, Preparation, Prepared, Wanted};
use super::segment::{Extent, Segment};

/// How much is faulted in ahead of the writer, while nobody syncs more often than that.
const PREFAULT: usize = 1024 * 1024;

/// Why a frame was not appended. Nothing of it is visible.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("no room")]
    StorageFull { needed: u64, available: u64, path: PathBuf },
    #[error(transparent)]
    Poisoned(SyncError),
    #[error(transparent)]
    Io(#[from] IoError),
    /// The shard takes no more records.
    #[error("closed")]
    Closed,
    #[error("out of sequence numbers")]
    Exhausted,
}

/// Where a shard's appends go: what the appender uses besides its own state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) context: &'a Context,
    pub(crate) dir: &'a ShardDir,
    pub(crate) shard: u32,
    pub(crate) list: &'a SegmentList,
    pub(crate) preparation: &'a Preparation,
    pub(crate) poison: &'a OnceLock<SyncError>,
}

/// A shard's directory, made when its first segment is: a shard that nobody writes to takes no disk at all.
#[derive(Debug)]
pub(crate) struct ShardDir {
    path: PathBuf,
    exists: AtomicBool,
}

impl ShardDir {
    pub(crate) fn new(path: PathBuf, exists: bool) -> Self {
        Self { path, exists: AtomicBool::new(exists) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn ensure(&self, storage: &dyn Storage) -> Result<(), IoError> {
        if self.exists.load(Ordering::Acquire) {
            return Ok(());
        }
        match storage.create_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(IoError::new("create", &self.path, error));
            }
            _ => {}
        }
        if let Some(parent) = self.path.parent() {
            storage.sync_dir(parent).map_err(IoError::context("sync", parent))?;
        }
        self.exists.store(true, Ordering::Release);
        Ok(())
    }
}

/// What the one writer of a shard knows. Lives under the shard's append lock.
#[derive(Debug)]
pub(crate) struct Appender {
    active: Option<Active>,
    /// The next sequence counter to hand out.
    next: u64,
    last_time: Timestamp,
    /// The ordinal of the next segment to create.
    next_ordinal: u64,
    /// How large the next segment should be.
    next_capacity: u64,
    /// Rolled segments with frames that are not durable yet, oldest first.
    unsynced: Vec<Arc<Segment>>,
    /// The shard's oldest kept segment.
    trim: u64,
    /// No more appends: the shard or its store was closed.
    closed: bool,
    /// When the next scheduled sync is due, by the engine's clock.
    sync_due: Option<Timestamp>,
}

/// The segment being written.
#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    writer: RegionWriter,
    /// One above the last sequence counter that this segment may hand out.
    limit: u64,
    next_mark: usize,
    /// The next segment is being prepared, or has been.
    prepared_next: bool,
    /// Pages before this offset have been faulted in.
    prefaulted: usize,
    /// The slot says `Clean`: before anything is appended, another must be durable.
    marked_clean: bool,
}

/// Where a shard's log stands when it is opened.
#[derive(Debug)]
pub(crate) struct StartingPoint {
    pub(crate) next: u64,
    pub(crate) last_time: Timestamp,
    pub(crate) next_ordinal: u64,
    pub(crate) next_capacity: u64,
    pub(crate) trim: u64,
    /// The segment to go on in.
    pub(crate) resume: Option<(Arc<Segment>, RegionWriter)>,
}

/// What a sync has to do, in order.
#[derive(Debug)]
pub(crate) struct SyncPlan {
    /// Every segment with frames to sync, and whether it was rolled.
    pub(crate) segments: Vec<(Arc<Segment>, Extent, bool)>,
    /// The counter below which everything is durable afterwards.
    pub(crate) next: u64,
    pub(crate) trim: u64,
}

/// Work that an append found to be due soon.
#[derive(Debug)]
pub(crate) enum Ahead {
    Prepare(Wanted),
    Prefault(Arc<Region>, std::ops::Range<usize>),
}

impl Appender {
    pub(crate) fn new(start: StartingPoint) -> Self {
        let active = start.resume.map(|(segment, writer)| Active {
            limit: segment.base().saturating_add(segment.identity().span),
            next_mark: writer.end(),
            prepared_next: false,
            prefaulted: usize::MAX,
            marked_clean: true,
            segment,
            writer,
        });
        Self {
            active,
            next: start.next,
            last_time: start.last_time,
            next_ordinal: start.next_ordinal,
            next_capacity: start.next_capacity,
            unsynced: Vec::new(),
            trim: start.trim,
            closed: false,
            sync_due: None,
        }
    }

    /// The next sequence counter to be handed out.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The arrival time of the last record; later ones have this time or a later one.
    pub(crate) fn last_time(&self) -> Timestamp {
        self.last_time
    }

    /// Appends a frame and returns its sequence counter. `now` is clamped, so that times never decrease.
    pub(crate) fn append(
        &mut self,
        place: &Place<'_>,
        draft: &Draft<'_>,
        now: Timestamp,
    ) -> Result<u64, AppendError> {
        if let Some(error) = place.poison.get() {
            return Err(AppendError::Poisoned(error.clone()));
        }
        if self.closed {
            return Err(AppendError::Closed);
        }
        let sequence = self.next;
        let rows = draft.row_count();
        let next = sequence.checked_add(rows).ok_or(AppendError::Exhausted)?;
        let time = now.max(self.last_time);
        let active = match &mut self.active {
            Some(active) if active.has_room(draft, next) => active,
            _ => self.roll(place, draft)?,
        };
        if active.marked_clean {
            active.mark_open(place)?;
        }
        active.append(draft, sequence, next, time)?;
        self.next = next;
        self.last_time = time;
        Ok(sequence)
    }

    /// Replaces the active segment by one with room for `draft`.
    fn roll(&mut self, place: &Place<'_>, draft: &Draft<'_>) -> Result<&mut Active, AppendError> {
        let wanted = Wanted::new(
            place.shard,
            self.next_ordinal,
            self.next_capacity,
            draft.max_len(),
            draft.row_count(),
        );
        self.start_segment(place, wanted)?;
        self.active.as_mut().ok_or(AppendError::Closed)
    }

    /// Makes a new segment the active one.
    fn start_segment(&mut self, place: &Place<'_>, wanted: Wanted) -> Result<(), AppendError> {
        let prepared = self.next_segment(place, wanted)?;
        let fresh = self.activate(place, prepared)?;
        let capacity = fresh.segment.identity().capacity;
        // The new segment is in the list before the old one says that it is at its end.
        place.list.push(Arc::clone(&fresh.segment));
        if let Some(full) = self.active.replace(fresh) {
            full.writer.region().close();
            self.unsynced.push(full.segment);
        }
        self.next_ordinal += 1;
        self.next_capacity = place.context.segment_len_after(capacity);
        Ok(())
    }

    /// Ends the active segment if it has records and all of them arrived before `cutoff`, so that retention can have
    /// it; its successor is empty and small. Returns whether it did.
    pub(crate) fn roll_idle(&mut self, place: &Place<'_>, cutoff: Timestamp) -> Result<bool, AppendError> {
        let idle = self.active.as_ref().is_some_and(|active| {
            let extent = active.segment.extent();
            extent.frames > 0 && extent.last_time < cutoff
        });
        if !idle || self.closed || place.poison.get().is_some() {
            return Ok(false);
        }
        let wanted = Wanted::new(place.shard, self.next_ordinal, place.context.first_segment_len, 0, 1);
        self.start_segment(place, wanted)?;
        Ok(true)
    }

    /// Takes note that the shard's oldest kept segment is this one.
    pub(crate) fn set_trim(&mut self, ordinal: u64) {
        self.trim = self.trim.max(ordinal);
    }

    /// The prepared segment if it will do, else one made now.
    fn next_segment(&self, place: &Place<'_>, wanted: Wanted) -> Result<Prepared, AppendError> {
        let storage = &*place.context.storage;
        if let Some(prepared) = place.preparation.take() {
            if prepared.serves(&wanted) {
                return Ok(prepared);
            }
            // Never activated, so nothing is lost with it; its name is needed for one that is large enough.
            remove_if_there(storage, &prepared.path).map_err(IoError::context("remove", &prepared.path))?;
        }
        // Where there is no room for a large segment, a small one will do.
        let least = Wanted::new(
            place.shard,
            wanted.ordinal,
            place.context.first_segment_len.min(wanted.capacity),
            wanted.frame_len,
            wanted.rows,
        );
        let dir = place.dir.path();
        let available = available_space(storage, dir);
        if available < least.capacity {
            // Nothing is tried that would take the last room from others for a moment, at every put.
            return Err(AppendError::StorageFull { needed: least.capacity, available, path: dir.to_owned() });
        }
        // The directory of a shard's first segment may be what there is no room for.
        let make =
            |wanted| place.dir.ensure(storage).and_then(|()| prepare::create(place.context, dir, wanted));
        let made = match make(wanted) {
            Err(error) if error.is_storage_full() && least.capacity < wanted.capacity => make(least),
            made => made,
        };
        made.map_err(|error| {
            if error.is_storage_full() {
                let available = available_space(storage, dir);
                AppendError::StorageFull { needed: least.capacity, available, path: dir.to_owned() }
            } else {
                AppendError::Io(error)
            }
        })
    }

    /// Gives a prepared segment its place in the sequence. The slot that says so becomes durable with the first
    /// sync; should a power cut come before, nothing in it had been acknowledged as durable.
    fn activate(&self, place: &Place<'_>, prepared: Prepared) -> Result<Active, AppendError> {
        let Prepared { path, identity, file, map } = prepared;
        let extent = Extent::empty(self.next, self.last_time);
        let slot = Slot {
            generation: 0,
            state: SlotState::Open,
            base: self.next,
            end: HEADER_LEN as u64,
            next: self.next,
            frames: 0,
            first_time: self.last_time,
            last_time: self.last_time,
            successor_base: self.next,
            trim: self.trim,
        };
        let misfit = || IoError::new("map", &path, std::io::Error::other("the bounds do not fit"));
        let (region, writer) = Region::new(map, HEADER_LEN, HEADER_LEN).ok_or_else(misfit)?;
        let segment = Segment::live(path.clone(), identity, slot, 1, extent, file, region);
        segment.write_first_slot(place.context).map_err(IoError::context("write", &path))?;
        Ok(Active {
            limit: self.next.saturating_add(identity.span),
            next_mark: HEADER_LEN,
            prepared_next: false,
            prefaulted: HEADER_LEN + PREFAULT,
            marked_clean: false,
            segment: Arc::new(segment),
            writer,
        })
    }

    /// Work that should be done ahead of the writer, if any is due.
    pub(crate) fn look_ahead(&mut self, place: &Place<'_>) -> Option<Ahead> {
        let (next_ordinal, next_capacity) = (self.next_ordinal, self.next_capacity);
        let active = self.active.as_mut()?;
        let end = active.writer.end();
        let capacity = active.writer.region().capacity();
        if !active.prepared_next && end > capacity / 2 {
            active.prepared_next = true;
            let mut wanted = Wanted::new(place.shard, next_ordinal, next_capacity, 0, 1);
            wanted.prefault = if active.is_rarely_synced() { PREFAULT } else { 0 };
            return Some(Ahead::Prepare(wanted));
        }
        if active.prefaulted < capacity && end + PREFAULT / 2 > active.prefaulted {
            let from = active.prefaulted.max(end);
            active.prefaulted = from + PREFAULT;
            if active.is_rarely_synced() {
                return Some(Ahead::Prefault(Arc::clone(active.writer.region()), from..from + PREFAULT));
            }
        }
        None
    }

    /// What a sync has to do now; `None` when everything before `self.next()` is durable already.
    pub(crate) fn plan_sync(&mut self) -> Option<SyncPlan> {
        let mut segments: Vec<_> =
            self.unsynced.iter().map(|segment| (Arc::clone(segment), segment.extent(), true)).collect();
        if let Some(active) = &self.active {
            let extent = active.segment.extent();
            if extent.end > active.segment.durable_end() {
                segments.push((Arc::clone(&active.segment), extent, false));
            }
        }
        (!segments.is_empty()).then_some(SyncPlan { segments, next: self.next, trim: self.trim })
    }

    /// Forgets a rolled segment that is durable now.
    pub(crate) fn forget_synced(&mut self, segment: &Arc<Segment>) {
        self.unsynced.retain(|kept| !Arc::ptr_eq(kept, segment));
    }

    /// Takes note that a sync is due within `delay` of `now`. Returns whether one must be scheduled for it.
    pub(crate) fn sync_by(&mut self, due: Timestamp) -> bool {
        let sooner = self.sync_due.is_none_or(|scheduled| due < scheduled);
        if sooner {
            self.sync_due = Some(due);
        }
        sooner
    }

    /// The scheduled sync is about to be made.
    pub(crate) fn sync_begins(&mut self) {
        self.sync_due = None;
    }

    /// Takes no more appends. Returns the active segment.
    pub(crate) fn close(&mut self) -> Option<Arc<Segment>> {
        self.closed = true;
        self.active.as_ref().map(|active| Arc::clone(&active.segment))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Active {
    fn has_room(&self, draft: &Draft<'_>, next: u64) -> bool {
        let len = draft.len(self.writer.end()).next_multiple_of(FRAME_ALIGNMENT);
        len <= self.writer.remaining() && next <= self.limit
    }

    /// Makes durable that the segment is being written again.
    fn mark_open(&mut self, place: &Place<'_>) -> Result<(), AppendError> {
        match self.segment.change_slot(place.context, |slot| slot.state = SlotState::Open) {
            Ok(()) => {
                self.marked_clean = false;
                Ok(())
            }
            Err(source) => {
                let error = SyncError { path: self.segment.path().to_owned(), source: Arc::new(source) };
                Err(AppendError::Poisoned(place.poison.get_or_init(|| error).clone()))
            }
        }
    }

    fn append(
        &mut self,
        draft: &Draft<'_>,
        sequence: u64,
        next: u64,
        time: Timestamp,
    ) -> Result<(), AppendError> {
        let offset = self.writer.end();
        let signature = self.segment.signature();
        let written = self
            .writer
            .reserve(draft.len(offset))
            .is_some_and(|slot| draft.write(slot, offset, signature, sequence, time));
        if !written {
            let source = io::Error::other("a frame did not fit the room made for it");
            return Err(IoError::new("append to", self.segment.path(), source).into());
        }
        self.segment.note_append(self.writer.end(), next, time);
        if offset >= self.next_mark {
            self.segment.index().push(Mark { sequence, time, offset });
            self.next_mark = offset + STRIDE;
        }
        Ok(())
    }

    /// Faulting pages in ahead makes them dirty, so each sync writes them: that pays only between rare syncs.
    fn is_rarely_synced(&self) -> bool {
        self.writer.end() - self.segment.durable_end().min(self.writer.end()) >= PREFAULT
    }
}

/// Bytes that can still be allocated where `dir` is or will be.
fn available_space(storage: &dyn Storage, dir: &Path) -> u64 {
    let there = dir.ancestors().find_map(|dir| storage.available_space(dir).ok());
    there.unwrap_or(0)
}
