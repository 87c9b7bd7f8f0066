//! The file of a version index, on the store's disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use crate::sys::storage::StorageFile;

/// A file as `redb` wants it. No lock of its own: the table holds the store's.
#[derive(Debug)]
pub(super) struct IndexFile {
    pub(super) file: Arc<dyn StorageFile>,
    /// Set once a sync has failed: what the file reads as may never be on disk then.
    pub(super) sync_failed: Arc<AtomicBool>,
}

impl StorageBackend for IndexFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.file.read_at(out, offset)? == out.len() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the version index ends too early"))
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match len.cmp(&self.file.len()?) {
            std::cmp::Ordering::Greater => self.file.allocate(len),
            std::cmp::Ordering::Less => self.file.truncate(len),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| self.sync_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
