//! Finding the record of a data point.

use crate::payload::measures::encoding::MeasureRef;
use crate::payload::measures::index::{Latest, PointKey};
use crate::stream::error::ReadError;
use crate::stream::position::Position;
use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

use super::read_error::ReadMeasureError;
use super::series::Series;
use super::stored::StoredMeasure;
use super::table_handle::TableCore;

impl TableCore {
    /// The latest version of a data point up to `version`.
    pub(super) fn read(
        &self,
        series: &Series,
        time: Timestamp,
        version: i64,
    ) -> Result<Option<StoredMeasure>, ReadMeasureError> {
        let latest = {
            let mut ledger = self.ledger.lock();
            match ledger.series(series.as_bytes())? {
                Some(series) => ledger.get(PointKey { series, time })?,
                None => None,
            }
        };
        latest.map_or(Ok(None), |latest| self.version(latest, version))
    }

    /// The version of a data point that is the latest up to `version`: goes back from one to the one before it.
    pub(super) fn version(
        &self,
        latest: Latest,
        version: i64,
    ) -> Result<Option<StoredMeasure>, ReadMeasureError> {
        let mut number = Some(latest.number);
        while let Some(at) = number {
            let Some(stored) = self.record(at)? else {
                return Ok(None);
            };
            if stored.measure().version() <= version {
                return Ok(Some(stored));
            }
            // Numbers only fall, so that this ends.
            number = stored.measure().previous().filter(|previous| previous.counter() < at.counter());
        }
        Ok(None)
    }

    /// The measure with this number; `None` when retention has removed it.
    pub(super) fn record(&self, number: SequenceNumber) -> Result<Option<StoredMeasure>, ReadMeasureError> {
        if !self.is_kept(number) {
            return Ok(None);
        }
        let position = Position::AtSequenceNumber(number);
        let mut reader = self.stream.reader(number.shard_id(), position)?;
        let record = match reader.next() {
            Ok(Some(record)) if record.sequence_number() == number => record,
            Err(ReadError::Trimmed { .. }) => return Ok(None),
            Ok(_) if !self.is_kept(number) => return Ok(None),
            Ok(_) => return Err(ReadMeasureError::Missing { number }),
            Err(error) => return Err(error.into()),
        };
        match MeasureRef::decode(record.data()) {
            Ok(measure) => Ok(Some(StoredMeasure::new(record.to_owned(), measure.layout()))),
            Err(source) => Err(ReadMeasureError::Decode { number, source }),
        }
    }

    /// Whether retention has not removed the record with this number.
    pub(super) fn is_kept(&self, number: SequenceNumber) -> bool {
        let shards = self.stream.core().shards.look();
        shards.by_id(number.shard_id()).is_some_and(|shard| number.counter() >= shard.log.oldest())
    }
}
