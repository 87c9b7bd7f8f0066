//! Measures: data points with dimensions, a time and a version, written as Amazon Timestream's `WriteRecords` does.
//!
//! A [`MeasureTable`] is a stream that holds them: it checks the records of a call by the service's rules, stores those that it
//! takes, and reads data points at their latest version. `docs/measures.md` has every rule with its text.

mod encoding;
mod index;
mod iso_time;
mod lexical;
mod measure;
mod measure_type;
mod merge;
mod names;
mod quotas;
mod reason;
mod record;
mod table;
mod time_unit;
mod validate;
mod validation_error;

#[cfg(any(fuzzing, feature = "internals"))]
pub(crate) use encoding::check_one_form;
pub use encoding::{DecodeMeasureError, Dimensions, MeasureRef, ValueRef, Values};
pub use index::IndexError;
pub use measure::{Measure, Value};
pub use measure_type::MeasureType;
pub use quotas::Quotas;
pub use reason::{NameKind, Reason, RejectedRecord, TableLimit};
pub use record::{Dimension, MeasureRecord, MeasureValue};
pub use table::{
    CheckpointError, MeasureTable, OpenTableError, ReadMeasureError, RecordsIngested, RejectedRecords, Scan,
    Series, StoredMeasure, TableOptions, TableStats, WriteRecordsError,
};
pub use time_unit::TimeUnit;
pub use validate::validate;
pub use validation_error::{Field, UnknownName, ValidationError};
