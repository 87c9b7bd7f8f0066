//! Streams: hash keys, shards, puts, readers.

pub(crate) mod core;
#[cfg(feature = "async")]
mod durable;
pub(crate) mod error;
pub(crate) mod hash_key;
pub(crate) mod hash_range;
pub(crate) mod key_cache;
#[cfg(feature = "limits")]
pub(crate) mod limits;
pub(crate) mod lineage;
pub(crate) mod live_shards;
pub(crate) mod merged;
mod owners;
pub(crate) mod partition_key;
pub(crate) mod position;
pub(crate) mod put;
pub(crate) mod put_batch;
#[cfg(feature = "arrow")]
pub(crate) mod put_rows;
pub(crate) mod reader;
pub(crate) mod record;
#[cfg(feature = "async")]
pub(crate) mod records;
pub(crate) mod reshard;
pub(crate) mod retention;
mod routes;
pub(crate) mod schema_file;
#[cfg(feature = "arrow")]
pub(crate) mod schemas;
pub(crate) mod sequence_number;
pub(crate) mod shard_filter;
pub(crate) mod shard_id;
pub(crate) mod shard_map;
pub(crate) mod throttle;
mod watch;
