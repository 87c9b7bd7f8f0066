//! A batch as it is read.

use std::ops::RangeInclusive;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use bytes::Bytes;

use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

/// Rows of one record, or the last of them where a reader began in the middle. Every buffer of every array lies in the mapped
/// segment, which stays mapped for as long as any of them lives, whatever retention does meanwhile.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    pub(super) rows: RecordBatch,
    pub(super) first: SequenceNumber,
    pub(super) arrival_time: Timestamp,
    pub(super) key: Bytes,
    pub(super) schema_id: Option<u32>,
    /// The messages as they lie in the log, where the rows are exactly those.
    pub(super) messages: Option<Buffer>,
}

impl StoredBatch {
    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The rows, without the rest.
    pub fn into_rows(self) -> RecordBatch {
        self.rows
    }

    /// The number of the first row.
    pub fn sequence_number(&self) -> SequenceNumber {
        self.first
    }

    /// The number of the last row.
    pub fn last_sequence_number(&self) -> SequenceNumber {
        let last = (self.rows.num_rows() as u64).saturating_sub(1);
        SequenceNumber::new(self.first.counter().saturating_add(last), self.first.shard_id())
    }

    /// The numbers of all rows.
    pub fn sequence_numbers(&self) -> RangeInclusive<SequenceNumber> {
        self.first..=self.last_sequence_number()
    }

    /// The place in [`rows`](Self::rows) of the row with this number; `None` when it is not here.
    pub fn row_of(&self, number: SequenceNumber) -> Option<usize> {
        let ahead = number.counter().checked_sub(self.first.counter())?;
        let row = usize::try_from(ahead).ok()?;
        (number.shard_id() == self.shard_id() && row < self.rows.num_rows()).then_some(row)
    }

    /// The shard it was read from.
    pub fn shard_id(&self) -> ShardId {
        self.first.shard_id()
    }

    /// When the engine appended it: one time for all rows of a record.
    pub fn arrival_time(&self) -> Timestamp {
        self.arrival_time
    }

    /// The partition key that it was put under, in UTF-8.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The id of the schema that the rows were put with; `None` for a record of bytes that is shown as a row.
    pub fn schema_id(&self) -> Option<u32> {
        self.schema_id
    }

    /// The rows before the one with this counter, and the others, if there are any.
    pub(super) fn split_before(mut self, counter: u64) -> (Self, Option<Self>) {
        let kept = usize::try_from(counter.saturating_sub(self.first.counter())).unwrap_or(usize::MAX);
        if kept >= self.rows.num_rows() {
            return (self, None);
        }
        let others = self.clone().starting_at(counter);
        self.rows = self.rows.slice(0, kept);
        self.messages = None;
        (self, Some(others))
    }

    /// The messages as they lie in the log, where the rows are exactly those.
    pub(super) fn whole(&self) -> Option<&Buffer> {
        self.messages.as_ref()
    }

    /// Without the rows before `number`.
    pub(super) fn starting_at(mut self, counter: u64) -> Self {
        let skipped = counter.saturating_sub(self.first.counter());
        let rows = self.rows.num_rows();
        if let Ok(skipped) = usize::try_from(skipped)
            && (1..rows).contains(&skipped)
        {
            self.rows = self.rows.slice(skipped, rows - skipped);
            self.messages = None;
            self.first = SequenceNumber::new(counter, self.first.shard_id());
        }
        self
    }
}
