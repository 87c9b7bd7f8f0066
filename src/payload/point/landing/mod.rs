//! Points in a stream: one record for each, under the key of its series, as a line of canonical line protocol.

mod batch;
mod decode_error;
mod decoder;
#[cfg(feature = "writer")]
mod encoder;
mod error;
mod lines;
mod options;
mod put;
mod tagged;

pub use decode_error::DecodePointError;
pub use decoder::{PointDecoder, StoredPoint};
#[cfg(feature = "writer")]
pub use encoder::{EncodedLines, PointEncoder};
pub use error::{PutLineError, PutPointError, WriteLinesError};
pub use options::{LineOptions, PointOptions};
