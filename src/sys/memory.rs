//! Memory that stands in for a file's mapped pages in the testing kit.

use std::io;
use std::sync::Arc;

use memmap2::{MmapMut, MmapRaw};

use super::mapping::Mapping;
use super::storage::Access;

/// Anonymous memory of a fixed length. Read and written byte by byte here, and mapped by the engine as if it
/// were a file; nobody ever holds a reference into it outside [`Region`](super::region::Region).
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    raw: Arc<MmapRaw>,
}

impl Memory {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> io::Result<Self> {
        // A mapping cannot be empty.
        Ok(Self { raw: Arc::new(MmapRaw::from(MmapMut::map_anon(len.max(1))?)) })
    }

    pub(crate) fn map(&self, access: Access) -> Mapping {
        Mapping::of_memory(Arc::clone(&self.raw), access)
    }

    /// Copies bytes out; `false` when they are not all inside.
    #[must_use]
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        if !self.contains(offset, into.len()) {
            return false;
        }
        // SAFETY: inside the mapping by the check above.
        let from = unsafe { self.raw.as_ptr().add(offset) };
        // SAFETY: the source is mapped and initialised for `into.len()` bytes; `into` is our own and cannot overlap
        // it. A put that runs at this very moment may leave a mixture of old and new bytes, as a power cut does.
        unsafe { std::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        true
    }

    /// Copies bytes in; `false` when they do not all fit inside.
    #[must_use]
    pub(crate) fn write(&self, offset: usize, from: &[u8]) -> bool {
        if !self.contains(offset, from.len()) {
            return false;
        }
        // SAFETY: inside the mapping by the check above.
        let into = unsafe { self.raw.as_mut_ptr().add(offset) };
        // SAFETY: the target is mapped for `from.len()` bytes and cannot overlap `from`. The engine writes only segment headers and
        // bytes that are not published this way, to which no reference is ever made (see `sys/region.rs`).
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into, from.len()) };
        true
    }

    fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.raw.len())
    }
}
