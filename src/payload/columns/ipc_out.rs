//! Ranges of a stream as Arrow IPC.

use std::io::Write;

use crate::stream::sequence_number::SequenceNumber;

use super::ipc_in::FORMAT;
use super::ipc_sink::{IpcFormat, IpcSink, SinkError};
use super::out_rows::{OutRows, RowRange, range_methods};
use super::read_error::ReadBatchError;
use super::reader::BatchReader;
use super::registry::Known;
use super::write_error::WriteRowsError;

/// What to write as Arrow IPC, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct IpcOptions {
    format: IpcFormat,
    range: RowRange,
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

    range_methods!();
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

impl BatchReader {
    /// Writes what this reader shows from here on as one Arrow IPC stream or file, up to what there is now or to the end that
    /// the options say. Where the reader shows whole batches as they are, their bytes are copied from the log as they lie there.
    ///
    /// With no batch at all, the schema is the one asked for, or the stream's newest, or has no columns.
    ///
    /// # Errors
    ///
    /// [`WriteRowsError`]. What was written until then is not ended: readers of the stream format can read it.
    pub fn write_ipc(&mut self, out: impl Write, options: IpcOptions) -> Result<IpcWritten, WriteRowsError> {
        let mut written = IpcWritten { rows: 0, batches: 0, copied: 0, bytes: 0 };
        let mut rows = OutRows::begin(self, options.range)?;
        let known = Known::of_schema(rows.schema()).map_err(ReadBatchError::from)?;
        let mut sink = IpcSink::new(out, options.format, &known.message)?;
        while let Some(batch) = rows.next()? {
            let outcome = match batch.whole() {
                Some(messages) if !rows.adds_columns() => {
                    written.copied += 1;
                    sink.copy(messages)
                }
                _ => {
                    let pieces = known.encode(&rows.complete(&batch)?);
                    let pieces = pieces.map_err(WriteRowsError::encode(FORMAT))?;
                    sink.gather(&pieces, known.has_dictionaries)
                }
            };
            outcome.map_err(|error| error_at(error, batch.sequence_number()))?;
            written.batches += 1;
            written.rows += batch.rows().num_rows() as u64;
        }
        let number = SequenceNumber::new(0, crate::stream::shard_id::ShardId::new(0));
        written.bytes = sink.finish(&known.schema).map_err(|error| error_at(error, number))?;
        Ok(written)
    }
}

fn error_at(error: SinkError, number: SequenceNumber) -> WriteRowsError {
    match error {
        SinkError::Io(error) => WriteRowsError::Write(error),
        SinkError::DictionaryChanged { .. } => WriteRowsError::DictionaryChanged { number },
        SinkError::TooLong => WriteRowsError::TooLong,
        SinkError::Decode(error) => WriteRowsError::encode(FORMAT)(error),
    }
}
