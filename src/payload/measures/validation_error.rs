//! Why a whole call is refused.

use std::fmt;

use super::measure_type::MeasureType;
use super::quotas::{MAX_DIMENSIONS, MAX_RECORDS, MAX_TIME_CHARACTERS, MAX_VALUE_CHARACTERS};

/// A field of a call, shown as the service's messages name it. Members of lists count from 1 there, here from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// `dimensions.N.member.name`
    DimensionName(usize),
    /// `measureName`
    MeasureName,
    /// `measureValue`
    MeasureValue,
    /// `measureValues.N.member.name`
    ValueName(usize),
    /// `measureValues.N.member.value`
    Value(usize),
    /// `time`
    Time,
    /// `measureValueType`
    MeasureType,
    /// `measureValues.N.member.type`
    ValueType(usize),
    /// `timeUnit`
    TimeUnit,
    /// `dimensions.N.member.dimensionValueType`
    DimensionType(usize),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DimensionName(index) => write!(f, "dimensions.{}.member.name", index + 1),
            Self::MeasureName => f.write_str("measureName"),
            Self::MeasureValue => f.write_str("measureValue"),
            Self::ValueName(index) => write!(f, "measureValues.{}.member.name", index + 1),
            Self::Value(index) => write!(f, "measureValues.{}.member.value", index + 1),
            Self::Time => f.write_str("time"),
            Self::MeasureType => f.write_str("measureValueType"),
            Self::ValueType(index) => write!(f, "measureValues.{}.member.type", index + 1),
            Self::TimeUnit => f.write_str("timeUnit"),
            Self::DimensionType(index) => write!(f, "dimensions.{}.member.dimensionValueType", index + 1),
        }
    }
}

/// A name that is none of those a type or unit has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is none of {allowed}")]
pub struct UnknownName {
    /// The name given.
    pub value: String,
    /// The names there are.
    pub allowed: &'static str,
}

/// Why a whole call is refused: Timestream's `ValidationException`. Nothing of the call is stored.
///
/// `record` is the record's place in the call, from 0. Merged fields are named as the record's, wherever they come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// The call has no records.
    #[error(
        "1 validation error detected: Value '[]' at 'records' failed to satisfy constraint: Member must have length \
         greater than or equal to 1"
    )]
    NoRecords,
    /// The call has more records than the service takes.
    #[error(
        "1 validation error detected: Value '...' at 'records' failed to satisfy constraint: Member must have length \
         less than or equal to {MAX_RECORDS}"
    )]
    TooManyRecords {
        /// How many it has.
        count: usize,
    },
    /// A record has more dimensions than the service takes.
    #[error(
        "1 validation error detected: Value '...' at 'records.{}.member.dimensions' failed to satisfy constraint: \
         Member must have length less than or equal to {MAX_DIMENSIONS}",
        record + 1
    )]
    TooManyDimensions {
        /// The record.
        record: usize,
        /// How many it has.
        count: usize,
    },
    /// A field that must have at least one character has none.
    #[error(
        "1 validation error detected: Value '' at 'records.{}.member.{field}' failed to satisfy constraint: Member \
         must have length greater than or equal to 1",
        record + 1
    )]
    Empty {
        /// The record.
        record: usize,
        /// The field.
        field: Field,
    },
    /// A time or value has more characters than the service takes.
    #[error(
        "1 validation error detected: Value '{value}' at 'records.{}.member.{field}' failed to satisfy constraint: \
         Member must have length less than or equal to {}",
        record + 1,
        if *field == Field::Time { MAX_TIME_CHARACTERS } else { MAX_VALUE_CHARACTERS }
    )]
    TooLong {
        /// The record.
        record: usize,
        /// The field.
        field: Field,
        /// The value given.
        value: String,
    },
    /// A type or unit has a name that there is not. Comes from those who read calls as text.
    #[error(
        "1 validation error detected: Value '{}' at 'records.{}.member.{field}' failed to satisfy constraint: Member \
         must satisfy enum value set: {}",
        name.value,
        record + 1,
        name.allowed
    )]
    UnknownName {
        /// The record.
        record: usize,
        /// The field.
        field: Field,
        /// The name given, and those there are.
        name: UnknownName,
    },
    /// The version is below 1.
    #[error(
        "1 validation error detected: Value '{version}' at 'records.{}.member.version' failed to satisfy constraint: \
         Member must have value greater than or equal to 1",
        record + 1
    )]
    Version {
        /// The record.
        record: usize,
        /// The version given.
        version: i64,
    },
    /// The record has no time, or one that is no whole number of units from 1970 up to the year 2262.
    #[error("Invalid time for record.")]
    InvalidTime {
        /// The record.
        record: usize,
        /// The time given, if any.
        time: Option<String>,
    },
    /// A dimension is among the common attributes and in a record, or twice in one of them.
    #[error(
        "Record {record} has the dimension '{name}' twice: give it once, either in the record or in the common \
         attributes."
    )]
    DuplicateDimension {
        /// The record.
        record: usize,
        /// The dimension's name.
        name: String,
    },
    /// The record has no measure name.
    #[error("Record {record} has no measure name: give it one, in the record or in the common attributes.")]
    NoMeasureName {
        /// The record.
        record: usize,
    },
    /// The record has no measure value.
    #[error(
        "Record {record} has no measure value: give it one of type {kind}, in the record or in the common attributes."
    )]
    NoMeasureValue {
        /// The record.
        record: usize,
        /// The record's type.
        kind: MeasureType,
    },
    /// A record of type `MULTI` has no values.
    #[error("Record {record} is of type MULTI and has no measure values: give it at least one.")]
    NoMeasureValues {
        /// The record.
        record: usize,
    },
    /// A record of another type has values as one of type `MULTI` has.
    #[error(
        "Record {record} is of type {kind} and has measure values, which only MULTI has: give a measure value instead, \
         or change the type."
    )]
    ValuesWithoutMulti {
        /// The record.
        record: usize,
        /// The record's type.
        kind: MeasureType,
    },
    /// A record of type `MULTI` has a value of its own.
    #[error("Record {record} is of type MULTI and has a measure value: give measure values only.")]
    ValueWithMulti {
        /// The record.
        record: usize,
    },
    /// A value of a record of type `MULTI` is of type `MULTI` itself.
    #[error(
        "The measure value '{name}' of record {record} is of type MULTI: give it one of the other types."
    )]
    NestedMulti {
        /// The record.
        record: usize,
        /// The value's name.
        name: String,
    },
    /// Two values of a record of type `MULTI` have the same name.
    #[error("Record {record} has the measure value '{name}' twice: give it once.")]
    DuplicateValue {
        /// The record.
        record: usize,
        /// The value's name.
        name: String,
    },
}
