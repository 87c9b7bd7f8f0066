//! Checking a whole store without changing it.

pub(crate) mod plan;
pub(crate) mod repair;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::consumer::encoding::EncodingFault;
use crate::consumer::file::{self, LoadError};
use crate::error::IoError;
use crate::log::inspect::{Fault, FaultKind, Findings, Severity, inspect_shard};
use crate::stream::schema_file::{self, SchemaFileFault};
use crate::sys::storage::{Storage, read_file};

use super::layout::{self, Layout};
use super::manifest::{self, ManifestFault, StoreManifest, StreamManifest};
use plan::RepairPlan;

/// Why a store cannot be verified.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no store.
    #[error("there is no store in {}: check the path", path.display())]
    NotFound {
        /// The directory given.
        path: PathBuf,
    },
    /// The operating system refused to show the store's directory.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// What [`Store::verify`](crate::Store::verify) looked at and found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Everything that is wrong, stream by stream, oldest segment first.
    pub faults: Vec<Fault>,
    /// Streams looked at.
    pub streams: u64,
    /// Segments looked at.
    pub segments: u64,
    /// Whole records found.
    pub records: u64,
    /// Bytes of segments in use, each of which was read.
    pub bytes: u64,
    pub(crate) plan: RepairPlan,
}

impl VerifyReport {
    /// Whether nothing at all is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether bytes are not what was written, or are gone.
    pub fn is_damaged(&self) -> bool {
        self.damage().next().is_some()
    }

    /// The faults that are damage.
    pub fn damage(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| fault.severity == Severity::Damage)
    }

    /// What can be done about the faults, and about which nothing can be. Nothing is done yet: look at it, take out what
    /// you do not want, and give it to [`Store::repair`](crate::Store::repair).
    pub fn repair_plan(&self) -> RepairPlan {
        self.plan.clone()
    }
}

/// Checks the store at `layout`.
pub(crate) fn verify(storage: &dyn Storage, layout: &Layout) -> Result<VerifyReport, VerifyError> {
    let root = layout.root();
    let entries = match storage.list(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VerifyError::NotFound { path: root.to_owned() });
        }
        Err(error) => return Err(IoError::new("list", root, error).into()),
    };
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    if !has(layout::STORE_MANIFEST) && !has(layout::STREAMS) {
        return Err(VerifyError::NotFound { path: root.to_owned() });
    }
    let ours = [layout::LOCK, layout::STORE_MANIFEST, layout::STREAMS, layout::SCRATCH, layout::QUARANTINE];
    let mut out = Findings::default();
    for entry in entries.iter().filter(|entry| !ours.contains(&&*entry.name)) {
        let detail = "no store has a file of this name";
        out.add(&root.join(&entry.name), 0, FaultKind::Leftover, Severity::Derived, detail);
    }
    read_manifest::<StoreManifest>(storage, &layout.manifest(), FaultKind::StoreManifest, &mut out);
    let mut streams = 0;
    let dir = layout.streams();
    match storage.list(&dir) {
        Ok(entries) => {
            for entry in entries.iter().filter(|entry| entry.is_dir) {
                streams += 1;
                verify_stream(storage, &layout.stream(&entry.name), &mut out);
            }
        }
        Err(error) => out.add(&dir, 0, FaultKind::Unreadable, Severity::Damage, error),
    }
    let plan = plan::propose(layout, &out);
    let Findings { faults, segments, records, bytes, .. } = out;
    Ok(VerifyReport { faults, streams, segments, records, bytes, plan })
}

fn verify_stream(storage: &dyn Storage, path: &Path, out: &mut Findings) {
    let entries = match storage.list(path) {
        Ok(entries) => entries,
        // Deleted since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return out.add(path, 0, FaultKind::Unreadable, Severity::Damage, error),
    };
    let file = path.join(layout::STREAM_MANIFEST);
    let faults = out.faults.len();
    let manifest = read_manifest::<StreamManifest>(storage, &file, FaultKind::StreamManifest, out);
    if manifest.is_none() && storage.list(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        out.faults.truncate(faults);
        return;
    }
    if let Some(manifest) = &manifest
        && !manifest.covers_all_keys()
    {
        out.add(&file, 0, FaultKind::StreamManifest, Severity::Damage, ManifestFault::Ranges);
    }
    let known: BTreeSet<_> =
        manifest.iter().flat_map(|manifest| &manifest.shards).map(|shard| shard.id).collect();
    for entry in &entries {
        match layout::shard_of(&entry.name).filter(|_| entry.is_dir) {
            Some(shard) if known.contains(&shard) => {}
            // Without a manifest, what there is counts.
            Some(shard) if manifest.is_none() => {
                inspect_shard(storage, &path.join(&entry.name), shard, None, out);
            }
            _ if entry.name == layout::STREAM_MANIFEST => {}
            _ if entry.name == layout::VERSION_INDEX && !entry.is_dir => {}
            _ if entry.name == layout::CONSUMERS && entry.is_dir => {
                verify_consumers(storage, &path.join(layout::CONSUMERS), out);
            }
            _ if entry.name == schema_file::DIRECTORY && entry.is_dir => {
                verify_schemas(storage, &path.join(&entry.name), out);
            }
            _ => {
                let detail = "the stream's manifest does not speak of it";
                out.add(&path.join(&entry.name), 0, FaultKind::Leftover, Severity::Derived, detail);
            }
        }
    }
    for shard in manifest.iter().flat_map(|manifest| &manifest.shards) {
        inspect_shard(storage, &layout::shard_dir(path, shard.id), shard.id, Some(shard.first), out);
    }
}

fn verify_schemas(storage: &dyn Storage, dir: &Path, out: &mut Findings) {
    let entries = match storage.list(dir) {
        Ok(entries) => entries,
        // Deleted since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return out.add(dir, 0, FaultKind::Unreadable, Severity::Damage, error),
    };
    for entry in entries {
        let path = dir.join(&entry.name);
        let Some(id) = schema_file::id_of(&entry.name) else {
            let detail = "it is no schema's file";
            out.add(&path, 0, FaultKind::Leftover, Severity::Derived, detail);
            continue;
        };
        match read_file(storage, &path).map(|bytes| schema_file::decode(id, &bytes).map(<[u8]>::len)) {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => {
                let newer = matches!(fault, SchemaFileFault::NewerFormat { .. });
                let kind = if newer { FaultKind::NewerFormat } else { FaultKind::Schema };
                out.add(&path, 0, kind, Severity::Damage, fault);
            }
            Err(error) => out.add(&path, 0, FaultKind::Unreadable, Severity::Damage, error),
        }
    }
}

/// Checks the checkpoints in the directory of a stream's consumers.
fn verify_consumers(storage: &dyn Storage, dir: &Path, out: &mut Findings) {
    let entries = match storage.list(dir) {
        Ok(entries) => entries,
        // Deleted since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return out.add(dir, 0, FaultKind::Unreadable, Severity::Damage, error),
    };
    for entry in &entries {
        let path = dir.join(&entry.name);
        if layout::consumer_of(&entry.name).is_none() || entry.is_dir {
            let detail = "no consumer has a file of this name";
            out.add(&path, 0, FaultKind::Leftover, Severity::Derived, detail);
            continue;
        }
        match file::load(storage, &path) {
            Ok(contents) if contents.torn > 0 => {
                let detail = format!("{} checkpoints are not whole: those before them hold", contents.torn);
                out.add(&path, 0, FaultKind::Tail, Severity::UnacknowledgedTail, detail);
            }
            Ok(_) => {}
            Err(LoadError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {}
            Err(LoadError::Io(error)) => {
                out.add(&path, 0, FaultKind::Unreadable, Severity::Damage, error.source);
            }
            Err(LoadError::Fault(fault)) => {
                let newer = matches!(fault, EncodingFault::NewerFormat { .. });
                let kind = if newer { FaultKind::NewerFormat } else { FaultKind::Checkpoints };
                out.add(&path, 0, kind, Severity::Damage, fault);
            }
        }
    }
}

fn read_manifest<T: serde::de::DeserializeOwned>(
    storage: &dyn Storage,
    path: &Path,
    kind: FaultKind,
    out: &mut Findings,
) -> Option<T> {
    let bytes = match read_file(storage, path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            out.add(path, 0, kind, Severity::Damage, "it is missing");
            return None;
        }
        Err(error) => {
            out.add(path, 0, FaultKind::Unreadable, Severity::Damage, error);
            return None;
        }
    };
    match manifest::decode(&bytes) {
        Ok(manifest) => Some(manifest),
        Err(fault) => {
            let newer = matches!(fault, ManifestFault::NewerFormat { .. });
            let kind = if newer { FaultKind::NewerFormat } else { kind };
            out.add(path, 0, kind, Severity::Damage, fault);
            None
        }
    }
}
