//! A record with its call's common attributes under it.

use super::measure_type::MeasureType;
use super::quotas::{MAX_DIMENSIONS, MAX_TIME_CHARACTERS, MAX_VALUE_CHARACTERS, Quotas};
use super::record::{Dimension, MeasureRecord, MeasureValue};
use super::time_unit::TimeUnit;
use super::validation_error::{Field, ValidationError};

/// A record after merging, with everything that it must have.
pub(crate) struct Merged<'a> {
    /// Sorted by name, no name twice.
    pub(crate) dimensions: Vec<Dimension<'a>>,
    pub(crate) measure_name: &'a str,
    pub(crate) content: Content<'a>,
    pub(crate) time: &'a str,
    pub(crate) unit: TimeUnit,
    pub(crate) version: i64,
}

/// One value, or several.
pub(crate) enum Content<'a> {
    One(&'a str, MeasureType),
    /// Sorted by name, no name twice.
    Many(Vec<MeasureValue<'a>>),
}

/// Merges one record, whose place in the call is `index`, and checks its shape.
pub(crate) fn merge<'a>(
    common: &MeasureRecord<'a>,
    record: &MeasureRecord<'a>,
    index: usize,
    quotas: Quotas,
) -> Result<Merged<'a>, ValidationError> {
    let dimensions = dimensions(common, record, index, quotas)?;
    let measure_name = record
        .measure_name
        .or(common.measure_name)
        .ok_or(ValidationError::NoMeasureName { record: index })?;
    not_empty(measure_name, index, Field::MeasureName)?;
    let content = content(common, record, index, quotas)?;
    let time =
        record.time.or(common.time).ok_or(ValidationError::InvalidTime { record: index, time: None })?;
    not_empty(time, index, Field::Time)?;
    not_longer(time, MAX_TIME_CHARACTERS, index, Field::Time, quotas)?;
    let version = record.version.or(common.version).unwrap_or(1);
    if version < 1 {
        return Err(ValidationError::Version { record: index, version });
    }
    let unit = record.time_unit.or(common.time_unit).unwrap_or_default();
    Ok(Merged { dimensions, measure_name, content, time, unit, version })
}

fn dimensions<'a>(
    common: &MeasureRecord<'a>,
    record: &MeasureRecord<'a>,
    index: usize,
    quotas: Quotas,
) -> Result<Vec<Dimension<'a>>, ValidationError> {
    let mut dimensions = Vec::with_capacity(common.dimensions.len() + record.dimensions.len());
    dimensions.extend_from_slice(&common.dimensions);
    dimensions.extend_from_slice(&record.dimensions);
    if quotas.exceeded(dimensions.len(), MAX_DIMENSIONS) {
        return Err(ValidationError::TooManyDimensions { record: index, count: dimensions.len() });
    }
    for (place, dimension) in dimensions.iter().enumerate() {
        not_empty(dimension.name, index, Field::DimensionName(place))?;
    }
    dimensions.sort_unstable();
    match duplicate(&dimensions, |dimension| dimension.name) {
        Some(name) => Err(ValidationError::DuplicateDimension { record: index, name: name.to_owned() }),
        None => Ok(dimensions),
    }
}

fn content<'a>(
    common: &MeasureRecord<'a>,
    record: &MeasureRecord<'a>,
    index: usize,
    quotas: Quotas,
) -> Result<Content<'a>, ValidationError> {
    let kind = record.measure_type.or(common.measure_type).unwrap_or_default();
    let value = record.measure_value.or(common.measure_value);
    let has_values = !common.measure_values.is_empty() || !record.measure_values.is_empty();
    match (kind, value) {
        (MeasureType::Multi, Some(_)) => Err(ValidationError::ValueWithMulti { record: index }),
        (MeasureType::Multi, None) if !has_values => Err(ValidationError::NoMeasureValues { record: index }),
        (MeasureType::Multi, None) => values(common, record, index, quotas).map(Content::Many),
        (_, _) if has_values => Err(ValidationError::ValuesWithoutMulti { record: index, kind }),
        (_, None) => Err(ValidationError::NoMeasureValue { record: index, kind }),
        (_, Some(value)) => {
            check_value(value, index, Field::MeasureValue, quotas)?;
            Ok(Content::One(value, kind))
        }
    }
}

fn values<'a>(
    common: &MeasureRecord<'a>,
    record: &MeasureRecord<'a>,
    index: usize,
    quotas: Quotas,
) -> Result<Vec<MeasureValue<'a>>, ValidationError> {
    let mut values = Vec::with_capacity(common.measure_values.len() + record.measure_values.len());
    values.extend_from_slice(&common.measure_values);
    values.extend_from_slice(&record.measure_values);
    for (place, value) in values.iter().enumerate() {
        not_empty(value.name, index, Field::ValueName(place))?;
        check_value(value.value, index, Field::Value(place), quotas)?;
        if value.value_type == MeasureType::Multi {
            return Err(ValidationError::NestedMulti { record: index, name: value.name.to_owned() });
        }
    }
    values.sort_unstable_by_key(|value| value.name);
    match duplicate(&values, |value| value.name) {
        Some(name) => Err(ValidationError::DuplicateValue { record: index, name: name.to_owned() }),
        None => Ok(values),
    }
}

fn check_value(value: &str, record: usize, field: Field, quotas: Quotas) -> Result<(), ValidationError> {
    not_empty(value, record, field)?;
    not_longer(value, MAX_VALUE_CHARACTERS, record, field, quotas)
}

fn not_empty(text: &str, record: usize, field: Field) -> Result<(), ValidationError> {
    if text.is_empty() { Err(ValidationError::Empty { record, field }) } else { Ok(()) }
}

fn not_longer(
    text: &str,
    max: usize,
    record: usize,
    field: Field,
    quotas: Quotas,
) -> Result<(), ValidationError> {
    // No text of so few bytes has more characters.
    if quotas.exceeded(text.len(), max) && text.chars().count() > max {
        return Err(ValidationError::TooLong { record, field, value: text.to_owned() });
    }
    Ok(())
}

/// A name that comes twice in what is sorted by name.
fn duplicate<'a, T>(sorted: &[T], name: impl Fn(&T) -> &'a str) -> Option<&'a str> {
    sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .find(|(one, other)| name(one) == name(other))
        .map(|(one, _)| name(one))
}
