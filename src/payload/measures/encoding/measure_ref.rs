//! A measure in place.

use std::fmt;

use crate::payload::measures::measure::Value;
use crate::payload::measures::measure_type::MeasureType;
use crate::payload::measures::record::Dimension;
use crate::stream::sequence_number::SequenceNumber;
use crate::sys::clock::Timestamp;

use super::decode::{DecodeMeasureError, Rest, decode};

/// What was read of a record, and where the rest of it is. Offsets are those of parts that have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(super) time: Timestamp,
    pub(super) version: i64,
    pub(super) previous: Option<SequenceNumber>,
    pub(super) series: usize,
    pub(super) measure_name: usize,
    pub(super) value: usize,
}

/// A measure as it is stored, typed and borrowed from its record.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// # let stream = store.create_stream("metrics", riverbed::StreamOptions::new())?;
/// use riverbed::measures::{MeasureRecord, MeasureRef, MeasureTable, TableOptions, ValueRef};
/// use riverbed::{Position, ReaderOptions};
///
/// let table = MeasureTable::open(&stream, TableOptions::new().any_time())?;
/// let load = MeasureRecord::new().dimension("host", "a").measure_name("load").measure_value("0.5").time("17");
/// table.write_records(&MeasureRecord::new(), &[load])?;
///
/// let mut reader = stream.merged_reader(Position::TrimHorizon, ReaderOptions::new())?;
/// while let Some(record) = reader.next()? {
///     let measure = MeasureRef::decode(record.data())?;
///     assert_eq!((measure.measure_name(), measure.version()), ("load", 1));
///     assert_eq!(measure.value(), ValueRef::Double(0.5));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct MeasureRef<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> MeasureRef<'a> {
    /// Reads a record's data.
    ///
    /// # Errors
    ///
    /// [`DecodeMeasureError`] when it is not exactly what writing a measure makes.
    pub fn decode(data: &'a [u8]) -> Result<Self, DecodeMeasureError> {
        Ok(Self { bytes: data, layout: decode(data)? })
    }

    /// A record whose data have been decoded before.
    pub(crate) fn known(bytes: &'a [u8], layout: Layout) -> Self {
        Self { bytes, layout }
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Dimensions and measure name as they are stored: what tells series apart.
    pub(crate) fn series_bytes(&self) -> &'a [u8] {
        self.bytes.get(self.layout.series..self.layout.value).unwrap_or_default()
    }

    /// Type and value as they are stored: what tells values apart.
    pub(crate) fn value_bytes(&self) -> &'a [u8] {
        self.bytes.get(self.layout.value..).unwrap_or_default()
    }

    fn rest(&self, offset: usize) -> Rest<'a> {
        Rest::new(self.bytes.get(offset..).unwrap_or_default())
    }

    /// When it was measured.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.layout.time
    }

    /// The version, from 1 up.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.layout.version
    }

    /// The record that this one replaced when it was written, if there was one.
    #[must_use]
    pub fn previous(&self) -> Option<SequenceNumber> {
        self.layout.previous
    }

    /// The dimensions, sorted by the bytes of their names.
    #[must_use]
    pub fn dimensions(&self) -> Dimensions<'a> {
        let mut rest = self.rest(self.layout.series);
        Dimensions { left: rest.varint().unwrap_or(0), rest }
    }

    /// What was measured.
    #[must_use]
    pub fn measure_name(&self) -> &'a str {
        self.rest(self.layout.measure_name).text().unwrap_or_default()
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> ValueRef<'a> {
        // Decoding has read it before.
        self.rest(self.layout.value).value(true).unwrap_or(ValueRef::Multi(Values::new(0, &[])))
    }
}

impl fmt::Debug for MeasureRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeasureRef")
            .field("dimensions", &self.dimensions().collect::<Vec<_>>())
            .field("measure_name", &self.measure_name())
            .field("time", &self.time())
            .field("version", &self.version())
            .field("value", &self.value())
            .finish()
    }
}

/// A stored value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
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
    /// Named values of the other types.
    Multi(Values<'a>),
}

impl<'a> ValueRef<'a> {
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

    /// The values of type `MULTI`; of another type, none.
    pub(crate) fn values(self) -> Values<'a> {
        match self {
            Self::Multi(values) => values,
            _ => Values::new(0, &[]),
        }
    }

    /// The same value as [`Measure`](crate::measures::Measure) has it.
    #[must_use]
    pub fn to_value(self) -> Value<'a> {
        match self {
            Self::Double(number) => Value::Double(number),
            Self::BigInt(number) => Value::BigInt(number),
            Self::Varchar(text) => Value::Varchar(text),
            Self::Boolean(truth) => Value::Boolean(truth),
            Self::Timestamp(time) => Value::Timestamp(time),
            Self::Multi(values) => {
                Value::Multi(values.map(|(name, value)| (name, value.to_value())).collect())
            }
        }
    }
}

/// The dimensions of a stored measure, sorted by the bytes of their names.
#[derive(Debug, Clone)]
pub struct Dimensions<'a> {
    left: u64,
    rest: Rest<'a>,
}

impl<'a> Iterator for Dimensions<'a> {
    type Item = Dimension<'a>;

    fn next(&mut self) -> Option<Dimension<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(Dimension { name: self.rest.text()?, value: self.rest.text()? })
    }
}

/// The values of a stored measure of type `MULTI`, sorted by the bytes of their names.
#[derive(Clone, Copy, PartialEq)]
pub struct Values<'a> {
    left: u64,
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    pub(super) fn new(count: u64, bytes: &'a [u8]) -> Self {
        Self { left: count, bytes }
    }

    pub(super) fn count_left(&self) -> u64 {
        self.left
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(*self).finish()
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut rest = Rest::new(self.bytes);
        let item = (rest.text()?, rest.value(false)?);
        self.bytes = rest.bytes();
        Some(item)
    }
}
