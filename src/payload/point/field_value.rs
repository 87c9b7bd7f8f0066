//! The values of fields.

use std::borrow::Cow;
use std::fmt;

/// The value of a field: one of the five types of InfluxDB.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// 64-bit floating point, `25.3` in line protocol. Infinities and not-a-number cannot be written.
    Float(f64),
    /// 64-bit signed integer, `-3i`.
    Integer(i64),
    /// 64-bit unsigned integer, `3u`.
    Unsigned(u64),
    /// `true` or `false`.
    Boolean(bool),
    /// UTF-8 text, `"text"`.
    String(String),
}

/// The type of a field, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// 64-bit floating point.
    Float,
    /// 64-bit signed integer.
    Integer,
    /// 64-bit unsigned integer.
    Unsigned,
    /// `true` or `false`.
    Boolean,
    /// UTF-8 text.
    String,
}

impl FieldValue {
    /// The type of the value.
    #[must_use]
    pub const fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::Unsigned(_) => FieldType::Unsigned,
            Self::Boolean(_) => FieldType::Boolean,
            Self::String(_) => FieldType::String,
        }
    }

    /// The value as a `wanted` number, where it is a number that fits; any value as its own type.
    pub(super) fn cast(self, wanted: FieldType) -> Option<Self> {
        if self.field_type() == wanted {
            return Some(self);
        }
        let whole = match self {
            Self::Integer(value) => i128::from(value),
            Self::Unsigned(value) => i128::from(value),
            _ => return None,
        };
        match wanted {
            FieldType::Integer => i64::try_from(whole).ok().map(Self::Integer),
            FieldType::Unsigned => u64::try_from(whole).ok().map(Self::Unsigned),
            FieldType::Float => Some(Self::Float(whole as f64)),
            FieldType::Boolean | FieldType::String => None,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Unsigned => "unsigned",
            Self::Boolean => "boolean",
            Self::String => "string",
        })
    }
}

/// What can be the value of a field: a [`FieldValue`], a Rust number, boolean or string, or an `Option` of
/// one.
pub trait IntoField {
    /// The value; `None` leaves the field out, as InfluxDB's clients do with a missing value.
    fn into_field(self) -> Option<FieldValue>;
}

impl IntoField for FieldValue {
    fn into_field(self) -> Option<FieldValue> {
        Some(self)
    }
}

impl<T: IntoField> IntoField for Option<T> {
    fn into_field(self) -> Option<FieldValue> {
        self.and_then(T::into_field)
    }
}

macro_rules! into_field {
    ($($variant:ident: $($from:ty),+;)+) => {$($(
        impl From<$from> for FieldValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }

        impl IntoField for $from {
            fn into_field(self) -> Option<FieldValue> {
                Some(self.into())
            }
        }
    )+)+};
}

into_field! {
    Float: f32, f64;
    Integer: i8, i16, i32, i64;
    Unsigned: u8, u16, u32, u64;
    Boolean: bool;
    String: &str, String, &String, Cow<'_, str>, char;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_types_become_field_types() {
        assert_eq!(7_u8.into_field(), Some(FieldValue::Unsigned(7)));
        assert_eq!((-7_i16).into_field(), Some(FieldValue::Integer(-7)));
        assert_eq!(0.5_f32.into_field(), Some(FieldValue::Float(0.5)));
        assert_eq!("x".into_field(), Some(FieldValue::String("x".into())));
        assert_eq!(None::<bool>.into_field(), None);
    }

    #[test]
    fn numbers_are_cast_where_they_fit() {
        assert_eq!(FieldValue::Integer(5).cast(FieldType::Unsigned), Some(FieldValue::Unsigned(5)));
        assert_eq!(FieldValue::Integer(-5).cast(FieldType::Unsigned), None);
        assert_eq!(FieldValue::Unsigned(u64::MAX).cast(FieldType::Integer), None);
        assert_eq!(FieldValue::Unsigned(5).cast(FieldType::Float), Some(FieldValue::Float(5.0)));
        assert_eq!(FieldValue::Float(5.0).cast(FieldType::Integer), None);
        assert_eq!(FieldValue::Boolean(true).cast(FieldType::Boolean), Some(FieldValue::Boolean(true)));
    }
}
