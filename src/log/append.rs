//! Appending to a shard: room, number, time, copy, publish.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::error::{IoError, SyncError};
use crate::events;
use crate::sys::clock::Timestamp;
use crate::sys::region::{Region, RegionWriter};
use crate::sys::storage::remove_if_there;

use super::active::{Active, PREFAULT};
use super::frame::{Draft, Plain};
use super::header::HEADER_LEN;
use super::list::SegmentList;
use super::options::Context;
use super::prepare::{self, Preparation, Prepared, Wanted};
use super::segment::{Extent, LONG_RUN, Segment};
use super::shard_dir::ShardDir;
use super::stats::Work;
use super::stride::Stride;
use super::watchers::Watchers;

/// So many rolled segments wait to be synced, until that is done for nothing but to close them: they stay mapped until then, and
/// whoever opens the shard after a crash reads all of them. There may be many shards.
const MAX_ROLLED: usize = 4;
/// From this length on they may be more, but not of more bytes: the writing takes speed from puts, and a burst may be over before.
const LARGE: u64 = 64 * 1024 * 1024;
const MAX_ROLLED_LEN: u64 = 1024 * 1024 * 1024;

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

/// Whether a shard takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Not now: it is being split or merged, which can still fail.
    Held,
    /// Never again: it has been split or merged. Its records stay until retention takes them.
    Ended,
    /// Never again: the store was closed or the stream deleted.
    Closed {
        ended: bool,
    },
}

impl Gate {
    /// Whether the shard has been split or merged.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Ended | Self::Closed { ended: true })
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
    /// A sync of those is scheduled.
    rolled_sync_scheduled: bool,
    /// The shard's oldest kept segment.
    trim: u64,
    gate: Gate,
    /// When the next scheduled sync is due, by the engine's clock.
    sync_due: Option<Timestamp>,
    /// Told of the next append, or that there will be none.
    pub(crate) watchers: Watchers,
    /// What was done up to the active segment.
    work: Work,
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
    /// The shard has been split or merged.
    pub(crate) ended: bool,
}

/// What is to be synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    All,
    /// Segments that have been rolled.
    Rolled,
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
    SyncRolled,
    Prefault(Arc<Region>, std::ops::Range<usize>),
}

impl SyncPlan {
    /// Whether so much is to be synced that the writer should be spared what that does to it.
    pub(crate) fn is_long_run(&self) -> bool {
        let len = |(segment, extent, _): &(Arc<Segment>, Extent, bool)| {
            extent.end.saturating_sub(segment.durable_end())
        };
        self.segments.iter().map(len).sum::<usize>() >= LONG_RUN
    }
}

impl Appender {
    pub(crate) fn new(start: StartingPoint) -> Self {
        Self {
            active: start.resume.map(|(segment, writer)| Active::resumed(segment, writer)),
            next: start.next,
            last_time: start.last_time,
            next_ordinal: start.next_ordinal,
            next_capacity: start.next_capacity,
            unsynced: Vec::new(),
            rolled_sync_scheduled: false,
            trim: start.trim,
            gate: if start.ended { Gate::Ended } else { Gate::Open },
            sync_due: None,
            watchers: Watchers::default(),
            work: Work::default(),
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

    /// The arrival time of a record that is appended now, by the clock: times never decrease.
    #[inline]
    fn time_at(&self, now: Timestamp) -> Timestamp {
        now.max(self.last_time)
    }

    /// What has been done.
    pub(crate) fn work(&self) -> Work {
        let mut work = self.work;
        if let Some(active) = &self.active {
            work.add_appends(active.from(), &active.segment().extent());
        }
        work
    }

    /// Appends plain frames for as long as nothing else has to be done for them, and returns their sequence counters: what
    /// [`append`](Self::append) does for nearly every frame, in a quarter of the steps.
    #[inline(always)]
    pub(crate) fn append_plain<'a>(
        &mut self,
        poison: &OnceLock<SyncError>,
        frames: impl Iterator<Item = Plain<'a>>,
        now: Timestamp,
    ) -> Range<u64> {
        let first = self.next;
        let time = self.time_at(now);
        if let (Gate::Open, None, Some(active)) = (self.gate, poison.get(), &mut self.active) {
            let count = active.append_plain(frames, first, time);
            if count > 0 {
                self.next = first + count;
                self.last_time = time;
            }
        }
        first..self.next
    }

    /// Appends a frame and returns its sequence counter. `now` is clamped, so that times never decrease.
    pub(crate) fn append(
        &mut self,
        place: &Place<'_>,
        draft: &Draft<'_>,
        now: Timestamp,
    ) -> Result<u64, AppendError> {
        // First: the files of a stream that is being deleted cannot be synced any more, which is no fault of the disk's.
        if self.gate != Gate::Open {
            return Err(AppendError::Closed);
        }
        if let Some(error) = place.poison.get() {
            return Err(AppendError::Poisoned(error.clone()));
        }
        let sequence = self.next;
        let rows = draft.row_count();
        let next = sequence.checked_add(rows).ok_or(AppendError::Exhausted)?;
        let time = self.time_at(now);
        let active = match &mut self.active {
            Some(active) if active.has_room(draft, next) => active,
            _ => self.roll(place, draft)?,
        };
        active.mark_open(place)?;
        active.append(place, draft, sequence, next, time)?;
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
        let ready = place.preparation.is_ready(&wanted) || self.active.is_none();
        let started = Instant::now();
        let prepared = self.next_segment(place, wanted)?;
        let stride = self.active.as_ref().map_or(Stride::starting(HEADER_LEN), Active::stride_after);
        let fresh = Active::started(place, prepared, self.next, self.last_time, self.trim, stride)?;
        let capacity = fresh.segment().identity().capacity;
        // The new segment is in the list before the old one says that it is at its end.
        place.list.push(Arc::clone(fresh.segment()));
        let work = self.work();
        if let Some(full) = self.active.replace(fresh) {
            self.unsynced.push(full.into_rolled());
        }
        self.work = work;
        let waited = started.elapsed();
        if !ready {
            self.work.stalls += 1;
            self.work.stalled += waited;
        }
        events::rolled(place.dir.path(), self.next_ordinal, capacity, ready, waited);
        self.next_ordinal += 1;
        self.next_capacity = place.context.segment_len_after(capacity);
        Ok(())
    }

    /// Ends the active segment if it has records and all of them arrived before `cutoff`, so that retention can have
    /// it; its successor is empty and small. Returns whether it did.
    pub(crate) fn roll_idle(&mut self, place: &Place<'_>, cutoff: Timestamp) -> Result<bool, AppendError> {
        let idle = self.active.as_ref().is_some_and(|active| {
            let extent = active.segment().extent();
            extent.frames > 0 && extent.last_time < cutoff
        });
        if !idle || self.gate != Gate::Open || place.poison.get().is_some() {
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
            remove_if_there(storage, prepared.path()).map_err(IoError::context("remove", prepared.path()))?;
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
        let available = place.dir.available_space(storage);
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
                let available = place.dir.available_space(storage);
                AppendError::StorageFull { needed: least.capacity, available, path: dir.to_owned() }
            } else {
                AppendError::Io(error)
            }
        })
    }

    /// Somebody is going to wait until what was appended is synced, if anything was: of a log that takes no appends somebody else may
    /// have gone on in the active segment's file.
    #[inline]
    pub(crate) fn sync_follows(&mut self, place: &Place<'_>) {
        if let (Gate::Open, None, Some(active)) = (self.gate, place.poison.get(), &mut self.active) {
            active.sync_follows(place);
        }
    }

    /// Whether there is anything to do behind an append: watchers to be woken, or something to be done ahead of the writer.
    #[inline]
    pub(crate) fn has_more_to_do(&self) -> bool {
        !self.watchers.is_empty() || self.active.as_ref().is_some_and(Active::is_time_to_look)
    }

    /// Work that should be done ahead of the writer, if any is due. That a segment is going to be prepared is noted at once: as
    /// soon as the lock is released somebody may need it, make it instead, and write to it.
    pub(crate) fn look_ahead(&mut self, place: &Place<'_>) -> Option<Ahead> {
        let (next_ordinal, next_capacity) = (self.next_ordinal, self.next_capacity);
        let active = self.active.as_mut().filter(|active| active.is_time_to_look())?;
        active.looked();
        if active.is_half_full() {
            let mut wanted = Wanted::new(place.shard, next_ordinal, next_capacity, 0, 1);
            wanted.prefault = if active.is_rarely_synced() { PREFAULT } else { 0 };
            return place.preparation.schedule(next_ordinal).then_some(Ahead::Prepare(wanted));
        }
        if !self.rolled_sync_scheduled && has_to_be_synced(&self.unsynced) {
            self.rolled_sync_scheduled = true;
            return Some(Ahead::SyncRolled);
        }
        active.prefault_due().map(|(region, range)| Ahead::Prefault(region, range))
    }

    /// The scheduled sync of rolled segments has made durable what is below `target`. Until then no other one is scheduled: it would
    /// wait for this one, and hold up what else there is to be done in the background. Returns whether another one must be
    /// scheduled now, because as many have been rolled meanwhile.
    pub(crate) fn rolled_sync_ends(&mut self, target: u64) -> bool {
        self.rolled_sync_scheduled = self.end_of(Scope::Rolled) > target && has_to_be_synced(&self.unsynced);
        self.rolled_sync_scheduled
    }

    /// The counter below which everything is durable once all in this scope is.
    pub(crate) fn end_of(&self, scope: Scope) -> u64 {
        match (scope, &self.active) {
            (Scope::Rolled, Some(active)) => active.segment().base(),
            (Scope::Rolled, None) | (Scope::All, _) => self.next,
        }
    }

    /// What a sync has to do now.
    pub(crate) fn plan_sync(&self, scope: Scope) -> SyncPlan {
        let mut segments: Vec<_> =
            self.unsynced.iter().map(|segment| (Arc::clone(segment), segment.extent(), true)).collect();
        if let Some(active) = self.active.as_ref().filter(|_| scope == Scope::All) {
            let extent = active.segment().extent();
            if extent.end > active.segment().durable_end() {
                segments.push((Arc::clone(active.segment()), extent, false));
            }
        }
        SyncPlan { segments, next: self.end_of(scope), trim: self.trim }
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

    /// When the next scheduled sync is due, by the engine's clock; `None` when there is none, or it has begun.
    pub(crate) fn sync_due(&self) -> Option<Timestamp> {
        self.sync_due
    }

    /// The scheduled sync is about to be made. Returns when it was due.
    pub(crate) fn sync_begins(&mut self) -> Option<Timestamp> {
        self.sync_due.take()
    }

    /// Takes note that a sync that was due at `due` could not be made and is to be tried `again`. Returns whether it must be
    /// scheduled, because none is before that.
    pub(crate) fn sync_missed(&mut self, due: Timestamp, again: Timestamp) -> bool {
        let scheduled = self.sync_due;
        self.sync_due = Some(scheduled.map_or(due, |scheduled| scheduled.min(due)));
        scheduled.is_none_or(|scheduled| scheduled > again)
    }

    /// Takes note of how far the process has come that does the appending.
    pub(crate) fn note_followed(&mut self, next: u64, last_time: Timestamp) {
        self.next = next;
        self.last_time = last_time;
    }

    /// The active segment of a shard that takes no appends ever again.
    pub(crate) fn give_up_active(&mut self) -> Option<Arc<Segment>> {
        if !self.gate.has_ended() {
            return None;
        }
        // What it has done stays counted.
        self.work = self.work();
        self.active.take().map(Active::into_rolled)
    }

    /// Lets go of all segments of a shard that takes no appends ever again.
    pub(crate) fn forget_all(&mut self) {
        drop(self.give_up_active());
        self.unsynced.clear();
    }

    /// Takes no more appends. Returns the active segment.
    pub(crate) fn close(&mut self) -> Option<Arc<Segment>> {
        self.gate = Gate::Closed { ended: self.gate.has_ended() };
        self.active.as_ref().map(|active| Arc::clone(active.segment()))
    }

    pub(crate) fn gate(&self) -> Gate {
        self.gate
    }

    /// Goes from one state to the next. Does nothing in any other state than `from`; returns whether it was in that.
    pub(crate) fn change_gate(&mut self, from: Gate, to: Gate) -> bool {
        let applies = self.gate == from;
        if applies {
            self.gate = to;
        }
        applies
    }
}

/// Whether so many segments wait to be synced that this should be done.
fn has_to_be_synced(rolled: &[Arc<Segment>]) -> bool {
    let capacities = || rolled.iter().map(|segment| segment.identity().capacity);
    let is_large = capacities().next_back().is_some_and(|newest| newest >= LARGE);
    (rolled.len() >= MAX_ROLLED && !is_large) || capacities().sum::<u64>() >= MAX_ROLLED_LEN
}
