//! What can go wrong with stores and streams as wholes.

use std::path::PathBuf;

use crate::error::{IoError, SyncError};
use crate::log::recovery::RecoverError;
use crate::log::shard_log::CloseError as LogCloseError;

use super::manifest::{FORMAT, MAX_SHARDS, ManifestFault};
use super::name::NameError;

/// Why a store cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store, and none was to be created.
    #[error("there is no store in {}: check the path, or let StoreOptions::create make one", path.display())]
    NotFound {
        /// The directory given.
        path: PathBuf,
    },
    /// The directory has other things in it than a store.
    #[error(
        "{} is not a store: it contains '{found}' and no store.json; give an empty or new directory, or the right one",
        path.display()
    )]
    NotAStore {
        /// The directory given.
        path: PathBuf,
        /// Something in it that no store has.
        found: String,
    },
    /// Somebody else has the store open for writing.
    #[error(
        "{} is open for writing elsewhere{}: close it there, or wait",
        path.display(),
        holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default()
    )]
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// Who holds it, as they wrote into the lock file: process id and program.
        holder: Option<String>,
    },
    /// A file of the store was written by a newer version of this library.
    #[error(
        "{} was written by a newer format, version {found}; this version reads up to {supported}: use a newer \
         riverbed",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this version reads.
        supported: u32,
    },
    /// The store's manifest is damaged.
    #[error("{} is damaged: {reason}; restore it from a copy, the streams do not depend on it", path.display())]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A segment length is out of range.
    #[error("the {what} segment cannot have {len} bytes: choose {min} to {max}")]
    SegmentLen {
        /// Which one.
        what: &'static str,
        /// What was given.
        len: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl From<RecoverError> for OpenError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Io(error) => Self::Io(error),
            RecoverError::NewerFormat { path, found } => Self::NewerFormat { path, found, supported: FORMAT },
        }
    }
}

/// Why a stream was not created.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CreateStreamError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is one of that name.
    #[error("there is a stream '{name}' already: open it, or choose another name")]
    Exists {
        /// The name given.
        name: String,
    },
    /// The number of shards is out of range.
    #[error("a stream cannot have {shards} shards: choose 1 to {MAX_SHARDS}")]
    ShardCount {
        /// What was given.
        shards: u32,
    },
    /// The store was closed.
    #[error("the store is closed: open it again")]
    Closed,
    /// The operating system refused something. No stream of that name exists.
    #[error(transparent)]
    Io(#[from] IoError),
    /// There is one of that name, and it cannot be opened.
    #[error(transparent)]
    Open(StreamError),
}

/// Why a stream cannot be opened or deleted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no stream of that name.
    #[error("there is no stream '{name}': create it, or see Store::list_streams for those there are")]
    NotFound {
        /// The name given.
        name: String,
    },
    /// The stream's manifest is damaged. Its segments are untouched, and so is the rest of the store.
    #[error(
        "{} is damaged: {reason}; restore it from a copy, then open the store again", path.display()
    )]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed: open it again")]
    Closed,
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl StreamError {
    pub(crate) fn damaged(path: PathBuf, fault: &ManifestFault) -> Self {
        Self::Damaged { path, reason: fault.to_string() }
    }
}

/// Why a store could not be closed in good order. It is closed all the same; opening it again recovers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// A sync has failed, just now or earlier.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The operating system refused something else.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl From<LogCloseError> for CloseError {
    fn from(error: LogCloseError) -> Self {
        match error {
            LogCloseError::Sync(error) => Self::Sync(error),
            LogCloseError::Io(error) => Self::Io(error),
        }
    }
}
