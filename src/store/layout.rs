//! Where in the directory things are.

use std::path::{Path, PathBuf};

/// The names that a store's directory has, and no others.
pub(crate) const LOCK: &str = "LOCK";
pub(crate) const STORE_MANIFEST: &str = "store.json";
pub(crate) const STREAMS: &str = "streams";
/// Streams that are being created or deleted. Emptied when the store is opened.
pub(crate) const SCRATCH: &str = "scratch";
/// What repairing has taken out of the way: nothing here is ever read or removed by the engine.
pub(crate) const QUARANTINE: &str = "quarantine";
/// A table's version index in its stream's directory: derived, and no part of the format.
pub(crate) const VERSION_INDEX: &str = "versions.redb";
pub(crate) const STREAM_MANIFEST: &str = "stream.json";
pub(crate) const CONSUMERS: &str = "consumers";
/// What the name of a consumer's file ends in. No temporary file's does.
const CHECKPOINTS: &str = ".checkpoints";

/// The paths of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join(STORE_MANIFEST)
    }

    pub(crate) fn streams(&self) -> PathBuf {
        self.root.join(STREAMS)
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.root.join(SCRATCH)
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join(QUARANTINE)
    }

    pub(crate) fn stream(&self, name: &str) -> PathBuf {
        self.streams().join(name)
    }
}

/// A shard's directory in its stream's.
pub(crate) fn shard_dir(stream: &Path, shard: u32) -> PathBuf {
    stream.join(format!("shard-{shard:06}"))
}

/// The directory of a stream's consumers.
pub(crate) fn consumers(stream: &Path) -> PathBuf {
    stream.join(CONSUMERS)
}

/// A consumer's file in that directory.
pub(crate) fn consumer(consumers: &Path, name: &str) -> PathBuf {
    consumers.join(format!("{name}{CHECKPOINTS}"))
}

/// The name of the consumer whose file has this name.
pub(crate) fn consumer_of(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(CHECKPOINTS)
}

/// The number of the shard whose directory has this name.
pub(crate) fn shard_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("shard-")?;
    (digits.len() >= 6).then(|| digits.parse().ok()).flatten()
}
