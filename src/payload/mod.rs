//! Encodings of values into a record's bytes: they know types and schemas, and nothing of files or offsets.

pub mod line_protocol;
pub mod point;
