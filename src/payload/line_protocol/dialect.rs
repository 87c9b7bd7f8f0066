//! Which implementation's line protocol is meant.

use crate::payload::point::{PointTime, Precision};

/// An implementation of line protocol to read and write as.
///
/// The implementations disagree about escapes, white space, numbers and limits; `docs/line-protocol.md` has
/// the table. What [`Dialect::V2Server`] writes, all three read alike, but for keys that hold backslashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// The InfluxDB v2 server: `models/points.go` of influxdata/influxdb `main-2.x`. The canonical dialect of
    /// stored points.
    #[default]
    V2Server,
    /// The Go library influxdata/line-protocol v2, which Telegraf uses. The strictest of the three.
    V2Library,
    /// InfluxDB v3: the Rust crate `influxdb_line_protocol` as shipped in influxdb3.
    V3,
}

/// A precision that a dialect's write endpoint does not take. The text is the v2 server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid precision; valid precision units are ns, us, ms, {}", .dialect.last_precisions())]
pub struct InvalidPrecision {
    /// The dialect that was asked.
    pub dialect: Dialect,
}

impl Dialect {
    /// The precision that a write request of this dialect names: `ns`, `us`, `ms`, `s`; for v3 also `m` and
    /// `h`. An empty name is `ns`, as it is for the v2 server.
    ///
    /// # Errors
    ///
    /// [`InvalidPrecision`] for any other name.
    pub fn precision(self, name: &str) -> Result<Precision, InvalidPrecision> {
        match (name, self) {
            ("" | "ns", _) => Ok(Precision::Nanoseconds),
            ("us", _) => Ok(Precision::Microseconds),
            ("ms", _) => Ok(Precision::Milliseconds),
            ("s", _) => Ok(Precision::Seconds),
            ("m", Self::V3) => Ok(Precision::Minutes),
            ("h", Self::V3) => Ok(Precision::Hours),
            _ => Err(InvalidPrecision { dialect: self }),
        }
    }

    /// The rest of the precisions that a write endpoint takes, in words.
    const fn last_precisions(self) -> &'static str {
        match self {
            Self::V2Server | Self::V2Library => "and s",
            Self::V3 => "s, m, and h",
        }
    }

    /// The time of a point that came without one: the clock's, cut to the precision of the write. The Go
    /// implementations cut towards the past, v3 towards 1970.
    pub(super) fn default_time(self, clock: PointTime, precision: Precision) -> PointTime {
        let unit = precision.as_nanos();
        let nanos = clock.as_nanos();
        let rest = if self == Self::V3 { nanos % unit } else { nanos.rem_euclid(unit) };
        PointTime::from_nanos(nanos.checked_sub(rest).unwrap_or(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_hours_are_v3() {
        assert_eq!(Dialect::V3.precision("h"), Ok(Precision::Hours));
        let refused = Dialect::V2Server.precision("h").unwrap_err();
        assert_eq!(refused.to_string(), "invalid precision; valid precision units are ns, us, ms, and s");
        assert_eq!(
            Dialect::V3.precision("d").unwrap_err().to_string(),
            "invalid precision; valid precision units are ns, us, ms, s, m, and h"
        );
    }

    #[test]
    fn a_missing_time_is_cut_to_the_precision() {
        let clock = PointTime::from_nanos(-1_500_000_000);
        assert_eq!(Dialect::V2Server.default_time(clock, Precision::Seconds).as_nanos(), -2_000_000_000);
        assert_eq!(Dialect::V3.default_time(clock, Precision::Seconds).as_nanos(), -1_000_000_000);
        let first = Dialect::V2Library.default_time(PointTime::MIN, Precision::Seconds);
        assert_eq!(first, PointTime::MIN);
    }
}
