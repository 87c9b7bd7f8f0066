//! A disk in memory whose power can be cut.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::sys::mapping::Mapping;
use crate::sys::storage::{Access, Entry, Lock, Storage, StorageFile};

use super::file::FileImage;
use super::names::{Names, Node, normal};
use super::plan::{Call, Operation, Plan, Verdict};

/// A file system in memory that promises no more than a real one does, and can lose its power at any call.
///
/// A handle; clones share the disk. Give it to [`StoreOptions::storage`](crate::StoreOptions::storage).
#[derive(Debug, Clone, Default)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    files: BTreeMap<usize, Arc<Mutex<FileImage>>>,
    next_file: usize,
    locked: HashSet<PathBuf>,
    steps: u64,
    plan: Plan,
    /// Bytes that all files together may have.
    capacity: Option<u64>,
    /// The power is off: what the disk will be when it comes back.
    off: Option<Disk>,
}

impl Disk {
    /// An empty disk without limits, on which nothing goes wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `decide` about every call from now on. It must not use the disk itself.
    pub fn plan(&self, decide: impl Fn(&Call<'_>) -> Verdict + Send + Sync + 'static) {
        self.shared.state.lock().plan = Plan::new(decide);
    }

    /// Lets the disk hold this many bytes of files, or any number. Files that are there already stay.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.state.lock().capacity = bytes;
    }

    /// How many calls there have been: steps at which the power can be cut.
    pub fn steps(&self) -> u64 {
        self.shared.state.lock().steps
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.shared.state.lock().used()
    }

    /// Cuts the power now, unless that has happened, and returns the disk as it is when the power comes back. The seed
    /// chooses what of the unsynced writes has reached it. Every later call on this disk fails; what still runs on it
    /// does no harm.
    pub fn cut_power(&self, seed: u64) -> Self {
        self.shared.state.lock().cut_power(seed)
    }

    /// The disk as it is after the cut or the kill that a plan has made; cuts the power now if it has not come to that.
    pub fn power_on(&self) -> Self {
        self.cut_power(0)
    }

    /// Whether the power has been cut or the process killed: every call fails.
    pub fn is_off(&self) -> bool {
        self.shared.state.lock().off.is_some()
    }

    /// Kills the process, not the machine: returns a disk with everything that was written, synced or not, and without
    /// the locks. Every later call on this disk fails.
    pub fn kill(&self) -> Self {
        self.shared.state.lock().kill()
    }

    /// The paths of all files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.shared.state.lock().names.files().map(|(path, _)| path.to_owned()).collect()
    }

    /// The bytes of a file, as the program sees them.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let (_, image) = self.shared.state.lock().file(&normal(path.as_ref()))?;
        let bytes = image.lock().live();
        Ok(bytes)
    }

    /// Overwrites bytes of a file, to damage it. They are durable at once. The file does not grow.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file, another error when it is too short.
    pub fn damage(&self, path: impl AsRef<Path>, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let (_, image) = self.shared.state.lock().file(&normal(path.as_ref()))?;
        let mut image = image.lock();
        if offset.saturating_add(bytes.len()) > image.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        image.write(offset, bytes)?;
        image.sync();
        Ok(())
    }

    /// Cuts a file off after `len` bytes, to damage it. Durable at once. What is mapped or open keeps the old bytes.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file, another error when it is shorter than that already.
    pub fn truncate(&self, path: impl AsRef<Path>, len: usize) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let (id, image) = state.file(&normal(path.as_ref()))?;
        let mut bytes = image.lock().live();
        if len > bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(len);
        state.files.insert(id, Arc::new(Mutex::new(FileImage::with(bytes)?)));
        Ok(())
    }

    /// A second disk with the files as the program sees them now, all durable, without locks and plans. What happens to
    /// one of the two does not happen to the other.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn duplicate(&self) -> io::Result<Self> {
        let state = self.shared.state.lock();
        let mut names = state.names.after_kill();
        names.sync_all();
        let mut files = BTreeMap::new();
        for (_, id) in names.files() {
            if let Some(image) = state.files.get(&id) {
                let bytes = image.lock().live();
                files.insert(id, Arc::new(Mutex::new(FileImage::with(bytes)?)));
            }
        }
        let copy =
            State { names, files, next_file: state.next_file, capacity: state.capacity, ..State::default() };
        Ok(Self { shared: Arc::new(Shared { state: Mutex::new(copy) }) })
    }

    /// Counts a call and does what the plan says about it.
    fn begin(&self, operation: Operation, path: &Path) -> io::Result<PathBuf> {
        let path = normal(path);
        let mut state = self.shared.state.lock();
        if state.off.is_some() {
            return Err(power_is_off());
        }
        let call = Call { step: state.steps, operation, path: &path };
        state.steps += 1;
        match state.plan.decide(&call) {
            Verdict::Proceed => Ok(path),
            Verdict::Fail(kind) => Err(kind.into()),
            Verdict::Delay(delay) => {
                drop(state);
                thread::sleep(delay);
                Ok(path)
            }
            Verdict::CutPower { seed } => {
                state.cut_power(seed);
                Err(power_is_off())
            }
            Verdict::Kill => {
                state.kill();
                Err(power_is_off())
            }
        }
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off, or the process killed")
}

impl State {
    fn used(&self) -> u64 {
        self.names
            .files()
            .filter_map(|(_, id)| self.files.get(&id))
            .map(|image| image.lock().len() as u64)
            .sum()
    }

    fn file(&self, path: &Path) -> io::Result<(usize, Arc<Mutex<FileImage>>)> {
        match self.names.get(path)? {
            Node::File(id) => {
                let image = self.files.get(&id).cloned().ok_or(io::ErrorKind::NotFound)?;
                Ok((id, image))
            }
            Node::Dir => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// Whether `more` bytes still fit.
    fn reserve(&self, more: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if self.used().saturating_add(more) > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn kill(&mut self) -> Disk {
        if let Some(after) = &self.off {
            return after.clone();
        }
        let after = Self {
            names: self.names.after_kill(),
            files: self.files.clone(),
            next_file: self.next_file,
            capacity: self.capacity,
            ..Self::default()
        };
        let after = Disk { shared: Arc::new(Shared { state: Mutex::new(after) }) };
        self.off = Some(after.clone());
        after
    }

    fn cut_power(&mut self, seed: u64) -> Disk {
        if let Some(after) = &self.off {
            return after.clone();
        }
        let mut rng = fastrand::Rng::with_seed(seed);
        let names = self.names.after_power_cut(&mut rng);
        let mut files = BTreeMap::new();
        for (path, id) in names.files() {
            let Some(image) = self.files.get(&id) else { continue };
            match image.lock().after_power_cut(&mut rng) {
                Ok(image) => {
                    files.insert(id, Arc::new(Mutex::new(image)));
                }
                // Out of memory in a test: the file is missing, and the test will say so.
                Err(_) => debug_assert!(false, "no memory for {}", path.display()),
            }
        }
        let after =
            Self { names, files, next_file: self.next_file, capacity: self.capacity, ..Self::default() };
        let after = Disk { shared: Arc::new(Shared { state: Mutex::new(after) }) };
        self.off = Some(after.clone());
        after
    }
}

impl Storage for Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let path = &self.begin(Operation::CreateDir, path)?;
        self.shared.state.lock().names.add(path, Node::Dir)
    }

    fn create_file(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let path = &self.begin(Operation::CreateFile, path)?;
        let mut state = self.shared.state.lock();
        let id = state.next_file;
        state.names.add(path, Node::File(id))?;
        state.next_file += 1;
        let image = Arc::new(Mutex::new(FileImage::new()));
        state.files.insert(id, Arc::clone(&image));
        Ok(Arc::new(DiskFile { disk: self.clone(), id, image }))
    }

    fn open_file(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let path = &self.begin(Operation::OpenFile, path)?;
        let (id, image) = self.shared.state.lock().file(path)?;
        Ok(Arc::new(DiskFile { disk: self.clone(), id, image }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin(Operation::Rename, from)?;
        self.shared.state.lock().names.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let path = &self.begin(Operation::RemoveFile, path)?;
        let mut state = self.shared.state.lock();
        match state.names.get(path)? {
            Node::File(_) => state.names.remove(path).map(drop),
            Node::Dir => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let path = &self.begin(Operation::RemoveDir, path)?;
        let mut state = self.shared.state.lock();
        match state.names.get(path)? {
            Node::Dir => state.names.remove(path).map(drop),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let path = &self.begin(Operation::List, path)?;
        let entries = self.shared.state.lock().names.list(path)?;
        Ok(entries.into_iter().map(|(name, node)| Entry { name, is_dir: node == Node::Dir }).collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = &self.begin(Operation::SyncDir, path)?;
        let mut state = self.shared.state.lock();
        state.names.get(path)?;
        state.names.sync(path);
        Ok(())
    }

    fn available_space(&self, _path: &Path) -> io::Result<u64> {
        let state = self.shared.state.lock();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }

    fn lock(&self, path: &Path, _about_me: &str) -> io::Result<Lock> {
        let path = &self.begin(Operation::Lock, path)?;
        let mut state = self.shared.state.lock();
        if !state.locked.insert(path.to_owned()) {
            return Ok(Lock::Held { holder: None });
        }
        Ok(Lock::Acquired(Box::new(Held { disk: self.clone(), path: path.to_owned() })))
    }
}

/// The writer's lock.
#[derive(Debug)]
struct Held {
    disk: Disk,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.shared.state.lock().locked.remove(&self.path);
    }
}

/// An open file of a [`Disk`].
#[derive(Debug)]
struct DiskFile {
    disk: Disk,
    id: usize,
    image: Arc<Mutex<FileImage>>,
}

impl DiskFile {
    fn begin(&self, operation: Operation) -> io::Result<()> {
        // Under the name that it has now; a file that was removed has none.
        let path = self.disk.shared.state.lock().names.path_of(self.id).unwrap_or_default();
        self.disk.begin(operation, &path).map(drop)
    }
}

impl StorageFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.begin(Operation::Read)?;
        Ok(self.image.lock().len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.begin(Operation::Allocate)?;
        let grown = len.saturating_sub(self.image.lock().len() as u64);
        self.disk.shared.state.lock().reserve(grown)?;
        self.image.lock().allocate(usize::try_from(len).map_err(io::Error::other)?)
    }

    #[cfg(feature = "measures")]
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.begin(Operation::Write)?;
        self.image.lock().truncate(usize::try_from(len).map_err(io::Error::other)?)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.begin(Operation::Read)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        Ok(self.image.lock().read(offset, buf))
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.begin(Operation::Write)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let grown = (offset + buf.len()).saturating_sub(self.image.lock().len());
        if grown > 0 {
            self.disk.shared.state.lock().reserve(grown as u64)?;
        }
        self.image.lock().write(offset, buf)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.begin(Operation::SyncData) {
            Ok(()) => {
                self.image.lock().sync();
                Ok(())
            }
            Err(error) => {
                if !self.disk.is_off() {
                    self.image.lock().give_up();
                }
                Err(error)
            }
        }
    }

    fn write_anew(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(buf, offset)?;
        self.image.lock().take_for_dirty(usize::try_from(offset).map_err(io::Error::other)?, buf.len());
        Ok(())
    }

    fn map(&self, len: usize, access: Access) -> io::Result<Mapping> {
        self.begin(Operation::Map)?;
        let image = self.image.lock();
        if len > image.len() {
            return Err(io::Error::other("a mapping past the end of the file would be a SIGBUS"));
        }
        let mapping = image.memory()?.map(access);
        mapping.truncated(len).ok_or_else(|| io::Error::other("the mapping is shorter than that"))
    }
}
