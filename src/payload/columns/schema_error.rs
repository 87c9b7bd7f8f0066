//! What can be wrong with the schema of rows.

use std::path::PathBuf;

use crate::error::IoError;
use crate::store::error::StreamError;
use crate::stream::schemas::SchemaFault;

/// Why rows of a schema cannot be put or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Rows of this schema do not go with those that the stream has, by the [`Evolution`](super::Evolution) in force.
    #[error(
        "field '{field}' does not go with the stream's rows: expected {expected}, found {found}; convert the column, put \
         the rows to another stream, or choose another Evolution"
    )]
    Incompatible {
        /// The path of the field, from the outermost in.
        field: String,
        /// What the stream, or the schema that was asked for, says.
        expected: String,
        /// What the batch says.
        found: String,
    },
    /// Arrow IPC has no representation for rows of this schema.
    #[error("rows of this schema cannot be stored: {reason}")]
    Unsupported {
        /// What Arrow says.
        reason: String,
    },
    /// A column was asked for that there is not.
    #[error("there is no column '{name}': the schema has {}", columns.join(", "))]
    NoSuchColumn {
        /// What was asked for.
        name: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// The rows speak of a schema that the stream does not have.
    #[error("the stream has no schema {id}: restore the stream's directory 'schemas' from a copy")]
    Unknown {
        /// The schema's id.
        id: u32,
    },
    /// The file of a schema is not what was written. The rows are untouched, and so are those of other schemas.
    #[error("{} is damaged: {reason}; restore it from a copy, then open the store again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The stream has used up its schema ids, or the schema is too long to be stored.
    #[error("the stream can take no further schema: put the rows to another stream")]
    Exhausted,
    /// The stream was deleted, or its store closed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl From<SchemaFault> for SchemaError {
    fn from(fault: SchemaFault) -> Self {
        match fault {
            SchemaFault::Io(error) => Self::Io(error),
            SchemaFault::Damaged { path, fault } => Self::Damaged { path, reason: fault.to_string() },
            SchemaFault::Exhausted => Self::Exhausted,
        }
    }
}
