//! The types that a measure may have.

use std::fmt;
use std::str::FromStr;

use super::validation_error::UnknownName;

/// Timestream's `MeasureValueType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MeasureType {
    /// A 64-bit IEEE 754 number; neither infinite nor "not a number". The default.
    #[default]
    Double,
    /// A signed 64-bit integer.
    BigInt,
    /// Text.
    Varchar,
    /// `true` or `false`.
    Boolean,
    /// An instant: an integer in the record's time unit.
    Timestamp,
    /// Several named values of the other types.
    Multi,
}

impl MeasureType {
    /// The names of all types, as the service lists them.
    pub(crate) const NAMES: &str = "[DOUBLE, BIGINT, VARCHAR, BOOLEAN, TIMESTAMP, MULTI]";

    /// The service's name of the type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Double => "DOUBLE",
            Self::BigInt => "BIGINT",
            Self::Varchar => "VARCHAR",
            Self::Boolean => "BOOLEAN",
            Self::Timestamp => "TIMESTAMP",
            Self::Multi => "MULTI",
        }
    }
}

impl fmt::Display for MeasureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for MeasureType {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::Double, Self::BigInt, Self::Varchar, Self::Boolean, Self::Timestamp, Self::Multi];
        let found = all.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownName { value: name.to_owned(), allowed: Self::NAMES })
    }
}
