//! Rows of a file into a stream, in batches.

use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use riverbed::columns::{
    Columns, PutBatch, PutBatchError, PutCsvOptions, PutJsonOptions, PutRowsError, SchemaError,
};

use crate::data_format::DataFormat;
use crate::error::CliError;
use crate::input::Input;

/// How the types of columns are found where the input does not say them.
#[derive(Debug, Clone, Args)]
pub(crate) struct TypeArgs {
    /// Read the columns of CSV and JSON rows as the stream's newest rows have them, not as they look
    #[arg(long)]
    as_newest: bool,
    /// Find out from so many rows how columns of CSV and JSON rows look; from all of them, in memory, if not given
    #[arg(long, value_name = "COUNT", conflicts_with = "as_newest")]
    infer_rows: Option<usize>,
}

/// Puts the rows of an input under a key.
pub(crate) fn put(
    columns: &Columns,
    key: &str,
    format: DataFormat,
    types: &TypeArgs,
    input: &mut BufReader<Input>,
) -> Result<PutBatch, CliError> {
    let newest = if types.as_newest { columns.newest_schema()? } else { None };
    if types.as_newest && newest.is_none() {
        return Err(CliError::usage("the stream has no rows yet: leave --as-newest out"));
    }
    let path = input.get_ref().name().to_owned();
    let put = match format {
        DataFormat::Csv => {
            let mut options = PutCsvOptions::new();
            if let Some(schema) = newest {
                options = options.schema(schema);
            }
            if let Some(rows) = types.infer_rows {
                options = options.infer_rows(rows);
            }
            columns.put_csv(key, &mut *input, &options)
        }
        DataFormat::JsonRows => {
            let mut options = PutJsonOptions::new();
            if let Some(schema) = newest {
                options = options.schema(schema);
            }
            if let Some(rows) = types.infer_rows {
                options = options.infer_rows(rows);
            }
            columns.put_json_lines(key, &mut *input, &options)
        }
        DataFormat::Parquet => columns.put_parquet(key, input.get_ref().whole_file()?),
        _ => columns.put_ipc(key, &mut *input),
    };
    match put {
        Err(error) if input.get_ref().is_interrupted() => Ok(error.put()),
        Err(PutRowsError::Put(error)) => Err(refused(path, error)),
        put => put.map_err(|source| CliError::PutRows { path, source: source.into() }),
    }
}

/// Why the stream has not taken rows.
fn refused(path: PathBuf, error: PutBatchError) -> CliError {
    match error {
        PutBatchError::Schema(SchemaError::Incompatible { field, expected, found }) => {
            CliError::OtherRows { path, field, expected, found }
        }
        error => CliError::PutRows { path, source: error.into() },
    }
}
