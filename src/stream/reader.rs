//! Reading one shard.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::log::cursor::{Ahead, Cursor, Start};
use crate::log::durability::ReadLevel;
use crate::log::frame::Check;
use crate::log::watchers::Watch;

use super::error::ReadError;
use super::position::Position;
use super::record::{OwnedRecord, Record};
use super::shard_id::ShardId;
use super::shard_map::Shard;
use super::throttle::{Exceeded, Throttle};

/// How to read.
///
/// ```
/// use riverbed::{ReadLevel, ReaderOptions};
///
/// let options = ReaderOptions::new().verify(false).level(ReadLevel::Durable);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ReaderOptions {
    check: Check,
    level: ReadLevel,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { check: Check::All, level: ReadLevel::Appended }
    }
}

impl ReaderOptions {
    /// Verified, at [`ReadLevel::Appended`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to check every record's checksums before handing it out. On by default; without it damage on
    /// the disk can reach you, but never a read outside the segment.
    #[must_use]
    pub fn verify(mut self, verify: bool) -> Self {
        self.check = if verify { Check::All } else { Check::Bounds };
        self
    }

    /// Checks headers at least: what rows are read with must be known.
    #[cfg(feature = "arrow")]
    pub(crate) fn with_headers_checked(mut self) -> Self {
        if self.check == Check::Bounds {
            self.check = Check::Header;
        }
        self
    }

    /// Which records to show.
    #[must_use]
    pub fn level(mut self, level: ReadLevel) -> Self {
        self.level = level;
        self
    }
}

/// Reads a shard's records in order, in place. A reader holds no lock and stops no writer.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// use riverbed::{Position, Store, StreamOptions};
///
/// let store = Store::open(directory.path().join("data"))?;
/// let clicks = store.create_stream("clicks", StreamOptions::new())?;
/// let put = clicks.put("user-42", b"hello")?;
///
/// let mut reader = clicks.reader(put.shard_id, Position::TrimHorizon)?;
/// while let Some(record) = reader.next()? {
///     assert_eq!(record.partition_key()?, "user-42");
///     assert_eq!(record.data(), b"hello");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader {
    cursor: Cursor,
    shard_id: ShardId,
    throttle: Throttle,
}

/// A page of records, after Kinesis's `GetRecords`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GetRecords {
    /// The records, in order.
    pub records: Vec<OwnedRecord>,
    /// How far the next record to read is behind the newest one, by their arrival, in milliseconds; 0 at the tip.
    pub millis_behind_latest: u64,
}

impl Reader {
    pub(crate) fn new(shard: &Shard, position: Position, options: ReaderOptions) -> Result<Self, ReadError> {
        Self::starting(shard, start(shard, position)?, options)
    }

    /// As [`new`](Self::new), but starts after a row: at the record that holds the next one.
    #[cfg(feature = "arrow")]
    pub(crate) fn at_row(
        shard: &Shard,
        position: Position,
        options: ReaderOptions,
    ) -> Result<Self, ReadError> {
        let start = match start(shard, position)? {
            Start::After(counter) => Start::Sequence(counter.saturating_add(1)),
            start => start,
        };
        Self::starting(shard, start, options)
    }

    fn starting(shard: &Shard, start: Start, options: ReaderOptions) -> Result<Self, ReadError> {
        let cursor = Cursor::new(Arc::clone(&shard.log), start, options.check, options.level)
            .map_err(|error| ReadError::of_cursor(error, shard.id))?;
        Ok(Self { cursor, shard_id: shard.id, throttle: shard.throttle.clone() })
    }

    /// The shard that this reader reads.
    pub fn shard_id(&self) -> ShardId {
        self.shard_id
    }

    /// The next record, borrowed from the mapping: no copy, no allocation, no lock and no reference count. `None`
    /// when there is none now; there may be later, see [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// [`ReadError::Corrupt`] when what is stored is not what was written. The reader stays where it is;
    /// [`skip_damage`](Self::skip_damage) goes on behind it. [`ReadError::Trimmed`], once, when retention has overtaken
    /// the reader; the next call goes on with the oldest record that is kept.
    // Always: in registers it takes a third of the instructions.
    #[inline(always)]
    #[expect(
        clippy::should_implement_trait,
        reason = "a record borrows from the reader, which `Iterator` cannot say"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        let shard_id = self.shard_id;
        match self.cursor.next() {
            Ok(Some((frame, owner))) => Ok(Some(Record::new(frame, shard_id, owner))),
            Ok(None) => Ok(None),
            Err(error) => Err(*ReadError::boxed(*error, shard_id)),
        }
    }

    /// The next page: up to `limit` records whose data take up to `max_bytes` together, at least one if there is one.
    /// The records stay valid on their own, without having been copied.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next), when the first record of the page cannot be read. Damage further on ends the
    /// page, and is reported by the next call. [`ReadError::ThroughputExceeded`] when the shard has limits and has given as
    /// much as they allow.
    pub fn get_records(&mut self, limit: usize, max_bytes: usize) -> Result<GetRecords, ReadError> {
        let shard_id = self.shard_id;
        let exceeded = |Exceeded { retry_after }| ReadError::ThroughputExceeded { shard_id, retry_after };
        self.throttle.page().map_err(exceeded)?;
        let mut records = Vec::new();
        let mut bytes = 0_usize;
        while records.len() < limit {
            let len = match self.peek() {
                Ok(Some(ahead)) => ahead.data_len,
                Ok(None) => break,
                Err(_) if !records.is_empty() => break,
                Err(error) => return Err(error),
            };
            if !records.is_empty() && bytes.saturating_add(len) > max_bytes {
                break;
            }
            match self.throttle.give(len) {
                Ok(()) => {}
                Err(_) if !records.is_empty() => break,
                Err(error) => return Err(exceeded(error)),
            }
            match self.next() {
                Ok(Some(record)) => records.push(record.to_owned()),
                Ok(None) => break,
                Err(_) if !records.is_empty() => break,
                Err(error) => return Err(error),
            }
            bytes = bytes.saturating_add(len);
        }
        let millis_behind_latest = self.millis_behind_latest()?;
        Ok(GetRecords { records, millis_behind_latest })
    }

    /// How far the next record to read is behind the shard's newest one, by their arrival, in milliseconds; 0 at the tip.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next).
    pub fn millis_behind_latest(&mut self) -> Result<u64, ReadError> {
        let (_, newest) = self.cursor.log().tip();
        let behind = self.peek()?.map_or(Duration::ZERO, |ahead| newest.since(ahead.time));
        Ok(u64::try_from(behind.as_millis()).unwrap_or(u64::MAX))
    }

    /// Sleeps until there is something to read, at most for `timeout`. Returns whether there is. Puts of other threads
    /// wake it; nothing spins. At [`ReadLevel::Durable`] syncs do: with [`Durability::Buffered`](crate::Durability)
    /// nobody may ever sync. Returns early, with `false`, when the store is closed, or the shard split or merged.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next), and [`ReadError::Sync`] when there will be nothing more because a sync has failed.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, ReadError> {
        // A timeout too long to be a point in time is no timeout.
        let deadline = Instant::now().checked_add(timeout);
        let arrived =
            self.cursor.wait(deadline).map_err(|error| ReadError::of_cursor(error, self.shard_id))?;
        match self.cursor.poison() {
            Some(error) if !arrived => Err(ReadError::Sync(error.clone())),
            _ => Ok(arrived),
        }
    }

    /// Whether everything has been read and there will never be more: the shard was split or merged, and its records go on
    /// in its children. Kinesis says this by a missing `NextShardIterator`.
    pub fn is_at_end(&self) -> bool {
        self.cursor.is_at_end()
    }

    /// Goes on behind the damage that [`next`](Self::next) reports: at the next whole record, found by its checksums.
    /// Does nothing where there is no damage.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] when the next segment cannot be opened.
    pub fn skip_damage(&mut self) -> Result<(), ReadError> {
        self.cursor.skip_damage().map_err(|error| ReadError::of_cursor(error, self.shard_id))
    }

    /// As [`wait`](Self::wait), but returns at once; when there is nothing, `waker` is woken once there may be.
    pub(crate) fn watch(&mut self, waker: &Waker) -> Result<Watch, ReadError> {
        let watch = self.cursor.watch(waker).map_err(|error| ReadError::of_cursor(error, self.shard_id))?;
        match self.cursor.poison() {
            Some(error) if watch == Watch::Over => Err(ReadError::Sync(error.clone())),
            _ => Ok(watch),
        }
    }

    /// Has `waker` not woken any more.
    pub(crate) fn unwatch(&self, waker: &Waker) {
        self.cursor.log().unwatch(waker);
    }

    /// Brings up to date what is known of a stream that another process writes.
    pub(crate) fn catch_up(&self) -> Result<(), ReadError> {
        self.cursor.log().catch_up()?;
        Ok(())
    }

    /// What the next record will be, without moving on.
    pub(crate) fn peek(&mut self) -> Result<Option<Ahead>, ReadError> {
        self.cursor.peek().map_err(|error| ReadError::of_cursor(error, self.shard_id))
    }
}

/// Checks a position against the shard it is to be used in.
fn start(shard: &Shard, position: Position) -> Result<Start, ReadError> {
    match position {
        Position::TrimHorizon => Ok(Start::Oldest),
        Position::Latest => Ok(Start::Newest),
        Position::AtSequenceNumber(number) | Position::AfterSequenceNumber(number) => {
            if number.shard_id() != shard.id {
                return Err(ReadError::PositionOfOtherShard { number, shard_id: shard.id });
            }
            let (next, _) = shard.log.tip();
            if number.counter() >= next {
                return Err(ReadError::PositionInFuture { number });
            }
            Ok(match position {
                Position::AfterSequenceNumber(_) => Start::After(number.counter()),
                _ => Start::Sequence(number.counter()),
            })
        }
        Position::AtTimestamp(time) => {
            let (_, newest) = shard.log.tip();
            if time > shard.log.context().clock.now().max(newest) {
                return Err(ReadError::TimeInFuture { time });
            }
            Ok(Start::Time(time))
        }
    }
}
