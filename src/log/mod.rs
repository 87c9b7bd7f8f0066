//! One shard's log: segments, frames, index, recovery, group commit.
//!
//! Knows offsets, checksums and sequence; knows nothing of partition keys' meaning, hash keys or streams.

pub(crate) mod active;
pub(crate) mod append;
pub(crate) mod background;
pub(crate) mod commit;
pub(crate) mod cursor;
pub(crate) mod doubt;
pub(crate) mod durability;
pub(crate) mod files;
pub(crate) mod follow;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod index;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod map_cache;
pub(crate) mod options;
pub(crate) mod pages;
pub(crate) mod prepare;
pub(crate) mod recovery;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod session;
pub(crate) mod shard_dir;
mod shard_jobs;
pub(crate) mod shard_log;
pub(crate) mod slots;
pub(crate) mod stats;
mod stride;
pub(crate) mod trim;
pub(crate) mod watchers;
