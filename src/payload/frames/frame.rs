//! Data frames.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema};

/// The index column of frames that are read: the number of each row in its shard.
pub(super) const SEQ_NUMBER: &str = "seq_number";
/// The column that is added to frames that are read: when each row arrived.
pub(super) const STREAM_TIME: &str = "stream_time";

/// Rows of columns, some of which may be the frame's index, after pandas.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use arrow_array::record_batch;
/// use riverbed::frames::Frame;
///
/// let rides = record_batch!(("driver_id", Int32, [24, 1]), ("num_rides", Int32, [8, 25]))?;
/// let frame = Frame::new(rides).with_index(["driver_id"])?;
/// assert_eq!(frame.index(), ["driver_id"]);
/// assert_eq!(frame.columns()?, record_batch!(("num_rides", Int32, [8, 25]))?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    rows: RecordBatch,
    index: Vec<String>,
}

/// What cannot be done with a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There is no such column to be an index.
    #[error("there is no column '{name}' to be the index: give one that the frame has")]
    NoSuchColumn {
        /// What was asked for.
        name: String,
    },
    /// Two columns, or a column and an index column, have one name.
    #[error("there are two columns '{name}': rename one")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// A column has the name of one that frames get when they are read.
    #[error("there is a column '{name}', which reading adds: rename it")]
    ReservedColumn {
        /// The name.
        name: String,
    },
    /// The original has no such type.
    #[error(
        "column '{name}' is {kind}, which the original does not have: convert it to integers, floats, text, timestamps or \
         booleans, or do not ask for the original's types"
    )]
    NotInOriginal {
        /// The column.
        name: String,
        /// Its type.
        kind: String,
    },
    /// A column cannot be converted to the original's types.
    #[error("column '{name}' cannot be converted: {reason}; do not ask for the original's types")]
    Convert {
        /// The column.
        name: String,
        /// What Arrow says.
        reason: String,
    },
}

impl Frame {
    /// A frame without an index.
    pub fn new(rows: RecordBatch) -> Self {
        Self { rows, index: Vec::new() }
    }

    /// The same rows with these columns as their index.
    ///
    /// # Errors
    ///
    /// [`FrameError::NoSuchColumn`] for one that there is not.
    pub fn with_index<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, FrameError> {
        self.index = names.into_iter().map(Into::into).collect();
        match self.index.iter().find(|name| self.rows.column_by_name(name).is_none()) {
            Some(name) => Err(FrameError::NoSuchColumn { name: name.clone() }),
            None => Ok(self),
        }
    }

    /// All rows, with all columns, those of the index among them.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// All rows, with all columns.
    pub fn into_rows(self) -> RecordBatch {
        self.rows
    }

    /// The names of the index columns; none for rows that are numbered from 0.
    pub fn index(&self) -> &[String] {
        &self.index
    }

    /// The rows without their index columns.
    ///
    /// # Errors
    ///
    /// [`ArrowError`] when Arrow cannot leave columns out, which it always can.
    pub fn columns(&self) -> Result<RecordBatch, ArrowError> {
        let fields = self.rows.schema_ref().fields().iter().enumerate();
        let kept = fields.filter(|(_, field)| !self.index.contains(field.name()));
        self.rows.project(&kept.map(|(place, _)| place).collect::<Vec<_>>())
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }
}

impl From<RecordBatch> for Frame {
    fn from(rows: RecordBatch) -> Self {
        Self::new(rows)
    }
}

/// Checks what columns of a frame to be written are called.
pub(super) fn check_names(schema: &Schema) -> Result<(), FrameError> {
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[one, other]| one == other) {
        return Err(FrameError::DuplicateColumn { name: (*name).to_owned() });
    }
    check_reserved(schema)
}

/// Checks that there is room for what reading adds.
pub(super) fn check_reserved(schema: &Schema) -> Result<(), FrameError> {
    match [SEQ_NUMBER, STREAM_TIME].iter().find(|name| schema.field_with_name(name).is_ok()) {
        Some(name) => Err(FrameError::ReservedColumn { name: (*name).to_owned() }),
        None => Ok(()),
    }
}
