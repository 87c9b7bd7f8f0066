//! A file for each of those who are measured.

pub mod bare;
pub mod commitlog;
pub mod fjall;
pub mod okaywal;
pub mod ours;
pub mod raft_engine;
pub mod redb;
#[cfg(feature = "rocksdb")]
pub mod rocksdb;
pub mod sled;
pub mod walrus;
