//! Limits of the implementations.

use crate::payload::point::PointTime;

/// The earliest time that the v2 server keeps: it uses the two lowest values itself.
pub(super) const MIN_TIME: PointTime = PointTime::from_nanos(i64::MIN + 2);
/// The latest time that the v2 server keeps: it uses the highest value itself.
pub(super) const MAX_TIME: PointTime = PointTime::from_nanos(i64::MAX - 1);

/// The longest measurement with tags that the v2 server takes, in bytes, escape sequences and all; also the
/// longest one with a field's key and [`FIELD_SEPARATOR_LENGTH`].
pub(super) const MAX_KEY_LENGTH: usize = 65_535;
/// What the v2 server counts between the key of a series and that of a field, in bytes.
pub(super) const FIELD_SEPARATOR_LENGTH: usize = 4;
/// Tag keys that the v2 server keeps for itself.
pub(super) const RESERVED_TAG_KEYS: [&[u8]; 5] = [b"time", b"_field", b"_measurement", b"\0", b"\xff"];

/// The longest measurement, key, tag value or string that v3 takes, in bytes without escape sequences.
pub(super) const MAX_STRING_LENGTH: usize = 65_536;
