//! Records as they are read.

use std::fmt;

use bytes::Bytes;

use crate::log::cursor::Owner;
use crate::log::frame::Frame;
use crate::sys::clock::Timestamp;

use super::error::ReadError;
use super::hash_key::HashKey;
use super::sequence_number::SequenceNumber;
use super::shard_id::ShardId;

/// A record in place: everything in it is borrowed from the mapped segment. It lives until the reader moves on;
/// [`to_bytes`](Self::to_bytes) and [`to_owned`](Self::to_owned) keep it longer, still without copying.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// use riverbed::{Position, PutRecord, StreamOptions};
///
/// let clicks = store.create_stream("clicks", StreamOptions::new())?;
/// let put = clicks.put_record(&PutRecord::new("user-42", b"hello").metadata(b"trace=1"))?;
/// let mut reader = clicks.reader(put.shard_id, Position::AtSequenceNumber(put.sequence_number))?;
/// if let Some(record) = reader.next()? {
///     assert_eq!(record.sequence_number(), put.sequence_number);
///     assert_eq!((record.partition_key()?, record.data()), ("user-42", &b"hello"[..]));
///     assert_eq!(record.metadata(), b"trace=1");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Record<'a> {
    frame: Frame<'a>,
    shard_id: ShardId,
    owner: &'a Owner,
}

impl<'a> Record<'a> {
    #[inline]
    pub(crate) fn new(frame: Frame<'a>, shard_id: ShardId, owner: &'a Owner) -> Self {
        Self { frame, shard_id, owner }
    }

    /// The record's number.
    #[inline]
    pub fn sequence_number(&self) -> SequenceNumber {
        SequenceNumber::new(self.frame.sequence(), self.shard_id)
    }

    /// The shard it was read from.
    #[inline]
    pub fn shard_id(&self) -> ShardId {
        self.shard_id
    }

    /// The number of the record's last row; its own number for a record that is no batch. The next record's is above it.
    #[inline]
    pub fn last_sequence_number(&self) -> SequenceNumber {
        last_number(self.sequence_number(), self.frame.row_count())
    }

    /// When the engine appended it: Kinesis's `ApproximateArrivalTimestamp`, in nanoseconds. Never decreases within
    /// a shard.
    #[inline]
    pub fn arrival_time(&self) -> Timestamp {
        self.frame.time()
    }

    /// The partition key it was put under.
    ///
    /// # Errors
    ///
    /// [`ReadError::KeyNotUtf8`] when the stored key is not UTF-8, which only damage can cause and only an
    /// unverified read can let through.
    #[inline]
    pub fn partition_key(&self) -> Result<&'a str, ReadError> {
        std::str::from_utf8(self.frame.key())
            .map_err(|_| ReadError::KeyNotUtf8 { number: self.sequence_number() })
    }

    /// The partition key's bytes.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.frame.key()
    }

    /// The hash key that chose the shard, if one was given explicitly.
    #[inline]
    pub fn explicit_hash_key(&self) -> Option<HashKey> {
        self.frame.explicit_hash_key().map(HashKey::from)
    }

    /// The bytes stored beside the data; empty when there are none.
    #[inline]
    pub fn metadata(&self) -> &'a [u8] {
        self.frame.metadata()
    }

    /// The data.
    #[inline]
    pub fn data(&self) -> &'a [u8] {
        self.frame.data()
    }

    /// The data, keeping the segment's mapping alive for as long as it lives. Nothing is copied. The first call
    /// after the reader has found more to read allocates one handle; the others count a reference.
    #[inline]
    pub fn to_bytes(&self) -> Bytes {
        self.owner.slice(self.frame.data_offset(), self.frame.data().len())
    }

    /// The key, keeping the segment's mapping alive.
    #[cfg(feature = "arrow")]
    pub(crate) fn key_bytes(&self) -> Bytes {
        self.owner.slice(self.frame.body_offset(), self.frame.key().len())
    }

    /// The schema and the number of rows of a batch; `None` for a record of bytes.
    #[cfg(feature = "arrow")]
    pub(crate) fn schema_id_and_rows(&self) -> Option<(u32, u32)> {
        self.frame.rows().map(|rows| (rows.schema_id, rows.count))
    }

    /// Checks the checksum of key, metadata and data, for a record from an unverified read.
    #[cfg(feature = "arrow")]
    pub(crate) fn check_body(&self) -> Result<(), crate::log::frame::FrameFault> {
        self.frame.check_body()
    }

    /// Whether Arrow may take the record's columns for valid.
    #[cfg(feature = "arrow")]
    pub(crate) fn skip_validation(&self) -> arrow_data::UnsafeFlag {
        self.owner.validated().skip_validation(self.frame.offset())
    }

    /// Notes that everything in the record's columns was validated, and its checksum before.
    #[cfg(feature = "arrow")]
    pub(crate) fn note_validated(&self) {
        self.owner.validated().add(self.frame.offset());
    }

    /// The whole record, keeping the segment's mapping alive for as long as it lives. Nothing is copied.
    #[inline]
    pub fn to_owned(&self) -> OwnedRecord {
        let key_and_metadata = self.frame.key().len() + self.frame.metadata().len();
        let body = self.owner.slice(
            self.frame.body_offset(),
            key_and_metadata + self.frame.padding() + self.frame.data().len(),
        );
        OwnedRecord {
            sequence_number: self.sequence_number(),
            last_sequence_number: self.last_sequence_number(),
            arrival_time: self.frame.time(),
            explicit_hash_key: self.explicit_hash_key(),
            key: body.slice(..self.frame.key().len()),
            metadata: body.slice(self.frame.key().len()..key_and_metadata),
            data: body.slice(key_and_metadata + self.frame.padding()..),
        }
    }
}

#[inline]
fn last_number(first: SequenceNumber, rows: u64) -> SequenceNumber {
    SequenceNumber::new(first.counter().saturating_add(rows.saturating_sub(1)), first.shard_id())
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("sequence_number", &self.sequence_number())
            .field("arrival_time", &self.arrival_time())
            .field("key", &String::from_utf8_lossy(self.frame.key()))
            .field("metadata_len", &self.frame.metadata().len())
            .field("data_len", &self.frame.data().len())
            .finish()
    }
}

/// A record that lives on its own: its bytes still lie in the mapped segment, which stays mapped for as long as
/// this does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    sequence_number: SequenceNumber,
    last_sequence_number: SequenceNumber,
    arrival_time: Timestamp,
    explicit_hash_key: Option<HashKey>,
    key: Bytes,
    metadata: Bytes,
    data: Bytes,
}

impl OwnedRecord {
    /// The record's number.
    pub fn sequence_number(&self) -> SequenceNumber {
        self.sequence_number
    }

    /// The shard it was read from.
    pub fn shard_id(&self) -> ShardId {
        self.sequence_number.shard_id()
    }

    /// The number of its last row; see [`Record::last_sequence_number`].
    pub fn last_sequence_number(&self) -> SequenceNumber {
        self.last_sequence_number
    }

    /// When the engine appended it; see [`Record::arrival_time`].
    pub fn arrival_time(&self) -> Timestamp {
        self.arrival_time
    }

    /// The partition key it was put under.
    ///
    /// # Errors
    ///
    /// As for [`Record::partition_key`].
    pub fn partition_key(&self) -> Result<&str, ReadError> {
        std::str::from_utf8(&self.key).map_err(|_| ReadError::KeyNotUtf8 { number: self.sequence_number })
    }

    /// The hash key that chose the shard, if one was given explicitly.
    pub fn explicit_hash_key(&self) -> Option<HashKey> {
        self.explicit_hash_key
    }

    /// The bytes stored beside the data; empty when there are none.
    pub fn metadata(&self) -> &Bytes {
        &self.metadata
    }

    /// The data.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The data, without the rest.
    pub fn into_data(self) -> Bytes {
        self.data
    }
}
