//! InfluxDB line protocol: text to points and back.
//!
//! A [`Parser`] reads points out of a body of text, borrowing from it; a [`LineWriter`] writes points as
//! text. Both speak the line protocol of the [`Dialect`] that they are told to; `docs/line-protocol.md` has
//! the table of the differences.

mod dialect;
mod escapes;
mod float_text;
mod go_float;
mod limits;
mod line_ends;
mod line_writer;
mod number;
mod options;
mod ordinary;
mod parse_error;
mod parser;
mod parts;
mod point_ref;
mod reason;
mod row;
mod row_writer;
mod split;
mod swar;
mod text;
mod v2_library;
mod v2_server;
mod v3;
mod write_error;

pub use dialect::{Dialect, InvalidPrecision};
pub(crate) use escapes::Escapes;
pub use line_ends::LineEnds;
pub use line_writer::{LineWriter, NonFinite, Skipped};
pub use options::ParseOptions;
pub use parse_error::ParseError;
pub use parser::Parser;
pub use point_ref::{FieldRef, FieldValueRef, PointRef, TagRef};
pub use reason::Reason;
pub(crate) use row::Row;
pub use text::Text;
pub use write_error::WriteError;
