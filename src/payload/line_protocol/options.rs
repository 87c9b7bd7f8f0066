//! How to read a body of line protocol.

use super::dialect::Dialect;
use super::limits::{MAX_TIME, MIN_TIME};
use super::reason::Reason;
use crate::payload::point::{PointTime, Precision};

/// How to read a body of line protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseOptions {
    pub(super) dialect: Dialect,
    pub(super) precision: Precision,
    clock: PointTime,
}

impl ParseOptions {
    /// Reads `dialect` with timestamps in nanoseconds. Points without a timestamp happened at `clock`, cut to
    /// the precision.
    #[must_use]
    pub const fn new(dialect: Dialect, clock: PointTime) -> Self {
        Self { dialect, precision: Precision::Nanoseconds, clock }
    }

    /// Reads timestamps in this unit. Which names of units a write endpoint takes is for
    /// [`Dialect::precision`] to say; here every unit works in every dialect.
    #[must_use]
    pub const fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// When a point happened, by the number at the end of its line, if any.
    pub(super) fn time(&self, timestamp: Option<i64>) -> Result<PointTime, Reason> {
        let Some(timestamp) = timestamp else {
            return Ok(self.dialect.default_time(self.clock, self.precision));
        };
        let time = PointTime::new(timestamp, self.precision).map_err(|_| Reason::TimeOutOfRange)?;
        if self.dialect == Dialect::V2Server && !(MIN_TIME..=MAX_TIME).contains(&time) {
            return Err(Reason::TimeOutOfRange);
        }
        Ok(time)
    }
}
