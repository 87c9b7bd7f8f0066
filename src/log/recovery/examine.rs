//! Reading what a shard's directory holds, without judging it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::error::IoError;
use crate::log::doubt;
use crate::log::frame::{FIXED_HEADER_LEN, FrameFault};
use crate::log::header::{
    HEADER_LEN, Identity, IdentityFault, PAGE, SLOT_LEN, SLOT_OFFSET, Slot, SlotFact, SlotState,
};
use crate::log::options::Context;
use crate::log::scan::{self, Scan, Tail};
use crate::log::segment::{Extent, Segment};
use crate::log::slots::Slots;
use crate::sys::clock::Timestamp;
use crate::sys::parallel;
use crate::sys::storage::{Access, StorageFile};

use super::ahead::{Doubt, SyncOnce};
use super::table::SlotKind;
use super::{RecoverError, Surroundings};

/// To begin a thread takes about as long as to read so many headers that are cached.
const HEADERS_PER_THREAD: usize = 8;

/// A segment file and its header. The file is not kept open: a shard may have more segments than a process descriptors.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) ordinal: u64,
    pub(super) path: PathBuf,
    /// The sync of the file, for when it is needed.
    synced: Arc<SyncOnce>,
    /// The file's length.
    pub(super) len: usize,
    pub(super) identity: Option<Identity>,
    /// Why there is no identity.
    pub(super) fault: Option<IdentityFault>,
    slots: SlotFact,
    /// Either slot is damaged, and may have been the newer one.
    has_damaged_slot: bool,
    /// The header page with the slot that counts.
    page: usize,
    /// The first record's number, by the slot.
    pub(super) base: Option<u64>,
    /// The first record's number, by its frame.
    pub(super) first_frame: Option<u64>,
}

/// A segment whose end is known.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) found: Found,
    pub(super) kind: SlotKind,
    /// How far its good frames go.
    pub(super) extent: Extent,
    /// What was found behind them, where that was looked at.
    pub(super) tail: Option<Tail>,
    /// The file ends before the watermark.
    pub(super) short: bool,
    base: u64,
}

/// Finds the segments in `dir`, oldest first, and removes what a crash left half made.
pub(super) fn find(context: &Context, dir: &Path, shard: u32) -> Result<Vec<Found>, RecoverError> {
    let storage = &*context.storage;
    let mut named = Vec::new();
    for entry in storage.list(dir).map_err(IoError::context("list", dir))? {
        let path = dir.join(&entry.name);
        if entry.name.ends_with(".tmp") {
            storage.remove_file(&path).map_err(IoError::context("remove", &path))?;
        } else if let Some(ordinal) = ordinal_of(&entry.name) {
            named.push((ordinal, path));
        }
    }
    // What is not cached is waited for.
    let threads = context.waiting_threads().min(named.len() / HEADERS_PER_THREAD);
    let read = |(ordinal, path): &(u64, PathBuf)| Found::read(context, path.clone(), *ordinal, shard);
    let mut found = parallel::map(&named, threads, read)?;
    found.sort_by_key(|found| found.ordinal);
    Ok(found)
}

/// The ordinal that a segment's file name says.
pub(crate) fn ordinal_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

impl Found {
    fn read(context: &Context, path: PathBuf, ordinal: u64, shard: u32) -> Result<Self, RecoverError> {
        let file = open(context, &path)?;
        let mut header = vec![0; HEADER_LEN];
        let read = file.read_at(&mut header, 0).map_err(IoError::context("read", &path))?;
        header.truncate(read);
        let len = file.len().map_err(IoError::context("measure", &path))?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);

        let (first, second) = header.split_at(PAGE.min(header.len()));
        // Either page will do; that both agree on a newer format is another matter than a flipped bit in one.
        let identity = match (Identity::decode(first), Identity::decode(second)) {
            (Ok(identity), _) | (_, Ok(identity)) => Ok(identity),
            (Err(IdentityFault::NewerFormat { found }), Err(IdentityFault::NewerFormat { .. })) => {
                return Err(RecoverError::NewerFormat { path, found });
            }
            (Err(fault), Err(_)) => Err(fault),
        };
        // A file that was copied or renamed from elsewhere is not this shard's segment.
        let identity = identity.and_then(|identity| {
            let here = identity.ordinal == ordinal && identity.shard == shard;
            if here { Ok(identity) } else { Err(IdentityFault::Fields) }
        });
        let unidentified = Self {
            ordinal,
            synced: SyncOnce::new(&path, 1, None),
            path,
            len,
            identity: None,
            fault: identity.err(),
            slots: SlotFact::Blank,
            has_damaged_slot: true,
            page: 1,
            base: None,
            first_frame: None,
        };
        let Ok(identity) = identity else { return Ok(unidentified) };
        let path = &unidentified.path;
        let signature = identity.signature();
        let slot_in =
            |page: &[u8]| match page.get(SLOT_OFFSET..).and_then(|rest| rest.first_chunk::<SLOT_LEN>()) {
                Some(bytes) => Slot::decode(bytes, signature),
                None => SlotFact::Damaged,
            };
        let both = [slot_in(first), slot_in(second)];
        let has_damaged_slot = both.contains(&SlotFact::Damaged);
        let (slots, page) = SlotFact::combine(both);
        let base = match slots {
            SlotFact::Valid(slot) => Some(slot.base),
            SlotFact::Blank | SlotFact::Damaged => None,
        };
        let first_frame = match base {
            Some(_) => None,
            None => scan::first_sequence(&*file, signature).map_err(IoError::context("read", path))?,
        };
        let is_doubtful = doubt::is_marked(first) || doubt::is_marked(second);
        let doubt = is_doubtful.then(|| match slots {
            SlotFact::Valid(slot) => {
                Doubt { slot: Some(slot.encode(signature)), frames: slot.end..len as u64 }
            }
            SlotFact::Blank | SlotFact::Damaged => {
                Doubt { slot: None, frames: HEADER_LEN as u64..len as u64 }
            }
        });
        let synced = SyncOnce::new(path, page, doubt);
        let identity = Some(identity);
        Ok(Self { synced, identity, slots, has_damaged_slot, page, base, first_frame, ..unidentified })
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        match self.slots {
            SlotFact::Valid(slot) => Some(slot),
            SlotFact::Blank | SlotFact::Damaged => None,
        }
    }

    /// Nothing says that it was ever used: its slot was not written, and it does not begin with a good frame.
    pub(super) fn is_blank(&self) -> bool {
        self.identity.is_some() && self.slots == SlotFact::Blank && self.first_frame.is_none()
    }

    /// Returns once what is in the file is durable.
    pub(super) fn ensure_synced(&self, context: &Context) -> Result<(), IoError> {
        self.synced.ensure(context)
    }

    /// The sync of a segment that may have been written since its watermark: it is going to be needed.
    pub(super) fn sync_to_come(&self) -> Option<Weak<SyncOnce>> {
        let sealed_or_clean = self.slot().is_some_and(|slot| slot.state != SlotState::Open);
        let is_read = self.identity.is_some() && !sealed_or_clean && !self.is_short();
        is_read.then(|| Arc::downgrade(&self.synced))
    }

    /// Whether the file ends before its watermark.
    fn is_short(&self) -> bool {
        self.slot().map_or(HEADER_LEN, |slot| Extent::of(&slot).end) > self.len
    }

    /// Finds out how far the good frames go. What may not be durable yet is synced before anything is made of that: it is about
    /// to be served, and what is served must not disappear.
    pub(super) fn examine(
        self,
        context: &Context,
        base: u64,
        last_time: Timestamp,
        around: Surroundings,
    ) -> Result<Examined, RecoverError> {
        let Some(identity) = self.identity else {
            let extent = Extent::empty(base, last_time);
            return Ok(Examined {
                found: self,
                kind: SlotKind::Blank,
                extent,
                tail: None,
                short: false,
                base,
            });
        };
        let (kind, start) = match self.slots {
            SlotFact::Valid(slot) => (kind_of(slot.state), Extent::of(&slot)),
            SlotFact::Blank => (SlotKind::Blank, Extent::empty(base, last_time)),
            SlotFact::Damaged => (SlotKind::Damaged, Extent::empty(base, last_time)),
        };
        let short = self.is_short();
        let full_len = usize::try_from(identity.capacity).unwrap_or(usize::MAX);
        let missing = full_len.saturating_sub(self.len);
        // Appends cannot go on in a file that was cut. In one of which a sync has failed they do not: what more it gave up is not known.
        let is_whole = missing == 0 && !self.synced.is_doubtful();
        let kind = if kind == SlotKind::Clean && !is_whole { SlotKind::Open } else { kind };
        let settled = match kind {
            SlotKind::Sealed => true,
            SlotKind::Clean => {
                // Of a frame that was being stored there may be all but the header.
                let is_newest = !self.has_damaged_slot;
                around.last && !short && is_newest && self.is_blank_at(context, start.end)?
            }
            SlotKind::Blank | SlotKind::Open | SlotKind::Damaged => false,
        };
        let failed = |action| IoError::context(action, &self.path);
        // Sealed by a recovery, which may have been killed before that was durable. Were the slot lost after the next segment
        // is used, the leap in the numbers would look like lost records. Durable records behind it were written once the
        // recovery had ended.
        let by_recovery = |slot: Slot| slot.successor_base > slot.next || slot.frames == 0;
        let may_be_lost =
            |slot: Slot| slot.state == SlotState::Sealed && by_recovery(slot) && !around.later_durable;
        if self.slot().is_some_and(may_be_lost) || self.synced.is_doubtful() {
            self.synced.ensure(context)?;
        }
        let (extent, tail) = if settled || short {
            (start, None)
        } else {
            let file = open(context, &self.path)?;
            let capacity = full_len.min(self.len);
            let Scan { extent, tail } =
                scan::scan(&*file, identity.signature(), start, capacity).map_err(failed("read"))?;
            // What was read is what is being synced, or the sync fails: nobody writes here.
            self.synced.ensure(context)?;
            // Files have their full length before they get their name: what this one lacks may have been records.
            let tail = match missing {
                0 => tail,
                _ => Tail { fault: FrameFault::CutOff, bytes: full_len.saturating_sub(extent.end) },
            };
            (extent, Some(tail))
        };
        Ok(Examined { found: self, kind, extent, tail, short, base })
    }

    /// Whether the file is long enough for a frame.
    pub(super) fn has_room(&self) -> bool {
        self.len >= HEADER_LEN + FIXED_HEADER_LEN
    }

    /// Whether nothing was written at `offset`, where the next frame would be.
    fn is_blank_at(&self, context: &Context, offset: usize) -> Result<bool, RecoverError> {
        let mut bytes = [0; FIXED_HEADER_LEN];
        let read = open(context, &self.path)?
            .read_at(&mut bytes, offset as u64)
            .map_err(IoError::context("read", &self.path))?;
        Ok(bytes.iter().take(read).all(|&byte| byte == 0))
    }

    /// Bytes behind the header up to the last that is not zero.
    pub(super) fn bytes_in_use(&self, context: &Context) -> Result<u64, RecoverError> {
        let file = open(context, &self.path)?;
        let used =
            scan::last_nonzero(&*file, HEADER_LEN, self.len).map_err(IoError::context("read", &self.path))?;
        Ok(used as u64)
    }

    /// Its slots, of which the one that counts says what `slot` does.
    pub(super) fn slots(&self, identity: &Identity, slot: Slot) -> Slots {
        Slots::found(identity.signature(), slot, self.page, self.synced.is_done())
    }

    /// As a segment without records, whatever bytes it has.
    pub(super) fn into_empty(self, extent: Extent) -> Option<Segment> {
        let identity = self.identity?;
        let slot = Slot { state: SlotState::Open, ..self.slot().unwrap_or(Slot::blank(extent.next)) };
        let slot = Slot { base: extent.next, ..slot };
        let slots = self.slots(&identity, slot);
        Some(Segment::sealed(self.path, identity, slots, extent))
    }
}

impl Examined {
    /// The number with which the following segment begins, when this one is whole.
    pub(super) fn number_after(&self) -> u64 {
        match self.found.slot() {
            Some(slot) if slot.state == SlotState::Sealed => slot.successor_base,
            _ => self.extent.next,
        }
    }

    /// Good frames above the watermark.
    pub(super) fn recovered_frames(&self) -> u64 {
        self.extent.frames - self.found.slot().map_or(0, |slot| slot.frames).min(self.extent.frames)
    }

    /// The slot, or what it would say had it been written.
    pub(super) fn slot(&self) -> Slot {
        self.found.slot().unwrap_or(Slot::blank(self.base))
    }

    pub(super) fn into_sealed(self) -> Option<Segment> {
        let identity = self.found.identity?;
        let slots = self.found.slots(&identity, self.slot());
        Some(Segment::sealed(self.found.path, identity, slots, self.extent))
    }
}

pub(super) fn open(context: &Context, path: &Path) -> Result<Arc<dyn StorageFile>, IoError> {
    context.storage.open_file(path, Access::Write).map_err(IoError::context("open", path))
}

fn kind_of(state: SlotState) -> SlotKind {
    match state {
        SlotState::Open => SlotKind::Open,
        SlotState::Clean => SlotKind::Clean,
        SlotState::Sealed => SlotKind::Sealed,
    }
}
