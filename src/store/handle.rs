//! The store, as its users hold it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::consumer::registry::Registry;
use crate::error::{IoError, SyncError};
use crate::events;
use crate::log::background::Background;
use crate::log::files::FileCache;
use crate::log::map_cache::MapCache;
use crate::log::options::Context;
use crate::log::recovery::RecoveryReport;
use crate::log::shard_log::ShardLog;
use crate::stream::core::StreamCore;
use crate::stream::shard_id::ShardId;
use crate::sys::parallel;
use crate::sys::storage::{Lock, Storage, read_file, remove_tree, replace_file};

use super::error::{CloseError, CreateStreamError, OpenError, StreamError};
use super::layout::{self, Layout};
use super::manifest::{self, StreamManifest};
use super::name;
use super::open::{self, OpenStream, StreamEntry};
use super::options::{Maintenance, StoreOptions, StreamOptions};
use super::read_only::ReadOnlyStore;
use super::stream_handle::Stream;
use super::upkeep;
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

/// What all handles of one store share.
#[derive(Debug)]
pub(crate) struct Shared {
    layout: Layout,
    options: StoreOptions,
    context: Arc<Context>,
    report: RecoveryReport,
    state: Mutex<State>,
    consumers: Registry,
    #[cfg(feature = "metrics")]
    published: super::metrics::Published,
}

#[derive(Debug)]
struct State {
    streams: BTreeMap<String, StreamEntry>,
    /// The writer's lock; gone once the store is closed.
    lock: Option<Arc<dyn Debug + Send + Sync>>,
    /// Makes names in the scratch directory differ.
    scratched: u64,
}

impl State {
    /// The stream with this core, if there is still one.
    fn stream_of(&mut self, core: &Arc<StreamCore>) -> Result<&mut OpenStream, StreamError> {
        if self.lock.is_none() {
            return Err(StreamError::Closed);
        }
        match self.streams.get_mut(&core.name) {
            Some(Ok(open)) if Arc::ptr_eq(&open.core, core) => Ok(open),
            _ => Err(StreamError::NotFound { name: core.name.clone() }),
        }
    }
}

/// Why a stream's manifest was not replaced.
#[derive(Debug)]
pub(crate) struct ManifestError {
    pub(crate) error: StreamError,
    /// The new manifest is in place, but may not survive a power cut.
    pub(crate) in_doubt: bool,
}

impl From<StreamError> for ManifestError {
    fn from(error: StreamError) -> Self {
        Self { error, in_doubt: false }
    }
}

impl From<ManifestError> for StreamError {
    fn from(failed: ManifestError) -> Self {
        failed.error
    }
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
        let layout = Layout::new(path);
        let lock = match open::lock_and_create(&options, &layout)? {
            Lock::Acquired(lock) => Some(Arc::from(lock)),
            Lock::Held { holder } => {
                return Err(OpenError::Locked { path: layout.root().to_owned(), holder });
            }
        };
        let background = match options.maintenance {
            Maintenance::Threads => Background::threads(),
            Maintenance::Manual => Background::manual(Arc::clone(&options.clock)),
        };
        let context = Arc::new(Context {
            storage: Arc::clone(&options.storage),
            clock: Arc::clone(&options.clock),
            background,
            maps: MapCache::new(options.max_mapped_segments),
            files: FileCache::new(options.max_open_files),
            first_segment_len: options.first_segment_len,
            max_segment_len: options.max_segment_len,
            poll_interval: options.poll_interval,
        });
        let (streams, report) = open::open_streams(&options, &context, &layout)?;
        let cores: Vec<_> = streams.values().flatten().map(|open| Arc::clone(&open.core)).collect();
        let streams_len = streams.len();
        let state = Mutex::new(State { streams, lock, scratched: 0 });
        events::opened(layout.root(), streams_len, &report);
        let shared = Arc::new(Shared {
            layout,
            options,
            context,
            report,
            state,
            consumers: Registry::default(),
            #[cfg(feature = "metrics")]
            published: super::metrics::Published::default(),
        });
        for core in cores {
            upkeep::schedule(&shared, &core);
        }
        #[cfg(feature = "metrics")]
        super::metrics::schedule(&shared);
        Ok(Self { shared })
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
        self.shared.layout.root()
    }

    /// What opening the store found, and did about it.
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.shared.report
    }

    /// Creates a stream. When this returns, it is durable; when it fails, there is none.
    ///
    /// # Errors
    ///
    /// [`CreateStreamError`]: a name that is not allowed or in use, a shard count out of range, no room.
    pub fn create_stream(&self, name: &str, options: StreamOptions) -> Result<Stream, CreateStreamError> {
        name::check(name)?;
        let count = options.shard_count().ok_or(CreateStreamError::ShardCount { shards: options.shards })?;
        let shared = &self.shared;
        let mut state = shared.state.lock();
        if state.lock.is_none() {
            return Err(CreateStreamError::Closed);
        }
        if state.streams.contains_key(name) {
            return Err(CreateStreamError::Exists { name: name.to_owned() });
        }
        let created = shared.options.clock.now().as_nanos();
        let manifest = StreamManifest::uniform(created, options.durability, options.retention, count);
        let scratch = shared.scratch_path(&mut state);
        let path = shared.layout.stream(name);
        if let Err(error) = shared.write_stream(&manifest, &scratch, &path) {
            // Best effort: opening the store empties the scratch directory anyway.
            drop(remove_tree(&*shared.options.storage, &scratch));
            return Err(error.into());
        }
        let logs = manifest.shards.iter().map(|shard| open::new_log(&shared.context, &path, shard)).collect();
        let open = open::open_stream(&shared.options, &shared.context, name, manifest, logs)
            .map_err(|fault| IoError::new("create", &path, io::Error::other(fault.to_string())))?;
        upkeep::schedule(shared, &open.core);
        let stream = Stream::new(Arc::clone(&open.core), Arc::clone(shared));
        state.streams.insert(name.to_owned(), Ok(open));
        drop(state);
        events::created(shared.layout.root(), name, count.get());
        Ok(stream)
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
        name::check(name)?;
        let state = self.shared.state.lock();
        if state.lock.is_none() {
            return Err(StreamError::Closed);
        }
        match state.streams.get(name) {
            Some(Ok(open)) => Ok(Stream::new(Arc::clone(&open.core), Arc::clone(&self.shared))),
            Some(Err(error)) => Err(error.clone()),
            None => Err(StreamError::NotFound { name: name.to_owned() }),
        }
    }

    /// Deletes a stream with all its records. Handles of it stay valid for reading what they hold mapped; their puts
    /// fail. Once this returns, the stream is gone for good, whatever happens.
    ///
    /// # Errors
    ///
    /// [`StreamError`]. After [`StreamError::Io`] the stream is either there or gone, never in between.
    pub fn delete_stream(&self, name: &str) -> Result<(), StreamError> {
        name::check(name)?;
        let shared = &self.shared;
        let storage = &*shared.options.storage;
        let mut state = shared.state.lock();
        if state.lock.is_none() {
            return Err(StreamError::Closed);
        }
        if !state.streams.contains_key(name) {
            return Err(StreamError::NotFound { name: name.to_owned() });
        }
        let path = shared.layout.stream(name);
        let scratch = shared.scratch_path(&mut state);
        storage.rename(&path, &scratch).map_err(IoError::context("rename", &path))?;
        if let Some(Ok(open)) = state.streams.remove(name) {
            open.core.logs().iter().for_each(|log| log.abandon());
        }
        shared.consumers.abandon(name);
        let streams = shared.layout.streams();
        storage.sync_dir(&streams).map_err(IoError::context("sync", &streams))?;
        remove_tree(storage, &scratch).map_err(IoError::context("remove", &scratch))?;
        drop(state);
        events::deleted(shared.layout.root(), name);
        Ok(())
    }

    /// The names of all streams, sorted.
    pub fn list_streams(&self) -> Vec<String> {
        self.shared.state.lock().streams.keys().cloned().collect()
    }

    /// Makes everything durable that has been put so far, in all streams.
    ///
    /// # Errors
    ///
    /// [`SyncError`] for the first shard whose sync fails, or has failed before. The others are synced all the same.
    pub fn sync(&self) -> Result<(), SyncError> {
        self.shared.logs().iter().map(ShardLog::sync).fold(Ok(()), Result::and)
    }

    /// Does the background work that is due, on this thread, and returns how many pieces there were. Only of use with
    /// [`Maintenance::Manual`].
    pub fn maintain(&self) -> usize {
        self.shared.context.background.run_due()
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

impl Shared {
    pub(crate) fn clock(&self) -> &Arc<dyn crate::sys::clock::Clock> {
        &self.options.clock
    }

    #[cfg(feature = "metrics")]
    pub(super) fn options(&self) -> &StoreOptions {
        &self.options
    }

    #[cfg(feature = "metrics")]
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    #[cfg(feature = "metrics")]
    pub(super) fn published(&self) -> &super::metrics::Published {
        &self.published
    }

    /// The streams that are not damaged, by their names.
    pub(super) fn open_streams(self: &Arc<Self>) -> Vec<Stream> {
        let state = self.state.lock();
        let cores = state.streams.values().flatten().map(|open| Arc::clone(&open.core));
        cores.map(|core| Stream::new(core, Arc::clone(self))).collect()
    }

    pub(crate) fn consumers(&self) -> &Registry {
        &self.consumers
    }

    /// Replaces the manifest of a stream. When this fails, the old one stands.
    pub(crate) fn change_manifest(
        &self,
        core: &Arc<StreamCore>,
        change: impl FnOnce(&mut StreamManifest),
    ) -> Result<(), ManifestError> {
        let mut state = self.state.lock();
        let open = state.stream_of(core)?;
        let mut manifest = open.manifest.clone();
        change(&mut manifest);
        self.write_manifest(&core.name, &manifest)?;
        open.manifest = manifest;
        Ok(())
    }

    /// Runs `change` in the directory of a stream that is neither closed nor deleted, and stays so meanwhile.
    pub(crate) fn in_stream<T, E: From<StreamError>>(
        &self,
        core: &Arc<StreamCore>,
        change: impl FnOnce(&dyn Storage, &Path) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.state.lock();
        state.stream_of(core)?;
        change(&*self.options.storage, &self.layout.stream(&core.name))
    }

    /// Replaces the manifest of a stream, and the stream's shards by those that the new one speaks of.
    pub(crate) fn change_shards(
        &self,
        core: &Arc<StreamCore>,
        change: impl FnOnce(&mut StreamManifest),
    ) -> Result<(), ManifestError> {
        let mut state = self.state.lock();
        let open = state.stream_of(core)?;
        let mut manifest = open.manifest.clone();
        change(&mut manifest);
        let path = self.layout.stream(&core.name);
        let old = core.shards.snapshot();
        let logs = manifest.shards.iter().map(|shard| match old.by_id(ShardId::new(shard.id)) {
            Some(known) => (Arc::clone(&known.log), known.throttle.clone()),
            None => (open::new_log(&self.context, &path, shard), self.options.throttle()),
        });
        let map = open::shard_map(&manifest, logs)
            .map_err(|fault| StreamError::damaged(path.join(layout::STREAM_MANIFEST), &fault))?;
        self.write_manifest(&core.name, &manifest)?;
        open.manifest = manifest;
        // Still under the lock: whoever closes the store sees the new shards.
        core.shards.replace(map);
        Ok(())
    }

    fn write_manifest(&self, name: &str, manifest: &StreamManifest) -> Result<(), ManifestError> {
        let path = self.layout.stream(name).join(layout::STREAM_MANIFEST);
        let bytes = manifest::encode(manifest).map_err(|fault| StreamError::damaged(path.clone(), &fault))?;
        let storage = &*self.options.storage;
        replace_file(storage, &path, &bytes).map_err(|error| {
            // In place, but perhaps not after a power cut.
            let in_doubt = read_file(storage, &path).map_or(true, |found| found == bytes);
            ManifestError { error: IoError::new("write", &path, error).into(), in_doubt }
        })
    }

    /// Removes the directory of a shard that the manifest does not speak of any more. Once the store is closed or the stream
    /// deleted, it is left alone: its name may be another stream's by then. What stays, the next opening removes.
    pub(crate) fn remove_shard_dir(
        &self,
        core: &Arc<StreamCore>,
        shard_id: ShardId,
    ) -> Result<(), StreamError> {
        let storage = &*self.options.storage;
        let path = layout::shard_dir(&self.layout.stream(&core.name), shard_id.as_u32());
        let mut state = self.state.lock();
        if state.stream_of(core).is_err() {
            return Ok(());
        }
        let scratch = self.scratch_path(&mut state);
        match storage.rename(&path, &scratch) {
            // It never had a record.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(IoError::context("rename", &path))?,
        }
        // The scratch directory is another writer's once the store is closed: none comes before this is done.
        let _no_other_writer = state.lock.clone();
        drop(state);
        remove_tree(storage, &scratch).map_err(IoError::context("remove", &scratch))?;
        Ok(())
    }

    /// Runs `open` in the directory of a stream that is neither closed nor deleted. What it opens may be used until the
    /// lock that comes with it is dropped: until then no other writer has the store.
    #[cfg(feature = "measures")]
    pub(crate) fn open_in_stream<T, E: From<StreamError>>(
        &self,
        core: &Arc<StreamCore>,
        open: impl FnOnce(&Arc<dyn Storage>, &Path) -> Result<T, E>,
    ) -> Result<(T, Arc<dyn Debug + Send + Sync>), E> {
        let lock = self.state.lock().lock.clone();
        let opened = self.in_stream(core, |_, path| open(&self.options.storage, path))?;
        lock.map(|lock| (opened, lock)).ok_or_else(|| StreamError::Closed.into())
    }

    fn scratch_path(&self, state: &mut State) -> PathBuf {
        state.scratched += 1;
        self.layout.scratch().join(state.scratched.to_string())
    }

    /// Writes a stream's directory under a scratch name and gives it its own.
    fn write_stream(&self, manifest: &StreamManifest, scratch: &Path, path: &Path) -> Result<(), IoError> {
        let storage = &*self.options.storage;
        let file = scratch.join(layout::STREAM_MANIFEST);
        let bytes = manifest::encode(manifest)
            .map_err(|fault| IoError::new("write", &file, io::Error::other(fault.to_string())))?;
        storage.create_dir(scratch).map_err(IoError::context("create", scratch))?;
        replace_file(storage, &file, &bytes).map_err(IoError::context("write", &file))?;
        storage.rename(scratch, path).map_err(IoError::context("rename", scratch))?;
        let streams = self.layout.streams();
        if let Err(error) = storage.sync_dir(&streams) {
            // Not durable, so not created: take the name back.
            drop(storage.rename(path, scratch));
            return Err(IoError::new("sync", &streams, error));
        }
        Ok(())
    }

    fn logs(&self) -> Vec<Arc<ShardLog>> {
        let state = self.state.lock();
        state.streams.values().flatten().flat_map(|open| open.core.logs()).collect()
    }

    fn close(&self) -> Result<(), CloseError> {
        let lock = self.state.lock().lock.take();
        if lock.is_none() {
            return Ok(());
        }
        let logs = self.logs();
        self.context.background.stop();
        // Checkpoints come last: they do not get ahead of the records.
        let outcome = close_all(&self.context, &logs).and(self.consumers.close().map_err(CloseError::from));
        // Only now may another writer come.
        drop(lock);
        events::closed(self.layout.root(), &outcome);
        outcome
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Whoever wants to know of errors calls `close`; what was not closed in good order is recovered.
        drop(self.close());
    }
}

/// Closes logs on a few threads, since each waits for the disk. What goes wrong with one keeps none of the others from it.
fn close_all(context: &Context, logs: &[Arc<ShardLog>]) -> Result<(), CloseError> {
    let close = |log: &Arc<ShardLog>| Ok::<_, Infallible>(log.close().map_err(CloseError::from));
    let Ok(outcomes) = parallel::map(logs, context.waiting_threads(), close);
    outcomes.into_iter().fold(Ok(()), Result::and)
}
