//! Records of the caller's to points.

use serde::Serialize;

use super::record::{Record, Value};
use super::{FieldType, FieldValue, MappingError, Point, PointTime, Precision, TimeOutOfRange, rfc3339};

/// Where nested tags, nested fields stand in a record.
const TAGS: &str = "tags";
const FIELDS: &str = "fields";

/// What of a record becomes measurement, tags, fields and time of a point.
///
/// A record is anything that is [`Serialize`] as a struct or map: a struct of the caller's, a map, a row of a
/// table. The mapping follows the `record_*` and `data_frame_*` arguments of InfluxDB's Python client. A new
/// mapping takes records of the shape of that client's dictionaries:
///
/// ```
/// use riverbed::point::{PointMapping, Precision};
/// use serde_json::json;
///
/// let record = json!({
///     "measurement": "cpu", "tags": {"core": "0"}, "fields": {"temp": 25.3}, "time": 1657729063,
/// });
/// let point = PointMapping::new().time_precision(Precision::Seconds).point(&record)?;
/// assert_eq!(point.to_line_protocol()?, "cpu,core=0 temp=25.3 1657729063000000000");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Flat records, such as structs, name the keys of each part:
///
/// ```
/// use riverbed::point::PointMapping;
///
/// #[derive(serde::Serialize)]
/// struct Cpu { core: u8, temp: f64, load: Option<f32>, timestamp: i64 }
///
/// let mapping = PointMapping::new()
///     .measurement("cpu")
///     .tag_keys(["core"])
///     .field_keys(["temp", "load"])
///     .time_key("timestamp");
/// let point = mapping.point(&Cpu { core: 0, temp: 25.3, load: None, timestamp: 1657729063 })?;
/// assert_eq!(point.to_line_protocol()?, "cpu,core=0 temp=25.3 1657729063");
///
/// // As with a data frame, all columns that are not named otherwise can be fields.
/// let rows = PointMapping::new()
///     .measurement("cpu")
///     .tag_keys(["core"])
///     .remaining_fields()
///     .time_key("timestamp");
/// let point = rows.point(&Cpu { core: 0, temp: 25.3, load: Some(0.5), timestamp: 1657729063 })?;
/// assert_eq!(point.to_line_protocol()?, "cpu,core=0 load=0.5,temp=25.3 1657729063");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Entries that are `None` are left out, and so are named tags and fields that the record does not have.
/// Rust's types decide the types of the fields, unless [`field_type`](Self::field_type) does.
#[derive(Debug, Clone)]
pub struct PointMapping {
    measurement: Measurement,
    tags: Keys,
    fields: Keys,
    time_key: String,
    time_precision: Precision,
    field_types: Vec<(String, FieldType)>,
    integer_type: Option<FieldType>,
}

type Entries<'r> = Vec<(&'r str, &'r Value)>;

#[derive(Debug, Clone)]
enum Measurement {
    Name(String),
    Key(String),
}

#[derive(Debug, Clone)]
enum Keys {
    /// All entries of the map in the record that is there for them.
    Nested,
    /// These entries of the record.
    Of(Vec<String>),
    /// All entries of the record that are nothing else.
    Remaining,
}

impl Default for PointMapping {
    fn default() -> Self {
        Self::new()
    }
}

impl PointMapping {
    /// Takes the measurement from `measurement`, the tags from the map `tags` if there is one, the fields
    /// from the map `fields`, and the time from `time` if that is there, in nanoseconds where it is a number.
    #[must_use]
    pub fn new() -> Self {
        Self {
            measurement: Measurement::Key("measurement".into()),
            tags: Keys::Nested,
            fields: Keys::Nested,
            time_key: "time".into(),
            time_precision: Precision::Nanoseconds,
            field_types: Vec::new(),
            integer_type: None,
        }
    }

    /// All points are of this measurement: `record_measurement_name`, `data_frame_measurement_name`.
    #[must_use]
    pub fn measurement(self, name: impl Into<String>) -> Self {
        Self { measurement: Measurement::Name(name.into()), ..self }
    }

    /// The measurement is the text under this key: `record_measurement_key`.
    #[must_use]
    pub fn measurement_key(self, key: impl Into<String>) -> Self {
        Self { measurement: Measurement::Key(key.into()), ..self }
    }

    /// The tags are what the record has under these keys: `record_tag_keys`, `data_frame_tag_columns`.
    /// Numbers and booleans become text.
    #[must_use]
    pub fn tag_keys(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { tags: Keys::Of(keys.into_iter().map(Into::into).collect()), ..self }
    }

    /// The fields are what the record has under these keys: `record_field_keys`.
    #[must_use]
    pub fn field_keys(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { fields: Keys::Of(keys.into_iter().map(Into::into).collect()), ..self }
    }

    /// The fields are all that is neither measurement nor tag nor time: the columns of a data frame.
    #[must_use]
    pub fn remaining_fields(self) -> Self {
        Self { fields: Keys::Remaining, ..self }
    }

    /// The time is what the record has under this key: `record_time_key`, `data_frame_timestamp_column`. It
    /// is a whole number counted in the [`time_precision`](Self::time_precision), a `std::time::SystemTime`,
    /// or text such as `2022-07-13T16:17:43.5+02:00`, UTC where it has no offset.
    #[must_use]
    pub fn time_key(self, key: impl Into<String>) -> Self {
        Self { time_key: key.into(), ..self }
    }

    /// Times that are whole numbers count this unit since 1970: `write_precision`.
    #[must_use]
    pub fn time_precision(self, precision: Precision) -> Self {
        Self { time_precision: precision, ..self }
    }

    /// The field under this key is of this type: `field_types`. Integers become any kind of number that holds
    /// them; other values must be of the type as they are.
    #[must_use]
    pub fn field_type(mut self, key: impl Into<String>, field_type: FieldType) -> Self {
        self.field_types.push((key.into(), field_type));
        self
    }

    /// Fields that are whole numbers are of this type, unless [`field_type`](Self::field_type) says
    /// otherwise. JSON values need it, because they do not tell signed from unsigned: with
    /// [`FieldType::Integer`] they become what dictionaries become.
    #[must_use]
    pub fn integer_type(self, field_type: FieldType) -> Self {
        Self { integer_type: Some(field_type), ..self }
    }

    /// The point that `record` is.
    ///
    /// # Errors
    ///
    /// [`MappingError`] when the record is neither struct nor map, lacks its measurement or fields, or holds
    /// a value that can be no part of a point.
    pub fn point(&self, record: &impl Serialize) -> Result<Point, MappingError> {
        let record = Record::new(record)?;
        let mut point = Point::new(self.measurement_of(&record)?);
        for (key, value) in self.entries(&self.tags, TAGS, &record)?.unwrap_or_default() {
            let text = value.text().ok_or_else(|| unsupported(key, value, "a tag"))?;
            point.set_tag(key, text);
        }
        for (key, value) in self.entries(&self.fields, FIELDS, &record)?.ok_or(MappingError::MissingFields)? {
            point.set_field(key, self.field_of(key, value)?);
        }
        match record.get(&self.time_key) {
            Some(time) => Ok(point.time(self.time_of(time)?)),
            None => Ok(point),
        }
    }

    /// The points that `records` are, in their order.
    ///
    /// # Errors
    ///
    /// [`MappingError::Record`], which tells the first record that is no point, and why.
    pub fn points<T: Serialize>(
        &self,
        records: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Point>, MappingError> {
        let point = |(index, record)| {
            self.point(&record).map_err(|error| MappingError::Record { index, source: Box::new(error) })
        };
        records.into_iter().enumerate().map(point).collect()
    }

    fn measurement_of(&self, record: &Record) -> Result<String, MappingError> {
        match &self.measurement {
            Measurement::Name(name) => Ok(name.clone()),
            Measurement::Key(key) => match record.get(key) {
                Some(value) => value.text().ok_or_else(|| unsupported(key, value, "a measurement")),
                None => Err(MappingError::MissingMeasurement { key: key.clone() }),
            },
        }
    }

    /// The entries of `record` that `keys` means; `None` where the map at `place` that should hold them is
    /// missing.
    fn entries<'r>(
        &self,
        keys: &Keys,
        place: &str,
        record: &'r Record,
    ) -> Result<Option<Entries<'r>>, MappingError> {
        match keys {
            Keys::Nested => match record.get(place) {
                Some(Value::Record(entries)) => Ok(Some(entries.iter().collect())),
                Some(value) => Err(unsupported(place, value, "a map of tags or fields")),
                None => Ok(None),
            },
            Keys::Of(keys) => {
                Ok(Some(record.iter().filter(|(key, _)| keys.iter().any(|other| other == key)).collect()))
            }
            Keys::Remaining => Ok(Some(record.iter().filter(|(key, _)| !self.has_use(key)).collect())),
        }
    }

    /// Whether the entry under `key` is something else than a remaining field.
    fn has_use(&self, key: &str) -> bool {
        let is_tag = match &self.tags {
            Keys::Nested => key == TAGS,
            Keys::Of(tags) => tags.iter().any(|tag| tag == key),
            Keys::Remaining => false,
        };
        let is_measurement = matches!(&self.measurement, Measurement::Key(measurement) if measurement == key);
        is_tag || is_measurement || self.time_key == key
    }

    fn field_of(&self, key: &str, value: &Value) -> Result<FieldValue, MappingError> {
        let Value::Field(value) = value else { return Err(unsupported(key, value, "a field")) };
        let named = self.field_types.iter().rfind(|(other, _)| other == key).map(|(_, wanted)| *wanted);
        let is_integer = matches!(value, FieldValue::Integer(_) | FieldValue::Unsigned(_));
        let Some(wanted) = named.or(self.integer_type.filter(|_| is_integer)) else {
            return Ok(value.clone());
        };
        value.clone().cast(wanted).ok_or_else(|| MappingError::FieldType {
            key: key.into(),
            found: Value::Field(value.clone()).text().unwrap_or_default(),
            wanted,
        })
    }

    fn time_of(&self, time: &Value) -> Result<PointTime, MappingError> {
        let nanos = match time {
            Value::Field(FieldValue::Integer(count)) => {
                return Ok(PointTime::new(*count, self.time_precision)?);
            }
            Value::Field(FieldValue::Unsigned(count)) => {
                i128::from(*count) * i128::from(self.time_precision.as_nanos())
            }
            Value::Field(FieldValue::String(text)) => rfc3339::nanos(text).ok_or_else(|| {
                MappingError::InvalidTime { key: self.time_key.clone(), found: text.clone() }
            })?,
            Value::Record(record) => {
                system_time(record).ok_or_else(|| unsupported(&self.time_key, time, "a time"))?
            }
            _ => return Err(unsupported(&self.time_key, time, "a time")),
        };
        let out_of_range = |_| TimeOutOfRange { value: nanos, precision: Precision::Nanoseconds };
        Ok(i64::try_from(nanos).map(PointTime::from_nanos).map_err(out_of_range)?)
    }
}

/// Nanoseconds since 1970 of a `SystemTime`, as serde takes it apart.
fn system_time(record: &Record) -> Option<i128> {
    let part = |key| match record.get(key) {
        Some(Value::Field(FieldValue::Unsigned(count))) => Some(i128::from(*count)),
        _ => None,
    };
    Some(part("secs_since_epoch")? * 1_000_000_000 + part("nanos_since_epoch")?)
}

fn unsupported(key: &str, value: &Value, wanted: &'static str) -> MappingError {
    MappingError::UnsupportedType { key: key.into(), found: value.kind(), wanted }
}
