//! Batches into a stream.

use std::borrow::Cow;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_schema::ArrowError;

use crate::log::frame::{Draft, MAX_RECORD_LEN, Rows};
use crate::stream::put::Key;
use crate::stream::put_rows::RowsPut;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;

use super::Columns;
use super::compact::Slack;
use super::put_error::PutBatchError;
use super::registry::Known;

/// Where the rows of a batch, or of several, went: one sequence number for each row, without a gap within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PutBatch {
    /// The shard that holds them; `None` when there was no row to put.
    pub shard_id: Option<ShardId>,
    /// The numbers of the first and the last row; `None` when there was none.
    pub sequence_numbers: Option<(SequenceNumber, SequenceNumber)>,
    /// How many rows.
    pub rows: u64,
    /// How many records they lie in.
    pub records: u64,
}

impl PutBatch {
    /// Takes in what was put after this.
    pub(super) fn append(&mut self, later: Self) {
        let first = self.sequence_numbers.or(later.sequence_numbers).map(|(first, _)| first);
        let last = later.sequence_numbers.or(self.sequence_numbers).map(|(_, last)| last);
        self.sequence_numbers = first.zip(last);
        self.shard_id = later.shard_id.or(self.shard_id);
        self.rows += later.rows;
        self.records += later.records;
    }

    fn add(&mut self, put: RowsPut) {
        let last = SequenceNumber::new(put.first.counter().saturating_add(put.rows - 1), put.shard_id);
        let first = self.sequence_numbers.map_or(put.first, |(first, _)| first);
        self.shard_id = Some(put.shard_id);
        self.sequence_numbers = Some((first, last));
        self.rows += put.rows;
        self.records += put.records;
    }
}

/// Some rows of a batch, as they will lie in the log.
struct Part {
    rows: u32,
    buffers: Vec<Buffer>,
}

impl Columns {
    /// Puts the rows of a batch under one key: into one shard, in order, with nothing of others in between. Each row takes one
    /// sequence number. They make one record, or several where one would be longer than the 10 MiB that a record may have;
    /// [`max_rows_per_record`](Self::max_rows_per_record) may split them further.
    ///
    /// The arrays' buffers go from where they are into the log, without a copy in between, but for offsets and bitmaps of
    /// arrays that are slices, and for views, list views and dense unions of which the rows refer to less than half, or that are
    /// split. An empty batch puts nothing.
    ///
    /// # Errors
    ///
    /// [`PutBatchError`]. Nothing is stored then, but for what [`PutBatchError::put`] says.
    pub fn put_batch<'k>(
        &self,
        key: impl Into<Key<'k>>,
        batch: &RecordBatch,
    ) -> Result<PutBatch, PutBatchError> {
        self.put(key.into(), batch, self.max_rows_per_record)
    }

    /// Puts batches one after the other, as [`put_batch`](Self::put_batch) does each, with at most `max_rows_per_record` rows
    /// in a record; 0 for no limit. Other writers' records may come in between two batches.
    ///
    /// # Errors
    ///
    /// As for [`put_batch`](Self::put_batch), at the first batch that cannot be put. [`PutBatchError::put`] speaks of all
    /// batches of the call.
    pub fn put_batches<'k, B: std::borrow::Borrow<RecordBatch>>(
        &self,
        key: impl Into<Key<'k>>,
        batches: impl IntoIterator<Item = B>,
        max_rows_per_record: usize,
    ) -> Result<PutBatch, PutBatchError> {
        let key = key.into();
        let mut all = PutBatch::default();
        for batch in batches {
            match self.put(key, batch.borrow(), max_rows_per_record) {
                Ok(put) => all.append(put),
                Err(error) => return Err(error.after(all)),
            }
        }
        Ok(all)
    }

    fn put(&self, key: Key<'_>, batch: &RecordBatch, max_rows: usize) -> Result<PutBatch, PutBatchError> {
        key.validate()?;
        let mut put = PutBatch::default();
        if batch.num_rows() == 0 {
            return Ok(put);
        }
        let known = self.registry.of_schema(&self.stream, batch.schema_ref(), self.evolution)?;
        let parts = split(&known, batch, max_rows, MAX_RECORD_LEN.saturating_sub(key.as_str().len()))?;
        let slices: Vec<Vec<&[u8]>> =
            parts.iter().map(|part| part.buffers.iter().map(Buffer::as_slice).collect()).collect();
        let key_bytes = key.as_str().as_bytes();
        let explicit = self.explicit_hash_key.map(|hash_key| hash_key.as_u128());
        let drafts: Vec<_> = parts
            .iter()
            .zip(&slices)
            .map(|(part, data)| {
                let rows = Rows { count: part.rows, schema_id: known.id };
                Draft::of_rows(rows, key_bytes, explicit, &[], data)
            })
            .collect();
        let hash_key = self.explicit_hash_key.unwrap_or_else(|| key.hash_key());
        let (appended, outcome) = self.stream.core().put_rows(hash_key, &drafts, self.durability);
        if let Some(appended) = appended {
            put.add(appended);
        }
        match outcome {
            Ok(()) => Ok(put),
            Err(source) => Err(PutBatchError::Put { source, put }),
        }
    }
}

/// Encodes a batch in parts of at most `max_rows` rows (0: any number) and `max_len` bytes.
fn split(
    known: &Known,
    batch: &RecordBatch,
    max_rows: usize,
    max_len: usize,
) -> Result<Vec<Part>, PutBatchError> {
    let max_rows = if max_rows == 0 { u32::MAX as usize } else { max_rows.min(u32::MAX as usize) };
    let mut parts = Vec::new();
    let mut first = 0;
    let mut at_once = max_rows;
    // Parts would each have what belongs to the others.
    let mut slack = if batch.num_rows() <= max_rows { Slack::Half } else { Slack::None };
    while first < batch.num_rows() {
        let rows = at_once.min(batch.num_rows() - first);
        let buffers = encode(known, batch, first, rows, slack)?;
        let len: usize = buffers.iter().map(Buffer::len).sum();
        if len <= max_len {
            parts.push(Part { rows: u32::try_from(rows).unwrap_or(u32::MAX), buffers });
            first += rows;
        } else if slack == Slack::Half {
            slack = Slack::None;
        } else if rows == 1 {
            return Err(PutBatchError::RowTooLarge { row: first, len, max: max_len });
        } else {
            // About as many rows as fit, if they are all alike.
            at_once = (rows / len.div_ceil(max_len)).clamp(1, rows / 2);
        }
    }
    Ok(parts)
}

fn encode(
    known: &Known,
    batch: &RecordBatch,
    first: usize,
    rows: usize,
    slack: Slack,
) -> Result<Vec<Buffer>, PutBatchError> {
    let part = match rows == batch.num_rows() {
        true => Cow::Borrowed(batch),
        false => Cow::Owned(batch.slice(first, rows)),
    };
    let part = if known.is_loose { Cow::Owned(slack.compact(&part)?) } else { part };
    Ok(known.encode(&part)?)
}

impl From<ArrowError> for PutBatchError {
    fn from(error: ArrowError) -> Self {
        Self::Encode { reason: error.to_string() }
    }
}
