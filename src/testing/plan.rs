//! What is to go wrong, and when.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the engine asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// Creating a directory.
    CreateDir,
    /// Creating a file.
    CreateFile,
    /// Opening a file.
    OpenFile,
    /// Renaming a file or directory.
    Rename,
    /// Removing a file.
    RemoveFile,
    /// Removing an empty directory.
    RemoveDir,
    /// Listing a directory.
    List,
    /// Making a directory's entries durable.
    SyncDir,
    /// Taking the writer's lock.
    Lock,
    /// Reserving room for a file.
    Allocate,
    /// Reading from a file.
    Read,
    /// Writing to a file, other than through a mapping.
    Write,
    /// Making a file's bytes durable.
    SyncData,
    /// Mapping a file.
    Map,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 14] = [
        Self::CreateDir,
        Self::CreateFile,
        Self::OpenFile,
        Self::Rename,
        Self::RemoveFile,
        Self::RemoveDir,
        Self::List,
        Self::SyncDir,
        Self::Lock,
        Self::Allocate,
        Self::Read,
        Self::Write,
        Self::SyncData,
        Self::Map,
    ];
}

/// One call to the disk.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Call<'a> {
    /// Counts the calls since the disk was made, from 0.
    pub step: u64,
    /// What is asked.
    pub operation: Operation,
    /// Of which file or directory.
    pub path: &'a Path,
}

/// What is to become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is carried out.
    Proceed,
    /// It fails with an error of this kind and has no effect. A sync that fails so makes nothing durable, and the
    /// unsynced bytes count as clean from then on, as on Linux: no later sync writes them unless they change.
    Fail(io::ErrorKind),
    /// It is carried out after this time.
    Delay(Duration),
    /// The power is cut before it is carried out; this and every later call fails. The seed chooses what of the
    /// unsynced writes has reached the disk. [`Disk::power_on`](super::Disk::power_on) gives the disk as it is then.
    CutPower {
        /// Chooses what is kept.
        seed: u64,
    },
    /// The process dies before it is carried out, and the machine goes on: this and every later call fails, and
    /// [`Disk::power_on`](super::Disk::power_on) gives the disk with everything that was written, synced or not.
    Kill,
}

/// Decides about every call.
#[derive(Clone)]
pub(super) struct Plan(Arc<dyn Fn(&Call<'_>) -> Verdict + Send + Sync>);

impl Plan {
    pub(super) fn new(decide: impl Fn(&Call<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    pub(super) fn decide(&self, call: &Call<'_>) -> Verdict {
        (self.0)(call)
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new(|_| Verdict::Proceed)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plan")
    }
}
