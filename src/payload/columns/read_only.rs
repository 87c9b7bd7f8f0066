//! Rows of a stream that another process writes.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::store::read_only_stream::ReadOnlyStream;
use crate::stream::position::Position;
use crate::stream::record::Record;
use crate::stream::shard_id::ShardId;

use super::batch::StoredBatch;
use super::origin::{Origin, SchemaSource};
use super::read_error::ReadBatchError;
use super::reader::{BatchReader, BatchReaderOptions};
use super::schema_error::SchemaError;

/// A [`ReadOnlyStream`], as a place of batches of columns: everything that [`Columns`](super::Columns) has for reading.
///
/// A handle; clones share the schemas that they have met.
#[derive(Debug, Clone)]
pub struct ReadOnlyColumns {
    source: SchemaSource,
}

impl ReadOnlyStream {
    /// The stream as a place of batches of columns.
    pub fn columns(&self) -> ReadOnlyColumns {
        ReadOnlyColumns {
            source: SchemaSource { origin: Origin::Followed(self.clone()), registry: Arc::default() },
        }
    }
}

impl ReadOnlyColumns {
    /// As [`Columns::reader`](super::Columns::reader).
    ///
    /// # Errors
    ///
    /// As for [`ReadOnlyStream::reader`].
    pub fn reader(&self, shard_id: ShardId, position: Position) -> Result<BatchReader, ReadBatchError> {
        self.reader_with(shard_id, position, BatchReaderOptions::new())
    }

    /// As [`Columns::reader_with`](super::Columns::reader_with).
    ///
    /// # Errors
    ///
    /// As for [`ReadOnlyStream::reader`].
    pub fn reader_with(
        &self,
        shard_id: ShardId,
        position: Position,
        options: BatchReaderOptions,
    ) -> Result<BatchReader, ReadBatchError> {
        BatchReader::of_shard(self.source.clone(), shard_id, position, options)
    }

    /// As [`Columns::merged_reader`](super::Columns::merged_reader).
    ///
    /// # Errors
    ///
    /// As for [`ReadOnlyStream::merged_reader`].
    pub fn merged_reader(
        &self,
        position: Position,
        options: BatchReaderOptions,
    ) -> Result<BatchReader, ReadBatchError> {
        BatchReader::merged(self.source.clone(), position, options)
    }

    /// The batch that a record read by any other reader holds.
    ///
    /// # Errors
    ///
    /// [`ReadBatchError`].
    pub fn decode(&self, record: &Record<'_>) -> Result<StoredBatch, ReadBatchError> {
        super::reader::decode_alone(self.source.clone(), record)
    }

    /// The newest schema of the stream's rows; `None` when there are none yet.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when the stream's schemas cannot be listed.
    pub fn newest_schema(&self) -> Result<Option<SchemaRef>, SchemaError> {
        Ok(self.source.newest()?.map(|known| Arc::clone(&known.schema)))
    }
}
