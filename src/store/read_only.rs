//! A store that another process writes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::IoError;
use crate::log::background::Background;
use crate::log::files::FileCache;
use crate::log::map_cache::MapCache;
use crate::log::options::Context;

use super::error::{OpenError, StreamError};
use super::layout::Layout;
use super::name;
use super::open;
use super::options::StoreOptions;
use super::read_only_stream::ReadOnlyStream;
use super::verify::{self, VerifyError, VerifyReport};

/// A store, open for reading only, while another process, or nobody, writes to it.
///
/// It takes no lock and never writes anything: the directory need not even be writable, and any number of processes may
/// do so at once. Readers follow what the writer does: records, new segments and streams, retention, its death and
/// its return. What they see is whole, and in order; [`ReadLevel`](crate::ReadLevel) says whether it may be taken
/// back by a power cut.
///
/// While the writer is dead, readers show exactly what it will find when it is started again, and wait with what only its
/// recovery can decide.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("data");
/// use std::time::Duration;
/// use riverbed::{Position, Store, StreamOptions};
///
/// // In one process:
/// let writing = Store::open(&path)?;
/// let clicks = writing.create_stream("clicks", StreamOptions::new())?;
/// let put = clicks.put("user-42", b"hello")?;
///
/// // In another:
/// let store = Store::open_read_only(&path)?;
/// let clicks = store.open_stream("clicks")?;
/// let mut reader = clicks.reader(put.shard_id, Position::TrimHorizon)?;
/// if reader.wait(Duration::from_secs(1))? {
///     assert_eq!(reader.next()?.map(|record| record.data()), Some(&b"hello"[..]));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReadOnlyStore {
    layout: Layout,
    context: Arc<Context>,
}

impl ReadOnlyStore {
    pub(crate) fn open(options: StoreOptions, path: PathBuf) -> Result<Self, OpenError> {
        let layout = Layout::new(path);
        match open::check_manifest(&*options.storage, &layout.manifest()) {
            Err(OpenError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::NotFound { path: layout.root().to_owned() });
            }
            checked => checked?,
        };
        let context = Arc::new(Context {
            storage: options.storage,
            clock: Arc::clone(&options.clock),
            // Used by those alone who are to be told of more, who then look every now and then.
            background: Background::threads(),
            // Who does not look does not notice that a segment has been removed: what nobody reads would keep its room.
            maps: MapCache::new(0),
            // Nothing is opened for writing.
            files: FileCache::new(0),
            first_segment_len: options.first_segment_len,
            max_segment_len: options.max_segment_len,
            poll_interval: options.poll_interval,
        });
        Ok(Self { layout, context })
    }

    /// The store's directory.
    pub fn path(&self) -> &Path {
        self.layout.root()
    }

    /// The names of all streams that there are now, sorted.
    ///
    /// # Errors
    ///
    /// [`IoError`] when the directory cannot be listed.
    pub fn list_streams(&self) -> Result<Vec<String>, IoError> {
        let path = self.layout.streams();
        let entries = self.context.storage.list(&path).map_err(IoError::context("list", &path))?;
        Ok(entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect())
    }

    /// Opens a stream that exists now. Each call looks at the stream anew; clones of the handle share what has been found out.
    ///
    /// # Errors
    ///
    /// [`StreamError`]: no stream of that name, or one whose manifest cannot be read.
    pub fn open_stream(&self, name: &str) -> Result<ReadOnlyStream, StreamError> {
        name::check(name)?;
        ReadOnlyStream::open(name, self.layout.stream(name), Arc::clone(&self.context))
    }

    /// Checks every byte of the store: see [`Store::verify`](crate::Store::verify).
    ///
    /// # Errors
    ///
    /// [`VerifyError`] when there is no store to look at any more.
    pub fn verify(&self) -> Result<VerifyReport, VerifyError> {
        verify::verify(&*self.context.storage, &self.layout)
    }
}
