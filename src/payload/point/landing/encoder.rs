//! Points as records for a writer.

use std::sync::Arc;

use super::batch::PointBatch;
use super::error::PutPointError;
use super::lines;
use super::options::PointOptions;
use crate::payload::line_protocol::{Dialect, ParseError, ParseOptions};
use crate::payload::point::{Point, PointTime, Precision};
use crate::stream::error::PutError;
use crate::sys::clock::{Clock, SystemClock};
use crate::write::WriteRecord;

/// Makes records of points, for a [`BatchWriter`](crate::write::BatchWriter): the same ones that
/// [`Stream::put_point`](crate::Stream::put_point) and its siblings put. Any number of threads may share it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// # let metrics = store.create_stream("metrics", riverbed::StreamOptions::new().shards(4))?;
/// use riverbed::line_protocol::Dialect;
/// use riverbed::point::{Point, PointEncoder, PointOptions, Precision};
/// use riverbed::write::BatchWriter;
///
/// let writer = BatchWriter::builder(metrics).start()?;
/// let points = PointEncoder::new(PointOptions::new());
/// writer.write(points.encode(&Point::new("cpu").tag("core", "0").field("temp", 25.3))?)?;
///
/// let lines = points.encode_lines("cpu,core=1 temp=26 1657729063", Dialect::V2Server, Precision::Seconds);
/// assert!(lines.bad.is_empty());
/// writer.write_all(lines.records)?;
/// writer.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PointEncoder {
    options: PointOptions,
    clock: Arc<dyn Clock>,
}

/// The records of a body of line protocol.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EncodedLines {
    /// One for each good line, in order.
    pub records: Vec<WriteRecord>,
    /// The bad lines, in order. To take a body as a whole or not at all, as the v2 server does, write the records only
    /// when there are none.
    pub bad: Vec<ParseError>,
}

impl PointEncoder {
    /// An encoder that gives points what these options say, and the machine's time where they have none: that at which
    /// they are encoded, not that at which they are written.
    #[must_use]
    pub fn new(options: PointOptions) -> Self {
        Self { options, clock: Arc::new(SystemClock::precise()) }
    }

    /// Takes the time from here.
    #[must_use]
    pub fn clock(self, clock: impl Clock + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The record of a point.
    ///
    /// # Errors
    ///
    /// [`PutPointError`] when the point is no line of line protocol, or too long for a record.
    pub fn encode(&self, point: &Point) -> Result<WriteRecord, PutPointError> {
        let mut batch = PointBatch::new(&self.options, self.now());
        batch.push(point)?;
        Ok(records(&batch).pop().ok_or(PutError::Closed)?)
    }

    /// The records of the lines of a body, in this dialect and with timestamps in this unit.
    #[must_use]
    pub fn encode_lines(
        &self,
        body: impl AsRef<[u8]>,
        dialect: Dialect,
        precision: Precision,
    ) -> EncodedLines {
        let body = body.as_ref();
        let clock = self.now();
        let options = self.options.for_lines();
        let mut batch = PointBatch::for_body(&options, clock, body.len());
        let reading = ParseOptions::new(dialect, clock).precision(precision);
        let bad = lines::read(body, reading, &mut batch);
        EncodedLines { records: records(&batch), bad: bad.into_iter().map(|(_, error)| error).collect() }
    }

    fn now(&self) -> PointTime {
        PointTime::try_from(self.clock.now()).unwrap_or(PointTime::MAX)
    }
}

fn records(batch: &PointBatch<'_>) -> Vec<WriteRecord> {
    batch.records().iter().map(WriteRecord::copied).collect()
}
