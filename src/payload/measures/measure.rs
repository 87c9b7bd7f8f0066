//! A record that has been checked.

use crate::sys::clock::Timestamp;

use super::measure_type::MeasureType;
use super::record::Dimension;

/// The typed value of a measure.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Finite.
    Double(f64),
    /// An integer.
    BigInt(i64),
    /// Text.
    Varchar(&'a str),
    /// True or false.
    Boolean(bool),
    /// An instant.
    Timestamp(Timestamp),
    /// Named values of the other types, sorted by name.
    Multi(Vec<(&'a str, Value<'a>)>),
}

impl Value<'_> {
    /// The value's type.
    #[must_use]
    pub fn measure_type(&self) -> MeasureType {
        match self {
            Self::Double(_) => MeasureType::Double,
            Self::BigInt(_) => MeasureType::BigInt,
            Self::Varchar(_) => MeasureType::Varchar,
            Self::Boolean(_) => MeasureType::Boolean,
            Self::Timestamp(_) => MeasureType::Timestamp,
            Self::Multi(_) => MeasureType::Multi,
        }
    }
}

/// A record that keeps every rule that can be checked without knowing what is stored: merged with the common attributes and
/// typed.
///
/// Dimensions, measure name and time are its identity: records that agree in these are versions of one data point.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure<'a> {
    pub(crate) dimensions: Vec<Dimension<'a>>,
    pub(crate) measure_name: &'a str,
    pub(crate) time: Timestamp,
    pub(crate) version: i64,
    pub(crate) value: Value<'a>,
}

impl<'a> Measure<'a> {
    /// The dimensions, sorted by the bytes of their names.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension<'a>] {
        &self.dimensions
    }

    /// What was measured.
    #[must_use]
    pub fn measure_name(&self) -> &'a str {
        self.measure_name
    }

    /// When it was measured.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The version, from 1 up.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &Value<'a> {
        &self.value
    }
}
