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

const FAILED: &str = ": a sync failed; its shard takes no more writes: read on what is durable, mend the disk, then open the \
     store again, which recovers";
const NOT_MADE: &str = ": could not be opened to be synced; nothing is lost: let there be descriptors and memory, then sync again";

/// A sync failed, or could not be made. What was to become durable by it is not known to be.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{}", path.display(), if *is_final { FAILED } else { NOT_MADE })]
pub struct SyncError {
    /// The segment file that was to be synced.
    pub path: PathBuf,
    /// Whether a sync failed: what was not yet durable in that shard may be lost, and the operating system will not say so
    /// again. So the shard takes no more writes, goes on serving what is durable, and recovers when the store is opened anew.
    ///
    /// `false` when no sync was made, because the file could not be opened, as for want of descriptors: nothing is lost, the
    /// shard goes on, and the next sync tries again. Records that had been put stay: whoever puts them again has them twice.
    pub is_final: bool,
    /// What the operating system said.
    #[source]
    pub source: Arc<io::Error>,
}
