//! How to open a store, and what a new stream is like.

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::log::durability::Durability;
use crate::log::options::{MAX_SEGMENT_LEN, MIN_SEGMENT_LEN};
#[cfg(feature = "limits")]
use crate::stream::limits::Limits;
use crate::stream::retention::Retention;
use crate::stream::throttle::Throttle;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os::{self, OsStorage};
use crate::sys::storage::Storage;

use super::error::OpenError;
use super::handle::Store;
use super::layout::Layout;
use super::read_only::ReadOnlyStore;
use super::verify::plan::RepairPlan;
use super::verify::repair::{RepairError, RepairReport};
use super::verify::{self, VerifyError, VerifyReport};

/// Who does the work that must not hold up a put: periodic syncs, preparing segments, saving indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Maintenance {
    /// Up to four threads of the store's own, started when there is work.
    #[default]
    Threads,
    /// Nobody, until you call [`Store::maintain`]. For programs that cannot have threads, and for tests that must
    /// run the same way every time. Due times then follow the store's [`Clock`].
    Manual,
}

/// How far the recovery of a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryProgress {
    /// Shards that are open.
    pub shards_done: usize,
    /// Shards that the store has.
    pub shards_total: usize,
}

pub(crate) type OnProgress = Arc<dyn Fn(RecoveryProgress) + Send + Sync>;

/// How to open a store.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// use riverbed::{Durability, Store};
///
/// let store = Store::options()
///     .durability(Durability::Immediate)
///     .segment_len(1 << 20, 16 << 20)
///     .open(directory.path().join("data"))?;
/// assert!(store.recovery_report().is_clean());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StoreOptions {
    pub(crate) create: bool,
    pub(crate) durability: Durability,
    pub(crate) first_segment_len: u64,
    pub(crate) max_segment_len: u64,
    pub(crate) max_mapped_segments: usize,
    pub(crate) max_open_files: usize,
    pub(crate) maintenance: Maintenance,
    pub(crate) poll_interval: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) on_recovery_progress: Option<OnProgress>,
    #[cfg(feature = "limits")]
    pub(crate) limits: Limits,
    #[cfg(feature = "metrics")]
    pub(crate) metrics_interval: Duration,
    #[cfg(feature = "metrics")]
    pub(crate) shard_metrics: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            create: true,
            durability: Durability::default(),
            first_segment_len: 256 * 1024,
            max_segment_len: 64 * 1024 * 1024,
            max_mapped_segments: 256,
            max_open_files: default_open_files(),
            maintenance: Maintenance::default(),
            poll_interval: Duration::from_millis(1),
            clock: Arc::new(SystemClock::precise()),
            storage: Arc::new(OsStorage),
            on_recovery_progress: None,
            #[cfg(feature = "limits")]
            limits: Limits::NONE,
            #[cfg(feature = "metrics")]
            metrics_interval: Duration::from_secs(10),
            #[cfg(feature = "metrics")]
            shard_metrics: false,
        }
    }
}

fn default_open_files() -> usize {
    const MOST: usize = 512;
    let quarter = os::descriptor_limit().map_or(MOST, |limit| usize::try_from(limit / 4).unwrap_or(MOST));
    quarter.clamp(1, MOST)
}

impl StoreOptions {
    /// The defaults: created if missing, synced every second, segments of 256 KiB doubling up to 64 MiB.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to create the store if there is none. On by default.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// What a put promises where neither its stream nor the call says otherwise.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bytes of a shard's first segment, and the bytes at which doubling from one segment to the next stops. Both are
    /// rounded up to whole pages; 64 KiB to 1 TiB. A record that needs more room gets a segment of its size.
    ///
    /// Retention works by whole segments, and a shard that is written to has one or two of them allocated.
    #[must_use]
    pub fn segment_len(mut self, first: u64, max: u64) -> Self {
        self.first_segment_len = first;
        self.max_segment_len = max;
        self
    }

    /// How many sealed segments to keep mapped although nobody reads them just now: 256 by default. Segments that are being
    /// written, read or held by owned records are mapped besides: one for each open shard that has been written to, and a
    /// second one while its successor waits to be used, and some full ones until they have been synced, which begins when there are
    /// four, or a gigabyte of those of 64 MiB and more. The kernel allows a process 65,530 mappings by default (`vm.max_map_count`), which is enough
    /// for some 30,000 such shards, of which few wait for syncs.
    #[must_use]
    pub fn max_mapped_segments(mut self, count: usize) -> Self {
        self.max_mapped_segments = count;
        self
    }

    /// How many segments' files to keep open for writing: 512 by default, or a quarter of what the process may have open
    /// (`ulimit -n`) if that is less. The store has a few more open for a moment, one for its lock and one for each open
    /// consumer. Files beyond these are opened again when they are synced, which takes some microseconds.
    #[must_use]
    pub fn max_open_files(mut self, count: usize) -> Self {
        self.max_open_files = count;
        self
    }

    /// Who does background work.
    #[must_use]
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// How long who waits in a store that was [opened to be read only](Self::open_read_only) sleeps at the most between two
    /// looks at it: 1 ms by default. One look costs some ten microseconds. Nobody writes into a store in order to wake
    /// readers of other processes, so they look for themselves, often at first and then less.
    #[must_use]
    pub fn poll_interval(mut self, longest: Duration) -> Self {
        self.poll_interval = longest;
        self
    }

    /// How often to publish what [`Store::stats`] says through the `metrics` facade: every 10 s by default; zero for never
    /// but by [`Store::publish_metrics`]. With [`Maintenance::Manual`] that is the only way, too. See
    /// [the list of metrics](crate#metrics-and-events).
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics_interval(mut self, interval: Duration) -> Self {
        self.metrics_interval = interval;
        self
    }

    /// Whether to publish every shard's metrics besides every stream's. Off by default: with many shards that makes many
    /// series.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn shard_metrics(mut self, each: bool) -> Self {
        self.shard_metrics = each;
        self
    }

    /// Where the time comes from. [`SystemClock::precise`] by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What each shard takes and gives in a second, for as long as the store is open. Nothing is limited by default.
    #[cfg(feature = "limits")]
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Holds a shard to the limits.
    pub(crate) fn throttle(&self) -> Throttle {
        #[cfg(feature = "limits")]
        return Throttle::new(self.limits, &self.clock);
        #[cfg(not(feature = "limits"))]
        Throttle::default()
    }

    /// Keeps the store on a disk of the testing kit instead of the machine's.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn storage(mut self, disk: &crate::testing::Disk) -> Self {
        self.storage = Arc::new(disk.clone());
        self
    }

    /// Called after each shard that has been opened, from several threads at once.
    #[must_use]
    pub fn on_recovery_progress(
        mut self,
        callback: impl Fn(RecoveryProgress) + Send + Sync + 'static,
    ) -> Self {
        self.on_recovery_progress = Some(Arc::new(callback));
        self
    }

    /// Opens the store in the directory `path` for writing, creating it if it is not there, and recovers it.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; in particular [`OpenError::Locked`] when another process, or another handle of this one, has
    /// it open for writing.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Store, OpenError> {
        let page = crate::log::header::PAGE as u64;
        for (what, len) in [("first", self.first_segment_len), ("largest", self.max_segment_len)] {
            if !(MIN_SEGMENT_LEN..=MAX_SEGMENT_LEN).contains(&len) {
                return Err(OpenError::SegmentLen { what, len, min: MIN_SEGMENT_LEN, max: MAX_SEGMENT_LEN });
            }
        }
        let first = self.first_segment_len.next_multiple_of(page);
        let max = self.max_segment_len.next_multiple_of(page).max(first);
        let options = Self { first_segment_len: first, max_segment_len: max, ..self };
        let path: PathBuf = path.as_ref().to_owned();
        Store::open_with(options, path)
    }
}

impl StoreOptions {
    /// Opens the store in the directory `path` for reading only: see [`ReadOnlyStore`]. Of the options, only
    /// [`poll_interval`](Self::poll_interval), [`clock`](Self::clock) and, with the feature `testing`, `storage` are of use then.
    ///
    /// # Errors
    ///
    /// [`OpenError::NotFound`] when there is no store, [`OpenError::Damaged`] or [`OpenError::NewerFormat`] when its manifest
    /// cannot be read, [`OpenError::Io`].
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<ReadOnlyStore, OpenError> {
        ReadOnlyStore::open(self, path.as_ref().to_owned())
    }

    /// Checks every byte of the store in the directory `path` without changing any. See [`Store::verify`].
    ///
    /// # Errors
    ///
    /// [`VerifyError`] when there is no store to look at. What is wrong with one is no error but in the report.
    pub fn verify(self, path: impl AsRef<Path>) -> Result<VerifyReport, VerifyError> {
        verify::verify(&*self.storage, &Layout::new(path.as_ref().to_owned()))
    }

    /// Carries out what `plan` proposes for the store in the directory `path`. See [`Store::repair`].
    ///
    /// # Errors
    ///
    /// [`RepairError`]. What was done before the error stays done; repairing again goes on.
    pub fn repair(self, path: impl AsRef<Path>, plan: &RepairPlan) -> Result<RepairReport, RepairError> {
        verify::repair::repair(&self, &Layout::new(path.as_ref().to_owned()), plan)
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("create", &self.create)
            .field("durability", &self.durability)
            .field("first_segment_len", &self.first_segment_len)
            .field("max_segment_len", &self.max_segment_len)
            .field("max_mapped_segments", &self.max_mapped_segments)
            .field("max_open_files", &self.max_open_files)
            .field("maintenance", &self.maintenance)
            .field("poll_interval", &self.poll_interval)
            .field("clock", &self.clock)
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}

/// What a new stream is like.
///
/// ```
/// use riverbed::{Durability, StreamOptions};
///
/// let options = StreamOptions::new().shards(4).durability(Durability::Immediate);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct StreamOptions {
    pub(crate) shards: u32,
    pub(crate) durability: Option<Durability>,
    pub(crate) retention: Retention,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { shards: 1, durability: None, retention: Retention::FOREVER }
    }
}

impl StreamOptions {
    /// One shard, the store's durability, and records kept for ever.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many shards the stream starts with: 1 to 100,000, which share the hash keys evenly. A shard that nobody
    /// writes to takes no disk, no mapping and no descriptor; one that is written to takes a mapping or two, see
    /// [`StoreOptions::max_mapped_segments`], and the first segment's room on disk, see [`StoreOptions::segment_len`].
    #[must_use]
    pub fn shards(mut self, count: u32) -> Self {
        self.shards = count;
        self
    }

    /// What a put promises where the call does not say otherwise. Stored with the stream.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How long records are kept. Stored with the stream; [`Stream::set_retention`](crate::Stream::set_retention) changes
    /// it.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    pub(crate) fn shard_count(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.shards).filter(|count| count.get() <= super::manifest::MAX_SHARDS)
    }
}
