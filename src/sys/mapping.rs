//! A mapped file, as raw memory.

use std::fmt;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Advice, MmapRaw, UncheckedAdvice};

use super::storage::Access;

/// The unit in which pages are let go of. Where they are larger, the writer may have to be given its own one again.
const PAGE: usize = 4096;

/// Mapped bytes that stay mapped for as long as any clone lives. Reading and writing them is
/// [`Region`](super::region::Region)'s business.
#[derive(Clone)]
pub(crate) struct Mapping {
    raw: Arc<MmapRaw>,
    access: Access,
    len: usize,
    /// The bytes are a file's, and stay there when a page is not mapped.
    is_file: bool,
}

impl Mapping {
    /// Of memory that is nobody else's.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn of_memory(raw: Arc<MmapRaw>, access: Access) -> Self {
        let len = raw.len();
        Self { raw, access, len, is_file: false }
    }

    /// Of a file, shared with whoever else maps, reads or writes it.
    pub(crate) fn of_file(raw: Arc<MmapRaw>, access: Access) -> Self {
        let len = raw.len();
        Self { raw, access, len, is_file: true }
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

    /// Takes the pages of `range` out of this mapping, all at once: whoever touches one again is given it again, with the bytes that it
    /// had. For what is going to be written to the disk and not to be stored to any more. The kernel would take each page from
    /// the mapping when it writes it, and each time interrupt the processors that run this program's threads.
    pub(crate) fn let_go(&self, range: Range<usize>) {
        let (start, end) = (range.start, range.end.min(self.len()));
        // The last page may be the one that is stored to next.
        let Some(len) = (end - end % PAGE).checked_sub(start).filter(|&len| len > 0 && self.is_file) else {
            return;
        };
        // SAFETY: the range lies inside the mapping, which is a shared one of a file. Of such a page the kernel forgets here
        // where it is mapped, after it has noted that it is dirty; the page itself stays in the page cache, which is what any
        // other access finds. So no byte changes, for nobody.
        let outcome = unsafe { self.raw.unchecked_advise_range(UncheckedAdvice::DontNeed, start, len) };
        // Without it, as for a program that has locked its memory, writing takes longer.
        drop(outcome);
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
