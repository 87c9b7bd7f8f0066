//! A record on its way to a stream.

use bytes::Bytes;

use crate::log::durability::Durability;
use crate::stream::hash_key::HashKey;
use crate::stream::put::PutRecord;

use super::sink::Item;

/// A record on its way to a stream: what a [`PutRecord`] borrows, owned.
///
/// ```
/// use riverbed::write::WriteRecord;
///
/// let record = WriteRecord::new("user-42", "hello").metadata("trace=1");
/// assert_eq!(record.data(), b"hello");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRecord {
    partition_key: String,
    data: Bytes,
    metadata: Bytes,
    explicit_hash_key: Option<HashKey>,
    durability: Option<Durability>,
}

impl WriteRecord {
    /// A record with this partition key (1 to 256 characters) and this data (may be empty; with the key at most 10 MiB).
    /// The limits are checked when the record is put.
    pub fn new(partition_key: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self {
            partition_key: partition_key.into(),
            data: data.into(),
            metadata: Bytes::new(),
            explicit_hash_key: None,
            durability: None,
        }
    }

    /// As [`PutRecord::metadata`].
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Bytes>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// As [`PutRecord::explicit_hash_key`]. Order is kept per partition key, and between shards there is none.
    #[must_use]
    pub fn explicit_hash_key(mut self, hash_key: HashKey) -> Self {
        self.explicit_hash_key = Some(hash_key);
        self
    }

    /// As [`PutRecord::durability`]. The strictest of a batch holds for all of its records that go to the same shard.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// The partition key to be stored.
    pub fn partition_key(&self) -> &str {
        &self.partition_key
    }

    /// The data to be stored.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// A copy of a record; but it is put without regard to a sequence number that it is to be above.
    #[cfg(feature = "line-protocol")]
    pub(crate) fn copied(record: &PutRecord<'_>) -> Self {
        Self {
            metadata: Bytes::copy_from_slice(record.metadata),
            explicit_hash_key: record.explicit_hash_key,
            durability: record.durability,
            ..Self::new(record.partition_key(), Bytes::copy_from_slice(record.data))
        }
    }

    pub(crate) fn as_put(&self) -> PutRecord<'_> {
        PutRecord {
            explicit_hash_key: self.explicit_hash_key,
            durability: self.durability,
            ..PutRecord::new(&self.partition_key, &self.data).metadata(&self.metadata)
        }
    }
}

impl<K: Into<String>, D: Into<Bytes>> From<(K, D)> for WriteRecord {
    /// A partition key and data.
    fn from((partition_key, data): (K, D)) -> Self {
        Self::new(partition_key, data)
    }
}

impl Item for WriteRecord {
    fn key(&self) -> &[u8] {
        self.partition_key.as_bytes()
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.partition_key.len())
            .saturating_add(self.data.len())
            .saturating_add(self.metadata.len())
    }
}
