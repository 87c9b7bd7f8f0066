//! Syncing the segments that recovery reads, beside it.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, ScopedJoinHandle};

use crate::error::IoError;
use crate::log::doubt;
use crate::log::header::SLOT_LEN;
use crate::log::options::Context;
use crate::sys::parallel;

use super::{RecoverError, examine};

/// How many are synced at a time. A thread that comes back from a sync may wait for a processor before it begins the next, and
/// the disk should not wait with it.
const AT_ONCE: usize = 2;

/// A file that is synced once, by whoever asks for that first; the others wait.
#[derive(Debug)]
pub(super) struct SyncOnce {
    path: PathBuf,
    /// The header page in which it may be marked, should the sync fail.
    page: usize,
    doubt: Option<Doubt>,
    outcome: OnceLock<Result<(), IoError>>,
}

/// What of a marked file may not be on disk.
#[derive(Debug)]
pub(super) struct Doubt {
    /// The slot that counts.
    pub(super) slot: Option<[u8; SLOT_LEN]>,
    /// What was above the watermark.
    pub(super) frames: Range<u64>,
}

impl SyncOnce {
    pub(super) fn new(path: &Path, page: usize, doubt: Option<Doubt>) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), page, doubt, outcome: OnceLock::new() })
    }

    /// Returns once what the file held before the first call is durable.
    pub(super) fn ensure(&self, context: &Context) -> Result<(), IoError> {
        let sync = || {
            let file = examine::open(context, &self.path)?;
            let synced = match &self.doubt {
                Some(Doubt { slot, frames }) => {
                    doubt::settle(&*file, slot.map(|slot| (self.page, slot)), frames.clone())
                }
                None => file.sync_data(),
            };
            synced.map_err(|error| match doubt::mark(&*file, self.page) {
                Ok(()) => IoError::new("sync", &self.path, error),
                Err(_) => IoError::new("sync, and mark as unsynced,", &self.path, error),
            })
        };
        self.outcome.get_or_init(sync).clone()
    }

    /// Whether the file reads as what may not be on disk, until that has been ensured.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubt.is_some()
    }

    /// Whether that is so already.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.outcome.get(), Some(Ok(())))
    }
}

/// Calls `walk`, while `files` are synced in their order on other threads: the disk writes while what it writes, or has written,
/// is read and checked. Those that `walk` has dropped are left out. Returns what `walk` does, unless a sync has failed: nobody
/// would be told of that again.
pub(super) fn while_syncing(
    context: &Context,
    files: &[Weak<SyncOnce>],
    walk: impl FnOnce() -> Result<(), RecoverError>,
) -> Result<(), RecoverError> {
    let ensure = |file: &Weak<SyncOnce>| file.upgrade().map_or(Ok(()), |file| file.ensure(context));
    let sync = || parallel::map(files, AT_ONCE, ensure).map(drop);
    thread::scope(|scope| {
        // Without a thread the walk syncs each when it comes there.
        let threaded = files.len() > 1 && context.waiting_threads() > 1;
        let ahead = threaded.then(|| thread::Builder::new().spawn_scoped(scope, sync).ok()).flatten();
        let walked = walk();
        match ahead.map(ScopedJoinHandle::join) {
            None => {}
            Some(Ok(synced)) => synced?,
            Some(Err(panic)) => resume_unwind(panic),
        }
        walked
    })
}
