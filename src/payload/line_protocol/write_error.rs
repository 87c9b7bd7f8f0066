//! A point that cannot be written.

use super::dialect::Dialect;
use super::limits::{MAX_KEY_LENGTH, MAX_STRING_LENGTH, MAX_TIME, MIN_TIME};

/// Why a point cannot be written as a line. Nothing of it is written then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// No field is left to write. InfluxDB's clients write an empty line here.
    #[error(
        "point of measurement {measurement:?} has no field to write ({skipped} left out as infinite or not a number); \
         give it at least one"
    )]
    NoFields {
        /// The point's measurement.
        measurement: String,
        /// How many fields were left out because they were infinite or not a number.
        skipped: usize,
    },
    /// The measurement is empty.
    #[error("point has an empty measurement; name what was measured")]
    EmptyMeasurement,
    /// A field's key is empty.
    #[error("point of measurement {measurement:?} has a field with an empty key; name the field")]
    EmptyFieldKey {
        /// The point's measurement.
        measurement: String,
    },
    /// A field is infinite or not a number, and was not to be left out. The text is the v2 server's.
    #[error("{} is an unsupported value for field {key}", if value.is_nan() { "NaN" } else { "+/-Inf" })]
    NonFinite {
        /// The field's key.
        key: String,
        /// The field's value.
        value: f64,
    },
    /// A name or tag value that the dialect has no way to write: one that ends with a backslash, holds a
    /// control character or starts a line with `#`, and the like.
    #[error(
        "{line:?} is read back differently by the {dialect:?} dialect; change the name with the backslash, '#' or control character"
    )]
    Unreadable {
        /// The line that would have been written.
        line: String,
        /// The dialect that it was to be written in.
        dialect: Dialect,
    },
    /// A tag key that the v2 server keeps for itself. The text is the server's.
    #[error("cannot use reserved tag key \"{key}\"")]
    ReservedTagKey {
        /// The tag's key.
        key: String,
    },
    /// Measurement and tags, or these with a field's key, are longer than the v2 server takes. The text is
    /// the server's.
    #[error("max key length exceeded: {length} > {MAX_KEY_LENGTH}")]
    KeyTooLong {
        /// The length in bytes.
        length: usize,
    },
    /// A name, tag value or string is longer than the 65,536 bytes that v3 takes.
    #[error("text of {length} bytes is longer than the {MAX_STRING_LENGTH} that InfluxDB v3 takes")]
    StringTooLong {
        /// The length in bytes.
        length: usize,
    },
    /// Text is not UTF-8, and the dialect is not the v2 server's. Comes only from a
    /// [`PointRef`](super::PointRef).
    #[error("{text:?} is not UTF-8, as the {dialect:?} dialect wants it to be")]
    InvalidUtf8 {
        /// The text; bytes that are not UTF-8 are replaced by U+FFFD.
        text: String,
        /// The dialect that it was to be written in.
        dialect: Dialect,
    },
    /// The time is one of the three that the v2 server keeps for itself. The text is the server's.
    #[error("time outside range {} - {}", MIN_TIME.as_nanos(), MAX_TIME.as_nanos())]
    TimeOutOfRange,
}
