//! A stream that another process writes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::IoError;
use crate::log::options::Context;
use crate::stream::error::ReadError;
use crate::stream::hash_key::HashKey;
use crate::stream::live_shards::LiveShards;
use crate::stream::merged::MergedReader;
use crate::stream::position::Position;
use crate::stream::put::Key;
use crate::stream::reader::{Reader, ReaderOptions};
use crate::stream::retention::Retention;
#[cfg(feature = "arrow")]
use crate::stream::schemas::{self, SchemaFault, StoredSchema};
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_filter::ShardFilter;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::{Shard, ShardMap};

use super::error::StreamError;
use super::followed_stream::FollowedStream;
use super::stats::{ShardStats, StreamStats};
use super::stream_handle::ShardInfo;

/// A stream of a [`ReadOnlyStore`](crate::ReadOnlyStore): everything that a [`Stream`](crate::Stream) has for reading.
///
/// A handle; clones share what they know of the stream. What is asked of it is answered as it is now, which
/// takes a look at the stream's files: that is where the errors come from.
#[derive(Debug, Clone)]
pub struct ReadOnlyStream {
    stream: Arc<FollowedStream>,
    shards: Arc<LiveShards>,
}

impl ReadOnlyStream {
    pub(crate) fn open(name: &str, path: PathBuf, context: Arc<Context>) -> Result<Self, StreamError> {
        let (stream, shards) = FollowedStream::open(name, path, context)?;
        Ok(Self { stream, shards })
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        self.stream.name()
    }

    /// Reads a shard from a position on, as [`Stream::reader`](crate::Stream::reader) does.
    ///
    /// [`Reader::wait`] looks at the shard's files again and again, at least once every
    /// [`poll_interval`](crate::StoreOptions::poll_interval). When the stream is deleted, or the shard split or merged, it
    /// returns early, with `false`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] for a shard that the stream does not have, or a position that is not the shard's or in the
    /// future.
    pub fn reader(&self, shard_id: ShardId, position: Position) -> Result<Reader, ReadError> {
        self.reader_with(shard_id, position, ReaderOptions::new())
    }

    /// Reads a shard from a position on, as the options say. Up to the durable watermark that the writer has left in the
    /// segment after its last sync, records are durable.
    ///
    /// # Errors
    ///
    /// As for [`reader`](Self::reader).
    pub fn reader_with(
        &self,
        shard_id: ShardId,
        position: Position,
        options: ReaderOptions,
    ) -> Result<Reader, ReadError> {
        self.with_shard(shard_id, |shard| Reader::new(shard, position, options))?
    }

    /// Reads all shards as one, by arrival time.
    ///
    /// # Errors
    ///
    /// As for [`reader`](Self::reader); [`ReadError::PositionOfOneShard`] for a sequence number.
    pub fn merged_reader(
        &self,
        position: Position,
        options: ReaderOptions,
    ) -> Result<MergedReader, ReadError> {
        for shard in self.look()?.all() {
            shard.log.catch_up()?;
        }
        let clock = Arc::clone(&self.stream.context().clock);
        MergedReader::new(&self.shards, clock, position, options)
    }

    /// The open shards, in the order of their hash keys.
    ///
    /// # Errors
    ///
    /// [`StreamError`] when the stream's manifest cannot be read, or the stream has been deleted.
    pub fn shards(&self) -> Result<Vec<ShardInfo>, StreamError> {
        Ok(self.refresh()?.open().iter().map(|shard| ShardInfo::new(shard)).collect())
    }

    /// Shards, open and closed, by their ids, as [`Stream::list_shards`](crate::Stream::list_shards) does.
    ///
    /// # Errors
    ///
    /// As for [`shards`](Self::shards).
    pub fn list_shards(&self, filter: ShardFilter) -> Result<Vec<ShardInfo>, StreamError> {
        let map = self.refresh()?;
        let admitted = map.all().iter().filter(|shard| filter.admits(&map, shard));
        Ok(admitted.map(|shard| ShardInfo::new(shard)).collect())
    }

    /// The shard that records with this partition key go to.
    ///
    /// # Errors
    ///
    /// As for [`shards`](Self::shards).
    pub fn shard_for_key<'a>(&self, key: impl Into<Key<'a>>) -> Result<Option<ShardId>, StreamError> {
        self.shard_for_hash_key(key.into().hash_key())
    }

    /// The shard that owns this hash key.
    ///
    /// # Errors
    ///
    /// As for [`shards`](Self::shards).
    pub fn shard_for_hash_key(&self, hash_key: HashKey) -> Result<Option<ShardId>, StreamError> {
        Ok(self.refresh()?.owner_of(hash_key).map(|shard| shard.id))
    }

    /// The number of the shard's last kept record that is known to be on disk, of a batch of columns that of its last row;
    /// `None` when there is none. This is what the writer has noted in the segment after its last sync.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchShard`], [`ReadError::Io`].
    pub fn durable_sequence_number(&self, shard_id: ShardId) -> Result<Option<SequenceNumber>, ReadError> {
        let last = self.with_shard(shard_id, |shard| shard.log.last_durable())?;
        Ok(last.map(|counter| SequenceNumber::new(counter, shard_id)))
    }

    /// Waits until the record with this number is on disk, at most for `timeout`; returns whether it is. Returns early, with
    /// `false`, when the stream is deleted.
    ///
    /// # Errors
    ///
    /// As for [`durable_sequence_number`](Self::durable_sequence_number).
    pub fn wait_durable(&self, number: SequenceNumber, timeout: Duration) -> Result<bool, ReadError> {
        // A timeout too long to be a point in time is no timeout.
        let deadline = Instant::now().checked_add(timeout);
        let log = self.with_shard(number.shard_id(), |shard| Arc::clone(&shard.log))?;
        let polling = log.polling(deadline);
        let is_durable = || -> Result<bool, IoError> {
            log.catch_up()?;
            Ok(log.durable() > number.counter())
        };
        let Some(mut polling) = polling else {
            return Ok(is_durable()?);
        };
        loop {
            if is_durable()? {
                return Ok(true);
            }
            if log.is_gone() || !polling.pause() {
                return Ok(false);
            }
        }
    }

    /// How long records are kept.
    ///
    /// # Errors
    ///
    /// As for [`shards`](Self::shards).
    pub fn retention(&self) -> Result<Retention, StreamError> {
        self.refresh()?;
        Ok(self.stream.retention())
    }

    /// What a shard has, as far as it can be seen from outside the writing process: syncs are not counted, and no
    /// preparation is known to have failed.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchShard`], [`ReadError::Io`].
    pub fn shard_stats(&self, shard_id: ShardId) -> Result<ShardStats, ReadError> {
        self.with_shard(shard_id, |shard| ShardStats::new(shard.id, shard.log.stats()))
    }

    /// What the stream and its shards have, open and closed ones, as far as that can be seen from outside the writing
    /// process.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`].
    pub fn stats(&self) -> Result<StreamStats, ReadError> {
        let shards: Result<_, ReadError> = self
            .look()?
            .all()
            .iter()
            .map(|shard| {
                shard.log.catch_up()?;
                Ok(ShardStats::new(shard.id, shard.log.stats()))
            })
            .collect();
        Ok(StreamStats::new(self.name().to_owned(), shards?, Vec::new()))
    }

    /// Reads a shard from the record on that holds a row.
    #[cfg(feature = "arrow")]
    pub(crate) fn row_reader(
        &self,
        shard_id: ShardId,
        position: Position,
        options: ReaderOptions,
    ) -> Result<Reader, ReadError> {
        self.with_shard(shard_id, |shard| Reader::at_row(shard, position, options))?
    }

    /// The schemas of the stream's rows.
    #[cfg(feature = "arrow")]
    pub(crate) fn schemas(&self) -> Result<Vec<StoredSchema>, SchemaFault> {
        schemas::load(&*self.stream.context().storage, self.stream.path())
    }

    /// What `ask` says of a shard that has been brought up to date.
    fn with_shard<T>(&self, shard_id: ShardId, ask: impl FnOnce(&Shard) -> T) -> Result<T, ReadError> {
        let mut shards = self.shards.snapshot();
        if shards.by_id(shard_id).is_none() {
            shards = self.look()?;
        }
        let shard = shards.by_id(shard_id).ok_or(ReadError::NoSuchShard { shard_id })?;
        shard.log.catch_up()?;
        Ok(ask(shard))
    }

    /// As [`refresh`](Self::refresh), for those who read.
    fn look(&self) -> Result<Arc<ShardMap>, ReadError> {
        self.refresh().map_err(|error| match error {
            StreamError::Io(error) => ReadError::Io(error),
            error => {
                let path = self.stream.manifest_path();
                ReadError::Io(IoError::new("read", &path, io::Error::other(error.to_string())))
            }
        })
    }

    /// The stream as it is followed.
    pub(crate) fn followed(&self) -> &FollowedStream {
        &self.stream
    }

    /// The shards, as the stream's manifest has them now.
    pub(crate) fn refresh(&self) -> Result<Arc<ShardMap>, StreamError> {
        self.stream.refresh()?;
        Ok(self.shards.snapshot())
    }
}
