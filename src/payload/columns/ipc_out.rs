//! Ranges of a stream as Arrow IPC.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

use super::batch::StoredBatch;
use super::ipc_sink::{IpcFormat, IpcSink, SinkError};
use super::read_error::ReadBatchError;
use super::reader::BatchReader;
use super::registry::Known;
use super::schema_error::SchemaError;

/// What to write as Arrow IPC, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct IpcOptions {
    format: IpcFormat,
    numbers: bool,
    before: Option<SequenceNumber>,
    before_time: Option<Timestamp>,
}

impl IpcOptions {
    /// The stream format, of all there is, without further columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stream format or the file format.
    #[must_use]
    pub fn format(mut self, format: IpcFormat) -> Self {
        self.format = format;
        self
    }

    /// Adds the columns `seq_number` (`UInt64`: the shard's own count, [`SequenceNumber::counter`]) and `stream_time` (when the
    /// row arrived, nanoseconds in UTC), and `shard_id` (`UInt32`) where the reader is one over all shards.
    #[must_use]
    pub fn sequence_numbers(mut self, add: bool) -> Self {
        self.numbers = add;
        self
    }

    /// Ends before this row; for a reader of its shard.
    #[must_use]
    pub fn before(mut self, number: SequenceNumber) -> Self {
        self.before = Some(number);
        self
    }

    /// Ends before the first batch that arrived at this time or later.
    #[must_use]
    pub fn before_time(mut self, time: Timestamp) -> Self {
        self.before_time = Some(time);
        self
    }
}

/// What was written as Arrow IPC.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IpcWritten {
    /// Rows.
    pub rows: u64,
    /// Batches.
    pub batches: u64,
    /// Batches that were copied as they lie in the log; the others were made anew around the columns in the log.
    pub copied: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Why a range was not written as Arrow IPC, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteIpcError {
    /// The batches cannot be read.
    #[error(transparent)]
    Read(#[from] ReadBatchError),
    /// The destination took no more.
    #[error("cannot write the batches: {0}")]
    Write(#[from] io::Error),
    /// Arrow IPC has one schema in a stream or file; this batch has another than the first.
    #[error(
        "the batch at {number} has another schema than those before it: choose one for all with BatchReaderOptions::schema, or \
         end before it"
    )]
    SchemaChanged {
        /// The batch's first row.
        number: SequenceNumber,
    },
    /// The file format holds each dictionary once; this batch has another for the same column.
    #[error(
        "the batch at {number} has other dictionaries than those before it: a file holds one for each column, use a stream"
    )]
    DictionaryChanged {
        /// The batch's first row.
        number: SequenceNumber,
    },
    /// A column is in the way of one that was to be added.
    #[error(
        "the rows have a column '{name}' already: leave it out with BatchReaderOptions::columns, or write no sequence numbers"
    )]
    ColumnExists {
        /// The column.
        name: &'static str,
    },
    /// The file format cannot hold that much.
    #[error("the file is too long: write several, or a stream")]
    TooLong,
}

impl BatchReader {
    /// Writes what this reader shows from here on as one Arrow IPC stream or file, up to what there is now or to the end that
    /// the options say. Where the reader shows whole batches as they are, their bytes are copied from the log as they lie there.
    ///
    /// With no batch at all, the schema is the one asked for, or the stream's newest, or has no columns.
    ///
    /// # Errors
    ///
    /// [`WriteIpcError`]. What was written until then is not ended: readers of the stream format can read it.
    pub fn write_ipc(&mut self, out: impl Write, options: IpcOptions) -> Result<IpcWritten, WriteIpcError> {
        let mut written = IpcWritten { rows: 0, batches: 0, copied: 0, bytes: 0 };
        let mut out = Some(out);
        let mut export: Option<Export<_>> = None;
        while let Some(batch) = self.next()? {
            let Some(batch) = options.cut(batch) else {
                break;
            };
            let export = match (&mut export, out.take()) {
                (Some(export), _) => export,
                (export, Some(out)) => export.insert(self.begin(out, batch.rows().schema(), options)?),
                (None, None) => break,
            };
            export.take(&batch, &mut written)?;
        }
        let export = match (export, out) {
            (Some(export), _) => export,
            (None, Some(out)) => {
                let schema = self.shown_schema()?;
                self.begin(out, schema, options)?
            }
            (None, None) => return Ok(written),
        };
        written.bytes = export.finish()?;
        Ok(written)
    }

    fn begin<W: Write>(
        &self,
        out: W,
        rows: SchemaRef,
        options: IpcOptions,
    ) -> Result<Export<W>, WriteIpcError> {
        let added = if options.numbers { added(self.is_merged()) } else { Vec::new() };
        if let Some(taken) = added.iter().find(|(name, _)| rows.field_with_name(name).is_ok()) {
            return Err(WriteIpcError::ColumnExists { name: taken.0 });
        }
        let schema = match added.is_empty() {
            true => Arc::clone(&rows),
            false => {
                let added = added.iter().map(|(name, kind)| Arc::new(Field::new(*name, kind.clone(), false)));
                let fields: Vec<_> = rows.fields().iter().map(Arc::clone).chain(added).collect();
                Arc::new(Schema::new_with_metadata(fields, rows.metadata().clone()))
            }
        };
        let known = Known::of_schema(&schema).map_err(ReadBatchError::from)?;
        let sink = IpcSink::new(out, options.format, &known.message)?;
        Ok(Export { sink, rows, known, added: added.len() })
    }
}

impl IpcOptions {
    /// What of a batch lies before the end; `None` when nothing does.
    fn cut(&self, batch: StoredBatch) -> Option<StoredBatch> {
        if self.before_time.is_some_and(|time| batch.arrival_time() >= time) {
            return None;
        }
        match self.before {
            Some(end) if end.shard_id() == batch.shard_id() => batch.ending_before(end.counter()),
            _ => Some(batch),
        }
    }
}

/// The columns that are added.
fn added(merged: bool) -> Vec<(&'static str, DataType)> {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let mut added = vec![("seq_number", DataType::UInt64), ("stream_time", time)];
    if merged {
        added.push(("shard_id", DataType::UInt32));
    }
    added
}

/// A stream or file that has its schema.
struct Export<W> {
    sink: IpcSink<W>,
    /// The schema of the rows, without what is added.
    rows: SchemaRef,
    /// The schema with it.
    known: Known,
    added: usize,
}

impl<W: Write> Export<W> {
    fn take(&mut self, batch: &StoredBatch, written: &mut IpcWritten) -> Result<(), WriteIpcError> {
        let number = batch.sequence_number();
        let same = Arc::ptr_eq(&self.rows, batch.rows().schema_ref()) || self.rows == batch.rows().schema();
        if !same {
            return Err(WriteIpcError::SchemaChanged { number });
        }
        let outcome = match batch.whole() {
            Some(messages) if self.added == 0 => {
                written.copied += 1;
                self.sink.copy(messages)
            }
            _ => {
                let rows = self.with_numbers(batch).map_err(ReadBatchError::from)?;
                let pieces = self.known.encode(&rows);
                let pieces = pieces.map_err(super::registry::unsupported).map_err(ReadBatchError::from)?;
                self.sink.gather(&pieces, self.known.has_dictionaries)
            }
        };
        outcome.map_err(|error| error_at(error, number))?;
        written.batches += 1;
        written.rows += batch.rows().num_rows() as u64;
        Ok(())
    }

    fn with_numbers(&self, batch: &StoredBatch) -> Result<RecordBatch, SchemaError> {
        let rows = batch.rows();
        if self.added == 0 {
            return Ok(rows.clone());
        }
        let count = rows.num_rows();
        let first = batch.sequence_number();
        let numbers = UInt64Array::from_iter_values(first.counter()..=batch.last_sequence_number().counter());
        let time = i64::try_from(batch.arrival_time().as_nanos()).unwrap_or(i64::MAX);
        let times = TimestampNanosecondArray::from_value(time, count).with_timezone("UTC");
        let shards = UInt32Array::from_value(first.shard_id().as_u32(), count);
        let added: [ArrayRef; 3] = [Arc::new(numbers), Arc::new(times), Arc::new(shards)];
        let columns =
            rows.columns().iter().map(Arc::clone).chain(added.into_iter().take(self.added)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::clone(&self.known.schema), columns, &options)
            .map_err(super::registry::unsupported)
    }

    fn finish(self) -> Result<u64, WriteIpcError> {
        let number = SequenceNumber::new(0, crate::stream::shard_id::ShardId::new(0));
        self.sink.finish(&self.known.schema).map_err(|error| error_at(error, number))
    }
}

fn error_at(error: SinkError, number: SequenceNumber) -> WriteIpcError {
    match error {
        SinkError::Io(error) => WriteIpcError::Write(error),
        SinkError::DictionaryChanged { .. } => WriteIpcError::DictionaryChanged { number },
        SinkError::TooLong => WriteIpcError::TooLong,
        SinkError::Decode(error) => {
            WriteIpcError::Read(SchemaError::Unsupported { reason: error.to_string() }.into())
        }
    }
}
