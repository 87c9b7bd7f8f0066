//! Measures: data points with dimensions, a time and a version, written as Amazon Timestream's `WriteRecords` does.
//!
//! [`validate`] checks the records of one call by the service's rules and types their values. `docs/measures.md` has
//! every rule with its text.

mod iso_time;
mod lexical;
mod measure;
mod measure_type;
mod merge;
mod names;
mod quotas;
mod reason;
mod record;
mod time_unit;
mod validate;
mod validation_error;

pub use measure::{Measure, Value};
pub use measure_type::MeasureType;
pub use quotas::Quotas;
pub use reason::{NameKind, Reason, RejectedRecord, TableLimit};
pub use record::{Dimension, MeasureRecord, MeasureValue};
pub use time_unit::TimeUnit;
pub use validate::validate;
pub use validation_error::{Field, UnknownName, ValidationError};
