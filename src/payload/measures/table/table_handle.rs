//! A table, as its users hold it.

use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::payload::measures::index::{IndexError, KeptIndex};
use crate::payload::measures::record::MeasureRecord;
use crate::store::stream_handle::Stream;
use crate::sys::clock::Timestamp;

use super::checkpoint::{CheckpointError, Sweep};
use super::ingested::RecordsIngested;
use super::ledger::Ledger;
use super::open::OpenTableError;
use super::options::TableOptions;
use super::read_error::ReadMeasureError;
use super::scan::Scan;
use super::series::Series;
use super::stats::TableStats;
use super::stored::StoredMeasure;
use super::write_error::WriteRecordsError;

/// A stream as a table of measures: data points that are written by the rules of Timestream's `WriteRecords` and read at
/// their latest version.
///
/// A handle; clones share the table. A stream has one table at a time, since every write must see all versions that are
/// there; what is put in the stream past its table is no part of it. While the table is open, the store stays locked, also
/// when it is closed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// use riverbed::measures::{MeasureRecord, MeasureTable, Series, TableOptions, ValueRef, WriteRecordsError};
/// use riverbed::{StreamOptions, Timestamp};
///
/// let stream = store.create_stream("metrics", StreamOptions::new().shards(4))?;
/// let table = MeasureTable::open(&stream, TableOptions::new().any_time())?;
///
/// let common = MeasureRecord::new().dimension("host", "a").measure_name("load").time("1700000000000");
/// table.write_records(&common, &[MeasureRecord::new().measure_value("0.5")])?;
///
/// // The same version with another value is rejected, a higher one replaces it.
/// let changed = MeasureRecord::new().measure_value("0.7");
/// match table.write_records(&common, &[changed.clone()]) {
///     Err(WriteRecordsError::Rejected(call)) => assert_eq!(call.rejected[0].existing_version, Some(1)),
///     other => panic!("{other:?}"),
/// }
/// table.write_records(&common, &[changed.version(2)])?;
///
/// let load = Series::new([("host", "a")], "load");
/// let current = table.current(&load, Timestamp::from_millis(1_700_000_000_000))?;
/// assert_eq!(current.as_ref().map(|stored| stored.measure().value()), Some(ValueRef::Double(0.7)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MeasureTable {
    pub(super) core: Arc<TableCore>,
}

/// What all handles of a table share.
#[derive(Debug)]
pub(super) struct TableCore {
    pub(super) stream: Stream,
    pub(super) options: TableOptions,
    pub(super) index: Arc<KeptIndex>,
    /// Held from looking at a data point until its new version is in the stream and known here.
    pub(super) ledger: Mutex<Ledger>,
    /// Held by whoever commits to the store.
    pub(super) sweep: Mutex<Sweep>,
    /// Keeps other writers out of the store for as long as the index is open, also once the store is closed.
    pub(super) _lock: Arc<dyn Debug + Send + Sync>,
    /// Last, so that the index is closed when the next table opens it.
    pub(super) _claim: Claim,
}

/// The right to be the stream's table.
#[derive(Debug)]
pub(super) struct Claim(Stream);

impl Claim {
    /// `None` while somebody else has it.
    pub(super) fn take(stream: &Stream) -> Option<Self> {
        let taken = stream.core().has_table.swap(true, Ordering::AcqRel);
        (!taken).then(|| Self(stream.clone()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.core().has_table.store(false, Ordering::Release);
    }
}

impl MeasureTable {
    /// Opens a stream as a table, reading what its version index does not know yet.
    ///
    /// # Errors
    ///
    /// [`OpenTableError`]; in particular `AlreadyOpen` while the stream's table is open: clone that one.
    pub fn open(stream: &Stream, options: TableOptions) -> Result<Self, OpenTableError> {
        super::open::open(stream, options).map(|core| Self { core: Arc::new(core) })
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.core.stream
    }

    /// Writes records, each merged with the common attributes: Timestream's `WriteRecords`. In order, so that each sees the
    /// versions that those before it brought. Sending a call again changes nothing: what is there with the same version
    /// and value is taken, and counted as unchanged.
    ///
    /// # Errors
    ///
    /// [`WriteRecordsError`]: `Validation` when the whole call is refused, `Rejected` when some records are and the others are
    /// stored.
    pub fn write_records(
        &self,
        common: &MeasureRecord<'_>,
        records: &[MeasureRecord<'_>],
    ) -> Result<RecordsIngested, WriteRecordsError> {
        self.core.write(common, records)
    }

    /// The latest version of a data point; `None` when there is none, or retention has removed it.
    ///
    /// # Errors
    ///
    /// [`ReadMeasureError`].
    pub fn current(
        &self,
        series: &Series,
        time: Timestamp,
    ) -> Result<Option<StoredMeasure>, ReadMeasureError> {
        self.core.read(series, time, i64::MAX)
    }

    /// The latest version of a data point that is not above `version`; `None` when there is none, or retention has removed it.
    ///
    /// # Errors
    ///
    /// [`ReadMeasureError`].
    pub fn as_of(
        &self,
        series: &Series,
        time: Timestamp,
        version: i64,
    ) -> Result<Option<StoredMeasure>, ReadMeasureError> {
        self.core.read(series, time, version)
    }

    /// Reads the data points of a range of times, each once at its latest version: by series, in the order in which these came
    /// into the table, and by time. [`Scan::series`] narrows it to one series, [`Scan::as_of`] to earlier versions.
    ///
    /// Data points that are written meanwhile are seen or not.
    #[must_use]
    pub fn scan(&self, times: impl RangeBounds<Timestamp>) -> Scan {
        Scan::new(Arc::clone(&self.core), times)
    }

    /// What the table has and has done.
    ///
    /// # Errors
    ///
    /// [`IndexError`] when the version index cannot be read.
    pub fn stats(&self) -> Result<TableStats, IndexError> {
        self.core.stats()
    }

    /// Brings the kept version index up to date, so that the next opening has nothing to read, and drops from it what
    /// retention has removed from the stream. Happens by itself when enough is pending, and when the table is dropped.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]. The table works on; what was not kept is tried again.
    pub fn checkpoint(&self) -> Result<(), CheckpointError> {
        self.core.checkpoint()
    }
}

impl Drop for TableCore {
    fn drop(&mut self) {
        // An opening that failed may not have found out yet whether the index is this stream's: what it says is not to be
        // kept as though it were.
        if self.ledger.lock().is_complete() {
            // What the index does not know it learns at the next opening.
            drop(self.checkpoint());
        }
    }
}
