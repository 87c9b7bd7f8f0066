//! Riverbed: an embedded append-only stream storage engine.

mod error;
mod log;
mod store;
mod stream;
mod sys;

pub use error::{IoError, SyncError};
pub use log::durability::{Durability, ReadLevel};
pub use log::recovery::{RecoveryReport, RecoveryRow, SegmentRecovery, ShardRecovery};
pub use store::error::{CloseError, CreateStreamError, OpenError, StreamError};
pub use store::handle::Store;
pub use store::name::NameError;
pub use store::options::{Maintenance, RecoveryProgress, StoreOptions, StreamOptions};
pub use store::stream_handle::{ShardInfo, ShardStats, Stream};
pub use stream::error::{PutError, ReadError};
pub use stream::hash_key::HashKey;
pub use stream::hash_range::HashKeyRange;
pub use stream::merged::MergedReader;
pub use stream::partition_key::{PartitionKey, PartitionKeyError};
pub use stream::position::Position;
pub use stream::put::{Key, Put, PutRecord, PutRecords};
pub use stream::reader::{GetRecords, Reader, ReaderOptions};
pub use stream::record::{OwnedRecord, Record};
pub use stream::sequence_number::{ParseSequenceNumberError, SequenceNumber};
pub use stream::shard_id::ShardId;
pub use sys::clock::{Clock, SystemClock, Timestamp};
