//! Checking the records of a call.

use super::lexical::{self, Fault};
use super::measure::{Measure, Value};
use super::measure_type::MeasureType;
use super::merge::{Content, Merged, merge};
use super::names::reserved;
use super::quotas::{
    MAX_DIMENSION_NAME, MAX_DIMENSION_PAIRS, MAX_MEASURE_NAME, MAX_RECORD, MAX_RECORDS, MAX_VALUES,
    MAX_VALUES_SIZE, Quotas,
};
use super::reason::{NameKind, Reason};
use super::record::{Dimension, MeasureRecord};
use super::time_unit::TimeUnit;
use super::validation_error::ValidationError;

/// Checks the records of one call, merged with its common attributes, by every rule that needs no knowledge of what is
/// stored. One result for each record, in order.
///
/// ```
/// use riverbed::measures::{MeasureRecord, Quotas, Value, validate};
///
/// let common = MeasureRecord::new().dimension("host", "a").time("1700000000000");
/// let records = [
///     MeasureRecord::new().measure_name("load").measure_value("0.5"),
///     MeasureRecord::new().measure_name("load").measure_value("half"),
/// ];
/// let checked = validate(&common, &records, Quotas::Service)?;
/// assert_eq!(checked[0].as_ref().map(|measure| measure.value().clone()), Ok(Value::Double(0.5)));
/// let rejected = checked[1].as_ref().map_err(|reason| reason.to_string());
/// assert_eq!(rejected, Err("The value 'half' of 'load' is not a DOUBLE.".to_owned()));
/// # Ok::<(), riverbed::measures::ValidationError>(())
/// ```
///
/// # Errors
///
/// [`ValidationError`] when the service would refuse the whole call: then for its first fault, in the order of the records.
pub fn validate<'a>(
    common: &MeasureRecord<'a>,
    records: &[MeasureRecord<'a>],
    quotas: Quotas,
) -> Result<Vec<Result<Measure<'a>, Reason>>, ValidationError> {
    if records.is_empty() {
        return Err(ValidationError::NoRecords);
    }
    if quotas.exceeded(records.len(), MAX_RECORDS) {
        return Err(ValidationError::TooManyRecords { count: records.len() });
    }
    let check = |(index, record)| {
        let merged = merge(common, record, index, quotas)?;
        let Some(time) = lexical::time(merged.time, merged.unit) else {
            return Err(ValidationError::InvalidTime { record: index, time: Some(merged.time.to_owned()) });
        };
        let typed = check_names(&merged, quotas).and_then(|()| type_value(&merged));
        Ok(typed.map(|value| Measure {
            dimensions: merged.dimensions,
            measure_name: merged.measure_name,
            time,
            version: merged.version,
            value,
        }))
    };
    records.iter().enumerate().map(check).collect()
}

fn check_names(record: &Merged<'_>, quotas: Quotas) -> Result<(), Reason> {
    for Dimension { name, .. } in &record.dimensions {
        check_name(name, NameKind::Dimension, quotas)?;
    }
    check_name(record.measure_name, NameKind::Measure, quotas)?;
    let dimension_of = |name: &str| record.dimensions.binary_search_by_key(&name, |dimension| dimension.name);
    if dimension_of(record.measure_name).is_ok() {
        return Err(Reason::SharedName { name: record.measure_name.to_owned() });
    }
    if let Content::Many(values) = &record.content {
        for value in values {
            check_name(value.name, NameKind::Value, quotas)?;
            if dimension_of(value.name).is_ok() {
                return Err(Reason::SharedName { name: value.name.to_owned() });
            }
        }
    }
    check_sizes(record, quotas)
}

fn check_name(name: &str, kind: NameKind, quotas: Quotas) -> Result<(), Reason> {
    let max = if kind == NameKind::Dimension { MAX_DIMENSION_NAME } else { MAX_MEASURE_NAME };
    if quotas.exceeded(name.len(), max) {
        return Err(Reason::NameTooLong { kind, name: name.to_owned(), length: name.len(), max });
    }
    if reserved(name) {
        return Err(Reason::ReservedName { kind, name: name.to_owned() });
    }
    Ok(())
}

fn check_sizes(record: &Merged<'_>, quotas: Quotas) -> Result<(), Reason> {
    let pairs: usize = record.dimensions.iter().map(|pair| pair.name.len() + pair.value.len()).sum();
    if quotas.exceeded(pairs, MAX_DIMENSION_PAIRS) {
        return Err(Reason::DimensionsTooLong { length: pairs, max: MAX_DIMENSION_PAIRS });
    }
    let (names, values) = match &record.content {
        Content::One(value, _) => (0, value.len()),
        Content::Many(values) => {
            if quotas.exceeded(values.len(), MAX_VALUES) {
                return Err(Reason::TooManyValues { count: values.len(), max: MAX_VALUES });
            }
            let size = values.iter().map(|value| value.value.len()).sum();
            if quotas.exceeded(size, MAX_VALUES_SIZE) {
                return Err(Reason::ValuesTooLong { length: size, max: MAX_VALUES_SIZE });
            }
            (values.iter().map(|value| value.name.len()).sum(), size)
        }
    };
    let length = pairs + record.measure_name.len() + names + values;
    if quotas.exceeded(length, MAX_RECORD) {
        return Err(Reason::RecordTooLong { length, max: MAX_RECORD });
    }
    Ok(())
}

fn type_value<'a>(record: &Merged<'a>) -> Result<Value<'a>, Reason> {
    match &record.content {
        Content::One(text, kind) => type_text(record.measure_name, text, *kind, record.unit),
        Content::Many(values) => values
            .iter()
            .map(|value| Ok((value.name, type_text(value.name, value.value, value.value_type, record.unit)?)))
            .collect::<Result<_, _>>()
            .map(Value::Multi),
    }
}

fn type_text<'a>(name: &str, text: &'a str, kind: MeasureType, unit: TimeUnit) -> Result<Value<'a>, Reason> {
    lexical::value(text, kind, unit).map_err(|fault| {
        let (name, value) = (name.to_owned(), text.to_owned());
        match fault {
            Fault::Form => Reason::NotOfType { name, value, kind },
            Fault::NotFinite => Reason::NotFinite { name, value },
        }
    })
}
