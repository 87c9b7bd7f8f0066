//! Why a line is not a point.

use super::limits::{MAX_KEY_LENGTH, MAX_TIME, MIN_TIME};

/// Why a line is not a point. The texts are the v2 server's; reasons that it does not have say in their
/// documentation whose they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The line starts with a comma.
    #[error("missing measurement")]
    MissingMeasurement,
    /// A comma after the measurement or a tag is not followed by a key.
    #[error("missing tag key")]
    MissingTagKey,
    /// A tag has no value.
    #[error("missing tag value")]
    MissingTagValue,
    /// An `=` without a backslash in a tag value.
    #[error("invalid tag format")]
    InvalidTagFormat,
    /// A tag key occurs twice.
    #[error("duplicate tags")]
    DuplicateTags,
    /// A tag key that the v2 server keeps for itself: `_field`, `_measurement`, `time`, `\x00` or `\xff`.
    #[error("cannot use reserved tag key \"{key}\"")]
    ReservedTagKey {
        /// The key.
        key: String,
    },
    /// Measurement and tags, or these with four bytes and a field key, are too long for the v2 server.
    #[error("max key length exceeded: {length} > {MAX_KEY_LENGTH}")]
    MaxKeyLengthExceeded {
        /// The length in bytes.
        length: usize,
    },
    /// The line ends before its fields.
    #[error("missing fields")]
    MissingFields,
    /// A field has no key.
    #[error("missing field key")]
    MissingFieldKey,
    /// A field has no value.
    #[error("missing field value")]
    MissingFieldValue,
    /// The fields are not `key=value` pairs separated by commas.
    #[error("invalid field format")]
    InvalidFieldFormat,
    /// The last field is cut short.
    #[error("invalid value: field-key={key}")]
    InvalidFieldValue {
        /// The field's key as it stands in the line.
        key: String,
    },
    /// A quoted value does not end.
    #[error("unbalanced quotes")]
    UnbalancedQuotes,
    /// A value that starts like a number is none.
    #[error("invalid number")]
    InvalidNumber,
    /// A float has a wrong exponent, or is beyond the range of 64-bit floating point.
    #[error("invalid float")]
    InvalidFloat,
    /// An integer is beyond 64 bits.
    #[error("unable to parse integer {digits}: strconv.ParseInt: parsing \"{digits}\": value out of range")]
    IntegerOutOfRange {
        /// The digits in the line.
        digits: String,
    },
    /// An unsigned integer is beyond 64 bits.
    #[error("unable to parse unsigned {digits}: strconv.ParseUint: parsing \"{digits}\": value out of range")]
    UnsignedOutOfRange {
        /// The digits in the line.
        digits: String,
    },
    /// A value is neither number nor string nor one of the ten ways to write a boolean.
    #[error("invalid boolean")]
    InvalidBoolean,
    /// The timestamp is not a whole number.
    #[error("bad timestamp")]
    BadTimestamp,
    /// The timestamp is a lone minus sign or the like.
    #[error("strconv.ParseInt: parsing \"{digits}\": invalid syntax")]
    TimestampSyntax {
        /// The timestamp in the line.
        digits: String,
    },
    /// The timestamp is beyond 64 bits.
    #[error("strconv.ParseInt: parsing \"{digits}\": value out of range")]
    TimestampOverflow {
        /// The timestamp in the line.
        digits: String,
    },
    /// The timestamp, scaled to nanoseconds, is outside the range that the v2 server keeps.
    #[error("time outside range {} - {}", MIN_TIME.as_nanos(), MAX_TIME.as_nanos())]
    TimeOutOfRange,
    /// Something follows the timestamp.
    #[error("point is invalid")]
    InvalidPoint,
    /// A byte that may not stand here, such as a control character in a key or in a comment. Said by the v2
    /// library.
    #[error("invalid character '{}'", .byte.escape_ascii())]
    InvalidCharacter {
        /// The byte.
        byte: u8,
    },
    /// Text is not UTF-8. Said by the v2 library and v3.
    #[error("invalid utf-8 sequence")]
    InvalidUtf8,
    /// A measurement, key or tag value ends with a backslash. Said by v3.
    #[error("measurements, tag keys and values, and field keys may not end with a backslash")]
    TrailingBackslash,
    /// The line is a point, but one that the canonical form of stored points cannot hold, or too long for a record. Said
    /// only where points are put in a stream.
    #[error("{why}")]
    Unstorable {
        /// Why: the text of a [`WriteError`](super::WriteError) or of
        /// [`PutError::RecordTooLarge`](crate::PutError::RecordTooLarge).
        why: String,
    },
    /// A measurement, key, tag value or string is longer than v3 takes.
    #[error("string is greater than 64KB")]
    StringTooLong {
        /// The length in bytes, escape sequences resolved.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_servers() {
        let digits = String::from("9223372036854775808");
        assert_eq!(
            Reason::IntegerOutOfRange { digits }.to_string(),
            "unable to parse integer 9223372036854775808: strconv.ParseInt: parsing \"9223372036854775808\": value out of range"
        );
        assert_eq!(
            Reason::TimeOutOfRange.to_string(),
            "time outside range -9223372036854775806 - 9223372036854775806"
        );
        assert_eq!(Reason::InvalidCharacter { byte: 1 }.to_string(), r"invalid character '\x01'");
    }
}
