//! The store, as its users hold it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::SyncError;
use crate::log::recovery::RecoveryReport;

use super::error::{CloseError, CreateStreamError, OpenError, StreamError};
use super::options::{StoreOptions, StreamOptions};
use super::read_only::ReadOnlyStore;
use super::shared::Shared;
use super::stream_handle::Stream;
use super::verify::plan::RepairPlan;
use super::verify::repair::{RepairError, RepairReport};
use super::verify::{VerifyError, VerifyReport};

/// A store: a directory of streams, open for writing in this process alone.
///
/// A handle; clones share the store. When the last handle of the store and of its streams is dropped, everything is
/// synced and closed in good order. [`close`](Self::close) does the same and tells of errors.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("data");
/// use riverbed::{Store, StreamOptions};
///
/// let store = Store::open(&path)?;
/// store.create_stream("clicks", StreamOptions::new().shards(4))?;
/// assert_eq!(store.list_streams(), ["clicks"]);
/// store.close()?;
///
/// let store = Store::open(&path)?;
/// let clicks = store.open_stream("clicks")?;
/// assert_eq!(clicks.shards().len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// Opens the store in the directory `path` for writing with default options, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// As for [`StoreOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// Opens the store in the directory `path` for reading only, with default options, whoever writes to it meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`StoreOptions::open_read_only`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<ReadOnlyStore, OpenError> {
        Self::options().open_read_only(path)
    }

    /// Options to open a store with.
    pub fn options() -> StoreOptions {
        StoreOptions::new()
    }

    /// Checks every byte of the store in the directory `path`: manifests, segment headers, every record with both its
    /// checksums, numbers and times in order, indexes. Changes nothing and takes no lock, so that it works beside a
    /// writer and on a store that does not open.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("data");
    /// use riverbed::{Store, StreamOptions};
    ///
    /// let store = Store::open(&path)?;
    /// store.create_stream("clicks", StreamOptions::new())?.put("user-42", b"hello")?;
    ///
    /// let report = Store::verify(&path)?;
    /// assert!(!report.is_damaged(), "{:?}", report.faults);
    /// assert_eq!(report.records, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`VerifyError`] when there is no store to look at. What is wrong with one is no error but in the report.
    pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport, VerifyError> {
        Self::options().verify(path)
    }

    /// Carries out what [`VerifyReport::repair_plan`] proposes for the store in the directory `path`, as far as it still
    /// applies. Takes the writer's lock. Moves files into the store's `quarantine` directory and destroys nothing; doing
    /// it again does nothing more.
    ///
    /// # Errors
    ///
    /// [`RepairError`]. What was done before the error stays done; repairing again goes on.
    pub fn repair(path: impl AsRef<Path>, plan: &RepairPlan) -> Result<RepairReport, RepairError> {
        Self::options().repair(path, plan)
    }

    pub(crate) fn open_with(options: StoreOptions, path: PathBuf) -> Result<Self, OpenError> {
        Ok(Self { shared: Shared::open(options, path)? })
    }

    #[cfg(feature = "metrics")]
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The store's directory.
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// What opening the store found, and did about it.
    pub fn recovery_report(&self) -> &RecoveryReport {
        self.shared.report()
    }

    /// Creates a stream. When this returns, it is durable; when it fails, there is none.
    ///
    /// # Errors
    ///
    /// [`CreateStreamError`]: a name that is not allowed or in use, a shard count out of range, no room.
    pub fn create_stream(&self, name: &str, options: StreamOptions) -> Result<Stream, CreateStreamError> {
        self.shared.create_stream(name, options)
    }

    /// Opens the stream of this name, or creates it: what a program does when it starts. The options are those of a new
    /// stream; one that exists keeps its own.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// use riverbed::{Store, StreamOptions};
    ///
    /// let store = Store::open(directory.path().join("data"))?;
    /// store.open_or_create_stream("clicks", StreamOptions::new().shards(4))?.put("user-42", b"hello")?;
    /// let again = store.open_or_create_stream("clicks", StreamOptions::new())?;
    /// assert_eq!((again.shards().len(), again.stats().total.records), (4, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`create_stream`](Self::create_stream), and [`CreateStreamError::Open`].
    pub fn open_or_create_stream(
        &self,
        name: &str,
        options: StreamOptions,
    ) -> Result<Stream, CreateStreamError> {
        match self.create_stream(name, options) {
            Err(CreateStreamError::Exists { .. }) => self.open_stream(name).map_err(CreateStreamError::Open),
            created => created,
        }
    }

    /// Opens a stream that exists.
    ///
    /// # Errors
    ///
    /// [`StreamError`]: no stream of that name, or one whose manifest is damaged.
    pub fn open_stream(&self, name: &str) -> Result<Stream, StreamError> {
        self.shared.open_stream(name)
    }

    /// Deletes a stream with all its records. Handles of it stay valid for reading what they hold mapped; their puts
    /// fail. Once this returns, the stream is gone for good, whatever happens.
    ///
    /// # Errors
    ///
    /// [`StreamError`]. After [`StreamError::Io`] the stream is either there or gone, never in between.
    pub fn delete_stream(&self, name: &str) -> Result<(), StreamError> {
        self.shared.delete_stream(name)
    }

    /// The names of all streams, sorted.
    pub fn list_streams(&self) -> Vec<String> {
        self.shared.list_streams()
    }

    /// Makes everything durable that has been put so far, in all streams.
    ///
    /// # Errors
    ///
    /// [`SyncError`] for the first shard whose sync fails, or has failed before. The others are synced all the same.
    pub fn sync(&self) -> Result<(), SyncError> {
        self.shared.sync()
    }

    /// Does the background work that is due, on this thread, and returns how many pieces there were. Only of use with
    /// [`Maintenance::Manual`](crate::Maintenance::Manual).
    pub fn maintain(&self) -> usize {
        self.shared.maintain()
    }

    /// Syncs and closes the store in good order, for all its handles: puts fail from now on.
    ///
    /// # Errors
    ///
    /// [`CloseError`] when something could not be made durable. The store is closed all the same, and opening it again
    /// recovers.
    pub fn close(&self) -> Result<(), CloseError> {
        self.shared.close()
    }
}
