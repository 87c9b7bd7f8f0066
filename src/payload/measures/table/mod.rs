//! A stream as a table of measures.

mod checkpoint;
mod decision;
mod ingested;
mod ledger;
mod open;
mod options;
mod prepared;
mod read;
mod read_error;
mod scan;
mod series;
mod stats;
mod stored;
mod table_handle;
mod window;
mod write;
mod write_error;

pub use checkpoint::CheckpointError;
pub use ingested::{RecordsIngested, RejectedRecords};
pub use open::OpenTableError;
pub use options::TableOptions;
pub use read_error::ReadMeasureError;
pub use scan::Scan;
pub use series::Series;
pub use stats::TableStats;
pub use stored::StoredMeasure;
pub use table_handle::MeasureTable;
pub use write_error::WriteRecordsError;
