//! What a store, its streams, their shards and consumers have and have done, in figures.

use std::time::Duration;

use crate::consumer::lag::ShardLag;
use crate::error::IoError;
use crate::log::stats::LogStats;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

use super::handle::Store;
use super::stream_handle::Stream;

/// What a store has and has done; see [`Store::stats`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StoreStats {
    /// The sums over all streams.
    pub total: Totals,
    /// The streams that are not damaged, by their names.
    pub streams: Vec<StreamStats>,
}

/// What a stream has and has done; see [`Stream::stats`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StreamStats {
    /// The stream's name.
    pub name: String,
    /// The sums over all shards.
    pub total: Totals,
    /// The shards that are kept, open and closed ones, by their ids.
    pub shards: Vec<ShardStats>,
    /// The consumers that have been opened since the store was, by their names. None in a store that another process
    /// writes: see [`ReadOnlyStream::consumer_lag`](crate::ReadOnlyStream::consumer_lag).
    pub consumers: Vec<ConsumerStats>,
}

/// Sums over shards, or the most of any where that says more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Records that are kept.
    pub records: u64,
    /// Bytes of segments on disk, reserved room included.
    pub bytes: u64,
    /// How many segments there are.
    pub segments: usize,
    /// When the oldest kept record arrived; `None` when there is none.
    pub oldest: Option<Timestamp>,
    /// When the newest kept record arrived; `None` when there is none.
    pub newest: Option<Timestamp>,
    /// Sequence numbers given to records that are not on disk yet.
    pub unsynced: u64,
    /// Records put since the store was opened.
    pub appended_records: u64,
    /// Bytes that these took in their segments: keys, data, and what each record takes besides.
    pub appended_bytes: u64,
    /// Syncs since the store was opened.
    pub syncs: u64,
    /// By how much the latest periodic sync of a shard is late; see [`ShardStats::sync_overdue`].
    pub sync_overdue: Duration,
    /// How many puts had to wait, since the store was opened, for a new segment to be made.
    pub stalls: u64,
    /// How long these waited.
    pub stalled: Duration,
    /// Bytes of removed segments that readers or owned records still hold.
    pub pinned_bytes: u64,
}

/// What a shard has and has done; see [`Stream::shard_stats`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShardStats {
    /// The shard.
    pub shard_id: ShardId,
    /// Records that are kept.
    pub records: u64,
    /// Bytes of its segments on disk, reserved room included.
    pub bytes: u64,
    /// How many segments it has.
    pub segments: usize,
    /// The oldest kept record, and when it arrived; `None` when there is none.
    pub oldest: Option<(SequenceNumber, Timestamp)>,
    /// The newest record, and when it arrived; `None` when none is kept.
    pub newest: Option<(SequenceNumber, Timestamp)>,
    /// The newest kept record that is known to be on disk; `None` when there is none.
    pub durable_sequence_number: Option<SequenceNumber>,
    /// Sequence numbers given to records that are not on disk yet.
    pub unsynced: u64,
    /// Records put since the store was opened.
    pub appended_records: u64,
    /// Bytes that these took in their segments: keys, data, and what each record takes besides.
    pub appended_bytes: u64,
    /// Syncs since the store was opened.
    pub syncs: u64,
    /// By how much the sync is late that [`Durability::Periodic`](crate::Durability::Periodic) has promised: zero unless
    /// one is due and has not begun. If it grows, the disk makes fewer syncs than the shards ask for.
    pub sync_overdue: Duration,
    /// How many puts had to wait, since the store was opened, for a new segment to be made: none was ready when the last
    /// one was full.
    pub stalls: u64,
    /// How long these waited.
    pub stalled: Duration,
    /// Bytes of removed segments that readers or owned records still hold.
    pub pinned_bytes: u64,
    /// Why the next segment could not be prepared in the background: unless something changes, puts will fail with the
    /// same reason at the next roll.
    pub preparation_failure: Option<IoError>,
}

/// How far a consumer is behind; see [`StreamStats::consumers`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// The consumer's name.
    pub name: String,
    /// Records in all shards that it has not processed.
    pub records: u64,
    /// By how much it is behind in the shard where that is most; `None` when it cannot be read in any.
    pub behind: Option<Duration>,
    /// The shards that it has not finished.
    pub shards: Vec<ShardLag>,
}

impl StoreStats {
    fn new(streams: Vec<StreamStats>) -> Self {
        let mut total = Totals::default();
        streams.iter().for_each(|stream| total.add(&stream.total));
        Self { total, streams }
    }
}

impl StreamStats {
    pub(crate) fn new(name: String, shards: Vec<ShardStats>, consumers: Vec<ConsumerStats>) -> Self {
        let mut total = Totals::default();
        shards.iter().for_each(|shard| total.add(&Totals::of(shard)));
        Self { name, total, shards, consumers }
    }
}

impl Totals {
    pub(crate) fn of(shard: &ShardStats) -> Self {
        Self {
            records: shard.records,
            bytes: shard.bytes,
            segments: shard.segments,
            oldest: shard.oldest.map(|(_, time)| time),
            newest: shard.newest.map(|(_, time)| time),
            unsynced: shard.unsynced,
            appended_records: shard.appended_records,
            appended_bytes: shard.appended_bytes,
            syncs: shard.syncs,
            sync_overdue: shard.sync_overdue,
            stalls: shard.stalls,
            stalled: shard.stalled,
            pinned_bytes: shard.pinned_bytes,
        }
    }

    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.segments += other.segments;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        self.newest = self.newest.max(other.newest);
        self.unsynced += other.unsynced;
        self.appended_records += other.appended_records;
        self.appended_bytes += other.appended_bytes;
        self.syncs += other.syncs;
        self.sync_overdue = self.sync_overdue.max(other.sync_overdue);
        self.stalls += other.stalls;
        self.stalled += other.stalled;
        self.pinned_bytes += other.pinned_bytes;
    }
}

impl ShardStats {
    pub(super) fn new(shard_id: ShardId, stats: LogStats) -> Self {
        let number = |counter| SequenceNumber::new(counter, shard_id);
        Self {
            shard_id,
            records: stats.records,
            bytes: stats.bytes,
            segments: stats.segments,
            oldest: stats.oldest.map(|(counter, time)| (number(counter), time)),
            newest: stats.newest.map(|(counter, time)| (number(counter), time)),
            durable_sequence_number: stats.last_durable.map(number),
            unsynced: stats.next.saturating_sub(stats.durable),
            appended_records: stats.work.appended_records,
            appended_bytes: stats.work.appended_bytes,
            syncs: stats.syncs,
            sync_overdue: stats.sync_overdue,
            stalls: stats.work.stalls,
            stalled: stats.work.stalled,
            pinned_bytes: stats.pinned_bytes,
            preparation_failure: stats.preparation_failure,
        }
    }
}

impl ConsumerStats {
    pub(super) fn new(name: String, shards: Vec<ShardLag>) -> Self {
        let records = shards.iter().map(|shard| shard.records).sum();
        // Nothing to do is not being behind.
        let behind = if shards.is_empty() {
            Some(Duration::ZERO)
        } else {
            shards.iter().filter_map(|shard| shard.behind).max()
        };
        Self { name, records, behind, shards }
    }
}

impl Store {
    /// What the store has and has done, by stream and shard. Takes some microseconds for each shard.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// use riverbed::{Store, StreamOptions};
    ///
    /// let store = Store::open(directory.path().join("data"))?;
    /// store.create_stream("clicks", StreamOptions::new())?.put("user-42", b"hello")?;
    ///
    /// let stats = store.stats();
    /// assert_eq!(stats.total.records, 1);
    /// assert_eq!(stats.streams[0].name, "clicks");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> StoreStats {
        StoreStats::new(self.shared().open_streams().iter().map(Stream::stats).collect())
    }
}
