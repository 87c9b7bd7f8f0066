//! An embedded, append-only stream storage engine: durable, ordered, replayable streams in a directory.
//!
//! A [`Store`] is a directory that one process writes to. It has [`Stream`]s, and each of those has shards. A record
//! goes to a shard by the MD5 of its partition key, exactly as in Kinesis, and gets a [`SequenceNumber`] that is above
//! all earlier ones of its shard. Shards are read in order with a [`Reader`], in place: records are borrowed from
//! memory-mapped segments, and [`Record::to_bytes`] keeps one longer without copying it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("data");
//! use riverbed::{Durability, Position, PutRecord, Store, StreamOptions};
//!
//! let store = Store::open(&path)?;
//! let orders = store.create_stream("orders", StreamOptions::new().shards(4))?;
//!
//! orders.put("customer-7", b"ordered")?;
//! let paid = PutRecord::new("customer-7", b"paid").durability(Durability::Immediate);
//! let put = orders.put_record(&paid)?; // on disk
//!
//! let mut reader = orders.reader(put.shard_id, Position::TrimHorizon)?;
//! let mut seen = Vec::new();
//! while let Some(record) = reader.next()? {
//!     seen.push(record.to_bytes());
//! }
//! assert_eq!(seen, [&b"ordered"[..], b"paid"]);
//! # Ok(())
//! # }
//! ```
//!
//! # What an acknowledgement promises
//!
//! [`Durability`] says it, per store, stream or call. Whatever it is, what a put has acknowledged survives the death of
//! the process; with `Immediate` also a power cut. [`Store::recovery_report`] tells what an opening found.
//!
//! # Features
//!
//! None by default.
//!
//! * `config`: what streams and writers are like, from TOML and INI files and from the environment; see [`config`].
//! * `line-protocol`: points and InfluxDB's line protocol, read and written as three implementations do it, put in streams and
//!   read there as typed points.
//! * `arrow`: batches of columns, after Apache Arrow, put as they are and read in place; see [`columns`].
//! * `arrow-compression`: reads Arrow IPC of others with compressed buffers, too.
//! * `csv`, `json`, `parquet`: batches of columns from and to these formats; see [`columns`].
//! * `frames`: data frames written, read and put as by the streaming backend of v3io Frames; see [`frames`].
//! * `measures`: data points with versions, written by the rules of Timestream's `WriteRecords`; see [`measures`].
//! * `async`: records as a `futures_core::Stream`, and puts and syncs that await the disk; with any runtime.
//! * `kpl`: records packed as the Kinesis Producer Library packs them, unpacked and packed.
//! * `limits`: Kinesis's throughput limits per shard, or others.
//! * `cli`: the command `riverbed`.
//! * `metrics`, `tracing`: what stores have and do, for operators; see [below](#metrics-and-events).
//! * `testing`: a disk in memory whose power can be cut, and a clock that tests set.
//! * `writer`: a writer that gathers records in batches, retries and tells what became of them; see [`mod@write`].
//!
//! # Metrics and events
//!
//! [`Store::stats`] gives everything in figures at any time, for the store, each stream, shard and open consumer. With the
//! feature `metrics` a store publishes them by itself every ten seconds (`StoreOptions::metrics_interval`), through whatever
//! recorder the process has installed, with the labels `store` and `stream`; `consumer` for lags; and `shard`, if
//! `StoreOptions::shard_metrics` asks for it:
//!
//! | metric | kind | |
//! |---|---|---|
//! | `riverbed_appended_records_total`, `riverbed_appended_bytes_total` | counter | what was put, and the room it took |
//! | `riverbed_syncs_total` | counter | syncs |
//! | `riverbed_stalls_total` | counter | puts that waited for a segment to be made |
//! | `riverbed_sync_duration_seconds`, `riverbed_roll_duration_seconds` | histogram | a shard's sync; the change to its next segment |
//! | `riverbed_records`, `riverbed_segments`, `riverbed_disk_bytes` | gauge | what is kept |
//! | `riverbed_oldest_record_age_seconds` | gauge | 0 when nothing is kept |
//! | `riverbed_unsynced_records` | gauge | records that are not on disk yet |
//! | `riverbed_sync_overdue_seconds` | gauge | by how much the sync of `Durability::Periodic` is late, in the shard where that is most |
//! | `riverbed_pinned_bytes` | gauge | removed segments that readers still hold |
//! | `riverbed_consumer_lag_records`, `riverbed_consumer_lag_seconds` | gauge | how far consumers are behind |
//!
//! With the feature `tracing` events are told under the target `riverbed`: opening, closing, what recovery found, streams
//! created, deleted and resharded (`info`); segments begun and removed (`debug`); syncs (`trace`); what could not be done and
//! is tried again (`warn`); damage and failed syncs (`error`).

// Code that is copied from the documentation compiles without warnings.
#![doc(test(attr(deny(unused))))]

#[cfg(feature = "config")]
pub mod config;
mod consumer;
mod error;
mod events;
mod log;
#[cfg(any(feature = "kpl", feature = "arrow", feature = "line-protocol", feature = "measures"))]
mod payload;
mod store;
mod stream;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "writer")]
pub mod write;

pub use consumer::checkpoint::Checkpoint;
pub use consumer::error::{CheckpointError, PollError};
pub use consumer::handle::Consumer;
pub use consumer::lag::ShardLag;
pub use consumer::options::ConsumerOptions;
pub use error::{IoError, SyncError};
pub use log::durability::{Durability, ReadLevel};
pub use log::inspect::{Fault, FaultKind, Severity};
pub use log::recovery::{RecoveryReport, RecoveryRow, SegmentRecovery, ShardRecovery};
pub use log::trim::TrimError;
#[cfg(feature = "arrow")]
pub use payload::columns;
#[cfg(feature = "frames")]
pub use payload::frames;
#[cfg(feature = "kpl")]
pub use payload::kpl;
#[cfg(feature = "measures")]
pub use payload::measures;
#[cfg(feature = "line-protocol")]
pub use payload::{line_protocol, point};
pub use store::consumers::ConsumerError;
pub use store::error::{CloseError, CreateStreamError, OpenError, StreamError};
pub use store::handle::Store;
pub use store::name::NameError;
pub use store::options::{Maintenance, RecoveryProgress, StoreOptions, StreamOptions};
pub use store::read_only::ReadOnlyStore;
pub use store::read_only_stream::ReadOnlyStream;
pub use store::reshard::ReshardError;
pub use store::stats::{ConsumerStats, ShardStats, StoreStats, StreamStats, Totals};
pub use store::stream_handle::{RetentionError, ShardInfo, Stream, TrimStreamError};
pub use store::verify::plan::{LeftAlone, RepairAction, RepairKind, RepairPlan};
pub use store::verify::repair::{RepairError, RepairReport};
pub use store::verify::{VerifyError, VerifyReport};
pub use stream::error::{PutError, ReadError};
pub use stream::hash_key::{HashKey, ParseHashKeyError};
pub use stream::hash_range::HashKeyRange;
#[cfg(feature = "limits")]
pub use stream::limits::Limits;
pub use stream::merged::MergedReader;
pub use stream::partition_key::{PartitionKey, PartitionKeyError};
pub use stream::position::Position;
pub use stream::put::{Key, Put, PutRecord, PutRecords};
pub use stream::reader::{GetRecords, Reader, ReaderOptions};
pub use stream::record::{OwnedRecord, Record};
#[cfg(feature = "async")]
pub use stream::records::Records;
pub use stream::reshard::ReshardPlanError;
pub use stream::retention::Retention;
pub use stream::sequence_number::{ParseSequenceNumberError, SequenceNumber};
pub use stream::shard_filter::ShardFilter;
pub use stream::shard_id::{ParseShardIdError, ShardId};
pub use sys::clock::{Clock, SystemClock, Timestamp};

/// What fuzzing and benchmarks reach besides the public API.
#[cfg(any(fuzzing, feature = "internals"))]
#[doc(hidden)]
pub mod internals;

/// The code in the documentation is compiled and run.
#[cfg(all(
    doctest,
    feature = "async",
    feature = "csv",
    feature = "parquet",
    feature = "frames",
    feature = "kpl",
    feature = "limits",
    feature = "line-protocol",
    feature = "measures",
    feature = "writer"
))]
mod pages {
    macro_rules! page {
        ($name:ident, $path:literal) => {
            #[doc = include_str!($path)]
            struct $name;
        };
    }
    page!(Readme, "../README.md");
    page!(Tutorial, "../docs/tutorial.md");
    page!(HowTo, "../docs/how-to.md");
    page!(Consumers, "../docs/consumers.md");
    page!(Columns, "../docs/columns.md");
    page!(LineProtocol, "../docs/line-protocol.md");
}
