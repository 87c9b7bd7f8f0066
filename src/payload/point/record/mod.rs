//! A caller's struct or map, taken apart.

mod serializer;

use serde::Serialize;

use super::{FieldValue, MappingError};
use serializer::ValueSerializer;

/// The entries of a record, in its order. Entries without a value are not there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Record(Vec<(String, Value)>);

/// One value of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing: `None`, `()`.
    Null,
    /// What can be a field.
    Field(FieldValue),
    /// A struct or map.
    Record(Record),
    /// What can be no part of a point: bytes, sequences and the like, by its name.
    Other(&'static str),
}

impl Record {
    /// Takes a struct or map apart.
    pub(super) fn new(record: &impl Serialize) -> Result<Self, MappingError> {
        match record.serialize(ValueSerializer)? {
            Value::Record(record) => Ok(record),
            other => Err(MappingError::NotARecord { found: other.kind() }),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(other, _)| other == key).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    fn push(&mut self, key: String, value: Value) {
        if value != Value::Null {
            self.0.push((key, value));
        }
    }
}

impl Value {
    /// What the value is, to tell in an error.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Field(FieldValue::Float(_)) => "a float",
            Self::Field(FieldValue::Integer(_) | FieldValue::Unsigned(_)) => "an integer",
            Self::Field(FieldValue::Boolean(_)) => "a boolean",
            Self::Field(FieldValue::String(_)) => "a string",
            Self::Record(_) => "a struct or map",
            Self::Other(kind) => kind,
        }
    }

    /// The value as text, where it has one: for tags, measurements and keys.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Field(FieldValue::Float(value)) => Some(value.to_string()),
            Self::Field(FieldValue::Integer(value)) => Some(value.to_string()),
            Self::Field(FieldValue::Unsigned(value)) => Some(value.to_string()),
            Self::Field(FieldValue::Boolean(value)) => Some(value.to_string()),
            Self::Field(FieldValue::String(value)) => Some(value.clone()),
            Self::Null | Self::Record(_) | Self::Other(_) => None,
        }
    }
}
