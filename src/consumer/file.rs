//! The file that keeps a consumer's checkpoints.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::IoError;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;
use crate::sys::storage::{Storage, StorageFile, read_file, remove_if_there, with_suffix};

use super::checkpoint::Checkpoint;
use super::encoding::{self, Contents, ENTRY_LEN, EncodingFault, HEADER_LEN, Header};

/// A file's length is a multiple of this: room for some two thousand checkpoints.
const UNIT: usize = 64 * 1024;

/// Where a consumer is in every shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// In shards of which nothing else is known.
    pub(crate) start: Checkpoint,
    pub(crate) shards: BTreeMap<ShardId, Checkpoint>,
    pub(crate) created: Timestamp,
}

impl Progress {
    pub(crate) fn of(&self, shard_id: ShardId) -> Checkpoint {
        self.shards.get(&shard_id).copied().unwrap_or(self.start)
    }

    pub(crate) fn is_finished(&self, shard_id: ShardId) -> bool {
        self.shards.get(&shard_id) == Some(&Checkpoint::ShardEnd)
    }
}

impl From<&Contents> for Progress {
    fn from(contents: &Contents) -> Self {
        Self {
            start: contents.header.start,
            shards: contents.entries.iter().copied().collect(),
            created: contents.header.created,
        }
    }
}

/// Why a checkpoint file cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Fault(#[from] EncodingFault),
    #[error(transparent)]
    Io(#[from] IoError),
}

/// A checkpoint file being written: entries are added at its end, and when it is full another takes its place.
///
/// Between two replacements a shard's checkpoints only go forward, so that an entry which a power cut has taken means
/// that records are read again, never that some are skipped. What goes back is a replacement.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    /// `None` until the file is replaced for the first time, and after a sync has failed: what the kernel took for
    /// written may not be, and a file of its own says it anew.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: Arc<dyn StorageFile>,
    signature: u32,
    /// How many entries it has.
    used: u64,
    /// How many there is room for.
    room: u64,
}

/// Reads a checkpoint file.
pub(crate) fn load(storage: &dyn Storage, path: &Path) -> Result<Contents, LoadError> {
    let bytes = read_file(storage, path).map_err(IoError::context("read", path))?;
    Ok(encoding::decode(&bytes)?)
}

impl CheckpointFile {
    pub(crate) fn new(storage: Arc<dyn Storage>, path: PathBuf) -> Self {
        Self { storage, path, open: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file to sync; `None` when it must be replaced instead.
    pub(crate) fn to_sync(&self) -> Option<Arc<dyn StorageFile>> {
        self.open.as_ref().map(|open| Arc::clone(&open.file))
    }

    /// A sync of `file` has failed: if that is the present one, it is to be replaced.
    pub(crate) fn give_up(&mut self, file: &Arc<dyn StorageFile>) {
        self.open.take_if(|open| Arc::ptr_eq(&open.file, file));
    }

    /// Adds entries, without syncing them. Returns `false` when there is no room: then the file is to be replaced.
    pub(crate) fn append(&mut self, entries: &[(ShardId, Checkpoint)]) -> Result<bool, IoError> {
        let Some(open) = self.open.as_mut().filter(|open| entries.len() as u64 <= open.room - open.used)
        else {
            return Ok(false);
        };
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_LEN);
        for ((shard_id, checkpoint), index) in entries.iter().zip(open.used..) {
            bytes.extend(encoding::encode_entry(open.signature, index, *shard_id, *checkpoint));
        }
        open.file
            .write_all_at(&bytes, encoding::offset_of(open.used))
            .map_err(IoError::context("write", &self.path))?;
        open.used += entries.len() as u64;
        Ok(true)
    }

    /// Replaces the file by one that says this, durably: after a crash at any step it is the old one or the new one.
    pub(crate) fn replace(&mut self, progress: &Progress) -> Result<(), IoError> {
        let path = &self.path;
        let temporary = with_suffix(path, ".tmp");
        let outcome = self.write_new(progress, &temporary);
        let open = match outcome {
            Ok(open) => open,
            Err(error) => {
                // Best effort: the next attempt removes it anyway, and the first error is the one that matters.
                drop(remove_if_there(&*self.storage, &temporary));
                return Err(IoError::new("write", path, error));
            }
        };
        // It has its name: from here on it is the file, even if that may not survive a power cut yet.
        self.open = Some(open);
        match path.parent() {
            Some(parent) => self.storage.sync_dir(parent).map_err(|error| {
                // The next checkpoint tries again.
                self.open = None;
                IoError::new("sync", parent, error)
            }),
            None => Ok(()),
        }
    }

    fn write_new(&self, progress: &Progress, temporary: &Path) -> io::Result<Open> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let count = progress.shards.len();
        let header = Header { id, start: progress.start, count: count as u64, created: progress.created };
        let signature = header.signature();
        let mut bytes = Vec::with_capacity(HEADER_LEN + count * ENTRY_LEN);
        bytes.extend(header.encode());
        for ((shard_id, checkpoint), index) in progress.shards.iter().zip(0..) {
            bytes.extend(encoding::encode_entry(signature, index, *shard_id, *checkpoint));
        }
        // Of many shards each has been checkpointed a few times before the next replacement.
        let len = (HEADER_LEN + 4 * count * ENTRY_LEN).next_multiple_of(UNIT);
        remove_if_there(&*self.storage, temporary)?;
        let file = self.storage.create_file(temporary)?;
        file.allocate(len as u64)?;
        // Zeros and all: a sync of what is added later then changes no extents, which would cost a commit of the journal.
        bytes.resize(len, 0);
        file.write_all_at(&bytes, 0)?;
        file.sync_data()?;
        self.storage.rename(temporary, &self.path)?;
        let room = (len - HEADER_LEN) / ENTRY_LEN;
        Ok(Open { file, signature, used: count as u64, room: room as u64 })
    }
}
