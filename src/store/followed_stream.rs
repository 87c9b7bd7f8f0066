//! What the manifest of a stream says that another process writes, and keeping up with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use crate::error::IoError;
use crate::log::follow::{Registry, Standing};
use crate::log::options::Context;
use crate::log::shard_log::ShardLog;
use crate::stream::live_shards::LiveShards;
use crate::stream::retention::Retention;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::ShardMap;
use crate::stream::throttle::Throttle;
use crate::sys::storage::{Access, read_file};

use super::error::StreamError;
use super::layout;
use super::manifest::{self, StreamManifest};
use super::open;

/// How much of a manifest is compared in order to see whether it has been replaced: its checksum is among it.
const BEGINNING: usize = 512;

/// A stream's manifest, as it was when it was last looked at. The shards' logs hold this, so it does not hold them.
#[derive(Debug)]
pub(crate) struct FollowedStream {
    name: String,
    path: PathBuf,
    context: Arc<Context>,
    known: Mutex<Known>,
    /// Replaced when the manifest says so.
    shards: OnceLock<Weak<LiveShards>>,
}

#[derive(Debug)]
struct Known {
    bytes: Vec<u8>,
    manifest: StreamManifest,
}

impl FollowedStream {
    /// Reads the manifest of the stream in `path`. Returns its shards too.
    pub(crate) fn open(
        name: &str,
        path: PathBuf,
        context: Arc<Context>,
    ) -> Result<(Arc<Self>, Arc<LiveShards>), StreamError> {
        let known = Known::read(name, &path, &context)?;
        let manifest = known.manifest.clone();
        let name = name.to_owned();
        let stream =
            Arc::new(Self { name, path, context, known: Mutex::new(known), shards: OnceLock::new() });
        let shards = LiveShards::followed(stream.shard_map(&manifest, None)?);
        stream.shards.get_or_init(|| Arc::downgrade(&shards));
        Ok((stream, shards))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.path.join(layout::STREAM_MANIFEST)
    }

    /// How long records were kept when the manifest was last looked at.
    pub(crate) fn retention(&self) -> Retention {
        self.known.lock().manifest.retention.into()
    }

    /// Brings the shards up to date with the manifest, if it has been replaced.
    pub(crate) fn refresh(self: &Arc<Self>) -> Result<(), StreamError> {
        let mut known = self.known.lock();
        if self.is_unchanged(&known)? {
            return Ok(());
        }
        let now = Known::read(&self.name, &self.path, &self.context)?;
        if now.manifest.created != known.manifest.created {
            // Deleted, and another one created in its place: no record of that one is this one's.
            return Err(StreamError::NotFound { name: self.name.clone() });
        }
        // Where nobody has the shards any more, there is nobody to tell but the logs that ask.
        if let Some(shards) = self.shards.get().and_then(Weak::upgrade) {
            let map = self.shard_map(&now.manifest, Some(&shards.snapshot()))?;
            shards.replace(map);
        }
        *known = now;
        Ok(())
    }

    /// Whether the manifest's file still begins as it did, which its checksum does, and is as long.
    fn is_unchanged(&self, known: &Known) -> Result<bool, StreamError> {
        let path = self.manifest_path();
        let mut bytes = [0; BEGINNING];
        let looked = self.context.storage.open_file(&path, Access::Read).and_then(|file| {
            let read = file.read_at(&mut bytes, 0)?;
            Ok((read, file.len()?))
        });
        let (read, len) = looked.map_err(|error| not_read(&self.name, &path, error))?;
        Ok(len == known.bytes.len() as u64
            && bytes.get(..read).is_some_and(|bytes| known.bytes.starts_with(bytes)))
    }

    /// The shards that a manifest speaks of; those that are in `before` keep their logs.
    fn shard_map(
        self: &Arc<Self>,
        manifest: &StreamManifest,
        before: Option<&ShardMap>,
    ) -> Result<ShardMap, StreamError> {
        let logs = manifest.shards.iter().map(|shard| {
            let log = match before.and_then(|before| before.by_id(ShardId::new(shard.id))) {
                Some(known) => Arc::clone(&known.log),
                None => {
                    let dir = layout::shard_dir(&self.path, shard.id);
                    let registry: Arc<dyn Registry> = Arc::<Self>::clone(self);
                    ShardLog::followed(Arc::clone(&self.context), dir, shard.id, shard.first, registry)
                }
            };
            // Limits are the writing process's.
            (log, Throttle::default())
        });
        open::shard_map(manifest, logs).map_err(|fault| StreamError::damaged(self.manifest_path(), &fault))
    }
}

/// Logs ask through this, which can be had as a trait object only behind the `Arc` itself.
impl Registry for FollowedStream {
    fn standing(self: Arc<Self>, shard: u32) -> Result<Standing, IoError> {
        match self.refresh() {
            Ok(()) => {}
            Err(StreamError::NotFound { .. }) => return Ok(Standing::Gone),
            Err(StreamError::Io(error)) => return Err(error),
            // A manifest that has become damaged takes nothing from what was known; who asks for the stream's shards is told.
            Err(_) => {}
        }
        let known = self.known.lock();
        let shards = &known.manifest.shards;
        Ok(match shards.iter().find(|known| known.id == shard) {
            None => Standing::Dropped,
            Some(shard) if shard.ended.is_some() => Standing::Ended,
            Some(_) => Standing::Open,
        })
    }
}

impl Known {
    fn read(name: &str, path: &Path, context: &Context) -> Result<Self, StreamError> {
        let file = path.join(layout::STREAM_MANIFEST);
        let bytes = read_file(&*context.storage, &file).map_err(|error| not_read(name, &file, error))?;
        let manifest = manifest::decode(&bytes).map_err(|fault| StreamError::damaged(file, &fault))?;
        Ok(Self { bytes, manifest })
    }
}

fn not_read(name: &str, file: &Path, error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::NotFound => StreamError::NotFound { name: name.to_owned() },
        _ => IoError::new("read", file, error).into(),
    }
}
