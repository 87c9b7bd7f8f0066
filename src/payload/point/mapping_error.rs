//! A record that is no point.

use std::fmt::Display;

use super::{FieldType, TimeOutOfRange};

/// Why a record cannot be made into a point.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The record is neither a struct nor a map.
    #[error("a record is a struct or a map, not {found}")]
    NotARecord {
        /// What it is instead.
        found: &'static str,
    },
    /// The record has no such entry, and the mapping names no measurement of its own.
    #[error(
        "the record has no {key:?} to take the measurement from; name a measurement, or the key that holds it"
    )]
    MissingMeasurement {
        /// The key that should hold the measurement.
        key: String,
    },
    /// The record has no map of fields, and the mapping names no keys of fields.
    #[error("the record has no map \"fields\"; name the keys of the fields, or take all that remain")]
    MissingFields,
    /// An entry holds a value that cannot be what the mapping makes of it.
    #[error("{key:?} holds {found}, which cannot be {wanted}")]
    UnsupportedType {
        /// The entry's key.
        key: String,
        /// What it holds.
        found: &'static str,
        /// What the mapping makes of it.
        wanted: &'static str,
    },
    /// A number does not fit the type that the mapping asks for.
    #[error("{key:?} holds {found}, which does not fit the field type {wanted}")]
    FieldType {
        /// The entry's key.
        key: String,
        /// The value as text.
        found: String,
        /// The type that the mapping asks for.
        wanted: FieldType,
    },
    /// The text of a time is not an RFC 3339 date and time.
    #[error("{key:?} holds {found:?}, which is no RFC 3339 time such as 2022-07-13T16:17:43.5Z")]
    InvalidTime {
        /// The entry's key.
        key: String,
        /// The text.
        found: String,
    },
    /// The time does not fit in 64 bits of nanoseconds.
    #[error(transparent)]
    TimeOutOfRange(#[from] TimeOutOfRange),
    /// One of many records is no point.
    #[error("record number {index}, counted from 0, is no point")]
    Record {
        /// Its place among all.
        index: usize,
        /// Why it is none.
        #[source]
        source: Box<MappingError>,
    },
    /// The record's own [`Serialize`](serde::Serialize) failed.
    #[error("{message}")]
    Serialize {
        /// What it said.
        message: String,
    },
}

impl serde::ser::Error for MappingError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Serialize { message: message.to_string() }
    }
}
