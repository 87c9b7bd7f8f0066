//! Reading a shard's frames in order, in place.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;

use crate::error::{IoError, SyncError};
use crate::sys::clock::Timestamp;
use crate::sys::region::{FRAME_ALIGNMENT, Prefix, Region};
#[cfg(feature = "arrow")]
use crate::sys::validated::Validated;

use super::durability::ReadLevel;
use super::frame::{Check, Frame, FrameFault};
use super::header::{HEADER_LEN, Signature};
use super::list::Gap;
use super::segment::Segment;
use super::shard_log::ShardLog;
use super::watchers::Watch;

/// Why the next frame cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CursorError {
    #[error("corrupt")]
    Corrupt { path: PathBuf, offset: u64, fault: FrameFault },
    #[error("fenced")]
    Fenced(Arc<Gap>),
    /// Retention has removed what comes next; the oldest record that is kept has this counter or one above.
    #[error("trimmed")]
    Trimmed { oldest: u64 },
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Where to start.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Oldest,
    Newest,
    /// The frame that holds this counter, or the first after it.
    Sequence(u64),
    /// The first frame all of whose counters are above this one.
    After(u64),
    /// The first frame that arrived at this time or later.
    Time(Timestamp),
}

/// A place in a shard's log that moves forward.
#[derive(Debug)]
pub(crate) struct Cursor {
    log: Arc<ShardLog>,
    check: Check,
    level: ReadLevel,
    place: Option<Place>,
    /// A gap that the reader has been told of and has chosen to pass.
    passed: Option<Arc<Gap>>,
    /// The oldest counter that there was when the reader was told last that records before it have been removed; `None` once it
    /// reads on.
    told: Option<u64>,
}

/// A segment being read.
#[derive(Debug)]
struct Place {
    segment: Arc<Segment>,
    signature: Signature,
    owner: Owner,
    offset: usize,
    /// Where the last frame that was read lies; zero when none was.
    last: usize,
    /// The reader was told that the file ends too early, and has chosen to go on.
    cut_off_passed: bool,
}

/// What lies ahead of a cursor.
enum Look {
    Nothing,
    /// Frames of the present segment, before this offset.
    Frames {
        limit: usize,
    },
    Segment(Arc<Segment>),
    Gap(Arc<Gap>),
    /// The segments after the present one have been removed; no record with a counter below this one is kept.
    Trimmed(u64),
    /// The present segment's file ends before its frames do.
    CutOff,
}

/// The readable bytes of a segment, for records that outlive the cursor's borrow.
#[derive(Debug)]
pub(crate) struct Owner {
    readable: Prefix,
    /// One reference-counted handle on all of them; made when first asked for.
    bytes: OnceLock<Bytes>,
}

impl Owner {
    fn new(region: Arc<Region>, limit: usize) -> Self {
        Self { readable: Prefix::new(region, limit), bytes: OnceLock::new() }
    }

    fn region(&self) -> &Arc<Region> {
        self.readable.region()
    }

    /// Bytes before this offset may be read.
    #[inline]
    fn limit(&self) -> usize {
        self.readable.end()
    }

    /// The frame at `offset`.
    #[inline]
    fn frame(&self, offset: usize, signature: Signature, check: Check) -> Result<Frame<'_>, FrameFault> {
        match self.readable.from(offset) {
            Some(bytes) => Frame::decode(bytes, offset, signature, check),
            None => Err(FrameFault::CutOff),
        }
    }

    /// `len` bytes at `offset` of the segment, sharing its mapping.
    #[inline]
    pub(crate) fn slice(&self, offset: usize, len: usize) -> Bytes {
        if len == 0 {
            return Bytes::new();
        }
        let all = self.bytes.get_or_init(|| Bytes::from_owner(self.readable.clone()));
        let start = offset - HEADER_LEN;
        all.slice(start..start + len)
    }

    /// Which frames of the segment have been found to be valid columns.
    #[cfg(feature = "arrow")]
    pub(crate) fn validated(&self) -> &Validated {
        self.region().validated()
    }
}

impl Cursor {
    pub(crate) fn new(
        log: Arc<ShardLog>,
        start: Start,
        check: Check,
        level: ReadLevel,
    ) -> Result<Self, CursorError> {
        let mut cursor = Self { log, check, level, place: None, passed: None, told: None };
        cursor.log.catch_up()?;
        loop {
            let trim = cursor.log.list().trim();
            match cursor.seek(start) {
                Ok(()) => return Ok(cursor),
                Err(CursorError::Io(error)) => {
                    cursor.log.catch_up()?;
                    if cursor.log.list().trim() <= trim {
                        return Err(error.into());
                    }
                    // Removed between looking and opening: look again.
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn log(&self) -> &Arc<ShardLog> {
        &self.log
    }

    /// Moves to another place.
    fn seek(&mut self, start: Start) -> Result<(), CursorError> {
        self.passed = None;
        self.place = None;
        self.told = None;
        let list = self.log.list();
        match start {
            Start::Oldest => {}
            Start::Newest => {
                if let Some(segment) = list.last() {
                    let place = self.open(segment)?;
                    let offset = place.owner.region().extent().end;
                    self.place = Some(Place { offset, ..place });
                }
            }
            Start::Sequence(sequence) => {
                if let Some(segment) = list.holding(sequence) {
                    self.seek_in(
                        segment,
                        |mark| mark.sequence <= sequence,
                        |frame| frame.sequence().saturating_add(frame.row_count()) <= sequence,
                    )?;
                }
            }
            Start::After(sequence) => {
                if let Some(segment) = list.holding(sequence) {
                    self.seek_in(
                        segment,
                        |mark| mark.sequence <= sequence,
                        |frame| frame.sequence() <= sequence,
                    )?;
                }
            }
            Start::Time(time) => {
                let segments = list.all();
                // Not by bisection: a segment without frames, which recovery can leave between others, says nothing
                // about the times on either side of it.
                let holding = segments.iter().find(|segment| {
                    let extent = segment.extent();
                    extent.frames > 0 && extent.last_time >= time
                });
                if let Some(segment) = holding.or(segments.last()) {
                    let segment = Arc::clone(segment);
                    self.seek_in(segment, |mark| mark.time < time, |frame| frame.time() < time)?;
                }
            }
        }
        Ok(())
    }

    /// Goes to the first frame of `segment` that is not `before` the target, from the nearest mark on.
    fn seek_in(
        &mut self,
        segment: Arc<Segment>,
        mark_before: impl Fn(&super::index::Mark) -> bool,
        before: impl Fn(&Frame<'_>) -> bool,
    ) -> Result<(), CursorError> {
        let mut place = self.open(segment)?;
        let region = place.owner.region();
        let end = region.extent().end;
        place.offset = place.segment.seek(self.log.context(), region, mark_before);
        while place.offset < end {
            let bytes = region.bytes(place.offset..end).unwrap_or_default();
            // Damage on the way is reported by whoever reads from here on.
            let Ok(frame) = Frame::decode(bytes, place.offset, place.signature, Check::Header) else {
                break;
            };
            if !before(&frame) {
                break;
            }
            place.offset += frame.padded_len();
        }
        self.place = Some(place);
        Ok(())
    }

    fn open(&self, segment: Arc<Segment>) -> Result<Place, CursorError> {
        let region = segment.region(self.log.context())?;
        Ok(Place {
            last: 0,
            signature: segment.signature(),
            segment,
            owner: Owner::new(region, HEADER_LEN),
            offset: HEADER_LEN,
            cut_off_passed: false,
        })
    }

    /// The next frame, if there is one now. Its error is boxed, so that what this returns otherwise stays in registers.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<(Frame<'_>, &Owner)>, Box<CursorError>> {
        if !self.is_ready() && !self.advance_boxed()? {
            return Ok(None);
        }
        let Some(place) = &mut self.place else {
            return Ok(None);
        };
        let offset = place.offset;
        match place.owner.frame(offset, place.signature, self.check) {
            Ok(frame) => {
                place.last = offset;
                place.offset = offset + frame.padded_len();
                Ok(Some((frame, &place.owner)))
            }
            Err(fault) => Err(place.corrupt_boxed(fault)),
        }
    }

    /// What the next frame will be, without moving on. Its body is not checked.
    pub(crate) fn peek(&mut self) -> Result<Option<Ahead>, CursorError> {
        self.inspect(if self.check == Check::Bounds { Check::Bounds } else { Check::Header })
    }

    fn inspect(&mut self, check: Check) -> Result<Option<Ahead>, CursorError> {
        if !self.is_ready() && !self.advance()? {
            return Ok(None);
        }
        let Some(place) = &self.place else {
            return Ok(None);
        };
        match place.owner.frame(place.offset, place.signature, check) {
            Ok(frame) => Ok(Some(Ahead { time: frame.time(), data_len: frame.data().len() })),
            Err(fault) => Err(place.corrupt(fault)),
        }
    }

    #[inline]
    fn is_ready(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.offset < place.owner.limit())
    }

    /// What lies ahead of a cursor that has read everything it knew of.
    fn look(&self) -> Look {
        let following = match &self.place {
            None => {
                let first = self.log.list().first();
                if let (Some(told), Some(segment)) = (self.told, &first.segment)
                    && segment.base() > told
                {
                    // More has been removed since.
                    return Look::Trimmed(segment.base());
                }
                first
            }
            Some(place) => {
                let extent = place.owner.region().extent();
                let restricted = self.level == ReadLevel::Durable || self.log.poison().is_some();
                let end = if restricted { extent.end.min(place.segment.durable_end()) } else { extent.end };
                if end > place.offset {
                    return Look::Frames { limit: end };
                }
                if !extent.closed || end < extent.end {
                    return Look::Nothing;
                }
                if extent.end < place.segment.extent().end && !place.cut_off_passed {
                    return Look::CutOff;
                }
                self.log.list().after(place.segment.ordinal())
            }
        };
        match (following.gap_before, following.segment) {
            (_, Some(segment)) if following.trimmed => Look::Trimmed(segment.base()),
            // All of the shard, which had been split or merged.
            (_, None) if following.trimmed => Look::Trimmed(self.log.tip().0),
            (Some(gap), _) if self.passed.as_ref().is_none_or(|passed| !Arc::ptr_eq(passed, &gap)) => {
                Look::Gap(gap)
            }
            (_, Some(segment)) => Look::Segment(segment),
            (_, None) => Look::Nothing,
        }
    }

    #[cold]
    fn advance_boxed(&mut self) -> Result<bool, Box<CursorError>> {
        self.advance().map_err(Box::new)
    }

    /// Finds more to read: what was published since, or the next segment. Returns whether there is any.
    fn advance(&mut self) -> Result<bool, CursorError> {
        let mut caught_up = false;
        loop {
            match (self.look(), &mut self.place) {
                (Look::Nothing, _) if !caught_up && self.log.catch_up()? => caught_up = true,
                (Look::Nothing, _) => return Ok(false),
                (Look::Frames { limit }, Some(place)) => {
                    place.owner = Owner::new(Arc::clone(place.owner.region()), limit);
                    return Ok(true);
                }
                (Look::Segment(segment), _) => {
                    let ordinal = segment.ordinal();
                    match self.open(segment) {
                        Ok(place) => {
                            self.place = Some(place);
                            self.told = None;
                        }
                        Err(CursorError::Io(error)) => {
                            self.log.catch_up()?;
                            if ordinal >= self.log.list().trim() {
                                return Err(error.into());
                            }
                            // Removed between looking and opening: look again.
                        }
                        Err(error) => return Err(error),
                    }
                }
                (Look::Trimmed(oldest), _) => {
                    // Told once; from here on the reader is at the trim horizon, which may move on before it reads there.
                    self.place = None;
                    self.told = Some(oldest);
                    return Err(CursorError::Trimmed { oldest });
                }
                (Look::Gap(gap), _) => return Err(CursorError::Fenced(gap)),
                (Look::CutOff, Some(place)) => return Err(place.corrupt(FrameFault::CutOff)),
                // Only a place has frames or an end.
                (Look::Frames { .. } | Look::CutOff, None) => return Ok(false),
            }
        }
    }

    /// Goes past the damage that [`next`](Self::next) reports: to the next good frame behind it. Stays where there
    /// is none.
    pub(crate) fn skip_damage(&mut self) -> Result<(), CursorError> {
        match self.inspect(self.check) {
            Ok(_) => Ok(()),
            Err(CursorError::Fenced(gap)) => {
                self.passed = Some(gap);
                Ok(())
            }
            Err(CursorError::Corrupt { .. }) => {
                if let Some(place) = &mut self.place {
                    place.resynchronise();
                }
                Ok(())
            }
            // Told, and so passed.
            Err(CursorError::Trimmed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until there is more to read (or something to report), the log is closed or poisoned, or the deadline
    /// has passed. Returns whether there is more.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, CursorError> {
        if self.is_ready() || self.advance()? {
            return Ok(true);
        }
        if let Some(mut backoff) = self.log.polling(deadline) {
            while !self.log.is_gone() && !self.log.gate().has_ended() && backoff.pause() {
                if self.advance()? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let arrived = || !matches!(self.look(), Look::Nothing);
        match self.level {
            ReadLevel::Appended => self.log.wait_appended(deadline, arrived),
            ReadLevel::Durable => self.log.wait_synced(deadline, arrived),
        }
        Ok(self.is_ready() || self.advance()?)
    }

    /// Whether everything has been read, and nothing more will come because the shard has been split or merged.
    pub(crate) fn is_at_end(&self) -> bool {
        // In this order: what was appended before the end is seen.
        self.log.gate().has_ended() && !self.is_ready() && matches!(self.look(), Look::Nothing)
    }

    /// As [`wait`](Self::wait), but returns at once; when there is nothing more, `waker` is woken once there may be, unless
    /// the log is closed or poisoned.
    pub(crate) fn watch(&mut self, waker: &Waker) -> Result<Watch, CursorError> {
        if self.is_ready() || self.advance()? {
            return Ok(Watch::Ready);
        }
        let arrived = || !matches!(self.look(), Look::Nothing);
        let watching = match self.level {
            _ if self.log.is_followed() => self.log.watch_followed(waker),
            ReadLevel::Appended => self.log.watch_appended(waker, arrived),
            ReadLevel::Durable => self.log.watch_synced(waker, arrived),
        };
        if watching {
            return Ok(Watch::Watching);
        }
        Ok(if self.is_ready() || self.advance()? { Watch::Ready } else { Watch::Over })
    }

    /// Why the shard takes no more writes, if a sync has failed.
    pub(crate) fn poison(&self) -> Option<&SyncError> {
        self.log.poison()
    }
}

/// The next frame, as far as merging and paging need to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    pub(crate) time: Timestamp,
    pub(crate) data_len: usize,
}

impl Place {
    #[cold]
    fn corrupt_boxed(&self, fault: FrameFault) -> Box<CursorError> {
        Box::new(self.corrupt(fault))
    }

    /// The error for what stands here.
    fn corrupt(&self, fault: FrameFault) -> CursorError {
        let path = self.segment.path().to_owned();
        CursorError::Corrupt { path, offset: self.offset as u64, fault }
    }

    /// Moves to the next place where a whole frame stands. Checksums are bound to the segment, so that data
    /// which merely looks like a frame does not pass.
    fn resynchronise(&mut self) {
        let end = self.owner.region().extent().end;
        let signature = self.signature;
        let region = self.owner.region();
        let decode = |offset, check| {
            let bytes = region.bytes(offset..end).unwrap_or_default();
            Frame::decode(bytes, offset, signature, check)
        };
        // Numbers go up.
        let next = match decode(self.last, Check::Header) {
            Ok(last) => last.sequence().saturating_add(last.row_count()),
            Err(_) => self.segment.base(),
        };
        // Where the header can be trusted, so can the length: nothing inside the frame is taken for another.
        let mut offset = match decode(self.offset, Check::Header) {
            Ok(frame) => self.offset + frame.padded_len(),
            Err(_) => self.offset + FRAME_ALIGNMENT,
        };
        while offset < end && !decode(offset, Check::All).is_ok_and(|frame| frame.sequence() >= next) {
            offset += FRAME_ALIGNMENT;
        }
        self.offset = offset.min(end);
        self.cut_off_passed = offset >= end;
    }
}
