//! The real file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use memmap2::MmapOptions;
use rustix::fs::{Advice, FallocateFlags, OFlags};

use super::mapping::Mapping;
use super::storage::{Access, Entry, Lock, Storage, StorageFile, write_zeros};

/// How many files this process may have open; `None` when there is no limit.
pub(crate) fn descriptor_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// Files and directories of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OsStorage;

impl Storage for OsStorage {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create_file(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open_file(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn available_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path, about_me: &str) -> io::Result<Lock> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // A courtesy to others: without room for it, the lock is held all the same.
                drop(overwrite(&file, about_me.as_bytes()));
                Ok(Lock::Acquired(Box::new(Held(file))))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy: that it is held is the answer.
                let holder = match file.read_to_string(&mut holder) {
                    Ok(length) if length > 0 => Some(holder),
                    _ => None,
                };
                Ok(Lock::Held { holder })
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Writes `bytes` over what a file holds. It keeps its block: to free one and to take another would have the next sync of
/// anything wait for the file system's journal.
fn overwrite(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)?;
    let len = bytes.len() as u64;
    if file.metadata()?.len() > len { file.set_len(len) } else { Ok(()) }
}

/// The writer's lock.
#[derive(Debug)]
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing would do, were it not for a process that is being started at this moment and still shares the file. There
        // is nobody to tell of an error, and then closing does it.
        drop(self.0.unlock());
    }
}

#[derive(Debug)]
struct OsFile(File);

impl OsFile {
    /// Writes past the page cache, which some file systems refuse, and all refuse what is not aligned. Nobody else uses this opening of
    /// the file meanwhile.
    fn write_direct(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        const ALIGNMENT: usize = 4096;
        let mut aligned = vec![0; buf.len() + ALIGNMENT];
        let start = aligned.as_ptr().align_offset(ALIGNMENT);
        let aligned = aligned.get_mut(start..).and_then(|rest| rest.get_mut(..buf.len()));
        let aligned = aligned.ok_or(io::ErrorKind::InvalidInput)?;
        aligned.copy_from_slice(buf);
        let flags = rustix::fs::fcntl_getfl(&self.0)?;
        rustix::fs::fcntl_setfl(&self.0, flags | OFlags::DIRECT)?;
        let written = self.0.write_all_at(aligned, offset);
        rustix::fs::fcntl_setfl(&self.0, flags)?;
        written
    }
}

impl StorageFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(self, 0..len),
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(feature = "measures")]
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write_anew(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        // Past the page cache, whose pages are dropped, also where they are mapped.
        match self.write_direct(buf, offset) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
            written => return written,
        }
        rustix::fs::fadvise(&self.0, offset, NonZeroU64::new(buf.len() as u64), Advice::DontNeed)?;
        self.write_all_at(buf, offset)
    }

    fn map(&self, len: usize, access: Access) -> io::Result<Mapping> {
        let mut options = MmapOptions::new();
        options.len(len);
        let raw = match access {
            Access::Write => options.map_raw(&self.0)?,
            Access::Read => options.map_raw_read_only(&self.0)?,
        };
        Ok(Mapping::of_file(Arc::new(raw), access))
    }
}
