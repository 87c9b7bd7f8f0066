//! Following the log of a shard that another process writes, without a lock and without writing anything.
//!
//! What the writer does is seen in this order, and never in another: a segment's file (with its identity), its first slot,
//! its frames, and the next segment's slot. So a segment whose slots are blank has not begun; one that has begun says with
//! its base where the one before it ends. After the writer's death the follower shows what recovery will keep, and waits
//! with everything else until recovery has said what becomes of it.

mod backoff;
mod growing;
mod head;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::IoError;
use crate::sys::clock::Timestamp;
use crate::sys::storage::Storage;

use super::frame::FIXED_HEADER_LEN;
use super::header::{HEADER_LEN, Identity, Slot, SlotFact, SlotState};
use super::list::Gap;
use super::prepare::file_name;
use super::recovery::ordinal_of;
use super::segment::{Extent, Segment};
use super::shard_log::ShardLog;
use super::slots::Slots;

pub(crate) use backoff::Backoff;
use growing::Growing;
use head::Head;

/// How often to list a directory anew whose files go while they are looked at.
const LISTINGS: usize = 64;

/// What has become of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    /// It was split or merged: nothing is appended any more.
    Ended,
    /// It had ended, and retention has taken the last of it.
    Dropped,
    /// Its stream was deleted.
    Gone,
}

/// Who knows what has become of a stream's shards.
pub(crate) trait Registry: Debug + Send + Sync {
    /// What has become of this shard. What was appended before it ended is seen by who looks afterwards.
    fn standing(self: Arc<Self>, shard: u32) -> Result<Standing, IoError>;
}

/// What a follower knows of a shard's log besides its list of segments.
#[derive(Debug)]
pub(crate) struct Follow {
    shard: u32,
    registry: Arc<dyn Registry>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The segment looked at last.
    tail: Option<Tail>,
    /// The one to look for next.
    next_ordinal: u64,
    /// The number with which it begins, if that is known and the tail does not say it.
    expected: Option<u64>,
    last_time: Timestamp,
    /// Segments before the tail of which records are not known to be durable, oldest first.
    unsettled: VecDeque<Arc<Segment>>,
    /// Every record below this counter is durable.
    durable: u64,
    /// The shard's files have been removed, and not by retention.
    gone: bool,
}

/// The newest segment that has begun.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    ordinal: u64,
    id: Option<[u8; 16]>,
    /// `None` once nothing more will be appended to it, or when it cannot be read.
    growing: Option<Growing>,
    /// Whether it can be read at all.
    readable: bool,
}

impl Follow {
    /// Follows a shard whose first record ever has the counter `first`.
    pub(crate) fn new(shard: u32, first: u64, registry: Arc<dyn Registry>) -> Self {
        let state = State {
            tail: None,
            next_ordinal: 0,
            expected: Some(first),
            last_time: Timestamp::EPOCH,
            unsettled: VecDeque::new(),
            durable: first,
            gone: false,
        };
        Self { shard, registry, state: Mutex::new(state) }
    }

    /// Brings `log` up to date. What a put has returned before this is called is seen.
    pub(crate) fn catch_up(&self, log: &ShardLog) -> Result<(), IoError> {
        let mut state = self.state.lock();
        let standing = Arc::clone(&self.registry).standing(self.shard)?;
        let mut walk = Walk { log, shard: self.shard, state: &mut state, tail_lost: false };
        match standing {
            Standing::Open | Standing::Ended => walk.go()?,
            Standing::Dropped => walk.drop_all(),
            Standing::Gone => walk.state.gone = true,
        }
        if matches!(standing, Standing::Ended | Standing::Dropped) {
            log.note_ended();
        }
        let next = state.next().unwrap_or(state.durable);
        log.note_followed(next, state.last_time, state.durable);
        Ok(())
    }

    /// Whether the shard's files have been removed, so that nothing more will come.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().gone
    }
}

impl State {
    /// The number with which the next segment begins; unknown after damage.
    fn next(&self) -> Option<u64> {
        match self.tail.as_ref().and_then(|tail| tail.growing.as_ref()) {
            Some(growing) => Some(growing.extent().next),
            None => self.expected,
        }
    }
}

/// One look at everything that may have changed.
struct Walk<'a> {
    log: &'a ShardLog,
    shard: u32,
    state: &'a mut State,
    /// The tail was removed while it was looked at.
    tail_lost: bool,
}

impl Walk<'_> {
    fn go(&mut self) -> Result<(), IoError> {
        loop {
            let listed = if self.look_at_tail()? {
                self.state.gone = false;
                Vec::new()
            } else {
                match self.start_over()? {
                    Some(listed) => listed,
                    None => return Ok(()),
                }
            };
            let before = self.state.next_ordinal;
            while self.step(&listed)? {}
            if self.state.next_ordinal == before && !std::mem::take(&mut self.tail_lost) {
                break;
            }
            // The segments gone through may have been removed meanwhile: not finished before the tail is seen to be there.
        }
        self.settle()
    }

    /// There is nothing left on disk. Who had not come to the end is to be told.
    fn drop_all(&mut self) {
        self.finish_removed_tail();
        let seen_to_the_end = self.log.gate().has_ended();
        self.trim(if seen_to_the_end { self.state.next_ordinal } else { u64::MAX });
        self.state.gone = true;
    }

    fn storage(&self) -> &dyn Storage {
        &*self.log.context().storage
    }

    fn path_of(&self, ordinal: u64) -> PathBuf {
        self.log.dir.path().join(file_name(ordinal))
    }

    fn head(&self, ordinal: u64) -> Result<Option<Head>, IoError> {
        Head::read(self.storage(), self.path_of(ordinal), ordinal, self.shard)
    }

    /// Looks at the newest known segment. Returns whether there is one, where it was.
    fn look_at_tail(&mut self) -> Result<bool, IoError> {
        let Some(ordinal) = self.state.tail.as_ref().map(|tail| tail.ordinal) else {
            return Ok(false);
        };
        let head = self.head(ordinal)?;
        let Some(tail) = &mut self.state.tail else {
            return Ok(false);
        };
        let Some(head) = head.filter(|head| head.id() == tail.id) else {
            return Ok(false);
        };
        let Some(slot) = head.slot() else {
            // Begun without a slot that can be read.
            if let Some(growing) = &mut tail.growing {
                growing.advance();
            }
            return Ok(true);
        };
        if let Some(growing) = &mut tail.growing {
            growing.note(&slot);
            self.state.last_time = growing.extent().last_time;
        }
        if slot.state == SlotState::Sealed && tail.readable {
            self.seal_tail(&slot);
        }
        self.trim(slot.trim);
        Ok(true)
    }

    /// The tail has come to its end, which is durable.
    fn seal_tail(&mut self, slot: &Slot) {
        if let Some(segment) = self.finish_tail() {
            segment.note_durable(segment.extent().end);
        }
        // Recovery can raise it in a segment that was sealed before, when it removes one that was never used.
        if self.state.expected.is_some() {
            self.state.expected = Some(slot.successor_base);
        }
    }

    /// Nothing more comes in the tail.
    fn finish_tail(&mut self) -> Option<Arc<Segment>> {
        let growing = self.state.tail.as_mut()?.growing.take()?;
        self.state.expected = Some(growing.extent().next);
        self.state.last_time = growing.extent().last_time;
        Some(growing.finish(self.log.context()))
    }

    /// The tail was removed as retention does it: all that was appended to it is in the mapping, and was durable.
    fn finish_removed_tail(&mut self) {
        if let Some(growing) = self.state.tail.as_mut().and_then(|tail| tail.growing.as_mut()) {
            growing.advance();
        }
        if let Some(segment) = self.finish_tail() {
            segment.note_durable(segment.extent().end);
        }
    }

    /// Segments before `ordinal` are gone, or about to be.
    fn trim(&mut self, ordinal: u64) {
        if ordinal > self.log.list().trim() {
            self.log.list().remove_before(ordinal);
        }
    }

    /// Lists the directory, because no segment is known or the newest one is gone. `None` when there is nothing to go on with.
    fn start_over(&mut self) -> Result<Option<Vec<u64>>, IoError> {
        let Some((listed, trim)) = self.list()? else {
            self.state.gone = self.state.tail.is_some();
            return Ok(None);
        };
        if let Some(tail) = &self.state.tail {
            if trim <= tail.ordinal {
                // Neither trimmed nor there: the stream was deleted, and perhaps another one of its name created.
                self.state.gone = true;
                return Ok(None);
            }
            self.finish_removed_tail();
        }
        self.state.gone = false;
        self.trim(trim);
        // With which number the next one begins, the removed segment's slot said last.
        if trim > 0 {
            self.state.next_ordinal = self.state.next_ordinal.max(trim);
            self.state.expected = None;
        }
        Ok(Some(listed))
    }

    /// The segments that there are, and the oldest of them that is kept. `None` when there is no directory.
    fn list(&self) -> Result<Option<(Vec<u64>, u64)>, IoError> {
        let dir = self.log.dir.path();
        let mut listings = 0;
        'list: loop {
            listings += 1;
            let entries = match self.storage().list(dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                entries => entries.map_err(IoError::context("list", dir))?,
            };
            let mut ordinals: Vec<_> = entries.iter().filter_map(|entry| ordinal_of(&entry.name)).collect();
            ordinals.sort_unstable();
            let mut trim = 0;
            for &ordinal in ordinals.iter().rev() {
                match self.head(ordinal)? {
                    // Every slot knows what those before it knew.
                    Some(head) => {
                        if let Some(slot) = head.slot() {
                            trim = slot.trim;
                            break;
                        }
                    }
                    // Then the list is not what there is.
                    None if listings < LISTINGS => continue 'list,
                    None => {}
                }
            }
            return Ok(Some((ordinals, trim)));
        }
    }

    /// Goes on to the next segment, if there is one and the tail has come to its end. Returns whether it did.
    fn step(&mut self, listed: &[u64]) -> Result<bool, IoError> {
        let ordinal = self.state.next_ordinal;
        let Some(head) = self.head(ordinal)? else {
            return self.step_over_missing(ordinal, listed);
        };
        let identity = match head.identity {
            Ok(identity) => identity,
            Err(fault) => {
                drop(self.finish_tail());
                self.fence(head, ordinal, fault.to_string());
                return Ok(true);
            }
        };
        let slot = match head.slots {
            SlotFact::Valid(slot) => slot,
            // Prepared and not begun; or all that a power cut has left of it, of which recovery will say what becomes.
            SlotFact::Blank if !self.is_durable_after(ordinal)? => return Ok(false),
            SlotFact::Blank | SlotFact::Damaged => {
                let base = head.first_frame(&identity)?.or(self.state.next());
                Slot::blank(base.unwrap_or(self.state.durable))
            }
        };
        if !self.close_tail(&head, ordinal, &slot)? {
            return Ok(false);
        }
        if self.state.next().is_some_and(|expected| slot.base < expected) {
            self.fence(head, ordinal, "its sequence numbers were used before".to_owned());
        } else if head.len < HEADER_LEN + FIXED_HEADER_LEN {
            self.fence(head, ordinal, "the file ends before its first record".to_owned());
        } else {
            self.begin(&head, ordinal, identity, slot)?;
        }
        Ok(true)
    }

    /// Whether the tail has come to its end, now that a segment has begun behind it. What is missing between them for good is
    /// fenced.
    fn close_tail(&mut self, head: &Head, ordinal: u64, slot: &Slot) -> Result<bool, IoError> {
        let readable = self.state.tail.as_ref().is_some_and(|tail| tail.readable);
        if !readable {
            return Ok(true);
        }
        if self.state.next().is_some_and(|next| next < slot.base) {
            // Between looking at the tail and at the next segment, records may have been appended, or recovery may have sealed
            // the tail.
            if !self.look_at_tail()? {
                // Trimmed meanwhile.
                self.tail_lost = true;
                return Ok(false);
            }
        }
        let next = self.state.next();
        if next.is_none_or(|next| next >= slot.base) {
            self.leave_tail();
            return Ok(true);
        }
        if !head.is_durable() && !self.is_durable_after(ordinal)? {
            // A power cut has taken records in between. What follows them will be taken back.
            return Ok(false);
        }
        let end = match self.state.tail.as_ref().and_then(|tail| tail.growing.as_ref()) {
            Some(growing) => growing.extent().end as u64,
            None => 0,
        };
        if let Some(path) = self.state.tail.as_ref().map(|tail| tail.path.clone()) {
            drop(self.finish_tail());
            self.log.list().push_gap(Gap { path, offset: end, reason: "records are missing".to_owned() });
        }
        self.state.expected = None;
        Ok(true)
    }

    /// Everything in the tail has been seen, but may not be durable yet.
    fn leave_tail(&mut self) {
        if let Some(segment) = self.finish_tail() {
            self.state.unsettled.push_back(segment);
        }
    }

    /// Whether a segment behind `ordinal` has records that are known to be on disk.
    fn is_durable_after(&self, ordinal: u64) -> Result<bool, IoError> {
        let mut later = ordinal + 1;
        while let Some(head) = self.head(later)? {
            if head.is_durable() {
                return Ok(true);
            }
            later += 1;
        }
        Ok(false)
    }

    /// Takes a segment that has begun.
    fn begin(&mut self, head: &Head, ordinal: u64, identity: Identity, slot: Slot) -> Result<(), IoError> {
        let extent = Extent::of(&slot);
        let short = extent.end > head.len;
        let mut growing = None;
        let segment = if short || slot.state == SlotState::Sealed {
            self.state.expected = (!short).then_some(slot.successor_base);
            self.state.last_time = extent.last_time;
            let slots = Slots::found(identity.signature(), slot, 0, false);
            Arc::new(Segment::sealed(head.path.clone(), identity, slots, extent))
        } else {
            let opened = growing.insert(Growing::open(head, identity, slot)?);
            opened.advance();
            self.state.last_time = opened.extent().last_time;
            Arc::clone(opened.segment())
        };
        self.log.list().push(segment);
        self.trim(slot.trim);
        self.move_on(head, ordinal, growing, true);
        Ok(())
    }

    /// Passes a segment that cannot be read: readers that come there are told.
    fn fence(&mut self, head: Head, ordinal: u64, reason: String) {
        self.log.list().push_gap(Gap { path: head.path.clone(), offset: 0, reason });
        self.state.expected = None;
        self.move_on(&head, ordinal, None, false);
    }

    fn move_on(&mut self, head: &Head, ordinal: u64, growing: Option<Growing>, readable: bool) {
        self.state.tail = Some(Tail { path: head.path.clone(), ordinal, id: head.id(), growing, readable });
        self.state.next_ordinal = ordinal + 1;
    }

    /// Passes segments that are not there although later ones are. Returns whether there are any.
    fn step_over_missing(&mut self, ordinal: u64, listed: &[u64]) -> Result<bool, IoError> {
        if !listed.iter().any(|&listed| listed > ordinal) {
            return Ok(false);
        }
        // They may have been removed since, or have come.
        let Some((listed, trim)) = self.list()? else {
            return Ok(false);
        };
        if trim > ordinal {
            self.trim(trim);
            self.state.next_ordinal = trim;
            self.state.expected = None;
            return Ok(true);
        }
        match listed.into_iter().find(|&listed| listed >= ordinal) {
            None => Ok(false),
            Some(found) if found == ordinal => Ok(true),
            Some(later) => {
                drop(self.finish_tail());
                let reason = format!("segments {ordinal} to {} are missing", later - 1);
                self.log.list().push_gap(Gap { path: self.path_of(later), offset: 0, reason });
                self.state.next_ordinal = later;
                self.state.expected = None;
                Ok(true)
            }
        }
    }

    /// Finds out how far everything is durable. Segments are synced in order.
    fn settle(&mut self) -> Result<(), IoError> {
        while let Some(oldest) = self.state.unsettled.front() {
            let slot = match self.head_at(oldest.path(), oldest.ordinal())? {
                Some(head) if head.id() == Some(oldest.identity().id) => head.slot(),
                // Trimmed, and nothing is trimmed that is not durable.
                _ => Some(Slot { state: SlotState::Sealed, ..oldest.slot() }),
            };
            let sealed = slot.is_some_and(|slot| slot.state == SlotState::Sealed);
            let durable = match slot {
                _ if sealed => oldest.extent().end,
                Some(slot) => Extent::of(&slot).end,
                None => 0,
            };
            oldest.note_durable(durable);
            if !sealed {
                if let Some(slot) = slot {
                    self.state.durable = self.state.durable.max(slot.next);
                }
                return Ok(());
            }
            self.state.unsettled.pop_front();
        }
        let durable = match self.state.tail.as_ref().and_then(|tail| tail.growing.as_ref()) {
            Some(growing) => Some(growing.durable_next()),
            None => self.state.expected,
        };
        if let Some(durable) = durable {
            self.state.durable = self.state.durable.max(durable);
        }
        Ok(())
    }

    fn head_at(&self, path: &Path, ordinal: u64) -> Result<Option<Head>, IoError> {
        Head::read(self.storage(), path.to_owned(), ordinal, self.shard)
    }
}
