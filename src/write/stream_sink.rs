//! A stream as the sink of a writer.

use std::time::Duration;

use crate::store::stream_handle::Stream;
use crate::stream::error::PutError;
use crate::stream::put::{Put, PutRecord};

use super::record::WriteRecord;
use super::sink::{Outcome, Sink};

/// Records are put with the stream's durability; flushing is [`Stream::sync`].
impl Sink for Stream {
    type Item = WriteRecord;
    type Ack = Put;
    type Error = PutError;

    fn write(&mut self, batch: &[WriteRecord]) -> Vec<Outcome<Put, PutError>> {
        let records: Vec<PutRecord<'_>> = batch.iter().map(WriteRecord::as_put).collect();
        self.put_records_in_order(&records).into_results().into_iter().map(Outcome::of_put).collect()
    }

    fn flush(&mut self) -> Result<(), PutError> {
        Ok(self.sync()?)
    }
}

impl Outcome<Put, PutError> {
    /// What a put's result means to a writer.
    pub(crate) fn of_put(result: Result<Put, PutError>) -> Self {
        match result {
            Ok(put) => Self::Accepted(put),
            Err(error @ PutError::ThroughputExceeded { retry_after, .. }) => {
                Self::Retry { error, retry_after: Some(retry_after) }
            }
            // There is nothing to wait for.
            Err(error @ PutError::Moved { .. }) => Self::Retry { error, retry_after: Some(Duration::ZERO) },
            Err(error) if is_worth_retrying(&error) => Self::Retry { error, retry_after: None },
            Err(error) => Self::Rejected(error),
        }
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
    use crate::stream::shard_id::ShardId;

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
            (PutError::Sync(SyncError { path, source: source() }), false),
            (PutError::Closed, false),
            (PutError::SequenceNumbersExhausted, false),
        ] {
            assert_eq!(is_worth_retrying(&error), retried, "{error}");
        }
    }
}
