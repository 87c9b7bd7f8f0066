//! A tree of names with two images.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(usize),
}

type Tree = BTreeMap<PathBuf, Node>;

/// A change to directories that may not be durable yet.
#[derive(Debug, Clone)]
enum Change {
    Add { path: PathBuf, node: Node },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

/// The names that the program sees, and those that survive a power cut.
#[derive(Debug, Default)]
pub(super) struct Names {
    live: Tree,
    durable: Tree,
    pending: Vec<Change>,
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> io::Result<Node> {
        if is_root(path) {
            return Ok(Node::Dir);
        }
        self.live.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn add(&mut self, path: &Path, node: Node) -> io::Result<()> {
        if self.get(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.get(parent(path))? != Node::Dir {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        self.change(Change::Add { path: path.to_owned(), node });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<Node> {
        let node = self.get(path)?;
        if node == Node::Dir && !children(&self.live, path).is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.change(Change::Remove { path: path.to_owned() });
        Ok(node)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.get(from)?;
        self.get(parent(to))?;
        if self.get(to).is_ok_and(|node| node == Node::Dir) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(Change::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(String, Node)>> {
        match self.get(path)? {
            Node::Dir => Ok(children(&self.live, path)),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// All live files.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, usize)> {
        self.live.iter().filter_map(|(path, node)| match node {
            Node::File(id) => Some((path.as_path(), *id)),
            Node::Dir => None,
        })
    }

    /// The present name of a file.
    pub(super) fn path_of(&self, file: usize) -> Option<PathBuf> {
        self.files().find(|(_, id)| *id == file).map(|(path, _)| path.to_owned())
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Everything that changed in this directory becomes durable, and with it what came before on those same names.
    pub(super) fn sync(&mut self, dir: &Path) {
        let mut kept: Vec<bool> = self.pending.iter().map(|change| change.concerns(dir)).collect();
        self.keep_what_others_need(&mut kept);
        let mut kept = kept.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let keep = kept.next().unwrap_or(false);
            if keep {
                apply(durable, change);
            }
            !keep
        });
    }

    /// Every name as the program sees it becomes durable.
    pub(super) fn sync_all(&mut self) {
        self.durable = self.live.clone();
        self.pending.clear();
    }

    /// A rename that is durable implies that what it renamed was created, and that what had the name before is gone:
    /// names here stand for what a file system keeps as nodes of their own.
    fn keep_what_others_need(&self, kept: &mut [bool]) {
        for (index, change) in self.pending.iter().enumerate().rev() {
            let Change::Rename { from, .. } = change else { continue };
            if kept.get(index) != Some(&true) {
                continue;
            }
            for (earlier, kept) in self.pending.iter().zip(kept.iter_mut()).take(index) {
                *kept |= earlier.makes(from);
            }
        }
    }

    /// The names after a power cut: some of the pending changes have happened. A journalling file system keeps a
    /// prefix of them; others may keep any.
    pub(super) fn after_power_cut(&self, rng: &mut fastrand::Rng) -> Self {
        let mut durable = self.durable.clone();
        let prefix = rng.bool();
        let count = rng.usize(0..=self.pending.len());
        let mut kept: Vec<bool> =
            (0..self.pending.len()).map(|index| if prefix { index < count } else { rng.bool() }).collect();
        self.keep_what_others_need(&mut kept);
        for (change, _) in self.pending.iter().zip(kept).filter(|(_, kept)| *kept) {
            apply(&mut durable, change);
        }
        // A name in a directory that is not there is not there either.
        let mut reachable = Tree::new();
        for (path, node) in durable {
            let up = parent(&path);
            if is_root(up) || reachable.get(up) == Some(&Node::Dir) {
                reachable.insert(path, node);
            }
        }
        Self { live: reachable.clone(), durable: reachable, pending: Vec::new() }
    }

    /// The names as they are, with everything still pending: for a process that died.
    pub(super) fn after_kill(&self) -> Self {
        Self { live: self.live.clone(), durable: self.durable.clone(), pending: self.pending.clone() }
    }
}

impl Change {
    /// Whether a sync of `dir` makes this durable.
    fn concerns(&self, dir: &Path) -> bool {
        match self {
            Self::Add { path, .. } | Self::Remove { path } => parent(path) == dir,
            Self::Rename { from, to } => parent(from) == dir || parent(to) == dir,
        }
    }
}

impl Change {
    /// Whether this gave the name to what is there, or took away what was there.
    fn makes(&self, name: &Path) -> bool {
        match self {
            Self::Add { path, .. } => path == name,
            Self::Rename { from, to } => to == name || from.starts_with(name),
            Self::Remove { path } => path.starts_with(name),
        }
    }
}

fn apply(tree: &mut Tree, change: &Change) {
    match change {
        Change::Add { path, node } => {
            tree.insert(path.clone(), *node);
        }
        Change::Remove { path } => {
            tree.remove(path);
        }
        Change::Rename { from, to } => {
            let moved: Vec<_> = tree.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                if let (Some(node), Ok(rest)) = (tree.remove(&path), path.strip_prefix(from)) {
                    let path = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    tree.insert(path, node);
                }
            }
        }
    }
}

/// The one way in which this disk writes a path: without a leading `/` or any `.`.
pub(super) fn normal(path: &Path) -> PathBuf {
    path.components().filter(|component| matches!(component, Component::Normal(_))).collect()
}

fn children(tree: &Tree, dir: &Path) -> Vec<(String, Node)> {
    tree.iter()
        .filter(|(path, _)| parent(path) == dir)
        .filter_map(|(path, node)| Some((path.file_name()?.to_str()?.to_owned(), *node)))
        .collect()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
