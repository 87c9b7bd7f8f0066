//! Opening a store: the lock, the manifests, and every shard's recovery, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(feature = "measures")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::error::IoError;
use crate::log::options::Context;
use crate::log::recovery::{Recovered, RecoveryReport, ShardRecovery, recover};
use crate::log::shard_dir::ShardDir;
use crate::log::shard_log::ShardLog;
use crate::stream::core::{Kept, StreamCore};
use crate::stream::live_shards::LiveShards;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::{Shard, ShardMap};
use crate::stream::throttle::Throttle;
use crate::sys::clock::Timestamp;
use crate::sys::parallel;
use crate::sys::storage::{Lock, Storage, read_file, remove_if_there, remove_tree, replace_file};

use super::error::{OpenError, StreamError};
use super::layout::{self, Layout};
use super::manifest::{self, ManifestFault, ShardManifest, StoreManifest, StreamManifest};
use super::options::{OnProgress, RecoveryProgress, StoreOptions};

/// A stream and its manifest, or why it cannot be used.
pub(crate) type StreamEntry = Result<OpenStream, StreamError>;

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) core: Arc<StreamCore>,
    pub(crate) manifest: StreamManifest,
}

/// Takes the lock of the store at `layout`, creating what is missing of it.
pub(crate) fn lock_and_create(options: &StoreOptions, layout: &Layout) -> Result<Lock, OpenError> {
    let storage = &*options.storage;
    let root = layout.root();
    let entries = match storage.list(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.create => {
            create_dirs(storage, root)?;
            Vec::new()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NotFound { path: root.to_owned() });
        }
        Err(error) => return Err(IoError::new("open", root, error).into()),
    };
    let has_manifest = entries.iter().any(|entry| entry.name == layout::STORE_MANIFEST);
    if !has_manifest {
        let ours = [layout::LOCK, layout::STREAMS, layout::SCRATCH, layout::QUARANTINE, "store.json.tmp"];
        if let Some(foreign) = entries.iter().find(|entry| !ours.contains(&&*entry.name)) {
            return Err(OpenError::NotAStore { path: root.to_owned(), found: foreign.name.clone() });
        }
        if !options.create {
            return Err(OpenError::NotFound { path: root.to_owned() });
        }
    }
    let path = layout.lock();
    let lock = storage.lock(&path, &about_me()).map_err(IoError::context("lock", &path))?;
    if let Lock::Held { holder } = lock {
        return Err(OpenError::Locked { path: root.to_owned(), holder });
    }
    if has_manifest {
        check_manifest(storage, &layout.manifest())?;
    } else {
        create_store(options, layout)?;
    }
    Ok(lock)
}

pub(crate) fn about_me() -> String {
    // A courtesy to whoever finds the store locked: the number will do where the name cannot be had.
    let program = std::env::current_exe().ok();
    let program =
        program.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    format!("process {} of {}", std::process::id(), program.as_deref().unwrap_or("an unnamed program"))
}

/// Creates a directory with its ancestors, each durable in its parent.
fn create_dirs(storage: &dyn Storage, path: &Path) -> Result<(), OpenError> {
    match storage.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent(path) != Path::new(".") => {
            create_dirs(storage, parent(path))?;
            storage.create_dir(path).map_err(IoError::context("create", path))?;
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(IoError::new("create", path, error).into());
        }
        _ => {}
    }
    sync_dir(storage, parent(path))
}

/// Creates a directory unless it is there.
fn ensure_dir(storage: &dyn Storage, path: &Path) -> Result<(), OpenError> {
    match storage.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(IoError::new("create", path, error).into())
        }
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_dir(storage: &dyn Storage, path: &Path) -> Result<(), OpenError> {
    Ok(storage.sync_dir(path).map_err(IoError::context("sync", path))?)
}

/// Makes an empty directory a store. The manifest comes last: until it is there, this is done again.
fn create_store(options: &StoreOptions, layout: &Layout) -> Result<(), OpenError> {
    let storage = &*options.storage;
    // An attempt that was killed may have created the directory without making that durable.
    sync_dir(storage, parent(layout.root()))?;
    for dir in [layout.streams(), layout.scratch()] {
        ensure_dir(storage, &dir)?;
    }
    // Once there is a manifest, the directories are there.
    sync_dir(storage, layout.root())?;
    let path = layout.manifest();
    let body = StoreManifest { created: options.clock.now().as_nanos() };
    let bytes = manifest::encode(&body)
        .map_err(|fault| IoError::new("write", &path, io::Error::other(fault.to_string())))?;
    replace_file(storage, &path, &bytes).map_err(IoError::context("write", &path))?;
    Ok(())
}

pub(crate) fn check_manifest(storage: &dyn Storage, path: &Path) -> Result<StoreManifest, OpenError> {
    let bytes = read_file(storage, path).map_err(IoError::context("read", path))?;
    manifest::decode(&bytes).map_err(|fault| match fault {
        ManifestFault::NewerFormat { found } => {
            OpenError::NewerFormat { path: path.to_owned(), found, supported: manifest::FORMAT }
        }
        fault => OpenError::Damaged { path: path.to_owned(), reason: fault.to_string() },
    })
}

/// Opens every stream of the store.
pub(crate) fn open_streams(
    options: &StoreOptions,
    context: &Arc<Context>,
    layout: &Layout,
) -> Result<(BTreeMap<String, StreamEntry>, RecoveryReport), OpenError> {
    let started = Instant::now();
    let storage = &*context.storage;
    let scratch = layout.scratch();
    // It is empty between runs, and empty directories get lost in copies.
    ensure_dir(storage, &scratch)?;
    for entry in storage.list(&scratch).map_err(IoError::context("list", &scratch))? {
        let path = scratch.join(&entry.name);
        let removed =
            if entry.is_dir { remove_tree(storage, &path) } else { remove_if_there(storage, &path) };
        removed.map_err(IoError::context("remove", &path))?;
    }
    let streams = layout.streams();
    let mut found = Vec::new();
    for entry in storage.list(&streams).map_err(IoError::context("list", &streams))? {
        if entry.is_dir {
            let path = layout.stream(&entry.name);
            found.push((entry.name, path));
        }
    }
    // What is found is about to be used, so it must stay: a process that was killed may have left names that are not
    // durable yet, in any of these. Syncs that are asked for together are one wait for the disk.
    let mut dirs = vec![layout.root().to_owned(), streams];
    dirs.extend(found.iter().map(|(_, path)| path.clone()));
    parallel::map(&dirs, context.waiting_threads(), |dir| sync_dir(storage, dir))?;
    let mut manifests = Vec::with_capacity(found.len());
    for (name, path) in found {
        let manifest = read_stream_manifest(storage, &path)?.and_then(|manifest| {
            remove_dropped_shards(storage, &path, &manifest)?;
            Ok(manifest)
        });
        manifests.push((name, path, manifest));
    }
    let mut tasks = Vec::new();
    for (name, path, manifest) in &manifests {
        if let Ok(manifest) = manifest {
            tasks.extend(manifest.shards.iter().map(|shard| Task { stream: name, path, shard }));
        }
    }
    let mut opened = open_shards(context, &tasks, options.on_recovery_progress.as_ref())?.into_iter();
    let mut entries = BTreeMap::new();
    let mut report = RecoveryReport::default();
    for (name, path, manifest) in manifests {
        let entry = match manifest {
            Ok(manifest) => {
                let mut logs = Vec::with_capacity(manifest.shards.len());
                for (log, recovery) in opened.by_ref().take(manifest.shards.len()) {
                    logs.push(log);
                    report.shards.extend(recovery);
                }
                open_stream(options, context, &name, manifest, logs)
                    .map_err(|fault| StreamError::damaged(path.join(layout::STREAM_MANIFEST), &fault))
            }
            Err(error) => Err(error),
        };
        entries.insert(name, entry);
    }
    report.elapsed = started.elapsed();
    Ok((entries, report))
}

/// Reads the manifest of the stream in `path`. A damaged one concerns that stream alone; one of a newer format,
/// the whole store.
fn read_stream_manifest(
    storage: &dyn Storage,
    path: &Path,
) -> Result<Result<StreamManifest, StreamError>, OpenError> {
    let path = path.join(layout::STREAM_MANIFEST);
    let bytes = match read_file(storage, &path) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(IoError::new("read", &path, error).into())),
    };
    match manifest::decode::<StreamManifest>(&bytes) {
        Ok(manifest) => Ok(Ok(manifest)),
        Err(ManifestFault::NewerFormat { found }) => {
            Err(OpenError::NewerFormat { path, found, supported: manifest::FORMAT })
        }
        Err(fault) => Ok(Err(StreamError::damaged(path, &fault))),
    }
}

/// Removes the directories of shards that retention had dropped when the process stopped.
fn remove_dropped_shards(
    storage: &dyn Storage,
    path: &Path,
    manifest: &StreamManifest,
) -> Result<(), StreamError> {
    let known: BTreeSet<_> = manifest.shards.iter().map(|shard| shard.id).collect();
    for entry in storage.list(path).map_err(IoError::context("list", path))? {
        let unknown = layout::shard_of(&entry.name).filter(|id| entry.is_dir && !known.contains(id));
        let Some(id) = unknown else { continue };
        // The newest shard is open, and is never dropped.
        if known.last().is_none_or(|last| id > *last) {
            return Err(StreamError::Damaged {
                path: path.join(layout::STREAM_MANIFEST),
                reason: format!("it is older than {}, which it does not speak of", entry.name),
            });
        }
        let dir = path.join(&entry.name);
        remove_tree(storage, &dir).map_err(IoError::context("remove", &dir))?;
    }
    Ok(())
}

/// A stream whose shards have these logs, in the order of the manifest.
pub(crate) fn open_stream(
    options: &StoreOptions,
    context: &Arc<Context>,
    name: &str,
    manifest: StreamManifest,
    logs: Vec<Arc<ShardLog>>,
) -> Result<OpenStream, ManifestFault> {
    let core = Arc::new(StreamCore {
        name: name.to_owned(),
        durability: manifest.durability.map_or(options.durability, Into::into),
        shards: LiveShards::written(shard_map(
            &manifest,
            logs.into_iter().map(|log| (log, options.throttle())),
        )?),
        resharding: Mutex::new(()),
        updating: Mutex::new(()),
        context: Arc::clone(context),
        retention: Mutex::new(Kept::new(manifest.retention.into())),
        #[cfg(feature = "arrow")]
        schemas: Mutex::default(),
        #[cfg(feature = "measures")]
        has_table: AtomicBool::new(false),
    });
    Ok(OpenStream { core, manifest })
}

/// One shard to open.
#[derive(Clone, Copy)]
struct Task<'a> {
    stream: &'a str,
    path: &'a Path,
    shard: &'a ShardManifest,
}

type Opened = (Arc<ShardLog>, Option<ShardRecovery>);

/// Opens shards on as many threads as there are processors; the results come in the order of the tasks.
fn open_shards(
    context: &Arc<Context>,
    tasks: &[Task<'_>],
    on_progress: Option<&OnProgress>,
) -> Result<Vec<Opened>, OpenError> {
    let done = AtomicUsize::new(0);
    parallel::map(tasks, context.working_threads(), |task| {
        let opened = open_shard(context, *task);
        if let Some(on_progress) = on_progress {
            let shards_done = done.fetch_add(1, Ordering::Relaxed) + 1;
            on_progress(RecoveryProgress { shards_done, shards_total: tasks.len() });
        }
        opened
    })
}

fn open_shard(context: &Arc<Context>, task: Task<'_>) -> Result<Opened, OpenError> {
    let started = Instant::now();
    let dir: PathBuf = layout::shard_dir(task.path, task.shard.id);
    let recovered = match recover(context, &dir, task.shard.id, task.shard.first) {
        Ok(recovered) => Some(recovered),
        Err(crate::log::recovery::RecoverError::Io(error))
            if error.source.kind() == io::ErrorKind::NotFound && error.path == dir =>
        {
            None
        }
        Err(error) => return Err(error.into()),
    };
    let exists = recovered.is_some();
    let mut recovered = recovered.unwrap_or_else(|| Recovered::empty(context, task.shard.first));
    place_in_lineage(context, &mut recovered, task.shard);
    let report = exists.then(|| ShardRecovery {
        stream: task.stream.to_owned(),
        shard: task.shard.id,
        segments: recovered.segments,
        findings: recovered.findings,
        elapsed: started.elapsed(),
    });
    let log = ShardLog::new(
        Arc::clone(context),
        // Its name is known to be durable once there are segments.
        ShardDir::new(dir, recovered.segments > 0),
        task.shard.id,
        recovered.list,
        recovered.start,
    );
    Ok((log, report))
}

/// The log of a shard that nobody has written to yet.
pub(crate) fn new_log(context: &Arc<Context>, stream: &Path, shard: &ShardManifest) -> Arc<ShardLog> {
    let dir = ShardDir::new(layout::shard_dir(stream, shard.id), false);
    let mut recovered = Recovered::empty(context, shard.first);
    place_in_lineage(context, &mut recovered, shard);
    ShardLog::new(Arc::clone(context), dir, shard.id, recovered.list, recovered.start)
}

/// A shard's records are not older than its parents', and once it has been split or merged, there are no more.
fn place_in_lineage(context: &Context, recovered: &mut Recovered, shard: &ShardManifest) {
    let start = &mut recovered.start;
    start.last_time = start.last_time.max(Timestamp::from_nanos(shard.created));
    start.ended = shard.ended.is_some();
    if start.ended
        && let Some((segment, writer)) = start.resume.take()
    {
        // It had ended before the store was closed, and nobody goes on in it.
        writer.region().close();
        segment.put_away(context);
    }
}

/// The shards of a stream, whose logs and throttles come in the order of the manifest.
pub(crate) fn shard_map(
    manifest: &StreamManifest,
    logs: impl Iterator<Item = (Arc<ShardLog>, Throttle)>,
) -> Result<ShardMap, ManifestFault> {
    let shards = manifest.shards.iter().zip(logs).map(|(shard, (log, throttle))| {
        let (range, lineage) = (shard.range(), manifest.lineage(shard));
        Arc::new(Shard { id: ShardId::new(shard.id), range, lineage, log, throttle })
    });
    ShardMap::new(shards.collect()).ok_or(ManifestFault::Ranges)
}
