//! What is put, and what a put returns.

use crate::log::durability::Durability;

use super::core;
use super::error::PutError;
use super::hash_key::HashKey;
use super::key_cache;
use super::partition_key::{self, PartitionKey, PartitionKeyError};
use super::sequence_number::SequenceNumber;
use super::shard_id::ShardId;

/// A partition key to put under: text, or one that was hashed before.
///
/// Made from a `&str` or a [`&PartitionKey`](PartitionKey), which saves hashing it again.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    text: &'a str,
    hash_key: Option<HashKey>,
}

impl<'a> Key<'a> {
    /// The key's text.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Checks the text, unless that was done when it was hashed.
    pub(crate) fn validate(&self) -> Result<(), PartitionKeyError> {
        match self.hash_key {
            Some(_) => Ok(()),
            None => partition_key::validate(self.text),
        }
    }

    /// The hash key; computed now unless it is known.
    pub(crate) fn hash_key(&self) -> HashKey {
        self.hash_key.unwrap_or_else(|| key_cache::hash_key_of(self.text))
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, hash_key: None }
    }
}

impl<'a> From<&'a String> for Key<'a> {
    fn from(text: &'a String) -> Self {
        Self { text, hash_key: None }
    }
}

impl<'a> From<&'a PartitionKey> for Key<'a> {
    fn from(key: &'a PartitionKey) -> Self {
        Self { text: key.as_str(), hash_key: Some(key.hash_key()) }
    }
}

/// A record to put, after Kinesis's `PutRecord`.
///
/// ```
/// use riverbed::{Durability, PutRecord};
///
/// let record = PutRecord::new("user-42", b"hello").metadata(b"trace=1").durability(Durability::Immediate);
/// assert_eq!(record.data(), b"hello");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PutRecord<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) data: &'a [u8],
    pub(crate) explicit_hash_key: Option<HashKey>,
    pub(crate) sequence_number_for_ordering: Option<SequenceNumber>,
    pub(crate) metadata: &'a [u8],
    pub(crate) durability: Option<Durability>,
    /// The record is refused where it would go to another shard.
    pub(crate) only_in: Option<ShardId>,
}

impl<'a> PutRecord<'a> {
    /// A record with this partition key (1 to 256 characters) and this data (may be empty; with the key at most
    /// 10 MiB).
    #[inline]
    pub fn new<D: AsRef<[u8]> + ?Sized>(key: impl Into<Key<'a>>, data: &'a D) -> Self {
        Self {
            key: key.into(),
            data: data.as_ref(),
            explicit_hash_key: None,
            sequence_number_for_ordering: None,
            metadata: &[],
            durability: None,
            only_in: None,
        }
    }

    /// Has the record refused if it would go to another shard than this.
    #[cfg(all(feature = "kpl", feature = "writer"))]
    #[must_use]
    pub(crate) fn only_in(mut self, shard_id: ShardId) -> Self {
        self.only_in = Some(shard_id);
        self
    }

    /// Chooses the shard by this hash key instead of the partition key's MD5. The partition key is stored all the
    /// same, and so is this.
    #[must_use]
    pub fn explicit_hash_key(mut self, hash_key: HashKey) -> Self {
        self.explicit_hash_key = Some(hash_key);
        self
    }

    /// The number of an earlier record of the same shard: the new one will be above it. Numbers always increase
    /// within a shard, so all this adds is the check that both go to the same one.
    #[must_use]
    pub fn sequence_number_for_ordering(mut self, number: SequenceNumber) -> Self {
        self.sequence_number_for_ordering = Some(number);
        self
    }

    /// Opaque bytes stored beside the data, at most 64 KiB: v3io's `client_info`, Kafka's headers.
    #[must_use]
    pub fn metadata<M: AsRef<[u8]> + ?Sized>(mut self, metadata: &'a M) -> Self {
        self.metadata = metadata.as_ref();
        self
    }

    /// What the put promises, instead of the stream's default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// The hash key that picks the shard.
    pub(crate) fn hash_key(&self) -> HashKey {
        self.explicit_hash_key.unwrap_or_else(|| self.key.hash_key())
    }

    /// The same, unless it must be computed.
    #[inline]
    pub(crate) fn known_hash_key(&self) -> Option<HashKey> {
        self.explicit_hash_key.or(self.key.hash_key)
    }

    /// Checks what holds for every record, whatever its stream: the lengths of key, data and metadata. Every put does so; this
    /// is for those who have to know before they put others.
    ///
    /// # Errors
    ///
    /// [`PutError::PartitionKey`], [`PutError::RecordTooLarge`] or [`PutError::MetadataTooLarge`].
    pub fn check(&self) -> Result<(), PutError> {
        core::check(self)
    }

    /// The data to be stored.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The partition key to be stored.
    pub fn partition_key(&self) -> &'a str {
        self.key.as_str()
    }
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Put {
    /// The shard that holds it.
    pub shard_id: ShardId,
    /// Its number there.
    pub sequence_number: SequenceNumber,
}

/// What became of the records of one [`put_records`](crate::Stream::put_records) call, in the order in which
/// they were given. Each succeeded or failed by itself.
#[derive(Debug, Clone)]
pub struct PutRecords<E = PutError> {
    results: Vec<Result<Put, E>>,
}

impl<E> PutRecords<E> {
    pub(crate) fn new(results: Vec<Result<Put, E>>) -> Self {
        Self { results }
    }

    /// One result for each record given, in their order.
    pub fn results(&self) -> &[Result<Put, E>] {
        &self.results
    }

    /// One result for each record given, in their order.
    pub fn into_results(self) -> Vec<Result<Put, E>> {
        self.results
    }

    /// How many did not go in: Kinesis's `FailedRecordCount`.
    pub fn failed_record_count(&self) -> usize {
        self.failed().count()
    }

    /// The indexes of the records that did not go in, in order, with the reason: what to put again.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &E)> {
        self.results
            .iter()
            .enumerate()
            .filter_map(|(index, result)| result.as_ref().err().map(|error| (index, error)))
    }

    /// All puts, if every record went in; else the first error.
    pub fn all(self) -> Result<Vec<Put>, E> {
        self.results.into_iter().collect()
    }
}
