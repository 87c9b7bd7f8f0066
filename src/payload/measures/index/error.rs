//! What can go wrong with an index.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// The version index could not be read or written. The stream is not concerned: the index is derived from it, and is made
/// anew when its file is removed while no table is open.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {action} the version index {}: while no table is open, its file may be removed, and is made anew", path.display())]
pub struct IndexError {
    /// What was being done.
    pub action: &'static str,
    /// The index's file.
    pub path: PathBuf,
    /// What the store of the index said.
    #[source]
    pub source: Arc<dyn Error + Send + Sync>,
}
