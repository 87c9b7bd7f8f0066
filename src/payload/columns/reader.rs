//! Reading batches, in place.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{BinaryArray, RecordBatch};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::stream::merged::MergedReader;
use crate::stream::position::Position;
use crate::stream::reader::{Reader, ReaderOptions};
use crate::stream::record::Record;
use crate::stream::shard_id::ShardId;

use super::Columns;
use super::batch::StoredBatch;
use super::decode::decode;
use super::origin::SchemaSource;
use super::read_error::ReadBatchError;
use super::view::{Plan, View};

/// What to do with records of bytes among the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RawRecords {
    /// Report them: [`ReadBatchError::NotABatch`].
    #[default]
    Refuse,
    /// Leave them out.
    Skip,
    /// Show each as a batch of one row with one column, `raw_data`, of type `Binary`.
    AsColumn,
}

/// How to read batches.
#[derive(Debug, Clone, Default)]
pub struct BatchReaderOptions {
    view: View,
    raw: RawRecords,
    read: ReaderOptions,
}

impl BatchReaderOptions {
    /// All columns, every record's checksum verified at each read, records of bytes refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows these columns alone, in this order. The others are not looked at.
    #[must_use]
    pub fn columns<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.view = View::Columns(names.into_iter().map(Into::into).collect());
        self
    }

    /// Shows all rows in this schema: columns are found by name, those that older rows do not have are filled with nulls,
    /// those that the schema does not have are left out. Rows that do not fit are [`SchemaError::Incompatible`](super::SchemaError).
    #[must_use]
    pub fn schema(mut self, schema: SchemaRef) -> Self {
        self.view = View::Schema(schema);
        self
    }

    /// What to do with records of bytes.
    #[must_use]
    pub fn raw_records(mut self, raw: RawRecords) -> Self {
        self.raw = raw;
        self
    }

    /// Which records to show, and how often to verify them. A batch is always verified when it is read for the first time
    /// since its segment was mapped; with [`ReaderOptions::verify`] switched off, not again.
    #[must_use]
    pub fn read(mut self, options: ReaderOptions) -> Self {
        self.read = options;
        self
    }
}

/// Reads batches in order, in place; from one shard, or from all by arrival time.
///
/// It can write several files, one after the other: each begins with the first row that the one before has left out, at its end or
/// because it has another schema. After any other error of writing, the rows that were on their way are not shown again.
#[derive(Debug)]
pub struct BatchReader {
    source: Source,
    decoder: Decoder,
    /// What was read, and is to be shown next after all: an export ended before it.
    ahead: Option<StoredBatch>,
    /// Rows below this counter are not shown: the reader began in the middle of a batch.
    from: u64,
}

#[derive(Debug)]
enum Source {
    Shard(Reader),
    Merged(MergedReader),
}

/// Makes batches of records.
#[derive(Debug)]
struct Decoder {
    schemas: SchemaSource,
    view: View,
    raw: RawRecords,
    /// The plan for the schema met last.
    plan: Option<Plan>,
}

impl Columns {
    /// Reads the batches of a shard. Positions are of rows: a reader that starts at a number in the middle of a batch shows
    /// the batch from there on.
    ///
    /// # Errors
    ///
    /// As for [`Stream::reader`](crate::Stream::reader).
    pub fn reader(&self, shard_id: ShardId, position: Position) -> Result<BatchReader, ReadBatchError> {
        self.reader_with(shard_id, position, BatchReaderOptions::new())
    }

    /// Reads the batches of a shard, as the options say.
    ///
    /// # Errors
    ///
    /// As for [`Stream::reader`](crate::Stream::reader).
    pub fn reader_with(
        &self,
        shard_id: ShardId,
        position: Position,
        options: BatchReaderOptions,
    ) -> Result<BatchReader, ReadBatchError> {
        BatchReader::of_shard(self.source(), shard_id, position, options)
    }

    /// Reads the batches of all shards, by arrival time.
    ///
    /// # Errors
    ///
    /// As for [`Stream::merged_reader`](crate::Stream::merged_reader).
    pub fn merged_reader(
        &self,
        position: Position,
        options: BatchReaderOptions,
    ) -> Result<BatchReader, ReadBatchError> {
        BatchReader::merged(self.source(), position, options)
    }

    /// The batch that a record read by any other reader holds.
    ///
    /// # Errors
    ///
    /// [`ReadBatchError`].
    pub fn decode(&self, record: &Record<'_>) -> Result<StoredBatch, ReadBatchError> {
        decode_alone(self.source(), record)
    }
}

/// The batch that a record holds, whatever reader it is from.
pub(super) fn decode_alone(
    schemas: SchemaSource,
    record: &Record<'_>,
) -> Result<StoredBatch, ReadBatchError> {
    let number = record.sequence_number();
    let mut decoder = Decoder::new(schemas, BatchReaderOptions::new());
    decoder.decode(record)?.ok_or(ReadBatchError::NotABatch { number })
}

impl BatchReader {
    pub(super) fn of_shard(
        schemas: SchemaSource,
        shard_id: ShardId,
        position: Position,
        options: BatchReaderOptions,
    ) -> Result<Self, ReadBatchError> {
        let reader = schemas.origin.row_reader(shard_id, position, options.read.with_headers_checked())?;
        let from = match position {
            Position::AtSequenceNumber(number) => number.counter(),
            Position::AfterSequenceNumber(number) => number.counter().saturating_add(1),
            _ => 0,
        };
        Ok(Self { source: Source::Shard(reader), decoder: Decoder::new(schemas, options), ahead: None, from })
    }

    pub(super) fn merged(
        schemas: SchemaSource,
        position: Position,
        options: BatchReaderOptions,
    ) -> Result<Self, ReadBatchError> {
        let reader = schemas.origin.merged_reader(position, options.read.with_headers_checked())?;
        let decoder = Decoder::new(schemas, options);
        Ok(Self { source: Source::Merged(reader), decoder, ahead: None, from: 0 })
    }
}

impl BatchReader {
    /// The next batch; `None` when there is none now, there may be later.
    ///
    /// # Errors
    ///
    /// [`ReadBatchError`].
    #[expect(clippy::should_implement_trait, reason = "an iterator that has ended may not go on; this does")]
    pub fn next(&mut self) -> Result<Option<StoredBatch>, ReadBatchError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        loop {
            let record = match &mut self.source {
                Source::Shard(reader) => reader.next()?,
                Source::Merged(reader) => reader.next()?,
            };
            let Some(record) = record else {
                return Ok(None);
            };
            if let Some(batch) = self.decoder.decode(&record)? {
                return Ok(Some(batch.starting_at(self.from)));
            }
        }
    }

    /// Sleeps until there is something to read, at most for `timeout`; see [`Reader::wait`].
    ///
    /// # Errors
    ///
    /// As for [`Reader::wait`].
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, ReadBatchError> {
        if self.ahead.is_some() {
            return Ok(true);
        }
        match &mut self.source {
            Source::Shard(reader) => Ok(reader.wait(timeout)?),
            Source::Merged(reader) => Ok(reader.wait(timeout)?),
        }
    }

    /// Goes on behind damage; see [`Reader::skip_damage`].
    ///
    /// # Errors
    ///
    /// As for [`Reader::skip_damage`].
    pub fn skip_damage(&mut self) -> Result<(), ReadBatchError> {
        match &mut self.source {
            Source::Shard(reader) => Ok(reader.skip_damage()?),
            Source::Merged(reader) => Ok(reader.skip_damage()?),
        }
    }
}

impl BatchReader {
    /// Has the next call of [`next`](Self::next) give this batch, which the last one gave.
    pub(super) fn put_back(&mut self, batch: StoredBatch) {
        self.ahead = Some(batch);
    }

    pub(super) fn is_merged(&self) -> bool {
        matches!(self.source, Source::Merged(_))
    }

    /// The schema that this reader would show if there was nothing to show.
    pub(super) fn shown_schema(&self) -> Result<SchemaRef, ReadBatchError> {
        let Decoder { schemas, view, .. } = &self.decoder;
        match (view, schemas.newest()?) {
            (View::Schema(schema), _) => Ok(Arc::clone(schema)),
            (view, Some(newest)) => Ok(view.plan(newest)?.shown_schema()?),
            (_, None) => Ok(Arc::new(Schema::empty())),
        }
    }
}

impl Decoder {
    fn new(schemas: SchemaSource, options: BatchReaderOptions) -> Self {
        Self { schemas, view: options.view, raw: options.raw, plan: None }
    }

    /// The batch that a record holds; `None` for one to leave out.
    fn decode(&mut self, record: &Record<'_>) -> Result<Option<StoredBatch>, ReadBatchError> {
        let Some((schema_id, _)) = record.schema_id_and_rows() else {
            return self.decode_raw(record);
        };
        if self.plan.as_ref().is_none_or(|plan| plan.known.id != schema_id) {
            let known = self.schemas.by_id(schema_id)?;
            self.plan = Some(self.view.plan(known)?);
        }
        let Some(plan) = &self.plan else {
            return Ok(None);
        };
        let data = Buffer::from(record.to_bytes());
        let rows = read_rows(record, &data, schema_id, plan)?;
        let mut batch = stored(record, rows, Some(schema_id));
        batch.messages = plan.is_everything().then_some(data);
        Ok(Some(batch))
    }

    fn decode_raw(&self, record: &Record<'_>) -> Result<Option<StoredBatch>, ReadBatchError> {
        match self.raw {
            RawRecords::Refuse => Err(ReadBatchError::NotABatch { number: record.sequence_number() }),
            RawRecords::Skip => Ok(None),
            RawRecords::AsColumn => {
                check(record)?;
                Ok(Some(stored(record, raw_row(record)?, None)))
            }
        }
    }
}

fn stored(record: &Record<'_>, rows: RecordBatch, schema_id: Option<u32>) -> StoredBatch {
    StoredBatch {
        rows,
        first: record.sequence_number(),
        arrival_time: record.arrival_time(),
        key: record.key_bytes(),
        schema_id,
        messages: None,
    }
}

fn check(record: &Record<'_>) -> Result<(), ReadBatchError> {
    record.check_body().map_err(|fault| ReadBatchError::Corrupt {
        number: record.sequence_number(),
        reason: fault.to_string(),
    })
}

/// The rows of a record. Bytes that were not validated since their segment was mapped are, before Arrow sees them as arrays.
fn read_rows(
    record: &Record<'_>,
    data: &Buffer,
    schema_id: u32,
    plan: &Plan,
) -> Result<RecordBatch, ReadBatchError> {
    let malformed =
        |reason: String| ReadBatchError::Malformed { number: record.sequence_number(), schema_id, reason };
    let schema = &plan.known.schema;
    let skip = record.skip_validation();
    let rows = if skip.get() {
        decode(data, schema, plan.projection.as_deref(), &skip)
            .map_err(|error| malformed(error.to_string()))?
    } else {
        check(record)?;
        let rows = decode(data, schema, None, &skip).map_err(|error| malformed(error.to_string()))?;
        let expected = record.schema_id_and_rows().map_or(0, |(_, rows)| rows as usize);
        if rows.num_rows() != expected {
            return Err(malformed(format!("it has {} rows, its record says {expected}", rows.num_rows())));
        }
        record.note_validated();
        plan.project(rows)?
    };
    Ok(plan.fill(rows)?)
}

/// A record of bytes, as a row.
fn raw_row(record: &Record<'_>) -> Result<RecordBatch, ReadBatchError> {
    let data = record.to_bytes();
    let offsets = OffsetBuffer::from_lengths([data.len()]);
    let column = BinaryArray::new(offsets, data.into(), None);
    let schema = Schema::new(vec![Field::new("raw_data", DataType::Binary, false)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]);
    Ok(batch.map_err(super::registry::unsupported)?)
}
