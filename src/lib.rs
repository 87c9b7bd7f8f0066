//! Riverbed: an embedded append-only stream storage engine.

mod error;
mod log;
mod store;
mod stream;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{IoError, SyncError};
pub use log::durability::{Durability, ReadLevel};
pub use log::inspect::{Fault, FaultKind, Severity};
pub use log::recovery::{RecoveryReport, RecoveryRow, SegmentRecovery, ShardRecovery};
pub use log::shard_log::TrimError;
pub use store::error::{CloseError, CreateStreamError, OpenError, StreamError};
pub use store::handle::Store;
pub use store::name::NameError;
pub use store::options::{Maintenance, RecoveryProgress, StoreOptions, StreamOptions};
pub use store::stream_handle::{RetentionError, ShardInfo, ShardStats, Stream, TrimStreamError};
pub use store::verify::plan::{LeftAlone, RepairAction, RepairKind, RepairPlan};
pub use store::verify::repair::{RepairError, RepairReport};
pub use store::verify::{VerifyError, VerifyReport};
pub use stream::error::{PutError, ReadError};
pub use stream::hash_key::{HashKey, ParseHashKeyError};
pub use stream::hash_range::HashKeyRange;
pub use stream::merged::MergedReader;
pub use stream::partition_key::{PartitionKey, PartitionKeyError};
pub use stream::position::Position;
pub use stream::put::{Key, Put, PutRecord, PutRecords};
pub use stream::reader::{GetRecords, Reader, ReaderOptions};
pub use stream::record::{OwnedRecord, Record};
pub use stream::retention::Retention;
pub use stream::sequence_number::{ParseSequenceNumberError, SequenceNumber};
pub use stream::shard_id::{ParseShardIdError, ShardId};
pub use sys::clock::{Clock, SystemClock, Timestamp};
