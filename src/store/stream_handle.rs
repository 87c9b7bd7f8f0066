//! A stream, as its users hold it.

#[cfg(feature = "measures")]
use std::fmt::Debug;
#[cfg(feature = "measures")]
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::SyncError;
use crate::log::trim::TrimError;
use crate::stream::core::StreamCore;
use crate::stream::error::{PutError, ReadError};
use crate::stream::hash_key::HashKey;
use crate::stream::hash_range::HashKeyRange;
use crate::stream::merged::MergedReader;
use crate::stream::position::Position;
use crate::stream::put::{Key, Put, PutRecord, PutRecords};
use crate::stream::put_batch::OnRefusal;
use crate::stream::reader::{Reader, ReaderOptions};
use crate::stream::reshard;
use crate::stream::retention::Retention;
#[cfg(feature = "arrow")]
use crate::stream::schemas::OpenSchemas;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_filter::ShardFilter;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::Shard;

use crate::sys::clock::Timestamp;
#[cfg(feature = "measures")]
use crate::sys::storage::Storage;

use super::error::StreamError;
use super::reshard::ReshardError;
use super::shared::Shared;
use super::stats::{ShardStats, StreamStats};
use super::upkeep;

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

/// A shard, as [`Stream::list_shards`] describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardInfo {
    /// The shard's id.
    pub id: ShardId,
    /// The hash keys that it owns, or owned.
    pub range: HashKeyRange,
    /// The shard that it was split from, or the first of the two that it was merged from. Retention may have taken it.
    pub parent_shard_id: Option<ShardId>,
    /// The second of the two shards that it was merged from.
    pub adjacent_parent_shard_id: Option<ShardId>,
    /// Its first record has this number or one above; all numbers of its parents are below.
    pub starting_sequence_number: SequenceNumber,
    /// Set for a closed shard: its last record has this number or one below.
    pub ending_sequence_number: Option<SequenceNumber>,
    /// When it was created: with the stream, or by a split or merge.
    pub created: Timestamp,
    /// Set for a closed shard: when it was split or merged.
    pub closed: Option<Timestamp>,
}

impl ShardInfo {
    pub(super) fn new(shard: &Shard) -> Self {
        let lineage = shard.lineage;
        let number = |counter| SequenceNumber::new(counter, shard.id);
        Self {
            id: shard.id,
            range: shard.range,
            parent_shard_id: lineage.parent,
            adjacent_parent_shard_id: lineage.adjacent_parent,
            starting_sequence_number: number(lineage.first),
            // One that never had a record ends where it starts.
            ending_sequence_number: lineage
                .ended
                .map(|ended| number(ended.next.saturating_sub(1).max(lineage.first))),
            created: lineage.created,
            closed: lineage.ended.map(|ended| ended.at),
        }
    }

    /// Whether the shard takes records.
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }
}

/// Why a stream's retention was not changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// Records are kept longer already.
    #[error(
        "records are kept for {present:?} already, which is longer than {asked:?}: use decrease_retention"
    )]
    NotLonger {
        /// The age given.
        asked: Duration,
        /// The age up to which records are kept; `None` for ever.
        present: Option<Duration>,
    },
    /// Records are not kept that long.
    #[error("records are kept for {present:?} only, which is shorter than {asked:?}: use increase_retention")]
    NotShorter {
        /// The age given.
        asked: Duration,
        /// The age up to which records are kept.
        present: Duration,
    },
    /// The change could not be stored.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Why a shard was not trimmed by hand.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrimStreamError {
    /// The stream has no such shard.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something could not be synced or removed.
    #[error(transparent)]
    Trim(#[from] TrimError),
}

impl Stream {
    pub(crate) fn new(core: Arc<StreamCore>, store: Arc<Shared>) -> Self {
        Self { core, store }
    }

    pub(super) fn store(&self) -> &Arc<Shared> {
        &self.store
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
        self.core.put_records(records, OnRefusal::GoOn)
    }

    /// As [`put_records`](Self::put_records), but once a shard has no room for a record, or refuses it for another reason of
    /// its own, none of the call's later records goes to that shard; they get the same error. So what failed can be put
    /// again without having been overtaken by a record of the same partition key. Records that are wrong by themselves
    /// ([`PutError::RecordTooLarge`] and the like) hold up nothing.
    pub fn put_records_in_order(&self, records: &[PutRecord<'_>]) -> PutRecords {
        self.core.put_records(records, OnRefusal::EndShard)
    }

    /// Makes everything durable that has been put so far. Many callers share one sync.
    ///
    /// # Errors
    ///
    /// [`SyncError`] when the sync of a shard fails, or has failed before.
    pub fn sync(&self) -> Result<(), SyncError> {
        self.core.sync()
    }

    /// As [`put_record`](Self::put_record), but with [`Durability::Immediate`](crate::Durability) the disk is awaited
    /// instead of blocking the thread. The record is appended when this is first polled; that copies to memory, and now and
    /// then creates a file. Dropping the future afterwards takes nothing back.
    ///
    /// The sync is done by the store's background threads, and shared by all who wait for it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let store = riverbed::Store::open(directory.path().join("data"))?;
    /// # let clicks = store.create_stream("clicks", riverbed::StreamOptions::new())?;
    /// use riverbed::{Durability, PutRecord};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let record = PutRecord::new("user-42", "hello").durability(Durability::Immediate);
    /// clicks.put_record_async(&record).await?; // on disk
    /// # Ok::<_, riverbed::PutError>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`put_record`](Self::put_record).
    #[cfg(feature = "async")]
    pub async fn put_record_async(&self, record: &PutRecord<'_>) -> Result<Put, PutError> {
        self.core.put_record_async(record).await
    }

    /// As [`sync`](Self::sync), awaiting the disk instead of blocking the thread.
    ///
    /// # Errors
    ///
    /// As for [`sync`](Self::sync).
    #[cfg(feature = "async")]
    pub async fn sync_async(&self) -> Result<(), SyncError> {
        self.core.sync_async().await
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
        Reader::new(&*self.shard(shard_id)?, position, options)
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
        MergedReader::new(&self.core.shards, Arc::clone(self.store.clock()), position, options)
    }

    /// The present time, by the store's clock.
    #[cfg(any(feature = "line-protocol", feature = "measures"))]
    pub(crate) fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// The open shards, in the order of their hash keys.
    pub fn shards(&self) -> Vec<ShardInfo> {
        self.core.shards.look().open().iter().map(|shard| ShardInfo::new(shard)).collect()
    }

    /// Shards, open and closed, by their ids, after Kinesis's `ListShards`: parents come before their children.
    pub fn list_shards(&self, filter: ShardFilter) -> Vec<ShardInfo> {
        let map = self.core.shards.look();
        let admitted = map.all().iter().filter(|shard| filter.admits(&map, shard));
        admitted.map(|shard| ShardInfo::new(shard)).collect()
    }

    /// Splits a shard in two, of which the second begins with `new_starting_hash_key`, after Kinesis's `SplitShard`.
    /// Returns the new shards. The old one takes no more records; those it has can be read until retention takes them.
    /// Puts that come meanwhile wait. When this returns, the change is durable, and so are all records of the old shard;
    /// a crash leaves either the old shards or the new ones.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let store = riverbed::Store::open(directory.path().join("data"))?;
    /// use riverbed::{HashKey, ShardFilter, StreamOptions};
    ///
    /// let clicks = store.create_stream("clicks", StreamOptions::new())?;
    /// let parent = clicks.put("user-42", b"before")?.shard_id;
    /// let children = clicks.split_shard(parent, HashKey::from(1 << 127))?;
    /// let after = clicks.put("user-42", b"after")?;
    /// assert!(children.contains(&after.shard_id));
    /// let listed = clicks.list_shards(ShardFilter::All);
    /// assert_eq!(listed.iter().filter(|shard| shard.parent_shard_id == Some(parent)).count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReshardError`]: no such open shard, a hash key that is not above its first two and below its last, or a disk that
    /// refuses.
    pub fn split_shard(
        &self,
        shard_id: ShardId,
        new_starting_hash_key: HashKey,
    ) -> Result<[ShardId; 2], ReshardError> {
        let children = self
            .store
            .reshard(&self.core, |map| Ok(vec![reshard::split(map, shard_id, new_starting_hash_key)?]))?;
        children.try_into().map_err(|_| ReshardError::Exhausted)
    }

    /// Merges two shards of which one's hash keys begin where the other's end, after Kinesis's `MergeShards`. Returns the
    /// new shard. Otherwise as [`split_shard`](Self::split_shard).
    ///
    /// # Errors
    ///
    /// [`ReshardError`]: no such open shards, not neighbours, or a disk that refuses.
    pub fn merge_shards(
        &self,
        shard_id: ShardId,
        adjacent_shard_id: ShardId,
    ) -> Result<ShardId, ReshardError> {
        let children = self
            .store
            .reshard(&self.core, |map| Ok(vec![reshard::merge(map, shard_id, adjacent_shard_id)?]))?;
        children.first().copied().ok_or(ReshardError::Exhausted)
    }

    /// Splits and merges until there are `target` open shards that share the hash keys evenly, after Kinesis's
    /// `UpdateShardCount` with `UNIFORM_SCALING`. It goes in rounds, first splits, then merges, each of which is done as a
    /// whole or not at all: twice or half as many evenly cut shards take one. Should a round fail or the process end, those
    /// before it stand, and doing it again goes on. So that it can be, open shards that begin where one of the target's
    /// will, the first one aside, do not count for the lower limit. One update begins when the one before has ended.
    ///
    /// # Errors
    ///
    /// [`ReshardError`]: a target below half or above twice the number of open shards, or a disk that refuses.
    pub fn update_shard_count(&self, target: u32) -> Result<(), ReshardError> {
        let _one_at_a_time = self.core.updating.lock();
        let target = reshard::check_count(&self.core.shards.look(), target)?;
        while !self.store.reshard(&self.core, |map| reshard::towards_count(map, target))?.is_empty() {}
        Ok(())
    }

    /// The shard that records with this partition key go to.
    pub fn shard_for_key<'a>(&self, key: impl Into<Key<'a>>) -> Option<ShardId> {
        self.shard_for_hash_key(key.into().hash_key())
    }

    /// The shard that owns this hash key.
    pub fn shard_for_hash_key(&self, hash_key: HashKey) -> Option<ShardId> {
        self.core.shards.look().owner_of(hash_key).map(|shard| shard.id)
    }

    /// The number of the shard's last kept record that is known to be on disk, of a batch of columns that of its last row;
    /// `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchShard`].
    pub fn durable_sequence_number(&self, shard_id: ShardId) -> Result<Option<SequenceNumber>, ReadError> {
        let shard = self.shard(shard_id)?;
        Ok(shard.log.last_durable().map(|counter| SequenceNumber::new(counter, shard.id)))
    }

    /// Waits until the record with this number is on disk, at most for `timeout`; returns whether it is. This causes
    /// no sync: with [`Durability::Buffered`](crate::Durability) somebody must call [`sync`](Self::sync). Returns early, with
    /// `false`, when the stream is deleted, or the shard has ended without such a record.
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

    /// How long records are kept.
    pub fn retention(&self) -> Retention {
        self.core.retention_in_force().0
    }

    /// Changes how long records are kept, durably. What is not kept any more goes at once, a segment at a time.
    ///
    /// # Errors
    ///
    /// [`StreamError`] when the stream's manifest cannot be replaced; the old retention holds then.
    pub fn set_retention(&self, retention: Retention) -> Result<(), StreamError> {
        self.store.change_manifest(&self.core, |manifest| manifest.retention = retention.into())?;
        self.core.set_retention(retention);
        upkeep::schedule(&self.store, &self.core);
        // What cannot be removed now is tried again in the background.
        drop(upkeep::retain(&self.store, &self.core));
        Ok(())
    }

    /// Keeps records longer, after Kinesis's `IncreaseStreamRetentionPeriod`.
    ///
    /// # Errors
    ///
    /// [`RetentionError::NotLonger`] when records are kept longer, or for ever, already.
    pub fn increase_retention(&self, age: Duration) -> Result<(), RetentionError> {
        let present = self.retention();
        match present.age() {
            Some(kept) if age >= kept => Ok(self.set_retention(present.and_age(age))?),
            kept => Err(RetentionError::NotLonger { asked: age, present: kept }),
        }
    }

    /// Keeps records for a shorter time, after Kinesis's `DecreaseStreamRetentionPeriod`.
    ///
    /// # Errors
    ///
    /// [`RetentionError::NotShorter`] when records are not kept that long already.
    pub fn decrease_retention(&self, age: Duration) -> Result<(), RetentionError> {
        let present = self.retention();
        match present.age() {
            Some(kept) if age > kept => Err(RetentionError::NotShorter { asked: age, present: kept }),
            _ => Ok(self.set_retention(present.and_age(age))?),
        }
    }

    /// Removes the segments of a shard whose records are all below `number`, oldest first; the newest segment stays.
    /// Returns the bytes that their files had.
    ///
    /// # Errors
    ///
    /// [`TrimStreamError`].
    pub fn trim_to(&self, number: SequenceNumber) -> Result<u64, TrimStreamError> {
        let shard = self.shard(number.shard_id())?;
        Ok(shard.log.trim_while(|segment| segment.extent().next <= number.counter())?)
    }

    /// What a shard has and has done.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchShard`].
    pub fn shard_stats(&self, shard_id: ShardId) -> Result<ShardStats, ReadError> {
        let shard = self.shard(shard_id)?;
        Ok(ShardStats::new(shard.id, shard.log.stats()))
    }

    /// What the stream has and has done: the sums, its shards, open and closed ones, and the consumers that are open.
    pub fn stats(&self) -> StreamStats {
        let shards = self.core.shards.snapshot();
        let shards = shards.all().iter().map(|shard| ShardStats::new(shard.id, shard.log.stats())).collect();
        StreamStats::new(self.core.name.clone(), shards, self.open_consumers())
    }

    /// Reads a shard from the record on that holds a row.
    #[cfg(feature = "arrow")]
    pub(crate) fn row_reader(
        &self,
        shard_id: ShardId,
        position: Position,
        options: ReaderOptions,
    ) -> Result<Reader, ReadError> {
        Reader::at_row(&*self.shard(shard_id)?, position, options)
    }

    /// Opens something in the stream's directory; see [`Shared::open_in_stream`].
    #[cfg(feature = "measures")]
    pub(crate) fn open_beside<T, E: From<StreamError>>(
        &self,
        open: impl FnOnce(&Arc<dyn Storage>, &Path) -> Result<T, E>,
    ) -> Result<(T, Arc<dyn Debug + Send + Sync>), E> {
        self.store.open_in_stream(&self.core, open)
    }

    /// What the encodings put through, and consumers read.
    pub(crate) fn core(&self) -> &Arc<StreamCore> {
        &self.core
    }

    /// Looks at the stream's schemas, or adds to them, while it is neither closed nor deleted.
    #[cfg(feature = "arrow")]
    pub(crate) fn with_schemas<T, E: From<StreamError>>(
        &self,
        use_them: impl FnOnce(&mut OpenSchemas<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut schemas = self.core.schemas.lock();
        self.store.in_stream(&self.core, |storage, stream_dir| {
            use_them(&mut OpenSchemas { storage, stream_dir, schemas: &mut schemas })
        })
    }

    fn shard(&self, shard_id: ShardId) -> Result<Arc<Shard>, ReadError> {
        let map = self.core.shards.look();
        map.by_id(shard_id).map(Arc::clone).ok_or(ReadError::NoSuchShard { shard_id })
    }
}
