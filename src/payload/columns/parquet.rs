//! Parquet in and out.

use std::io::Write;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::ChunkReader;

use arrow_schema::ArrowError;

use crate::stream::put::Key;

use super::Columns;
use super::out_rows::{OutRows, RowRange, range_methods};
use super::put::PutBatch;
use super::reader::BatchReader;
use super::rows_in::PutRowsError;
use super::table_out::{Counted, TableWritten};
use super::write_error::WriteRowsError;

const FORMAT: &str = "Parquet";

/// How Parquet is written, and what of a reader's rows.
#[derive(Debug, Clone)]
pub struct WriteParquetOptions {
    properties: WriterProperties,
    range: RowRange,
}

impl Default for WriteParquetOptions {
    fn default() -> Self {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        Self { properties, range: RowRange::default() }
    }
}

impl WriteParquetOptions {
    /// Compressed with Snappy, otherwise as the crate `parquet` does; all rows there are, without further columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the crate `parquet` is to write: compression, encodings, statistics, sizes. Zstandard and LZ4 need the feature
    /// `arrow-compression`.
    #[must_use]
    pub fn properties(mut self, properties: WriterProperties) -> Self {
        self.properties = properties;
        self
    }

    range_methods!();
}

impl Columns {
    /// Puts the rows of a Parquet file under one key, with the Arrow types that it was written with, or those nearest to its
    /// own. Pages compressed with Zstandard or LZ4 need the feature `arrow-compression`.
    ///
    /// # Errors
    ///
    /// [`PutRowsError`].
    pub fn put_parquet<'k>(
        &self,
        key: impl Into<Key<'k>>,
        source: impl ChunkReader + 'static,
    ) -> Result<PutBatch, PutRowsError> {
        let opened = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new(source)?;
            let rows = self.rows_at_once(builder.schema());
            builder.with_batch_size(rows).build()
        });
        let mut reader =
            opened.map_err(|error| PutRowsError::of_arrow(FORMAT, error.into(), PutBatch::default()))?;
        let batches = iter::from_fn(|| guarded(|| reader.next().transpose()).transpose());
        self.put_rows(key.into(), batches, |error, put| PutRowsError::of_arrow(FORMAT, error, put))
    }
}

impl BatchReader {
    /// Writes what this reader shows from here on as a Parquet file, up to what there is now or to the end that the options say.
    /// The file says which Arrow types the columns have.
    ///
    /// # Errors
    ///
    /// [`WriteRowsError`]; also for columns of types that Parquet has no form for.
    pub fn write_parquet(
        &mut self,
        out: impl Write + Send,
        options: &WriteParquetOptions,
    ) -> Result<TableWritten, WriteRowsError> {
        let mut out = Counted::new(out);
        let write = || -> Result<u64, WriteRowsError> {
            let mut rows = OutRows::begin(self, options.range)?;
            let properties = Some(options.properties.clone());
            let mut writer = ArrowWriter::try_new(&mut out, Arc::clone(rows.schema()), properties)
                .map_err(WriteRowsError::encode(FORMAT))?;
            let mut count = 0;
            while let Some(batch) = rows.next()? {
                writer.write(&rows.complete(&batch)?).map_err(WriteRowsError::encode(FORMAT))?;
                count += batch.rows().num_rows() as u64;
            }
            writer.close().map_err(WriteRowsError::encode(FORMAT))?;
            Ok(count)
        };
        let outcome = guarded(write);
        out.conclude(outcome)
    }
}

/// The crate `parquet` panics on some files that are damaged and on some types that it does not have; here, that is an error.
/// What it was working on is not used any more then.
fn guarded<T, E: From<Panicked>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(Panicked(text.to_owned()).into())
    })
}

/// What the crate `parquet` said when it panicked.
struct Panicked(String);

impl From<Panicked> for ParquetError {
    fn from(panicked: Panicked) -> Self {
        Self::General(panicked.0)
    }
}

impl From<Panicked> for ArrowError {
    fn from(panicked: Panicked) -> Self {
        Self::ParquetError(panicked.0)
    }
}

impl From<Panicked> for WriteRowsError {
    fn from(panicked: Panicked) -> Self {
        Self::encode(FORMAT)(panicked.0)
    }
}
