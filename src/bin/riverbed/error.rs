//! What a command fails with.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use riverbed::columns::{ReadBatchError, SchemaError, WriteRowsError};
use riverbed::point::WriteLinesError;
use riverbed::{
    CloseError, ConsumerError, CreateStreamError, OpenError, PutError, ReadError, RepairError, ReshardError,
    ReshardPlanError, StreamError, SyncError, TrimStreamError, VerifyError,
};

use crate::units;

/// What a command fails with. Texts of the library that speak of its functions are put in terms of commands here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Something on the command line cannot be meant like that.
    #[error("{message}")]
    Usage { message: String },
    #[error("there is no store in {}: give another with --store, or make one with `riverbed create <STREAM>`", path.display())]
    NoStore { path: PathBuf },
    #[error(transparent)]
    Open(OpenError),
    #[error(transparent)]
    CreateStream(#[from] CreateStreamError),
    #[error(
        "there is no stream '{name}': `riverbed list` shows those there are, `riverbed create {name}` makes it"
    )]
    NoStream { name: String },
    #[error(transparent)]
    Stream(StreamError),
    #[error(transparent)]
    Put(#[from] PutError),
    #[error("the stream has no {shard_id}: `riverbed describe` shows the shards it has")]
    NoShard { shard_id: riverbed::ShardId },
    #[error("{shard_id} has been split or merged already: `riverbed describe` shows the open ones")]
    NotOpen { shard_id: riverbed::ShardId },
    #[error(
        "{} is damaged at offset {offset}: {reason}; copy the file away, see `riverbed verify`, or read on behind the \
         damage with --skip-damage", path.display()
    )]
    Damaged { path: PathBuf, offset: u64, reason: String },
    #[error(transparent)]
    Read(ReadError),
    #[error(
        "there is no record with sequence number {number}: it was never given, or retention has removed its record"
    )]
    NoRecord { number: riverbed::SequenceNumber },
    #[error(transparent)]
    Reshard(ReshardError),
    #[error(transparent)]
    Trim(#[from] TrimStreamError),
    #[error(transparent)]
    Sync(#[from] SyncError),
    #[error(transparent)]
    Close(#[from] CloseError),
    #[error(transparent)]
    Verify(VerifyError),
    #[error(transparent)]
    Repair(RepairError),
    /// A record of the input cannot be put as it is.
    #[error("record {index} of the input (counted from 1): {problem}")]
    Input { index: u64, problem: String },
    /// The stream refused a record that another time it might take, and took so many of those behind it, for other shards.
    #[error("record {index} of the input (counted from 1) was not put, and of those behind it {} put", were(.behind))]
    NotPut { index: u64, behind: u64, source: PutError },
    /// A stored record cannot be shown in the format that was asked for.
    #[error("record {number} cannot be shown like that: {problem}")]
    Show { number: riverbed::SequenceNumber, problem: String },
    /// The points of an input were not put.
    #[error(transparent)]
    Points(#[from] WriteLinesError),
    /// The rows of an input were not put, or not all of them.
    #[error("cannot put the rows of {}", path.display())]
    PutRows { path: PathBuf, source: Box<dyn Error + Send + Sync> },
    /// Rows of these types do not go with those that the stream has.
    #[error(
        "field '{field}' of {} does not go with the stream's rows: expected {expected}, found {found}; read CSV and JSON with \
         --as-newest, convert the column, or put the rows to another stream", path.display()
    )]
    OtherRows { path: PathBuf, field: String, expected: String, found: String },
    #[error(
        "record {number} is no batch of rows: choose another --format, or begin behind it with --from after:{number}"
    )]
    NoRows { number: riverbed::SequenceNumber },
    #[error(transparent)]
    ReadRows(ReadBatchError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    WriteRows(WriteRowsError),
    /// A file is where an export would gather its own.
    #[error(
        "{} is there already: if no other export is writing it, remove it, or export to \
         another name", path.display()
    )]
    PartExists { path: PathBuf },
    #[error("interrupted before it was done")]
    Interrupted,
    #[error("the stream has no consumer '{name}': `riverbed consumers list` shows those it has")]
    NoConsumer { name: String },
    #[error(
        "{} is damaged: {reason}; restore it from a copy, or make it anew with `riverbed consumers reset`", path.display()
    )]
    ConsumerDamaged { path: PathBuf, reason: String },
    #[error(transparent)]
    Consumer(ConsumerError),
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] riverbed::IoError),
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    #[error("cannot write the output as JSON")]
    Json(#[from] serde_json::Error),
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into() }
    }

    /// For `map_err`: fills in what was being done, and to what.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether whoever was to read the output has gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error) | Self::WriteRows(WriteRowsError::Write(error)) => {
                error.kind() == io::ErrorKind::BrokenPipe
            }
            Self::Json(error) => error.io_error_kind() == Some(io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }
}

fn were(count: &u64) -> String {
    match *count {
        0 => "none was".to_owned(),
        1 => "1 was".to_owned(),
        count => format!("{} were", units::count(count)),
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotFound { path } => Self::NoStore { path },
            error => Self::Open(error),
        }
    }
}

impl From<VerifyError> for CliError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::NotFound { path } => Self::NoStore { path },
            error => Self::Verify(error),
        }
    }
}

impl From<RepairError> for CliError {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Verify(error) => error.into(),
            error => Self::Repair(error),
        }
    }
}

impl From<StreamError> for CliError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::NotFound { name } => Self::NoStream { name },
            error => Self::Stream(error),
        }
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoSuchShard { shard_id } => Self::NoShard { shard_id },
            ReadError::Corrupt { path, offset, reason } => Self::Damaged { path, offset, reason },
            error => Self::Read(error),
        }
    }
}

impl From<ReshardError> for CliError {
    fn from(error: ReshardError) -> Self {
        match error {
            ReshardError::Plan(ReshardPlanError::NoSuchShard { shard_id }) => Self::NoShard { shard_id },
            ReshardError::Plan(ReshardPlanError::NotOpen { shard_id }) => Self::NotOpen { shard_id },
            ReshardError::Stream(error) => error.into(),
            error => Self::Reshard(error),
        }
    }
}

impl From<ReadBatchError> for CliError {
    fn from(error: ReadBatchError) -> Self {
        match error {
            ReadBatchError::Read(error) => error.into(),
            ReadBatchError::NotABatch { number } => Self::NoRows { number },
            error => Self::ReadRows(error),
        }
    }
}

impl From<WriteRowsError> for CliError {
    fn from(error: WriteRowsError) -> Self {
        match error {
            WriteRowsError::Read(error) => error.into(),
            error => Self::WriteRows(error),
        }
    }
}

impl From<ConsumerError> for CliError {
    fn from(error: ConsumerError) -> Self {
        match error {
            ConsumerError::NotFound { name } => Self::NoConsumer { name },
            ConsumerError::Damaged { path, reason } => Self::ConsumerDamaged { path, reason },
            ConsumerError::Read(error) => error.into(),
            ConsumerError::Stream(error) => error.into(),
            error => Self::Consumer(error),
        }
    }
}
