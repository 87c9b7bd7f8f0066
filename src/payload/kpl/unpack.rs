//! From packed records to user records.

use std::sync::Arc;

use prost::Message as _;

use crate::stream::error::ReadError;
use crate::stream::hash_key::HashKey;
use crate::stream::hash_range::HashKeyRange;
use crate::stream::partition_key::{self, PartitionKeyError};
use crate::stream::record::OwnedRecord;
use crate::stream::sequence_number::SequenceNumber;

use super::user_record::UserRecord;
use super::wire::{self, AggregatedRecord};

/// Why a record cannot be unpacked. Its producer has packed it wrongly: its checksum is right.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The message is not one of the Kinesis Producer Library's.
    #[error(
        "record {number} is packed, but not as the Kinesis Producer Library does: {reason}; use its data as they are"
    )]
    Malformed {
        /// The record.
        number: SequenceNumber,
        /// What is wrong.
        reason: String,
    },
    /// The record's partition key cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Whether these are the data of a packed record: they begin with the magic number and end with the MD5 of what is between.
pub fn is_packed(data: &[u8]) -> bool {
    wire::unseal(data).is_some()
}

/// The user records of a record, in order. A record that is not packed, or whose checksum is wrong, is its own only user
/// record, as in the Kinesis Client Library.
///
/// # Errors
///
/// [`UnpackError::Malformed`] when a packed record's message makes no sense, or has a partition key that is not allowed.
pub fn unpack(record: &OwnedRecord) -> Result<Vec<UserRecord>, UnpackError> {
    let number = record.sequence_number();
    let Some(body) = wire::unseal(record.data()) else {
        return Ok(vec![UserRecord {
            partition_key: record.partition_key()?.into(),
            explicit_hash_key: record.explicit_hash_key(),
            data: record.data().clone(),
            sequence_number: number,
            sub_sequence_number: 0,
            arrival_time: record.arrival_time(),
            is_packed: false,
        }]);
    };
    let malformed = |reason: String| UnpackError::Malformed { number, reason };
    // Decoding from `Bytes` copies no data.
    let message = AggregatedRecord::decode(record.data().slice_ref(body))
        .map_err(|error| malformed(error.to_string()))?;
    let hash_keys = message.explicit_hash_key_table.iter().map(|text| text.parse::<HashKey>());
    let hash_keys: Vec<_> =
        hash_keys.collect::<Result<_, _>>().map_err(|error| malformed(error.to_string()))?;
    // Checked and shared: a short record may have one long key for each of millions of user records.
    let partition_keys = message
        .partition_key_table
        .iter()
        .map(|key| partition_key::validate(key).map(|()| Arc::from(&**key)));
    let partition_keys: Vec<Arc<str>> = partition_keys
        .collect::<Result<_, PartitionKeyError>>()
        .map_err(|error| malformed(error.to_string()))?;
    (0..)
        .zip(message.records)
        .map(|(sub_sequence_number, user_record)| {
            let hash_key = user_record.explicit_hash_key_index;
            let hash_key = hash_key.map(|index| entry(&hash_keys, index, "explicit hash key")).transpose();
            let partition_key = entry(&partition_keys, user_record.partition_key_index, "partition key");
            Ok(UserRecord {
                partition_key: partition_key.map_err(malformed)?,
                explicit_hash_key: hash_key.map_err(malformed)?,
                data: user_record.data,
                sequence_number: number,
                sub_sequence_number,
                arrival_time: record.arrival_time(),
                is_packed: true,
            })
        })
        .collect()
}

fn entry<T: Clone>(table: &[T], index: u64, what: &str) -> Result<T, String> {
    let found = usize::try_from(index).ok().and_then(|index| table.get(index));
    found.cloned().ok_or_else(|| format!("there is no {what} {index} in its table"))
}

/// As [`unpack`], without the user records whose hash keys are not in `range`, the reader's shard's: a producer that did not
/// know of a resharding yet has packed them for another shard, and puts them there once it knows.
///
/// # Errors
///
/// As for [`unpack`].
pub fn unpack_within(record: &OwnedRecord, range: HashKeyRange) -> Result<Vec<UserRecord>, UnpackError> {
    let mut user_records = unpack(record)?;
    user_records.retain(|user_record| !user_record.is_packed || range.contains(user_record.hash_key()));
    Ok(user_records)
}
