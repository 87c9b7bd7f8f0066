//! A stream's consumers: opening, listing, resetting and deleting them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::consumer::checkpoint::Checkpoint;
use crate::consumer::encoding::{EncodingFault, FORMAT};
use crate::consumer::file::{LoadError, Progress};
use crate::consumer::group::Group;
use crate::consumer::handle::Consumer;
use crate::consumer::lag::ShardLag;
use crate::consumer::options::ConsumerOptions;
use crate::consumer::registry::Groups;
use crate::error::IoError;
use crate::stream::error::ReadError;
use crate::stream::position::Position;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_map::Shard;
use crate::sys::storage::Storage;

use super::error::StreamError;
use super::layout;
use super::name::{self, NameError};
use super::stats::ConsumerStats;
use super::stream_handle::Stream;

/// Why a consumer cannot be opened, listed, reset or deleted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no consumer of that name.
    #[error("there is no consumer '{name}': open it with Stream::consumer, or see Stream::list_consumers")]
    NotFound {
        /// The name given.
        name: String,
    },
    /// The consumer has workers.
    #[error("the consumer '{name}' has {workers} workers: drop them first")]
    InUse {
        /// The name given.
        name: String,
        /// How many it has.
        workers: usize,
    },
    /// The consumer's file of checkpoints is damaged. The stream is untouched, and so are other consumers.
    #[error(
        "{} is damaged: {reason}; restore it from a copy, or set the consumer to a position with \
         Stream::reset_consumer, which makes a new one",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The consumer's file of checkpoints was written by a newer version of this library.
    #[error(
        "{} was written by a newer format, version {found}; this version reads up to {supported}: use a newer \
         riverbed",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this version reads.
        supported: u32,
    },
    /// The consumer cannot begin at that position, or its progress cannot be told.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store was closed, or the stream deleted or damaged.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl ConsumerError {
    /// For a consumer that is to be there.
    pub(crate) fn of_opening(name: &str, path: PathBuf, error: LoadError) -> Self {
        match error {
            LoadError::Io(error) if error.source.kind() == io::ErrorKind::NotFound => {
                Self::NotFound { name: name.to_owned() }
            }
            error => Self::of_load(path, error),
        }
    }

    pub(crate) fn of_load(path: PathBuf, error: LoadError) -> Self {
        match error {
            LoadError::Fault(EncodingFault::NewerFormat { found }) => {
                Self::NewerFormat { path, found, supported: FORMAT }
            }
            LoadError::Fault(fault) => Self::Damaged { path, reason: fault.to_string() },
            LoadError::Io(error) => Self::Io(error),
        }
    }
}

impl Stream {
    /// Opens the consumer of this name with default options, creating it if it is not there, and joins it as a worker.
    ///
    /// # Errors
    ///
    /// As for [`consumer_with`](Self::consumer_with).
    pub fn consumer(&self, name: &str) -> Result<Consumer, ConsumerError> {
        self.consumer_with(name, ConsumerOptions::new())
    }

    /// Opens the consumer of this name and joins it as a worker. One that is created is durable on return.
    ///
    /// # Errors
    ///
    /// [`ConsumerError`]: a name that is not allowed, a consumer that is damaged or was not to be created, no room.
    pub fn consumer_with(&self, name: &str, options: ConsumerOptions) -> Result<Consumer, ConsumerError> {
        let group = match self.group(name) {
            Err(ConsumerError::NotFound { .. }) if options.create => {
                self.create_consumer(name, options.start)?
            }
            group => group?,
        };
        let (core, store) = (Arc::clone(self.core()), Arc::clone(self.store()));
        Consumer::join(name.to_owned(), core, group, store, options)
            .ok_or(ConsumerError::Stream(StreamError::Closed))
    }

    /// The names of the stream's consumers, sorted.
    ///
    /// # Errors
    ///
    /// [`ConsumerError::Io`] when the operating system does not show them.
    pub fn list_consumers(&self) -> Result<Vec<String>, ConsumerError> {
        self.with_consumers(|_, storage, dir| Ok(names_in(storage, dir)?))
    }

    /// How far a consumer is behind in each shard that it has not finished, by its checkpoints. It need not have workers.
    ///
    /// # Errors
    ///
    /// [`ConsumerError`].
    pub fn consumer_lag(&self, name: &str) -> Result<Vec<ShardLag>, ConsumerError> {
        Ok(self.group(name)?.lag(self.core()))
    }

    /// What is known of the consumers that have been opened since the store was.
    pub(super) fn open_consumers(&self) -> Vec<ConsumerStats> {
        // Their lags are found out without the registry's lock: that takes reads.
        let open: Vec<_> = {
            let groups = self.store().consumers().groups.lock();
            let of_this = groups.iter().filter(|((stream, _), _)| stream == self.name());
            of_this.map(|((_, name), group)| (name.clone(), Arc::clone(group))).collect()
        };
        open.into_iter().map(|(name, group)| ConsumerStats::new(name, group.lag(self.core()))).collect()
    }

    /// Sets a consumer to a position in all shards, durably: [`TrimHorizon`](Position::TrimHorizon),
    /// [`Latest`](Position::Latest) or a time; or, for a sequence number, in the shard of that number alone. Its workers go
    /// on from there; checkpoints of what they polled before fail with
    /// [`LeaseLost`](crate::CheckpointError::LeaseLost). One that is damaged is made anew.
    ///
    /// # Errors
    ///
    /// [`ConsumerError`]; the consumer is then where it was, except after [`ConsumerError::Io`], where it may be at the new
    /// position.
    pub fn reset_consumer(&self, name: &str, position: Position) -> Result<(), ConsumerError> {
        let group = match self.group(name) {
            Err(ConsumerError::Damaged { .. }) => {
                return self.create_consumer(name, position).map(drop);
            }
            group => group?,
        };
        let of_one = match position {
            Position::AtSequenceNumber(number) => Some((number, Checkpoint::AtSequenceNumber(number))),
            Position::AfterSequenceNumber(number) => Some((number, Checkpoint::AfterSequenceNumber(number))),
            _ => None,
        };
        let outcome = match of_one {
            Some((number, checkpoint)) => {
                self.check_number(number)?;
                group.reset_shard(self.core(), number.shard_id(), checkpoint)
            }
            None => group.reset(self.core(), self.progress_at(position)?),
        };
        Ok(outcome.ok_or(StreamError::Closed)??)
    }

    /// Deletes a consumer with its checkpoints, durably.
    ///
    /// # Errors
    ///
    /// [`ConsumerError::InUse`] while it has workers, or another [`ConsumerError`].
    pub fn delete_consumer(&self, name: &str) -> Result<(), ConsumerError> {
        name::check(name)?;
        self.with_consumers(|groups, storage, dir| {
            let key = (self.name().to_owned(), name.to_owned());
            if let Some(group) = groups.get(&key) {
                match group.worker_count() {
                    0 => group.abandon(),
                    workers => return Err(ConsumerError::InUse { name: name.to_owned(), workers }),
                }
            }
            groups.remove(&key);
            let path = layout::consumer(dir, name);
            match storage.remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(ConsumerError::NotFound { name: name.to_owned() });
                }
                removed => removed.map_err(IoError::context("remove", &path))?,
            }
            Ok(storage.sync_dir(dir).map_err(IoError::context("sync", dir))?)
        })
    }

    /// Does something with the consumers that are open and in the directory that they are kept in, while the stream is
    /// sure to be there.
    fn with_consumers<T>(
        &self,
        act: impl FnOnce(&mut Groups, &dyn Storage, &Path) -> Result<T, ConsumerError>,
    ) -> Result<T, ConsumerError> {
        let store = self.store();
        store.in_stream(self.core(), |storage, stream_dir| {
            let mut groups = store.consumers().groups.lock();
            act(&mut groups, storage, &layout::consumers(stream_dir))
        })
    }

    /// The consumer of this name, which must be there.
    fn group(&self, name: &str) -> Result<Arc<Group>, ConsumerError> {
        name::check(name)?;
        self.with_consumers(|groups, _, dir| {
            let key = (self.name().to_owned(), name.to_owned());
            if let Some(group) = groups.get(&key) {
                return Ok(Arc::clone(group));
            }
            let path = layout::consumer(dir, name);
            let group = Group::load(&self.core().context, path.clone())
                .map_err(|error| ConsumerError::of_opening(name, path, error))?;
            groups.insert(key, Arc::clone(&group));
            Ok(group)
        })
    }

    /// Creates a consumer, or makes a damaged one anew.
    fn create_consumer(&self, name: &str, position: Position) -> Result<Arc<Group>, ConsumerError> {
        let progress = self.progress_at(position)?;
        self.with_consumers(|groups, storage, dir| {
            let key = (self.name().to_owned(), name.to_owned());
            if let Some(group) = groups.get(&key) {
                // Somebody else was quicker.
                return Ok(Arc::clone(group));
            }
            ensure_dir(storage, dir)?;
            let group = Group::create(&self.core().context, layout::consumer(dir, name), progress)?;
            groups.insert(key, Arc::clone(&group));
            Ok(group)
        })
    }

    /// The progress of a consumer that is at this position everywhere.
    fn progress_at(&self, position: Position) -> Result<Progress, ConsumerError> {
        let now = self.store().clock().now();
        let mut progress = Progress { start: Checkpoint::TrimHorizon, shards: BTreeMap::new(), created: now };
        match position {
            Position::TrimHorizon => {}
            Position::AtTimestamp(time) if time > now => return Err(ReadError::TimeInFuture { time }.into()),
            Position::AtTimestamp(time) => progress.start = Checkpoint::AtTimestamp(time),
            Position::Latest => {
                let latest = |shard: &Arc<Shard>| {
                    let (next, _) = shard.log.tip();
                    let at_tip = Checkpoint::AtSequenceNumber(SequenceNumber::new(next, shard.id));
                    (shard.id, if shard.is_open() { at_tip } else { Checkpoint::ShardEnd })
                };
                progress.shards = self.core().shards.look().all().iter().map(latest).collect();
            }
            Position::AtSequenceNumber(_) | Position::AfterSequenceNumber(_) => {
                return Err(ReadError::PositionOfOneShard.into());
            }
        }
        Ok(progress)
    }

    /// Checks that a number has been given to a record.
    fn check_number(&self, number: SequenceNumber) -> Result<(), ReadError> {
        let shard_id = number.shard_id();
        let map = self.core().shards.look();
        let shard = map.by_id(shard_id).ok_or(ReadError::NoSuchShard { shard_id })?;
        let (next, _) = shard.log.tip();
        if number.counter() < next { Ok(()) } else { Err(ReadError::PositionInFuture { number }) }
    }
}

/// The names of the consumers in this directory, sorted; none when it is not there.
pub(crate) fn names_in(storage: &dyn Storage, dir: &Path) -> Result<Vec<String>, IoError> {
    match storage.list(dir) {
        Ok(entries) => Ok(entries
            .iter()
            .filter_map(|entry| layout::consumer_of(&entry.name))
            .map(str::to_owned)
            .collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(IoError::new("list", dir, error)),
    }
}

/// Creates a directory unless it is there, durably.
fn ensure_dir(storage: &dyn Storage, path: &Path) -> Result<(), IoError> {
    match storage.create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(IoError::new("create", path, error));
        }
        // One that is there may have been left by a process that was killed before its name was durable.
        _ => {}
    }
    match path.parent() {
        Some(parent) => storage.sync_dir(parent).map_err(IoError::context("sync", parent)),
        None => Ok(()),
    }
}
