//! Riverbed: an embedded append-only stream storage engine.

#[cfg(feature = "line-protocol")]
mod payload;

#[cfg(feature = "line-protocol")]
pub use payload::{line_protocol, point};
