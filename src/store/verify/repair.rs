//! Taking damaged files out of the way, without losing a byte of them.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::IoError;
use crate::log::index;
use crate::sys::storage::{Lock, Storage, replace_file, with_suffix};

use super::super::layout::Layout;
use super::super::manifest::{self, StoreManifest};
use super::super::open::about_me;
use super::super::options::StoreOptions;
use super::plan::{LeftAlone, RepairAction, RepairKind, RepairPlan};
use super::{VerifyError, verify};

/// Why a store was not repaired.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// Somebody has the store open for writing.
    #[error(
        "{} is open for writing elsewhere{}: close it there, or wait",
        path.display(),
        holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default()
    )]
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// Who holds it, as they wrote into the lock file.
        holder: Option<String>,
    },
    /// There is no store to repair.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// What [`Store::repair`](crate::Store::repair) did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairReport {
    /// Files that were moved, from where to where.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// Files that were written anew.
    pub rewritten: Vec<PathBuf>,
    /// Actions of the plan that are not called for by what the store is like now: done before, or overtaken.
    pub skipped: Vec<RepairAction>,
    /// What is still wrong.
    pub left_alone: Vec<LeftAlone>,
}

/// Carries out those actions of `plan` that the store, looked at under the lock, still calls for.
pub(crate) fn repair(
    options: &StoreOptions,
    layout: &Layout,
    plan: &RepairPlan,
) -> Result<RepairReport, RepairError> {
    let storage = &*options.storage;
    // Before the lock, whose file would be created.
    verify_exists(storage, layout)?;
    let path = layout.lock();
    let lock = match storage.lock(&path, &about_me()).map_err(IoError::context("lock", &path))? {
        Lock::Acquired(lock) => lock,
        Lock::Held { holder } => {
            return Err(RepairError::Locked { path: layout.root().to_owned(), holder });
        }
    };
    let now = verify(storage, layout)?.repair_plan();
    let mut report = RepairReport { left_alone: now.left_alone, ..RepairReport::default() };
    for action in &plan.actions {
        let called_for = now.actions.iter().any(|due| due.kind == action.kind && due.path == action.path);
        if !called_for {
            report.skipped.push(action.clone());
            continue;
        }
        match action.kind {
            RepairKind::QuarantineIndex => {
                quarantine(storage, layout, &action.path, &mut report)?;
            }
            RepairKind::QuarantineSegment => {
                let index = index::path_beside(&action.path);
                quarantine(storage, layout, &index, &mut report)?;
                quarantine(storage, layout, &action.path, &mut report)?;
            }
            RepairKind::RewriteStoreManifest => {
                // Between the two steps there is none: opening the store writes one then.
                quarantine(storage, layout, &action.path, &mut report)?;
                let body = StoreManifest { created: options.clock.now().as_nanos() };
                let failed = |source| IoError::new("write", &action.path, source);
                let bytes =
                    manifest::encode(&body).map_err(|fault| failed(io::Error::other(fault.to_string())))?;
                replace_file(storage, &action.path, &bytes).map_err(failed)?;
                report.rewritten.push(action.path.clone());
            }
        }
    }
    drop(lock);
    Ok(report)
}

fn verify_exists(storage: &dyn Storage, layout: &Layout) -> Result<(), VerifyError> {
    let root = layout.root();
    match storage.list(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(IoError::new("list", root, error).into())
        }
        Ok(entries)
            if entries
                .iter()
                .any(|entry| [layout.manifest(), layout.streams()].contains(&root.join(&entry.name))) =>
        {
            Ok(())
        }
        _ => Err(VerifyError::NotFound { path: root.to_owned() }),
    }
}

/// Moves a file, if it is there, to the same place below the quarantine, under a name that is free.
fn quarantine(
    storage: &dyn Storage,
    layout: &Layout,
    path: &Path,
    report: &mut RepairReport,
) -> Result<(), IoError> {
    let (Some(from), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let below = from.strip_prefix(layout.streams()).unwrap_or(Path::new(""));
    let mut to = layout.quarantine();
    create_dir(storage, &to)?;
    for part in below {
        to.push(part);
        create_dir(storage, &to)?;
    }
    let taken = storage.list(&to).map_err(IoError::context("list", &to))?;
    let mut target = to.join(name);
    for number in 1.. {
        if !taken.iter().any(|entry| to.join(&entry.name) == target) {
            break;
        }
        target = with_suffix(&to.join(name), &format!(".{number}"));
    }
    match storage.rename(path, &target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        outcome => outcome.map_err(IoError::context("move", path))?,
    }
    // The new name first: should the power go in between, the file may have both, and never none.
    for dir in [&to, from] {
        storage.sync_dir(dir).map_err(IoError::context("sync", dir))?;
    }
    report.moved.push((path.to_owned(), target));
    Ok(())
}

/// Creates a directory, durable in its parent.
fn create_dir(storage: &dyn Storage, path: &Path) -> Result<(), IoError> {
    match storage.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(IoError::new("create", path, error));
        }
        _ => {}
    }
    match path.parent() {
        Some(parent) => storage.sync_dir(parent).map_err(IoError::context("sync", parent)),
        None => Ok(()),
    }
}
