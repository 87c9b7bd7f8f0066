//! Why a record is rejected while the rest of its call is stored.

use std::fmt;

use crate::sys::clock::Timestamp;

use super::iso_time::IsoTime;
use super::measure_type::MeasureType;

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A dimension.
    Dimension,
    /// A record's measure.
    Measure,
    /// One of the values of a record of type `MULTI`.
    Value,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dimension => "dimension",
            Self::Measure => "measure",
            Self::Value => "measure value",
        })
    }
}

/// Of what a table can have only so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableLimit {
    /// Names of dimensions: 128.
    Dimensions,
    /// Names of measures: 8192.
    Measures,
    /// Names of values in records of type `MULTI`: 1024.
    Values,
}

impl TableLimit {
    /// How many the service takes.
    #[must_use]
    pub const fn max(self) -> usize {
        match self {
            Self::Dimensions => 128,
            Self::Measures => 8192,
            Self::Values => 1024,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Dimensions => "dimensions",
            Self::Measures => "measure names",
            Self::Values => "names of MULTI measure values",
        }
    }
}

/// Why a record is rejected. The texts of the versions and of the time windows are the service's, byte for byte, since its
/// clients look for them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The data point has a higher version.
    #[error(
        "The record version {version} is lower than the existing version {existing}. A higher version is required to \
         update the measure value."
    )]
    OlderVersion {
        /// The record's version.
        version: i64,
        /// The data point's.
        existing: i64,
    },
    /// The data point has this version with another value.
    #[error(
        "A record already exists with the same time, dimensions, measure name, and record version. A higher record \
         version must be specified in order to update the measure value. Specifying record version is supported by the \
         latest SDKs."
    )]
    SameVersion {
        /// The version of both.
        existing: i64,
    },
    /// The time is outside what the memory store takes, and the magnetic store takes nothing.
    #[error("The record timestamp is outside the time range [{}, {}) of the memory store.", IsoTime(*start), IsoTime(*end))]
    OutsideMemoryStore {
        /// The earliest time that is taken.
        start: Timestamp,
        /// The first one after those that are.
        end: Timestamp,
    },
    /// The time is outside what memory and magnetic store take together.
    #[error(
        "The record timestamp is outside the time range [{}, {}) of the data ingestion window.",
        IsoTime(*start),
        IsoTime(*end)
    )]
    OutsideIngestionWindow {
        /// The earliest time that is taken.
        start: Timestamp,
        /// The first one after those that are.
        end: Timestamp,
    },
    /// A name is longer than the service takes.
    #[error("The {kind} name '{name}' has {length} bytes, at most {max} are allowed.")]
    NameTooLong {
        /// What is named.
        kind: NameKind,
        /// The name.
        name: String,
        /// Its length in bytes.
        length: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// The service keeps the name for itself.
    #[error(
        "The {kind} name '{name}' is reserved. Choose a name without ':' that is not time and does not start with ts_, measure_name or measure_value."
    )]
    ReservedName {
        /// What is named.
        kind: NameKind,
        /// The name.
        name: String,
    },
    /// A dimension and a measure have the same name, in the record or in the table.
    #[error("The name '{name}' is used for a dimension and for a measure. Rename one of them.")]
    SharedName {
        /// The name.
        name: String,
    },
    /// The dimensions are longer than the service takes.
    #[error("The names and values of the dimensions have {length} bytes, at most {max} are allowed.")]
    DimensionsTooLong {
        /// Bytes of all names and values.
        length: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// The record is longer than the service takes.
    #[error("The names and values of the record have {length} bytes, at most {max} are allowed.")]
    RecordTooLong {
        /// Bytes of all names and values.
        length: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// A record of type `MULTI` has more values than the service takes.
    #[error("The record has {count} measure values, at most {max} are allowed.")]
    TooManyValues {
        /// How many it has.
        count: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// The values of a record of type `MULTI` are longer than the service takes.
    #[error("The measure values of the record have {length} bytes, at most {max} are allowed.")]
    ValuesTooLong {
        /// Bytes of all values.
        length: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// A value is not written as its type is.
    #[error("The value '{value}' of '{name}' is not a {kind}.")]
    NotOfType {
        /// The measure's name, or that of one of its values.
        name: String,
        /// The value given.
        value: String,
        /// The type that it should have.
        kind: MeasureType,
    },
    /// A double is infinite, not a number or too large to be one.
    #[error("The value '{value}' of '{name}' is not a finite number.")]
    NotFinite {
        /// The measure's name, or that of one of its values.
        name: String,
        /// The value given.
        value: String,
    },
    /// The table has as many names as the service takes, and the record brings a new one.
    #[error("The name '{name}' is new, and the table has {} {} already, which is the most allowed.", limit.max(), limit.what())]
    TableFull {
        /// The new name.
        name: String,
        /// Of what there are so many.
        limit: TableLimit,
    },
}

impl Reason {
    /// The version that the data point has, where that is the reason: Timestream's `ExistingVersion`.
    #[must_use]
    pub fn existing_version(&self) -> Option<i64> {
        match self {
            Self::OlderVersion { existing, .. } | Self::SameVersion { existing } => Some(*existing),
            _ => None,
        }
    }
}

/// A record that was not stored: Timestream's `RejectedRecord`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RejectedRecord {
    /// The record's place in the call, from 0.
    pub index: usize,
    /// Why. Its `Display` is Timestream's `Reason`.
    pub reason: Reason,
    /// The version that the data point has, where that is the reason.
    pub existing_version: Option<i64>,
}

impl RejectedRecord {
    /// A record at this place in its call that was rejected for this reason.
    #[must_use]
    pub fn new(index: usize, reason: Reason) -> Self {
        let existing_version = reason.existing_version();
        Self { index, reason, existing_version }
    }
}
