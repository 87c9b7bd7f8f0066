//! What the engine asks of a file system, and no more.
//!
//! [`os::OsStorage`](super::os::OsStorage) is the real one. The testing kit has another that keeps a live and
//! a durable image of every file and can cut the power between any two calls.

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mapping::Mapping;

/// Whether a mapping may be written through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_dir: bool,
}

/// The outcome of asking for the writer's lock.
#[derive(Debug)]
pub(crate) enum Lock {
    /// Held until the guard is dropped.
    Acquired(Box<dyn Debug + Send + Sync>),
    /// Somebody else holds it; what they wrote about themselves, if anything.
    Held { holder: Option<String> },
}

/// Directories and names.
pub(crate) trait Storage: Debug + Send + Sync {
    /// Creates one directory; its parent must be there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a file that must not exist yet, for reading and writing.
    fn create_file(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;
    /// Opens a file that exists.
    fn open_file(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>>;
    /// Gives `from` the name `to`, replacing what was there, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// The entries of a directory, sorted by name. Names that are not UTF-8 cannot be ours and are left out.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Makes creations, renames and removals in this directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that an unprivileged process can still allocate on the file system of `path`.
    fn available_space(&self, path: &Path) -> io::Result<u64>;
    /// Takes the exclusive lock that the file `path` stands for, creating the file if need be.
    fn lock(&self, path: &Path, about_me: &str) -> io::Result<Lock>;
}

/// One open file. All calls take offsets; there is no cursor.
pub(crate) trait StorageFile: Debug + Send + Sync {
    fn len(&self) -> io::Result<u64>;
    /// Reserves real space for bytes `0..len` and makes the file that long. Fails with `StorageFull` when the
    /// space is not there; afterwards writes inside `0..len` cannot fail for want of space.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Shortens a file that is not mapped.
    #[cfg(feature = "measures")]
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Reads until `buf` is full or the file ends; returns how much was read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable, those written through mappings included.
    fn sync_data(&self) -> io::Result<()>;
    /// As [`write_all_at`](Self::write_all_at), so that the next sync has these bytes on disk also where the system takes what is there
    /// for written because an earlier sync has failed. Whole pages, where that is possible.
    fn write_anew(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Maps bytes `0..len`, which must lie inside the file.
    fn map(&self, len: usize, access: Access) -> io::Result<Mapping>;
}

/// Writes zeros, in small pieces, because pages that came from large writes make every later synced store through a mapping
/// a large write too.
pub(crate) fn write_zeros(file: &dyn StorageFile, range: Range<u64>) -> io::Result<()> {
    const PIECE: [u8; 4096] = [0; 4096];
    let mut offset = range.start;
    while offset < range.end {
        let len = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(PIECE.len());
        file.write_all_at(PIECE.get(..len).unwrap_or(&PIECE), offset)?;
        offset += len as u64;
    }
    Ok(())
}

/// Whether something failed for want of descriptors or memory, which come back.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(Errno::raw_os_error);
    error.kind() == io::ErrorKind::OutOfMemory
        || error.raw_os_error().is_some_and(|code| short.contains(&code))
}

/// Reads a whole file.
pub(crate) fn read_file(storage: &dyn Storage, path: &Path) -> io::Result<Vec<u8>> {
    let file = storage.open_file(path, Access::Read)?;
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces the file `path` by one with these bytes: after a crash at any step it holds the old bytes or the
/// new ones, whole. The new bytes are durable on return.
pub(crate) fn replace_file(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = with_suffix(path, ".tmp");
    remove_if_there(storage, &temporary)?;
    let outcome = (|| {
        let file = storage.create_file(&temporary)?;
        file.write_all_at(bytes, 0)?;
        file.sync_data()?;
        storage.rename(&temporary, path)
    })();
    if let Err(error) = outcome {
        // Best effort: the temporary would be removed by the next attempt anyway, and the first error is
        // the one that matters.
        drop(remove_if_there(storage, &temporary));
        return Err(error);
    }
    match path.parent() {
        Some(parent) => storage.sync_dir(parent),
        None => Ok(()),
    }
}

/// Removes a file; that it was not there is no error.
pub(crate) fn remove_if_there(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    match storage.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a directory and everything below it.
pub(crate) fn remove_tree(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    for entry in storage.list(path)? {
        let child = path.join(&entry.name);
        if entry.is_dir {
            remove_tree(storage, &child)?;
        } else {
            storage.remove_file(&child)?;
        }
    }
    storage.remove_dir(path)
}

/// `path` with `suffix` behind its file name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
