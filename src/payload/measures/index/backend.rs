//! The file of a version index, on the store's disk.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;

use crate::sys::storage::StorageFile;

/// A file as `redb` wants it. No lock of its own: the table holds the store's.
#[derive(Debug)]
pub(super) struct IndexFile(pub(super) Arc<dyn StorageFile>);

impl StorageBackend for IndexFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.0.read_at(out, offset)? == out.len() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the version index ends too early"))
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match len.cmp(&self.0.len()?) {
            std::cmp::Ordering::Greater => self.0.allocate(len),
            std::cmp::Ordering::Less => self.0.truncate(len),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
