//! The unit that a record's time is counted in.

use std::fmt;
use std::str::FromStr;

use super::validation_error::UnknownName;

/// Timestream's `TimeUnit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeUnit {
    /// `MILLISECONDS`, the default.
    #[default]
    Milliseconds,
    /// `SECONDS`
    Seconds,
    /// `MICROSECONDS`
    Microseconds,
    /// `NANOSECONDS`
    Nanoseconds,
}

impl TimeUnit {
    pub(crate) const NAMES: &str = "[MILLISECONDS, SECONDS, MICROSECONDS, NANOSECONDS]";

    /// The service's name of the unit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "MILLISECONDS",
            Self::Seconds => "SECONDS",
            Self::Microseconds => "MICROSECONDS",
            Self::Nanoseconds => "NANOSECONDS",
        }
    }

    /// How many nanoseconds one unit lasts.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        match self {
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Microseconds => 1_000,
            Self::Nanoseconds => 1,
        }
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TimeUnit {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::Milliseconds, Self::Seconds, Self::Microseconds, Self::Nanoseconds];
        let found = all.into_iter().find(|unit| unit.name() == name);
        found.ok_or_else(|| UnknownName { value: name.to_owned(), allowed: Self::NAMES })
    }
}
