//! Rows of a reader on their way out: all of one schema, up to an end, with their numbers where asked for.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

use super::batch::StoredBatch;
use super::reader::BatchReader;
use super::write_error::WriteRowsError;

/// Which rows go out, and with what.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowRange {
    pub(super) numbers: bool,
    pub(super) before: Option<SequenceNumber>,
    pub(super) before_time: Option<Timestamp>,
}

/// The methods of options that have a `range`.
macro_rules! range_methods {
    () => {
        /// Adds the columns `seq_number` (`UInt64`: the shard's own count,
        /// [`SequenceNumber::counter`](crate::SequenceNumber::counter)) and `stream_time` (when the row arrived, nanoseconds in
        /// UTC), and `shard_id` (`UInt32`) where the reader is one over all shards.
        #[must_use]
        pub fn sequence_numbers(mut self, add: bool) -> Self {
            self.range.numbers = add;
            self
        }

        /// Ends before this row; for a reader of its shard.
        #[must_use]
        pub fn before(mut self, number: crate::SequenceNumber) -> Self {
            self.range.before = Some(number);
            self
        }

        /// Ends before the first batch that arrived at this time or later.
        #[must_use]
        pub fn before_time(mut self, time: crate::Timestamp) -> Self {
            self.range.before_time = Some(time);
            self
        }
    };
}
pub(super) use range_methods;

/// What a reader shows from here on, up to the range's end or what there is now.
pub(super) struct OutRows<'r> {
    reader: &'r mut BatchReader,
    range: RowRange,
    ended: bool,
    /// The schema of the rows, without what is added.
    rows: SchemaRef,
    /// The schema with it.
    schema: SchemaRef,
    added: usize,
}

impl<'r> OutRows<'r> {
    /// Looks at the first batch. With none at all, the schema is the one asked for, or the stream's newest, or has no columns.
    pub(super) fn begin(reader: &'r mut BatchReader, range: RowRange) -> Result<Self, WriteRowsError> {
        let first = reader.next()?;
        let rows = match &first {
            Some(batch) if !range.ends_before(batch) => Some(batch.rows().schema()),
            _ => None,
        };
        if let Some(batch) = first {
            reader.put_back(batch);
        }
        let ended = rows.is_none();
        let rows = match rows {
            Some(rows) => rows,
            None => reader.shown_schema()?,
        };
        let added = if range.numbers { added(reader.is_merged()) } else { Vec::new() };
        if let Some((name, _)) = added.iter().find(|(name, _)| rows.field_with_name(name).is_ok()) {
            return Err(WriteRowsError::ColumnExists { name });
        }
        let schema = match added.is_empty() {
            true => Arc::clone(&rows),
            false => {
                let added = added.iter().map(|(name, kind)| Arc::new(Field::new(*name, kind.clone(), false)));
                let fields: Vec<_> = rows.fields().iter().map(Arc::clone).chain(added).collect();
                Arc::new(Schema::new_with_metadata(fields, rows.metadata().clone()))
            }
        };
        Ok(Self { reader, range, ended, rows, schema, added: added.len() })
    }

    /// The schema of all rows, with the columns that are added.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether columns are added.
    pub(super) fn adds_columns(&self) -> bool {
        self.added > 0
    }

    /// The next batch, without what is added. What does not go out stays with the reader.
    pub(super) fn next(&mut self) -> Result<Option<StoredBatch>, WriteRowsError> {
        if self.ended {
            return Ok(None);
        }
        let Some(batch) = self.reader.next()? else {
            self.ended = true;
            return Ok(None);
        };
        if self.range.ends_before(&batch) {
            self.ended = true;
            self.reader.put_back(batch);
            return Ok(None);
        }
        if !Arc::ptr_eq(&self.rows, batch.rows().schema_ref()) && self.rows != batch.rows().schema() {
            let number = batch.sequence_number();
            self.reader.put_back(batch);
            return Err(WriteRowsError::SchemaChanged { number });
        }
        let (batch, others) = self.range.cut(batch);
        if let Some(others) = others {
            self.reader.put_back(others);
        }
        Ok(Some(batch))
    }

    /// The rows of a batch with what is added.
    pub(super) fn complete(&self, batch: &StoredBatch) -> Result<RecordBatch, WriteRowsError> {
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
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| WriteRowsError::Read(super::registry::unsupported(error).into()))
    }
}

impl RowRange {
    /// Whether a batch lies at the end or behind it, with all its rows.
    fn ends_before(&self, batch: &StoredBatch) -> bool {
        self.before_time.is_some_and(|time| batch.arrival_time() >= time)
            || self.before_in(batch).is_some_and(|end| end <= batch.sequence_number())
    }

    /// What of a batch lies before the end, and the rest of it.
    fn cut(&self, batch: StoredBatch) -> (StoredBatch, Option<StoredBatch>) {
        match self.before_in(&batch) {
            Some(end) => batch.split_before(end.counter()),
            None => (batch, None),
        }
    }

    /// The row before which a batch of its shard ends.
    fn before_in(&self, batch: &StoredBatch) -> Option<SequenceNumber> {
        self.before.filter(|end| end.shard_id() == batch.shard_id())
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
