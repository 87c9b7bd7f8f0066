//! What can go wrong with puts and reads.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{IoError, SyncError};
use crate::log::append::AppendError;
use crate::log::cursor::CursorError;
use crate::sys::clock::Timestamp;

use super::partition_key::PartitionKeyError;
use super::sequence_number::SequenceNumber;
use super::shard_id::ShardId;

/// Why a record was not put.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The partition key is empty or too long.
    #[error(transparent)]
    PartitionKey(#[from] PartitionKeyError),
    /// Key and data together are longer than a record may be.
    #[error(
        "key and data take {len} bytes, a record at most {max}: split the data, or store it elsewhere and put a \
         reference to it"
    )]
    RecordTooLarge {
        /// Bytes of the key's UTF-8 and the data.
        len: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// The metadata is longer than a record's may be.
    #[error("the metadata takes {len} bytes, at most {max} are allowed: move some of it into the data")]
    MetadataTooLarge {
        /// Bytes of metadata.
        len: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// `sequence_number_for_ordering` is of another shard than the one the record goes to.
    #[error(
        "the sequence number for ordering, {number}, is of {}, the record goes to {shard_id}: give the number \
         of the previous record with the same partition key, or none",
        number.shard_id()
    )]
    OrderingOfOtherShard {
        /// The number given.
        number: SequenceNumber,
        /// The shard that the record goes to.
        shard_id: ShardId,
    },
    /// `sequence_number_for_ordering` has not been given to any record yet.
    #[error(
        "the sequence number for ordering, {number}, has not been given to any record of {} yet: give one that a \
         put has returned, or none",
        number.shard_id()
    )]
    OrderingInFuture {
        /// The number given.
        number: SequenceNumber,
    },
    /// The record was meant for one shard alone, which has been split or merged since. Nothing was written.
    #[error("the record was meant for {expected}, but its hash key belongs to {found} now: put it again")]
    Moved {
        /// The shard it was meant for.
        expected: ShardId,
        /// The shard that its hash key belongs to.
        found: ShardId,
    },
    /// The shard has taken as much as its limits allow. Nothing was written.
    #[error("{shard_id} has taken as much as its limits allow: put again after {retry_after:?}")]
    ThroughputExceeded {
        /// The shard that the record goes to.
        shard_id: ShardId,
        /// When it will take the record, if nobody else puts before.
        retry_after: Duration,
    },
    /// There is no room for another segment. Nothing was written; reads go on, and so do puts once there is room.
    #[error(
        "no room for another segment in {}: it needs {needed} bytes, {available} are available; free some space or \
         shorten the retention, then put again",
        path.display()
    )]
    StorageFull {
        /// Bytes that the next segment takes.
        needed: u64,
        /// Bytes that the file system has.
        available: u64,
        /// The shard's directory.
        path: PathBuf,
    },
    /// A sync of the shard has failed, just now or earlier, or could not be made. Whether the record is on disk is not known.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The operating system refused something else. Nothing was written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The store was closed or the stream deleted. Nothing was written.
    #[error("the stream is closed: its store was closed or it was deleted; open it again")]
    Closed,
    /// The shard has used up its 2^64 sequence numbers.
    #[error("the shard has no sequence numbers left: put to another stream")]
    SequenceNumbersExhausted,
}

impl From<AppendError> for PutError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::StorageFull { needed, available, path } => {
                Self::StorageFull { needed, available, path }
            }
            AppendError::Poisoned(error) => Self::Sync(error),
            AppendError::Io(error) => Self::Io(error),
            AppendError::Closed => Self::Closed,
            AppendError::Exhausted => Self::SequenceNumbersExhausted,
        }
    }
}

/// Why there is no record to read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The stream has no such shard.
    #[error("the stream has no shard {shard_id}: see Stream::shards for those it has")]
    NoSuchShard {
        /// The id given.
        shard_id: ShardId,
    },
    /// The position names a record of another shard.
    #[error("sequence number {number} is of {}, not of {shard_id}: read that shard", number.shard_id())]
    PositionOfOtherShard {
        /// The number given.
        number: SequenceNumber,
        /// The shard to be read.
        shard_id: ShardId,
    },
    /// The position names a record that is still to come.
    #[error(
        "sequence number {number} has not been given to any record yet: use Position::Latest to wait for what comes"
    )]
    PositionInFuture {
        /// The number given.
        number: SequenceNumber,
    },
    /// The position is a time that is still to come.
    #[error("{time} is in the future: use Position::Latest to wait for what comes")]
    TimeInFuture {
        /// The time given.
        time: Timestamp,
    },
    /// A reader over several shards cannot start at one record of one shard.
    #[error(
        "a reader over all shards starts at TrimHorizon, Latest or AtTimestamp: read the one shard of a sequence \
         number, or start at the time of its record"
    )]
    PositionOfOneShard,
    /// What is stored here is not what was written. The rest of the store is not affected.
    #[error(
        "{} is damaged at offset {offset}: {reason}; copy the file away before anything else, then read on behind \
         the damage with skip_damage()",
        path.display()
    )]
    Corrupt {
        /// The segment's file.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong: for a checksum, the expected and the found value.
        reason: String,
    },
    /// Retention has removed the records that come next. The reader is at the oldest record that is kept now, and goes on
    /// there.
    #[error(
        "the reader has fallen behind retention: the records before {oldest} are gone; read on to continue there, or          keep more"
    )]
    Trimmed {
        /// No record below this number is kept.
        oldest: SequenceNumber,
    },
    /// The shard has given as much as its limits allow. The reader is where it was.
    #[error("{shard_id} has given as much as its limits allow: read on after {retry_after:?}")]
    ThroughputExceeded {
        /// The shard.
        shard_id: ShardId,
        /// When it will give more, if nobody else reads before.
        retry_after: Duration,
    },
    /// A record's key is not UTF-8. Only unverified reads can find that.
    #[error(
        "the partition key of record {number} is not UTF-8: read it with verification to see what is damaged"
    )]
    KeyNotUtf8 {
        /// The record.
        number: SequenceNumber,
    },
    /// There is nothing more to come, because a sync of the shard has failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl ReadError {
    /// As [`of_cursor`](Self::of_cursor), kept out of the path of those who succeed.
    #[cold]
    pub(crate) fn boxed(error: CursorError, shard_id: ShardId) -> Box<Self> {
        Box::new(Self::of_cursor(error, shard_id))
    }

    pub(crate) fn of_cursor(error: CursorError, shard_id: ShardId) -> Self {
        match error {
            CursorError::Trimmed { oldest } => {
                Self::Trimmed { oldest: SequenceNumber::new(oldest, shard_id) }
            }
            CursorError::Corrupt { path, offset, fault } => {
                Self::Corrupt { path, offset, reason: fault.to_string() }
            }
            CursorError::Fenced(gap) => {
                Self::Corrupt { path: gap.path.clone(), offset: gap.offset, reason: gap.reason.clone() }
            }
            CursorError::Io(error) => Self::Io(error),
        }
    }
}
