//! Points into a stream.

use std::borrow::Borrow;

use super::batch::PointBatch;
use super::error::{PutLineError, PutPointError, WriteLinesError};
use super::lines;
use super::options::{LineOptions, PointOptions};
use crate::payload::line_protocol::ParseOptions;
use crate::payload::point::{Point, PointTime};
use crate::store::stream_handle::Stream;
use crate::stream::error::PutError;
use crate::stream::put::{Put, PutRecords};

/// Points, with the feature `line-protocol`. Each becomes one record: its partition key is the key of its series
/// ([`SeriesKey::partition_key`](crate::point::SeriesKey::partition_key)), so that the points of a series stay in order,
/// and its data are a line of canonical line protocol with the timestamp in nanoseconds. A point without a time happened
/// now, by the store's clock.
impl Stream {
    /// Puts a point.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let store = riverbed::Store::open(directory.path().join("data"))?;
    /// # let metrics = store.create_stream("metrics", riverbed::StreamOptions::new())?;
    /// use riverbed::Position;
    /// use riverbed::point::{Point, PointDecoder, PointTime};
    ///
    /// let time = PointTime::from_nanos(1_657_729_063_000_000_000);
    /// let put = metrics.put_point(&Point::new("cpu").tag("core", "0").field("temp", 25.3).time(time))?;
    ///
    /// let mut reader = metrics.reader(put.shard_id, Position::TrimHorizon)?;
    /// let mut decoder = PointDecoder::new();
    /// while let Some(record) = reader.next()? {
    ///     assert_eq!(record.data(), b"cpu,core=0 temp=25.3 1657729063000000000");
    ///     let stored = decoder.decode(&record)?;
    ///     assert_eq!(stored.point().measurement(), "cpu");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutPointError`] when the point is no line of line protocol, or as for [`put`](Self::put).
    pub fn put_point(&self, point: &Point) -> Result<Put, PutPointError> {
        let options = PointOptions::default();
        let mut batch = PointBatch::new(&options, self.point_clock());
        batch.push(point)?;
        let mut results = self.put_records_in_order(&batch.records()).into_results();
        Ok(results.pop().unwrap_or(Err(PutError::Closed))?)
    }

    /// Puts many points: one result for each, in order, as [`put_records_in_order`](Self::put_records_in_order) gives them:
    /// points that the stream did not take can be put again without having been overtaken by others of their series. A
    /// point that is no line of line protocol does not keep the others back.
    pub fn put_points<P: Borrow<Point>>(
        &self,
        points: impl IntoIterator<Item = P>,
        options: &PointOptions,
    ) -> PutRecords<PutPointError> {
        let mut batch = PointBatch::new(options, self.point_clock());
        let mut refused = Vec::new();
        for (index, point) in points.into_iter().enumerate() {
            if let Err(error) = batch.push(point.borrow()) {
                refused.push((index, error));
            }
        }
        joined(refused, self.put_records_in_order(&batch.records()))
    }

    /// Puts the points of a body of line protocol. `Ok` means that every line went in, and tells where, in order.
    ///
    /// The whole body is read before anything is put, so that a bad line keeps all others back, as it does in the v2
    /// server; with [`accept_partial`](LineOptions::accept_partial) the good lines are put all the same. A line is bad, too,
    /// when its point cannot be stored: what a dialect reads may be more than the canonical form can hold.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let store = riverbed::Store::open(directory.path().join("data"))?;
    /// # let metrics = store.create_stream("metrics", riverbed::StreamOptions::new())?;
    /// use riverbed::line_protocol::Dialect;
    /// use riverbed::point::{LineOptions, Precision};
    ///
    /// let body = "cpu,core=0 temp=25.3 1657729063\ncpu,core=1 temp= 1657729063\n";
    /// let options = LineOptions::new(Dialect::V2Server).precision(Precision::Seconds);
    /// let error = metrics.write_line_protocol(body, &options).unwrap_err(); // nothing was put
    /// assert_eq!(
    ///     error.to_string(),
    ///     "unable to parse 'cpu,core=1 temp= 1657729063': missing field value"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WriteLinesError::Refused`] when there are bad lines and nothing was put; [`WriteLinesError::Partial`] when some
    /// lines were put and others not, with a result for each. Not even without `accept_partial` is that ruled out: a
    /// disk that is full or a shard that fails can be found out only by putting, and what went in before stays. Put the
    /// lines again whose result is an error, not the whole body: no later line of their series has overtaken them.
    pub fn write_line_protocol(
        &self,
        body: impl AsRef<[u8]>,
        options: &LineOptions,
    ) -> Result<Vec<Put>, WriteLinesError> {
        let body = body.as_ref();
        let clock = self.point_clock();
        let points = options.points.for_lines();
        let mut batch = PointBatch::for_body(&points, clock, body.len());
        let reading = ParseOptions::new(options.dialect, clock).precision(options.precision);
        let bad = lines::read(body, reading, &mut batch);
        if !bad.is_empty() && !options.accept_partial {
            return Err(WriteLinesError::Refused {
                lines: bad.into_iter().map(|(_, error)| error).collect(),
            });
        }
        let puts = self.put_records_in_order(&batch.records());
        if bad.is_empty() && puts.failed_record_count() == 0 {
            return Ok(puts.into_results().into_iter().flatten().collect());
        }
        let bad = bad.into_iter().map(|(index, error)| (index, PutLineError::Parse(error))).collect();
        Err(WriteLinesError::Partial { results: joined(bad, puts) })
    }

    /// The time of points that have none. Past the last one that a point can have this is that one, which cannot be
    /// written, so that there is an error.
    fn point_clock(&self) -> PointTime {
        PointTime::try_from(self.now()).unwrap_or(PointTime::MAX)
    }
}

/// The results of all, from those that were refused before anything was put, by index, and those that were put.
fn joined<E: From<PutError>>(refused: Vec<(usize, E)>, puts: PutRecords) -> PutRecords<E> {
    let puts = puts.into_results();
    let mut results = Vec::with_capacity(refused.len() + puts.len());
    let mut puts = puts.into_iter().map(|put| put.map_err(E::from));
    for (index, error) in refused {
        let before = index.saturating_sub(results.len());
        results.extend(puts.by_ref().take(before));
        results.push(Err(error));
    }
    results.extend(puts);
    PutRecords::new(results)
}
