//! Syncing the segments that recovery reads, beside it.

use std::ops::Range;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, ScopedJoinHandle};

use crate::error::IoError;
use crate::log::options::Context;
use crate::sys::parallel;
use crate::sys::storage::write_again;

use super::{RecoverError, examine};

/// How many are synced at a time. A thread that comes back from a sync may wait for a processor before it begins the next, and
/// the disk should not wait with it.
const AT_ONCE: usize = 2;

/// A file that is synced once, by whoever asks for that first; the others wait.
#[derive(Debug)]
pub(super) struct SyncOnce {
    path: PathBuf,
    /// What may not be on disk although earlier syncs were asked to write it: one that has failed is told to one caller, and what it was
    /// to write reads as if it had been.
    doubtful: [Range<u64>; 2],
    outcome: OnceLock<Result<(), IoError>>,
}

impl SyncOnce {
    pub(super) fn new(path: &Path, doubtful: [Range<u64>; 2]) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), doubtful, outcome: OnceLock::new() })
    }

    /// Returns once what the file held before the first call is durable.
    pub(super) fn ensure(&self, context: &Context) -> Result<(), IoError> {
        let sync = || {
            let file = examine::open(context, &self.path)?;
            for range in &self.doubtful {
                write_again(&*file, range.clone()).map_err(IoError::context("write again", &self.path))?;
            }
            file.sync_data().map_err(IoError::context("sync", &self.path))
        };
        self.outcome.get_or_init(sync).clone()
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
