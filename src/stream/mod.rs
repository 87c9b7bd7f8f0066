//! Streams: hash keys, shards, puts, readers.

pub(crate) mod core;
pub(crate) mod error;
pub(crate) mod hash_key;
pub(crate) mod hash_range;
pub(crate) mod merged;
pub(crate) mod partition_key;
pub(crate) mod position;
pub(crate) mod put;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod retention;
pub(crate) mod sequence_number;
pub(crate) mod shard_id;
pub(crate) mod shard_map;
