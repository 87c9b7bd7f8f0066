//! Opening a shard's log: what is there, what of it can be trusted, where to go on.
//!
//! Nothing is truncated and nothing comes back to life: a segment that was being written when the process or
//! the machine stopped is sealed where its good frames end, whatever lies behind them stays in the file, and
//! appends go on in a new segment, above every sequence number that may have been handed out.

mod ahead;
mod examine;
mod report;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::IoError;
use crate::sys::clock::Timestamp;
use crate::sys::parallel;
use crate::sys::region::{Region, RegionWriter};
use crate::sys::storage::remove_if_there;

use super::append::StartingPoint;
use super::files::SegmentFile;
use super::header::{HEADER_LEN, MAX_SPAN, Slot, SlotState};
use super::index;
use super::list::{Gap, SegmentList};
use super::options::Context;
use super::prepare::map_for_writing;
use super::segment::{Extent, Segment};

pub(crate) use examine::ordinal_of;
use examine::{Examined, Found};
pub use report::{RecoveryReport, SegmentRecovery, ShardRecovery};
pub use table::RecoveryRow;
use table::{Facts, decide};

/// Why a shard's log cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RecoverError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("newer format")]
    NewerFormat { path: PathBuf, found: u32 },
}

/// An opened log, short of its lock.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) start: StartingPoint,
    pub(crate) list: SegmentList,
    pub(crate) findings: Vec<SegmentRecovery>,
    pub(crate) segments: usize,
}

impl Recovered {
    /// The log of a shard that has no directory yet.
    pub(crate) fn empty(context: &Context, first: u64) -> Self {
        let start = StartingPoint {
            next: first,
            last_time: Timestamp::EPOCH,
            next_ordinal: 0,
            next_capacity: context.first_segment_len,
            trim: 0,
            resume: None,
            ended: false,
        };
        Self { start, list: SegmentList::default(), findings: Vec::new(), segments: 0 }
    }
}

/// Recovers the shard in `dir`, whose first record ever has the sequence counter `first`.
pub(crate) fn recover(
    context: &Context,
    dir: &Path,
    shard: u32,
    first: u64,
) -> Result<Recovered, RecoverError> {
    let mut found = examine::find(context, dir, shard)?;
    let trim = found.iter().filter_map(|found| found.slot()).map(|slot| slot.trim).max().unwrap_or(0);
    // Retention had decided, and was interrupted before it made that durable or while it carried it out.
    let trimmed: Vec<_> = found.extract_if(.., |found| found.ordinal < trim).collect();
    if let Some(decided) = found.iter().find(|found| found.slot().is_some_and(|slot| slot.trim == trim))
        && !trimmed.is_empty()
    {
        decided.ensure_synced(context)?;
    }
    for segment in &trimmed {
        remove_segment(context, &segment.path)?;
    }
    let mut recovery = Recovery::new(context, first, trim);
    let later_durable = later_durable(&found);
    // Behind a missing file nothing can be said of this one's end.
    let next_bases: Vec<_> = found
        .windows(2)
        .map(|pair| match pair {
            [this, next] if next.ordinal == this.ordinal + 1 => next.base.or(next.first_frame),
            _ => None,
        })
        .collect();
    let count = found.len();
    let syncs: Vec<_> = found.iter().filter_map(Found::sync_to_come).collect();
    if !syncs.is_empty() {
        // The names as well: were one lost after the next segment has got its own, its records would be missing.
        context.storage.sync_dir(dir).map_err(IoError::context("sync", dir))?;
    }
    ahead::while_syncing(context, &syncs, || {
        found.into_iter().enumerate().try_for_each(|(index, found)| {
            let surroundings = Surroundings {
                last: index + 1 == count,
                next_base: next_bases.get(index).copied().flatten(),
                later_durable: later_durable.get(index).copied().unwrap_or(false),
            };
            recovery.take(found, surroundings)
        })
    })?;
    recovery.finish()
}

/// For each segment: whether a later one has durable records.
fn later_durable(found: &[Found]) -> Vec<bool> {
    let mut later = false;
    let mut flags: Vec<_> = found
        .iter()
        .rev()
        .map(|found| {
            let flag = later;
            later |= found.slot().is_some_and(|slot| slot.end > HEADER_LEN as u64);
            flag
        })
        .collect();
    flags.reverse();
    flags
}

/// What lies behind a segment.
#[derive(Debug, Clone, Copy)]
struct Surroundings {
    last: bool,
    next_base: Option<u64>,
    later_durable: bool,
}

/// The state of a walk over a shard's segments, oldest first.
struct Recovery<'a> {
    context: &'a Context,
    list: SegmentList,
    findings: Vec<SegmentRecovery>,
    /// The number with which the next segment must begin; unknown after damage.
    expected: Option<u64>,
    /// The number to go on with, should nothing follow.
    next: u64,
    /// Above every number that the segments so far may have handed out.
    bound: u64,
    last_time: Timestamp,
    next_ordinal: u64,
    trim: u64,
    /// A segment before lost its tail, or may have, and nothing later is durable.
    orphaning: bool,
    used: u64,
    resume: Option<(Arc<Segment>, RegionWriter)>,
    /// The newest segment that is kept and may be written to, and how far it goes.
    newest: Option<(Arc<Segment>, Extent)>,
    /// Segments to seal with the number behind their last one as their successor's, in any order: the next opening would
    /// find the same of one that is not sealed.
    whole: Vec<(Arc<Segment>, Extent)>,
    /// Segments to seal as empty once it is known above which number.
    orphans: Vec<Found>,
    /// Segment files that were never used.
    unused: Vec<PathBuf>,
    segments: usize,
}

impl<'a> Recovery<'a> {
    fn new(context: &'a Context, first: u64, trim: u64) -> Self {
        Self {
            context,
            list: SegmentList::trimmed_to(trim),
            findings: Vec::new(),
            expected: (trim == 0).then_some(first),
            next: first,
            bound: first,
            last_time: Timestamp::EPOCH,
            next_ordinal: trim,
            trim,
            orphaning: false,
            used: 0,
            resume: None,
            newest: None,
            whole: Vec::new(),
            orphans: Vec::new(),
            unused: Vec::new(),
            segments: 0,
        }
    }

    fn take(&mut self, found: Found, around: Surroundings) -> Result<(), RecoverError> {
        self.segments += 1;
        if found.ordinal > self.next_ordinal {
            let reason = format!("segments {} to {} are missing", self.next_ordinal, found.ordinal - 1);
            self.fence(&found.path, 0, RecoveryRow::Missing, reason);
            self.bound = self.bound.saturating_add(MAX_SPAN);
        }
        self.next_ordinal = found.ordinal + 1;
        let begins = found.base.or(found.first_frame);
        let base = begins.or(self.expected).unwrap_or(self.bound);
        let may_follow_hole = self.expected.is_some_and(|expected| match begins {
            Some(base) => base > expected,
            // Nothing is left of it that says how far the segment before went.
            None => found.is_blank() && self.next > expected,
        });
        if may_follow_hole && self.newest.is_some() {
            let durable_here = found.slot().is_some_and(|slot| slot.end > HEADER_LEN as u64);
            self.orphaning |= !durable_here && !around.later_durable;
        }
        let span = found.identity.as_ref().map_or(MAX_SPAN, |identity| identity.span);
        let examined = found.examine(self.context, base, self.last_time, around)?;
        let after = examined.number_after();
        let facts = Facts {
            identified: examined.found.identity.is_some(),
            overlaps: self.expected.is_some_and(|expected| base < expected),
            short: examined.short,
            // One that cannot even be mapped cannot be sealed either.
            orphan: self.orphaning && examined.found.has_room(),
            slot: examined.kind,
            has_frames: examined.extent.end > HEADER_LEN,
            zeros_behind: examined.tail.is_none_or(|tail| tail.bytes == 0),
            last: around.last,
            hole_behind: around.next_base.is_some_and(|next| next > after),
            later_durable: around.later_durable,
        };
        self.bound = self.bound.max(base).saturating_add(span);
        self.act(decide(&facts), examined, around)
    }

    fn act(
        &mut self,
        row: RecoveryRow,
        examined: Examined,
        around: Surroundings,
    ) -> Result<(), RecoverError> {
        let (extent, recovered) = (examined.extent, examined.recovered_frames());
        let path = examined.found.path.clone();
        let dropped = examined.tail.map_or(0, |tail| tail.bytes as u64);
        let why = examined.tail.filter(|tail| tail.bytes > 0).map(|tail| tail.fault.to_string());
        let report = SegmentRecovery {
            path: path.clone(),
            row,
            recovered_records: recovered,
            dropped_bytes: dropped,
            reason: why.clone().unwrap_or_default(),
        };
        match row {
            RecoveryRow::Sealed => {
                let after = examined.number_after();
                self.keep(examined)?;
                self.go_on_at(after);
            }
            RecoveryRow::CleanlyClosed => {
                self.resume(examined)?;
                self.findings.push(report);
                self.go_on_at(extent.next);
            }
            RecoveryRow::Whole | RecoveryRow::TornTail => {
                // Only a segment that begins right there says that no number above was handed out.
                let whole = around.next_base == Some(extent.next);
                self.keep(examined)?;
                self.findings.push(report);
                self.expected = Some(extent.next);
                self.next = if whole { extent.next } else { self.bound };
                if whole {
                    self.bound = extent.next;
                }
                // Else it is sealed once it is known above which number: were it sealed now and this opening stopped, the
                // next one would not count what it may have handed out. Durable numbers behind it count by themselves.
                if whole || around.later_durable {
                    self.whole.extend(self.newest.clone());
                }
            }
            RecoveryRow::NeverUsed => {
                self.next = self.bound;
                self.findings.push(report);
                // Numbers may have been handed out from it all the same: they must be remembered somewhere.
                if self.newest.is_some() {
                    self.unused.push(path);
                    self.segments -= 1;
                } else {
                    self.orphans.push(examined.found);
                }
            }
            RecoveryRow::Orphaned => {
                self.next = self.bound;
                self.findings.push(SegmentRecovery {
                    dropped_bytes: examined.found.bytes_in_use(self.context)?,
                    recovered_records: 0,
                    ..report
                });
                self.orphans.push(examined.found);
            }
            RecoveryRow::LostDurable | RecoveryRow::WatermarkLost => {
                let reason = why.unwrap_or_else(|| "records are missing".to_owned());
                self.keep(examined)?;
                self.newest = None;
                self.findings.push(report);
                self.list.push_gap(Gap { path, offset: extent.end as u64, reason });
                self.expected = None;
                self.next = self.bound;
            }
            RecoveryRow::CutShort if !examined.found.has_room() => {
                // Nothing to map: readers pass a gap, they could not pass a file that cannot be opened.
                self.fence(&path, 0, row, "the file ends before its first record".to_owned());
                self.next = self.bound;
            }
            RecoveryRow::CutShort => {
                self.keep(examined)?;
                self.newest = None;
                self.findings.push(SegmentRecovery {
                    reason: "the file ends before its watermark".to_owned(),
                    ..report
                });
                self.expected = None;
                self.next = self.bound;
            }
            RecoveryRow::Unidentified | RecoveryRow::Missing | RecoveryRow::Overlapping => {
                let reason = match examined.found.fault {
                    Some(fault) => fault.to_string(),
                    None => "its sequence numbers were used before".to_owned(),
                };
                self.fence(&path, 0, row, reason);
                self.next = self.bound;
            }
        }
        Ok(())
    }

    fn go_on_at(&mut self, number: u64) {
        self.expected = Some(number);
        self.next = number;
        self.bound = number;
    }

    /// Something cannot be read: readers that come there are told.
    fn fence(&mut self, path: &Path, offset: u64, row: RecoveryRow, reason: String) {
        self.list.push_gap(Gap { path: path.to_owned(), offset, reason: reason.clone() });
        self.findings.push(SegmentRecovery {
            path: path.to_owned(),
            row,
            recovered_records: 0,
            dropped_bytes: 0,
            reason,
        });
        self.expected = None;
        self.newest = None;
    }

    /// Keeps a segment that will not be written any more.
    fn keep(&mut self, examined: Examined) -> Result<(), RecoverError> {
        let extent = examined.extent;
        let Some(segment) = examined.into_sealed() else {
            return Ok(());
        };
        let segment = Arc::new(segment);
        self.note(&segment, extent);
        self.newest = Some((segment, extent));
        Ok(())
    }

    fn resume(&mut self, examined: Examined) -> Result<(), RecoverError> {
        let extent = examined.extent;
        let path = examined.found.path.clone();
        let misfit = || IoError::new("map", &path, io::Error::other("the file does not fit its header"));
        let identity = examined.found.identity.ok_or_else(misfit)?;
        let capacity = usize::try_from(identity.capacity).map_err(|_| misfit())?;
        if examined.found.len < capacity {
            return Err(misfit().into());
        }
        let file = self
            .context
            .storage
            .open_file(&path, crate::sys::storage::Access::Write)
            .map_err(IoError::context("open", &path))?;
        let map = map_for_writing(&*file, &path, capacity)?;
        let (region, writer) = Region::new(map, HEADER_LEN, extent.end).ok_or_else(misfit)?;
        let slots = examined.found.slots(&identity, examined.slot());
        let file = SegmentFile::open(self.context, path, &identity, file);
        let segment = Arc::new(Segment::live(identity, slots, extent, file, region));
        self.note(&segment, extent);
        self.newest = None;
        self.resume = Some((segment, writer));
        Ok(())
    }

    fn note(&mut self, segment: &Arc<Segment>, extent: Extent) {
        self.list.push(Arc::clone(segment));
        self.last_time = self.last_time.max(extent.last_time);
        self.used = extent.end as u64;
    }

    /// Makes durable that the newest kept segment ends where it does, and above which number the next begins.
    fn seal_newest(&self, successor_base: u64) -> Result<(), RecoverError> {
        match &self.newest {
            Some((segment, extent)) => self.seal(segment, *extent, successor_base),
            None => Ok(()),
        }
    }

    fn seal(&self, segment: &Segment, extent: Extent, successor_base: u64) -> Result<(), RecoverError> {
        let slot = segment.slot();
        if slot.state == SlotState::Sealed && slot.successor_base >= successor_base {
            return Ok(());
        }
        let seal = |slot: &mut Slot| {
            slot.state = SlotState::Sealed;
            slot.end = extent.end as u64;
            slot.next = extent.next;
            slot.frames = extent.frames;
            slot.first_time = extent.first_time;
            slot.last_time = extent.last_time;
            slot.successor_base = successor_base;
        };
        let sealed = segment.change_slot(self.context, seal).map_err(io::Error::from);
        sealed.map_err(IoError::context("seal", segment.path()))?;
        Ok(())
    }

    fn finish(mut self) -> Result<Recovered, RecoverError> {
        // Together, since each waits for the disk, and after the walk, since beside it each would wait for a whole segment.
        let seal = |(segment, extent): &(Arc<Segment>, Extent)| self.seal(segment, *extent, extent.next);
        parallel::map(&self.whole, self.context.waiting_threads(), seal)?;
        // The orphans first, the newest of them before the others: should the power go in between, they are orphans again.
        // Were a segment before them sealed already, they would contradict it.
        let extent = Extent::empty(self.next, self.last_time);
        let orphans: Vec<_> = std::mem::take(&mut self.orphans)
            .into_iter()
            .filter_map(|orphan| orphan.into_empty(extent))
            .map(Arc::new)
            .collect();
        for orphan in orphans.iter().rev() {
            self.seal(orphan, extent, self.next)?;
        }
        for orphan in &orphans {
            self.note(orphan, extent);
        }
        if self.resume.is_none() {
            self.seal_newest(self.next)?;
        }
        for path in &self.unused {
            remove_segment(self.context, path)?;
            self.next_ordinal -= 1;
        }
        let start = StartingPoint {
            next: self.next,
            last_time: self.last_time,
            next_ordinal: self.next_ordinal,
            next_capacity: self
                .context
                .segment_len_after(self.used.checked_next_power_of_two().unwrap_or(self.used)),
            trim: self.trim,
            resume: self.resume,
            ended: false,
        };
        Ok(Recovered { start, list: self.list, findings: self.findings, segments: self.segments })
    }
}

/// Removes a segment and its index.
fn remove_segment(context: &Context, path: &Path) -> Result<(), IoError> {
    let storage = &*context.storage;
    for path in [&*index::path_beside(path), path] {
        remove_if_there(storage, path).map_err(IoError::context("remove", path))?;
    }
    Ok(())
}
