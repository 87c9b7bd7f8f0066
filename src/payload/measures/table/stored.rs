//! A data point that was read.

use std::fmt;

use crate::payload::measures::encoding::{Layout, MeasureRef};
use crate::stream::record::OwnedRecord;
use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

/// A version of a data point, still in the stream's mapped segment.
#[derive(Clone)]
pub struct StoredMeasure {
    record: OwnedRecord,
    layout: Layout,
}

impl StoredMeasure {
    pub(crate) fn new(record: OwnedRecord, layout: Layout) -> Self {
        Self { record, layout }
    }

    /// The data point, typed and borrowed from the mapping.
    #[must_use]
    pub fn measure(&self) -> MeasureRef<'_> {
        MeasureRef::known(self.record.data(), self.layout)
    }

    /// The bytes of its record.
    pub(super) fn data(&self) -> &[u8] {
        self.record.data()
    }

    /// The number of its record in the stream.
    #[must_use]
    pub fn sequence_number(&self) -> SequenceNumber {
        self.record.sequence_number()
    }

    /// When it was written.
    #[must_use]
    pub fn arrival_time(&self) -> Timestamp {
        self.record.arrival_time()
    }
}

impl fmt::Debug for StoredMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMeasure")
            .field("sequence_number", &self.sequence_number())
            .field("measure", &self.measure())
            .finish()
    }
}
