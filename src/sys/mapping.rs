//! A mapped file, as raw memory.

use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Advice, MmapRaw};

use super::storage::Access;

/// Mapped bytes that stay mapped for as long as any clone lives. Reading and writing them is
/// [`Region`](super::region::Region)'s business.
#[derive(Clone)]
pub(crate) struct Mapping {
    raw: Arc<MmapRaw>,
    access: Access,
    len: usize,
}

impl Mapping {
    pub(crate) fn new(raw: Arc<MmapRaw>, access: Access) -> Self {
        let len = raw.len();
        Self { raw, access, len }
    }

    /// The first `len` bytes of this mapping; `None` when it is shorter.
    #[cfg(feature = "testing")]
    pub(crate) fn truncated(mut self, len: usize) -> Option<Self> {
        (len <= self.len).then(|| {
            self.len = len;
            self
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn writable(&self) -> bool {
        self.access == Access::Write
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        // A successful mapping is never at address zero; `dangling` keeps this total without a panic.
        NonNull::new(self.raw.as_mut_ptr()).unwrap_or(NonNull::dangling())
    }

    /// Tells the kernel that this mapping will be read and written here and there. Without it, read-ahead
    /// fills the page cache with large folios, and every small synced store through the mapping then writes
    /// a whole folio, a megabyte or two, to the device.
    pub(crate) fn advise_random(&self) -> io::Result<()> {
        self.raw.advise(Advice::Random)
    }

    /// Faults the pages of `range` in for writing, so that the first store to each costs no page fault. The pages
    /// become dirty: the next sync writes them. Kernels before 5.14 do not know the request; then pages are
    /// faulted in as they are used.
    pub(crate) fn populate(&self, range: Range<usize>) -> io::Result<()> {
        let end = range.end.min(self.len());
        let Some(len) = end.checked_sub(range.start).filter(|&len| len > 0) else {
            return Ok(());
        };
        match self.raw.advise_range(Advice::PopulateWrite, range.start, len) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            outcome => outcome,
        }
    }

    /// Has what was stored in `range` written to the disk, and waits for it.
    pub(crate) fn write_back(&self, range: Range<usize>) -> io::Result<()> {
        let end = range.end.min(self.len());
        match end.checked_sub(range.start).filter(|&len| len > 0) {
            Some(len) => self.raw.flush_range(range.start, len),
            None => Ok(()),
        }
    }

    /// Leaves the mapping out of core dumps, which would otherwise contain the whole log.
    pub(crate) fn advise_dont_dump(&self) -> io::Result<()> {
        self.raw.advise(Advice::DontDump)
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len()).field("access", &self.access).finish()
    }
}
