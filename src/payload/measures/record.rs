//! Records as a caller gives them: all text, nothing checked.

use super::measure_type::MeasureType;
use super::time_unit::TimeUnit;

/// A dimension: a name and a value that tell a series from others. Its type is always `VARCHAR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dimension<'a> {
    /// The dimension's name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

/// One of the values of a record of type [`Multi`](MeasureType::Multi).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeasureValue<'a> {
    /// The value's name.
    pub name: &'a str,
    /// The value as text.
    pub value: &'a str,
    /// The value's type; not `Multi`.
    pub value_type: MeasureType,
}

/// A record to write, or the attributes that all records of a call have in common: Timestream's `Record`.
///
/// Everything is optional, because what a record does not say its call's common attributes may. Values are text, as in
/// the service; [`validate`](super::validate()) types them.
///
/// ```
/// use riverbed::measures::{MeasureRecord, MeasureType, TimeUnit};
///
/// let common = MeasureRecord::new().dimension("region", "eu").time("1700000000").time_unit(TimeUnit::Seconds);
/// let load = MeasureRecord::new().dimension("host", "a").measure_name("load").measure_value("0.7");
/// let both = MeasureRecord::new()
///     .dimension("host", "a")
///     .measure_name("memory")
///     .value("used", "4096", MeasureType::BigInt)
///     .value("swapping", "false", MeasureType::Boolean)
///     .version(2);
/// # let _ = (common, load, both);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeasureRecord<'a> {
    /// The dimensions. They are added to the common ones, and no name may come twice.
    pub dimensions: Vec<Dimension<'a>>,
    /// What was measured.
    pub measure_name: Option<&'a str>,
    /// The value, unless the type is [`Multi`](MeasureType::Multi).
    pub measure_value: Option<&'a str>,
    /// The value's type; `Double` when nobody says.
    pub measure_type: Option<MeasureType>,
    /// The values of a record of type [`Multi`](MeasureType::Multi). They are added to the common ones.
    pub measure_values: Vec<MeasureValue<'a>>,
    /// When it was measured: a count of `time_unit` since 1970.
    pub time: Option<&'a str>,
    /// The unit of `time`; milliseconds when nobody says.
    pub time_unit: Option<TimeUnit>,
    /// The version, from 1 up; 1 when nobody says.
    pub version: Option<i64>,
}

impl<'a> MeasureRecord<'a> {
    /// A record that says nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dimension.
    #[must_use]
    pub fn dimension(mut self, name: &'a str, value: &'a str) -> Self {
        self.dimensions.push(Dimension { name, value });
        self
    }

    /// Says what was measured.
    #[must_use]
    pub fn measure_name(mut self, name: &'a str) -> Self {
        self.measure_name = Some(name);
        self
    }

    /// Gives the value, of the type that [`measure_type`](Self::measure_type) says.
    #[must_use]
    pub fn measure_value(mut self, value: &'a str) -> Self {
        self.measure_value = Some(value);
        self
    }

    /// Says what type the value has.
    #[must_use]
    pub fn measure_type(mut self, measure_type: MeasureType) -> Self {
        self.measure_type = Some(measure_type);
        self
    }

    /// Adds one of several named values; the record's type becomes [`Multi`](MeasureType::Multi).
    #[must_use]
    pub fn value(mut self, name: &'a str, value: &'a str, value_type: MeasureType) -> Self {
        self.measure_values.push(MeasureValue { name, value, value_type });
        self.measure_type = Some(MeasureType::Multi);
        self
    }

    /// Says when: a count of [`time_unit`](Self::time_unit) since 1970.
    #[must_use]
    pub fn time(mut self, time: &'a str) -> Self {
        self.time = Some(time);
        self
    }

    /// Says what the time counts.
    #[must_use]
    pub fn time_unit(mut self, unit: TimeUnit) -> Self {
        self.time_unit = Some(unit);
        self
    }

    /// Gives the version. A higher one replaces the data point.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }
}
