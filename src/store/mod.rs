//! Stores: a directory of streams with one writer.

pub(crate) mod consumers;
pub(crate) mod error;
pub(crate) mod followed_stream;
pub(crate) mod handle;
pub(crate) mod layout;
pub(crate) mod manifest;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
pub(crate) mod name;
pub(crate) mod open;
pub(crate) mod options;
pub(crate) mod read_only;
mod read_only_consumers;
pub(crate) mod read_only_stream;
pub(crate) mod reshard;
pub(crate) mod shared;
pub(crate) mod stats;
pub(crate) mod stream_handle;
pub(crate) mod upkeep;
pub(crate) mod verify;
