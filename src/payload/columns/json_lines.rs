//! JSON lines in and out.

use std::io::{BufReader, Read, Write};
use std::sync::Arc;

use arrow_json::reader::{ReaderBuilder, infer_json_schema};
use arrow_json::writer::{LineDelimited, WriterBuilder};
use arrow_schema::SchemaRef;

use crate::stream::put::Key;

use super::Columns;
use super::kept::Kept;
use super::out_rows::{OutRows, RowRange, range_methods};
use super::put::PutBatch;
use super::reader::BatchReader;
use super::rows_in::PutRowsError;
use super::table_out::{Counted, TableWritten};
use super::write_error::WriteRowsError;

const FORMAT: &str = "JSON lines";

/// How JSON lines are read.
#[derive(Debug, Clone, Default)]
pub struct PutJsonOptions {
    schema: Option<SchemaRef>,
    infer_rows: Option<usize>,
}

impl PutJsonOptions {
    /// Columns and their types found in all lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// The columns' names and types. A member that is none of them is an error. Lines are read as they come then.
    #[must_use]
    pub fn schema(mut self, schema: SchemaRef) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Finds columns and types in this many lines only, and reads the others as they come. By default all lines are read into
    /// memory for it.
    #[must_use]
    pub fn infer_rows(mut self, rows: usize) -> Self {
        self.infer_rows = Some(rows);
        self
    }
}

/// How JSON lines are written, and what of a reader's rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteJsonOptions {
    explicit_nulls: bool,
    range: RowRange,
}

impl WriteJsonOptions {
    /// All rows there are, without further columns; members that are null left out.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to write members that are null.
    #[must_use]
    pub fn explicit_nulls(mut self, write: bool) -> Self {
        self.explicit_nulls = write;
        self
    }

    range_methods!();
}

impl Columns {
    /// Puts JSON objects, one after the other, as rows of typed columns, under one key. Where no schema is given, the columns
    /// are the members of all objects, in alphabetical order: `Boolean`, `Int64`, `Float64`, `Utf8`, lists and structs.
    /// A member that is null or missing is null. Timestamps are text in JSON: they become such by a schema that says so.
    ///
    /// # Errors
    ///
    /// [`PutRowsError`].
    pub fn put_json_lines<'k>(
        &self,
        key: impl Into<Key<'k>>,
        source: impl Read,
        options: &PutJsonOptions,
    ) -> Result<PutBatch, PutRowsError> {
        match &options.schema {
            Some(schema) => self.put_json_of(key.into(), source, Arc::clone(schema)),
            None => {
                let mut kept = Kept::new(source);
                let inferred = infer_json_schema(BufReader::new(&mut kept), options.infer_rows);
                let put = PutBatch::default();
                let source = kept.again().map_err(|source| PutRowsError::Read { source, put })?;
                let (schema, _) = inferred.map_err(|error| PutRowsError::of_arrow(FORMAT, error, put))?;
                self.put_json_of(key.into(), source, Arc::new(schema))
            }
        }
    }

    fn put_json_of(
        &self,
        key: Key<'_>,
        source: impl Read,
        schema: SchemaRef,
    ) -> Result<PutBatch, PutRowsError> {
        let rows = self.rows_at_once(&schema);
        let reader = ReaderBuilder::new(schema)
            .with_strict_mode(true)
            .with_batch_size(rows)
            .build(BufReader::new(source))
            .map_err(|error| PutRowsError::of_arrow(FORMAT, error, PutBatch::default()))?;
        self.put_rows(key, reader, |error, put| PutRowsError::of_arrow(FORMAT, error, put))
    }
}

impl BatchReader {
    /// Writes what this reader shows from here on as one JSON object in each line, up to what there is now or to the end that
    /// the options say.
    ///
    /// # Errors
    ///
    /// [`WriteRowsError`]; also for columns of types that JSON has no form for.
    pub fn write_json_lines(
        &mut self,
        out: impl Write,
        options: &WriteJsonOptions,
    ) -> Result<TableWritten, WriteRowsError> {
        let mut out = Counted::new(out);
        let builder = WriterBuilder::new().with_explicit_nulls(options.explicit_nulls);
        let mut writer = builder.build::<_, LineDelimited>(&mut out);
        let mut write = || -> Result<u64, WriteRowsError> {
            let mut rows = OutRows::begin(self, options.range)?;
            let mut count = 0;
            while let Some(batch) = rows.next()? {
                writer.write(&rows.complete(&batch)?).map_err(WriteRowsError::encode(FORMAT))?;
                count += batch.rows().num_rows() as u64;
            }
            writer.finish().map_err(WriteRowsError::encode(FORMAT))?;
            Ok(count)
        };
        let outcome = write();
        drop(writer);
        out.conclude(outcome)
    }
}
