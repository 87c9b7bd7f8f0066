//! Encodings of values into a record's bytes: they know types and schemas, and nothing of files or offsets.

#[cfg(feature = "arrow")]
pub mod columns;
#[cfg(feature = "frames")]
pub mod frames;
#[cfg(feature = "kpl")]
pub mod kpl;
#[cfg(feature = "line-protocol")]
pub mod line_protocol;
#[cfg(feature = "measures")]
pub mod measures;
#[cfg(any(feature = "line-protocol", feature = "measures"))]
mod partition_key;
#[cfg(feature = "line-protocol")]
pub mod point;
