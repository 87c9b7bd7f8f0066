//! Any `serde::Serialize` to a [`Value`].

use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeMap, SerializeStruct, Serializer};

use super::super::{FieldValue, MappingError};
use super::{Record, Value};

/// Serializes anything to a [`Value`].
pub(super) struct ValueSerializer;

/// Takes the entries of a struct or map.
#[derive(Default)]
pub(super) struct RecordSerializer {
    record: Record,
    key: Option<String>,
}

macro_rules! scalars {
    ($($method:ident: $type:ty;)+) => {$(
        fn $method(self, value: $type) -> Result<Value, MappingError> {
            Ok(Value::Field(value.into()))
        }
    )+};
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = MappingError;
    type SerializeSeq = OtherSerializer;
    type SerializeTuple = OtherSerializer;
    type SerializeTupleStruct = OtherSerializer;
    type SerializeTupleVariant = OtherSerializer;
    type SerializeMap = RecordSerializer;
    type SerializeStruct = RecordSerializer;
    type SerializeStructVariant = Impossible<Value, MappingError>;

    scalars! {
        serialize_bool: bool;
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
        serialize_u8: u8;
        serialize_u16: u16;
        serialize_u32: u32;
        serialize_u64: u64;
        serialize_f32: f32;
        serialize_f64: f64;
        serialize_str: &str;
    }

    fn serialize_i128(self, value: i128) -> Result<Value, MappingError> {
        let fits = i64::try_from(value).map(|value| Value::Field(value.into()));
        Ok(fits.unwrap_or(Value::Other("an integer beyond 64 bits")))
    }

    fn serialize_u128(self, value: u128) -> Result<Value, MappingError> {
        let fits = u64::try_from(value).map(|value| Value::Field(value.into()));
        Ok(fits.unwrap_or(Value::Other("an integer beyond 64 bits")))
    }

    fn serialize_char(self, value: char) -> Result<Value, MappingError> {
        Ok(Value::Field(FieldValue::String(value.into())))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Value, MappingError> {
        Ok(Value::Other("bytes"))
    }

    fn serialize_none(self) -> Result<Value, MappingError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, MappingError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, MappingError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, MappingError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, MappingError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, MappingError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Value, MappingError> {
        Ok(Value::Other("an enum with a value"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<OtherSerializer, MappingError> {
        Ok(OtherSerializer("a sequence"))
    }

    fn serialize_tuple(self, _: usize) -> Result<OtherSerializer, MappingError> {
        Ok(OtherSerializer("a tuple"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<OtherSerializer, MappingError> {
        Ok(OtherSerializer("a tuple"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<OtherSerializer, MappingError> {
        Ok(OtherSerializer("an enum with values"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<RecordSerializer, MappingError> {
        Ok(RecordSerializer::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<RecordSerializer, MappingError> {
        Ok(RecordSerializer::default())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, MappingError> {
        Err(MappingError::custom(format_args!(
            "{name}::{variant} is an enum with values, which no point can hold"
        )))
    }
}

impl SerializeMap for RecordSerializer {
    type Ok = Value;
    type Error = MappingError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), MappingError> {
        let key = key.serialize(ValueSerializer)?;
        let text = key
            .text()
            .ok_or_else(|| MappingError::custom(format_args!("{} is no key of a record", key.kind())))?;
        self.key = Some(text);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), MappingError> {
        let value = value.serialize(ValueSerializer)?;
        self.record.push(self.key.take().unwrap_or_default(), value);
        Ok(())
    }

    fn end(self) -> Result<Value, MappingError> {
        Ok(Value::Record(self.record))
    }
}

impl SerializeStruct for RecordSerializer {
    type Ok = Value;
    type Error = MappingError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), MappingError> {
        self.record.push(key.into(), value.serialize(ValueSerializer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, MappingError> {
        Ok(Value::Record(self.record))
    }
}

/// Passes over what can be no part of a point; whether that matters is for the mapping to say.
pub(super) struct OtherSerializer(&'static str);

macro_rules! others {
    ($($trait:ident: $method:ident;)+) => {$(
        impl serde::ser::$trait for OtherSerializer {
            type Ok = Value;
            type Error = MappingError;

            fn $method<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), MappingError> {
                Ok(())
            }

            fn end(self) -> Result<Value, MappingError> {
                Ok(Value::Other(self.0))
            }
        }
    )+};
}

others! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}
