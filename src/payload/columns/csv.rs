//! CSV in and out.

use std::io::{Read, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_csv::WriterBuilder;
use arrow_csv::reader::{Format, ReaderBuilder};
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

const FORMAT: &str = "CSV";

/// How CSV that is read looks.
#[derive(Debug, Clone)]
pub struct PutCsvOptions {
    header: bool,
    delimiter: u8,
    schema: Option<SchemaRef>,
    infer_rows: Option<usize>,
}

impl Default for PutCsvOptions {
    fn default() -> Self {
        Self { header: true, delimiter: b',', schema: None, infer_rows: None }
    }
}

impl PutCsvOptions {
    /// Fields between commas, under a line with the columns' names; their types found in all rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the first line has the columns' names. Without, they are called `column_1` and so on, unless a schema is given.
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// What is between fields.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The columns' names and types, by their order; a name in the first line that is another is an error. Rows are read as they
    /// come then.
    #[must_use]
    pub fn schema(mut self, schema: SchemaRef) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Finds the types in this many rows only, and reads the others as they come. By default all rows are read into memory for it.
    #[must_use]
    pub fn infer_rows(mut self, rows: usize) -> Self {
        self.infer_rows = Some(rows);
        self
    }
}

/// How CSV is written, and what of a reader's rows.
#[derive(Debug, Clone)]
pub struct WriteCsvOptions {
    header: bool,
    delimiter: u8,
    timestamp_format: Option<String>,
    range: RowRange,
}

impl Default for WriteCsvOptions {
    fn default() -> Self {
        Self { header: true, delimiter: b',', timestamp_format: None, range: RowRange::default() }
    }
}

impl WriteCsvOptions {
    /// Fields between commas, under a line with the columns' names; all rows there are, without further columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the first line has the columns' names.
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// What is between fields.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// How timestamps without zone are written, after chrono's `strftime`: `%Y-%m-%d %H:%M:%S`. As RFC 3339 by default.
    #[must_use]
    pub fn timestamp_format(mut self, format: impl Into<String>) -> Self {
        self.timestamp_format = Some(format.into());
        self
    }

    range_methods!();
}

impl Columns {
    /// Puts the rows of CSV, as typed columns, under one key. Where no schema is given, a column's type is that which all its
    /// fields have: `Boolean`, `Int64`, `Float64`, `Date32`, `Timestamp` of seconds or finer, else `Utf8`. An empty field is null.
    ///
    /// A column of whole numbers may have fractions in another file: give [`PutCsvOptions::schema`] the stream's
    /// [`newest_schema`](Self::newest_schema) then.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let store = riverbed::Store::open(directory.path().join("data"))?;
    /// use riverbed::columns::{PutCsvOptions, WriteCsvOptions};
    /// use riverbed::{Position, ShardId, StreamOptions};
    ///
    /// let columns = store.create_stream("taxis", StreamOptions::new())?.columns();
    /// let text = "zone,picked_up,fare\n4,2019-01-15T03:36:12,6.5\n7,2019-01-25T18:20:32,\n";
    /// columns.put_csv("taxis", text.as_bytes(), &PutCsvOptions::new())?;
    ///
    /// let mut out = Vec::new();
    /// let mut reader = columns.reader(ShardId::new(0), Position::TrimHorizon)?;
    /// reader.write_csv(&mut out, &WriteCsvOptions::new())?;
    /// assert_eq!(String::from_utf8(out)?, text);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutRowsError`]; a field that is not of its column's type is named with its line, counted from 0.
    pub fn put_csv<'k>(
        &self,
        key: impl Into<Key<'k>>,
        source: impl Read,
        options: &PutCsvOptions,
    ) -> Result<PutBatch, PutRowsError> {
        let format = Format::default().with_header(options.header).with_delimiter(options.delimiter);
        match &options.schema {
            Some(schema) => self.put_csv_of(key.into(), source, format, Arc::clone(schema), options.header),
            None => {
                let mut kept = Kept::new(source);
                let inferred = format.infer_schema(&mut kept, options.infer_rows);
                let put = PutBatch::default();
                let source = kept.again().map_err(|source| PutRowsError::Read { source, put })?;
                let (schema, _) = inferred.map_err(|error| PutRowsError::of_arrow(FORMAT, error, put))?;
                self.put_csv_of(key.into(), source, format, Arc::new(schema), false)
            }
        }
    }

    fn put_csv_of(
        &self,
        key: Key<'_>,
        source: impl Read,
        format: Format,
        schema: SchemaRef,
        check_header: bool,
    ) -> Result<PutBatch, PutRowsError> {
        let rows = self.rows_at_once(&schema);
        let reader = ReaderBuilder::new(schema)
            .with_format(format)
            .with_header_validation(check_header)
            .with_batch_size(rows)
            .build(source)
            .map_err(|error| PutRowsError::of_arrow(FORMAT, error, PutBatch::default()))?;
        self.put_rows(key, reader, |error, put| PutRowsError::of_arrow(FORMAT, error, put))
    }
}

impl BatchReader {
    /// Writes what this reader shows from here on as CSV, up to what there is now or to the end that the options say. A null is
    /// an empty field, and so is an empty text.
    ///
    /// # Errors
    ///
    /// [`WriteRowsError`]; also for columns of lists, structs and other types that CSV has no form for.
    pub fn write_csv(
        &mut self,
        out: impl Write,
        options: &WriteCsvOptions,
    ) -> Result<TableWritten, WriteRowsError> {
        let mut builder = WriterBuilder::new().with_header(options.header).with_delimiter(options.delimiter);
        if let Some(format) = &options.timestamp_format {
            builder = builder.with_timestamp_format(format.clone());
        }
        let mut out = Counted::new(out);
        let mut writer = builder.build(&mut out);
        let mut write = || -> Result<u64, WriteRowsError> {
            let mut rows = OutRows::begin(self, options.range)?;
            if !rows.schema().fields().is_empty() {
                // The names, also where there are no rows.
                writer
                    .write(&RecordBatch::new_empty(Arc::clone(rows.schema())))
                    .map_err(WriteRowsError::encode(FORMAT))?;
            }
            let mut count = 0;
            while let Some(batch) = rows.next()? {
                writer.write(&rows.complete(&batch)?).map_err(WriteRowsError::encode(FORMAT))?;
                count += batch.rows().num_rows() as u64;
            }
            Ok(count)
        };
        let outcome = write();
        drop(writer);
        out.conclude(outcome)
    }
}
