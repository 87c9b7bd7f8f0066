//! A mapped file as an append-only run of bytes.
//!
//! # The argument for safety, once
//!
//! A region is `header | published bytes | unpublished bytes`.
//!
//! * **Published bytes** never change. They are handed out as `&[u8]`.
//! * **Unpublished bytes** are touched by the region's one [`RegionWriter`] alone, through raw pointers, or on its behalf by
//!   the kernel, through the mapped file; no reference to them is ever made. [`Region::new`] makes exactly one writer, it cannot be cloned, and writing
//!   takes `&mut`.
//! * The boundary between the two is [`Published`]: moved by the writer with `Release` after its stores, read
//!   with `Acquire` before a slice is made. It only moves forward.
//! * **The header** is not reached through the mapping at all: it is read and written through the file.
//!
//! A region that another process writes ([`Region::followed`]) is mapped read-only and has no writer here. Its unpublished
//! bytes are looked at in one place only, [`RegionFollower::ahead`]: a frame whose length word is there has been
//! published by the other process and never changes, and where nothing was published, nothing but that word is read.
//!
//! What no program can rule out is another process that scribbles over or truncates the file. The writer's
//! lock keeps other writers of ours away, readers of ours map read-only, nothing of ours ever shortens a
//! mapped file; the rest is in `docs/DESIGN.md` under "Assumptions about the disk".

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use super::crc;
use super::mapping::Mapping;
use super::published::{Extent, Published};

/// Frames start on this boundary, so that a length word can never be torn.
pub(crate) const FRAME_ALIGNMENT: usize = 8;

/// A mapping with a published prefix. Shared by readers.
#[derive(Debug)]
pub(crate) struct Region {
    map: Mapping,
    base: NonNull<u8>,
    /// Where frames begin; before it lies the header.
    start: usize,
    published: Published,
    /// Pages before this offset have been faulted in for writing.
    populated: AtomicUsize,
    #[cfg(feature = "arrow")]
    validated: super::validated::Validated,
}

// SAFETY: see the argument at the top of this module: shared access is to bytes that no longer change, or
// through atomics.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// A region over `map` whose frames begin at `start` and of which `start..end` is published already, with
    /// the writer for the rest. `None` when the bounds do not fit or the mapping is read-only.
    pub(crate) fn new(map: Mapping, start: usize, end: usize) -> Option<(Arc<Self>, RegionWriter)> {
        if !map.writable() {
            return None;
        }
        let region = Arc::new(Self::checked(map, start, end)?);
        let writer = RegionWriter { region: Arc::clone(&region), end };
        Some((region, writer))
    }

    /// A region that will not grow: `start..end` is all there is.
    pub(crate) fn sealed(map: Mapping, start: usize, end: usize) -> Option<Arc<Self>> {
        let region = Self::checked(map, start, end)?;
        region.published.close();
        Some(Arc::new(region))
    }

    /// A region that another process writes, of which `start..end` is published already, with what follows the rest.
    pub(crate) fn followed(map: Mapping, start: usize, end: usize) -> Option<(Arc<Self>, RegionFollower)> {
        let region = Arc::new(Self::checked(map, start, end)?);
        let follower = RegionFollower { region: Arc::clone(&region), end };
        Some((region, follower))
    }

    fn checked(map: Mapping, start: usize, end: usize) -> Option<Self> {
        let aligned = start.is_multiple_of(FRAME_ALIGNMENT) && end.is_multiple_of(FRAME_ALIGNMENT);
        if !aligned || start > end || end > map.len() {
            return None;
        }
        let base = map.base();
        #[cfg(feature = "arrow")]
        let validated = super::validated::Validated::new(map.len());
        Some(Self {
            map,
            base,
            start,
            published: Published::new(end),
            populated: AtomicUsize::new(0),
            #[cfg(feature = "arrow")]
            validated,
        })
    }

    /// Which of the published columns are known to be valid.
    #[cfg(feature = "arrow")]
    pub(crate) fn validated(&self) -> &super::validated::Validated {
        &self.validated
    }

    pub(crate) fn capacity(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.map
    }

    /// Takes note that all pages before `offset` that are still to be written have been faulted in.
    pub(crate) fn note_populated(&self, offset: usize) {
        self.populated.fetch_max(offset, Ordering::Relaxed);
    }

    /// Before this offset a store costs no page fault, unless a sync has taken the page away since.
    pub(crate) fn populated(&self) -> usize {
        self.populated.load(Ordering::Relaxed)
    }

    /// How far the region may be read now.
    pub(crate) fn extent(&self) -> Extent {
        self.published.load()
    }

    /// Says that nothing more will be published.
    pub(crate) fn close(&self) {
        self.published.close();
    }

    /// Published bytes; `None` when any of them is not published (or belongs to the header).
    pub(crate) fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        let len = range.end.checked_sub(range.start)?;
        if range.start < self.start || range.end > self.published.load().end {
            return None;
        }
        // SAFETY: `start <= range.start <= range.end <= published <= map.len()`, so the offset stays inside
        // the one mapping.
        let first = unsafe { self.base.add(range.start) };
        // SAFETY: published bytes are initialised, never change, and stay mapped for as long as `self` lives.
        Some(unsafe { std::slice::from_raw_parts(first.as_ptr(), len) })
    }
}

/// The frames of a region that were published when this was made. Reading them looks at the region no more.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    region: Arc<Region>,
    base: NonNull<u8>,
    start: usize,
    end: usize,
}

// SAFETY: as for `Region`: what it reaches is bytes that no longer change.
unsafe impl Send for Prefix {}
// SAFETY: as above.
unsafe impl Sync for Prefix {}

impl Prefix {
    /// The frames of `region` before `end`, or as many of them as are published.
    pub(crate) fn new(region: Arc<Region>, end: usize) -> Self {
        let (base, start) = (region.base, region.start);
        let end = end.clamp(start, region.extent().end);
        Self { region, base, start, end }
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// The offset behind the last byte.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// The bytes from `offset` of the region on; `None` when there are none.
    #[inline]
    pub(crate) fn from(&self, offset: usize) -> Option<&[u8]> {
        if offset < self.start || offset >= self.end {
            return None;
        }
        // SAFETY: `start <= offset < end`, and `new` has seen to it that `end` is published, so inside the mapping.
        let first = unsafe { self.base.add(offset) };
        // SAFETY: published bytes are initialised, never change, and stay mapped for as long as `region` lives.
        Some(unsafe { std::slice::from_raw_parts(first.as_ptr(), self.end - offset) })
    }
}

impl AsRef<[u8]> for Prefix {
    fn as_ref(&self) -> &[u8] {
        self.from(self.start).unwrap_or_default()
    }
}

/// The one writer of a region.
#[derive(Debug)]
pub(crate) struct RegionWriter {
    region: Arc<Region>,
    end: usize,
}

impl RegionWriter {
    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Where the next frame will start.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Bytes left.
    pub(crate) fn remaining(&self) -> usize {
        self.region.capacity() - self.end
    }

    /// Room for one frame of `len` bytes; `None` when it does not fit. The first `header_len` are left to [`Slot::publish`].
    #[inline]
    pub(crate) fn reserve(&mut self, len: usize, header_len: usize) -> Option<Slot<'_>> {
        let padded = len.checked_next_multiple_of(FRAME_ALIGNMENT)?;
        if len <= FRAME_ALIGNMENT || header_len > len || padded > self.remaining() {
            return None;
        }
        let start = self.end;
        let next = start + padded;
        // SAFETY: `start + FRAME_ALIGNMENT < next <= capacity`.
        unsafe { self.clear_padding(next) };
        let body = start + header_len;
        Some(Slot { writer: self, start, body, cursor: body, limit: start + len, next })
    }

    /// Room for one frame that is nothing but a header, a key and data, which are written already: what [`reserve`](Self::reserve) and
    /// [`Slot::write`] of each do, with one check for all of them. Returns the checksum of key and data too, which is `checksum` if
    /// it is known, and else computed while they are copied.
    #[inline(always)]
    pub(crate) fn reserve_written(
        &mut self,
        header_len: usize,
        key: &[u8],
        data: &[u8],
        checksum: Option<u32>,
    ) -> Option<(Slot<'_>, u32)> {
        let len = header_len.saturating_add(key.len()).saturating_add(data.len());
        let whole_words = self.remaining() & !(FRAME_ALIGNMENT - 1);
        if header_len <= FRAME_ALIGNMENT || len > whole_words {
            return None;
        }
        let start = self.end;
        let body = start + header_len;
        let data_start = body + key.len();
        let next = start + len.next_multiple_of(FRAME_ALIGNMENT);
        // SAFETY: `start + FRAME_ALIGNMENT < start + len <= next <= capacity`.
        unsafe { self.clear_padding(next) };
        // SAFETY: `body + key.len() == data_start <= start + len <= capacity`.
        unsafe { self.store(body, key) };
        let checksum = match checksum {
            Some(checksum) => {
                // SAFETY: `data_start + data.len() == start + len <= capacity`.
                unsafe { self.store(data_start, data) };
                checksum
            }
            // SAFETY: as above.
            None => unsafe { self.store_checksummed(data_start, data, crc::of(key)) },
        };
        let limit = start + len;
        Some((Slot { writer: self, start, body, cursor: limit, limit, next }, checksum))
    }

    /// Has the processor fetch the lines that a frame of so many bytes takes, or the first four of them, some way ahead of the
    /// writer: what comes there is then stored without waiting for memory.
    #[inline]
    pub(crate) fn fetch_ahead(&self, len: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            let ahead = self.region.base.as_ptr().wrapping_add(self.end + AHEAD);
            let mut fetched = 0;
            while fetched < len.min(4 * LINE) {
                // SAFETY: nothing is read or written, nor is there a fault, whatever is at that address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(fetched).cast()) };
                fetched += LINE;
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = len;
    }

    /// Stores bytes at an offset of the region.
    ///
    /// # Safety
    ///
    /// They fit into the region's unpublished part.
    #[inline]
    unsafe fn store(&mut self, offset: usize, bytes: &[u8]) {
        // SAFETY: the caller has seen to it that the offset stays inside the mapping.
        let target = unsafe { self.region.base.add(offset) };
        // SAFETY: the target lies in the unpublished part, which this writer alone touches (`&mut`), and no slice of the
        // caller's can overlap it, because no reference to unpublished bytes is ever made.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), bytes.len()) };
    }

    /// The same; returns the checksum of some bytes followed by these, where that of the first is `crc`.
    ///
    /// # Safety
    ///
    /// As for [`store`](Self::store).
    #[inline]
    unsafe fn store_checksummed(&mut self, offset: usize, bytes: &[u8], crc: u32) -> u32 {
        // SAFETY: the caller has seen to it that the offset stays inside the mapping.
        let target = unsafe { self.region.base.add(offset) };
        // SAFETY: as for `store`.
        unsafe { crc::copy(crc, bytes, target.as_ptr()) }
    }

    /// Has zeros in the last word of the frame that ends before `next`: its padding lies there. Whatever a slot that was dropped
    /// has left there goes; what the frame itself has there is written over this.
    ///
    /// # Safety
    ///
    /// The word lies in the region's unpublished part, behind the frame's first word.
    #[inline]
    unsafe fn clear_padding(&mut self, next: usize) {
        // SAFETY: as for `store`.
        unsafe { self.store(next - FRAME_ALIGNMENT, &[0; FRAME_ALIGNMENT]) };
    }

    /// Stores the header of the frame at `start`, its length word last, with `Release`, and moves the published end past the frame:
    /// from here on every reader sees the frame, whole. Returns whether the header has a length word.
    ///
    /// # Safety
    ///
    /// `start` is the published end and `next` not above the capacity; what lies between them has room for the header, and is
    /// initialised behind it.
    #[must_use]
    #[inline]
    unsafe fn publish(&mut self, start: usize, header: &[u8], next: usize) -> bool {
        let Some((length, rest)) = header.split_first_chunk() else {
            return false;
        };
        // SAFETY: the caller has seen to it that there is room.
        unsafe { self.store(start + LENGTH_WORD, rest) };
        // SAFETY: `start < next <= capacity`, so the offset stays inside the mapping.
        let word = unsafe { self.region.base.add(start) };
        // SAFETY: frames start on 8-byte boundaries of a page-aligned mapping, so the word is aligned; it is
        // unpublished, and its other readers (of other processes) load it atomically.
        let word = unsafe { AtomicU32::from_ptr(word.as_ptr().cast()) };
        word.store(u32::from_ne_bytes(*length), Ordering::Release);
        self.end = next;
        self.region.published.publish(next);
        true
    }
}

/// Publishes in this process what another one has written.
#[derive(Debug)]
pub(crate) struct RegionFollower {
    region: Arc<Region>,
    end: usize,
}

impl RegionFollower {
    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// The bytes behind the published end, as many as the length word there says, if they fit. `None` while there is no
    /// such word. Whether they are a frame is for the caller to find out.
    pub(crate) fn ahead(&self) -> Option<&[u8]> {
        let room = self.region.capacity().checked_sub(self.end).filter(|&room| room >= LENGTH_WORD)?;
        // SAFETY: `end + LENGTH_WORD <= capacity`, so the word lies inside the mapping.
        let first = unsafe { self.region.base.add(self.end) };
        // SAFETY: frames start on 8-byte boundaries of a page-aligned mapping, so the word is aligned; it is mapped for as
        // long as the region lives, and the process that writes it stores it atomically.
        let word = unsafe { AtomicU32::from_ptr(first.as_ptr().cast()) };
        // Together they are a load with `Acquire`, which by itself is not promised to work where memory is mapped read-only.
        let length = u32::from_le(word.load(Ordering::Relaxed)) as usize;
        fence(Ordering::Acquire);
        if length == 0 {
            return None;
        }
        // SAFETY: not longer than the rest of the mapping. The length word is published last, so what it counts was
        // written before and does not change; after a power cut it may count bytes that are no frame, which nobody
        // writes to either: a segment is not resumed behind bytes that are not zero.
        Some(unsafe { std::slice::from_raw_parts(first.as_ptr(), length.min(room)) })
    }

    /// Publishes the `len` bytes behind the published end. Returns whether the region has as many.
    #[must_use]
    pub(crate) fn publish(&mut self, len: usize) -> bool {
        let Some(end) = self.end.checked_add(len).filter(|&end| end <= self.region.capacity()) else {
            return false;
        };
        self.end = end;
        self.region.published.publish(end);
        true
    }
}

/// Bytes that the processor fetches at once.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;
/// How far ahead of the writer [`RegionWriter::fetch_ahead`] begins.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 2048;
/// Bytes of a frame's length word.
const LENGTH_WORD: usize = size_of::<u32>();

/// Room for one frame that nobody can see yet. Dropped without being published, it leaves its bytes to the
/// next frame.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    writer: &'a mut RegionWriter,
    start: usize,
    /// Where the header ends.
    body: usize,
    cursor: usize,
    limit: usize,
    next: usize,
}

impl Slot<'_> {
    /// The frame's first byte, as an offset of the region.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Bytes of the frame, its padding not included.
    pub(crate) fn len(&self) -> usize {
        self.limit - self.start
    }

    /// Appends bytes to what is behind the header. Returns whether they fitted; nothing is written when they do not.
    #[must_use]
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        let Some(after) = self.after(bytes) else {
            return false;
        };
        // SAFETY: `cursor <= after <= limit <= capacity`, and what is behind `start` is not published.
        unsafe { self.writer.store(self.cursor, bytes) };
        self.cursor = after;
        true
    }

    /// The same; makes `crc` the checksum of what it was that of followed by these bytes.
    #[must_use]
    pub(crate) fn write_checksummed(&mut self, bytes: &[u8], crc: &mut u32) -> bool {
        let Some(after) = self.after(bytes) else {
            return false;
        };
        // SAFETY: as in `write`.
        *crc = unsafe { self.writer.store_checksummed(self.cursor, bytes, *crc) };
        self.cursor = after;
        true
    }

    /// Where these bytes end if they come next; `None` when they do not fit.
    #[inline]
    fn after(&self, bytes: &[u8]) -> Option<usize> {
        self.cursor.checked_add(bytes.len()).filter(|&after| after <= self.limit)
    }

    /// As [`write`](Self::write), where `into_file` writes bytes to an offset of the mapped file. When it fails, some of them
    /// may be there: [`wipe`](Self::wipe) the slot then.
    pub(crate) fn write_through(
        &mut self,
        bytes: &[u8],
        into_file: impl FnOnce(&[u8], u64) -> io::Result<()>,
    ) -> io::Result<bool> {
        let Some(after) = self.after(bytes) else {
            return Ok(false);
        };
        into_file(bytes, self.cursor as u64)?;
        self.cursor = after;
        Ok(true)
    }

    /// Gives up the frame, and leaves nothing of it behind.
    pub(crate) fn wipe(self) {
        // SAFETY: `start < next <= capacity`, so the offset stays inside the mapping.
        let first = unsafe { self.writer.region.base.add(self.start) };
        // SAFETY: the bytes lie in the unpublished part, which this writer alone touches (`&mut`), to which no reference is
        // ever made.
        unsafe { std::ptr::write_bytes(first.as_ptr(), 0, self.next - self.start) };
    }

    /// Appends zeros up to `offset`, counted from the frame's first byte. Returns whether that fitted.
    #[must_use]
    pub(crate) fn pad_to(&mut self, offset: usize) -> bool {
        let Some(missing) = (self.start + offset).checked_sub(self.cursor) else {
            return false;
        };
        ZEROS.get(..missing).is_some_and(|zeros| self.write(zeros))
    }

    /// Publishes the frame, of which this is the header: its length word first, which is stored last. Returns whether it is as long as
    /// the room for it; nothing is visible when it is not.
    #[must_use]
    #[inline]
    pub(crate) fn publish(self, header: &[u8]) -> bool {
        // SAFETY: as `reserve` made it. A file's bytes are initialised from the start: what nobody wrote is zero.
        header.len() == self.body - self.start
            && unsafe { self.writer.publish(self.start, header, self.next) }
    }
}

/// The longest padding inside a frame: columnar bodies start on 64-byte boundaries.
static ZEROS: [u8; 64] = [0; 64];

#[cfg(all(test, not(loom)))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::sys::storage::Access;
    use memmap2::MmapMut;

    const LENGTH_13: [u8; 4] = [13, 0, 0, 0];

    fn region(len: usize) -> (Arc<Region>, RegionWriter) {
        let raw = memmap2::MmapRaw::from(MmapMut::map_anon(len).unwrap());
        Region::new(Mapping::of_memory(Arc::new(raw), Access::Write), 64, 64).unwrap()
    }

    #[test]
    fn bytes_are_invisible_until_published_and_whole_afterwards() {
        let (region, mut writer) = region(4096);
        let mut slot = writer.reserve(13, 4).unwrap();
        assert!(slot.write(b"nine byte"));
        assert!(!slot.write(b"one too many"));
        assert_eq!(region.bytes(64..80), None);
        assert!(slot.publish(&LENGTH_13));
        assert_eq!(region.bytes(64..77).unwrap(), b"\x0d\0\0\0nine byte");
        assert_eq!(region.extent(), Extent { end: 80, closed: false });
        assert_eq!(region.bytes(60..70), None, "the header is never a slice");
        assert_eq!(region.bytes(64..81), None);
    }

    #[test]
    fn a_dropped_slot_leaves_its_room_to_the_next_frame() {
        let (region, mut writer) = region(4096);
        let mut slot = writer.reserve(16, 4).unwrap();
        assert!(slot.write(b"abandoned..."));
        let Slot { .. } = slot;
        let slot = writer.reserve(16, 6).unwrap();
        assert!(!slot.publish(b"not 6"));
        assert_eq!(region.bytes(64..80), None);
        let mut slot = writer.reserve(13, 4).unwrap();
        assert!(slot.write(b"nine byte"));
        assert!(slot.publish(&LENGTH_13));
        assert_eq!(region.bytes(64..80).unwrap(), b"\x0d\0\0\0nine byte\0\0\0");
    }

    #[test]
    fn a_wiped_slot_leaves_zeros() {
        let (region, mut writer) = region(4096);
        let mut slot = writer.reserve(40, 4).unwrap();
        assert!(slot.write(b"stored"));
        // Half of it arrives.
        let refused = slot.write_through(b"written", |bytes, offset| {
            assert_eq!((bytes.len(), offset), (7, 64 + 4 + 6));
            Err(io::ErrorKind::Other.into())
        });
        assert!(refused.is_err());
        slot.wipe();
        let slot = writer.reserve(40, 4).unwrap();
        assert!(slot.publish(&[40, 0, 0, 0]));
        assert_eq!(region.bytes(68..104).unwrap(), [0; 36]);
    }

    #[test]
    fn reserve_refuses_what_does_not_fit() {
        let (_region, mut writer) = region(128);
        assert!(writer.reserve(65, 4).is_none());
        assert!(writer.reserve(8, 4).is_none(), "no frame is as short as that");
        assert!(writer.reserve(usize::MAX, 4).is_none());
        assert!(writer.reserve(63, 64).is_none(), "no room for the header");
        assert!(writer.reserve(64, 4).is_some());
    }
}
