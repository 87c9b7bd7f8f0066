//! A stream, as its users hold it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::SyncError;
use crate::stream::core::StreamCore;
use crate::stream::error::{PutError, ReadError};
use crate::stream::hash_key::HashKey;
use crate::stream::hash_range::HashKeyRange;
use crate::stream::merged::MergedReader;
use crate::stream::position::Position;
use crate::stream::put::{Key, Put, PutRecord, PutRecords};
use crate::stream::reader::{Reader, ReaderOptions};
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::Shard;

use super::handle::Shared;

/// A stream: records under partition keys, spread over shards, each of which keeps them in order.
///
/// A handle; clones share the stream, and any number of threads may put and read at once. Handles keep the store open.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// use riverbed::{PutRecord, StreamOptions};
///
/// let clicks = store.create_stream("clicks", StreamOptions::new().shards(4))?;
/// let put = clicks.put("user-42", b"hello")?;
/// println!("{} in {}", put.sequence_number, put.shard_id);
///
/// let records = [PutRecord::new("user-42", b"again"), PutRecord::new("user-7", b"welcome")];
/// let puts = clicks.put_records(&records);
/// assert_eq!(puts.failed_record_count(), 0);
/// clicks.sync()?; // everything put so far is on disk
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    core: Arc<StreamCore>,
    store: Arc<Shared>,
}

/// A shard, as [`Stream::shards`] describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardInfo {
    /// The shard's id.
    pub id: ShardId,
    /// The hash keys that it owns.
    pub range: HashKeyRange,
}

/// What a shard has done, as [`Stream::shard_stats`] counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardStats {
    /// Syncs that have made records durable since the store was opened. Callers that wait at the same time share one.
    pub syncs: u64,
    /// Segments that the shard has now, the one being written included.
    pub segments: usize,
}

impl Stream {
    pub(crate) fn new(core: Arc<StreamCore>, store: Arc<Shared>) -> Self {
        Self { core, store }
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Puts a record, as Kinesis's `PutRecord` does: the MD5 of the key picks the shard, the shard gives the number.
    /// The data may be empty; with the key it may take 10 MiB.
    ///
    /// # Errors
    ///
    /// [`PutError`]. Nothing is stored then, except after [`PutError::Sync`], where that is not known.
    pub fn put<'a>(&self, key: impl Into<Key<'a>>, data: impl AsRef<[u8]>) -> Result<Put, PutError> {
        self.core.put_record(&PutRecord::plain(key.into(), data.as_ref()))
    }

    /// Puts a record with everything that can be said about it.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put).
    pub fn put_record(&self, record: &PutRecord<'_>) -> Result<Put, PutError> {
        self.core.put_record(record)
    }

    /// Puts many records, as Kinesis's `PutRecords` does, without its limit of 500: one result for each, in order.
    /// Each succeeds or fails by itself, and those of one shard keep their order. Where they ask for different
    /// durabilities, the strictest of a shard's records holds for all of them.
    pub fn put_records(&self, records: &[PutRecord<'_>]) -> PutRecords {
        self.core.put_records(records)
    }

    /// Makes everything durable that has been put so far. Many callers share one sync.
    ///
    /// # Errors
    ///
    /// [`SyncError`] when the sync of a shard fails, or has failed before.
    pub fn sync(&self) -> Result<(), SyncError> {
        self.core.sync()
    }

    /// Reads a shard from a position on.
    ///
    /// # Errors
    ///
    /// [`ReadError`] for a shard that the stream does not have, or a position that is not the shard's or in the
    /// future.
    pub fn reader(&self, shard_id: ShardId, position: Position) -> Result<Reader, ReadError> {
        self.reader_with(shard_id, position, ReaderOptions::new())
    }

    /// Reads a shard from a position on, as the options say.
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
        Reader::new(self.shard(shard_id)?, position, options)
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
        MergedReader::new(self.core.shards.all().iter(), Arc::clone(self.store.clock()), position, options)
    }

    /// The shards, in the order of their hash keys.
    pub fn shards(&self) -> Vec<ShardInfo> {
        let describe = |shard: &Shard| ShardInfo { id: shard.id, range: shard.range };
        self.core.shards.all().iter().map(describe).collect()
    }

    /// The shard that records with this partition key go to.
    pub fn shard_for_key<'a>(&self, key: impl Into<Key<'a>>) -> Option<ShardId> {
        self.shard_for_hash_key(key.into().hash_key())
    }

    /// The shard that owns this hash key.
    pub fn shard_for_hash_key(&self, hash_key: HashKey) -> Option<ShardId> {
        self.core.shard_for(hash_key).map(|shard| shard.id)
    }

    /// The number of the shard's last record that is known to be on disk; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchShard`].
    pub fn durable_sequence_number(&self, shard_id: ShardId) -> Result<Option<SequenceNumber>, ReadError> {
        let shard = self.shard(shard_id)?;
        let last = shard.log.durable().checked_sub(1);
        Ok(last.map(|counter| SequenceNumber::new(counter, shard.id)))
    }

    /// Waits until the record with this number is on disk, at most for `timeout`; returns whether it is. This causes
    /// no sync: with [`Durability::Buffered`](crate::Durability) somebody must call [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchShard`], or [`ReadError::Sync`] when the shard's sync has failed.
    pub fn wait_durable(&self, number: SequenceNumber, timeout: Duration) -> Result<bool, ReadError> {
        let shard = self.shard(number.shard_id())?;
        let target = number.counter().saturating_add(1);
        // A timeout too long to be a point in time is no timeout.
        Ok(shard.log.wait_durable(target, Instant::now().checked_add(timeout))?)
    }

    /// Counts of what a shard has done.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchShard`].
    pub fn shard_stats(&self, shard_id: ShardId) -> Result<ShardStats, ReadError> {
        let log = &self.shard(shard_id)?.log;
        Ok(ShardStats { syncs: log.syncs(), segments: log.list().len() })
    }

    fn shard(&self, shard_id: ShardId) -> Result<&Shard, ReadError> {
        self.core.shards.by_id(shard_id).ok_or(ReadError::NoSuchShard { shard_id })
    }
}
