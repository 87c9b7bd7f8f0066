//! Consumers: named readers of all shards of a stream, with durable checkpoints, shared by workers.

pub(crate) mod checkpoint;
pub(crate) mod encoding;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod group;
pub(crate) mod handle;
mod held;
pub(crate) mod lag;
pub(crate) mod leases;
mod lineage;
pub(crate) mod options;
pub(crate) mod registry;
mod signal;
