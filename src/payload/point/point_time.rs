//! When a point happened.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Precision;
use crate::sys::clock::Timestamp;

/// When a point happened, in nanoseconds since 1970-01-01 00:00:00 UTC; negative before that.
///
/// A type of its own beside [`Timestamp`], the engine's time of arrival: what a point tells of may have happened
/// before 1970, while the engine's clock never shows that, but goes on for longer. Each converts to the other with
/// `try_from`, which fails outside the years from 1970 to 2262 that both cover.
///
/// It covers all of `i64`: 1677-09-21 to 2262-04-11. InfluxDB v2 keeps the two lowest values and the highest
/// one for itself and refuses points there; [`Dialect::V2Server`](crate::line_protocol::Dialect::V2Server)
/// does the same.
///
/// ```
/// use riverbed::point::{Precision, PointTime};
///
/// let time = PointTime::new(1_657_729_063, Precision::Seconds)?;
/// assert_eq!(time.as_nanos(), 1_657_729_063_000_000_000);
/// # Ok::<(), riverbed::point::TimeOutOfRange>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointTime(i64);

/// A time that does not fit in 64 bits of nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{value} {precision} since 1970 is outside 1677-09-21 to 2262-04-11, the range of 64-bit nanoseconds"
)]
pub struct TimeOutOfRange {
    /// The count that was given.
    pub value: i128,
    /// The unit that it was given in.
    pub precision: Precision,
}

/// A time before 1970, which the engine's clock never shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{time:?} is before 1970, and so before the first time that a record can arrive at")]
pub struct TimeBeforeEpoch {
    /// The time that was given.
    pub time: PointTime,
}

impl PointTime {
    /// The earliest instant.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant.
    pub const MAX: Self = Self(i64::MAX);

    /// A count of `precision` since 1970.
    ///
    /// # Errors
    ///
    /// [`TimeOutOfRange`] when the instant does not fit in 64 bits of nanoseconds.
    pub fn new(value: i64, precision: Precision) -> Result<Self, TimeOutOfRange> {
        let nanos = value.checked_mul(precision.as_nanos());
        nanos.map(Self).ok_or(TimeOutOfRange { value: value.into(), precision })
    }

    /// A count of nanoseconds since 1970.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The count of whole `precision` since 1970, cut towards 1970 as InfluxDB's encoders do.
    #[must_use]
    pub const fn to_precision(self, precision: Precision) -> i64 {
        self.0 / precision.as_nanos()
    }
}

impl TryFrom<SystemTime> for PointTime {
    type Error = TimeOutOfRange;

    fn try_from(time: SystemTime) -> Result<Self, TimeOutOfRange> {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()),
            Err(before) => i128::try_from(before.duration().as_nanos()).map(|nanos| -nanos),
        };
        let nanos = nanos.unwrap_or(i128::MAX);
        let fits = i64::try_from(nanos).map(Self);
        fits.map_err(|_| TimeOutOfRange { value: nanos, precision: Precision::Nanoseconds })
    }
}

impl TryFrom<Timestamp> for PointTime {
    type Error = TimeOutOfRange;

    /// Fails for times after 2262-04-11.
    fn try_from(time: Timestamp) -> Result<Self, TimeOutOfRange> {
        let nanos = time.as_nanos();
        i64::try_from(nanos)
            .map(Self)
            .map_err(|_| TimeOutOfRange { value: nanos.into(), precision: Precision::Nanoseconds })
    }
}

impl TryFrom<PointTime> for Timestamp {
    type Error = TimeBeforeEpoch;

    /// Fails for times before 1970.
    fn try_from(time: PointTime) -> Result<Self, TimeBeforeEpoch> {
        u64::try_from(time.0).map(Self::from_nanos).map_err(|_| TimeBeforeEpoch { time })
    }
}

impl fmt::Debug for PointTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn counts_are_scaled_and_checked() {
        assert_eq!(PointTime::new(-2, Precision::Hours).unwrap().as_nanos(), -7_200_000_000_000);
        let far = PointTime::new(9_223_372_037, Precision::Seconds).unwrap_err();
        assert_eq!(far, TimeOutOfRange { value: 9_223_372_037, precision: Precision::Seconds });
        assert!(far.to_string().starts_with("9223372037 s since 1970"));
    }

    #[test]
    fn precision_cuts_towards_1970() {
        assert_eq!(PointTime::from_nanos(-1).to_precision(Precision::Seconds), 0);
        assert_eq!(PointTime::from_nanos(1_999_999_999).to_precision(Precision::Seconds), 1);
    }

    #[test]
    fn arrival_times_convert_where_both_types_have_them() {
        for nanos in [0, 5, i64::MAX] {
            let time = PointTime::from_nanos(nanos);
            let arrival = Timestamp::try_from(time).unwrap();
            assert_eq!(i128::from(arrival.as_nanos()), i128::from(nanos));
            assert_eq!(PointTime::try_from(arrival), Ok(time));
        }
        let before = PointTime::from_nanos(-1);
        assert_eq!(Timestamp::try_from(before), Err(TimeBeforeEpoch { time: before }));
        let late = PointTime::try_from(Timestamp::MAX).unwrap_err();
        assert_eq!(late.value, i128::from(u64::MAX));
    }

    #[test]
    fn system_time_before_and_after_1970() {
        let after = UNIX_EPOCH + Duration::from_nanos(5);
        let before = UNIX_EPOCH - Duration::from_nanos(5);
        assert_eq!(PointTime::try_from(after).unwrap().as_nanos(), 5);
        assert_eq!(PointTime::try_from(before).unwrap().as_nanos(), -5);
        assert!(PointTime::try_from(UNIX_EPOCH + Duration::from_secs(1 << 40)).is_err());
    }
}
