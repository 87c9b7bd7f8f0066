//! Points out of a stream.

use std::mem;

use super::decode_error::DecodePointError;
use crate::payload::line_protocol::{Dialect, ParseOptions, Parser, PointRef};
use crate::payload::point::PointTime;
use crate::stream::record::{OwnedRecord, Record};
use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

/// Reads records as points: those of a [`Reader`](crate::Reader), of a [`MergedReader`](crate::MergedReader), or owned
/// ones. Keep it for many records: it allocates only when a point has more tags or fields than all before.
///
/// The records are read as canonical line protocol; a line without a timestamp, which somebody put as bytes, happened
/// when its record arrived.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// # let metrics = store.create_stream("metrics", riverbed::StreamOptions::new().shards(4))?;
/// use riverbed::line_protocol::{Dialect, FieldValueRef};
/// use riverbed::point::{LineOptions, PointDecoder};
/// use riverbed::{Position, ReaderOptions};
///
/// metrics.write_line_protocol("cpu,core=0 temp=25.3\ncpu,core=1 temp=26", &LineOptions::new(Dialect::V2Server))?;
///
/// let mut reader = metrics.merged_reader(Position::TrimHorizon, ReaderOptions::new())?;
/// let mut decoder = PointDecoder::new();
/// let mut temps = Vec::new();
/// while let Some(record) = reader.next()? {
///     let stored = decoder.decode(&record)?;
///     if let Some(FieldValueRef::Float(temp)) = stored.point().field("temp") {
///         temps.push(temp);
///     }
/// }
/// temps.sort_by(f64::total_cmp);
/// assert_eq!(temps, [25.3, 26.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PointDecoder {
    idle: Parser<'static>,
}

/// A point of a stream: its text is borrowed from the record, which lies in the mapped segment.
#[derive(Debug)]
pub struct StoredPoint<'d, 'a> {
    decoder: &'d mut PointDecoder,
    parser: Parser<'a>,
    time: PointTime,
    number: SequenceNumber,
    arrival_time: Timestamp,
}

impl Default for PointDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl PointDecoder {
    /// A decoder.
    #[must_use]
    pub const fn new() -> Self {
        Self { idle: Parser::new(b"", ParseOptions::new(Dialect::V2Server, PointTime::MAX)) }
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`DecodePointError`], with the record's sequence number, when it is no point.
    pub fn decode<'a>(&mut self, record: &Record<'a>) -> Result<StoredPoint<'_, 'a>, DecodePointError> {
        self.read(record.data(), record.sequence_number(), record.arrival_time())
    }

    /// Reads an owned record.
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode).
    pub fn decode_owned<'a>(
        &mut self,
        record: &'a OwnedRecord,
    ) -> Result<StoredPoint<'_, 'a>, DecodePointError> {
        self.read(record.data(), record.sequence_number(), record.arrival_time())
    }

    /// Reads a record that was packed with others, for points that went through a
    /// [`AggregatingSink`](crate::kpl::AggregatingSink). Its sequence number is that of the record that it came in.
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode).
    #[cfg(feature = "kpl")]
    pub fn decode_user_record<'a>(
        &mut self,
        record: &'a crate::kpl::UserRecord,
    ) -> Result<StoredPoint<'_, 'a>, DecodePointError> {
        self.read(record.data(), record.sequence_number(), record.arrival_time())
    }

    fn read<'a>(
        &mut self,
        data: &'a [u8],
        number: SequenceNumber,
        arrival_time: Timestamp,
    ) -> Result<StoredPoint<'_, 'a>, DecodePointError> {
        let clock = PointTime::try_from(arrival_time).unwrap_or(PointTime::MAX);
        let idle = mem::take(self).idle;
        let parser = idle.reuse(data).options(ParseOptions::new(Dialect::V2Server, clock));
        // From here on, whatever happens, the buffers go back when this is dropped.
        let mut stored = StoredPoint { decoder: self, parser, time: PointTime::MIN, number, arrival_time };
        match stored.parser.next_point() {
            Some(Ok(point)) => stored.time = point.time(),
            Some(Err(error)) => return Err(DecodePointError::NotAPoint { number, error }),
            None => return Err(DecodePointError::NoPoint { number }),
        }
        if !stored.parser.is_at_end() {
            return Err(DecodePointError::MoreThanOneLine { number });
        }
        Ok(stored)
    }
}

impl<'a> StoredPoint<'_, 'a> {
    /// The point.
    #[must_use]
    pub fn point(&self) -> PointRef<'_, 'a> {
        self.parser.last_point(self.time)
    }

    /// The number of its record.
    #[must_use]
    pub const fn sequence_number(&self) -> SequenceNumber {
        self.number
    }

    /// When its record arrived; see [`Record::arrival_time`].
    #[must_use]
    pub const fn arrival_time(&self) -> Timestamp {
        self.arrival_time
    }
}

impl Drop for StoredPoint<'_, '_> {
    fn drop(&mut self) {
        let parser = mem::replace(&mut self.parser, PointDecoder::new().idle);
        self.decoder.idle = parser.reuse(b"");
    }
}
