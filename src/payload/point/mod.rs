//! Points: what InfluxDB calls a measurement with tags, fields and a time.
//!
//! A [`Point`] is built by hand, read from text by the [`line_protocol`](super::line_protocol) parser, or
//! made from a struct or map of the caller's by a [`PointMapping`]. [`Stream::put_point`](crate::Stream::put_point)
//! and its siblings put it in a stream, and a [`PointDecoder`] reads it there.

mod builder;
mod default_tags;
mod field_value;
mod landing;
mod mapping;
mod mapping_error;
mod point_time;
mod precision;
mod record;
mod rfc3339;
mod series_key;

pub use builder::Point;
pub use default_tags::{DefaultTags, TagPrecedence};
pub use field_value::{FieldType, FieldValue, IntoField};
pub use landing::{
    DecodePointError, LineOptions, PointDecoder, PointOptions, PutLineError, PutPointError, StoredPoint,
    WriteLinesError,
};
#[cfg(feature = "writer")]
pub use landing::{EncodedLines, PointEncoder};
pub use mapping::PointMapping;
pub use mapping_error::MappingError;
pub use point_time::{PointTime, TimeBeforeEpoch, TimeOutOfRange};
pub use precision::Precision;
pub use series_key::SeriesKey;
