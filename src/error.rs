//! What the errors of several operations have in common.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A call to the operating system that failed, with what was being done and to what.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct IoError {
    /// What was being done, as in "cannot *open* /data/LOCK".
    pub action: &'static str,
    /// The file or directory it was done to.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: Arc<io::Error>,
}

impl IoError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source: Arc::new(source) }
    }

    /// For `map_err`: fills in the action and the path.
    pub(crate) fn context(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::new(action, path, source)
    }

    pub(crate) fn is_storage_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// A sync failed. What was not yet durable in that shard may be lost, and the operating system will not say so
/// again: the shard takes no more writes, goes on serving what is durable, and recovers when the store is
/// opened anew.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "a sync of {} failed; its shard takes no more writes: read on what is durable, mend the disk, then open the \
     store again, which recovers",
    path.display()
)]
pub struct SyncError {
    /// The segment file whose sync failed.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: Arc<io::Error>,
}
