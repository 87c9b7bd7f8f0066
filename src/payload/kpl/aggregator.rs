//! From user records to packed ones.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message as _;

use crate::stream::hash_key::HashKey;
use crate::stream::partition_key::{self, PartitionKeyError};
use crate::stream::put::PutRecord;

use super::wire::{self, AggregatedRecord, ENVELOPE_LEN, field_len};

/// What the Kinesis Producer Library packs at most: 50 KiB.
const DEFAULT_MAX_LEN: usize = 51_200;

/// Packs user records, all of one shard, into one record.
#[derive(Debug)]
pub struct Aggregator {
    max_len: usize,
    message: AggregatedRecord,
    /// Bytes that the packed record will have.
    len: usize,
    /// The places of keys in the message's tables.
    partition_keys: HashMap<String, u64>,
    explicit_hash_keys: HashMap<HashKey, u64>,
    first: Option<(String, Option<HashKey>)>,
}

/// A record to put: several user records packed, or a single one as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    partition_key: String,
    explicit_hash_key: Option<HashKey>,
    data: Bytes,
    user_records: usize,
}

impl Packed {
    /// How many user records it has.
    pub fn user_records(&self) -> usize {
        self.user_records
    }

    /// The data to be stored.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// To be put to the shard of its first user record.
    pub fn as_put(&self) -> PutRecord<'_> {
        let record = PutRecord::new(&self.partition_key, &self.data);
        match self.explicit_hash_key {
            Some(hash_key) => record.explicit_hash_key(hash_key),
            None => record,
        }
    }
}

impl Default for Aggregator {
    fn default() -> Self {
        Self::new()
    }
}

impl Aggregator {
    /// Packs up to 50 KiB, as the Kinesis Producer Library does by default.
    pub fn new() -> Self {
        Self::with_max_len(DEFAULT_MAX_LEN)
    }

    /// Packs up to this many bytes. A user record that needs more goes by itself.
    pub fn with_max_len(max_len: usize) -> Self {
        Self {
            max_len,
            message: AggregatedRecord::default(),
            len: ENVELOPE_LEN,
            partition_keys: HashMap::new(),
            explicit_hash_keys: HashMap::new(),
            first: None,
        }
    }

    /// Adds a user record, unless it does not fit with those that were added before. Returns whether it was added; if not,
    /// [`finish`](Self::finish) first. What is added must belong to the same shard: here nobody checks.
    ///
    /// # Errors
    ///
    /// [`PartitionKeyError`]: nobody could unpack a record with such a key.
    pub fn add(
        &mut self,
        partition_key: &str,
        explicit_hash_key: Option<HashKey>,
        data: &[u8],
    ) -> Result<bool, PartitionKeyError> {
        partition_key::validate(partition_key)?;
        Ok(self.add_valid(partition_key, explicit_hash_key, data))
    }

    /// As [`add`](Self::add), under a key that was checked.
    pub(super) fn add_valid(
        &mut self,
        partition_key: &str,
        explicit_hash_key: Option<HashKey>,
        data: &[u8],
    ) -> bool {
        let known_key = self.partition_keys.get(partition_key).copied();
        let known_hash_key = explicit_hash_key.map(|key| self.explicit_hash_keys.get(&key).copied());
        let hash_key_text = explicit_hash_key.map(|key| key.to_string());
        let record = wire::Record {
            partition_key_index: known_key.unwrap_or(self.message.partition_key_table.len() as u64),
            explicit_hash_key_index: known_hash_key
                .map(|known| known.unwrap_or(self.message.explicit_hash_key_table.len() as u64)),
            data: Bytes::copy_from_slice(data),
            tags: Vec::new(),
        };
        let mut more = field_len(record.encoded_len());
        if known_key.is_none() {
            more += field_len(partition_key.len());
        }
        if let (Some(None), Some(text)) = (known_hash_key, &hash_key_text) {
            more += field_len(text.len());
        }
        if self.first.is_some() && self.len + more > self.max_len {
            return false;
        }
        if known_key.is_none() {
            self.partition_keys.insert(partition_key.to_owned(), record.partition_key_index);
            self.message.partition_key_table.push(partition_key.to_owned());
        }
        if let (Some(None), Some(key), Some(text)) = (known_hash_key, explicit_hash_key, hash_key_text) {
            self.explicit_hash_keys.insert(key, self.message.explicit_hash_key_table.len() as u64);
            self.message.explicit_hash_key_table.push(text);
        }
        self.first.get_or_insert_with(|| (partition_key.to_owned(), explicit_hash_key));
        self.message.records.push(record);
        self.len += more;
        true
    }

    /// The packed record, if anything was added since the last one.
    pub fn finish(&mut self) -> Option<Packed> {
        let (partition_key, explicit_hash_key) = self.first.take()?;
        let message = std::mem::take(&mut self.message);
        *self = Self::with_max_len(self.max_len);
        let user_records = message.records.len();
        let data = match <[_; 1]>::try_from(message.records) {
            // Nothing is gained by packing one.
            Ok([single]) => single.data,
            Err(records) => wire::seal(&AggregatedRecord { records, ..message }),
        };
        Some(Packed { partition_key, explicit_hash_key, data, user_records })
    }
}
