//! Reading a range of times.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::payload::measures::index::{Latest, PointKey, SeriesId};
use crate::sys::clock::Timestamp;

use super::read_error::ReadMeasureError;
use super::series::Series;
use super::stored::StoredMeasure;
use super::table_handle::TableCore;

/// How many data points to look up at once.
const PAGE: usize = 256;

/// Reads data points of a range of times, each once; see [`MeasureTable::scan`](super::MeasureTable::scan).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// # let stream = store.create_stream("metrics", riverbed::StreamOptions::new())?;
/// use riverbed::Timestamp;
/// use riverbed::measures::{MeasureRecord, MeasureTable, Series, TableOptions};
///
/// let table = MeasureTable::open(&stream, TableOptions::new().any_time())?;
/// let load = MeasureRecord::new().dimension("host", "a").measure_name("load");
/// let times = ["1", "2", "3"].map(|time| MeasureRecord::new().time(time).measure_value("0.5"));
/// table.write_records(&load, &times)?;
///
/// let load = Series::new([("host", "a")], "load");
/// let mut found = Vec::new();
/// for stored in table.scan(Timestamp::from_millis(2)..).series(&load) {
///     found.push(stored?.measure().time().as_millis());
/// }
/// assert_eq!(found, [2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Scan {
    table: Arc<TableCore>,
    /// The first and the last time; `None` when there is none between.
    times: Option<(Timestamp, Timestamp)>,
    series: Option<Series>,
    version: i64,
    found: VecDeque<Latest>,
    next: Next,
}

/// Where to look next.
#[derive(Debug)]
enum Next {
    Start,
    At(PointKey),
    Nowhere,
}

impl Scan {
    pub(super) fn new(table: Arc<TableCore>, times: impl RangeBounds<Timestamp>) -> Self {
        let times = ends(&times).filter(|(first, last)| first <= last);
        Self { table, times, series: None, version: i64::MAX, found: VecDeque::new(), next: Next::Start }
    }

    /// Only the data points of this series.
    #[must_use]
    pub fn series(mut self, series: &Series) -> Self {
        self.series = Some(series.clone());
        self
    }

    /// Each data point at its latest version that is not above this one; those that have none are left out.
    #[must_use]
    pub fn as_of(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Looks up more data points; returns whether there may be some.
    fn look(&mut self) -> Result<bool, ReadMeasureError> {
        let Some((first, last)) = self.times else {
            return Ok(false);
        };
        let mut ledger = self.table.ledger.lock();
        let at = match (&self.next, &self.series) {
            (Next::Nowhere, _) => return Ok(false),
            (Next::At(at), _) => *at,
            (Next::Start, None) => PointKey { series: SeriesId::default(), time: first },
            (Next::Start, Some(series)) => match ledger.series(series.as_bytes())? {
                Some(series) => PointKey { series, time: first },
                None => return Ok(false),
            },
        };
        let to = PointKey { series: at.series, time: last };
        let page = ledger.page(at, to, PAGE)?;
        self.found.extend(page.iter().map(|(_, latest)| *latest));
        self.next = match page.get(PAGE - 1).and_then(|(key, _)| key.next()) {
            Some(next) => Next::At(next),
            None if self.series.is_some() => Next::Nowhere,
            // The series that has the next data point of all.
            None => match to
                .next()
                .map(|next| ledger.page(next, PointKey::MAX, 1))
                .transpose()?
                .unwrap_or_default()
                .first()
            {
                Some((key, _)) if key.series == at.series => match at.series.next() {
                    Some(series) => Next::At(PointKey { series, time: first }),
                    None => Next::Nowhere,
                },
                Some((key, _)) => Next::At(PointKey { series: key.series, time: first }),
                None => Next::Nowhere,
            },
        };
        Ok(true)
    }
}

impl Iterator for Scan {
    type Item = Result<StoredMeasure, ReadMeasureError>;

    /// The next data point. After an error it goes on with the one behind; an error of the version index ends it.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(latest) = self.found.pop_front() else {
                match self.look() {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(error) => {
                        self.next = Next::Nowhere;
                        return Some(Err(error));
                    }
                }
            };
            if let Some(found) = self.table.version(latest, self.version).transpose() {
                return Some(found);
            }
        }
    }
}

/// The first and the last time of a range.
fn ends(times: &impl RangeBounds<Timestamp>) -> Option<(Timestamp, Timestamp)> {
    let first = match times.start_bound() {
        Bound::Included(first) => first.as_nanos(),
        Bound::Excluded(before) => before.as_nanos().checked_add(1)?,
        Bound::Unbounded => 0,
    };
    let last = match times.end_bound() {
        Bound::Included(last) => last.as_nanos(),
        Bound::Excluded(after) => after.as_nanos().checked_sub(1)?,
        Bound::Unbounded => u64::MAX,
    };
    Some((Timestamp::from_nanos(first), Timestamp::from_nanos(last)))
}
