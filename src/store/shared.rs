//! What all handles of one store share: its streams, what is open for them, and how both are changed.

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
use super::stream_handle::Stream;
use super::upkeep;

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

impl Shared {
    /// Opens a store, and has its upkeep done from now on.
    pub(super) fn open(options: StoreOptions, path: PathBuf) -> Result<Arc<Self>, OpenError> {
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
        let shared = Arc::new(Self {
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
        Ok(shared)
    }

    /// See [`Store::create_stream`](super::handle::Store::create_stream).
    pub(super) fn create_stream(
        self: &Arc<Self>,
        name: &str,
        options: StreamOptions,
    ) -> Result<Stream, CreateStreamError> {
        name::check(name)?;
        let count = options.shard_count().ok_or(CreateStreamError::ShardCount { shards: options.shards })?;
        let mut state = self.state.lock();
        if state.lock.is_none() {
            return Err(CreateStreamError::Closed);
        }
        if state.streams.contains_key(name) {
            return Err(CreateStreamError::Exists { name: name.to_owned() });
        }
        let created = self.options.clock.now().as_nanos();
        let manifest = StreamManifest::uniform(created, options.durability, options.retention, count);
        let scratch = self.scratch_path(&mut state);
        let path = self.layout.stream(name);
        if let Err(error) = self.write_stream(&manifest, &scratch, &path) {
            // Best effort: opening the store empties the scratch directory anyway.
            drop(remove_tree(&*self.options.storage, &scratch));
            return Err(error.into());
        }
        let logs = manifest.shards.iter().map(|shard| open::new_log(&self.context, &path, shard)).collect();
        let open = open::open_stream(&self.options, &self.context, name, manifest, logs)
            .map_err(|fault| IoError::new("create", &path, io::Error::other(fault.to_string())))?;
        upkeep::schedule(self, &open.core);
        let stream = Stream::new(Arc::clone(&open.core), Arc::clone(self));
        state.streams.insert(name.to_owned(), Ok(open));
        drop(state);
        events::created(self.layout.root(), name, count.get());
        Ok(stream)
    }

    /// See [`Store::open_stream`](super::handle::Store::open_stream).
    pub(super) fn open_stream(self: &Arc<Self>, name: &str) -> Result<Stream, StreamError> {
        name::check(name)?;
        let state = self.state.lock();
        if state.lock.is_none() {
            return Err(StreamError::Closed);
        }
        match state.streams.get(name) {
            Some(Ok(open)) => Ok(Stream::new(Arc::clone(&open.core), Arc::clone(self))),
            Some(Err(error)) => Err(error.clone()),
            None => Err(StreamError::NotFound { name: name.to_owned() }),
        }
    }

    /// See [`Store::delete_stream`](super::handle::Store::delete_stream).
    pub(super) fn delete_stream(&self, name: &str) -> Result<(), StreamError> {
        name::check(name)?;
        let storage = &*self.options.storage;
        let mut state = self.state.lock();
        if state.lock.is_none() {
            return Err(StreamError::Closed);
        }
        if !state.streams.contains_key(name) {
            return Err(StreamError::NotFound { name: name.to_owned() });
        }
        let path = self.layout.stream(name);
        let scratch = self.scratch_path(&mut state);
        storage.rename(&path, &scratch).map_err(IoError::context("rename", &path))?;
        if let Some(Ok(open)) = state.streams.remove(name) {
            let logs = open.core.logs();
            // All of them first: to abandon one may wait for what is being done in the background.
            logs.iter().for_each(|log| log.disown());
            logs.iter().for_each(|log| log.abandon());
        }
        self.consumers.abandon(name);
        let streams = self.layout.streams();
        storage.sync_dir(&streams).map_err(IoError::context("sync", &streams))?;
        remove_tree(storage, &scratch).map_err(IoError::context("remove", &scratch))?;
        drop(state);
        events::deleted(self.layout.root(), name);
        Ok(())
    }

    /// The store's directory.
    pub(super) fn path(&self) -> &Path {
        self.layout.root()
    }

    /// What opening it found.
    pub(super) fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// The names of all streams, sorted.
    pub(super) fn list_streams(&self) -> Vec<String> {
        self.state.lock().streams.keys().cloned().collect()
    }

    /// Makes everything durable that has been put so far.
    pub(super) fn sync(&self) -> Result<(), SyncError> {
        self.logs().iter().map(ShardLog::sync).fold(Ok(()), Result::and)
    }

    /// Does the background work that is due.
    pub(super) fn maintain(&self) -> usize {
        self.context.background.run_due()
    }

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

    /// Syncs and closes everything in good order, once.
    pub(super) fn close(&self) -> Result<(), CloseError> {
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
