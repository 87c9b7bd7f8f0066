//! Segment files that are open for writing, of which a store keeps no more than so many open.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::sys::storage::{Access, StorageFile};

use super::header::{IDENTITY_LEN, Identity};
use super::options::Context;

/// The file of a segment that is or may be written: closed when others need the room, and opened again when it is needed.
///
/// An error that the kernel meets while it writes the file in the meantime is not lost. What is not synced yet is mapped, which
/// keeps the file's errors in memory, and one that nobody was told of is told to who opens the file next and syncs it.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    path: PathBuf,
    id: [u8; 16],
    open: Mutex<Option<Arc<dyn StorageFile>>>,
}

impl SegmentFile {
    /// A file that is open.
    pub(crate) fn open(
        context: &Context,
        path: PathBuf,
        identity: &Identity,
        file: Arc<dyn StorageFile>,
    ) -> Arc<Self> {
        let this = Arc::new(Self { path, id: identity.id, open: Mutex::new(Some(file)) });
        context.files.keep(&this);
        this
    }

    /// A file that is closed.
    pub(crate) fn closed(path: PathBuf, identity: &Identity) -> Arc<Self> {
        Arc::new(Self { path, id: identity.id, open: Mutex::new(None) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub(crate) fn get(self: &Arc<Self>, context: &Context) -> io::Result<Arc<dyn StorageFile>> {
        let mut open = self.open.lock();
        if let Some(file) = &*open {
            return Ok(Arc::clone(file));
        }
        let file = context.storage.open_file(&self.path, Access::Write)?;
        if is_other(&*file, self.id)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        *open = Some(Arc::clone(&file));
        drop(open);
        context.files.keep(self);
        Ok(file)
    }

    /// Closes the file, as soon as nobody is using it any more.
    pub(crate) fn close(&self) {
        let file = self.open.lock().take();
        drop(file);
    }
}

/// Whether a file is another segment than it was: its stream was deleted, and one of the same name created.
pub(crate) fn is_other(file: &dyn StorageFile, id: [u8; 16]) -> io::Result<bool> {
    let mut page = [0; IDENTITY_LEN];
    file.read_at(&mut page, 0)?;
    // A damaged page says nothing; the frames' checksums will.
    Ok(Identity::decode(&page).is_ok_and(|identity| identity.id != id))
}

/// Bounds how many files are open.
#[derive(Debug)]
pub(crate) struct FileCache {
    cap: usize,
    /// Those that were opened last, and perhaps closed since.
    recent: Mutex<VecDeque<Weak<SegmentFile>>>,
}

impl FileCache {
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap, recent: Mutex::new(VecDeque::new()) }
    }

    /// Remembers a file that has been opened; when there are too many, the one that was opened first is closed.
    fn keep(&self, file: &Arc<SegmentFile>) {
        let evicted = {
            let mut recent = self.recent.lock();
            recent.push_back(Arc::downgrade(file));
            if recent.len() > self.cap { recent.pop_front() } else { None }
        };
        if let Some(file) = evicted.and_then(|file| file.upgrade()) {
            file.close();
        }
    }
}
