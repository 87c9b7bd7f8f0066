//! A stream that packs what a writer gives it.

use std::collections::BTreeMap;

use crate::log::durability::Durability;
use crate::log::frame::MAX_RECORD_LEN;
use crate::store::stream_handle::Stream;
use crate::stream::error::PutError;
use crate::stream::put::{Put, PutRecord};
use crate::stream::shard_id::ShardId;
use crate::write::{Outcome, Sink, WriteRecord};

use super::aggregator::{Aggregator, Packed};

/// A stream as the sink of a [`BatchWriter`](crate::write::BatchWriter) that packs the records of each batch, shard by shard,
/// as the Kinesis Producer Library does. Records with metadata, for which the format has no place, go by themselves.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// # let clicks = store.create_stream("clicks", riverbed::StreamOptions::new())?;
/// use riverbed::kpl::AggregatingSink;
/// use riverbed::write::{BatchWriter, WriteRecord};
///
/// let writer = BatchWriter::builder(AggregatingSink::new(clicks.clone())).start()?;
/// for user in 0..100 {
///     writer.write(WriteRecord::new(format!("user-{user}"), "hello"))?;
/// }
/// writer.close()?;
/// assert_eq!(clicks.stats().shards[0].records, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AggregatingSink {
    stream: Stream,
    max_len: Option<usize>,
}

/// Where a user record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserPut {
    /// Where the record that it is in went.
    pub put: Put,
    /// Its place in that record, from 0.
    pub sub_sequence_number: u64,
}

/// What a packed record may have beside its partition key: 256 characters of at most four bytes.
const LONGEST: usize = MAX_RECORD_LEN - 256 * 4;

/// A record to put, for some of a batch's items.
struct Parcel {
    shard_id: ShardId,
    /// What all of its items ask for.
    durability: Option<Durability>,
    content: Content,
    /// The places of its items in the batch.
    items: Vec<usize>,
}

enum Content {
    Packed(Packed),
    /// The item as it is.
    Single,
}

/// The parcel that is being filled for a shard.
struct Filling {
    aggregator: Aggregator,
    items: Vec<usize>,
    durability: Option<Durability>,
}

impl AggregatingSink {
    /// Packs up to 50 KiB.
    pub fn new(stream: Stream) -> Self {
        Self { stream, max_len: None }
    }

    /// Packs up to this many bytes, but never more than a record may have. A record that needs more by itself is put as it
    /// is.
    #[must_use]
    pub fn max_len(mut self, max_len: usize) -> Self {
        self.max_len = Some(max_len.min(LONGEST));
        self
    }

    /// Packs a batch. The parcels of a shard come in the order of their items.
    fn pack(&self, batch: &[WriteRecord]) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        // One look at the shards for the whole batch: should they change meanwhile, all of it is refused, and none of a
        // key's records goes to the new shard before an earlier one.
        let shards = self.stream.shards();
        let mut filling: BTreeMap<ShardId, Filling> = BTreeMap::new();
        for (index, item) in batch.iter().enumerate() {
            let put = item.as_put();
            let hash_key = put.hash_key();
            let shard = shards.get(shards.partition_point(|shard| shard.range.end < hash_key));
            // The open shards cover every hash key; should they not, the put says what is wrong.
            let shard_id = shard.map_or(ShardId::new(0), |shard| shard.id);
            let aggregator = || self.max_len.map_or_else(Aggregator::new, Aggregator::with_max_len);
            let shard = filling.entry(shard_id).or_insert_with(|| Filling {
                aggregator: aggregator(),
                items: Vec::new(),
                durability: None,
            });
            // What the engine refuses must not take others with it.
            if !put.metadata.is_empty() || put.key.validate().is_err() {
                parcels.extend(shard.close(shard_id));
                let items = vec![index];
                parcels.push(Parcel {
                    shard_id,
                    durability: put.durability,
                    content: Content::Single,
                    items,
                });
                continue;
            }
            if shard.durability != put.durability {
                parcels.extend(shard.close(shard_id));
                shard.durability = put.durability;
            }
            if !shard.aggregator.add_valid(item.partition_key(), put.explicit_hash_key, item.data()) {
                parcels.extend(shard.close(shard_id));
                shard.aggregator.add_valid(item.partition_key(), put.explicit_hash_key, item.data());
            }
            shard.items.push(index);
        }
        for (shard_id, mut shard) in filling {
            parcels.extend(shard.close(shard_id));
        }
        parcels
    }
}

impl Filling {
    fn close(&mut self, shard_id: ShardId) -> Option<Parcel> {
        let content = Content::Packed(self.aggregator.finish()?);
        Some(Parcel {
            shard_id,
            durability: self.durability,
            content,
            items: std::mem::take(&mut self.items),
        })
    }
}

impl Sink for AggregatingSink {
    type Item = WriteRecord;
    type Ack = UserPut;
    type Error = PutError;

    fn write(&mut self, batch: &[WriteRecord]) -> Vec<Outcome<UserPut, PutError>> {
        let parcels = self.pack(batch);
        let records: Vec<_> = parcels
            .iter()
            .filter_map(|parcel| {
                let put = match &parcel.content {
                    Content::Packed(packed) => Some(packed.as_put()),
                    Content::Single => {
                        parcel.items.first().and_then(|item| batch.get(*item)).map(WriteRecord::as_put)
                    }
                };
                // User records belong to the shard that they were packed for, and to no child of that; what goes by itself
                // must not overtake them there.
                put.map(|put| PutRecord { durability: parcel.durability, ..put.only_in(parcel.shard_id) })
            })
            .collect();
        let results = self.stream.put_records_in_order(&records).into_results();
        let mut outcomes: Vec<_> =
            batch.iter().map(|_| Outcome::Retry { error: PutError::Closed, retry_after: None }).collect();
        for (parcel, outcome) in parcels.into_iter().zip(crate::write::outcomes(results)) {
            for (sub_sequence_number, item) in (0..).zip(parcel.items) {
                if let Some(slot) = outcomes.get_mut(item) {
                    *slot = match &outcome {
                        Outcome::Accepted(put) => {
                            Outcome::Accepted(UserPut { put: *put, sub_sequence_number })
                        }
                        Outcome::Rejected(error) => Outcome::Rejected(error.clone()),
                        Outcome::Retry { error, retry_after } => {
                            Outcome::Retry { error: error.clone(), retry_after: *retry_after }
                        }
                    };
                }
            }
        }
        outcomes
    }

    fn flush(&mut self) -> Result<(), PutError> {
        Ok(self.stream.sync()?)
    }
}
