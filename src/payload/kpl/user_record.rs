//! One record of those that were packed together.

use std::sync::Arc;

use bytes::Bytes;

use crate::stream::hash_key::HashKey;
use crate::stream::key_cache;
use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

/// A record as its producer gave it, whether it was packed with others or not. Its bytes lie where the packed record's lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub(super) partition_key: Arc<str>,
    pub(super) explicit_hash_key: Option<HashKey>,
    pub(super) data: Bytes,
    pub(super) sequence_number: SequenceNumber,
    pub(super) sub_sequence_number: u64,
    pub(super) arrival_time: Timestamp,
    pub(super) is_packed: bool,
}

impl UserRecord {
    /// The partition key that the producer gave.
    pub fn partition_key(&self) -> &str {
        &self.partition_key
    }

    /// The explicit hash key that the producer gave, if it did.
    pub fn explicit_hash_key(&self) -> Option<HashKey> {
        self.explicit_hash_key
    }

    /// The hash key that says which shard the record belongs to.
    pub fn hash_key(&self) -> HashKey {
        self.explicit_hash_key.unwrap_or_else(|| key_cache::hash_key_of(&self.partition_key))
    }

    /// The data.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The number of the record that it came in. With [`sub_sequence_number`](Self::sub_sequence_number) it is unique.
    pub fn sequence_number(&self) -> SequenceNumber {
        self.sequence_number
    }

    /// Its place in the record that it came in, from 0.
    pub fn sub_sequence_number(&self) -> u64 {
        self.sub_sequence_number
    }

    /// When the record that it came in arrived.
    pub fn arrival_time(&self) -> Timestamp {
        self.arrival_time
    }

    /// Whether it was packed.
    pub fn is_packed(&self) -> bool {
        self.is_packed
    }
}
