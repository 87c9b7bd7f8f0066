//! From packed records to user records.

use prost::Message as _;

use crate::stream::error::ReadError;
use crate::stream::hash_key::HashKey;
use crate::stream::hash_range::HashKeyRange;
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
/// [`UnpackError::Malformed`] when a packed record's message makes no sense.
pub fn unpack(record: &OwnedRecord) -> Result<Vec<UserRecord>, UnpackError> {
    let number = record.sequence_number();
    let Some(body) = wire::unseal(record.data()) else {
        return Ok(vec![UserRecord {
            partition_key: record.partition_key()?.to_owned(),
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
    let hash_keys: Vec<HashKey> = message
        .explicit_hash_key_table
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(format!("{error}")))?;
    let entry = |index: u64| usize::try_from(index).ok();
    (0..)
        .zip(message.records)
        .map(|(sub_sequence_number, user_record)| {
            let index = user_record.partition_key_index;
            let partition_key = entry(index).and_then(|index| message.partition_key_table.get(index));
            let partition_key = partition_key
                .ok_or_else(|| malformed(format!("there is no partition key {index} in its table")))?;
            let explicit_hash_key = match user_record.explicit_hash_key_index {
                None => None,
                Some(index) => {
                    Some(entry(index).and_then(|index| hash_keys.get(index)).copied().ok_or_else(|| {
                        malformed(format!("there is no explicit hash key {index} in its table"))
                    })?)
                }
            };
            Ok(UserRecord {
                partition_key: partition_key.clone(),
                explicit_hash_key,
                data: user_record.data,
                sequence_number: number,
                sub_sequence_number,
                arrival_time: record.arrival_time(),
                is_packed: true,
            })
        })
        .collect()
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
