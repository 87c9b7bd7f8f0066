//! Frames out of a table.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampNanosecondArray, UInt64Array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::payload::columns::{BatchReader, BatchReaderOptions, RawRecords, ReadBatchError, StoredBatch};
use crate::stream::error::ReadError;
use crate::stream::position::Position;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;

use super::frame::{Frame, FrameError, SEQ_NUMBER, STREAM_TIME, check_reserved};
use super::seek::Seek;
use super::table::TableError;
use super::{Client, original};

/// Why there is no frame to read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFramesError {
    /// There is no such table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The stream cannot be read here.
    #[error(transparent)]
    Read(#[from] ReadBatchError),
    /// Rows that were not put through [`Client::write`] cannot be shown as a frame.
    #[error(
        "the rows from {number} on cannot be shown as a frame: {source}; or read them with Columns::reader"
    )]
    Frame {
        /// The first of the rows.
        number: SequenceNumber,
        /// Why.
        source: FrameError,
    },
    /// Arrow cannot put columns of this type together.
    #[error("cannot gather rows in one frame: {reason}; read with max_rows_in_msg 0, which gathers none")]
    Gather {
        /// What Arrow says.
        reason: String,
    },
}

impl From<ReadError> for ReadFramesError {
    fn from(error: ReadError) -> Self {
        Self::Read(error.into())
    }
}

impl Client {
    /// Reads what a shard of a table has from `seek` on, up to what there is now, as frames with the index `seq_number` (the
    /// shard's own count, [`SequenceNumber::counter`]) and, as their last column, `stream_time`: when the row arrived.
    ///
    /// A frame has `max_rows_in_msg` rows, or fewer where the columns change and at the end. Rows that fill a frame out of one
    /// record are shown in place; where rows of several records make one, they are copied. With 0, there is one frame
    /// for each record, and nothing is ever copied. (The original's default is 1024.)
    ///
    /// A record of bytes is a row with the column `raw_data`.
    ///
    /// # Errors
    ///
    /// [`ReadFramesError`] for a table or shard that there is not, and a sequence number that was not given yet.
    pub fn read(
        &self,
        table: &str,
        seek: Seek,
        shard_id: ShardId,
        max_rows_in_msg: usize,
    ) -> Result<FrameReader, ReadFramesError> {
        let stream = self.stream(table)?;
        let columns = self.columns(&stream);
        let open = |position| {
            let options = BatchReaderOptions::new().raw_records(RawRecords::AsColumn);
            columns.reader_with(shard_id, position, options)
        };
        let reader = match open(seek.position(shard_id)) {
            Err(ReadBatchError::Read(ReadError::TimeInFuture { .. })) => open(Position::Latest)?,
            opened => opened?,
        };
        Ok(FrameReader {
            reader,
            max_rows: max_rows_in_msg,
            original_types: self.original_types,
            ahead: None,
            numbered: None,
            failure: None,
            ended: false,
        })
    }
}

/// Frames of a shard, in order. It ends where there is nothing more for now, and after an error.
#[derive(Debug)]
pub struct FrameReader {
    reader: BatchReader,
    max_rows: usize,
    original_types: bool,
    /// Rows that were read and are not shown yet.
    ahead: Option<RecordBatch>,
    /// A schema of rows, and the same with what is added.
    numbered: Option<(SchemaRef, SchemaRef)>,
    /// What went wrong behind the rows that were shown last.
    failure: Option<ReadFramesError>,
    ended: bool,
}

impl Iterator for FrameReader {
    type Item = Result<Frame, ReadFramesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.gather();
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl FrameReader {
    fn gather(&mut self) -> Result<Option<Frame>, ReadFramesError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let max_rows = if self.max_rows == 0 { usize::MAX } else { self.max_rows };
        let mut parts: Vec<RecordBatch> = Vec::new();
        let mut wanted = max_rows;
        while wanted > 0 {
            let rows = match self.read_ahead() {
                Ok(Some(rows)) => rows,
                Ok(None) => break,
                Err(failure) if parts.is_empty() => return Err(failure),
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            };
            if parts.first().is_some_and(|first| first.schema_ref() != rows.schema_ref()) {
                self.ahead = Some(rows);
                break;
            }
            let count = rows.num_rows();
            if count > wanted {
                self.ahead = Some(rows.slice(wanted, count - wanted));
            }
            parts.push(rows.slice(0, count.min(wanted)));
            wanted -= count.min(wanted);
            if self.max_rows == 0 {
                break;
            }
        }
        let rows = match parts.as_slice() {
            [] => return Ok(None),
            [whole] => whole.clone(),
            [first, ..] => {
                arrow_select::concat::concat_batches(first.schema_ref(), &parts).map_err(gather_error)?
            }
        };
        let frame = Frame::new(rows).with_index([SEQ_NUMBER]);
        Ok(Some(frame.map_err(|error| ReadFramesError::Gather { reason: error.to_string() })?))
    }

    fn read_ahead(&mut self) -> Result<Option<RecordBatch>, ReadFramesError> {
        if let Some(rows) = self.ahead.take() {
            return Ok(Some(rows));
        }
        let Some(batch) = self.reader.next()? else {
            return Ok(None);
        };
        let number = batch.sequence_number();
        let frame_error = |source| ReadFramesError::Frame { number, source };
        check_reserved(batch.rows().schema_ref()).map_err(frame_error)?;
        let rows = match (self.original_types, batch.schema_id()) {
            (false, _) => batch.rows().clone(),
            (true, Some(_)) => original::loosened(batch.rows()).map_err(frame_error)?,
            (true, None) => original::loosened_bytes(raw_data(batch.rows())).map_err(gather_error)?,
        };
        self.number(&batch, &rows).map(Some).map_err(gather_error)
    }

    /// Adds index and time to the rows of a batch.
    fn number(&mut self, batch: &StoredBatch, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let counters = batch.sequence_number().counter()..=batch.last_sequence_number().counter();
        let numbers: ArrayRef = match self.original_types {
            false => Arc::new(UInt64Array::from_iter_values(counters)),
            true => Arc::new(Int64Array::from_iter_values(
                counters.map(|number| i64::try_from(number).unwrap_or(i64::MAX)),
            )),
        };
        let nanos = i64::try_from(batch.arrival_time().as_nanos()).unwrap_or(i64::MAX);
        let times = TimestampNanosecondArray::from_value(nanos, rows.num_rows()).with_timezone("UTC");
        let times: ArrayRef = Arc::new(times);
        let schema = match &self.numbered {
            Some((of, numbered)) if Arc::ptr_eq(of, rows.schema_ref()) || *of == rows.schema() => {
                Arc::clone(numbered)
            }
            _ => {
                let numbered = numbered(rows.schema_ref(), numbers.data_type());
                Arc::clone(&self.numbered.insert((rows.schema(), numbered)).1)
            }
        };
        let columns = rows.columns().iter().map(Arc::clone);
        RecordBatch::try_new(schema, [numbers].into_iter().chain(columns).chain([times]).collect())
    }
}

/// A schema with index and time.
fn numbered(schema: &Schema, number: &DataType) -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let index = Arc::new(Field::new(SEQ_NUMBER, number.clone(), false));
    let time = Arc::new(Field::new(STREAM_TIME, time, false));
    let fields = schema.fields().iter().map(Arc::clone);
    let fields: Vec<_> = [index].into_iter().chain(fields).chain([time]).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The bytes of a record that is shown as a row.
fn raw_data(row: &RecordBatch) -> &[u8] {
    let column = row.columns().first().and_then(|column| column.as_binary_opt::<i32>());
    column.and_then(|bytes| bytes.iter().flatten().next()).unwrap_or_default()
}

fn gather_error(error: ArrowError) -> ReadFramesError {
    ReadFramesError::Gather { reason: error.to_string() }
}
