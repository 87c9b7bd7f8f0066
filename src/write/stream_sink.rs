//! A stream as the sink of a writer.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::stream_handle::Stream;
use crate::stream::error::PutError;
use crate::stream::put::{Put, PutRecord};
use crate::stream::shard_id::ShardId;

use super::record::WriteRecord;
use super::sink::{Outcome, Sink};

/// Records are put with the stream's durability; flushing is [`Stream::sync`].
impl Sink for Stream {
    type Item = WriteRecord;
    type Ack = Put;
    type Error = PutError;

    fn write(&mut self, batch: &[WriteRecord]) -> Vec<Outcome<Put, PutError>> {
        let records: Vec<PutRecord<'_>> = batch.iter().map(WriteRecord::as_put).collect();
        outcomes(self.put_records_in_order(&records).into_results())
    }

    fn flush(&mut self) -> Result<(), PutError> {
        Ok(self.sync()?)
    }
}

/// A shard's limits are for a second, and after one it takes as much as it ever does.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the results of puts mean to a writer.
pub(crate) fn outcomes(results: Vec<Result<Put, PutError>>) -> Vec<Outcome<Put, PutError>> {
    let mut throttled: HashMap<ShardId, u32> = HashMap::new();
    for result in &results {
        if let Err(PutError::ThroughputExceeded { shard_id, .. }) = result {
            *throttled.entry(*shard_id).or_default() += 1;
        }
    }
    results.into_iter().map(|result| outcome(result, &throttled)).collect()
}

/// `throttled` says how many records each shard has refused for the time being.
fn outcome(result: Result<Put, PutError>, throttled: &HashMap<ShardId, u32>) -> Outcome<Put, PutError> {
    match result {
        Ok(put) => Outcome::Accepted(put),
        Err(error) if is_worth_retrying(&error) => {
            let retry_after = match &error {
                // That is when the shard takes the first of them; to come back for each one would be a waste.
                PutError::ThroughputExceeded { shard_id, retry_after } => {
                    let refused = throttled.get(shard_id).copied().unwrap_or(1);
                    Some(retry_after.saturating_mul(refused).min(LONGEST_PAUSE).max(*retry_after))
                }
                // There is nothing to wait for.
                PutError::Moved { .. } => Some(Duration::ZERO),
                _ => None,
            };
            Outcome::Retry { error, retry_after }
        }
        Err(error) => Outcome::Rejected(error),
    }
}

/// Whether the same record may be taken later, and certainly has not been taken yet. The table in `docs/writing.md` says
/// the same.
fn is_worth_retrying(error: &PutError) -> bool {
    match error {
        // Nothing was written, and the next attempt knows of the new shards.
        PutError::Moved { .. } => true,
        // Nothing was written, and all pass: time goes by, somebody frees space, or memory, or descriptors.
        PutError::ThroughputExceeded { .. } | PutError::StorageFull { .. } | PutError::Io(_) => true,
        // The record is wrong, and stays so.
        PutError::PartitionKey(_)
        | PutError::RecordTooLarge { .. }
        | PutError::MetadataTooLarge { .. }
        | PutError::OrderingOfOtherShard { .. }
        | PutError::OrderingInFuture { .. } => false,
        // The record may be there already: to put it again might make it two.
        PutError::Sync(_) => false,
        // There is nothing to wait for.
        PutError::Closed | PutError::SequenceNumbersExhausted => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::error::{IoError, SyncError};
    use crate::stream::partition_key::PartitionKeyError;
    use crate::stream::sequence_number::SequenceNumber;

    #[test]
    fn only_what_passes_and_was_not_written_is_tried_again() {
        let path = PathBuf::from("shard");
        let source = || Arc::new(io::Error::from(io::ErrorKind::OutOfMemory));
        let shard_id = ShardId::new(0);
        let number = SequenceNumber::new(1, shard_id);
        let io = IoError { action: "map", path: path.clone(), source: source() };
        for (error, retried) in [
            (PutError::Moved { expected: shard_id, found: shard_id }, true),
            (PutError::ThroughputExceeded { shard_id, retry_after: Duration::from_secs(1) }, true),
            (PutError::StorageFull { needed: 2, available: 1, path: path.clone() }, true),
            (PutError::Io(io), true),
            (PutError::PartitionKey(PartitionKeyError { characters: 0 }), false),
            (PutError::RecordTooLarge { len: 2, max: 1 }, false),
            (PutError::MetadataTooLarge { len: 2, max: 1 }, false),
            (PutError::OrderingOfOtherShard { number, shard_id }, false),
            (PutError::OrderingInFuture { number }, false),
            (PutError::Sync(SyncError { path, is_final: true, source: source() }), false),
            (PutError::Closed, false),
            (PutError::SequenceNumbersExhausted, false),
        ] {
            assert_eq!(is_worth_retrying(&error), retried, "{error}");
        }
    }
}
