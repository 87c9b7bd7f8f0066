//! What Frames makes of columns: no nulls, one type of number, times as text.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, Scalar,
    StringArray,
};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use arrow_select::zip::zip;
use serde_json::{Map, Value};

use super::frame::{FrameError, check_reserved};

/// The column that a record of bytes is shown as.
const RAW_DATA: &str = "raw_data";

/// The types that Frames has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Time,
    Boolean,
}

impl Kind {
    fn of(field: &Field) -> Result<Self, FrameError> {
        match field.data_type() {
            DataType::Float16 => Err(not_in_original(field)),
            kind if kind.is_integer() || kind.is_floating() => Ok(Self::Number),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(Self::Text),
            DataType::Timestamp(..) => Ok(Self::Time),
            DataType::Boolean => Ok(Self::Boolean),
            _ => Err(not_in_original(field)),
        }
    }

    /// What stands for a null of this kind and type: an array of one.
    fn default(self, kind: &DataType) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Number | Self::Time => cast(&Int64Array::from_value(0, 1), kind),
            Self::Text => cast(&StringArray::from_iter_values([""]), kind),
            Self::Boolean => Ok(Arc::new(BooleanArray::from(vec![false]))),
        }
    }
}

fn not_in_original(field: &Field) -> FrameError {
    FrameError::NotInOriginal { name: field.name().clone(), kind: field.data_type().to_string() }
}

/// The same columns with values in place of nulls.
pub(super) fn without_nulls(rows: &RecordBatch) -> Result<RecordBatch, FrameError> {
    of_each_column(rows, fill)
}

/// The columns as Frames shows them.
pub(super) fn loosened(rows: &RecordBatch) -> Result<RecordBatch, FrameError> {
    of_each_column(rows, |kind, column| {
        let filled = fill(kind, column)?;
        match kind {
            Kind::Number => cast(&filled, &DataType::Float64),
            Kind::Text => cast(&filled, &DataType::Utf8),
            Kind::Time => Ok(Arc::new(times_as_text(&filled)?)),
            Kind::Boolean => Ok(filled),
        }
    })
}

/// A record of bytes as Frames shows it: the members of a JSON object as columns, anything else as text.
pub(super) fn loosened_bytes(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    // What is no such object has no members.
    let members: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
    let columns: Option<Vec<_>> =
        members.into_iter().map(|(name, value)| Some((name, array_of(&value)?))).collect();
    let row = columns.filter(|columns| !columns.is_empty()).map(RecordBatch::try_from_iter).transpose()?;
    match row.filter(|row| check_reserved(row.schema_ref()).is_ok()) {
        Some(row) => Ok(row),
        None => {
            let text: ArrayRef = Arc::new(StringArray::from_iter_values([String::from_utf8_lossy(bytes)]));
            RecordBatch::try_from_iter([(RAW_DATA, text)])
        }
    }
}

/// A value of a JSON object as an array of one; `None` for a null, an array or an object.
fn array_of(value: &Value) -> Option<ArrayRef> {
    match value {
        Value::Number(number) => Some(Arc::new(Float64Array::from_value(number.as_f64()?, 1))),
        Value::String(text) => Some(Arc::new(StringArray::from_iter_values([text]))),
        Value::Bool(value) => Some(Arc::new(BooleanArray::from(vec![*value]))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn of_each_column(
    rows: &RecordBatch,
    change: impl Fn(Kind, &ArrayRef) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch, FrameError> {
    let schema = rows.schema_ref();
    let mut fields = Vec::with_capacity(rows.num_columns());
    let mut columns = Vec::with_capacity(rows.num_columns());
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let failed =
            |error: ArrowError| FrameError::Convert { name: field.name().clone(), reason: error.to_string() };
        let changed = change(Kind::of(field)?, column).map_err(failed)?;
        fields.push((**field).clone().with_data_type(changed.data_type().clone()));
        columns.push(changed);
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|error| FrameError::Convert { name: String::new(), reason: error.to_string() })
}

/// A column with values in place of nulls, and of what is not a number.
fn fill(kind: Kind, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let there: BooleanArray = match column.data_type() {
        DataType::Float32 => column
            .as_primitive::<Float32Type>()
            .iter()
            .map(|value| Some(value.is_some_and(|value| !value.is_nan())))
            .collect(),
        DataType::Float64 => column
            .as_primitive::<Float64Type>()
            .iter()
            .map(|value| Some(value.is_some_and(|value| !value.is_nan())))
            .collect(),
        _ => match column.nulls() {
            Some(nulls) => BooleanArray::new(nulls.inner().clone(), None),
            None => return Ok(Arc::clone(column)),
        },
    };
    if there.false_count() == 0 {
        return Ok(Arc::clone(column));
    }
    zip(&there, column, &Scalar::new(kind.default(column.data_type())?))
}

/// Times in UTC as Go writes them: RFC 3339 without zeros at the end of a fraction.
fn times_as_text(times: &ArrayRef) -> Result<StringArray, ArrowError> {
    let in_utc = match times.data_type() {
        DataType::Timestamp(unit, _) => cast(times, &DataType::Timestamp(*unit, Some("+00:00".into())))?,
        _ => Arc::clone(times),
    };
    let texts = cast(&in_utc, &DataType::Utf8)?;
    Ok(texts.as_string::<i32>().iter().map(|text| text.map(without_trailing_zeros)).collect())
}

fn without_trailing_zeros(time: &str) -> String {
    match time.strip_suffix('Z').and_then(|time| time.split_once('.')) {
        Some((seconds, fraction)) => format!("{seconds}.{}Z", fraction.trim_end_matches('0')),
        None => time.to_owned(),
    }
}
