//! How values and times are written as text.

use crate::sys::clock::Timestamp;

use super::measure::Value;
use super::measure_type::MeasureType;
use super::time_unit::TimeUnit;

/// Why text is not a value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not written as the type is.
    Form,
    /// A double that is infinite or not a number.
    NotFinite,
}

/// The last time that 64-bit signed nanoseconds can say: 2262-04-11.
const LAST: u64 = i64::MAX.unsigned_abs();

/// A count of `unit` since 1970: digits only, up to the year 2262.
pub(crate) fn time(text: &str, unit: TimeUnit) -> Option<Timestamp> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = text.parse().ok()?;
    let nanos = count.checked_mul(unit.as_nanos())?;
    (nanos <= LAST).then_some(Timestamp::from_nanos(nanos))
}

/// The value of a type other than `Multi`, which has no text of its own.
pub(crate) fn value(text: &str, kind: MeasureType, unit: TimeUnit) -> Result<Value<'_>, Fault> {
    match kind {
        MeasureType::Double => double(text).map(Value::Double),
        MeasureType::BigInt => text.parse().map(Value::BigInt).map_err(|_| Fault::Form),
        MeasureType::Varchar => Ok(Value::Varchar(text)),
        MeasureType::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        MeasureType::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        MeasureType::Timestamp => time(text, unit).map(Value::Timestamp).ok_or(Fault::Form),
        MeasureType::Boolean | MeasureType::Multi => Err(Fault::Form),
    }
}

fn double(text: &str) -> Result<f64, Fault> {
    let number: f64 = text.parse().map_err(|_| Fault::Form)?;
    // Also what is written as a number and is too large for one.
    if number.is_finite() { Ok(number) } else { Err(Fault::NotFinite) }
}
