//! Where rows are read from: a stream of this process, or one that another process writes.

use std::sync::Arc;

use crate::store::read_only_stream::ReadOnlyStream;
use crate::store::stream_handle::Stream;
use crate::stream::merged::MergedReader;
use crate::stream::position::Position;
use crate::stream::reader::{Reader, ReaderOptions};
use crate::stream::schemas::StoredSchema;
use crate::stream::shard_id::ShardId;

use super::read_error::ReadBatchError;
use super::registry::{Known, Registry};
use super::schema_error::SchemaError;

/// A stream, as a place to read rows from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Own(Stream),
    Followed(ReadOnlyStream),
}

impl Origin {
    /// A reader that starts with the record that holds a row.
    pub(super) fn row_reader(
        &self,
        shard_id: ShardId,
        position: Position,
        options: ReaderOptions,
    ) -> Result<Reader, ReadBatchError> {
        Ok(match self {
            Self::Own(stream) => stream.row_reader(shard_id, position, options),
            Self::Followed(stream) => stream.row_reader(shard_id, position, options),
        }?)
    }

    pub(super) fn merged_reader(
        &self,
        position: Position,
        options: ReaderOptions,
    ) -> Result<MergedReader, ReadBatchError> {
        Ok(match self {
            Self::Own(stream) => stream.merged_reader(position, options),
            Self::Followed(stream) => stream.merged_reader(position, options),
        }?)
    }

    /// Looks at the schemas that the stream has now.
    pub(super) fn with_schemas<T>(
        &self,
        look: impl FnOnce(&[StoredSchema]) -> Result<T, SchemaError>,
    ) -> Result<T, SchemaError> {
        match self {
            Self::Own(stream) => stream.with_schemas(|schemas| look(schemas.all()?)),
            Self::Followed(stream) => look(&stream.schemas()?),
        }
    }
}

/// The schemas of the rows that one handle reads.
#[derive(Debug, Clone)]
pub(super) struct SchemaSource {
    pub(super) origin: Origin,
    pub(super) registry: Arc<Registry>,
}

impl SchemaSource {
    pub(super) fn by_id(&self, id: u32) -> Result<Arc<Known>, SchemaError> {
        self.registry.by_id(&self.origin, id)
    }

    pub(super) fn newest(&self) -> Result<Option<Arc<Known>>, SchemaError> {
        self.registry.newest(&self.origin)
    }
}
