//! A shard's directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::IoError;
use crate::sys::storage::Storage;

/// A shard's directory, made when its first segment is: a shard that nobody writes to takes no disk at all.
#[derive(Debug)]
pub(crate) struct ShardDir {
    path: PathBuf,
    exists: AtomicBool,
}

impl ShardDir {
    pub(crate) fn new(path: PathBuf, exists: bool) -> Self {
        Self { path, exists: AtomicBool::new(exists) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory, durably, unless it is there.
    pub(crate) fn ensure(&self, storage: &dyn Storage) -> Result<(), IoError> {
        if self.exists.load(Ordering::Acquire) {
            return Ok(());
        }
        match storage.create_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(IoError::new("create", &self.path, error));
            }
            _ => {}
        }
        if let Some(parent) = self.path.parent() {
            storage.sync_dir(parent).map_err(IoError::context("sync", parent))?;
        }
        self.exists.store(true, Ordering::Release);
        Ok(())
    }

    /// Bytes that can still be allocated where the directory is or will be.
    pub(crate) fn available_space(&self, storage: &dyn Storage) -> u64 {
        let there = self.path.ancestors().find_map(|dir| storage.available_space(dir).ok());
        there.unwrap_or(0)
    }
}
