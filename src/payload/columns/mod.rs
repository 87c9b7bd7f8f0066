//! Batches of columns, after Apache Arrow: put as they are, read in place.
//!
//! [`Stream::columns`](crate::Stream::columns) gives the handle. A batch becomes one record (or several, when it is long) that
//! takes one sequence number for each row. Reading gives batches whose arrays lie in the mapped segments. A stream may have
//! records of bytes as well.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let store = riverbed::Store::open(directory.path().join("data"))?;
//! use arrow_array::record_batch;
//! use riverbed::columns::BatchReaderOptions;
//! use riverbed::{Position, StreamOptions};
//!
//! let columns = store.create_stream("taxis", StreamOptions::new())?.columns();
//! let batch = record_batch!(("zone", Int32, [4, 7, 4]), ("fare", Float64, [12.5, 8.0, 31.25]))?;
//! let put = columns.put_batch("zone 4", &batch)?;
//! assert_eq!((put.rows, put.records), (3, 1));
//!
//! if let (Some(shard_id), Some((first, _))) = (put.shard_id, put.sequence_numbers) {
//!     let options = BatchReaderOptions::new().columns(["fare"]);
//!     let mut reader = columns.reader_with(shard_id, Position::AfterSequenceNumber(first), options)?;
//!     while let Some(batch) = reader.next()? {
//!         assert_eq!(batch.rows(), &record_batch!(("fare", Float64, [8.0, 31.25]))?);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod batch;
mod compact;
#[cfg(feature = "csv")]
mod csv;
mod decode;
mod evolution;
mod ipc_in;
mod ipc_out;
mod ipc_sink;
#[cfg(feature = "json")]
mod json_lines;
#[cfg(any(feature = "csv", feature = "json"))]
mod kept;
mod message;
mod origin;
mod out_rows;
#[cfg(feature = "parquet")]
mod parquet;
mod put;
mod put_error;
mod read_error;
mod read_only;
mod reader;
mod registry;
mod rows_in;
mod schema_error;
mod structure;
#[cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
mod table_out;
mod used;
mod view;
mod write_error;

use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::log::durability::Durability;
use crate::store::stream_handle::Stream;
use crate::stream::hash_key::HashKey;

use origin::{Origin, SchemaSource};
use registry::Registry;

pub use batch::StoredBatch;
#[cfg(feature = "csv")]
pub use csv::{PutCsvOptions, WriteCsvOptions};
pub use evolution::Evolution;
pub use ipc_out::{IpcOptions, IpcWritten};
pub use ipc_sink::IpcFormat;
#[cfg(feature = "json")]
pub use json_lines::{PutJsonOptions, WriteJsonOptions};
#[cfg(feature = "parquet")]
pub use parquet::WriteParquetOptions;
pub use put::PutBatch;
pub use put_error::PutBatchError;
pub use read_error::ReadBatchError;
pub use read_only::ReadOnlyColumns;
pub use reader::{BatchReader, BatchReaderOptions, RawRecords};
pub use rows_in::PutRowsError;
pub use schema_error::SchemaError;
#[cfg(any(feature = "csv", feature = "json", feature = "parquet"))]
pub use table_out::TableWritten;
pub use write_error::WriteRowsError;

/// A stream, as a place for batches of columns.
///
/// A handle: clones and other handles of the same stream share its schemas.
#[derive(Debug, Clone)]
pub struct Columns {
    stream: Stream,
    registry: Arc<Registry>,
    evolution: Evolution,
    durability: Option<Durability>,
    explicit_hash_key: Option<HashKey>,
    max_rows_per_record: usize,
}

impl Stream {
    /// The stream as a place for batches of columns.
    pub fn columns(&self) -> Columns {
        Columns {
            stream: self.clone(),
            registry: Arc::default(),
            evolution: Evolution::default(),
            durability: None,
            explicit_hash_key: None,
            max_rows_per_record: 0,
        }
    }
}

impl Columns {
    /// Which new schemas this handle accepts. [`Evolution::Additions`] by default.
    #[must_use]
    pub fn evolution(mut self, evolution: Evolution) -> Self {
        self.evolution = evolution;
        self
    }

    /// What puts through this handle promise, instead of the stream's default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Has puts through this handle choose the shard by this hash key instead of the partition key's MD5. Both are stored.
    #[must_use]
    pub fn explicit_hash_key(mut self, hash_key: HashKey) -> Self {
        self.explicit_hash_key = Some(hash_key);
        self
    }

    /// The most rows that [`put_batch`](Self::put_batch) puts into one record; 0, the default, for no limit. Rows of CSV, JSON
    /// lines and Parquet go into records of as many, unless that is more than about a million fields; 8192 by default.
    #[must_use]
    pub fn max_rows_per_record(mut self, rows: usize) -> Self {
        self.max_rows_per_record = rows;
        self
    }

    /// The newest schema of the stream's rows; `None` when there are none yet.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when the stream's schemas cannot be listed.
    pub fn newest_schema(&self) -> Result<Option<SchemaRef>, SchemaError> {
        Ok(self.source().newest()?.map(|known| Arc::clone(&known.schema)))
    }

    /// Where rows are read from.
    fn source(&self) -> SchemaSource {
        SchemaSource { origin: Origin::Own(self.stream.clone()), registry: Arc::clone(&self.registry) }
    }

    /// The stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}

#[cfg(any(fuzzing, feature = "internals"))]
pub(crate) use fuzzing::{decode_unvalidated, read_foreign};

/// Decoders, for the fuzz targets.
#[cfg(any(fuzzing, feature = "internals"))]
mod fuzzing {
    use arrow_array::{Array, RecordBatch};
    use arrow_buffer::Buffer;
    use arrow_data::UnsafeFlag;
    use arrow_schema::SchemaRef;

    use super::decode::decode;
    use super::ipc_in::IpcSource;

    /// Whatever was decoded is sound.
    fn rows(batch: &RecordBatch) -> usize {
        for column in batch.columns() {
            assert!(column.to_data().validate_full().is_ok());
            assert_eq!(column.len(), batch.num_rows());
        }
        batch.num_rows()
    }

    pub(crate) fn read_foreign(bytes: &[u8]) -> usize {
        let Ok(mut source) = IpcSource::new(bytes) else {
            return 0;
        };
        let mut found = 0;
        while let Ok(Some(batch)) = source.next() {
            found += rows(&batch);
        }
        found
    }

    pub(crate) fn decode_unvalidated(bytes: &[u8], schema: &SchemaRef) -> usize {
        let data = Buffer::from_slice_ref(bytes);
        decode(&data, schema, None, &UnsafeFlag::new()).map_or(0, |batch| rows(&batch))
    }
}
